"""Decodes raw XML records, or says why one cannot be used. Pure.

An element is its text, if that is all it has; otherwise an object: attributes as `@name`, child elements by name (an
array where a name comes more than once), and the text beside them as `#text` unless it is blank. An item is always an
object. An element that begins with an XHTML element, such as an Atom text of type xhtml (RFC 4287, 3.1.1.3), is that HTML
as text. Names in a namespace of the layout get its canonical prefix, whatever the document calls it; names in others
keep the document's own prefix.

A slice need not be well-formed: one that lxml refuses is looked at by expat, as the document around it was. What that
refuses makes the whole document unusable, anything else the one record.
"""

import contextlib
import html
from copy import deepcopy
from typing import Any

from lxml import etree

from feedd.formats.text import excerpt
from feedd.formats.xml_markup import WRAPPER_END, XML_NAMESPACE
from feedd.formats.xml_plain import XHTML, plain_of
from feedd.formats.xml_structure import check_structure
from feedd.model import Layout, Problem, Slices

_AT_ONCE = 64  # records that are read as one tree: what is wrong with one costs so many others a second reading
_XHTML = f"{{{XHTML}}}"
_HINTS = {
    etree.ErrorTypes.ERR_UNDECLARED_ENTITY: (
        "not_well_formed",
        "XML knows &amp; &lt; &gt; &quot; and &apos; only; write other characters as they are, or in CDATA.",
    ),
    etree.ErrorTypes.ERR_NAME_REQUIRED: ("not_well_formed", "Write & as &amp; in XML."),
    etree.ErrorTypes.ERR_ENTITYREF_SEMICOL_MISSING: ("not_well_formed", "Write & as &amp; in XML."),
    etree.ErrorTypes.ERR_INVALID_CHAR: (
        "bad_character",
        "There is a control character in this record, which XML forbids. Remove it.",
    ),
    etree.ErrorTypes.NS_ERR_UNDEFINED_NAMESPACE: (
        "unknown_prefix",
        'Declare the prefix at the root of the feed, such as xmlns:g="http://base.google.com/ns/1.0".',
    ),
}


class _TooDeep(Exception):
    """An element lies deeper than allowed."""


def decode(slices: Slices, layout: Layout) -> list[dict[str, Any] | Problem]:
    """A dict for each raw slice, in order, or the problem that makes it unusable.

    Raises:
        FormatError: a slice is not one well-formed element, so that its document is not well-formed.
    """
    raws = [bytes(raw) for raw in slices.raws]
    plain = plain_of(slices.context, layout).records(raws)
    others = [index for index, value in enumerate(plain) if value is None]
    values: list[dict[str, Any] | Problem] = plain  # type: ignore[assignment] # those of the others follow
    for start in range(0, len(others), _AT_ONCE):
        some = others[start : start + _AT_ONCE]
        positions = [slices.position + index for index in some]
        found = by_tree([raws[index] for index in some], positions, slices.context, layout)
        for index, value in zip(some, found, strict=True):
            values[index] = value
    return values


def by_tree(
    raws: list[bytes], positions: list[int], context: bytes, layout: Layout
) -> list[dict[str, Any] | Problem]:
    """What some slices are, read as one tree, or each as one of its own where that fails.

    Raises:
        FormatError: as `decode`.
    """
    reader = _Reader(layout)
    items: list[etree._Element] = []
    if max(map(len, raws)) <= layout.max_record_nodes:  # too few bytes for too many nodes
        with contextlib.suppress(etree.XMLSyntaxError, UnicodeDecodeError):
            items = _parse(context, b"".join(raws))
    if len(items) != len(raws):
        return [
            _alone(raw, position, context, reader, layout)
            for raw, position in zip(raws, positions, strict=True)
        ]
    values = [reader.record(item, raw) for item, raw in zip(items, raws, strict=True)]
    for raw, position in zip(raws, positions, strict=True):
        if reader.may_differ(context, raw):
            check_structure(raw, position)
    return values


def salvage(raw: bytes, context: bytes, layout: Layout) -> dict[str, Any] | None:
    """What can be read of a record that cannot be used as it is: enough to tell which product it is."""
    try:
        content = raw.decode("utf-8", "replace").encode()
        (item,) = _parse(context, content, recover=True)
        etree.strip_elements(
            item, etree.Entity, with_tail=False
        )  # of entities that nobody declared
        value = _Reader(layout).record(item, raw)
        return value if isinstance(value, dict) else None
    except (etree.XMLSyntaxError, ValueError):
        return None


def _parse(context: bytes, content: bytes, *, recover: bool = False) -> list[etree._Element]:
    """The elements of some slices; comments and processing instructions are left out."""
    content.decode()  # libxml2's own answer to bytes that are not UTF-8 depends on its version
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
        recover=recover,
    )
    return list(etree.fromstring(context + content + WRAPPER_END, parser))


def _alone(
    raw: bytes, position: int, context: bytes, reader: "_Reader", layout: Layout
) -> dict[str, Any] | Problem:
    """One slice by itself, so that what is wrong with it costs no other.

    Raises:
        FormatError: it is not one well-formed element.
    """
    value = _value_or_problem(raw, context, reader, layout)
    if isinstance(value, Problem) or reader.may_differ(context, raw):
        check_structure(raw, position)
    return value


def _value_or_problem(
    raw: bytes, context: bytes, reader: "_Reader", layout: Layout
) -> dict[str, Any] | Problem:
    if raw.count(b"<") > 2 * layout.max_record_nodes:
        return _problem(raw, "too_many_nodes", "Split this record, or publish less with it.")
    try:
        items = _parse(context, raw)
    except UnicodeDecodeError as error:
        hint = "Some characters are not in the encoding that the feed declares. Export it as UTF-8, or set `encoding` of this feed."
        return _problem(raw[max(0, error.start - 40) :], "bad_encoding", hint)
    except etree.XMLSyntaxError as error:
        return _refused(raw, error)
    if len(items) != 1:
        return _problem(raw, "not_well_formed", "This record is not one XML element.")
    return reader.record(items[0], raw)


def _refused(raw: bytes, error: etree.XMLSyntaxError) -> Problem:
    """Why a parser refused a record."""
    message = (error.msg or "").split(", line ")[0].strip()
    if "depth" in message:
        return _too_deep(raw)
    rule, hint = _HINTS.get(getattr(error, "code", 0), ("not_well_formed", ""))
    return _problem(raw, rule, f"{message}. {hint}".strip())


class _Reader:
    """Turns elements into values, with the names of a layout."""

    def __init__(self, layout: Layout) -> None:
        self._prefixes = {uri: prefix for prefix, uri in layout.namespaces.items()}
        self._max_depth = layout.max_depth
        self._known: dict[str, str] = {}  # names that do not hang on the prefix in the document
        self._has_rare_names = False

    def may_differ(self, context: bytes, raw: bytes) -> bool:
        """Whether expat may refuse a record that was read: it knows the letters that names had before XML's fifth edition."""
        if raw.isascii():
            return False
        is_rare = self._has_rare_names or not context.isascii()
        return is_rare or b"<?" in raw or b"xmlns" in raw

    def record(self, item: etree._Element, raw: bytes) -> dict[str, Any] | Problem:
        """The object of an item."""
        try:
            value = self._value(item, 1)
        except _TooDeep:
            self._has_rare_names = True  # perhaps: not all were looked at
            return _too_deep(raw)
        if isinstance(value, str):
            return {"#text": value} if value.strip() else {}
        return value

    def _value(self, element: etree._Element, depth: int) -> str | dict[str, Any]:
        if depth > self._max_depth:
            raise _TooDeep
        text = element.text or ""
        value: dict[str, Any] = {}
        for key, content in element.items():
            value[self._attribute(element, str(key))] = content
        if depth > 1 and len(element) and str(element[0].tag).startswith(_XHTML):
            self._has_rare_names = True  # perhaps: not all are looked at
            text = _html_of(element)
            if not value:
                return text
        elif len(element):
            tails: list[str] = []
            for child in element:
                tag = child.tag
                name = self._known.get(tag) or self._name(tag, child.prefix)
                if len(child) or child.keys():
                    inner = self._value(child, depth + 1)
                else:  # most elements are leaves; a call for each would cost a third of the time
                    inner = child.text or ""
                if name not in value:
                    value[name] = inner
                elif type(value[name]) is list:
                    value[name].append(inner)
                else:
                    value[name] = [value[name], inner]
                if (tail := child.tail) and not tail.isspace():
                    tails.append(tail)
            if tails:
                text += "".join(tails)
        elif not value:
            return text
        if text and not text.isspace():
            value["#text"] = text
        return value

    def _name(self, tag: str, prefix: str | None) -> str:
        """What an element is called; keeps the name if it is the same wherever the tag comes."""
        self._has_rare_names |= not tag.isascii()
        uri, _, local = tag.rpartition("}")
        canonical = self._prefixes.get(uri[1:]) if uri else ""
        if canonical is None:
            return f"{prefix}:{local}" if prefix else local
        name = f"{canonical}:{local}" if canonical else local
        self._known[tag] = name
        return name

    def _attribute(self, element: etree._Element, key: str) -> str:
        """The member name of an attribute: only one with a prefix is in a namespace."""
        self._has_rare_names |= not key.isascii()
        if not key.startswith("{"):
            return f"@{key}"
        uri = key[1:].partition("}")[0]
        if uri == XML_NAMESPACE:
            return f"@xml:{key.partition('}')[2]}"
        prefix = next(
            (name for name, known in element.nsmap.items() if name and known == uri), None
        )
        return f"@{self._name(key, prefix)}"


def _html_of(element: etree._Element) -> str:
    """What is in an element as HTML, without the namespaces."""
    holder = etree.Element("_")
    holder.extend(deepcopy(element))
    for each in holder.iter():
        if isinstance(each.tag, str):
            each.tag = each.tag.removeprefix(_XHTML)
    etree.cleanup_namespaces(holder)
    inner = (etree.tostring(child, encoding="unicode") for child in holder)
    return html.escape(element.text or "", quote=False) + "".join(inner)


def _too_deep(raw: bytes) -> Problem:
    return _problem(raw, "too_deep", "This record is nested too deep to be a product.")


def _problem(raw: bytes, rule: str, hint: str) -> Problem:
    return Problem(pointer="", rule=rule, value=excerpt(raw), hint=hint)

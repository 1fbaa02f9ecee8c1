"""Decodes the plain ones of raw XML records without building a tree, in half of the time. Pure.

Plain is what most feeds are made of: elements with text, or one CDATA section after the other, or elements in them; attributes
without prefixes; no comments, and no declarations of namespaces. A record is split at its `<`, and every piece must be a
tag and its text, and nothing else. Whatever else a record is, or has wrong with it, is for `xml_records`, which gives the
same values for plain ones.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from feedd.formats.xml_markup import declarations
from feedd.model import Layout

XHTML = "http://www.w3.org/1999/xhtml"
_DEEPEST = 100  # far from what libxml2 refuses for its depth
_MOST_BYTES = 1024 * 1024  # or for its size
_MOST_KEPT, _LONGEST_KEPT = 1024, 256
MOST_FORMS = 8  # with the same number of tags
_LONGEST_FORM, _MOST_ENDS = 4096, 512
MET_BEFORE = 20  # records, before an expression is made for them
MOST_MET = 500
_MISSES, _SELDOM = (
    5_000,
    64,
)  # after so many records of no known form, only some are looked at: these need not have one
_NONCHARACTERS = re.compile(b"\xef\xbf[\xbe\xbf]").search
_MOST_CONTEXTS = 4
_NO_END = ("<", "")

_NAME = r"(?:[A-Za-z_][A-Za-z0-9_.\-]*+:)?+[A-Za-z_][A-Za-z0-9_.\-]*+"
_ATTRIBUTE = r"[ \t\n]++([A-Za-z_][A-Za-z0-9_.\-]*+)=\"([^\"\t\n]*+)\""
_tag = re.compile(rf"({_NAME})((?:{_ATTRIBUTE.replace('(', '(?:')})*+)[ \t\n]*+(/?)").fullmatch
_attributes = re.compile(_ATTRIBUTE).findall
_end_tag = re.compile(rf"/({_NAME})[ \t\n]*+>[ \t\n]*+").fullmatch
_CDATA, _CDATA_END = "![CDATA[", "]]>"

_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\r"))
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_number = re.compile(r"#(?:([0-9]{1,7})|x([0-9a-fA-F]{1,6}))").fullmatch


class _NotPlain(Exception):
    """A record is something else, or broken."""


def plain_of(context: bytes, layout: Layout) -> "Plain":
    """What decodes the plain ones of the records under a start tag, with what it has learned of them before."""
    namespaces = tuple(layout.namespaces.items())
    return _plain_of(context, namespaces, layout.max_depth, layout.max_record_nodes)


@lru_cache(_MOST_CONTEXTS)
def _plain_of(
    context: bytes, namespaces: tuple[tuple[str, str], ...], max_depth: int, max_nodes: int
) -> "Plain":
    return Plain(
        context,
        Layout(namespaces=dict(namespaces), max_depth=max_depth, max_record_nodes=max_nodes),
    )


class Plain:
    """Decodes the plain ones of the records under a start tag."""

    def __init__(self, context: bytes, layout: Layout) -> None:
        scope = declarations(context)
        keys = _Keys(scope, layout)
        self._starts, self._ends = _Starts(keys), _Ends(keys)
        self._max_depth = min(layout.max_depth, _DEEPEST)
        self.forms = _Forms(self._starts, self._ends, self._max_depth)
        self._most_bytes = min(_MOST_BYTES, layout.max_record_nodes)
        if XHTML in scope.values():
            self._most_bytes = 0

    def records(self, raws: Sequence[bytes]) -> list[dict[str, Any] | None]:
        """The object of each record, as `xml_records` would give it; None for one that is not plain."""
        if not _have_no_controls(raws):
            return list(map(self.record, raws))
        return [self._usual(raw) if len(raw) <= self._most_bytes else None for raw in raws]

    def record(self, raw: bytes) -> dict[str, Any] | None:
        """The object of one record; None if it is not plain."""
        if len(raw) > self._most_bytes or len(raw.translate(None, _CONTROLS)) < len(raw):
            return None
        return self._usual(raw)

    def _usual(self, raw: bytes) -> dict[str, Any] | None:
        """The object of a record without control characters."""
        try:
            formed = self.forms.read(raw)
            if formed is not None:
                return formed
            text = raw.decode()
            if "\r" in text:
                text = text.replace("\r\n", "\n").replace("\r", "\n")
            if "\ufffe" in text or "\uffff" in text:
                return None
            return self._record(text)
        except (UnicodeDecodeError, _NotPlain, IndexError):  # the last: it ends too early
            return None

    def _record(self, text: str) -> dict[str, Any]:
        before, first, *pieces = text.split("<")
        pieces.append("")  # so that there is one behind every tag
        tag, bracket, blank = first.partition(">")
        start = self._starts[tag]
        value = start.attributes.copy()
        end, sections = self._children(pieces, 0, value, 1)
        if self._ends[pieces[end]][0] != start.name or end + 2 != len(pieces):
            raise _NotPlain
        if before or not bracket or start.is_empty or not end or not text.endswith(">"):
            raise _NotPlain
        if "]" in text and text.count(_CDATA_END) != sections:  # it may stand nowhere else
            raise _NotPlain
        _expect_blank(blank)
        return value

    def _children(
        self, pieces: list[str], at: int, value: dict[str, Any], depth: int
    ) -> tuple[int, int]:
        """Put the elements from `pieces[at]` on under their names; gives the index of what is none, and how many CDATA
        sections were met."""
        end_of = self._ends.get
        sections = 0
        while True:
            tag, bracket, inner = pieces[at].partition(">")
            name, key = end_of(pieces[at + 1]) or self._ends[pieces[at + 1]]
            if tag == name and bracket:  # most elements are plain leaves
                if "&" in inner:
                    inner = _resolved(inner)
                at += 2
            elif tag[:1] == "/":
                return at, sections
            elif bracket:
                key, inner, at, more = self._element(pieces, at, self._starts[tag], inner, depth)
                sections += more
            else:
                raise _NotPlain
            if key not in value:
                value[key] = inner
            elif type(value[key]) is list:
                value[key].append(inner)
            else:
                value[key] = [value[key], inner]

    def _element(
        self, pieces: list[str], at: int, start: "_Start", text: str, depth: int
    ) -> tuple[str, Any, int, int]:
        """An element that is no plain leaf, by its start tag and the text behind that, which are in `pieces[at]`: its name
        and value, the index behind it, and how many CDATA sections were met."""
        value = start.attributes.copy()
        at += 1
        sections = 0
        if start.is_empty:
            _expect_blank(text)
            return start.key, value or "", at, 0
        if "&" in text:
            text = _resolved(text)
        while pieces[at].startswith(_CDATA):
            content, at = _section(pieces, at)
            text += content
            sections += 1
        if not sections and self._ends[pieces[at]][0] != start.name:
            _expect_blank(text)
            text = ""
            if depth >= self._max_depth:
                raise _NotPlain
            at, sections = self._children(pieces, at, value, depth + 1)
        if self._ends[pieces[at]][0] != start.name:
            raise _NotPlain
        at += 1
        if not value:
            return start.key, text, at, sections
        if depth >= self._max_depth:
            raise _NotPlain
        if text and not text.isspace():
            value["#text"] = text
        return start.key, value, at, sections


class _Start(NamedTuple):
    """A start tag: the name in it, what its element is called, its attributes, and whether it is that of an empty element."""

    name: str
    key: str
    attributes: dict[str, Any]
    is_empty: bool


_NOTHING = _Start("", "", {}, is_empty=False)


class _Keys:
    """What elements are called, by their names in the document."""

    def __init__(self, scope: dict[str, str], layout: Layout) -> None:
        self._scope = scope
        self._canonical = {uri: prefix for prefix, uri in layout.namespaces.items()}

    def key(self, name: str) -> str:
        """What an element is called. Raises _NotPlain for a prefix that is not declared."""
        prefix, _, local = name.rpartition(":")
        if prefix and prefix not in self._scope:
            raise _NotPlain
        uri = self._scope.get(prefix, "")
        canonical = self._canonical.get(uri, prefix) if uri else ""
        return f"{canonical}:{local}" if canonical else local


class _Starts(dict[str, _Start]):
    """What is known of start tags, by what stands between their brackets."""

    def __init__(self, keys: _Keys) -> None:
        super().__init__()
        self._keys = keys

    def __missing__(self, tag: str) -> _Start:
        found = _tag(tag)
        if found is None:
            raise _NotPlain
        attributes = _attributes(found[2])
        values = {f"@{name}": _resolved(content) for name, content in attributes}
        if len(values) < len(attributes) or "@xmlns" in values:
            raise _NotPlain
        start = _Start(found[1], self._keys.key(found[1]), values, bool(found[3]))
        if len(self) < _MOST_KEPT and len(tag) < _LONGEST_KEPT:
            self[tag] = start
        return start


class _Ends(dict[str, tuple[str, str]]):
    """Of which element a piece of a record is the end tag, with white space behind it, and what that element is called."""

    def __init__(self, keys: _Keys) -> None:
        super().__init__()
        self._keys = keys

    def __missing__(self, piece: str) -> tuple[str, str]:
        found = _end_tag(piece) if piece[:1] == "/" else None
        if not found:
            return _NO_END
        end = found[1], self._keys.key(found[1])
        if len(self) < _MOST_KEPT and len(piece) < _LONGEST_KEPT:
            self[piece] = end
        return end


class _Node(NamedTuple):
    """An element with elements in it: what these are called, and at which places of the form their values are.

    Its own value is put at the place of the white space before its end. `are_first`: the values of its elements are the
    first ones of the form. `repeated` are the names that come more than once, with their numbers among the elements.
    """

    place: int
    attributes: dict[str, Any]
    keys: tuple[str, ...]
    inner: Callable[[Sequence[Any]], Sequence[Any]]
    are_first: bool
    repeated: list[tuple[str, list[int]]]


class _Form(NamedTuple):
    """What records have in common that have the same tags, and nothing but text in their leaves.

    `texts` matches such a record; its groups are all texts before an end tag. `nodes` are the elements with elements in
    them, in the order of their ends, the record itself last.
    """

    texts: Callable[[bytes], re.Match[bytes] | None]
    nodes: list[_Node]

    def value(self, texts: Sequence[bytes], *, has_references: bool) -> dict[str, Any]:
        """The object of a record with these texts."""
        values: list[Any] = list(map(bytes.decode, texts))
        if has_references:
            values = [_resolved(value) if "&" in value else value for value in values]
        made: dict[str, Any] = {}
        for place, attributes, keys, inner_of, are_first, repeated in self.nodes:
            inner = values if are_first else inner_of(values)
            made = dict(zip(keys, inner, strict=False))
            for key, numbers in repeated:
                made[key] = [inner[number] for number in numbers]
            values[place] = made = attributes | made if attributes else made
        return made


class _Forms:
    """The forms of records that were met often enough: one expression then cuts a record in a fraction of the time.

    A record is known by its tags. It is cut at each `</`; of each piece the last `>` ends a tag, and what stands behind it is
    text. Forms are looked for by their number of tags.
    """

    def __init__(self, starts: _Starts, ends: _Ends, max_depth: int) -> None:
        self._starts = starts
        self._ends = ends
        self._max_depth = max_depth
        self.known: dict[int, list[_Form]] = {}
        self.met: dict[tuple[bytes, ...], int] = {}
        self.misses = 0

    def read(self, raw: bytes) -> dict[str, Any] | None:
        """The object of a record of a known form; None for any other."""
        for form in self.known.get(raw.count(b"<"), ()):
            found = form.texts(raw)
            if found is not None:
                if b"\r" in raw or (b"]" in raw and b"]]>" in raw):
                    return None
                if b"\xef" in raw and _NONCHARACTERS(raw):
                    return None
                return form.value(found.groups(), has_references=b"&" in raw)
        self.misses += 1
        if self.misses < _MISSES or self.misses % _SELDOM == 0:
            self._meet(raw)
        return None

    def _meet(self, raw: bytes) -> None:
        """Remember that there was a record with these tags; know its form if there were enough of them."""
        if b"<!" in raw or raw.count(b"</") > _MOST_ENDS:  # no form, whatever it is
            return
        heads = tuple(piece.rpartition(b">")[0] for piece in raw.split(b"</"))
        met = self.met.get(heads, 0) + 1
        if met < MET_BEFORE:
            if len(self.met) >= MOST_MET:
                self.met.clear()
            if sum(map(len, heads)) < _LONGEST_FORM:
                self.met[heads] = met
            return
        self.met.pop(heads, None)  # another thread may have been here since
        some = self.known.setdefault(raw.count(b"<"), [])
        if len(some) < MOST_FORMS:
            with suppress(
                _NotPlain, UnicodeDecodeError, IndexError
            ):  # the last: more ends than starts
                some.append(self._form([head.decode() for head in heads]))

    def _form(self, heads: list[str]) -> _Form:
        nodes: list[_Node] = []
        opened = [_Opened(_NOTHING, [], [])]
        for place, head in enumerate(heads):
            end, *tags = head.split("<")
            if place:
                element = opened.pop()
                if self._ends["/" + end + ("" if tags else ">")][0] != element.start.name:
                    raise _NotPlain
                if element.keys:
                    nodes.append(_node(place - 1, element))
                elif element.start.attributes:
                    raise _NotPlain
                opened[-1].keys.append(element.start.key)
                opened[-1].places.append(place - 1)
                if len(opened) == 1 and place < len(heads) - 1:  # something follows the record
                    raise _NotPlain
            elif end or len(tags) < 2:
                raise _NotPlain
            for number, tag in enumerate(tags, 1):
                start = self._starts[tag if number == len(tags) else _tag_alone(tag)]
                if start.is_empty or len(opened) >= self._max_depth:
                    raise _NotPlain
                opened.append(_Opened(start, [], []))
        if len(opened) != 1 or not nodes:
            raise _NotPlain
        return _Form(re.compile(_expression(heads).encode()).fullmatch, nodes)


class _Opened(NamedTuple):
    """An element whose end was not met yet, and the elements in it."""

    start: _Start
    keys: list[str]
    places: list[int]


def _node(place: int, element: _Opened) -> _Node:
    keys, places = element.keys, element.places
    numbers: dict[str, list[int]] = {}
    for number, key in enumerate(keys):
        numbers.setdefault(key, []).append(number)
    return _Node(
        place,
        element.start.attributes,
        tuple(keys),
        itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1)),
        places == list(range(len(places))),
        [(key, found) for key, found in numbers.items() if len(found) > 1],
    )


def _expression(heads: list[str]) -> str:
    """The expression for records that are cut into pieces which begin so."""
    parts: list[str] = []
    for head in heads[:-1]:  # one without a start tag is followed by the end of what is around it
        parts += re.escape(head), r">([^<]*+)</" if "<" in head else r">([ \t\n]*+)</"
    return "".join(parts) + re.escape(heads[-1]) + ">"


def _tag_alone(piece: str) -> str:
    """The tag in a piece that has nothing but white space behind it."""
    tag, bracket, blank = piece.partition(">")
    _expect_blank(blank)
    if not bracket:
        raise _NotPlain
    return tag


def _have_no_controls(raws: Sequence[bytes]) -> bool:
    """Whether there are no control characters in any of some records; at once, which takes a quarter of the time."""
    found = np.frombuffer(b"".join(raws), dtype=np.uint8)
    allowed = sum(int(np.count_nonzero(found == code)) for code in b"\t\n\r")
    return int(np.count_nonzero(found < 0x20)) == allowed


def _section(pieces: list[str], at: int) -> tuple[str, int]:
    """The content of a CDATA section with the text behind it, and the index of the piece behind that."""
    content, end_mark, text = pieces[at][len(_CDATA) :].partition(_CDATA_END)
    at += 1
    if not end_mark:
        parts = [content]
        while not end_mark:
            content, end_mark, text = pieces[at].partition(_CDATA_END)
            parts.append(content)
            at += 1
        content = "<".join(parts)
    return content + _resolved(text) if text else content, at


def _expect_blank(text: str) -> None:
    if text and not text.isspace():
        raise _NotPlain


def _resolved(text: str) -> str:
    """Text without references: the five entities, and numbers of characters that XML allows."""
    if "&" not in text:
        return text
    others = text
    if "t;" in text:
        others = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    found = others.replace("&amp;", "&")
    if len(others) - len(found) == 4 * others.count("&"):  # that was all, as in most texts
        return found
    first, *rest = text.split("&")
    parts = [first]
    for part in rest:
        name, semicolon, behind = part.partition(";")
        parts += (_ENTITIES.get(name) or _character(name), behind)
        if not semicolon:
            raise _NotPlain
    return "".join(parts)


def _character(name: str) -> str:
    found = _number(name)
    if found is None:
        raise _NotPlain
    code = int(found[1]) if found[1] else int(found[2], 16)
    if not (
        code in (0x9, 0xA, 0xD)
        or 0x20 <= code <= 0xD7FF
        or 0xE000 <= code <= 0xFFFD
        or 0x10000 <= code <= 0x10FFFF
    ):
        raise _NotPlain
    return chr(code)

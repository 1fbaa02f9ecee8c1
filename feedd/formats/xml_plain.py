"""Decodes the plain ones of raw XML records without building a tree: several times quicker. Pure.

Plain is what most feeds are made of: elements with text, or one CDATA section after the other, or elements in them; attributes
without prefixes; no comments, and no declarations of namespaces. A record is split at its `<`, and every piece must be a
tag and its text, and nothing else. Whatever else a record is, or has wrong with it, is for `xml_records`, which gives the
same values for plain ones.
"""

import re
from typing import Any

from feedd.formats.xml_markup import declarations
from feedd.model import Layout

XHTML = "http://www.w3.org/1999/xhtml"
_DEEPEST = 100  # far from what libxml2 refuses for its depth
_MOST_BYTES = 1024 * 1024  # or for its size
_MOST_KEPT, _LONGEST_KEPT = 1024, 256
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


class Plain:
    """Decodes the plain ones of the records under a start tag."""

    def __init__(self, context: bytes, layout: Layout) -> None:
        scope = declarations(context)
        self._ended = _Ended(scope, layout)
        self._max_depth = min(layout.max_depth, _DEEPEST)
        self._most_bytes = min(_MOST_BYTES, layout.max_record_nodes)
        if XHTML in scope.values():
            self._most_bytes = 0

    def record(self, raw: bytes) -> dict[str, Any] | None:
        """The object of a record, as `xml_records` would give it; None for one that is not plain."""
        if len(raw) > self._most_bytes or len(raw.translate(None, _CONTROLS)) < len(raw):
            return None
        try:
            text = raw.decode()
            if "\r" in text:
                text = text.replace("\r\n", "\n").replace("\r", "\n")
            if "\ufffe" in text or "\uffff" in text:
                return None
            return self._record(text)
        except (UnicodeDecodeError, _NotPlain, IndexError):  # the last: it ends too early
            return None

    def _record(self, text: str) -> dict[str, Any]:
        before, start, *pieces = text.split("<")
        pieces.append("")  # so that there is one behind every tag
        value: dict[str, Any] = {}
        name = self._ended[f"/{start}"][0]  # most have no attributes
        if name is _NO_END[0]:
            tag, bracket, blank = start.partition(">")
            name, is_empty = self._opened(tag, value)
            if is_empty or not bracket:
                raise _NotPlain
            _expect_blank(blank)
        end, sections = self._children(pieces, 0, value, 1)
        if self._ended[pieces[end]][0] != name or end + 2 != len(pieces) or before or not end:
            raise _NotPlain
        if not text.endswith(">"):
            raise _NotPlain
        if "]" in text and text.count(_CDATA_END) != sections:  # it may stand nowhere else
            raise _NotPlain
        return value

    def _children(
        self, pieces: list[str], at: int, value: dict[str, Any], depth: int
    ) -> tuple[int, int]:
        """Put the elements from `pieces[at]` on under their names; gives the index of what is none, and how many CDATA
        sections were met."""
        ended = self._ended
        sections = 0
        while True:
            tag, bracket, inner = pieces[at].partition(">")
            name, key = ended[pieces[at + 1]]
            if tag == name and bracket:  # most elements are plain leaves
                if "&" in inner:
                    inner = _resolved(inner)
                at += 2
            elif tag[:1] == "/":
                return at, sections
            else:
                key, inner, at, more = self._element(pieces, at, depth + 1)
                sections += more
            if key not in value:
                value[key] = inner
            elif type(value[key]) is list:
                value[key].append(inner)
            else:
                value[key] = [value[key], inner]

    def _element(self, pieces: list[str], at: int, depth: int) -> tuple[str, Any, int, int]:
        """The element that begins at `pieces[at]`: its name and value, the index behind it, its CDATA sections."""
        tag, bracket, text = pieces[at].partition(">")
        value: dict[str, Any] = {}
        name, is_empty = self._opened(tag, value)
        key = self._ended.key(name)
        if not bracket or depth > self._max_depth:
            raise _NotPlain
        if is_empty:
            _expect_blank(text)
            return key, value or "", at + 1, 0
        at += 1
        sections = 0
        text = _resolved(text)
        while pieces[at].startswith(_CDATA):
            content, at = _section(pieces, at)
            text += content
            sections += 1
        if not sections and self._ended[pieces[at]][0] != name:
            _expect_blank(text)
            text = ""
            at, sections = self._children(pieces, at, value, depth)
        if self._ended[pieces[at]][0] != name:
            raise _NotPlain
        if not value:
            return key, text, at + 1, sections
        if text and not text.isspace():
            value["#text"] = text
        return key, value, at + 1, sections

    def _opened(self, tag: str, value: dict[str, Any]) -> tuple[str, bool]:
        """The name in a start tag, and whether it is an empty element's; its attributes are put into `value`."""
        found = _tag(tag)
        if found is None:
            raise _NotPlain
        self._ended.key(found[1])
        attributes = _attributes(found[2])
        for name, content in attributes:
            value[f"@{name}"] = _resolved(content)
        if len(value) < len(attributes) or "@xmlns" in value:
            raise _NotPlain
        return found[1], bool(found[3])


class _Ended(dict[str, tuple[str, str]]):
    """Of which element a piece of a record is the end tag, with white space behind it, and what that element is called."""

    def __init__(self, scope: dict[str, str], layout: Layout) -> None:
        super().__init__({"": _NO_END})
        self._scope = scope
        self._canonical = {uri: prefix for prefix, uri in layout.namespaces.items()}

    def __missing__(self, piece: str) -> tuple[str, str]:
        found = _end_tag(piece)
        if not found:
            return _NO_END
        ended = found[1], self.key(found[1])
        if len(self) < _MOST_KEPT and len(piece) < _LONGEST_KEPT:
            self[piece] = ended
        return ended

    def key(self, name: str) -> str:
        """What an element is called, by its name in the document."""
        prefix, _, local = name.rpartition(":")
        if prefix and prefix not in self._scope:
            raise _NotPlain
        uri = self._scope.get(prefix, "")
        canonical = self._canonical.get(uri, prefix) if uri else ""
        return f"{canonical}:{local}" if canonical else local


def _section(pieces: list[str], at: int) -> tuple[str, int]:
    """The content of a CDATA section with the text behind it, and the index of the piece behind that."""
    end = at
    while _CDATA_END not in pieces[end]:
        end += 1
    content, _, text = "<".join(pieces[at : end + 1])[len(_CDATA) :].partition(_CDATA_END)
    return content + _resolved(text), end + 1


def _expect_blank(text: str) -> None:
    if text and not text.isspace():
        raise _NotPlain


def _resolved(text: str) -> str:
    """Text without references: the five entities, and numbers of characters that XML allows."""
    if "&" not in text:
        return text
    if text.count("&") == text.count("&amp;"):  # the one that most texts have
        return text.replace("&amp;", "&")
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

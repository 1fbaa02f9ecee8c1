"""A small JSON or XML document as one plain value, however it is nested. Pure.

XML becomes what `xmltodict` makes of it, since that is how templates address it: the root stands under its name, an
element is its text if that is all it has and otherwise an object, with attributes as `@name`, children by their names
(a list where a name comes more than once), and text beside them as `#text`. Names keep the prefix that the document
writes. The entries of RSS and Atom (`item` in `channel`, `entry` in `feed`) are a list also where there is but one,
so that a loop over them is right.

expat reads it: no network, no tree but ours, a DOCTYPE is refused before anything in it counts.
"""

import io
import re
from typing import Any
from xml.parsers import expat

import msgspec

from feedd.errors import FormatError
from feedd.formats.json_syntax import STRING
from feedd.formats.recognize import recognize, refuse_other, refuse_page
from feedd.formats.text import SPACE, Text, excerpt

MAX_DEPTH = 64
MAX_VALUES = 200_000

_check_grammar = msgspec.json.Decoder(msgspec.Raw).decode
_STRING = re.compile(STRING, re.DOTALL)
_LISTS = {"channel": "item", "rdf:RDF": "item", "feed": "entry"}


def read_whole(
    body: bytes,
    *,
    form: str | None = None,
    content_type: str | None = None,
    charset: str | None = None,
    encoding: str | None = None,
) -> tuple[str, Any]:
    """The format (`json` or `xml`) and the value of a document.

    `form` is what a person says that it is, `content_type` and `charset` what the server does, `encoding` again a person.
    Numbers keep their digits as far as a double does; whole ones keep all. Objects keep their order.

    Raises:
        FormatError: it is neither, not well-formed, too deep (`too_deep`), or holds too much (`too_many_values`).
    """
    if form is None:
        form = recognize(
            body[: 64 * 1024], content_type=content_type, name_hint=None, encoding=encoding
        )
    text = Text(io.BytesIO(body), charset, configured=encoding)
    refuse_other(text.head)
    refuse_page(text.head)
    data = b"".join(iter(text.read, b""))
    if form == "xml":
        return "xml", _read_xml(data.lstrip(SPACE))
    if form == "jsonl":
        raise FormatError(
            "unknown_format",
            "the body is JSON Lines, and a web feed is one document",
            hint="Publish one JSON array or object, or register it as a feed: [feeds.NAME].",
        )
    return "json", _read_json(data)


def is_empty(value: Any) -> bool:
    """Whether a document says nothing: `{}`, `[]`, or in XML a root without anything in it."""
    return value in ({}, []) or (isinstance(value, dict) and list(value.values()) == [""])


def _read_json(data: bytes) -> Any:
    try:
        # first, for only in well-formed JSON each quotation mark has its other one, and they are found in one go
        _check_grammar(data)
        plain = _STRING.sub(b"", data)
        if plain.count(b",") + plain.count(b"[") + plain.count(b"{") > MAX_VALUES:
            raise _too_many()
        if _depth(plain) > MAX_DEPTH:
            raise _too_deep()
        value = msgspec.json.decode(data)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError(
            "not_well_formed",
            f"the body is not well-formed JSON: {error}; it starts with {excerpt(data)!r}",
            hint="Look at what produces it; a JSON validator shows the place.",
        ) from error
    if not isinstance(value, dict | list):
        raise FormatError(
            "unknown_format",
            f"the body is the JSON value {excerpt(data)!r}, and not an object or a list",
            hint="Look at what produces it.",
        )
    return value


def _depth(plain: bytes) -> int:
    """How deep well-formed JSON without its strings is nested."""
    depth = deepest = 0
    for bracket in re.findall(rb"[\[\]{}]", plain):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


class _Element:
    __slots__ = ("children", "name", "texts")

    def __init__(self, name: str) -> None:
        self.name = name
        self.children: dict[str, Any] = {}
        self.texts: list[str] = []

    def add(self, name: str, value: Any) -> None:
        known = self.children.get(name)
        if known is None:
            self.children[name] = [value] if _LISTS.get(self.name) == name else value
        elif type(known) is list:
            known.append(value)
        else:
            self.children[name] = [known, value]

    def value(self) -> Any:
        text = "".join(self.texts).strip()
        if not self.children:
            return text
        if text:
            self.children["#text"] = text
        return self.children


class _Tree:
    """What expat tells, as values."""

    def __init__(self) -> None:
        self.open = [_Element("")]
        self._left = MAX_VALUES

    def start(self, name: str, attributes: list[str]) -> None:
        if len(self.open) > MAX_DEPTH:
            raise _too_deep()
        self._left -= 1 + len(attributes) // 2
        if self._left < 0:
            raise _too_many()
        element = _Element(name)
        for at in range(0, len(attributes), 2):
            element.children[f"@{attributes[at]}"] = attributes[at + 1]
        self.open.append(element)

    def end(self, _name: str) -> None:
        element = self.open.pop()
        self.open[-1].add(element.name, element.value())

    def text(self, text: str) -> None:
        self.open[-1].texts.append(text)


def _read_xml(data: bytes) -> dict[str, Any]:
    tree = _Tree()
    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True
    parser.ordered_attributes = True
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        at = max(0, min(parser.ErrorByteIndex, len(data) - 1))
        raise FormatError(
            "not_well_formed",
            f"the body is not well-formed XML: {expat.ErrorString(error.code)} in line {error.lineno}, "
            f"column {error.offset + 1}, at {excerpt(data[at : at + 200], 40)!r}",
            hint="Have it checked with an XML validator.",
        ) from error
    return tree.open[0].children


def _refuse_doctype(*_declared: object) -> None:
    raise FormatError(
        "doctype_forbidden",
        "the body has a DOCTYPE",
        hint="A web feed needs none; publish it without.",
    )


def _too_deep() -> FormatError:
    return FormatError(
        "too_deep",
        f"the body is nested more than {MAX_DEPTH} levels deep",
        hint="Publish it flatter.",
    )


def _too_many() -> FormatError:
    return FormatError(
        "too_many_values",
        f"the body holds more than {MAX_VALUES:,} values",
        hint="Publish less in it: a mail shows some dozens.",
    )

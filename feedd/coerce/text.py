"""Coercions to text: one line, many lines, ids, lists of strings and category paths. Pure."""

import re
from collections.abc import Sequence
from html import unescape
from html.entities import html5
from typing import Any

from feedd.coerce.markup import has_markup, readable, without_markup
from feedd.coerce.outcome import Note, Noted, Refused, holds_nothing, scalar_text

MAX_ID_LENGTH = 255
_MAX_UNESCAPES = 8
_MAX_READINGS = 4

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_ASCII_CONTROL = bytes(code for code in (*range(32), 127) if code not in b"\t\n\r")
_UNCLEAN = _ASCII_CONTROL + b"\r"
_SURROGATE = re.compile("[\ud800-\udfff]")
_REFERENCE = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_SEPARATED = re.compile("[>›»]")
_BAR = re.compile(r"(?<=\s)\|(?=\s)")
_PATH_SEPARATOR = re.compile(r"\s*[>›»]\s*")

NOT_TEXT = Refused("not_text", "Write plain text here, not a nested structure.")
_NOT_TEXT_OR_HTML = Refused(
    "not_text", "Write text here, not a nested structure; in XML, escape HTML or put it in CDATA."
)
_NO_TEXT = Note(
    "no_text",
    "This HTML holds no text; is all of it in images, or was it cut off inside its style sheet?",
)
_ID_NOT_TEXT = Refused(
    "id_not_text",
    "Write the id as text or as a whole number; a number with a decimal point, true/false or a nested structure "
    "cannot identify an item.",
)
_ID_EMPTY = Refused("id_empty", "Give every item an id that is not blank.")
_ID_TOO_LONG = Refused("id_too_long", f"Shorten the id to at most {MAX_ID_LENGTH} characters.")
_ID_CONTROL = Refused(
    "id_control_characters", "Remove the line breaks or invisible characters inside the id."
)


def clean(value: str) -> str:
    """The same text without control characters; a lone surrogate, which UTF-8 cannot write, becomes U+FFFD."""
    if value.isprintable():
        return value
    if value.isascii():
        return value.encode().translate(None, _ASCII_CONTROL).decode()
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", _CONTROL.sub("", value))


def _character(match: re.Match[str]) -> str:
    reference = match[0]
    if reference[1] == "#":
        return unescape(reference)
    # Only names that end in a semicolon: html.unescape would also read `&notes;` as `¬es;`.
    return html5.get(reference[1:], reference)


def unescaped(value: str, *, keep_markup: bool) -> str:
    """Text without the HTML character references that were escaped once too often.

    References are resolved until none is left, so that doing it twice changes nothing. With `keep_markup` the
    resolving stops where markup appears, because there the references belong to the markup.
    """
    current = value
    for _ in range(_MAX_UNESCAPES):
        if "&" not in current or (keep_markup and has_markup(current)):
            return current
        resolved = clean(_REFERENCE.sub(_character, current))
        if resolved == current:
            return current
        current = resolved
    return value


def line(value: Any) -> Any:
    """One line of text: references resolved, white space collapsed, control characters removed."""
    found = value if type(value) is str else scalar_text(value)
    if found is None:
        return None if holds_nothing(value) else NOT_TEXT
    if not found.isprintable() or _holds_references(found):
        found = unescaped(clean(found), keep_markup=False)
    elif "  " not in found:  # the space is the only white space that can be printed
        return found.strip() or None
    return " ".join(found.split()) or None


def are_plain_lines(values: Sequence[Any]) -> bool:
    """Whether `line` makes of each of the values just that: told by one look at all of them."""
    try:
        joined = " ".join(values)
    except TypeError:  # one is no text
        return False
    # one that is empty, or begins or ends in a space, makes two of them that follow each other, or one at an end
    return (
        "  " not in joined
        and joined.isprintable()
        and ("&" not in joined or not _holds_references(joined))
        and joined[:1] != " "
        and joined[-1:] != " "
        and (joined != "" or not values)
    )


def text(value: Any) -> Any:
    """Text of any length, line breaks as LF, ends trimmed; of HTML the text that a reader would see, and the HTML."""
    found = value if type(value) is str else scalar_text(value)
    if found is None:
        return None if holds_nothing(value) else _NOT_TEXT_OR_HTML
    is_clean = _is_clean(found)
    if not is_clean:
        found = clean(found)
    if _holds_references(found):
        found = unescaped(found, keep_markup=True)
        is_clean = False
    if not is_clean:
        found = _unix_lines(clean(found))
    if "<" not in found or not has_markup(found):
        return found.strip() or None
    seen = _read(found) or None
    return Noted(seen, () if seen else (_NO_TEXT,), html=found.strip())


def _holds_references(value: str) -> bool:
    """Whether a text holds character references: `M&S` and `5 & 6; 7` hold none."""
    return "&" in value and ";" in value and _REFERENCE.search(value) is not None


def _is_clean(value: str) -> bool:
    """Whether there are neither control characters in a text, apart from tabs and line feeds, nor lone surrogates."""
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        return False
    return len(encoded.translate(None, _UNCLEAN)) == len(encoded)


def _unix_lines(value: str) -> str:
    return value.replace("\r\n", "\n").replace("\r", "\n")


def _read(html: str) -> str:
    """The text of HTML, and of what was escaped in it once too often."""
    found = html
    for _ in range(_MAX_READINGS):
        found = _unix_lines(unescaped(clean(readable(found)), keep_markup=True))
        if not has_markup(found):
            return found.strip()
    return without_markup(_REFERENCE.sub(" ", found)).strip()


def item_id(value: Any) -> Any:
    """An id: text stripped, JSON integers in decimal; everything else is refused. Case and Unicode form are kept."""
    if type(value) is int:
        if value.bit_length() > 4 * MAX_ID_LENGTH:
            return _ID_TOO_LONG
        found = str(value)
    else:
        raw = scalar_text(value) if type(value) is dict else value
        if type(raw) is not str:
            return _ID_EMPTY if value == [] or holds_nothing(value) else _ID_NOT_TEXT
        found = raw.strip()
    if not found:
        return _ID_EMPTY
    if len(found) > MAX_ID_LENGTH:
        return _ID_TOO_LONG
    if found.isprintable():
        return found
    return (
        _ID_CONTROL
        if clean(found) != found or len(found.splitlines()) > 1 or "\t" in found
        else found
    )


def strings(value: Any) -> Any:
    """A list of strings: a list as it is, or one text with commas between its parts."""
    if type(value) is list:
        return _each(value)
    found = line(value)
    return _each(found.split(",")) if type(found) is str else found


def category_path(value: Any) -> Any:
    """A list of category paths, each `A > B > C`. A list of objects gives their `name` or `title`."""
    if type(value) is not list:
        found = line(_named(value))
        return _paths([found]) if type(found) is str else found
    found = _each(value)
    if type(found) is Noted:
        return Noted(_paths(found.value), found.notes)
    return _paths(found)


def category_bars(value: Any) -> Any:
    """As `category_path`, of texts in which ` | ` separates too: `Shoes | Women`."""
    if type(value) is list:
        return category_path([_barred(each) for each in value])
    return category_path(_barred(value))


def _barred(value: Any) -> Any:
    return _BAR.sub(">", value) if type(value) is str else value


def _paths(names: list[str] | None) -> list[str] | None:
    if not names:
        return None
    together = "".join(names)
    if ">" not in together and "›" not in together and "»" not in together:
        return names
    return list(dict.fromkeys(path for name in names if (path := _path(name)))) or None


def _path(name: str) -> str:
    if _SEPARATED.search(name) is None:
        return name
    return " > ".join(filter(None, _PATH_SEPARATOR.split(name)))


def _each(values: list[Any]) -> Any:
    """The distinct lines of a list; elements that are not text are dropped with a note."""
    found: list[str] = []
    notes: list[Note] = []
    for index, value in enumerate(values):
        name = None if value is None else line(value if type(value) is str else _named(value))
        if type(name) is Refused:
            notes.append(Note(name.rule, name.hint, index, value))
        elif name is not None:
            found.append(name)
    distinct = list(dict.fromkeys(found)) or None
    return Noted(distinct, tuple(notes)) if notes else distinct


def _named(value: Any) -> Any:
    if type(value) is dict and "#text" not in value:
        return value.get("name") or value.get("title") or value
    return value

"""Coercions to links. Pure."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urljoin

from feedd.coerce.outcome import Note, Noted, Refused, holds_nothing

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# A whole address of characters that need no closer look: ASCII, and no space, quote, angle bracket or control character.
_USUAL_ADDRESS = r"https?://[!$-.0-;=@-~][!#-;=?-~]*+"
_USUAL = re.compile(_USUAL_ADDRESS).fullmatch
# Some of them, each with a space behind it.
_ALL_USUAL = re.compile(rf"(?:{_USUAL_ADDRESS} )*+").fullmatch
_BREAKS = re.compile("[\x00-\x1f\x7f]")
_AMPERSAND = re.compile("&(?:amp;)+")
_UNSAFE = re.compile(r'[\s"<>\ud800-\udfff]')
# A run of separators is only tried from its start, or a long one would cost its square.
_WITHOUT_SCHEME = re.compile(
    r"www\.", re.IGNORECASE
)  # a whole address without its https://, not a path
_NEXT_LINK = re.compile(r"(?<![\s,;|])[\s,;|]++(?=https?://)")
_LINK_KEYS = ("#text", "@href", "href", "@url", "url", "@src", "src", "contentUrl")

_NOT_A_LINK = Refused(
    "url_not_text", "Write one web address, such as https://shop.example/red-shoe."
)
_SCHEME_REFUSED = Refused("url_scheme", "Write a web address that begins with https:// or http://.")
_NO_HOST = Refused(
    "url_no_host",
    "The web address names no site; write it in full, such as https://shop.example/a.",
)
_RELATIVE = Note(
    "relative_link",
    "Write the whole web address, with https:// and the shop's name; readers of an email cannot follow a short one.",
)


def url(value: Any, base: str | None = None) -> Any:
    """A web address, kept as it is written apart from spaces, quotes and angle brackets, which are percent-encoded.

    A relative address is resolved against the base (RFC 3986, 5.2), and kept with a note if there is none;
    `//cdn.example/a` becomes https; other schemes are refused.
    """
    if type(value) is str and _USUAL(value) and "&amp;" not in value:
        return value
    found = value if type(value) is str else _inside(value)
    if found is None:
        return None if holds_nothing(value) else _NOT_A_LINK
    if not found.isprintable() or "&amp;" in found or found[:1] == " " or found[-1:] == " ":
        found = _AMPERSAND.sub("&", _BREAKS.sub("", found)).strip()
    return _checked(_UNSAFE.sub(_encoded, found), base) if found else None


def are_plain_links(values: Sequence[Any]) -> bool:
    """Whether `url` makes of each of the values just that: told by one look at them, joined."""
    return _joined(values) is not None


def _joined(values: Sequence[Any]) -> str | None:
    """Some values with a space behind each, if they are plain links; else None."""
    try:
        joined = " ".join((*values, ""))
    except TypeError:  # one is no text
        return None
    if _ALL_USUAL(joined) is None or joined.count(" ") != len(values) or "&amp;" in joined:
        return None
    return joined


def urls(value: Any, base: str | None = None) -> Any:
    """A list of web addresses; a text with several is split only before http:// or https://."""
    values = value if type(value) is list else [value]
    joined = _joined(values)
    if joined is not None and joined.count("http") == len(values):  # at their beginnings
        return list(dict.fromkeys(values)) or None
    found: list[str] = []
    notes: list[Note] = []
    for index, given in enumerate(values):
        for each in _NEXT_LINK.split(given.strip()) if type(given) is str else [given]:
            result = None if each is None else url(each, base)
            if type(result) is Refused:
                notes.append(Note(result.rule, result.hint, index, each))
            elif type(result) is Noted:
                found.append(result.value)
                notes += [Note(note.rule, note.hint, index, each) for note in result.notes]
            elif result is not None:
                found.append(result)
    distinct = list(dict.fromkeys(found)) or None
    return Noted(distinct, tuple(notes)) if notes else distinct


def _resolved(base: str, found: str) -> str | None:
    try:
        resolved = urljoin(base, found)
    except ValueError:
        return None
    return resolved if resolved.startswith(("https://", "http://")) else None


def _inside(value: Any) -> str | None:
    """The address in an object or an element; an Atom link of another kind than the page (RFC 4287, 4.2.7.2) is blank."""
    if type(value) is not dict:
        return None
    if value.get("@rel", "alternate") != "alternate":
        return ""
    return next((value[key] for key in _LINK_KEYS if type(value.get(key)) is str), None)


def _encoded(match: re.Match[str]) -> str:
    return quote(match[0], safe="", errors="replace")


def _checked(found: str, base: str | None) -> Any:
    scheme = _SCHEME.match(found)
    if scheme is None:
        if found.startswith("//") and found[2:3].isalnum():
            return "https:" + found
        resolved = None if base is None or _WITHOUT_SCHEME.match(found) else _resolved(base, found)
        return Noted(found, (_RELATIVE,)) if resolved is None else resolved
    if scheme[0].lower() not in ("http:", "https:"):
        return _SCHEME_REFUSED
    rest = found[scheme.end() :]
    return found if rest.startswith("//") and rest[2:3] not in ("", "/", "?", "#") else _NO_HOST

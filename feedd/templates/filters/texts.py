"""Filters of text, under Klaviyo's names. What is missing is the empty text; what is no text is written out first.

A result is escaped when it is shown, unless both the value and what is put to it were safe.
"""

import re
from collections.abc import Callable
from typing import Any

from django.template import Library
from django.utils.safestring import SafeString

from feedd.templates.bounded import check_length, kept, text_of, whole_number
from feedd.templates.filters import built_in

register = Library()

_NOT_AN_ENTITY = re.compile(r"&(?!(?:[A-Za-z][A-Za-z0-9]{1,31}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});)")
_MARKUP = {"<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|(?:mailto|tel|sms|data|cid):", re.IGNORECASE)

# Klaviyo's names for what Django has
for _name, _djangos in {
    "capitalize": "capfirst",
    "downcase": "lower",
    "upcase": "upper",
    "strip_html": "striptags",
    "newline_to_br": "linebreaksbr",
}.items():
    register.filters[_name] = built_in.register.filters[_djangos]


def _text_filter(function: Callable[..., str]) -> Callable[..., str]:
    register.filters[function.__name__] = kept(function, takes_text=True)
    return function


@_text_filter
def append(value: str, arg: Any) -> str:
    """The text with another behind it."""
    more = text_of(arg)
    check_length(len(value) + len(more))
    return value + more


@_text_filter
def prepend(value: str, arg: Any) -> str:
    """The text with another before it."""
    return append(text_of(arg), value)


@_text_filter
def strip(value: str) -> str:
    """The text without spaces and line breaks at its ends."""
    return value.strip()


@_text_filter
def lstrip(value: str) -> str:
    """The text without spaces and line breaks at its start."""
    return value.lstrip()


@_text_filter
def rstrip(value: str) -> str:
    """The text without spaces and line breaks at its end."""
    return value.rstrip()


@_text_filter
def strip_newlines(value: str) -> str:
    """The text without its line breaks."""
    return value.replace("\r", "").replace("\n", "")


@_text_filter
def truncate(value: str, arg: Any = 50) -> str:
    """The first characters, `...` among them where there are more."""
    length = max(whole_number(arg, 50), 0)
    return value if len(value) <= length else value[: max(length - 3, 0)] + "..."


def _replaced(value: str, find: str, new: str, count: int) -> str:
    if not find:
        return value
    found = value.count(find)
    times = found if count < 0 else min(found, count)
    check_length(len(value) + times * (len(new) - len(find)))
    return value.replace(find, new, times)


def _replaced_last(value: str, find: str, new: str) -> str:
    if not find or find not in value:
        return value
    before, _, after = value.rpartition(find)
    check_length(len(value) + len(new))
    return before + new + after


def _pair(arg: Any) -> tuple[str, str]:
    """What to find and what to put there, from `"find|put"`; without a `|` there is nothing to find."""
    find, bar, new = text_of(arg).partition("|")
    return (find, new) if bar else ("", "")


@_text_filter
def find_replace(value: str, arg: Any) -> str:
    """The text with one thing in place of another, wherever it is."""
    return _replaced(value, *_pair(arg), -1)


@_text_filter
def replace_first(value: str, arg: Any) -> str:
    """The text with one thing in place of another where it is first."""
    return _replaced(value, *_pair(arg), 1)


@_text_filter
def replace_last(value: str, arg: Any) -> str:
    """The text with one thing in place of another where it is last."""
    return _replaced_last(value, *_pair(arg))


@_text_filter
def remove(value: str, arg: Any) -> str:
    """The text without another in it."""
    return _replaced(value, text_of(arg), "", -1)


@_text_filter
def remove_first(value: str, arg: Any) -> str:
    """The text without the first of another in it."""
    return _replaced(value, text_of(arg), "", 1)


@_text_filter
def remove_last(value: str, arg: Any) -> str:
    """The text without the last of another in it."""
    return _replaced_last(value, text_of(arg), "")


@_text_filter
def escape_once(value: str) -> str:
    """The text with its markup escaped, and what was escaped before left as it is."""
    escaped = _NOT_AN_ENTITY.sub("&amp;", value)
    for sign, entity in _MARKUP.items():
        escaped = escaped.replace(sign, entity)
    safe: str = SafeString(escaped)
    return safe


@_text_filter
def httpize(value: str) -> str:
    """An address with `http://` before it, unless it has a scheme."""
    address = value.strip()
    if not address or _SCHEME.match(address):
        return address
    return append("http:" if address.startswith("//") else "http://", address)


@_text_filter
def httpsize(value: str) -> str:
    """An address that begins with `https://`, unless it has another scheme than `http`."""
    address = httpize(value)
    return "https" + address[4:] if address[:7].lower() == "http://" else address


@_text_filter
def trim_slash(value: str) -> str:
    """The text without slashes at its end."""
    return value.rstrip("/")

"""Filters that encode, decode and hash text, as UTF-8. What cannot be decoded gives blank."""

import base64
import hashlib
from collections.abc import Callable
from urllib.parse import quote_plus, unquote, unquote_plus

from django.template import Library

from feedd.templates.bounded import kept

register = Library()


def _text_filter(function: Callable[[str], str]) -> Callable[[str], str]:
    register.filters[function.__name__] = kept(function, takes_text=True)
    return function


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # half a surrogate pair cannot be written


def _decoded(text: str, altchars: bytes | None) -> str:
    compact = "".join(text.split()).rstrip("=")
    padded = compact + "=" * (-len(compact) % 4)
    return base64.b64decode(padded, altchars, validate=True).decode("utf-8", "replace")


@_text_filter
def urlencodeplus(value: str) -> str:
    """The text as it stands in a URL's query, spaces as `+`."""
    return quote_plus(_bytes(value))


@_text_filter
def urldecode(value: str) -> str:
    """The text that was encoded for a URL."""
    return unquote(value)


@_text_filter
def urldecodeplus(value: str) -> str:
    """The text that was encoded for a URL's query."""
    return unquote_plus(value)


@_text_filter
def base64_encode(value: str) -> str:
    """The text in Base64."""
    return base64.b64encode(_bytes(value)).decode()


@_text_filter
def base64_decode(value: str) -> str:
    """The text that was encoded in Base64."""
    return _decoded(value, None)


@_text_filter
def base64_url_safe_encode(value: str) -> str:
    """The text in Base64 with `-` and `_` for `+` and `/`."""
    return base64.urlsafe_b64encode(_bytes(value)).decode()


@_text_filter
def base64_url_safe_decode(value: str) -> str:
    """The text that was encoded in Base64 with `-` and `_` for `+` and `/`."""
    return _decoded(value, b"-_")


@_text_filter
def md5_hash(value: str) -> str:
    """The MD5 of the text, in hexadecimal."""
    return hashlib.md5(_bytes(value), usedforsecurity=False).hexdigest()


@_text_filter
def sha_1(value: str) -> str:
    """The SHA-1 of the text, in hexadecimal."""
    return hashlib.sha1(_bytes(value), usedforsecurity=False).hexdigest()


@_text_filter
def sha_256(value: str) -> str:
    """The SHA-256 of the text, in hexadecimal."""
    return hashlib.sha256(_bytes(value)).hexdigest()

"""The few things about XML's surface that cutting records needs: tags, declarations, what to hide from a parser. Pure."""

import codecs
import html
import re
from collections.abc import Mapping

XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"

_TAG = re.compile(rb"<(?:[^<>\"']++|\"[^\"]*\"|'[^']*')*+>")
_ATTRIBUTE = re.compile(r"([^\s=<>/\"']+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_PREFIX = re.compile(r"[^\W\d][\w.\-]*")
_UNUSABLE = re.compile(r"[\x00-\x1f\ufffd-\uffff]")
_HIDDEN = bytes(
    ord("?") if byte == ord("&") or (byte < 0x20 and byte not in b"\t\r\n") else byte
    for byte in range(256)
)


def borders_only(data: bytes, *, is_last: bool) -> tuple[bytes, int]:
    """A copy of some text for a parser that looks for borders, and how many bytes of the text it stands for.

    Bytes that are not UTF-8, control characters and `&` become `?`, one for one: none of them can move a border, so
    what is wrong about them is the affair of the record that they are in. A character that is cut at the end waits.
    """
    if data.isascii():
        return data.translate(_HIDDEN), len(data)
    try:
        _, used = codecs.utf_8_decode(data, "strict", is_last)
        return data[:used].translate(_HIDDEN), used
    except UnicodeDecodeError:
        text, used = codecs.utf_8_decode(data, "surrogateescape", is_last)
    return text.encode("utf-8", "replace").translate(_HIDDEN), used


def end_of_tag(data: bytes, start: int) -> int:
    """The index behind the tag that starts at `data[start]`."""
    found = _TAG.match(data, start)
    return found.end() if found else data.index(b">", start) + 1


def declarations(tag: bytes) -> dict[str, str]:
    """The namespaces that a start tag declares: prefix to URI, the default namespace under `""`."""
    declared = {}
    for name, value in _ATTRIBUTE.findall(tag.decode("utf-8", "replace")):
        kind, _, prefix = name.partition(":")
        uri = html.unescape(value[1:-1])
        if kind != "xmlns" or _UNUSABLE.search(uri):
            continue
        if name == "xmlns" or (uri and prefix != "xml" and _PREFIX.fullmatch(prefix)):
            declared[prefix] = uri
    return declared


def wrapper(scope: Mapping[str, str]) -> bytes:
    """A start tag that puts its content under some namespaces. Equal scopes give equal bytes."""
    parts = [
        f' xmlns{":" if prefix else ""}{prefix}="{html.escape(uri)}"'
        for prefix, uri in sorted(scope.items())
        if uri
    ]
    return f"<_{''.join(parts)}>".encode()


WRAPPER_END = b"</_>"

"""Which format a body is in, told by its first bytes. Pure.

What a server says of a body (its content type, the name in its URL) is often wrong, so the body decides; the rest
only helps where the body could be two things.
"""

import re

import msgspec

from feedd.errors import FormatError
from feedd.formats.text import SPACE, excerpt, head_text

_JSON_LINES_NAMES = re.compile(
    r"ndjson|jsonl(?!d)|json-lines|x-json-stream"
)  # a .jsonld is one document
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7z",
    b"Rar!\x1a\x07": "rar",
}
_PROLOG = re.compile(rb"(?:\s++|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body|script|meta)\b", re.IGNORECASE)
_LOGIN = re.compile(rb"type\s*=\s*[\"']?password|sign[ -]?in|log[ -]?in\b", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^<>]*+>([^<]*+)</title", re.IGNORECASE)
_CSV = re.compile(rb"(?:[^\n<{,;\t|]*+[,;\t|]){2}[^\n<{]*+\n")


def recognize(
    head: bytes,
    *,
    content_type: str | None,
    name_hint: str | None,
    encoding: str | None = None,
) -> str:
    """The name of the format, from the first 64 KB of a body, its content type and the name it had; `encoding` is
    what a person says that it is written in.

    Raises:
        FormatError: (`html_page`, `empty_body`, `unknown_format`, `unknown_encoding`) it is no feed.
    """
    refuse_other(head)
    text = head_text(head, _charset(content_type), encoding).lstrip(SPACE)
    refuse_page(text)
    if text.startswith(b"<"):
        return "xml"
    if text.startswith((b"{", b"[")):
        hints = f"{content_type or ''} {name_hint or ''}".lower()
        hinted = _JSON_LINES_NAMES.search(hints) is not None
        return "jsonl" if text[:1] == b"{" and (hinted or _is_json_lines(text)) else "json"
    raise FormatError(
        "unknown_format",
        f"the body is neither JSON, JSON Lines nor XML; it starts with {excerpt(text)!r}",
        hint="It looks like CSV, which feedd does not read; publish the feed as JSON or XML."
        if _CSV.match(text)
        else "Open the URL in a browser and see what it answers.",
    )


def refuse_other(head: bytes) -> None:
    """Refuse what is certainly no feed, by its bytes.

    Raises:
        FormatError: (`empty_body`, `unknown_format`).
    """
    if not head.strip(SPACE):
        raise FormatError(
            "empty_body",
            "the server answered with an empty body",
            hint="Look at what produces the feed.",
        )
    for magic, name in _COMPRESSED.items():
        if head.startswith(magic):
            raise FormatError(
                "unknown_format",
                f"the body is a {name} file",
                hint="feedd unpacks .gz and .zip files with one feed in them; publish one of these, or the feed itself.",
            )


def refuse_page(text: bytes) -> None:
    """Refuse a web page that came instead of a feed; `text` is its start in UTF-8.

    Raises:
        FormatError: (`html_page`).
    """
    start = _PROLOG.match(text)
    if not _HTML.match(text, start.end() if start else 0):
        return
    title = _TITLE.search(text)
    named = f' titled "{excerpt(title[1])}"' if title and title[1].strip() else ""
    raise FormatError(
        "html_page",
        f"the server answered with a web page{named} instead of a feed",
        hint="It looks like a login page: the feed may need auth or a token in its URL."
        if _LOGIN.search(text)
        else "The URL may be wrong, or the shop shows an error or maintenance page there.",
    )


def _charset(content_type: str | None) -> str | None:
    _, found, charset = (content_type or "").partition("charset=")
    return charset.partition(";")[0] if found else None


def _is_json_lines(text: bytes) -> bool:
    """Whether the first line is a whole object and another one begins like an object."""
    first, *others = (line.strip(SPACE) for line in text.split(b"\n"))
    if not any(line.startswith(b"{") for line in others):
        return False
    try:
        msgspec.json.decode(first, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True

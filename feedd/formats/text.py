"""A body as UTF-8, whatever encoding it came in, read piece by piece. Pure.

Who says which encoding it is, the strongest first:

1. the byte order mark, or the zero bytes of UTF-16;
2. the bytes: a body that is valid UTF-8 is UTF-8, whatever is said of it. Text in another encoding is as good as never
   valid UTF-8 by chance, and a server that calls UTF-8 Latin-1 is common;
3. what a person has configured;
4. the charset of the HTTP header (RFC 7303, 3.2);
5. the XML declaration.

A header or declaration that says UTF-8 of what is not says nothing. RFC 8259 knows no charset for JSON, and no encoding
but UTF-8; one that is named is only asked where that fails.
"""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

from feedd.encodings import codec_of
from feedd.errors import FormatError

CHUNK_BYTES = 256 * 1024
HEAD_BYTES = 64 * 1024
_ROOM_BYTES = 4 * 1024 * 1024
SPACE = b" \t\r\n"

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UTF16 = (
    (re.compile(rb"(?:[ \t\r\n]\0)*[<{\[]\0[^\0]"), "utf-16-le"),
    (re.compile(rb"(?:\0[ \t\r\n])*\0[<{\[]\0"), "utf-16-be"),
)
_DECLARED = re.compile(rb"\s*<\?xml\s[^>]*?\bencoding\s*=\s*[\"']([^\"'>]*)[\"']")
_OPENING = re.compile(rb"\s*[<{\[]")
_TIMES = (
    4  # as many good characters for a broken byte, and a body is UTF-8 with broken records in it
)
_MANY = 20  # as many broken bytes at the start of a body are no accident
_ENOUGH = 1000


class Text:
    """The UTF-8 text of a stream. A byte that its encoding does not know stays, as bytes that are no UTF-8.

    `charset` is what the HTTP header says, `configured` what a person says. The stream is read to its end first, and once
    more then, where something says that it is not UTF-8.

    Raises:
        FormatError: (`unknown_encoding`) at once, for an encoding that feedd does not read, or that nobody has named.
    """

    def __init__(
        self,
        stream: BinaryIO,
        charset: str | None,
        piece_bytes: int = CHUNK_BYTES,
        configured: str | None = None,
    ) -> None:
        _keep_freed_memory()
        head = _read_full(stream, HEAD_BYTES)
        encoding, skip = _marked(head)
        if encoding is None:
            encoding = _said(head, charset, configured)
            if encoding != "utf-8" and _is_utf8(head, stream):
                encoding = "utf-8"
            elif encoding == "utf-8":
                _expect_utf8(head)
        pieces = _pieces(stream, head[skip:], piece_bytes)
        self._pieces = pieces if encoding == "utf-8" else _transcoded(pieces, encoding)
        self.head = _as_utf8(head[skip:], encoding)

    def read(self) -> bytes:
        """The next piece, about `piece_bytes` long; `b""` at the end.

        Raises:
            FormatError: (`truncated`) the text ends in the middle of a character.
        """
        return next(self._pieces, b"")


def head_text(head: bytes, charset: str | None = None, configured: str | None = None) -> bytes:
    """The start of a body as UTF-8, for a look at it.

    Raises:
        FormatError: (`unknown_encoding`) feedd does not read its encoding.
    """
    encoding, skip = _marked(head)
    if encoding is None:
        encoding = _said(head, charset, configured)
        if encoding != "utf-8" and _is_utf8(head, None):
            encoding = "utf-8"
    return _as_utf8(head[skip:], encoding)


def _marked(head: bytes) -> tuple[str | None, int]:
    """The codec that a body's first bytes leave no doubt of, and the length of its byte order mark."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return _checked(encoding, "its byte order mark"), len(mark)
    for pattern, encoding in _UTF16:
        if pattern.match(head):
            return encoding, 0
    return None, 0


def _said(head: bytes, charset: str | None, configured: str | None) -> str:
    """The first encoding other than UTF-8 that is named, or UTF-8."""
    if configured:
        return _eight_bit(_checked(configured, "`encoding` of this feed"))
    declared = _DECLARED.match(head[:1024])
    named = [
        _eight_bit(_checked(label, source))
        for label, source in (
            (charset, "the Content-Type header"),
            (declared and declared[1].decode("latin-1"), "its XML declaration"),
        )
        if label
    ]
    return next((encoding for encoding in named if encoding != "utf-8"), "utf-8")


class _Evidence:
    """Counts what is, and what is not, a character in UTF-8, ASCII aside."""

    def __init__(self) -> None:
        self.good = self.broken = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def add(self, piece: bytes, *, last: bool = False) -> None:
        text = self._decoder.decode(piece, last)
        if text.isascii():
            return
        whole = len(text)
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-8", "ignore").decode()
            self.broken += whole - len(text)
        self.good += len(text) - len(text.encode("ascii", "ignore"))


def _is_utf8(head: bytes, stream: BinaryIO | None) -> bool:
    """Whether a body is UTF-8 by its bytes; the stream, which stands behind the head, is left where it was."""
    found = _Evidence()
    found.add(head)
    if stream is not None:
        here = stream.tell()
        while found.broken < _ENOUGH and (piece := stream.read(CHUNK_BYTES)):
            found.add(piece)
        stream.seek(here)
        found.add(b"", last=True)
    return found.broken * _TIMES <= found.good


def _expect_utf8(head: bytes) -> None:
    """Refuse a body that is clearly in another encoding, which nobody has named: its items would be rejected one by one."""
    if not _OPENING.match(head):
        return
    found = _Evidence()
    found.add(head)
    if found.broken < _MANY or found.broken <= found.good * _TIMES:
        return
    raise FormatError(
        "unknown_encoding",
        "the body is not UTF-8, and nothing says what else it is",
        hint="Publish the feed as UTF-8, or set `encoding` of this feed to what it is in, such as"
        ' encoding = "windows-1251" (Cyrillic) or encoding = "windows-1252" (western Europe).',
    )


def _as_utf8(head: bytes, encoding: str) -> bytes:
    if encoding == "utf-8":
        return head
    return codecs.getincrementaldecoder(encoding)("replace").decode(head).encode("utf-8", "replace")


def excerpt(data: bytes, limit: int = 80) -> str:
    """The start of some bytes as one printable line, for a message."""
    text = " ".join(data[: 8 * limit].decode("utf-8", "replace").split())
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _checked(label: str, source: str) -> str:
    """The codec for an encoding's label."""
    encoding = codec_of(label)
    if encoding is None:
        raise FormatError(
            "unknown_encoding",
            f"the encoding {excerpt(label.encode())!r}, named by {source}, is not one that feedd reads",
            hint="Publish the feed in UTF-8; or, if it is in another encoding than it says, set `encoding` of this feed.",
        )
    return encoding


def _eight_bit(encoding: str) -> str:
    """What a declaration that could be read byte by byte can mean: not UTF-16, whatever it says."""
    return "utf-8" if encoding.startswith("utf-16") else encoding


def _keep_freed_memory() -> None:
    """Have the C library reuse the memory of pieces instead of asking the system for fresh pages each time.

    glibc gives blocks above some size back at once, and what is free at the end of its heap; zeroed pages anew cost as much as
    all that is done with a piece. That size follows the largest block that was given back: so one is, untouched.
    Elsewhere this does nothing. See `M_MMAP_THRESHOLD` in mallopt(3).
    """
    bytes(_ROOM_BYTES)


def _read_full(stream: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end: an unbuffered stream gives what it has."""
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _pieces(stream: BinaryIO, first: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(first), size):
        yield first[at : at + size]
    while piece := _read_full(stream, size):
        yield piece


def _transcoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The pieces as UTF-8. What is not a character goes through as bytes that are not UTF-8 either."""
    errors = "surrogatepass" if encoding.startswith("utf-16") else "surrogateescape"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    for piece in pieces:
        if text := decoder.decode(piece):
            yield text.encode("utf-8", errors)
    try:
        text = decoder.decode(b"", True)
    except UnicodeDecodeError as error:
        raise FormatError(
            "truncated",
            "the body ends in the middle of a character",
            hint="The download was cut short, or the server sent half a file.",
        ) from error
    if text:
        yield text.encode("utf-8", errors)

"""A body as UTF-8, whatever encoding it came in, read piece by piece. Pure.

Who says which encoding it is, the strongest first: the byte order mark (or the zero bytes of UTF-16), the XML
declaration, the charset of the HTTP header, and UTF-8. Only the encodings of `_KNOWN` are read: some others hide
markup from whoever looks at the bytes (UTF-7), or are not worth a decoder.
"""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

from feedd.errors import FormatError

CHUNK_BYTES = 256 * 1024
HEAD_BYTES = 64 * 1024
SPACE = b" \t\r\n"

_KNOWN = re.compile(r"utf-8|ascii|utf-16(-[lb]e)?|iso8859-\d+|cp125\d|koi8-[ru]")
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


class Text:
    """The UTF-8 text of a stream. A byte that its encoding does not know stays, as bytes that are no UTF-8.

    Raises:
        FormatError: (`unknown_encoding`) at once, for an encoding that feedd does not read.
    """

    def __init__(
        self, stream: BinaryIO, charset: str | None, piece_bytes: int = CHUNK_BYTES
    ) -> None:
        head = _read_full(stream, HEAD_BYTES)
        encoding, skip = encoding_of(head, charset)
        pieces = _pieces(stream, head[skip:], piece_bytes)
        self._pieces = pieces if encoding == "utf-8" else _transcoded(pieces, encoding)
        self.head = head_text(head, charset)

    def read(self) -> bytes:
        """The next piece, about `piece_bytes` long; `b""` at the end.

        Raises:
            FormatError: (`truncated`) the text ends in the middle of a character.
        """
        return next(self._pieces, b"")


def encoding_of(head: bytes, charset: str | None) -> tuple[str, int]:
    """The codec of a body and the length of its byte order mark.

    Raises:
        FormatError: (`unknown_encoding`) feedd does not read it.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return _checked(encoding, "its byte order mark"), len(mark)
    for pattern, encoding in _UTF16:
        if pattern.match(head):
            return encoding, 0
    declared = _DECLARED.match(head[:1024])
    if declared:
        return _eight_bit(_checked(declared[1].decode("latin-1"), "its XML declaration")), 0
    if charset:
        return _eight_bit(_checked(charset, "the Content-Type header")), 0
    return "utf-8", 0


def head_text(head: bytes, charset: str | None = None) -> bytes:
    """The start of a body as UTF-8, for a look at it.

    Raises:
        FormatError: (`unknown_encoding`) feedd does not read its encoding.
    """
    encoding, skip = encoding_of(head, charset)
    if encoding == "utf-8":
        return head[skip:]
    return codecs.getincrementaldecoder(encoding)("replace").decode(head[skip:]).encode()


def excerpt(data: bytes, limit: int = 80) -> str:
    """The start of some bytes as one printable line, for a message."""
    text = " ".join(data[: 8 * limit].decode("utf-8", "replace").split())
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _checked(label: str, source: str) -> str:
    """The codec's own name for an encoding's label."""
    try:
        name = codecs.lookup(label.strip().strip("\"'")).name
    except (LookupError, ValueError):
        name = ""
    if not _KNOWN.fullmatch(name):
        raise FormatError(
            "unknown_encoding",
            f"the encoding {excerpt(label.encode())!r}, named by {source}, is not one that feedd reads",
            hint="Publish the feed in UTF-8.",
        )
    return "utf-8" if name == "ascii" else name  # many a feed says US-ASCII and is UTF-8


def _eight_bit(encoding: str) -> str:
    """What a declaration that could be read byte by byte can mean: not UTF-16, whatever it says."""
    return "utf-8" if encoding.startswith("utf-16") else encoding


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

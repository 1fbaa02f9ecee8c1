"""JSON Lines: one record a line, blank lines skipped. Pure.

A line is a record whatever is in it, so a broken line costs itself only, when it is decoded. The exception is a last
line without an end: if it does not parse, the body was cut.
"""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from feedd.errors import FormatError
from feedd.formats.json_syntax import syntax_error
from feedd.formats.recognize import refuse_other, refuse_page
from feedd.formats.text import CHUNK_BYTES, SPACE, Text, excerpt
from feedd.model import Layout, Slices, Wanted

BATCH_RECORDS = 1024


def slices(
    stream: BinaryIO, layout: Layout, charset: str | None, *, piece_bytes: int = CHUNK_BYTES
) -> Iterator[Slices]:
    """The lines of a body.

    Raises:
        FormatError: a line is too long, or the last one is cut.
    """
    text = Text(stream, charset, piece_bytes, layout.encoding)
    refuse_other(text.head)
    refuse_page(text.head)
    position = 1
    for lines in _lines(text, layout.max_record_bytes):
        for start in range(0, len(lines), BATCH_RECORDS):
            batch = lines[start : start + BATCH_RECORDS]
            if max(map(len, batch)) > layout.max_record_bytes:
                raise _too_large(layout.max_record_bytes)
            yield Slices(position, batch)
            position += len(batch)


def around(
    _stream: BinaryIO, _layout: Layout, _charset: str | None, wanted: Sequence[Wanted]
) -> list[list[Any]]:
    """Nothing: there is nothing around the lines."""
    return [[] for _ in wanted]


def _lines(text: Text, most: int) -> Iterator[list[bytes]]:
    """The lines with something on them, as they come."""
    rest: list[bytes] = []
    rest_bytes = 0
    while piece := text.read():
        head, newline, tail = piece.partition(b"\n")
        if not newline:
            rest.append(piece)
            rest_bytes += len(piece)
            if rest_bytes > most:
                raise _too_large(most)
            continue
        *whole, last = tail.split(b"\n")
        rest.append(head)
        yield _filled([b"".join(rest), *whole])
        rest, rest_bytes = [last], len(last)
    last = b"".join(rest).strip(SPACE)
    if not last:
        return
    if error := syntax_error(last):
        raise FormatError(
            "truncated",
            f"the last line is not whole: {error}: {excerpt(last)!r}",
            hint="The download was cut short, or the server sent half a file. Every line must end with a line break.",
        )
    yield [last]


def _filled(lines: list[bytes]) -> list[bytes]:
    return [bare for line in lines if (bare := line.strip(SPACE))]


def _too_large(most: int) -> FormatError:
    return FormatError(
        "record_too_large",
        f"a line is longer than {most} bytes",
        hint="Is this JSON Lines, with one product a line? A single large document is JSON.",
    )

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

BATCH_RECORDS = 4096


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
            yield Slices(position, batch)
            position += len(batch)


def around(
    _stream: BinaryIO, _layout: Layout, _charset: str | None, wanted: Sequence[Wanted]
) -> list[list[Any]]:
    """Nothing: there is nothing around the lines."""
    return [[] for _ in wanted]


def _lines(text: Text, most: int) -> Iterator[list[bytes]]:
    """The lines with something on them, as they come."""
    rest: list[bytes] = []  # the start of a line
    rest_bytes = 0
    while piece := text.read():
        rest_bytes += len(piece)  # no line that ends here is longer
        lines = piece.split(b"\n")
        last = lines.pop()
        if lines:
            rest.append(lines[0])
            lines[0] = b"".join(rest)
            lines = _filled(lines)
            if rest_bytes > most and any(len(line) > most for line in lines):
                raise _too_large(most)
            yield lines
            rest, rest_bytes = [], len(last)
        rest.append(last)
        if rest_bytes > most:
            raise _too_large(most)
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
    """The lines without the white space around them, and without those that are nothing else."""
    return [bare for line in lines if (bare := line.strip(SPACE))]


def _too_large(most: int) -> FormatError:
    return FormatError(
        "record_too_large",
        f"a line is longer than {most} bytes",
        hint="Is this JSON Lines, with one product a line? A single large document is JSON.",
    )

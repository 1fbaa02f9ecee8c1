"""The elements of a JSON array, or the members of an object, that are records: cut by a lexer or in windows. Pure."""

import re
from collections.abc import Iterator, Sequence

from feedd.errors import FormatError
from feedd.formats.buffer import Buffer
from feedd.formats.json_syntax import STRING, syntax_error, value_end
from feedd.formats.json_windows import Border
from feedd.formats.text import CHUNK_BYTES, SPACE, excerpt
from feedd.model import Layout, Slices

BATCH_RECORDS = 4096
CHECK_IT = "Have the feed checked with a JSON validator."

# One match goes up to the next bracket, over all strings and scalars before it; a bare quote is an open string.
_INSIDE = re.compile(rb'[^"\[\]{}]*+(?:' + STRING + rb'[^"\[\]{}]*+)*+([\[\]{}"])', re.DOTALL)
_BETWEEN = re.compile(rb'[^"\[\]{},]*+(?:' + STRING + rb'[^"\[\]{},]*+)*+([\[\]{},"])', re.DOTALL)
_NESTED = re.compile(rb"[ \t\n\r]*+(?:" + STRING + rb"[ \t\n\r]*+:[ \t\n\r]*+)?+[\[{]", re.DOTALL)
_MEMBER = re.compile(rb"[ \t\n\r]*+(" + STRING + rb")[ \t\n\r]*+:[ \t\n\r]*+", re.DOTALL)


class Elements:
    """The records of a document, while it is read: those of an array or object that has just been opened, up to its end.

    `closing` is the bracket that ends it, while its records are read.
    """

    def __init__(self, buffer: Buffer, layout: Layout, window_bytes: int) -> None:
        self._buffer = buffer
        self._most = layout.max_record_bytes
        self._window_bytes = min(window_bytes, self._most)
        self._resume = 0  # from which offset on windows are tried
        self._position = 1
        self.closing = b""

    def slices(self, closing: bytes) -> Iterator[Slices]:
        """The records up to the closing bracket; ends behind it.

        Raises:
            FormatError: one of them is not well-formed or too large, or the body ends before.
        """
        self.closing = closing
        for raws in self._batches():
            yield Slices(self._position, raws)
            self._position += len(raws)
        self.closing = b""

    def _batches(self) -> Iterator[Sequence[bytes]]:
        buffer = self._buffer
        batch: list[bytes] = []
        batch_bytes = 0
        before: bytes | None = None  # the element before, with the white space around it
        border: Border | None = None
        while True:
            buffer.mark = buffer.at
            if border and self._may_cut() and (raws := self._window(border)):
                yield from _split(batch)
                yield from _split(raws)
                batch, batch_bytes = [], 0
                continue
            token = self._next_border()
            region = buffer.data[buffer.mark : buffer.at - 1]
            raw = region.strip(SPACE)
            if token == self.closing and before is None and not raw:
                return
            if self.closing == b"}":
                raw = self._member(raw, len(batch))
            else:
                self._check(raw, len(batch))
            batch.append(raw)
            batch_bytes += len(raw)
            if token == self.closing:
                yield from _split(batch)
                return
            if batch_bytes >= CHUNK_BYTES or len(batch) >= BATCH_RECORDS:
                yield batch
                batch, batch_bytes = [], 0
            if border is None and before is not None and self._may_cut():
                border = Border.between(before, region)
            before = region

    def _may_cut(self) -> bool:
        """Whether it may pay to cut a window here."""
        at = self._buffer.offset
        return self._window_bytes > 0 and self.closing == b"]" and at >= self._resume

    def _window(self, border: Border) -> Sequence[bytes]:
        """The elements of a window of the array, none where no border is found; goes behind them.

        Windows are tried where they pay, so that none of the body is looked at more than a few times for their sake: one
        that gave less than half of itself is read to its end by the lexer.
        """
        buffer, size = self._buffer, self._window_bytes
        buffer.fill(size * 4 // 5)  # a piece, beside what is left of the one before
        start, stop = buffer.at, min(buffer.at + size, len(buffer.data))
        raws, end = border.cut(buffer.data, start, stop) or ((), start)
        if 2 * (end - start) < stop - start:
            self._resume = buffer.offset_of(stop)
        buffer.at = end
        return raws

    def _next_border(self) -> bytes:
        """Go behind the comma or bracket that ends the element at `mark`; gives that token."""
        buffer, most = self._buffer, self._most
        self._skip_value()
        depth = 0
        while True:
            found = (_INSIDE if depth else _BETWEEN).match(buffer.data, buffer.at)
            if found is None or found[1] == b'"':
                if len(buffer.data) - buffer.mark > most:
                    raise record_too_large(buffer, most)
                if not buffer.more():
                    raise truncated(buffer)
                continue
            token: bytes = found[1]
            buffer.at = found.end()
            if token in (b"{", b"["):
                depth += 1
            elif depth:
                depth -= 1
            else:
                if buffer.at - 1 - buffer.mark > most:
                    raise record_too_large(buffer, most)
                if token not in (b",", self.closing):
                    raise unexpected(token, buffer)
                return token

    def _skip_value(self) -> None:
        """Go over the object or array that is next, or behind the next key, if the decoder can tell where it ends."""
        buffer, most = self._buffer, self._most
        while found := _NESTED.match(buffer.data, buffer.at):
            end = value_end(buffer.data, found.end() - 1)
            if end < len(buffer.data):
                buffer.at = end
                return
            if len(buffer.data) - buffer.mark > most or not buffer.more():
                return

    def _member(self, raw: bytes, waiting: int) -> bytes:
        """A member of an object as a record, with its key in it; a value that is no object as it is."""
        found = _MEMBER.match(raw)
        if found is None:
            self._check(raw or b",", waiting)  # raises: a member has a key
            raise unexpected(b",", self._buffer)
        value = raw[found.end() :]
        self._check(value, waiting)
        self._check(found[1], waiting)
        if not value.startswith(b"{"):
            return value
        rest = value[1:].lstrip(SPACE)
        return b'{"@key":%b%b%b' % (found[1], b"" if rest.startswith(b"}") else b",", rest)

    def _check(self, raw: bytes, waiting: int) -> None:
        """Refuse the document where an element is not JSON: its borders would be guesses."""
        if error := syntax_error(raw):
            raise FormatError(
                "not_well_formed",
                f"record {self._position + waiting}, before byte {self._buffer.offset}, is not valid JSON: {error}: {excerpt(raw)!r}",
                hint=CHECK_IT,
            )


def _split(raws: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Batches of at most `BATCH_RECORDS`."""
    for start in range(0, len(raws), BATCH_RECORDS):
        yield raws[start : start + BATCH_RECORDS]


def unexpected(token: bytes, buffer: Buffer) -> FormatError:
    """For a token that cannot stand where it does."""
    return FormatError(
        "not_well_formed",
        f"the body is not valid JSON: unexpected {token.decode()!r} before byte {buffer.offset}",
        hint=CHECK_IT,
    )


def record_too_large(buffer: Buffer, most: int) -> FormatError:
    """For a record of more than `most` bytes, from the buffer's mark on."""
    return FormatError(
        "record_too_large",
        f"the record at byte {buffer.offset_of(buffer.mark)} is larger than {most} bytes",
        hint="Is `items` the path of the repeated element, not of something around it?",
    )


def truncated(buffer: Buffer) -> FormatError:
    """For a body that ends too early."""
    return FormatError(
        "truncated",
        f"the body ends after {buffer.offset_of(len(buffer.data))} bytes, in the middle of the document",
        hint="The download was cut short, or the server sent half a file.",
    )

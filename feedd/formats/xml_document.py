"""XML: the items of a document as raw slices. Pure.

expat follows the document and says where each item begins and ends; the slices are cut from the bytes that it was given.
Once an item was found, its next siblings go by windows: a small lexer pairs their tags, and expat gets only what stands
between them. So it follows the document without those items, and whether each of them is one well-formed element is
left to its decoding. A well-formed document has the same slices both ways; one that is not is refused here or there.

Only borders are looked at here. An unknown entity, a control character or bytes that are not UTF-8 cannot move one,
so they are left to the decoding of the record that they are in.
"""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from feedd.errors import FormatError
from feedd.formats.buffer import Buffer
from feedd.formats.recognize import refuse_other, refuse_page
from feedd.formats.text import CHUNK_BYTES, SPACE, Text, excerpt
from feedd.formats.xml_outline import Outline
from feedd.formats.xml_watch import Watch
from feedd.formats.xml_windows import Windows
from feedd.model import Layout, Slices, Wanted

BATCH_RECORDS = 1024
_STEP_BYTES = 16 * 1024  # fed at once until an item is found, so that few go by expat
_MOST_LOOKS = 4  # how often a byte is looked at for items in vain, on average, at most


def slices(
    stream: BinaryIO,
    layout: Layout,
    charset: str | None,
    *,
    window_bytes: int = CHUNK_BYTES,
    piece_bytes: int = CHUNK_BYTES,
) -> Iterator[Slices]:
    """The records of an XML document. `window_bytes=0` leaves all of it to expat: then every slice is well-formed.

    Raises:
        FormatError: the document without its items is not well-formed, or has no items where the layout looks for them.
    """
    return _Document(_opened(stream, layout, charset, piece_bytes), layout, window_bytes).slices()


def around(
    stream: BinaryIO, layout: Layout, charset: str | None, wanted: Sequence[Wanted]
) -> list[list[Any]]:
    """For each of the wanted places, what stands there, in order. Reads up to the first record, or the whole document
    if one of them may be anywhere. A document that cannot be read to there gives what came before; `slices` says why.
    """
    watch = Watch(wanted)
    try:
        document = _Document(
            _opened(stream, layout, charset, CHUNK_BYTES), layout, CHUNK_BYTES, watch
        )
        document.pass_by(is_whole=any(each.anywhere for each in wanted))
    except FormatError:
        pass
    return watch.values(layout)


def _opened(stream: BinaryIO, layout: Layout, charset: str | None, piece_bytes: int) -> Buffer:
    """The text of a body from its first tag on."""
    text = Text(stream, charset, piece_bytes, layout.encoding)
    refuse_other(text.head)
    refuse_page(text.head)
    if not text.head.lstrip(SPACE).startswith(b"<"):
        raise FormatError(
            "not_well_formed",
            f"expected XML, and the body starts with {excerpt(text.head)!r}",
            hint='Is it JSON? Then set format to "json", or leave it out.',
        )
    buffer = Buffer(text)
    buffer.skip_space()
    return buffer


class _Document:
    def __init__(
        self, buffer: Buffer, layout: Layout, window_bytes: int, watch: Watch | None = None
    ) -> None:
        self._buffer = buffer
        self._outline = Outline(buffer, layout, watch)
        self._window_bytes = min(window_bytes, layout.max_record_bytes)
        self._windows: Windows | None = None
        self._looked = 0  # bytes of all windows so far
        self._position = 1
        self._context = b""
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def slices(self) -> Iterator[Slices]:
        """All records; what is wrong around them is raised as soon as it is met."""
        while self._advance():
            yield from self._collect(CHUNK_BYTES)
        self._outline.close()
        yield from self._collect(0)
        yield from self._batches()

    def pass_by(self, *, is_whole: bool) -> None:
        """Go over the records without keeping them, up to the first one or to the end."""
        while self._advance():
            if self._outline.found and not is_whole:
                return
            self._outline.found.clear()
        self._outline.close()

    def _advance(self) -> bool:
        """Go on by a window or a piece; false at the end of the text."""
        buffer, outline = self._buffer, self._outline
        stop = len(buffer.data)
        if self._window_bytes and not outline.item_name:
            stop = min(stop, buffer.at + _STEP_BYTES)
        if self._windows is None and outline.item_name and self._window_bytes:
            self._windows = Windows(outline.item_name.encode())
        if self._windows is not None and self._may_look(self._windows):
            if buffer.offset == outline.border:
                if self._window(self._windows):
                    return True
                stop = len(buffer.data)
            else:
                stop = self._windows.next_end(buffer.data, buffer.at)
        before = buffer.offset
        outline.feed(stop)
        if buffer.offset > before:
            return True
        outline.mark()
        return buffer.more()

    def _may_look(self, windows: Windows) -> bool:
        """Whether a window is worth its while: not in a document whose windows hold little that can be taken."""
        return windows.is_usable and self._looked <= _MOST_LOOKS * (
            self._buffer.offset + self._window_bytes
        )

    def _window(self, windows: Windows) -> bool:
        """Take the items that follow the last one by a window; false if there are none that are plain to see."""
        buffer, outline = self._buffer, self._outline
        buffer.mark = buffer.at
        buffer.fill(self._window_bytes)
        stop = min(buffer.at + self._window_bytes, len(buffer.data))
        self._looked += stop - buffer.at
        if outline.may_be_another(buffer.data):
            return False
        cut = windows.items(buffer.data, buffer.at, stop)
        if cut.raws:
            outline.take(outline.context(), cut.raws)
            outline.skip(cut.end, cut.between)
        return bool(cut.raws)

    def _collect(self, least_bytes: int) -> Iterator[Slices]:
        """Batches of what the outline has found, once there are enough bytes of it."""
        found, self._outline.found = self._outline.found, []
        for context, raws in found:
            if context != self._context:
                yield from self._batches()
                self._context = context
            self._waiting += raws
            self._waiting_bytes += sum(map(len, raws))
        if self._waiting_bytes >= least_bytes:
            yield from self._batches()

    def _batches(self) -> Iterator[Slices]:
        for start in range(0, len(self._waiting), BATCH_RECORDS):
            raws = self._waiting[start : start + BATCH_RECORDS]
            yield Slices(self._position, raws, self._context)
            self._position += len(raws)
        self._waiting, self._waiting_bytes = [], 0

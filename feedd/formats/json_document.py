"""JSON: the elements of an array anywhere in a document, as raw slices. Pure.

A small exact lexer finds the array and the borders between its elements, with the decoder's help; every element is checked
for its grammar, and so is, at the end, the rest of the document with the array emptied. Where the elements look alike,
windows of some hundred of them are cut by `json_windows`, five times faster and with the same outcome.

Which array: the first in the document whose path is one of the layout's. Arrays on the way are transparent, so that
`results.products` is the products of every result. An object that holds none of them is one record where the layout
says so; so are the members of one where a path says so. A path with `*` that nobody configured only counts for an array of
objects that lies in no other array, and from then on it means the path that it has found.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import msgspec

from feedd.errors import FormatError
from feedd.formats.buffer import Buffer
from feedd.formats.json_elements import (
    CHECK_IT,
    Elements,
    record_too_large,
    truncated,
    unexpected,
)
from feedd.formats.json_syntax import STRING, syntax_error
from feedd.formats.limits import MAX_BYTES, MAX_VALUES
from feedd.formats.paths import ANY, MEMBERS, WHOLE, Seen, matches, parse
from feedd.formats.places import NO_ITEMS
from feedd.formats.recognize import refuse_other, refuse_page
from feedd.formats.text import CHUNK_BYTES, SPACE, Text, excerpt
from feedd.model import Layout, Slices, Wanted

WINDOW_BYTES = CHUNK_BYTES * 5 // 4

_OUTSIDE = re.compile(rb'[^"\[\]{},]*+(?:(' + STRING + rb')|([\[\]{},"]))', re.DOTALL)


def slices(
    stream: BinaryIO,
    layout: Layout,
    charset: str | None,
    *,
    window_bytes: int = WINDOW_BYTES,
    piece_bytes: int = CHUNK_BYTES,
) -> Iterator[Slices]:
    """The records of a JSON document. `window_bytes=0` leaves all of it to the lexer, with the same outcome.

    Raises:
        FormatError: the document is not well-formed, or has no array where the layout looks for one.
    """
    return opened(
        stream, layout, charset, window_bytes=window_bytes, piece_bytes=piece_bytes
    ).slices()


def around(
    stream: BinaryIO, layout: Layout, charset: str | None, wanted: Sequence[Wanted]
) -> list[list[Any]]:
    """For each of the wanted places, what stands there. Reads up to the first record, or the whole document if one of
    them may be anywhere. A document that cannot be read to there gives nothing; `slices` says why.
    """
    try:
        document = opened(stream, layout, charset)
        value = document.skeleton(is_whole=any(each.anywhere for each in wanted))
    except FormatError:
        value = None
    return [_at(value, each.names) for each in wanted]


def opened(
    stream: BinaryIO,
    layout: Layout,
    charset: str | None,
    *,
    window_bytes: int = WINDOW_BYTES,
    piece_bytes: int = CHUNK_BYTES,
) -> "Document":
    """A JSON document, of which more than its records is wanted.

    Raises:
        FormatError: it is certainly no JSON.
    """
    text = Text(stream, charset, piece_bytes, layout.encoding)
    refuse_other(text.head)
    refuse_page(text.head)
    if text.head.lstrip(SPACE).startswith(b"<"):
        raise FormatError(
            "not_well_formed",
            f"expected JSON, and the body is XML: {excerpt(text.head)!r}",
            hint='Set format to "xml", or leave it out.',
        )
    return Document(Buffer(text), layout, window_bytes)


class _Frame:
    """An object or array that is open: the key it has reached, None in an array."""

    __slots__ = ("is_object", "key", "wants_key")

    def __init__(self, *, is_object: bool) -> None:
        self.is_object = is_object
        self.wants_key = is_object
        self.key = ""


class Document:
    """A JSON document while it is read. Once its slices are through, `around` is what is left with the items taken out
    of their array, and `items` the path where they were found."""

    def __init__(self, buffer: Buffer, layout: Layout, window_bytes: int) -> None:
        self._buffer = buffer
        self._layout = layout
        self._elements = Elements(buffer, layout, window_bytes)
        self._skeleton = bytearray()
        self._open: list[_Frame] = []
        self._patterns = [parse(path) for path in layout.items]
        self._holds_members = any(pattern[-1:] == (MEMBERS,) for pattern in self._patterns)
        self._chosen = False
        self._seen = Seen()

    @property
    def around(self) -> bytes:
        """The document with its items left out."""
        return bytes(self._skeleton)

    @property
    def items(self) -> str:
        """The path of the array that the items were found in, as far as it was named or guessed."""
        return ".".join(self._patterns[0]) if self._chosen else ""

    def slices(self) -> Iterator[Slices]:
        """All records, then the verdict on the rest of the document."""
        buffer = self._buffer
        while (token := self._next_token()) is not None:
            if (token == b"[" and self._is_items()) or (token == b"{" and self._is_members()):
                self._keep_skeleton()
                yield from self._elements.slices(b"]" if token == b"[" else b"}")
                buffer.mark = buffer.at - 1
            else:
                self._walk(token)
        self._keep_skeleton()
        if self._open:
            raise truncated(buffer)
        if error := syntax_error(bytes(self._skeleton)):
            raise FormatError(
                "not_well_formed",
                f"around its records the body is not valid JSON: {error}; it starts with {excerpt(bytes(self._skeleton[:640]))!r}",
                hint=CHECK_IT,
            )
        if self._chosen:
            return
        raw = bytes(self._skeleton).strip(SPACE)
        if WHOLE not in self._layout.items or not raw.startswith(b"{"):
            raise self._no_items()
        if len(raw) > self._layout.max_record_bytes:
            raise record_too_large(buffer, self._layout.max_record_bytes)
        yield Slices(1, [raw])

    def skeleton(self, *, is_whole: bool) -> Any:
        """The document with its records left out, up to the first of them or to the end; None if it is too large."""
        for _ in self.slices():
            if not is_whole:
                break
        closers = b"".join(b"}" if frame.is_object else b"]" for frame in reversed(self._open))
        text = bytes(self._skeleton)
        text += self._elements.closing + closers
        if len(text) > MAX_BYTES or sum(map(text.count, (b",", b"[", b"{"))) > MAX_VALUES * 8:
            return None
        try:
            return msgspec.json.decode(text)
        except (ValueError, RecursionError):
            return None

    # -- around the items

    def _next_token(self) -> bytes | None:
        """The next string, bracket or comma outside the items; None at the end."""
        buffer = self._buffer
        while True:
            found = _OUTSIDE.match(buffer.data, buffer.at)
            if found and found[2] != b'"':
                buffer.at = found.end()
                token: bytes = found[1] or found[2]
                return token
            buffer.at = found.end() - 1 if found else len(buffer.data)
            self._keep_skeleton()
            if not buffer.more():
                if found:
                    raise truncated(buffer)
                return None
            if len(buffer.data) > self._layout.max_skeleton_bytes + CHUNK_BYTES:
                raise self._skeleton_too_large()

    def _keep_skeleton(self) -> None:
        buffer = self._buffer
        self._skeleton += buffer.data[buffer.mark : buffer.at]
        buffer.mark = buffer.at
        if len(self._skeleton) > self._layout.max_skeleton_bytes:
            raise self._skeleton_too_large()

    def _walk(self, token: bytes) -> None:
        """Follow a token, so that the path of the next array is known."""
        frames = self._open
        if token in (b"{", b"["):
            if token == b"{" and frames and not frames[-1].is_object:
                names = self._names()
                if NO_ITEMS.isdisjoint(name.lower() for name in names):
                    self._seen.add(".".join(names))
            frames.append(_Frame(is_object=token == b"{"))
            if len(frames) > self._layout.max_depth:
                raise FormatError(
                    "too_deep",
                    f"the document is nested more than {self._layout.max_depth} levels deep, near byte {self._buffer.offset}",
                )
        elif token in (b"}", b"]"):
            if not frames or frames.pop().is_object != (token == b"}"):
                raise unexpected(token, self._buffer)
        elif frames and frames[-1].is_object:
            frame = frames[-1]
            if token == b",":
                frame.wants_key = True
            elif frame.wants_key:
                frame.wants_key = False
                frame.key = _key(token)

    def _names(self) -> list[str]:
        return [frame.key for frame in self._open if frame.is_object]

    def _is_items(self) -> bool:
        """Whether the array that opens here is the one with the items; chooses it if none was chosen before."""
        names = self._names()
        pattern = next((p for p in self._patterns if self._fits(p, names)), None)
        return self._choose(pattern, names)

    def _is_members(self) -> bool:
        """Whether the members of the object that opens here are the items; chooses it if none was chosen before."""
        if not self._holds_members or not all(frame.is_object for frame in self._open):
            return False
        names = [*self._names(), MEMBERS]
        return self._choose(next((p for p in self._patterns if matches(p, names)), None), names)

    def _choose(self, pattern: tuple[str, ...] | None, names: list[str]) -> bool:
        if pattern is None:
            return False
        if not self._chosen:
            self._chosen = True
            self._patterns = [pattern if self._layout.configured else tuple(names)]
        return True

    def _fits(self, pattern: tuple[str, ...], names: list[str]) -> bool:
        if not matches(pattern, names) or (not pattern and self._open):
            return False
        if ANY not in pattern or self._layout.configured:
            return True
        if not NO_ITEMS.isdisjoint(name.lower() for name in names):
            return False
        return all(frame.is_object for frame in self._open) and self._buffer.peek() == b"{"

    # -- what can be wrong

    def _skeleton_too_large(self) -> FormatError:
        seen = f"; arrays were seen at {self._seen}" if self._seen else ""
        return FormatError(
            "skeleton_too_large",
            f"there are more than {self._layout.max_skeleton_bytes} bytes around the records{seen}",
            hint="Set `items` to the path of the array that holds the products.",
        )

    def _no_items(self) -> FormatError:
        looked = ", ".join("the root" if not path else f'"{path}"' for path in self._layout.items)
        seen = (
            f"Set `items` to one of the arrays that are there: {self._seen}." if self._seen else ""
        )
        return FormatError(
            "no_items_found",
            f"there is no array of records at {looked or 'any known place'}; the body starts with {excerpt(bytes(self._skeleton[:640]))!r}",
            hint=seen or "The body holds no array of objects at all; is it an error message?",
        )


def _at(value: Any, names: Sequence[str]) -> list[Any]:
    for name in names:
        value = value.get(name) if type(value) is dict else None
    return [] if value is None else [value]


def _key(token: bytes) -> str:
    try:
        return msgspec.json.decode(token, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return token.decode("utf-8", "replace")

"""Cuts a window of a JSON array at an element's border, without looking at every byte in Python. Pure.

A cut is a guess that is checked: the window counts only if `[` + window + `]` is a JSON array. Reading goes from left
to right, so where that holds and a comma follows, the comma stands between two elements of the array, not in a string
nor in something nested. A guess that fails costs one look at the window, and there are at most two of them.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

from feedd.formats.json_syntax import STRING
from feedd.formats.text import SPACE

_HEAD_PIECES = 24
_MOST_HEAD_BYTES = 2048
_MOST_STEPS = 200
_MOST_TAIL_BYTES = 16 * 1024
_ONE_WRONG_IN = 16
_SCALAR = rb"(?:" + STRING + rb"|[^\"\[\]{},:\s]++)"
# White space, and behind it a key with its colon, another scalar, or a bracket or comma.
_PIECE = re.compile(
    rb"([ \t\r\n]*+)(?:(" + STRING + rb"[ \t\r\n]*+:)|" + _SCALAR + rb"|([\[\]{},]))", re.DOTALL
)
_KEYED = re.compile(rb'[ \t\r\n]*+\{[ \t\r\n]*+"')
_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:' + STRING + rb'[^"\[\]{}]*+)*+([\[\]{}"])', re.DOTALL)

_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Border:
    """What stands between two elements of one array, learned from its first two.

    Machines write all elements alike: the same white space, the same first keys. That tells them from what is nested in
    them, also where that starts with some of the same keys, as the variants of a product do. Where it does not, brackets
    are counted over the last few kilobytes: nothing there is less deep than the borders.
    """

    def __init__(self, before_comma: bytes, space: bytes, head: Sequence[bytes | None]) -> None:
        """`head` is how the elements start: what they have in common, with None for each scalar."""
        self._after = before_comma + b","
        border = b"}" + self._after + space
        self._opening = border + b"{"
        literals = head[: head.index(None)] if None in head else head
        self._literal = border + b"".join(filter(None, literals))
        pattern = b"".join(_SCALAR if piece is None else re.escape(piece) for piece in head)
        self._match = re.compile(re.escape(border) + pattern, re.DOTALL).match
        self._tail_bytes = 4096
        self._windows = self._wrong = 0

    @classmethod
    def between(cls, first: bytes, second: bytes) -> "Border | None":
        """The border between two neighbours, given with the white space around them; None if they are no objects."""
        start, end = first.lstrip(SPACE), first.rstrip(SPACE)
        before_comma, space = first[len(end) :], second[: -len(second.lstrip(SPACE))]
        head = _common(start, second[len(space) :])
        if not (end.endswith(b"}") and _KEYED.match(second)):
            return None
        if head[:1] != [b"{"] or len(before_comma) + len(space) > _MOST_HEAD_BYTES:
            return None
        return cls(before_comma, space, head)

    def cut(self, data: bytes, start: int, stop: int) -> tuple[Sequence[bytes], int] | None:
        """The elements of `data[start:stop]` up to a border, and where the element after it starts."""
        self._windows += 1
        guesses = [self._by_head, self._by_depth]
        if self._wrong * _ONE_WRONG_IN > self._windows + _ONE_WRONG_IN:
            guesses.reverse()
        wrong = -1
        for guess in guesses:
            end = guess(data, start, stop)
            if end < 0 or end == wrong:
                continue
            try:
                raws = _decode(b"".join((b"[", memoryview(data)[start : end + 1], b"]")))
            except (msgspec.DecodeError, RecursionError):
                wrong = end
                self._wrong += guess == self._by_head
                continue
            return raws, end + 1 + len(self._after)
        self._tail_bytes = min(2 * self._tail_bytes, _MOST_TAIL_BYTES)
        return None

    def _by_head(self, data: bytes, start: int, stop: int) -> int:
        """The closing brace before the last place that looks like the start of an element; -1 if there is none."""
        end = stop
        for _ in range(_MOST_STEPS):
            end = data.rfind(self._literal, start, end)
            if end < 0 or self._match(data, end, stop):
                return end
        return -1

    def _by_depth(self, data: bytes, start: int, stop: int) -> int:
        """The last of the closing braces before a comma that the tail of a window is the least deep behind."""
        end = data.find(self._opening, max(start, stop - self._tail_bytes), stop)
        if end < 0:
            return end
        depth = lowest = 0
        for found in _BRACKET.finditer(data, end + 1, stop):
            mark = found[1]
            if mark in b"{[":
                depth += 1
            elif mark == b'"':
                break
            else:
                depth -= 1
                if depth < lowest:
                    lowest, end = depth, -1
                if depth == lowest and mark == b"}" and data.startswith(self._after, found.end()):
                    end = found.start(1)
        return end


def _common(first: bytes, second: bytes) -> list[bytes | None]:
    """The pieces that two elements both start with."""
    common: list[bytes | None] = []
    size = 0
    for one, other in zip(_pieces(first), _pieces(second), strict=False):
        size += len(one or b"")
        if one != other or size > _MOST_HEAD_BYTES:
            break
        common.append(one)
    return common


def _pieces(raw: bytes) -> Iterator[bytes | None]:
    """How an element starts, in pieces: white space, keys, brackets and commas as they are, None for any other scalar."""
    at = 0
    for _ in range(_HEAD_PIECES):
        found = _PIECE.match(raw, at)
        if found is None:
            return
        at = found.end()
        if found[2] or found[3]:
            yield found[0]
        else:
            yield found[1]
            yield None

"""Cuts a window of a JSON array at an element's border, without looking at every byte in Python. Pure.

A cut is a guess that is checked: the window counts only if `[` + window + `]` is a JSON array. Reading goes from left
to right, so where that holds and a comma follows, the comma stands between two elements of the array, not in a string
nor in something nested. A guess that fails costs one look at the window.
"""

import re
from collections.abc import Iterator

import msgspec

from feedd.formats.json_syntax import STRING

MAX_TRIES = 3
_TAIL_BYTES = 32 * 1024
_SPACE = rb"[ \t\r\n]*+"
_SCALAR = rb"(?:" + STRING + rb"|[^\"\[\]{},]++)"
_HEAD = re.compile(
    rb"(" + _SPACE + rb"\{" + _SPACE + STRING + rb")"
    rb"(?:" + _SPACE + rb":" + _SCALAR + rb"(" + _SPACE + rb"," + _SPACE + STRING + rb"))?",
    re.DOTALL,
)

_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Border:
    """What stands between two elements of one array, learned from its first two.

    Machines write all elements alike: the same white space, the same first keys. That tells the elements of the array
    from what is nested in them; where it does not, the tries fail.
    """

    def __init__(self, before_comma: bytes, pattern: bytes, opening: bytes) -> None:
        self._comma = len(before_comma) + 1
        self._plain = b"}" + before_comma + b"," + opening
        self._pattern = re.compile(pattern, re.DOTALL)

    @classmethod
    def between(cls, first: bytes, second: bytes) -> "Border | None":
        """The border between two neighbours, given with the white space around them; None if they are no objects."""
        head = _HEAD.match(second)
        if head is None or not first.rstrip().endswith(b"}"):
            return None
        before_comma = first[len(first.rstrip()) :]
        pattern = re.escape(b"}" + before_comma + b"," + head[1])
        if head[2] is not None:
            pattern += _SPACE + rb":" + _SCALAR + re.escape(head[2])
        return cls(before_comma, pattern, head[1][: head[1].index(b"{") + 1])

    def cut(self, data: bytes, start: int, stop: int) -> tuple[list[bytes], int] | None:
        """The elements of `data[start:stop]` up to a border, and where the element after it starts."""
        tried: set[int] = set()
        for end in self._guesses(data, start, stop):
            if end in tried:
                continue
            tried.add(end)
            try:
                raws: list[msgspec.Raw] = _decode(b"[%b]" % data[start : end + 1])
            except (msgspec.DecodeError, RecursionError):
                continue
            return list(raws), end + 1 + self._comma
        return None

    def _guesses(self, data: bytes, start: int, stop: int) -> Iterator[int]:
        """Where an element might end, the likeliest place first: the index of its closing brace."""
        tail = max(start, stop - _TAIL_BYTES)
        last = None
        for place in (tail, start):
            for last in self._pattern.finditer(data, place, stop):  # noqa: B007 the last one is wanted
                pass
            if last is not None or place == start:
                break
        if last is not None:
            yield last.start()
        for _ in range(MAX_TRIES - 1):
            stop = data.rfind(self._plain, start, stop)
            if stop < 0:
                return
            yield stop

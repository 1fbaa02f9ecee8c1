"""Cuts an XML document's items out of a window of its bytes by where its tags begin. Pure.

In well-formed XML a raw `<` stands in neither text nor attribute values, so only comments, CDATA sections and
processing instructions can hide a tag, and those are stepped over. What the window looks like from there on is a matter
of the few `<` that begin an item, end one, or stand beside them. Whether the items are well-formed is not looked at;
in a document that is, what is cut are exactly its items.
"""

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from feedd.formats.text import SPACE

_MOST_NAME_BYTES = 64  # a longer name is looked for byte by byte for too long
_HIDING = ((b"<![CDATA[", b"]]>"), (b"<!--", b"-->"), (b"<?", b"?>"))
_START, _END, _BOTH = 1, 2, 3
_END_OF_TAG = re.compile(rb"[ \t\r\n]*+>")
_NO_NAME = np.isin(np.arange(256), np.frombuffer(SPACE + b"/>", dtype=np.uint8))

_Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]


class Cut(NamedTuple):
    """Some items that follow each other, the index behind the last of them, and where comments and the like stand
    between them (start and end of each such place)."""

    raws: list[bytes]
    end: int
    between: list[tuple[int, int]]


class Windows:
    """Finds the items of one element name, as it is written in the document."""

    def __init__(self, name: bytes) -> None:
        self.is_usable = len(name) <= _MOST_NAME_BYTES
        self._name = name
        self._end_tag = b"</" + name
        self._empty = re.compile(
            rb"<%b(?:[^<>\"']++|\"[^<\"]*+\"|'[^<']*+')*+(?<=/)>" % re.escape(name)
        )

    def items(self, data: bytes, start: int, stop: int) -> Cut:
        """The items that follow each other from `data[start]` on, as far as they end before `data[stop]`.

        Stops before anything but white space, comments, CDATA sections and processing instructions between them, before
        an item that holds another of its name, and before what cannot be told apart.
        """
        text = np.frombuffer(data, dtype=np.uint8, count=stop - start, offset=start)
        places = np.flatnonzero(text == ord("<"))
        # a tag of an item that begins behind that is not whole
        places = places[: np.searchsorted(places, len(text) - len(self._name) - 3, "right")]
        places = _visible(text, places)
        begins, ends = self._pairs(data, start, text, places)
        return _cut(data, start, begins, ends)

    def next_end(self, data: bytes, start: int) -> int:
        """An index behind `data[start]` where an item may end: behind its next end tag, or the last empty element."""
        found = data.find(b">", data.find(self._end_tag, start) + 1 or len(data)) + 1
        if not found and (last := data.rfind(b"/>", start)) >= 0:
            found = last + len(b"/>")
        return found or len(data)

    def _pairs(
        self, data: bytes, start: int, text: _Bytes, places: _Places
    ) -> tuple[list[int], list[int]]:
        """Where items begin in `data`, and where each ends: those that come one after the other, with no tag between."""
        second = text[places + 1]
        kinds = np.zeros(len(places), dtype=np.int8)
        ends = np.zeros(len(places), dtype=np.int64)
        opening = self._named(text, places, np.flatnonzero(second == self._name[0]), 1)
        kinds[opening] = _START
        closing = self._named(text, places, np.flatnonzero(second == ord("/")), 2)
        kinds[closing] = _END
        ends[closing] = places[closing] + (start + len(self._name) + 3)
        for index in closing[text[places[closing] + len(self._name) + 2] != ord(">")].tolist():
            end = _END_OF_TAG.match(data, int(ends[index]) - 1, start + len(text))
            if end is None:  # it goes on behind the window, or is no tag
                kinds[index:] = 0
                break
            ends[index] = end.end()
        for index in opening[:-1][kinds[opening[:-1] + 1] == _START].tolist():
            stop = start + int(places[index + 1])
            if empty := self._empty.match(data, start + int(places[index]), stop):
                kinds[index], ends[index] = _BOTH, empty.end()
        marked = np.flatnonzero(kinds)
        if (kinds[marked] == _BOTH).any():
            marked = np.repeat(marked, 1 + (kinds[marked] == _BOTH))
        count = _in_a_row(kinds, marked)
        begins = places[marked[0 : 2 * count : 2]] + start
        return begins.tolist(), ends[marked[1 : 2 * count : 2]].tolist()

    def _named(self, text: _Bytes, places: _Places, chosen: _Places, skip: int) -> _Places:
        """Those of the chosen indexes whose tag has the name of the items, `skip` bytes behind its start."""
        for offset, byte in enumerate(self._name, skip):
            chosen = chosen[text[places[chosen] + offset] == byte]
        return chosen[_NO_NAME[text[places[chosen] + skip + len(self._name)]]]


def _in_a_row(kinds: npt.NDArray[np.int8], marked: _Places) -> int:
    """How many items come at once, each next to the one before among all tags; an empty element is marked twice."""
    count = len(marked) // 2
    starts, ends = marked[0 : 2 * count : 2], marked[1 : 2 * count : 2]
    fine = (kinds[starts] == _START) & (kinds[ends] == _END)
    fine |= (kinds[starts] == _BOTH) & (starts == ends)
    fine &= starts == np.concatenate(([-1], ends[:-1])) + 1
    return count if fine.all() else int(np.argmin(fine))


def _visible(text: _Bytes, places: _Places) -> _Places:
    """The places of tags: those of a `<` that nothing hides, up to the first thing that does not end in the window."""
    second = text[places + 1]
    opening = places[(second == ord("!")) | (second == ord("?"))]
    if not len(opening):
        return places
    ends = _ends(text, opening)
    if (opening[1:] < ends[:-1]).any():
        opening, ends = _outermost(opening, ends)
    endless = np.flatnonzero(ends < 0)
    if len(endless):
        first = int(endless[0])
        places = places[: np.searchsorted(places, opening[first])]
        opening, ends = opening[:first], ends[:first]
    depth = np.zeros(len(places) + 1, dtype=np.int8)
    depth[np.searchsorted(places, opening)] += 1
    depth[np.searchsorted(places, ends)] -= 1
    is_plain = np.cumsum(depth[:-1], dtype=np.int8) == 0
    return places[np.flatnonzero(is_plain)]


def _ends(text: _Bytes, opening: _Places) -> _Places:
    """Where that ends which begins with `<!` or `<?` at some places; -1 if not in the window, or if it hides nothing."""
    ends = np.full(len(opening), -1, dtype=np.int64)
    closing = np.flatnonzero(text == ord(">"))
    for mark, end_mark in _HIDING:
        chosen = np.flatnonzero(opening <= len(text) - len(mark))
        for offset, byte in enumerate(mark[1:], 1):
            chosen = chosen[text[opening[chosen] + offset] == byte]
        if not len(chosen):
            continue
        closers = closing
        for offset, byte in enumerate(end_mark[-2::-1], 1):
            closers = closers[text[closers - offset] == byte]
        found = np.searchsorted(closers, opening[chosen] + (len(mark) + len(end_mark) - 1))
        ends[chosen] = np.append(closers, -2)[found] + 1
    return ends


def _outermost(opening: _Places, ends: _Places) -> tuple[_Places, _Places]:
    """Those that no other hides."""
    chosen = []
    free = 0
    for index, (place, end) in enumerate(zip(opening.tolist(), ends.tolist(), strict=True)):
        if place >= free:
            chosen.append(index)
            free = end
    return opening[chosen], ends[chosen]


def _cut(data: bytes, start: int, begins: list[int], ends: list[int]) -> Cut:
    """The items between some places, up to the first that something else than comments and the like stands before."""
    between: list[tuple[int, int]] = []
    spaces = {data[end:begin] for end, begin in zip([start, *ends], begins, strict=False)}
    if any(space.strip(SPACE) for space in spaces):
        for number, (end, begin) in enumerate(zip([start, *ends], begins, strict=False)):
            inner = data[end:begin].strip(SPACE)
            if not inner:
                continue
            if not (inner.startswith(b"<") and inner.endswith(b">")):
                begins, ends = begins[:number], ends[:number]
                break
            first = data.index(b"<", end)
            between.append((first, first + len(inner)))
    raws = [data[begin:end] for begin, end in zip(begins, ends, strict=True)]
    return Cut(raws, ends[-1] if ends else start, between)

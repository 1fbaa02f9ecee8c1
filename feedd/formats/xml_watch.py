"""Collects the elements around an XML document's items that somebody wants to read. Pure."""

from collections.abc import Sequence
from typing import Any

from feedd.formats.limits import MAX_BYTES, MAX_VALUE_BYTES, MAX_VALUES
from feedd.formats.xml_items import Names, fits
from feedd.formats.xml_records import decode
from feedd.model import Layout, Problem, Slices, Wanted


class Watch:
    """What of the `wanted` places was met, as raw elements, up to a limit."""

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        self.wanted = wanted
        self._depths = {len(each.names) for each in wanted}
        self._left_bytes, self._left_values = MAX_BYTES, MAX_VALUES
        self._met: list[tuple[bytes, list[tuple[list[int], bytes]]]] = []

    def places(self, path: list[Names], *, is_before: bool) -> list[int]:
        """Which of the wanted places an element at a path is; `is_before`: no item was met yet."""
        if len(path) not in self._depths:
            return []
        return [
            place
            for place, each in enumerate(self.wanted)
            if len(each.names) == len(path)
            and (is_before or each.anywhere)
            and fits(each.names, path)
        ]

    def take(self, places: list[int], context: bytes, raw: bytes) -> None:
        """Keep an element, while there is room for it."""
        self._left_bytes -= len(raw)
        self._left_values -= 1
        if self._left_bytes < 0 or self._left_values < 0 or len(raw) > MAX_VALUE_BYTES:
            return
        if not self._met or self._met[-1][0] != context:
            self._met.append((context, []))
        self._met[-1][1].append((places, raw))

    def values(self, layout: Layout) -> list[list[Any]]:
        """For each wanted place what stood there, in order; elements that are broken are left out."""
        found: list[list[Any]] = [[] for _ in self.wanted]
        for context, elements in self._met:
            decoded = decode(Slices(1, [raw for _, raw in elements], context), layout)
            for (places, _), value in zip(elements, decoded, strict=True):
                for place in places if not isinstance(value, Problem) else ():
                    found[place].append(value)
        return found

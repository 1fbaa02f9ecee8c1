"""Who was there, each person once: of many cells at the same time. Pure.

People are numbers of profiles. As long as it takes little memory there is a bit for each person in each cell; after that they are
kept as sorted numbers, `cell << 40 | profile`, which takes eight bytes for each that was there.
"""

from typing import Any

import numpy as np

MOST_BYTES = 1 << 26  # of bits
_PROFILE_BITS = 40
_PROFILES = (1 << _PROFILE_BITS) - 1
_UNSORTED = 1 << 22  # numbers that may wait to be sorted, if no more have been
_BIT = (1 << np.arange(8)).astype(np.uint8)

Array = np.ndarray[Any, np.dtype[Any]]


class People:
    """Different people by cells. `profiles`: their numbers are below that, as far as is known."""

    def __init__(self, profiles: int) -> None:
        self._stride = max(profiles, 1) + 7 >> 3
        self._bits: Array | None = np.zeros((0, self._stride), dtype=np.uint8)
        self._sorted = np.zeros(0, dtype=np.int64)
        self._waiting: list[Array] = []
        self._size = 0

    def add(self, cells: Array, profiles: Array) -> None:
        """Some that were there; both arrays are as long."""
        if self._bits is not None and not self._has_room(int(cells.max()), int(profiles.max())):
            self._spill(self._bits)
        if self._bits is None:
            self._wait(cells.astype(np.int64) << _PROFILE_BITS | profiles)
            return
        flat = self._bits.reshape(-1)
        places, bits = cells * self._stride + (profiles >> 3), _BIT[profiles & 7]
        while len(places):  # of several bits for one byte, only one is set at a time
            flat[places] |= bits
            left = flat[places] & bits == 0
            places, bits = places[left], bits[left]

    def counts(self, cells: int) -> Array:
        """How many different people there are in each of the first cells."""
        if self._bits is None:
            return np.bincount(self._all() >> _PROFILE_BITS, minlength=cells)
        found = np.zeros(max(cells, len(self._bits)), dtype=np.int64)
        found[: len(self._bits)] = np.bitwise_count(self._bits).sum(axis=1, dtype=np.int64)
        return found[:cells]

    def counts_together(self, groups: int, cells: int) -> Array:
        """How many different people there are in each group of so many cells."""
        if self._bits is None:
            people = self._all()
            group = (people >> _PROFILE_BITS) // cells
            once = _distinct(group << _PROFILE_BITS | people & _PROFILES)
            return np.bincount(once >> _PROFILE_BITS, minlength=groups)
        found = np.zeros(groups, dtype=np.int64)
        for number in range(min(groups, -(-len(self._bits) // cells))):
            some = self._bits[number * cells : (number + 1) * cells]
            found[number] = np.bitwise_count(np.bitwise_or.reduce(some, axis=0)).sum(dtype=np.int64)
        return found

    def _has_room(self, cell: int, profile: int) -> bool:
        """Make room for a cell; False if there is none, or for the profile."""
        if self._bits is None or profile >= 8 * self._stride:
            return False
        if cell < len(self._bits):
            return True
        if (cell + 1) * self._stride > MOST_BYTES:
            return False
        rows = min(max(2 * len(self._bits), cell + 1), MOST_BYTES // self._stride)
        grown = np.zeros((rows, self._stride), dtype=np.uint8)
        grown[: len(self._bits)] = self._bits
        self._bits = grown
        return True

    def _spill(self, bits: Array) -> None:
        self._bits = None
        for cell, row in enumerate(bits):
            there = np.flatnonzero(np.unpackbits(row, bitorder="little"))
            self._wait(cell << _PROFILE_BITS | there)

    def _wait(self, people: Array) -> None:
        self._waiting.append(people)
        self._size += len(people)
        if self._size > max(_UNSORTED, len(self._sorted)):
            self._all()

    def _all(self) -> Array:
        if self._waiting:
            self._sorted = _distinct(np.concatenate([self._sorted, *self._waiting]))
            self._waiting, self._size = [], 0
        return self._sorted


def _distinct(numbers: Array) -> Array:
    """Sorted, each once. (`numpy.unique` takes several times as long: it uses a hash table.)"""
    numbers = np.sort(numbers)
    first = np.ones(len(numbers), dtype=bool)
    np.not_equal(numbers[1:], numbers[:-1], out=first[1:])
    return numbers[first]

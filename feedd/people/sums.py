"""Sums of many numbers, rounded once: each is the double nearest to the true sum, whatever the order and the pieces. Pure.

A double has 53 bits somewhere between 2**-1074 and 2**1023. Each is cut, at fixed places, into whole numbers of 32 bits, which are added
up as integers, so that nothing is rounded before the end (a superaccumulator, as in https://arxiv.org/abs/1505.05571). Only those windows
of 32 bits are kept that have any: whole numbers take one, prices three.
"""

import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

_BITS = 32  # of an int64: the rest is room for 2**31 numbers
_LOWER = (1 << _BITS) - 1
_AT_ONCE = 8_192  # numbers whose parts stay in the processor's cache
_LARGEST = sys.float_info.max

Array = np.ndarray[Any, np.dtype[Any]]


class TooManyCells(Exception):
    """There are so many groups that their intervals do not fit: count whole groups first, then those that are told."""


class Sums:
    """A sum for each of `size` cells, in no more than `most` integers.

    What is too large for a double is the largest one.
    """

    def __init__(self, size: int, most: int) -> None:
        self.size = size
        self._most = most
        self._windows: dict[int, Array] = {}  # by place: what is in one counts 2**(32 * place)

    def grow(self, size: int) -> None:
        """Have more cells. Raises TooManyCells."""
        self._check(len(self._windows) * size)
        more = np.zeros(size - self.size, dtype=np.int64)
        for place in list(self._windows):
            self._windows[place] = np.concatenate([self._windows[place], more])
        self.size = size

    def add(self, cells: Array, values: Array) -> None:
        """Add finite numbers, each to its cell; NaN is none. Raises TooManyCells."""
        there = ~np.isnan(values)
        if not there.all():
            cells, values = cells[there], values[there]
        for first in range(0, len(values), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            self._add(cells[some], values[some])

    def rounded(self, cells: Array) -> Array:
        """The sums of some cells, in the shape of their numbers."""
        found = {place: held[cells].ravel() for place, held in self._windows.items()}
        return _rounded(found, cells.size).reshape(cells.shape)

    def together(self, groups: int, width: int) -> Array:
        """The sum of the first `width` cells, of the next ones, and so on."""
        found = {
            place: held[: groups * width].reshape(groups, width).sum(axis=1)
            for place, held in self._windows.items()
        }
        return _rounded(found, groups)

    def _add(self, cells: Array, values: Array) -> None:
        most = np.abs(values).max()
        place = (math.frexp(most)[1] - 1) // _BITS
        while most:
            whole = _times(values, -_BITS * place)
            np.trunc(whole, out=whole)
            if whole.any():
                np.add.at(self._window(place), cells, whole.astype(np.int64))
                values = values - _times(whole, _BITS * place)  # exactly its lower bits
                most = values.any()
            place -= 1

    def _window(self, place: int) -> Array:
        found = self._windows.get(place)
        if found is None:
            self._check((len(self._windows) + 1) * self.size)
            found = self._windows[place] = np.zeros(self.size, dtype=np.int64)
        return found

    def _check(self, integers: int) -> None:
        if integers > self._most:
            raise TooManyCells


def _rounded(windows: Mapping[int, Array], count: int) -> Array:
    """What windows come to together, rounded to the nearest doubles.

    Doubles are added with the errors of each addition beside them (https://doi.org/10.1137/030601818, algorithm 4.4). Where
    these errors, known but for some last bits, do not decide what is nearest, integers do.
    """
    total, errors, size = np.zeros(count), np.zeros(count), np.zeros(count)
    parts = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for part in _parts(windows):
            longer = total + part
            taken = longer - total
            error = (total - (longer - taken)) + (part - taken)
            total, errors, size, parts = longer, errors + error, size + np.abs(error), parts + 1
        unknown = size * ((parts + 2) * sys.float_info.epsilon)
        total, other = total + (errors - unknown), total + (errors + unknown)
    for n in np.flatnonzero(total != other).tolist():  # also where one of them is none
        total[n] = _nearest({place: int(held[n]) for place, held in windows.items()})
    return total


def _parts(windows: Mapping[int, Array]) -> Iterator[Array]:
    """Doubles that come to the same, the larger ones first."""
    for place in sorted(windows, reverse=True):
        held = windows[place]
        yield _times((held >> _BITS).astype(np.float64), _BITS * (place + 1))
        yield _times((held & _LOWER).astype(np.float64), _BITS * place)


def _nearest(windows: Mapping[int, int]) -> float:
    lowest = min(0, *windows)
    whole = sum(held << _BITS * (place - lowest) for place, held in windows.items())
    try:
        return whole / (1 << -_BITS * lowest)  # of integers, Python's is the nearest
    except OverflowError:
        return _LARGEST if whole > 0 else -_LARGEST


def _times(values: Array, exponent: int) -> Array:
    """Values times a power of two, which is a double itself up to some size."""
    scaled: Array = values * 2.0**exponent if abs(exponent) < 1_000 else np.ldexp(values, exponent)
    return scaled

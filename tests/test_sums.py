"""A sum is the double nearest to the true one, in whatever order and pieces its numbers come."""

import math
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.people import sums
from feedd.people.sums import Sums, TooManyCells

CELLS, WIDTH = 6, 3
LARGEST = sys.float_info.max
MOST = 1 << 20
PRICES = st.integers(-100_000, 100_000).map(lambda cents: cents / 100)
ODD = st.sampled_from(
    [0.1, 1e16, -1e16, 1.0, -1.0, 2.0**53, 2.0**-53, 5e-324, -5e-324, 2.0**-1022, LARGEST, -LARGEST]
)
NUMBERS = st.one_of(PRICES, ODD, st.floats(allow_nan=False, allow_infinity=False))
PIECES = st.lists(
    st.lists(st.tuples(st.integers(0, CELLS - 1), NUMBERS), min_size=1, max_size=25), max_size=4
)


def nearest(numbers: list[float]) -> float:
    exact = sum(map(Fraction, numbers), Fraction(0))
    try:
        return float(exact)
    except OverflowError:
        return LARGEST if exact > 0 else -LARGEST


@given(pieces=PIECES, sizes=st.lists(st.integers(1, CELLS), max_size=2).map(sorted))
def test_sums_are_rounded_once(pieces: list[list[tuple[int, float]]], sizes: list[int]) -> None:
    found = Sums(1, MOST)
    seen: list[list[float]] = [[] for _ in range(CELLS)]
    for number, piece in enumerate(pieces):
        found.grow([*sizes, CELLS][min(number, len(sizes))])
        kept = [(cell % found.size, value) for cell, value in piece]
        cells, values = np.array(kept).T
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sums, "_AT_ONCE", 7)
            found.add(cells.astype(np.int64), values)
        for cell, value in kept:
            seen[cell].append(value)
    found.grow(CELLS)
    chosen = np.array([[5, 0], [2, 3]])
    assert found.rounded(chosen).tolist() == [[nearest(seen[n]) for n in row] for row in chosen]
    assert found.together(CELLS // WIDTH, WIDTH).tolist() == [
        nearest([value for row in seen[n : n + WIDTH] for value in row])
        for n in range(0, CELLS, WIDTH)
    ]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0.1] * 10, 1.0),
        ([1e16, 1.0, -1e16, math.nan], 1.0),
        ([2.0**53, 1.0], 2.0**53),  # a tie
        ([2.0**53, 1.0, 5e-324], 2.0**53 + 2),  # which the least of all decides
        ([LARGEST, LARGEST, -LARGEST], LARGEST),
        ([-LARGEST, -LARGEST], -LARGEST),
        ([], 0.0),
    ],
)
def test_the_sum_of(numbers: list[float], expected: float) -> None:
    found = Sums(1, MOST)
    for some in (numbers[:1], numbers[1:]):
        found.add(np.zeros(len(some), dtype=np.int64), np.array(some, dtype=np.float64))
    assert found.together(1, 1).tolist() == [expected]


def test_numbers_that_lie_far_apart_take_bounded_room() -> None:
    found = Sums(10, most=30)
    far = np.ldexp(1.0, np.arange(-1_000, 1_000, 40))
    with pytest.raises(TooManyCells):
        found.add(np.zeros(len(far), dtype=np.int64), far)
    found = Sums(10, most=30)
    found.add(np.zeros(1, dtype=np.int64), np.array([1.0]))
    with pytest.raises(TooManyCells):
        found.grow(31)

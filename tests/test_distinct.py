"""Different people are counted alike with a bit for each, as sorted numbers, and when one becomes the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.people import distinct
from feedd.people.distinct import People

CELLS, IN_GROUP = 12, 3
SEEN = st.lists(
    st.lists(st.tuples(st.integers(0, CELLS - 1), st.integers(1, 40)), min_size=1, max_size=30),
    max_size=5,
)


@given(pieces=SEEN, profiles=st.sampled_from([0, 10, 41]), most_bytes=st.integers(0, 80))
def test_people_are_counted_once_a_cell_and_once_a_group(
    pieces: list[list[tuple[int, int]]], profiles: int, most_bytes: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct, "MOST_BYTES", most_bytes)
        patch.setattr(distinct, "_UNSORTED", 7)
        people = People(profiles)
        for piece in pieces:
            cells, numbers = np.array(piece, dtype=np.int64).T
            people.add(cells, numbers)
    seen = {each for piece in pieces for each in piece}
    together = {(cell // IN_GROUP, number) for cell, number in seen}
    assert people.counts(CELLS).tolist() == [
        sum(cell == n for cell, _ in seen) for n in range(CELLS)
    ]
    assert people.counts_together(CELLS // IN_GROUP, IN_GROUP).tolist() == [
        sum(group == n for group, _ in together) for n in range(CELLS // IN_GROUP)
    ]

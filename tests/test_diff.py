"""Field-level differences between two versions of an item."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.diff import apply, canonical, diff, digest, same

VALUES = st.recursive(
    st.one_of(
        st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.dictionaries(st.sampled_from("abcdef"), VALUES)


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (5, 5.0, True),
        (1, True, False),
        (0, False, False),
        ([1, {"x": 2}], [1.0, {"x": 2}], True),
        ([1], [True], False),
        ({"x": 1}, {"x": 1, "y": 2}, False),
        ("1", 1, False),
        ({}, [], False),
    ],
)
def test_values_are_compared_as_json(a: Any, b: Any, equal: bool) -> None:
    assert same(a, b) is equal
    assert same(b, a) is equal


def test_absent_is_none() -> None:
    assert diff({"a": 1}, {"b": 2}) == {"a": (1, None), "b": (None, 2)}


@given(old=FIELDS, new=FIELDS)
def test_a_diff_leads_from_old_to_new(old: dict[str, Any], new: dict[str, Any]) -> None:
    changed = diff(old, new)
    result = apply(old, changed)
    assert result.keys() == new.keys()
    assert all(same(result[name], new[name]) for name in new)
    assert diff(new, new) == {}


@given(fields=FIELDS)
def test_key_order_does_not_matter(fields: dict[str, Any]) -> None:
    turned = dict(reversed(fields.items()))
    assert digest(canonical(fields)) == digest(canonical(turned))

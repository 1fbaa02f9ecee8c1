"""What kinds of values properties have."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.people.inference import MOST_SAMPLES, Kind, Property, Seen
from feedd.store.columns import texts_of

VALUES = st.text(max_size=4) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()  # fmt: skip


def seen(*values: Any) -> Property | None:
    found = Seen(10)
    for value in values:
        found.add({"p": value})
    return next(iter(found.properties()), None)


@pytest.mark.parametrize(
    ("values", "kind", "samples"),
    [
        (["a", "b", "a"], Kind.TEXT, ("a", "b")),
        (["5", "6"], Kind.TEXT, ("5", "6")),
        ([5, 5.0, 6.5], Kind.NUMBER, (5, 6.5)),
        ([True, 1], Kind.TEXT, (True, 1)),
        ([True, False, True], Kind.BOOLEAN, (True, False)),
        (["2026-01-31", "2026-01-31T10:00:00Z"], Kind.DATE, ("2026-01-31", "2026-01-31T10:00:00Z")),
        (["2026-01-32"], Kind.TEXT, ("2026-01-32",)),
        (["2026-01-31", "soon"], Kind.TEXT, ("2026-01-31", "soon")),
        ([["a", 1], ["b", {"x": 1}, None]], Kind.LIST, ("a", 1, "b")),
        ([[]], Kind.LIST, ()),
        (["a", None, ""], Kind.TEXT, ("a",)),
        (["x" * 257], Kind.TEXT, ()),
    ],
)
def test_a_kind_is_told_from_values(values: list[Any], kind: Kind, samples: tuple[Any, ...]) -> None:  # fmt: skip
    assert seen(*values) == Property(name="p", kind=kind, samples=samples)


def test_what_has_no_values_is_no_property() -> None:
    assert seen({"x": 1}, None, "") is None
    found = Seen(10)
    found.add({"$extra": "text"})
    assert found.properties() == []


def test_properties_and_samples_are_bounded() -> None:
    found = Seen(2)
    for n in range(20):
        found.add({"b": n, "a": n})
        found.add({f"p{n}": n})
    assert [each.name for each in found.properties()] == ["a", "b"]
    assert all(len(each.samples) == MOST_SAMPLES for each in found.properties())


@pytest.mark.parametrize(
    ("texts", "is_list", "kind", "samples"),
    [
        (["", "5", "6.5", "1e-07"], False, Kind.NUMBER, (5, 6.5, 1e-07)),
        (["true", "false"], False, Kind.BOOLEAN, (True, False)),
        (["2026-01-31"], False, Kind.DATE, ("2026-01-31",)),
        (["5", "a"], False, Kind.TEXT, ("5", "a")),
        (["5", "6"], True, Kind.LIST, ("5", "6")),
    ],
)
def test_a_kind_is_told_from_texts(texts: list[str], is_list: bool, kind: Kind, samples: Any) -> None:  # fmt: skip
    found = Seen(10)
    found.add_texts("p", texts, is_list=is_list)
    assert found.properties() == [Property(name="p", kind=kind, samples=samples)]


@given(st.lists(st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False), min_size=1))  # fmt: skip
def test_texts_tell_of_numbers_and_booleans_what_values_do(values: list[Any]) -> None:
    by_values, by_texts = Seen(1), Seen(1)
    for value in values:
        by_values.add({"p": value})
    by_texts.add_texts("p", [text for value in values for text in texts_of(value)], is_list=False)
    (plain,), (told,) = by_values.properties(), by_texts.properties()
    assert told.kind is plain.kind

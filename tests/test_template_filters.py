"""What every filter keeps to, whatever it is given; what single ones do at their edges."""

import copy
import inspect
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from django.utils import timezone as django_timezone
from django.utils import translation
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st
from templating import message

from feedd.templates.bounded import LARGEST, MAX_ITEMS, MAX_TEXT
from feedd.templates.failures import TooMuch
from feedd.templates.library import build

LIBRARY = build()
FILTERS = sorted(LIBRARY.filters)

ODD_TEXTS = (
    "", " ", "0", "-1", "5", "1e400", "nan", "999999999999", "2026-03-31", "02/30/2026", "a.b.c", "_x", "x|y", "k", "k=v",
    "k>2", "<b>&amp;</b>", "s", "999999999d", "*d", "(k)s", ":2", "::0", "[a", "(a+)+$", "\\s+", "a|b", "javascript:alert(1)",
    "//x", "\ud800", "\0", "9" * 5000, "gu", "a" * 500,
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    *ODD_TEXTS, *map(mark_safe, ODD_TEXTS[20:27]), None, True, False, 0, 1, -7, 10**400, -(10**400), 2**63, 10**307, 999999999,
    0.5, -0.0, 1e308, math.inf, -math.inf, math.nan, Decimal("1.50"), Decimal("NaN"), date(2026, 3, 31), time(12),
    datetime(2026, 3, 31, tzinfo=UTC).replace(tzinfo=None), datetime(2026, 3, 31, tzinfo=UTC), datetime.min.replace(tzinfo=UTC), date.min,
    datetime.max.replace(tzinfo=UTC), datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-5))), timedelta(days=3),
    [], {}, (), [None], [1, "a", None, 2.5, True, [1], {"k": 1}], [[1, [2, [3]]], [[]]], {"k": "v", "0": {"k": [1]}, "items": 1},
    [{"k": 1}, {"k": "b"}, {"k": None}, {}], ["b", "A", "10", "9"], [math.nan, math.inf, 10**400], (1, 2), [{"k": {"v": 1}}] * 3,
)  # fmt: skip

scalars = st.one_of(
    st.sampled_from(ODD_VALUES),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.datetimes(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["k", "v", "a b", "name", "0"]), inner, max_size=3),
    ),
    max_leaves=6,
)


@cache
def about() -> Any:
    return message(locale="de-DE", timezone="Europe/Berlin")


@cache
def arguments(name: str) -> range:
    """How many arguments a filter may have."""
    spec = inspect.getfullargspec(inspect.unwrap(LIBRARY.filters[name]))
    most = len(spec.args) - 1 - ("autoescape" in spec.args)
    least = most - (len(spec.defaults or ()) - ("autoescape" in spec.args))
    return range(least, most + 1)


def applied(name: str, value: Any, args: tuple[Any, ...], *, autoescape: bool = True) -> Any:
    function = LIBRARY.filters[name]
    more: dict[str, Any] = {}
    if getattr(function, "needs_autoescape", False):
        more["autoescape"] = autoescape
    if getattr(function, "needs_message", False):
        more["message"] = about()
    try:
        return function(value, *args, **more)
    except TooMuch:
        return None


def is_bounded(result: Any) -> bool:
    if isinstance(result, str):
        return len(result) <= MAX_TEXT
    if isinstance(result, int):
        return -LARGEST < result < LARGEST
    return not isinstance(result, list) or len(result) <= MAX_ITEMS


@pytest.fixture(autouse=True, scope="module")
def _account() -> Iterator[None]:
    with translation.override("de-de"), django_timezone.override(about().now.tzinfo):
        yield


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_gives_something_bounded_and_changes_nothing(name: str) -> None:
    given = copy.deepcopy(ODD_VALUES)
    for value in given:
        for args in [(arg,) for arg in given] if 1 in arguments(name) else [()]:
            assert is_bounded(applied(name, value, args))
        if 0 in arguments(name):
            assert is_bounded(applied(name, value, (), autoescape=False))
    assert repr(given) == repr(ODD_VALUES)


@given(
    value=values,
    steps=st.lists(
        st.tuples(st.sampled_from(FILTERS), values, st.booleans()), min_size=1, max_size=4
    ),
)
def test_filters_one_after_the_other_stay_bounded(
    value: Any, steps: list[tuple[str, Any, bool]]
) -> None:
    for name, arg, autoescape in steps:
        before = repr((value, arg))
        args = (arg,) if 1 in arguments(name) else ()
        result = applied(name, value, args, autoescape=autoescape)
        assert is_bounded(result)
        assert repr((value, arg)) == before
        value = result

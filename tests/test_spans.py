"""Bounds in time."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.people.spans import Span, span_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
AT = int(NOON.timestamp())
HOLDS: dict[str, Any] = {
    "greater-than": lambda at, moment: at > moment,
    "greater-or-equal": lambda at, moment: at >= moment,
    "less-than": lambda at, moment: at < moment,
    "less-or-equal": lambda at, moment: at <= moment,
}
MOMENTS = st.builds(lambda us: NOON + timedelta(microseconds=us), st.integers(-3_000_000, 3_000_000))  # fmt: skip


@pytest.mark.parametrize(
    ("bounds", "span"),
    [
        ([], Span(None, None)),
        ([("greater-or-equal", NOON)], Span(AT, None)),
        ([("greater-than", NOON)], Span(AT + 1, None)),
        ([("less-than", NOON)], Span(None, AT)),
        ([("less-or-equal", NOON)], Span(None, AT + 1)),
        ([("greater-or-equal", NOON.astimezone(timezone(timedelta(hours=5))))], Span(AT, None)),
        ([("greater-than", -1e300), ("less-than", 10**30)], Span(-(2**40) + 1, 2**40)),
        ([("greater-than", AT - 5), ("greater-than", AT), ("less-than", AT + 9.5)], Span(AT + 1, AT + 10)),
    ],
)  # fmt: skip
def test_bounds_become_seconds(bounds: Any, span: Span) -> None:
    assert span_of(bounds) == span


@given(st.lists(st.tuples(st.sampled_from(sorted(HOLDS)), MOMENTS), max_size=4), st.booleans())
def test_a_second_is_in_the_span_if_every_bound_holds(bounds: Any, as_numbers: bool) -> None:
    given_ = [(operator, moment.timestamp()) for operator, moment in bounds] if as_numbers else bounds  # fmt: skip
    span = span_of(given_)
    for at in range(AT - 5, AT + 6):
        moment = datetime.fromtimestamp(at, UTC)
        inside = (span.since is None or at >= span.since) and (span.before is None or at < span.before)  # fmt: skip
        assert inside == all(HOLDS[operator](moment, bound) for operator, bound in bounds)
        assert not (inside and span.is_empty())

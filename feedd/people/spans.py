"""From when to when: bounds in time as filters give them, in whole seconds. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_FAR_S = 2**40  # 34,000 years: no moment is that far, and every database takes it


class Span(NamedTuple):
    """Unix seconds, `since` with it and `before` without; None where it is open."""

    since: int | None = None
    before: int | None = None

    def is_empty(self) -> bool:
        """Whether no time is in it."""
        return self.since is not None and self.before is not None and self.since >= self.before


def span_of(bounds: Iterable[tuple[str, datetime | float]]) -> Span:
    """The time that all of some bounds leave: `greater-than`, `greater-or-equal`, `less-than`, `less-or-equal` and a moment.

    A moment is an aware datetime or Unix seconds. What happens is known to the second: later than 12:00:00.5 is 12:00:01 and after.
    """
    since: int | None = None
    before: int | None = None
    for operator, moment in bounds:
        second, is_whole = _second_of(moment)
        # the first second that is not before the moment, and the first that is after it
        at, after = (second if is_whole else second + 1), second + 1
        if operator in ("greater-or-equal", "greater-than"):
            bound = at if operator == "greater-or-equal" else after
            since = bound if since is None else max(since, bound)
        else:
            bound = at if operator == "less-than" else after
            before = bound if before is None else min(before, bound)
    return Span(since, before)


def _second_of(moment: datetime | float) -> tuple[int, bool]:
    """The second that a moment lies in, and whether it is where that begins."""
    if isinstance(moment, datetime):
        return (moment - _EPOCH) // _SECOND, moment.microsecond == 0
    near = min(max(moment, -_FAR_S), _FAR_S)
    return int(near // 1), near % 1 == 0

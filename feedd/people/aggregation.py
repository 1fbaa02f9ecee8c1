"""What can be asked of the events of a metric, and the answer. Pure."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Interval(StrEnum):
    """What events are counted by."""

    ALL = "all"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Measure(StrEnum):
    """What is counted of them."""

    COUNT = "count"
    UNIQUE = "unique"  # different profiles
    SUM = "sum"  # of their values


class Question(Struct, frozen=True, kw_only=True):
    """What is to be counted. Times are Unix seconds, `before` is not with it; null is from the first event, to the last.

    `by` are names of properties whose values make groups; `where` are a name and a value that events must have, all of them, and
    `among` a name and values of which they must have one. An event with several values of a property is in the group of each, and
    has each. Values are compared as texts: 5 is "5" and 5.0, true is "true", and what is absent is "". `summed` is a property whose
    numbers are added up in place of the values of events; of a list, each different one is.

    Groups are sorted by `sort`, a measure (the first one if null) or one of `by`; those with the most, or the last texts, first
    unless `ascending`. The first `skip` are left out, and the next told up to `limit`.
    """

    metric: int  # the number of its row
    measures: tuple[Measure, ...] = (Measure.COUNT,)
    interval: Interval = Interval.DAY
    zone: str = "UTC"
    since: int | None = None
    before: int | None = None
    by: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    among: tuple[tuple[str, tuple[str, ...]], ...] = ()
    summed: str | None = None
    sort: Measure | str | None = None
    ascending: bool = False
    skip: int = 0
    limit: int = 500

    def properties(self) -> tuple[str, ...]:
        """The names of the properties that are looked at, each once."""
        where = (name for name, _ in (*self.where, *self.among))
        summed = () if self.summed is None else (self.summed,)
        return tuple(dict.fromkeys((*self.by, *where, *summed)))


class Group(Struct, frozen=True, kw_only=True):
    """What was counted of one group: a number for each interval, by measure.

    `dimensions` are its values of the properties asked `by`, in their order; "" where events have none.
    """

    dimensions: tuple[str, ...]
    values: dict[Measure, list[float]]
    totals: dict[Measure, float]


class Answer(Struct, frozen=True, kw_only=True):
    """What was counted. `dates` are the begins of the intervals, in the zone asked for; the first may lie before `since`.

    Without `by` there is one group, without dimensions. Totals are of the whole time, of a group or of all events: there an event
    counts once however many groups it is in, and `unique` is of different profiles in all of it, not the sum of the intervals.
    `left_out` is how many groups follow those that are told.
    """

    dates: list[datetime]
    groups: list[Group]
    totals: dict[Measure, float]
    left_out: int = 0

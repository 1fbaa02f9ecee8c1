"""Hours, days, weeks and months of a time zone, as stretches of real time. Pure."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from feedd.errors import UsageError
from feedd.people.aggregation import Interval

MOST_INTERVALS = 10_000  # hours of a year, days of 27 years
_YEARS = (2, 9_998)  # beyond them calendars end, in some zone or other
_HOUR_S = 3_600
_DAY = timedelta(days=1)


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises:
        UsageError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"there is no time zone {name!r}",
            code="invalid_timezone",
            hint="Names are those of the IANA database, such as Europe/Berlin",
        ) from error


def borders(since: int, before: int, interval: Interval, zone: ZoneInfo) -> list[int]:
    """Where the intervals that a time touches begin, in Unix seconds, and `before` at the end.

    The first one may have begun before `since`. A day (week, month) begins at the first moment when clocks show its date, an hour
    when they show a full hour or, because they were changed, another one; so all time belongs to one interval, and a day has 23
    hours or 25 when clocks are changed. Weeks begin on Monday. A day that a zone has left out is none.

    Raises:
        UsageError: there are too many of them, or they are of no year that a calendar has.
    """
    if since >= before:
        return [before]
    check_years(since, before)
    found: list[int] = []
    for start in _STARTS[interval](since, zone):
        if start >= before:
            break
        if not found or start > found[-1]:
            found.append(start)
        if len(found) > MOST_INTERVALS:
            raise UsageError(
                f"there are more than {MOST_INTERVALS:,} intervals between the two times",
                code="invalid_interval",
                hint="Choose a longer interval or a shorter time",
            )
    return [*found, before]


def check_years(since: int, before: int) -> None:
    """Raise UsageError where a time begins too long ago, or ends too far ahead, to be told as dates."""
    first, last = _YEARS
    least, most = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (first, last + 1))
    if since < least or before > most:
        raise UsageError(
            f"the time does not lie in the years {first} to {last}", code="invalid_interval"
        )


def _all(since: int, _zone: ZoneInfo) -> Iterator[int]:
    yield since


def _days(since: int, zone: ZoneInfo) -> Iterator[int]:
    return _dates(since, zone, lambda day: day, lambda day: day + _DAY)


def _weeks(since: int, zone: ZoneInfo) -> Iterator[int]:
    return _dates(since, zone, lambda day: day - day.weekday() * _DAY, lambda day: day + 7 * _DAY)


def _months(since: int, zone: ZoneInfo) -> Iterator[int]:
    return _dates(
        since,
        zone,
        lambda day: day.replace(day=1),
        lambda day: (day.replace(day=1) + 31 * _DAY).replace(day=1),
    )


def _dates(
    since: int, zone: ZoneInfo, first: Callable[[date], date], following: Callable[[date], date]
) -> Iterator[int]:
    day = first(datetime.fromtimestamp(since, zone).date())
    while True:
        start = _first_moment(day, zone)
        day = following(day)
        if _first_moment(day, zone) > since:  # clocks that were set back show a date twice
            yield start


def _first_moment(day: date, zone: ZoneInfo) -> int:
    """The first moment of a date, in Unix seconds."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    start, other = int(midnight.timestamp()), int(midnight.replace(fold=1).timestamp())
    if start <= other:  # fold=0 is the first of two midnights
        return start
    # clocks were set forward over midnight, between these two moments
    return _change(other, start, zone)


def _hours(since: int, zone: ZoneInfo) -> Iterator[int]:
    # from the day's begin on, as what came before it may decide where hours begin
    moment = next(_days(since, zone))
    last: int | None = None
    for start in _hours_from(moment, zone):
        if start > since and last is not None and last <= since:
            yield last
        if start > since:
            yield start
        last = start


def _hours_from(moment: int, zone: ZoneInfo) -> Iterator[int]:
    yield moment
    while True:
        now = datetime.fromtimestamp(moment, zone)
        following = moment + _HOUR_S - now.minute * 60 - now.second
        if _offset(following, zone) != _offset(moment, zone):
            changed = _change(moment, following, zone)
            then = datetime.fromtimestamp(changed, zone)
            full = then.minute == then.second == 0
            moment = changed
            if not full and (then.date(), then.hour) == (now.date(), now.hour):
                continue
        else:
            moment = following
        yield moment


def _change(before: int, after: int, zone: ZoneInfo) -> int:
    """The first moment after `before` at which clocks go as they do at `after`."""
    offset = _offset(after, zone)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(middle, zone) == offset:
            after = middle
        else:
            before = middle
    return after


def _offset(moment: int, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(moment, zone).utcoffset()


_STARTS: dict[Interval, Callable[[int, ZoneInfo], Iterator[int]]] = {
    Interval.ALL: _all,
    Interval.HOUR: _hours,
    Interval.DAY: _days,
    Interval.WEEK: _weeks,
    Interval.MONTH: _months,
}

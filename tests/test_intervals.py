"""Hours, days, weeks and months, wherever clocks are changed."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.errors import UsageError
from feedd.people.aggregation import Interval
from feedd.people.intervals import borders, zone_of

# half an hour of summer time, changes at midnight, at a minute past it, a day left out, none at all
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Pacific/Apia",
    "Pacific/Chatham",
    "America/Havana",
    "Africa/Casablanca",
)
MINUTE = 60


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def shown(since: str, before: str, interval: Interval, zone: str) -> list[str]:
    found = borders(moment(since), moment(before), interval, ZoneInfo(zone))
    return [datetime.fromtimestamp(start, ZoneInfo(zone)).isoformat() for start in found[:-1]]


@pytest.mark.parametrize(
    ("since", "before", "interval", "zone", "expected"),
    [
        (
            "2026-03-28T12:00+01:00",
            "2026-03-30T12:00+02:00",
            Interval.DAY,
            "Europe/Berlin",
            ["2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"],
        ),
        (
            "2026-10-25T01:10+02:00",
            "2026-10-25T04:00+01:00",
            Interval.HOUR,
            "Europe/Berlin",
            [
                "2026-10-25T01:00:00+02:00",
                "2026-10-25T02:00:00+02:00",
                "2026-10-25T02:00:00+01:00",
                "2026-10-25T03:00:00+01:00",
            ],
        ),
        (  # clocks go back by half an hour: one hour is longer
            "2026-04-05T01:00+11:00",
            "2026-04-05T03:00+10:30",
            Interval.HOUR,
            "Australia/Lord_Howe",
            ["2026-04-05T01:00:00+11:00", "2026-04-05T02:00:00+10:30"],
        ),
        (  # they go forward by half an hour: one hour is shorter
            "2026-10-04T01:00+10:30",
            "2026-10-04T04:00+11:00",
            Interval.HOUR,
            "Australia/Lord_Howe",
            [
                "2026-10-04T01:00:00+10:30",
                "2026-10-04T02:30:00+11:00",
                "2026-10-04T03:00:00+11:00",
            ],
        ),
        (  # a day without a midnight
            "2018-11-03T12:00-03:00",
            "2018-11-04T12:00-02:00",
            Interval.DAY,
            "America/Sao_Paulo",
            ["2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00"],
        ),
        (  # a day that was left out
            "2011-12-29T12:00-10:00",
            "2011-12-31T12:00+14:00",
            Interval.DAY,
            "Pacific/Apia",
            ["2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"],
        ),
        (
            "2026-01-01T00:00Z",
            "2026-01-12T00:00Z",
            Interval.WEEK,
            "UTC",
            ["2025-12-29T00:00:00+00:00", "2026-01-05T00:00:00+00:00"],
        ),
        (
            "2025-12-31T23:30Z",
            "2026-02-01T00:30Z",
            Interval.MONTH,
            "Europe/Berlin",
            ["2026-01-01T00:00:00+01:00", "2026-02-01T00:00:00+01:00"],
        ),
        (
            "2026-01-01T00:07Z",
            "2026-02-01T00:30Z",
            Interval.ALL,
            "UTC",
            ["2026-01-01T00:07:00+00:00"],
        ),
        ("2026-01-01T00:07Z", "2026-01-01T00:07Z", Interval.DAY, "UTC", []),
    ],
)
def test_intervals_begin_where_the_clocks_of_a_zone_say(
    since: str, before: str, interval: Interval, zone: str, expected: list[str]
) -> None:
    assert shown(since, before, interval, zone) == expected


def label(at: int, interval: Interval, zone: ZoneInfo) -> tuple[int, ...]:
    local = datetime.fromtimestamp(at, zone)
    if interval is Interval.HOUR:
        return (*local.timetuple()[:4],)
    if interval is Interval.DAY:
        return (*local.timetuple()[:3],)
    return (*local.isocalendar()[:2],) if interval is Interval.WEEK else (local.year, local.month)


@given(
    zone=st.sampled_from(ZONES),
    interval=st.sampled_from([Interval.HOUR, Interval.DAY, Interval.WEEK, Interval.MONTH]),
    start=st.integers(moment("1995-01-01T00:00Z"), moment("2027-01-01T00:00Z")),
    length=st.integers(1, 40 * 24 * 60),
)
def test_intervals_begin_where_another_one_is_shown_first(
    zone: str, interval: Interval, start: int, length: int
) -> None:
    rules = ZoneInfo(zone)
    before = start + length * MINUTE
    found = borders(start, before, interval, rules)
    assert found == sorted(set(found))
    assert found[0] <= start < found[1]
    assert found[-1] == before
    for first in found[:-1]:
        clock = datetime.fromtimestamp(first, rules)
        full_hour = clock.minute == clock.second == 0
        assert label(first - 1, interval, rules) != label(first, interval, rules) or (
            interval is Interval.HOUR and full_hour
        )
    # what is shown never grows within an interval
    for at in range(found[0] // MINUTE * MINUTE + MINUTE, before, 17 * MINUTE):
        began = max(n for n in found if n <= at)
        assert label(at, interval, rules) <= label(began, interval, rules)


def test_a_zone_that_is_none_is_named() -> None:
    for name in ("Europe/Atlantis", "../etc/passwd", "", "\0"):
        with pytest.raises(UsageError, match="there is no time zone"):
            zone_of(name)


@pytest.mark.parametrize("interval", list(Interval))
def test_years_without_a_calendar_are_refused(interval: Interval) -> None:
    for first in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 1, tzinfo=UTC)):
        since = int(first.timestamp())
        with pytest.raises(UsageError, match="years 2 to 9998"):
            borders(since, since + 86_400, interval, ZoneInfo("Pacific/Kiritimati"))


def test_too_many_intervals_are_refused() -> None:
    with pytest.raises(UsageError, match="more than 10,000 intervals"):
        borders(
            0, int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()), Interval.HOUR, ZoneInfo("UTC")
        )

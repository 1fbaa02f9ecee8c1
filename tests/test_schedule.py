"""When feeds are due, and that the clockwork calls at that time."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedd.cron import ALIASES, check_cron, parse_cron
from feedd.schedule import Scheduler, next_due

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
_YEARS = [datetime(year, 1, 1) for year in (2020, 2030)]  # noqa: DTZ001 the strategy adds the zone
MOMENTS = st.datetimes(*_YEARS, timezones=st.just(UTC))
SECONDS = st.floats(1, 1e6)
CRONS = st.sampled_from(["*/15 * * * *", "30 2 * * *", "0 0 1 * mon", "@weekly", "7 7 29 2 *"])


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def due(**changed: object) -> datetime:
    state: dict[str, object] = {
        "every_s": 900.0,
        "cron": None,
        "timezone": "UTC",
        "jitter_s": 0.0,
        "feed_name": "shop",
        "last_started": NOW - timedelta(seconds=60),
        "max_age_until": None,
        "retry_at": None,
        "now": NOW,
    }
    return next_due(**(state | changed))  # type: ignore[arg-type]


def after(last: str, cron: str, timezone: str = "UTC") -> datetime:
    """The first time of a cron expression after a sync."""
    return due(every_s=None, cron=cron, timezone=timezone, last_started=at(last), now=at(last))


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def test_a_feed_that_was_never_synced_is_due_now():
    assert due(last_started=None) == NOW
    assert due(last_started=None, every_s=None, cron="0 0 1 1 *") == NOW


def test_a_feed_is_due_an_interval_after_its_last_start():
    assert due() == NOW + minutes(14)


def test_an_overdue_feed_is_due_now_and_once():
    assert due(last_started=NOW - timedelta(days=30)) == NOW
    assert due(last_started=NOW) == NOW + minutes(15)


@pytest.mark.parametrize(
    ("max_age_min", "due_min"), [(5, 14), (14, 14), (20, 20), (29, 29), (30, 29), (10_000, 29)]
)
def test_max_age_delays_by_one_interval_at_most(max_age_min: int, due_min: int):
    assert due(max_age_until=NOW + minutes(max_age_min)) == NOW + minutes(due_min)


def test_max_age_makes_a_cron_feed_miss_one_time_at_most():
    state = {"every_s": None, "cron": "*/15 * * * *", "last_started": NOW}
    assert due(**state) == NOW + minutes(15)
    assert due(**state, max_age_until=NOW + minutes(16)) == NOW + minutes(30)
    assert due(**state, max_age_until=NOW + minutes(600)) == NOW + minutes(30)


def test_retry_after_delays_as_long_as_it_asks():
    assert due(retry_at=NOW + minutes(5)) == NOW + minutes(14)
    assert due(retry_at=NOW + minutes(300)) == NOW + minutes(300)


@pytest.mark.parametrize(
    ("failures", "due_min"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 15), (90, 15)]
)
def test_a_feed_that_failed_is_tried_again_soon_and_then_less_soon(failures: int, due_min: int):
    assert due(failures=failures, last_started=NOW) == NOW + minutes(due_min)


def test_a_failed_cron_feed_is_tried_before_its_next_time():
    assert due(every_s=None, cron="0 6 * * *", failures=1, last_started=NOW) == NOW + minutes(1)


def test_retry_after_counts_more_than_trying_again_soon():
    assert due(failures=1, last_started=NOW, retry_at=NOW + minutes(40)) == NOW + minutes(40)


def test_a_clock_that_was_set_back_costs_no_day():
    assert due(last_started=NOW + timedelta(days=1), retry_at=NOW + timedelta(days=2)) == NOW
    assert due(last_started=NOW + timedelta(seconds=5)) == NOW + timedelta(seconds=905)


def test_first_fetches_are_spread_and_do_not_recede():
    names = [f"feed-{n}" for n in range(50)]
    spread = [due(last_started=None, jitter_s=600.0, feed_name=name) for name in names]
    assert len(set(spread)) == 50
    assert all(NOW <= moment < NOW + minutes(10) for moment in spread)
    for name, moment in zip(names, spread, strict=True):
        half = NOW + (moment - NOW) / 2
        again = due(last_started=None, jitter_s=600.0, feed_name=name, now=half)
        assert abs(again - moment) < timedelta(milliseconds=1)


@given(
    last=st.none() | MOMENTS,
    every=st.none() | SECONDS,
    cron=CRONS,
    jitter=st.just(0.0) | SECONDS,
    max_age=st.none() | MOMENTS,
    retry=st.none() | MOMENTS,
    now=MOMENTS,
    later=st.floats(0, 1e6),
)
@settings(max_examples=150, deadline=None)
def test_due_times_are_never_past_never_recede_and_need_no_memory(
    last: datetime | None,
    every: float | None,
    cron: str,
    jitter: float,
    max_age: datetime | None,
    retry: datetime | None,
    now: datetime,
    later: float,
):
    state = {
        "every_s": every,
        "cron": None if every else cron,
        "timezone": "Europe/Berlin",
        "jitter_s": jitter,
        "last_started": last,
        "max_age_until": max_age,
        "retry_at": retry,
    }
    first = due(**state, now=now)
    assert first >= now
    assert due(**state, now=now) == first
    assert due(**state, now=now + timedelta(seconds=later)) >= first - timedelta(milliseconds=1)
    if last is not None and first > now:  # asked again on the way there, it is the same moment
        assert due(**state, now=now + (first - now) / 2) == first


@pytest.mark.parametrize(
    ("cron", "last", "expected"),
    [
        ("*/15 * * * *", "2026-03-10T12:00:00", "2026-03-10T12:15:00"),
        ("*/15 * * * *", "2026-03-10T12:14:59.5", "2026-03-10T12:15:00"),
        ("@hourly", "2026-03-10T12:00:00", "2026-03-10T13:00:00"),
        ("@daily", "2026-03-10T12:00:00", "2026-03-11T00:00:00"),
        ("0 6 * * 0", "2026-03-10T12:00:00", "2026-03-15T06:00:00"),  # 0 and 7 are Sunday
        ("0 6 * * 7", "2026-03-10T12:00:00", "2026-03-15T06:00:00"),
        ("0 6 * * 1", "2026-03-10T12:00:00", "2026-03-16T06:00:00"),
        ("0 6 * * sun", "2026-03-10T12:00:00", "2026-03-15T06:00:00"),
        ("0 6 * * 5-7", "2026-03-10T12:00:00", "2026-03-13T06:00:00"),
        ("0 6 * * sat-mon", "2026-03-10T12:00:00", "2026-03-14T06:00:00"),
        (
            "0 6 * * */3",
            "2026-03-10T12:00:00",
            "2026-03-11T06:00:00",
        ),  # Sunday, Wednesday, Saturday
        ("0 6 * * 1,3", "2026-03-10T12:00:00", "2026-03-11T06:00:00"),
        ("0 6 20 * 3", "2026-03-10T12:00:00", "2026-03-11T06:00:00"),  # either day is enough
        ("0 6 */2 * 3", "2026-03-11T12:00:00", "2026-03-25T06:00:00"),  # both: a star begins one
        ("0 0 29 2 *", "2026-03-10T12:00:00", "2028-02-29T00:00:00"),
        ("5/20 0 1 jan-mar *", "2026-03-10T12:00:00", "2027-01-01T00:05:00"),
    ],
)
def test_a_cron_feed_is_due_at_the_next_time_that_is_named(cron: str, last: str, expected: str):
    assert after(last, cron) == at(expected)


def test_cron_times_are_those_of_the_time_zone():
    assert after("2026-03-10T12:00:00", "0 6 * * *", "Asia/Jerusalem") == at("2026-03-11T04:00:00")


def test_an_hour_that_comes_twice_counts_once():
    first = after("2026-10-24T12:00:00", "30 2 * * *", "Europe/Berlin")
    assert first == at("2026-10-25T00:30:00")
    assert after("2026-10-25T00:30:00", "30 2 * * *", "Europe/Berlin") == at("2026-10-26T01:30:00")
    assert after("2026-10-25T00:30:00", "*/30 * * * *", "Europe/Berlin") == at(
        "2026-10-25T01:00:00"
    )


def test_an_hour_that_is_left_out_comes_an_hour_later_by_the_clock():
    assert after("2026-03-28T12:00:00", "30 2 * * *", "Europe/Berlin") == at("2026-03-29T01:30:00")
    assert after("2026-03-29T01:30:00", "30 2 * * *", "Europe/Berlin") == at("2026-03-30T00:30:00")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "0 fields"),
        ("* * * *", "4 fields, not five"),
        ("0 * * * * *", "6 fields, not five"),
        ("@reboot", "@hourly"),
        ("60 * * * *", "0 to 59"),
        ("* 24 * * *", "0 to 23"),
        ("* * 0 * *", "1 to 31"),
        ("* * * 13 *", "1 to 12, or jan to dec"),
        ("* * * * 8", "0 to 7, or sun to sat"),
        ("* * * foo *", "'foo' is not a month"),
        ("*/0 * * * *", "step"),
        ("30-10 * * * *", "backwards"),
        ("* * L * ?", "is not a day of month"),
        ("* * * * mon#1", "is not a day of week"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6 *", "never comes"),
        ("١ * * * *", "is not a minute"),
    ],
)
def test_a_wrong_cron_expression_is_told_what_is_wrong(text: str, says: str):
    assert says in (check_cron(text, "UTC") or "")


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "a\0b", "x" * 9999]
)
def test_a_wrong_time_zone_is_told_so(zone: str):
    assert "time zone" in (check_cron("@daily", zone) or "")


def test_what_is_right_has_no_problem():
    for text in (*ALIASES, "0 0 30 2 mon", "*/59 0-23/5 1-31 JAN-Dec Mon"):
        assert check_cron(text, "America/New_York") is None


@given(st.text(alphabet="0123456789*/,-@ monjanLW#?", max_size=30))
@settings(max_examples=200)
def test_any_text_is_a_cron_expression_or_a_problem(text: str):
    try:
        cron = parse_cron(text)
    except ValueError:
        return
    assert cron.minutes <= set(range(60))
    assert after("2026-03-10T12:00:00", text) > at("2026-03-10T12:00:00")


class Calls:
    """Counts what the scheduler calls."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.came = threading.Event()

    def __call__(self, name: str) -> None:
        self.names.append(name)
        self.came.set()


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def scheduler():
    made = Scheduler(tick_s=3600)
    made.start()
    yield made
    made.stop()


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_a_feed_is_called_once_when_it_is_due(scheduler: Scheduler, calls: Calls):
    scheduler.set("shop", soon(0.1), calls)
    assert calls.came.wait(5)
    time.sleep(0.2)
    assert calls.names == ["shop"]


def test_a_time_long_past_is_called_at_once(scheduler: Scheduler, calls: Calls):
    scheduler.set("shop", soon(-86_400), calls)
    assert calls.came.wait(5)


def test_a_new_time_takes_the_place_of_the_old_one(scheduler: Scheduler, calls: Calls):
    scheduler.set("shop", soon(0.1), calls)
    scheduler.set("shop", soon(0.3), calls)
    time.sleep(0.6)
    assert calls.names == ["shop"]


def test_a_removed_feed_is_not_called(scheduler: Scheduler, calls: Calls):
    scheduler.set("shop", soon(0.1), calls)
    scheduler.remove("shop")
    scheduler.remove("nothing")
    time.sleep(0.3)
    assert calls.names == []


def test_what_is_called_may_set_its_next_time(scheduler: Scheduler):
    times = threading.Semaphore(0)

    def run(name: str) -> None:
        scheduler.set(name, soon(0.05), run)
        times.release()

    scheduler.set("shop", soon(0), run)
    assert all(times.acquire(timeout=5) for _ in range(3))


def test_due_times_are_worked_out_anew_each_tick():
    ticked = threading.Event()
    scheduler = Scheduler(on_tick=ticked.set, tick_s=0.05)
    scheduler.start()
    try:
        assert ticked.wait(5)
        ticked.clear()
        assert ticked.wait(5)
    finally:
        scheduler.stop()


def test_a_tick_that_fails_does_not_end_the_ticking():
    counted = threading.Semaphore(0)

    def tick() -> None:
        counted.release()
        raise RuntimeError("a bug")

    scheduler = Scheduler(on_tick=tick, tick_s=0.05)
    scheduler.start()
    try:
        assert all(counted.acquire(timeout=5) for _ in range(2))
    finally:
        scheduler.stop()


def test_after_stop_nothing_is_called(calls: Calls):
    scheduler = Scheduler(tick_s=3600)
    scheduler.start()
    scheduler.set("shop", soon(0.2), calls)
    scheduler.stop()
    scheduler.set("shop", soon(0), calls)
    time.sleep(0.4)
    assert calls.names == []


def test_a_scheduler_that_never_started_can_be_stopped():
    Scheduler().stop()

"""Alerts: told once when a state begins, once when it ends, and in between by the clock."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.alerts import Alert, Rules, Sight, Watch, alert_message, judge
from feedd.model import ErrorInfo
from feedd.schedule import stale_at

START = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
NEVER = START + timedelta(days=999)
RULES = Rules(failures=3, failing_s=None, repeat_s=86_400)
FRESH = Watch(feed="shop", watched_at=START)


def sight(**more: Any) -> Sight:
    values: dict[str, Any] = {
        "feed": "shop",
        "failures": 0,
        "held_removals": 0,
        "items": 5,
        "last_sync": START,
        "last_success": START,
        "stale_at": NEVER,
        "error": None,
    }
    return Sight(**(values | more))


def after(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def told(alerts: list[Alert]) -> list[tuple[str, str, bool]]:
    return [(alert.type, alert.alert, alert.reminder) for alert in alerts]


def test_a_feed_that_fails_is_told_once_and_once_when_it_is_well() -> None:
    watch, alerts = judge(FRESH, sight(failures=2), RULES, after(1))
    assert alerts == []
    error = ErrorInfo(code="timeout", message="the server did not answer in time")
    watch, alerts = judge(watch, sight(failures=3, error=error), RULES, after(2))
    assert told(alerts) == [("feed.failing", "failing", False)]
    assert alerts[0].message == (
        "feed shop failed 3 times in a row: the server did not answer in time"
    )
    assert alerts[0].since == START  # when the first of those syncs began
    for failures in (3, 4, 50):
        watch, alerts = judge(watch, sight(failures=failures), RULES, after(3))
        assert alerts == []
    watch, alerts = judge(watch, sight(), RULES, after(4))
    assert told(alerts) == [("feed.recovered", "failing", False)]
    assert judge(watch, sight(), RULES, after(5)) == (watch, [])


def test_a_reminder_comes_by_the_clock() -> None:
    watch, _ = judge(FRESH, sight(failures=3), RULES, START)
    day = 24 * 60
    for minutes, expected in ((day - 1, 0), (day, 1), (day + 1, 0), (2 * day, 1)):
        watch, alerts = judge(watch, sight(failures=9), RULES, after(minutes))
        assert len(alerts) == expected
        assert all(alert.reminder for alert in alerts)
    never = Rules(failures=3, failing_s=None, repeat_s=0)
    assert judge(watch, sight(failures=9), never, after(900 * day))[1] == []


def test_failing_may_be_a_matter_of_time() -> None:
    rules = Rules(failures=None, failing_s=3600, repeat_s=86_400)
    watch, alerts = judge(FRESH, sight(failures=9, last_sync=after(1)), rules, after(2))
    assert alerts == []
    watch, alerts = judge(watch, sight(failures=99, last_sync=after(60)), rules, after(60.9))
    assert alerts == []
    watch, alerts = judge(watch, sight(failures=100, last_sync=after(61)), rules, after(61))
    assert told(alerts) == [("feed.failing", "failing", False)]


def test_stale_and_held_are_told_by_themselves() -> None:
    seen = sight(stale_at=after(10), held_removals=40, last_success=None)
    watch, alerts = judge(FRESH, seen, RULES, after(10))
    assert told(alerts) == [("feed.stale", "stale", False), ("feed.held", "held", False)]
    assert "never" in alerts[0].message
    assert "--accept-removals" in alerts[1].message
    _, alerts = judge(watch, sight(held_removals=39), RULES, after(11))
    assert told(alerts) == [("feed.recovered", "stale", False)]


def test_the_same_alert_is_the_same_message() -> None:
    _, (alert,) = judge(FRESH, sight(failures=3), RULES, START)
    message = alert_message(alert)
    assert message == alert_message(alert)
    body = json.loads(message.body)
    assert body["type"] == "feed.failing"
    assert (body["data"]["feed"], body["data"]["alert"]) == ("shop", "failing")
    _, (later,) = judge(FRESH, sight(failures=3), RULES, after(1))
    assert alert_message(later).id != message.id


_sights = st.builds(
    sight,
    failures=st.integers(0, 5),
    held_removals=st.integers(0, 2),
    stale_at=st.sampled_from([START, NEVER]),
)


@given(st.lists(_sights, max_size=20))
def test_what_is_open_is_what_was_told_and_not_taken_back(sights: list[Sight]) -> None:
    watch = FRESH
    open_: set[str] = set()
    for minutes, seen in enumerate(sights):
        watch, alerts = judge(watch, seen, RULES, after(minutes))
        for alert in alerts:
            if alert.type == "feed.recovered":
                open_.remove(alert.alert)
            else:
                assert alert.alert not in open_
                open_.add(alert.alert)
        assert set(watch.open) == open_
    _, alerts = judge(watch, sight(), RULES, after(1_000))
    assert {alert.alert for alert in alerts} == open_


@pytest.mark.parametrize(
    ("every_s", "cron", "expected"),
    [
        (3600.0, None, after(240)),
        (1.0, None, after(15)),
        (None, "0 12 * * *", datetime(2026, 5, 7, 12, 0, tzinfo=UTC)),
    ],
)
def test_a_feed_is_stale_after_four_of_its_turns(
    every_s: float | None, cron: str | None, expected: datetime
) -> None:
    assert stale_at(every_s=every_s, cron=cron, timezone="UTC", last_success=START) == expected

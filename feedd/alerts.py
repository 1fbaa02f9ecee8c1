"""When somebody is told that a feed is failing, stale or held, and that it is well again. Pure.

`judge` takes what is known of a feed and what was told before, and gives what to tell now: once when a state begins,
once when it ends, and a reminder in between.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from feedd.messages import Message, event_message
from feedd.model import ErrorInfo

KINDS = ("failing", "stale", "held")
_RECOVERED = {
    "failing": "feed {feed} can be synced again",
    "stale": "feed {feed} is fresh again",
    "held": "feed {feed} holds no removals any more",
}


class Rules(Struct, frozen=True, kw_only=True):
    """When alerts are raised: after so many failures in a row or seconds of failing, and how often again (0: never)."""

    failures: int | None
    failing_s: float | None
    repeat_s: float


class Sight(Struct, frozen=True, kw_only=True):
    """A feed as it is now. `stale_at` is when its last success counts as too old."""

    feed: str
    failures: int
    held_removals: int
    items: int
    last_sync: datetime | None
    last_success: datetime | None
    stale_at: datetime
    error: ErrorInfo | None


class Open(Struct, frozen=True):
    """An alert that goes on."""

    since: datetime
    told_at: datetime


class Watch(Struct, frozen=True, kw_only=True):
    """What is remembered of a feed from one look to the next."""

    feed: str
    watched_at: datetime
    last_success: datetime | None = None
    failing_since: datetime | None = None
    open: dict[str, Open] = {}


class Alert(Struct, frozen=True, kw_only=True):
    """What is told. `alert` is `failing`, `stale` or `held`, in `feed.recovered` the one that is over."""

    type: str
    feed: str
    alert: str
    since: datetime
    at: datetime
    reminder: bool
    message: str
    failures: int
    last_success: datetime | None
    held_removals: int
    items: int
    error: ErrorInfo | None


def judge(watch: Watch, sight: Sight, rules: Rules, now: datetime) -> tuple[Watch, list[Alert]]:
    """What to remember of a feed and what to tell, by what is seen of it now."""
    failing_since = (watch.failing_since or sight.last_sync or now) if sight.failures else None
    starts = {
        "failing": failing_since if _fails(sight, failing_since, rules, now) else None,
        "stale": sight.stale_at if sight.stale_at <= now else None,
        "held": now if sight.held_removals else None,
    }
    still: dict[str, Open] = {}
    alerts: list[Alert] = []
    for kind in KINDS:
        since, known = starts[kind], watch.open.get(kind)
        if since is None:
            if known is not None:
                alerts.append(_alert(kind, "feed.recovered", sight, known.since, now))
        elif known is None:
            still[kind] = Open(since, now)
            alerts.append(_alert(kind, f"feed.{kind}", sight, since, now))
        elif rules.repeat_s and now - known.told_at >= timedelta(seconds=rules.repeat_s):
            still[kind] = Open(known.since, now)
            alerts.append(_alert(kind, f"feed.{kind}", sight, known.since, now, reminder=True))
        else:
            still[kind] = known
    kept = Watch(
        feed=watch.feed,
        watched_at=watch.watched_at,
        last_success=sight.last_success,
        failing_since=failing_since,
        open=still,
    )
    return kept, alerts


def alert_message(alert: Alert) -> Message:
    """An alert as it is sent; the same one is always the same message."""
    name = alert.type.removeprefix("feed.")
    moment = int(alert.at.timestamp() * 1000)
    data: dict[str, Any] = msgspec.structs.asdict(alert)
    kind, at = data.pop("type"), data.pop("at")
    return event_message(f"alert_{alert.feed}_{name}_{alert.alert}_{moment}", kind, at, data)


def _fails(sight: Sight, since: datetime | None, rules: Rules, now: datetime) -> bool:
    if since is None:
        return False
    if rules.failures is not None and sight.failures >= rules.failures:
        return True
    return rules.failing_s is not None and now - since >= timedelta(seconds=rules.failing_s)


def _alert(
    kind: str, event: str, sight: Sight, since: datetime, now: datetime, *, reminder: bool = False
) -> Alert:
    if event == "feed.recovered":
        message = _RECOVERED[kind].format(feed=sight.feed)
    else:
        message = _wording(kind, sight)
    return Alert(
        type=event,
        feed=sight.feed,
        alert=kind,
        since=since,
        at=now,
        reminder=reminder,
        message=message,
        failures=sight.failures,
        last_success=sight.last_success,
        held_removals=sight.held_removals,
        items=sight.items,
        error=sight.error,
    )


def _wording(kind: str, sight: Sight) -> str:
    if kind == "failing":
        reason = f": {sight.error.message}" if sight.error else ""
        times = "once" if sight.failures == 1 else f"{sight.failures} times in a row"
        return f"feed {sight.feed} failed {times}{reason}"
    if kind == "stale":
        if sight.last_success is None:
            return f"feed {sight.feed} has never been synced with success"
        return (
            f"feed {sight.feed} has not been synced with success since "
            f"{sight.last_success.strftime('%Y-%m-%d %H:%M:%S')} UTC"
        )
    return (
        f"feed {sight.feed} holds {sight.held_removals} removals; if they are right:"
        f" feedd resync {sight.feed} --accept-removals"
    )

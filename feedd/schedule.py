"""When a feed is due, and the clockwork that says so when the time has come. Owns APScheduler.

`next_due` is pure: the same stored state, configuration and time give the same answer, before and after a restart.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache, partial
from hashlib import blake2b
from typing import TYPE_CHECKING

from feedd.cron import Cron, check_cron, find_timezone, parse_cron

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

__all__ = ["Scheduler", "check_cron", "next_due", "stale_at"]

TICK_S = 30.0
RETRY_FIRST = timedelta(minutes=1)
STALE_TURNS = 4
STALE_AT_LEAST = timedelta(minutes=15)

# A stored time this far ahead of now means that the clock was set back, not that two clocks differ a little.
CLOCK_SET_BACK = timedelta(seconds=60)

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def next_due(
    *,
    every_s: float | None,
    cron: str | None,
    timezone: str,
    jitter_s: float,
    feed_name: str,
    last_started: datetime | None,
    max_age_until: datetime | None,
    retry_at: datetime | None,
    now: datetime,
    failures: int = 0,
) -> datetime:
    """When a feed is to be synced next: never before `now`, and `now` itself when it is overdue.

    `every_s` or `cron` sets the pace. A server's max-age (`max_age_until`) delays by one interval at most, its
    Retry-After (`retry_at`) as long as it asks. After `failures` in a row the next try comes within a minute, then two,
    then four, as long as that is sooner. Jitter is added, a different one each time, the same for the same
    state. A feed that was never synced is due at once, or spread over `jitter_s`.
    """
    if last_started is None:
        return _spread(feed_name, jitter_s, now)
    if last_started > now + CLOCK_SET_BACK:
        return now
    if every_s is not None:
        interval = timedelta(seconds=every_s)
        due, later = last_started + interval, last_started + 2 * interval
        if max_age_until is not None:
            due = max(due, min(max_age_until, later))
    else:
        due = _next_fire(cron or "@hourly", timezone, last_started)
        if max_age_until is not None and max_age_until > due:
            due = _next_fire(cron or "@hourly", timezone, due)
    if failures:
        due = min(due, last_started + RETRY_FIRST * 2 ** min(failures - 1, 20))
    due += timedelta(seconds=jitter_s * _fraction(feed_name, str(last_started.timestamp())))
    if retry_at is not None:
        due = max(due, retry_at)
    return max(due, now)


@lru_cache(maxsize=10_000)
def stale_at(
    *, every_s: float | None, cron: str | None, timezone: str, last_success: datetime
) -> datetime:
    """When a feed that has had no success since then is stale: after four of its turns, 15 minutes at least."""
    due = last_success
    if every_s is not None:
        due += timedelta(seconds=every_s * STALE_TURNS)
    else:
        for _ in range(STALE_TURNS):
            due = _next_fire(cron or "@hourly", timezone, due)
    return max(due, last_success + STALE_AT_LEAST)


class Scheduler:
    """Calls a function when a feed is due; one appointment a feed.

    `on_tick` is called every `tick_s` of real time, in a thread of the scheduler's: it is where due times are worked
    out anew, so that a clock that was set, or a machine that slept, costs one tick and not a day.
    """

    def __init__(
        self, on_tick: Callable[[], None] = lambda: None, *, tick_s: float = TICK_S
    ) -> None:
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        self._on_tick = on_tick
        self._tick_s = tick_s
        self._due: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="ticker", daemon=True)
        self._clockwork = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(2)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 2},
        )

    def start(self) -> None:
        """Begin to call."""
        self._clockwork.start()
        self._ticker.start()

    def stop(self) -> None:
        """Call no more; what is being called is waited for."""
        self._stopping.set()
        if self._ticker.is_alive():
            self._ticker.join()
        if self._clockwork.running:
            # a job that comes due just now must not meet a closed thread pool, nor a stopped scheduler afterwards
            self._clockwork.pause()
            self._clockwork.remove_all_jobs()
            self._clockwork.shutdown(wait=True)

    def set(self, name: str, due: datetime, run: Callable[[str], None]) -> None:
        """Call `run(name)` once when `due` has come, in place of what was set for that name before.

        `run` must be quick: it hands over to a queue.
        """
        from apscheduler.triggers.date import DateTrigger

        with self._lock:
            if self._stopping.is_set() or self._due.get(name) == due:
                return
            self._due[name] = due
            self._clockwork.add_job(
                partial(self._run, name, due, run),
                DateTrigger(due, UTC),
                id=f"feed:{name}",
                name=name,
                replace_existing=True,
            )

    def remove(self, name: str) -> None:
        """Call no more for that name; nothing happens when nothing is set."""
        from apscheduler.jobstores.base import JobLookupError

        with self._lock:
            if self._due.pop(name, None) is None:
                return
            try:
                self._clockwork.remove_job(f"feed:{name}")
            except JobLookupError:  # its time has just come
                return

    def _run(self, name: str, due: datetime, run: Callable[[str], None]) -> None:
        with self._lock:
            if self._due.get(name) != due:  # removed or set anew while it was on its way
                return
            del self._due[name]
        run(name)

    def _tick(self) -> None:
        """Count real time: the clockwork sleeps until a time of day, which may have moved away from it."""
        while not self._stopping.wait(self._tick_s):
            self._clockwork.add_job(self._on_tick, id="tick", replace_existing=True)


def _spread(name: str, jitter_s: float, now: datetime) -> datetime:
    """The next moment that is the name's own in a cycle of `jitter_s`: it does not recede when asked again."""
    if jitter_s <= 0:
        return now
    phase = jitter_s * _fraction(name)
    passed = ((now - _EPOCH).total_seconds() - phase) % jitter_s
    return now + timedelta(seconds=jitter_s - passed) if passed else now


def _fraction(*words: str) -> float:
    """A number from 0 up to 1 that the words alone decide."""
    digest = blake2b("\0".join(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def _next_fire(text: str, timezone: str, after: datetime) -> datetime:
    """The first time after `after` that an expression names.

    When clocks go back, a fixed hour that comes twice counts once; when they go forward, a time that is left out
    comes an hour later by the clock.
    """
    cron, zone = parse_cron(text), find_timezone(timezone)
    return min(_first(trigger, cron, zone, after) for trigger in _triggers(text, timezone))


def _first(trigger: "CronTrigger", cron: Cron, zone: tzinfo, after: datetime) -> datetime:
    local = after.astimezone(zone)
    while True:
        fire: datetime = trigger.get_next_fire_time(local, local)
        if fire.fold == 0 or len(cron.hours) == 24:
            return fire.astimezone(UTC)
        local = fire.astimezone(UTC).astimezone(zone)


@lru_cache(maxsize=1_000)
def _triggers(text: str, timezone: str) -> tuple["CronTrigger", ...]:
    """One trigger, or two where the days of month and week are both named: either will do."""
    from apscheduler.triggers.cron import CronTrigger

    cron, zone = parse_cron(text), find_timezone(timezone)
    days = "*" if cron.days is None else _list(cron.days)
    # APScheduler counts weekdays from Monday, crontab from Sunday: names are the same in both
    week = "*" if cron.weekdays is None else ",".join(_WEEKDAYS[d] for d in sorted(cron.weekdays))
    pairs = [(days, "*"), ("*", week)] if cron.either else [(days, week)]
    return tuple(
        CronTrigger(
            minute=_list(cron.minutes),
            hour=_list(cron.hours),
            day=day,
            month=_list(cron.months),
            day_of_week=weekday,
            timezone=zone,
        )
        for day, weekday in pairs
    )


def _list(values: frozenset[int]) -> str:
    return ",".join(map(str, sorted(values)))

"""Looks at how feeds are doing, and stores the alerts that follow for all who want them.

Part of `App`. What is an alert is decided in `alerts`; who runs this, and when, is the outbox's.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from feedd.alerts import Alert, Rules, Sight, Watch, alert_message, judge
from feedd.messages import Message
from feedd.schedule import STALE_AT_LEAST, stale_at
from feedd.settings import FeedSettings, Settings
from feedd.store import outcomes, watches, webhooks
from feedd.store.database import Database
from feedd.store.feeds import FeedState, read_feeds
from feedd.webhooks import COMMAND, concerns


class Watching:
    """The feeds of a configuration, and what is known of them for alerts."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        catalog: Database,
        people: Database,
        *,
        names: Callable[[], list[str]],
    ) -> None:
        """`names` gives the webhooks that are delivered to."""
        self._settings = settings
        self._catalog = catalog
        self._people = people
        self._names = names
        self.began: datetime | None = None  # when the daemon did: what is overdue is synced now

    def judge_feeds(self, now: datetime, names: Sequence[str] | None = None) -> list[Alert]:
        """Look at feeds, and store what follows: alerts for all who want them. Gives the alerts."""
        settings = self._settings()
        feeds = [f for f in list(settings.feeds.values()) if names is None or f.name in names]
        states = read_feeds(self._catalog, names)
        known = watches.read_watches(self._people)
        paused = [feed.name for feed in feeds if not feed.enabled and feed.name in known]
        if paused:
            watches.forget(self._people, paused)
        told: list[Alert] = []
        for feed in feeds:
            if feed.enabled:
                state = states.get(feed.name, FeedState(name=feed.name))
                told += self._judge(feed, state, known.get(feed.name), now)
        return told

    def _judge(
        self, feed: FeedSettings, state: FeedState, known: Watch | None, now: datetime
    ) -> list[Alert]:
        fresh = Watch(feed=feed.name, watched_at=now)
        wanted = self._settings().alerts
        rules = Rules(
            failures=wanted.after.failures,
            failing_s=wanted.after.seconds,
            repeat_s=wanted.repeat_s,
        )
        sight = self._sight(feed, state, known or fresh)
        after, alerts = judge(known or fresh, sight, rules, now)
        same = known is not None and replace(after, last_success=known.last_success) == known
        if same and not alerts:
            return []
        told: list[Alert] = []
        listeners = self._listeners(feed.name)

        def stored(watch: Watch) -> tuple[Watch, list[tuple[str, Message]]]:
            after, alerts = judge(watch, sight, rules, now)  # another daemon may have been here
            told.extend(alerts)
            return after, [(name, alert_message(alert)) for alert in alerts for name in listeners]

        watches.step(self._people, fresh, stored, now)
        return told

    def _sight(self, feed: FeedSettings, state: FeedState, watch: Watch) -> Sight:
        succeeded = max(filter(None, (state.last_sync_at, state.last_applied_at)), default=None)
        if state.failures and state.id is not None:
            kept = outcomes.last_success(self._catalog, state.id)
            succeeded = kept or watch.last_success or state.last_applied_at
        base = succeeded or watch.watched_at
        stale_after_s = self._settings().alerts.stale_after_s
        if stale_after_s is not None:
            stale = base + timedelta(seconds=stale_after_s)
        else:
            stale = stale_at(
                every_s=feed.every_s, cron=feed.cron, timezone=feed.timezone, last_success=base
            )
        if self.began is not None and "stale" not in watch.open:
            stale = max(stale, self.began + min(STALE_AT_LEAST, stale - base))
        return Sight(
            feed=feed.name,
            failures=state.failures,
            held_removals=state.held_removals,
            items=state.items,
            last_sync=state.last_sync_at,
            last_success=succeeded,
            stale_at=stale,
            error=state.error if state.failures else None,
        )

    def _listeners(self, feed: str) -> list[str]:
        """Who is told of a feed's alerts: the webhooks that want them and have not said that they are gone, and the command."""
        settings = self._settings().webhooks
        known = webhooks.read_endpoints(self._people)
        return [
            name
            for name in self._names()
            if name == COMMAND
            or (
                "alerts" in settings[name].events
                and concerns(settings[name], feed)
                and (name not in known or known[name].disabled_at is None)
            )
        ]

"""What Prometheus is told: counters of what this process did, gauges of what is stored. Owns prometheus_client.

Labels are bounded: names of configured feeds, statuses, kinds of change and `CODES`. To add a metric: a line here, and one
in `docs/operating.md`.
"""

import platform
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from feedd import __version__
from feedd.app import App
from feedd.configured import due_of
from feedd.dispatch import Dispatcher
from feedd.jobs import Progress
from feedd.model import ChangeKind, Refresh, SyncRecord, SyncStatus, WebFeedView, WebhookView
from feedd.people.jobs import JobKind
from feedd.settings import FeedSettings
from feedd.store.jobs import Waiting
from feedd.store.standing import Standing, read_standings, size_bytes
from feedd.telling import RuleStanding
from feedd.workers import Workers

STATUSES = [str(status) for status in SyncStatus if status != SyncStatus.RUNNING]
KINDS = [str(kind) for kind in ChangeKind]
DURATIONS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
CALLS = ("track", "identify")
OUTCOMES = ("recorded", "duplicate", "tested", "unknown_key", "not_json", "refused", "failed")
REFRESHES = ("changed", "unchanged", "failed")
ROW_OUTCOMES = ("completed", "failed")
OTHER = "other"
CODES = frozenset(
    {
        "archive_member",
        "bad_archive",
        "bad_character",
        "bad_encoding",
        "bad_header",
        "bad_url",
        "blocked_address",
        "cancelled",
        "connect",
        "crashed",
        "cut_short",
        "disk_full",
        "dns",
        "doctype_forbidden",
        "empty_body",
        "empty_document",
        "file_changed",
        "file_missing",
        "file_refused",
        "html_page",
        "http_status",
        "internal",
        "interrupted",
        "lease_lost",
        "no_body",
        "no_items_found",
        "not_modified_unasked",
        "not_well_formed",
        "pages_repeat",
        "pages_wrong",
        "record_too_large",
        "redirect_refused",
        "schema",
        "skeleton_too_large",
        "stopped",
        "store",
        "timeout",
        "tls",
        "too_deep",
        "too_large",
        "too_many_pages",
        "too_many_redirects",
        "too_many_values",
        "too_slow",
        "truncated",
        "unknown_encoding",
        "unknown_format",
        "unknown_prefix",
    }
)
_FEED_GAUGES = {
    "items": "Live items of the feed.",
    "rejected": "Records of the feed that could not become items (open rejects).",
    "warnings": "Fields of live items of the feed that could not be used.",
    "held_removals": "Removals of the feed that wait for somebody to agree.",
    "failures": "Failed syncs of the feed in a row; 0 after one that did not fail.",
}


class Metrics:
    """The metrics of one daemon. Counters live as long as the process; a feed's end with its configuration."""

    def __init__(self, app: App, dispatcher: Dispatcher, workers: Workers | None = None) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._codes: set[tuple[str, str]] = set()
        self.registry = CollectorRegistry()
        self._syncs = Counter(
            "feedd_syncs", "Syncs that have ended, by outcome.", ["feed", "status"], registry=None
        )
        self._failures = Counter(
            "feedd_sync_failures", "Syncs that failed, by reason.", ["feed", "code"], registry=None
        )
        self._bytes = Counter(
            "feedd_fetched_bytes",
            "Bytes of bodies that were fetched, decoded.",
            ["feed"],
            registry=None,
        )
        self._changes = Counter(
            "feedd_changes",
            "Changes that syncs have found, by kind.",
            ["feed", "kind"],
            registry=None,
        )
        self._durations = Histogram(
            "feedd_sync_duration_seconds",
            "How long syncs took, by outcome.",
            ["status"],
            buckets=DURATIONS_S,
            registry=None,
        )
        self._calls = Counter(
            "feedd_calls",
            "Track and identify calls, by outcome.",
            ["call", "outcome"],
            registry=None,
        )
        self._wrong_keys = Counter(
            "feedd_wrong_keys", "Requests with a private key that is none.", registry=None
        )
        self._refreshes = Counter(
            "feedd_web_feed_refreshes",
            "Refreshes of web feeds, by outcome.",
            ["web_feed", "outcome"],
            registry=None,
        )
        self._known_web_feeds: set[str] = set()
        self._jobs = Counter("feedd_jobs", "Jobs that were done.", ["kind"], registry=None)
        self._job_rows = Counter(
            "feedd_job_rows", "Rows of jobs, by outcome.", ["kind", "outcome"], registry=None
        )
        for status in STATUSES:
            self._durations.labels(status)
        for kind in JobKind:
            self._jobs.labels(kind.value)
            for outcome in ROW_OUTCOMES:
                self._job_rows.labels(kind.value, outcome)
        for call in CALLS:
            for outcome in OUTCOMES:
                self._calls.labels(call, outcome)
        for counter in (
            self._syncs,
            self._failures,
            self._bytes,
            self._changes,
            self._durations,
            self._calls,
            self._wrong_keys,
            self._refreshes,
            self._jobs,
            self._job_rows,
        ):
            self.registry.register(counter)
        self.registry.register(_Stored(app, dispatcher, workers))

    def observe(self, record: SyncRecord) -> None:
        """Count a sync that has ended."""
        status = str(record.status)
        if record.duration_s is not None:
            self._durations.labels(status).observe(record.duration_s)
        with self._lock:
            if record.feed not in self._app.settings.feeds:
                return
            self._begin(record.feed)
            self._syncs.labels(record.feed, status).inc()
            self._bytes.labels(record.feed).inc(record.size_bytes or 0)
            if record.status == SyncStatus.FAILED and record.error is not None:
                code = record.error.code if record.error.code in CODES else OTHER
                self._codes.add((record.feed, code))
                self._failures.labels(record.feed, code).inc()
            elif record.counts is not None:
                for kind in KINDS:
                    self._changes.labels(record.feed, kind).inc(getattr(record.counts, kind))

    def observe_refresh(self, done: Refresh) -> None:
        """Count a refresh of a web feed that has ended."""
        with self._lock:
            self._follow_web_feeds()
            if done.web_feed in self._known_web_feeds:
                self._refreshes.labels(done.web_feed, done.outcome).inc()

    def count_call(self, call: str, outcome: str) -> None:
        """Count a call to track or identify: one of `CALLS`, one of `OUTCOMES`."""
        self._calls.labels(call, outcome).inc()

    def observe_job(self, progress: Progress) -> None:
        """Count what became of a part of a job, and the job where it was the last one."""
        kind = progress.job.kind.value
        self._job_rows.labels(kind, "completed").inc(progress.completed)
        self._job_rows.labels(kind, "failed").inc(progress.failed)
        if progress.is_end:
            self._jobs.labels(kind).inc()

    def count_wrong_key(self) -> None:
        """Count a request whose private key is none that is in use, or that was not looked at since too many were wrong."""
        self._wrong_keys.inc()

    def render(self, accept: str) -> tuple[bytes, str]:
        """All of it, in the form that an Accept header asks for, with its content type. Raises StoreError."""
        encode, content_type = choose_encoder(accept)
        with self._lock:
            self._follow_configuration()
        return encode(self.registry), content_type

    def _follow_configuration(self) -> None:
        """Have the configured feeds start at zero, so that their first sync shows as an increase, and drop others."""
        configured = set(self._app.settings.feeds)
        for name in configured - self._known:
            self._begin(name)
        for name in self._known - configured:
            self._drop(name)
        self._follow_web_feeds()

    def _follow_web_feeds(self) -> None:
        configured = set(self._app.settings.web_feeds)
        for outcome in REFRESHES:
            for name in configured - self._known_web_feeds:
                self._refreshes.labels(name, outcome)
            for name in self._known_web_feeds - configured:
                self._refreshes.remove(name, outcome)
        self._known_web_feeds = configured

    def _begin(self, feed: str) -> None:
        self._known.add(feed)
        self._bytes.labels(feed)
        for status in STATUSES:
            self._syncs.labels(feed, status)
        for kind in KINDS:
            self._changes.labels(feed, kind)

    def _drop(self, feed: str) -> None:
        self._known.discard(feed)
        self._bytes.remove(feed)
        for status in STATUSES:
            self._syncs.remove(feed, status)
        for kind in KINDS:
            self._changes.remove(feed, kind)
        for pair in [pair for pair in self._codes if pair[0] == feed]:
            self._failures.remove(*pair)
            self._codes.discard(pair)


class _Stored(Collector):
    """Gauges, made anew for every scrape."""

    def __init__(self, app: App, dispatcher: Dispatcher, workers: Workers | None) -> None:
        self._app = app
        self._dispatcher = dispatcher
        self._workers = workers

    def describe(self) -> list[Metric]:
        """Nothing is read to register."""
        return []

    def collect(self) -> Iterator[Metric]:
        standings, last_seq = read_standings(self._app.catalog)
        now = datetime.now(UTC)
        feeds = list(self._app.settings.feeds.values())
        yield from _feed_gauges(feeds, standings, now)
        yield from _web_feed_gauges(self._app.web_feeds.views(), now)
        yield from _webhook_gauges(self._app.webhooks.views())
        yield from _rule_families(self._app.telling.standings())
        yield from _job_gauges(self._app.jobs.waiting())
        yield InfoMetricFamily(
            "feedd_build",
            "Which feedd this is.",
            {"version": __version__, "python": platform.python_version()},
        )
        yield _gauge("feedd_stream_seq", "The last number of the change stream.", last_seq)
        yield _gauge(
            "feedd_stream_oldest_seq",
            "The first number of the change stream that is kept.",
            self._app.stream().oldest_seq,
        )
        running, waiting = self._dispatcher.depths()
        yield _gauge("feedd_syncs_running", "Syncs that run now.", running)
        yield _gauge("feedd_syncs_waiting", "Syncs that wait for their turn.", waiting)
        if self._workers is not None:
            yield _gauge(
                "feedd_workers_busy", "Processes that read a body now.", self._workers.busy
            )
            yield _gauge(
                "feedd_workers", "How many processes may read at once.", self._workers.most
            )
        renderer = self._app.renderer
        renders = CounterMetricFamily(
            "feedd_renders", "Messages that were rendered, by outcome.", labels=["outcome"]
        )
        for outcome, count in renderer.outcomes.items():
            renders.add_metric([outcome], count)
        yield renders
        yield _gauge("feedd_renderers_busy", "Processes that render now.", renderer.busy)
        yield _gauge("feedd_renderers", "How many processes may render.", renderer.processes)
        sizes = GaugeMetricFamily(
            "feedd_database_bytes", "What a database takes on its disk.", labels=["database"]
        )
        for database in (self._app.catalog, self._app.people):
            sizes.add_metric([database.name], size_bytes(database))
        yield sizes


def _feed_gauges(
    feeds: list[FeedSettings], standings: dict[str, Standing], now: datetime
) -> Iterator[Metric]:
    for name, text in _FEED_GAUGES.items():
        family = GaugeMetricFamily(f"feedd_feed_{name}", text, labels=["feed"])
        for feed in feeds:
            stored = standings.get(feed.name)
            family.add_metric([feed.name], getattr(stored, name) if stored else 0)
        yield family
    enabled = GaugeMetricFamily(
        "feedd_feed_enabled", "1, or 0 while the feed is paused.", labels=["feed"]
    )
    lag = GaugeMetricFamily(
        "feedd_feed_lag_seconds",
        "Seconds since the feed's last success, +Inf without one; not of paused feeds.",
        labels=["feed"],
    )
    overdue = GaugeMetricFamily(
        "feedd_feed_overdue_seconds",
        "Seconds since the feed's sync should have begun, 0 in time; not of paused feeds.",
        labels=["feed"],
    )
    for feed in feeds:
        enabled.add_metric([feed.name], int(feed.enabled))
        if feed.enabled:
            stored = standings.get(feed.name)
            lag.add_metric([feed.name], _lag_s(stored, now))
            overdue.add_metric([feed.name], overdue_s(feed, stored, now))
    yield from (enabled, lag, overdue)


def _web_feed_gauges(web_feeds: list[WebFeedView], now: datetime) -> Iterator[Metric]:
    age = GaugeMetricFamily(
        "feedd_web_feed_age_seconds",
        "Seconds since the web feed was last had, +Inf if it never was; not of paused ones.",
        labels=["web_feed"],
    )
    failures = GaugeMetricFamily(
        "feedd_web_feed_failures", "Failed refreshes of the web feed in a row.", labels=["web_feed"]
    )
    for each in web_feeds:
        if each.next_refresh is not None:
            had = each.fetched_at
            age.add_metric(
                [each.name], float("inf") if had is None else max((now - had).total_seconds(), 0.0)
            )
        failures.add_metric([each.name], each.failures)
    yield from (age, failures)


def _webhook_gauges(webhooks: list[WebhookView]) -> Iterator[Metric]:
    working = GaugeMetricFamily(
        "feedd_webhook_working",
        "1, or 0 while the webhook fails or is disabled; not of paused ones.",
        labels=["webhook"],
    )
    behind = GaugeMetricFamily(
        "feedd_webhook_behind", "Changes that the webhook is still to look at.", labels=["webhook"]
    )
    waiting = GaugeMetricFamily(
        "feedd_webhook_waiting", "Messages that wait to be delivered.", labels=["webhook"]
    )
    dead = GaugeMetricFamily(
        "feedd_webhook_dead", "Messages that were never delivered.", labels=["webhook"]
    )
    for webhook in webhooks:
        if webhook.status != "paused":
            working.add_metric([webhook.name], int(webhook.status == "ok"))
        behind.add_metric([webhook.name], webhook.behind or 0)
        waiting.add_metric([webhook.name], webhook.waiting)
        dead.add_metric([webhook.name], webhook.dead)
    yield from (working, behind, waiting, dead)


def _rule_families(standings: list[RuleStanding]) -> Iterator[Metric]:
    behind = GaugeMetricFamily(
        "feedd_rule_behind", "Changes that the rule has not looked at yet.", labels=["rule"]
    )
    told = CounterMetricFamily(
        "feedd_rule_told", "Events that were recorded by the rule.", labels=["rule"]
    )
    for each in standings:
        behind.add_metric([each.rule], each.behind)
        told.add_metric([each.rule], each.told)
    yield from (behind, told)


def _job_gauges(waiting: dict[JobKind, Waiting]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("feedd_jobs_waiting", "Jobs that are not done yet.", labels=["kind"])
    rows = GaugeMetricFamily(
        "feedd_job_rows_waiting", "Rows of jobs that are not done yet.", labels=["kind"]
    )
    for kind, each in waiting.items():
        jobs.add_metric([kind.value], each.jobs)
        rows.add_metric([kind.value], each.rows)
    yield from (jobs, rows)


def _lag_s(stored: Standing | None, now: datetime) -> float:
    if stored is None or stored.last_success_at is None:
        return float("inf")
    return max(0.0, (now - stored.last_success_at).total_seconds())


def overdue_s(feed: FeedSettings, stored: Standing | None, now: datetime) -> float:
    """For how long a feed's sync should have begun already; 0 while it runs or is paused, or was never synced."""
    if stored is None or stored.last_sync_at is None:
        return 0.0
    if stored.lease_until is not None and stored.lease_until > now:
        return 0.0
    # as it was then, or what is overdue would be moved to now
    due = due_of(feed, stored, stored.last_sync_at)
    return 0.0 if due is None else max(timedelta(0), now - due).total_seconds()


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)

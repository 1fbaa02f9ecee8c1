"""Delivers to webhooks: a thread for each, so that none waits for another, and one that looks at the feeds.

What is due, how long to pause and what an alert is are decided elsewhere (`messages`, `alerts`); what is told is made
in `webhooks`. A worker that dies leaves nothing half done: a message is stored before it is sent, and sent again with
the same id until its answer is recorded.
"""

import contextlib
import random
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from feedd import logs
from feedd.app import App
from feedd.errors import FeeddError, FetchError, StoreError
from feedd.messages import COMMAND_PAUSES_S, PAUSES_S, is_due, pause_after
from feedd.model import Trial
from feedd.store import deliveries, outcomes, webhooks
from feedd.store.deliveries import Waiting
from feedd.store.webhooks import Endpoint, LeaseLost
from feedd.webhooks import COMMAND

POLL_S = 5.0  # what other processes have changed is noticed within this
WATCH_S = 30.0
ELSEWHERE = timedelta(seconds=5)  # another daemon delivers for this webhook
TROUBLE = timedelta(seconds=15)
STOP_WITHIN_S = 3.0
_GONE = 410

log = logs.get_logger("feedd")


class Outbox:
    """The workers of all webhooks, as one thing to start and stop."""

    def __init__(self, app: App, *, poll_s: float = POLL_S) -> None:
        self._app = app
        self._poll_s = poll_s
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._workers: dict[str, _Worker] = {}
        self._ended: set[str] = set()
        self._wake = threading.Event()
        self._registered = False
        self._watcher = threading.Thread(target=self._watch, name="alerts", daemon=True)

    def start(self) -> None:
        """Register what is new, before any sync adds to the stream, and begin to deliver. Raises StoreError."""
        self._register()
        self._app.webhooks.on_asked = self.wake
        self._app.watching.began = datetime.now(UTC)
        self._set_up()
        self._watcher.start()

    def reload(self) -> None:
        """Take over another configuration."""
        self._registered = False
        try:
            self._register()
        except StoreError as error:  # the watcher tries again
            log.error(logs.STORE_ERROR, error=str(error))
        self._set_up()
        self.wake()

    def wake(self, feed: str | None = None) -> None:
        """Something may be due: a sync of that feed has ended, or a person wants messages sent again."""
        with self._lock:
            if feed is not None:
                self._ended.add(feed)
            workers = list(self._workers.values())
        self._wake.set()
        for worker in workers:
            worker.wake()

    def stop(self) -> None:
        """Break off what is being sent; it was stored, and is sent again by the next start."""
        self._stop.set()
        self.wake()
        deadline = time.monotonic() + STOP_WITHIN_S
        with self._lock:
            workers = list(self._workers.values())
        for worker in workers:
            worker.join(max(deadline - time.monotonic(), 0.0))
        with contextlib.suppress(RuntimeError):  # it was never started
            self._watcher.join(max(deadline - time.monotonic(), 0.0))

    def _register(self) -> None:
        self._app.webhooks.register(datetime.now(UTC))
        self._registered = True

    def _set_up(self) -> None:
        """A worker for each webhook that is delivered to; those of others end by themselves."""
        with self._lock:
            if self._stop.is_set():
                return
            for name in self._app.webhooks.names():
                if name not in self._workers or not self._workers[name].alive():
                    self._workers[name] = _Worker(self._app, name, self._stop)
                    self._workers[name].start()

    def _watch(self) -> None:
        """Notice what others have changed, and look at the feeds: at those whose sync has ended, and at all by the clock."""
        seen: tuple[object, ...] = ()
        next_look = 0.0
        while not self._stop.is_set():
            with self._lock:
                ended, self._ended = self._ended, set()
            try:
                if not self._registered:
                    self._register()
                self._set_up()
                if time.monotonic() >= next_look:
                    next_look = time.monotonic() + WATCH_S
                    self._judge(None)
                elif ended:
                    self._judge(ended)
                pulse = outcomes.pulse(self._app.catalog)
                if pulse != seen:
                    seen = pulse
                    self._wake_workers()
            except StoreError as error:
                log.error(logs.STORE_ERROR, error=str(error))
            except Exception:  # the next look may go better
                log.exception(logs.WEBHOOK_ERROR)
            self._wake.wait(self._poll_s)
            self._wake.clear()

    def _judge(self, feeds: Iterable[str] | None) -> None:
        names = None if feeds is None else sorted(feeds)
        for alert in self._app.watching.judge_feeds(datetime.now(UTC), names):
            log.warning(
                logs.ALERT_RAISED,
                feed=alert.feed,
                alert=alert.type,
                about=alert.message,
                reminder=alert.reminder,
            )
            self._wake_workers()

    def _wake_workers(self) -> None:
        with self._lock:
            workers = list(self._workers.values())
        for worker in workers:
            worker.wake()


class _Worker:
    """Delivers to one webhook, for as long as the configuration has it."""

    def __init__(self, app: App, name: str, stop: threading.Event) -> None:
        self._app = app
        self._name = name
        self._stop = stop
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"webhook-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def alive(self) -> bool:
        return self._thread.is_alive()

    def wake(self) -> None:
        self._wake.set()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set() and self._name in self._app.webhooks.names():
            try:
                again = self._turn()
            except LeaseLost:
                again = _now()
            except (
                FeeddError
            ) as error:  # the database, or a webhook that has just left the configuration
                log.error(logs.WEBHOOK_ERROR, webhook=self._name, error=str(error))
                again = _now() + TROUBLE
            except Exception:  # a bug with one message must not end the deliveries
                log.exception(logs.WEBHOOK_ERROR, webhook=self._name)
                again = _now() + TROUBLE
            if again is None:
                self._wake.wait()
            else:
                self._wake.wait(max((again - _now()).total_seconds(), 0.05))
            self._wake.clear()

    def _turn(self) -> datetime | None:
        """Deliver until nothing is due; when something will be, if that is known."""
        seen = webhooks.read_endpoint(self._app.people, self._name)
        if seen is None:  # it is registered as soon as the database lets it
            return _now() + ELSEWHERE
        if not self._has_work(seen, waiting := deliveries.due(self._app.people, self._name)):
            return None if seen.disabled_at else _next_try(waiting)
        endpoint = webhooks.claim(self._app.people, self._name, self._app.holder, _now())
        if endpoint is None:
            return _now() + ELSEWHERE
        try:
            while not self._stop.is_set():
                endpoint = webhooks.current(self._app.people, endpoint)
                if endpoint.disabled_at is not None:
                    return None
                waiting = deliveries.due(self._app.people, self._name)
                if self._app.webhooks.plan(endpoint, _lanes(waiting), _now()):
                    continue
                ready = _ready(waiting)
                if not ready:
                    return _next_try(waiting)
                self._deliver(endpoint, ready)
        finally:
            webhooks.release(self._app.people, endpoint)
        return None

    def _has_work(self, seen: Endpoint, waiting: list[Waiting]) -> bool:
        """Whether it is worth a lease, which is written to the disk: most who wake a worker have nothing for it."""
        if seen.disabled_at is not None:
            return False
        news = self._app.webhooks.has_news
        return bool(_ready(waiting)) or news(seen, _lanes(waiting), _now())

    def _deliver(self, endpoint: Endpoint, ready: list[Waiting]) -> None:
        for each in ready:
            if self._stop.is_set():
                return
            try:
                trial = self._app.webhooks.deliver(self._name, each, self._stop)
            except FetchError:
                return  # feedd is stopping
            if self._stop.is_set() and not trial.delivered:
                return  # so it was not the receiver's fault
            if trial.delivered:
                webhooks.record_delivered(self._app.people, endpoint, each, now=_now())
                log.debug(logs.WEBHOOK_DELIVERED, webhook=self._name, message=each.message)
            else:
                self._failed(endpoint, each, trial)
                if trial.http_status == _GONE:
                    return

    def _failed(self, endpoint: Endpoint, sent: Waiting, trial: Trial) -> None:
        gone = trial.http_status == _GONE and self._name != COMMAND
        pause = pause_after(
            sent.tries + 1,
            pauses=COMMAND_PAUSES_S if self._name == COMMAND else PAUSES_S,
            retry_after_s=trial.retry_after_s,
            chance=random.random(),  # noqa: S311 spreads load, guards nothing
        )
        now = _now()
        next_try = None if gone or pause is None else now + timedelta(seconds=pause)
        reason = trial.reason or "it failed"
        webhooks.record_failed(
            self._app.people,
            endpoint,
            sent,
            reason=reason,
            http_status=trial.http_status,
            next_try_at=next_try,
            now=now,
            gone=gone,
        )
        log.warning(
            logs.WEBHOOK_DISABLED
            if gone
            else logs.WEBHOOK_FAILED
            if next_try
            else logs.WEBHOOK_DEAD,
            webhook=self._name,
            message=sent.message,
            tries=sent.tries + 1,
            reason=reason,
            next_try=next_try.isoformat(timespec="seconds") if next_try else None,
        )


def _ready(waiting: list[Waiting]) -> list[Waiting]:
    return [each for each in waiting if is_due(each.next_try_at, _now())]


def _lanes(waiting: list[Waiting]) -> set[str]:
    return {each.lane for each in waiting}


def _next_try(waiting: list[Waiting]) -> datetime | None:
    return min((each.next_try_at for each in waiting), default=None)


def _now() -> datetime:
    return datetime.now(UTC)

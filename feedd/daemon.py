"""The long-running service: HTTP, the scheduler and the workers in one process, until a signal ends it.

The main thread does nothing but wait for signals. Order matters at both ends. Starting: the state directory is held
before the database is touched, and sockets are bound before feedd says that it is ready. Stopping: first no new work,
then the running syncs (their children are killed, and what they had not committed comes again), then deliveries to
webhooks, then the HTTP side, so that `resync` commands get their answer, then the databases.
"""

import contextlib
import gc
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Self

import msgspec

import feedd.fetch.http  # noqa: F401 not with the first feed that is due
from feedd import logs, state, swap
from feedd.app import App
from feedd.databases import is_current, place_of, refuse_damaged
from feedd.dispatch import Dispatcher, Ticket
from feedd.errors import (
    ConfigError,
    FeeddError,
    StoreError,
    SyncStopped,
    Unavailable,
    UsageError,
)
from feedd.listen import HttpServer
from feedd.metrics import Metrics
from feedd.notify import Notifier, take_notifier
from feedd.outbox import Outbox
from feedd.packing import Packer
from feedd.refresher import Refresher
from feedd.replays import Replays
from feedd.runner import Runner
from feedd.schedule import Scheduler
from feedd.settings import (
    Settings,
    changed_feeds,
    changed_web_feeds,
    only_reading_changed,
    restart_needed,
)
from feedd.state import StateLock
from feedd.teller import Teller
from feedd.template_watch import TemplateWatch
from feedd.watchdog import Watchdog
from feedd.workers import Workers

STOP_WITHIN_S = 9
UPGRADE_WITHIN_S = 3600.0  # a large catalog takes minutes
LOOP_TURNS_WITHIN_S = 10.0
RETRY_AFTER_TROUBLE = timedelta(seconds=15)
CHECKPOINT_EVERY_S = 5
RETAIN_EVERY_S = 3_600
GARBAGE_EVERY = (
    5_000  # objects: a look through so many takes some milliseconds, and every request waits for it
)
REST_S = 0.02  # at least, between two transactions of retention

log = logs.get_logger("feedd")


def run(
    load: Callable[[], Settings],
    *,
    on_ready: Callable[["Daemon"], None] = lambda _: None,
    on_stopping: Callable[[], object] = lambda: None,
) -> int:
    """Run until SIGTERM or SIGINT; SIGHUP loads the configuration again. Gives the exit code.

    Call it from the main thread.

    Raises:
        ConfigError: the configuration cannot be used.
        StateInUse: another feedd holds the state directory.
        UsageError: the state directory cannot be used.
        Unavailable: an address cannot be listened on, or the HTTP side has ended by itself.
        StoreError: a database cannot be used.
    """
    notifier = take_notifier(os.environ)
    settings = load()
    state.prepare(settings.state_dir)
    lock = StateLock(settings.state_dir, "run")
    try:
        swap.finish(settings.state_dir)
        refuse_damaged(settings)
        with _Signals() as signals:  # from here on none kills feedd halfway
            if not is_current(settings):
                notifier.extend(UPGRADE_WITHIN_S, "Making or upgrading the databases")
            daemon = Daemon(settings, notifier)
            try:
                daemon.start()
                # what is here stays: looking through it for garbage, now and then, would keep requests waiting
                gc.collect()
                gc.freeze()
                gc.set_threshold(GARBAGE_EVERY, 20, 20)
                on_ready(daemon)
                daemon.serve(load, signals)
            finally:
                on_stopping()
                with _ended_in_time(STOP_WITHIN_S):
                    daemon.stop()
    finally:
        lock.release()
    return 0


class Daemon:
    """All that runs, so that it can be started and stopped as one."""

    def __init__(self, settings: Settings, notifier: Notifier | None = None) -> None:
        self.notifier = notifier or Notifier()
        self.workers = Workers(place_of(settings))
        self.app = App(settings, read_body=self.workers.read_body)
        self.dispatcher = Dispatcher(self.app, on_done=self._done)
        self.scheduler = Scheduler(on_tick=self._schedule_all)
        self.metrics = Metrics(self.app, self.dispatcher, self.workers)
        self.refresher = Refresher(self.app, self.scheduler, on_done=self.metrics.observe_refresh)
        self.outbox = Outbox(self.app)
        self.packer = Packer(self.app.people, place_of(settings))
        self.teller = Teller(self.app)
        self.runner = Runner(self.app.jobs, on_progress=self.metrics.observe_job)
        self.template_watch = TemplateWatch(self.app)
        self.replays = Replays(self.app, self.dispatcher)
        self.http = HttpServer(self.app, self.dispatcher, settings, metrics=self.metrics)
        self.watchdog = Watchdog(self.notifier, (self._loop_trouble, self._database_trouble))
        self._stopping = threading.Event()
        self._checkpoints = threading.Thread(target=self._checkpoint, daemon=True)
        self._retention = threading.Thread(target=self._retain, daemon=True)

    def start(self) -> None:
        """Clean up after a crash, open the doors, and schedule every feed."""
        self.workers.start()
        interrupted = self.app.recover()
        self.outbox.start()
        self.teller.start()
        self.app.recorder.start()
        self.runner.start()
        self.template_watch.start()
        self.http.start()
        self._checkpoints.start()
        self._retention.start()
        self.packer.start()
        self.refresher.start()
        self.scheduler.start()
        self._schedule_all()
        self.replays.start()
        settings = self.app.settings
        log.info(
            logs.DAEMON_READY,
            feeds=len(settings.feeds),
            state_dir=str(settings.state_dir),
            socket=str(settings.socket),
            listen=self.http.address(),
            interrupted=interrupted,
        )
        self.watchdog.start()
        self.notifier.ready(self._status())

    def serve(self, load: Callable[[], Settings], signals: "_Signals") -> None:
        """Wait for signals, and obey them."""
        while True:
            for number in signals.wait(1.0):
                if number != signal.SIGHUP:
                    return
                self.notifier.reloading()
                self.notifier.ready(self.reload(load))
            if not self.http.alive():
                raise Unavailable("the HTTP server ended by itself; the log says why")

    def stop(self) -> None:
        """Stop in order, within ten seconds."""
        log.info(logs.DAEMON_STOPPING)
        self.notifier.stopping()
        self.watchdog.stop()
        self._stopping.set()
        self.scheduler.stop()
        self.replays.stop()
        self.refresher.stop()
        self.workers.stop()
        self.dispatcher.stop()
        self.packer.stop()
        self.runner.stop()
        self.template_watch.stop()
        self.teller.stop()
        self.outbox.stop()
        self.http.stop()
        self.app.recorder.stop()
        self.app.catalog.checkpoint()
        self.app.people.checkpoint()
        self.app.close()

    def reload(self, load: Callable[[], Settings]) -> str:
        """Take over a new configuration; one that cannot be used leaves the old one running. Gives the status now."""
        try:
            settings = load()
        except ConfigError as error:
            log.error(
                logs.CONFIG_REFUSED, problems=[" ".join(str(p).split()) for p in error.problems]
            )
            return f"{self._status()}; the new configuration is refused, see feedd check"
        old = self.app.settings
        added, removed, changed = changed_feeds(old, settings)
        try:
            self.app.reload(settings)
        except (
            StoreError
        ) as error:  # in force all the same; what is not needed any more goes another time
            log.error(logs.STORE_ERROR, error=str(error))
        self.outbox.reload()
        self.teller.reload()
        self.refresher.reload(changed_web_feeds(old, settings))
        for name in removed:
            self.scheduler.remove(name)
        self._schedule_all()
        read_anew = {n for n in changed if only_reading_changed(old.feeds[n], settings.feeds[n])}
        for name in (added | changed) - read_anew:
            if settings.feeds[
                name
            ].enabled:  # who mends a feed wants to see it, not wait for its turn
                self.dispatcher.submit(name, trigger="reload")
        self.replays.look(read_anew)
        log.info(
            logs.CONFIG_RELOADED,
            added=sorted(added),
            removed=sorted(removed),
            changed=sorted(changed),
            restart_needed=restart_needed(old, settings),
        )
        return self._status()

    def _status(self) -> str:
        """What `systemctl status` shows."""
        count = len(self.app.settings.feeds)
        return f"{count} {'feed' if count == 1 else 'feeds'}; answering on {self.http.places()}"

    def _loop_trouble(self) -> str | None:
        turns = self.http.turns(LOOP_TURNS_WITHIN_S)
        return None if turns else "the event loop does not turn"

    def _database_trouble(self) -> str | None:
        try:
            self.app.ping()
        except StoreError as error:
            return str(error)
        return None

    def _schedule_all(self) -> None:
        self.refresher.schedule_all()
        now = datetime.now(UTC)
        for name in list(self.app.settings.feeds):
            if self._stopping.is_set():
                return
            self._schedule(name, now)

    def _schedule(self, name: str, now: datetime, *, not_before: datetime | None = None) -> None:
        try:
            due = self.app.due(name, now)
        except UsageError:  # it left the configuration while its sync ran
            due = None
        except StoreError as error:
            log.error(logs.STORE_ERROR, feed=name, error=str(error))
            due = now + RETRY_AFTER_TROUBLE
        if due is None:
            self.scheduler.remove(name)
        else:
            self.scheduler.set(name, max(due, not_before or due), self._sync)

    def _sync(self, name: str) -> None:
        try:
            self.dispatcher.submit(name, trigger="schedule")
        except (UsageError, SyncStopped):  # it left the configuration, or feedd is stopping
            return

    def _done(self, ticket: Ticket) -> None:
        self.http.tail.wake()
        not_before = None
        self.outbox.wake(ticket.feed)
        self.teller.wake()
        if ticket.record is not None:
            self.metrics.observe(ticket.record)
            log.info(logs.SYNC_DONE, **logs.sync_line(ticket.feed, ticket.record))
        elif ticket.error is not None and not isinstance(ticket.error, SyncStopped):
            bug = None if isinstance(ticket.error, FeeddError) else ticket.error
            log.error(logs.SYNC_ERROR, feed=ticket.feed, error=str(ticket.error), exc_info=bug)
            not_before = datetime.now(UTC) + RETRY_AFTER_TROUBLE
        if not self._stopping.is_set():
            self._schedule(ticket.feed, datetime.now(UTC), not_before=not_before)

    def _checkpoint(self) -> None:
        while not self._stopping.wait(CHECKPOINT_EVERY_S):
            self.app.people.checkpoint()
            self.app.catalog.checkpoint()

    def _retain(self) -> None:
        """What has grown too old goes, now and every hour; others have at least half of the time in between."""

        def rest(seconds: float) -> bool:
            return self._stopping.wait(max(seconds, REST_S))

        while not self._stopping.is_set():
            try:
                done = self.app.retain(datetime.now(UTC), rest=rest)
            except StoreError as error:
                log.error(logs.STORE_ERROR, error=str(error))
            except Exception:  # a bug must not end it unnoticed, for the disk to fill
                log.exception(logs.STORE_ERROR)
            else:
                counts = msgspec.structs.asdict(done)
                if any(counts.values()):
                    log.info(logs.RETENTION_DONE, **counts)
            self._stopping.wait(RETAIN_EVERY_S)


@contextlib.contextmanager
def _ended_in_time(seconds: float) -> Iterator[None]:
    """End the process when what is inside takes longer: a database that hangs, a disk that does.

    Nothing is lost by that: what was acknowledged is committed, and leases keep everybody else right.
    """

    def end() -> None:
        log.warning(logs.DAEMON_STOPPED_LATE, after_s=seconds)
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class _Signals:
    """The signals that a daemon obeys, as numbers to wait for: the handler itself does nothing."""

    NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, _ignore) for number in self.NUMBERS}
        return self

    def __exit__(self, *_exception: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, timeout_s: float) -> list[int]:
        """The signals that came, after at most the given time."""
        ready, _, _ = select.select([self._reader], [], [], timeout_s)
        return [n for n in os.read(self._reader, 64) if n in self.NUMBERS] if ready else []


def _ignore(_number: int, _frame: FrameType | None) -> None:
    return

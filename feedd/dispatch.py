"""Runs syncs in threads: at most one a feed at a time, scheduled ones merged, asked-for ones never lost."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from feedd.app import App
from feedd.errors import FeeddError, SyncStopped
from feedd.model import Progress, SyncRecord

MOST_AT_ONCE = 48  # most of them wait for a server; how many read at once is up to the workers


class Ticket:
    """One sync that was asked for: queued, then running (`sync_id` is set), then done (`record` or `error` is)."""

    def __init__(self, feed: str, trigger: str, *, accept_removals: bool) -> None:
        self.feed = feed
        self.trigger = trigger
        self.accept_removals = accept_removals
        self.begun = False
        self.sync_id: int | None = None
        self.progress: Progress | None = None
        self.record: SyncRecord | None = None
        self.error: BaseException | None = None
        self.started = threading.Event()
        self.done = threading.Event()


class Dispatcher:
    """Takes requests for syncs; `on_done` is called in the sync's thread after each."""

    def __init__(self, app: App, on_done: Callable[[Ticket], None] = lambda _: None) -> None:
        self._app = app
        self._on_done = on_done
        self._pool = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="sync")
        self._lock = threading.Lock()
        self._running: dict[str, Ticket] = {}
        self._waiting: dict[str, Ticket] = {}
        self._stop = threading.Event()

    def submit(self, feed: str, *, trigger: str, accept_removals: bool = False) -> Ticket:
        """Ask for a sync of a configured feed.

        While one is running, a scheduled request is met by it; an asked-for one waits and then runs, since what it
        is about may have happened after the running one fetched. One that has not begun yet meets both.

        Raises:
            NotFound: there is no such feed.
            SyncStopped: feedd is stopping.
        """
        self._app.feed_settings(feed)
        with self._lock:
            if self._stop.is_set():
                raise SyncStopped("stopped", "feedd is stopping")
            ticket = self._running.get(feed)
            if ticket is None:
                ticket = Ticket(feed, trigger, accept_removals=accept_removals)
                self._running[feed] = ticket
                self._pool.submit(self._run, ticket)
                return ticket
            if trigger == "schedule":
                return ticket
            if ticket.begun:
                ticket = self._waiting.setdefault(
                    feed, Ticket(feed, trigger, accept_removals=False)
                )
            ticket.trigger = trigger
            ticket.accept_removals |= accept_removals
            return ticket

    def progress_of(self, sync_id: int) -> Progress | None:
        """How far a running sync is."""
        with self._lock:
            for ticket in self._running.values():
                if ticket.sync_id == sync_id:
                    return ticket.progress
        return None

    def stop(self) -> None:
        """Take no more, tell the running ones to stop, and wait for them."""
        with self._lock:
            self._stop.set()
            waiting, self._waiting = self._waiting, {}
        for ticket in waiting.values():
            self._end(ticket, error=SyncStopped("stopped", "feedd was stopped before this sync"))
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, ticket: Ticket) -> None:
        def started(sync_id: int) -> None:
            ticket.sync_id = sync_id
            ticket.started.set()

        def progressed(progress: Progress) -> None:
            ticket.progress = progress

        with self._lock:
            ticket.begun = True
        record: SyncRecord | None = None
        error: BaseException | None = None
        try:
            record = self._app.sync(
                ticket.feed,
                trigger=ticket.trigger,
                accept_removals=ticket.accept_removals,
                on_started=started,
                on_progress=progressed,
                stop=self._stop,
            )
        except FeeddError as expected:
            error = expected
        except Exception as bug:  # noqa: BLE001 one feed's bug must not end the thread before the next is due
            error = bug
        with self._lock:
            following = self._waiting.pop(ticket.feed, None)
            del self._running[ticket.feed]
            if following is not None:
                self._running[ticket.feed] = following
        self._end(ticket, record=record, error=error)
        if following is not None:
            self._pool.submit(self._run, following)

    def _end(
        self,
        ticket: Ticket,
        *,
        record: SyncRecord | None = None,
        error: BaseException | None = None,
    ) -> None:
        ticket.record = record
        ticket.error = error
        ticket.started.set()
        ticket.done.set()
        self._on_done(ticket)

"""Runs syncs in threads: at most one a feed at a time, scheduled ones merged, asked-for ones never lost."""

import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import msgspec

from feedd.app import DRY_RUN_PREFIX, App
from feedd.errors import STOPPED, FeeddError, SyncStopped, UsageError
from feedd.ingest import Stop
from feedd.model import DryRunLine, Forgotten, Progress, SyncRecord

MOST_AT_ONCE = 48  # most of them wait for a server; how many read at once is up to the workers
MOST_REMEMBERED = 1_000
DRY_RUN_STEP_S = 0.2


class Ticket:
    """One sync that was asked for: queued, then running (`sync_id` is set), then done (`record` or `error` is).

    `accepted` are the held removals that whoever asked for it has agreed to. A `replay` reads the stored body.
    """

    def __init__(self, feed: str, trigger: str, *, replay: bool = False) -> None:
        self.feed = feed
        self.trigger = trigger
        self.replay = replay
        self.accepted: bytes | None = None
        self.begun = False
        self.sync_id: int | None = None
        self.progress: Progress | None = None
        self.record: SyncRecord | None = None
        self.error: BaseException | None = None
        self.stop = Stop()
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
        self._waiting: dict[str, list[Ticket]] = {}
        self._requests: OrderedDict[tuple[str, str], Ticket] = OrderedDict()
        self._dry_runs: set[Stop] = set()
        self._stop = threading.Event()

    def submit(
        self,
        feed: str,
        *,
        trigger: str,
        replay: bool = False,
        accept_removals: bool = False,
        request_id: str | None = None,
    ) -> Ticket:
        """Ask for a sync of a configured feed.

        While one is running, a scheduled request is met by it; any other waits and then runs, since what it is about
        may have happened after the running one fetched. One that has not begun yet meets both, except that a `replay`
        (of the stored body) and a fetch do not stand for each other. `accept_removals`
        agrees to what is held at this moment, not to what may be when the sync runs. A request whose id has come
        before gets the same ticket.

        Raises:
            NotFound: there is no such feed.
            UsageError: (`no_body`) there is no body to replay.
            SyncStopped: feedd is stopping.
        """
        held = self._app.held(feed) if accept_removals else None
        self._app.feed_settings(feed)
        if replay:
            self._app.check_body(feed)
        with self._lock:
            if self._stop.is_set():
                raise SyncStopped(STOPPED, "feedd is stopping")
            key = (feed, request_id or "")
            if key in self._requests:
                return self._requests[key]
            ticket = self._ticket(feed, trigger, replay)
            if held is not None:
                ticket.accepted = (ticket.accepted or b"") + held
            if request_id is not None:
                self._requests[key] = ticket
                if len(self._requests) > MOST_REMEMBERED:
                    self._requests.popitem(last=False)
            return ticket

    def _ticket(self, feed: str, trigger: str, replay: bool) -> Ticket:
        ticket = self._running.get(feed)
        if ticket is None:
            ticket = Ticket(feed, trigger, replay=replay)
            self._running[feed] = ticket
            self._pool.submit(self._run, ticket)
        elif trigger != "schedule":  # which a replay meets too: it leaves the feed's turn as it is
            if ticket.begun or ticket.replay != replay:
                waiting = self._waiting.setdefault(feed, [])
                same = [other for other in waiting if other.replay == replay]
                ticket = same[0] if same else Ticket(feed, trigger, replay=replay)
                if not same:
                    waiting.append(ticket)
            ticket.trigger = trigger
        return ticket

    def dry_run(
        self, feed: str, *, replay: bool = False, accept_removals: bool = False
    ) -> Iterator[bytes]:
        """What a sync of a feed would do, as lines of JSON (`DryRunLine`) that come while it goes on.

        Nothing is stored, and real syncs of the feed go on beside it. It ends when the iterator is closed.

        Raises:
            NotFound: there is no such feed.
            UsageError: (`no_body`) there is no body to replay.
            SyncStopped: feedd is stopping.
        """
        accepted = self._app.held(feed) if accept_removals else None
        self._app.feed_settings(feed)
        if replay:
            self._app.check_body(feed)
        if self._stop.is_set():
            raise SyncStopped(STOPPED, "feedd is stopping")
        return self._dry_lines(feed, replay=replay, accepted=accepted)

    def _dry_lines(self, feed: str, *, replay: bool, accepted: bytes | None) -> Iterator[bytes]:
        stop = Stop()
        seen = [Progress(stage="wait")]
        folder = Path(tempfile.mkdtemp(dir=self._app.spool_dir, prefix=DRY_RUN_PREFIX))
        with self._lock:
            self._dry_runs.add(stop)
            if self._stop.is_set():
                stop.set()
        running = self._pool.submit(
            self._app.dry_run,
            feed,
            folder / "report",
            replay=replay,
            accepted=accepted,
            on_progress=lambda progress: seen.__setitem__(0, progress),
            stop=stop,
        )
        try:
            while not wait([running], DRY_RUN_STEP_S).done:
                yield msgspec.json.encode(DryRunLine(progress=seen[0])) + b"\n"
            running.result()
            with (folder / "report").open("rb") as lines:
                yield from lines
        finally:  # nobody listens any more: whoever closes this must not have to wait
            stop.set()
            self._dry_runs.discard(stop)
            running.add_done_callback(lambda _: shutil.rmtree(folder, ignore_errors=True))

    def progress_of(self, sync_id: int) -> Progress | None:
        """How far a running sync is."""
        with self._lock:
            for ticket in self._running.values():
                if ticket.sync_id == sync_id:
                    return ticket.progress
        return None

    def cancel(self, feed: str, *, sync_id: int | None = None) -> list[Ticket]:
        """End the syncs of a feed before their commit, or just the one with that id: the one that runs, and those
        that wait. Gives them; those that run end within moments, and `done` says when.
        """
        with self._lock:
            running = self._running.get(feed)
            found = [] if running is None else [running, *self._waiting.get(feed, ())]
            if sync_id is not None:
                found = [ticket for ticket in found if ticket.sync_id == sync_id]
            for ticket in found:
                ticket.stop.cancel()
            unbegun = [ticket for ticket in found if not ticket.begun]
            for ticket in unbegun:
                ticket.begun = True  # so that no thread takes it up any more
            if feed in self._waiting:
                self._waiting[feed] = [t for t in self._waiting[feed] if not t.begun]
            if running in unbegun:
                self._free(feed)
        for ticket in unbegun:
            self._end(ticket, error=ticket.stop.why)
        return found

    def forget(self, feed: str) -> Forgotten:
        """Drop what is stored of a feed, in the caller's thread; what is asked for meanwhile waits.

        Raises:
            NotFound: nothing is stored of it.
            UsageError: (`busy`) it is being synced.
            SyncStopped: feedd is stopping.
        """
        ticket = Ticket(feed, "forget")
        ticket.begun = True
        with self._lock:
            if self._stop.is_set():
                raise SyncStopped(STOPPED, "feedd is stopping")
            if feed in self._running:
                raise UsageError(
                    f"feed {feed} is being synced",
                    code="busy",
                    hint=f"Wait for its end, or type: feedd cancel {feed}",
                )
            self._running[feed] = ticket
        try:
            return self._app.forget(feed, ticket.stop.is_set)
        finally:
            with self._lock:
                self._free(feed)
            ticket.started.set()
            ticket.done.set()

    def depths(self) -> tuple[int, int]:
        """How many syncs run, and how many wait for their turn."""
        with self._lock:
            running = sum(ticket.begun for ticket in self._running.values())
            return running, len(self._running) - running + sum(map(len, self._waiting.values()))

    def stop(self) -> None:
        """Take no more, end what has not begun, tell the running ones to stop, and wait for them."""
        with self._lock:
            self._stop.set()
            ended = [t for waiting in self._waiting.values() for t in waiting]
            ended += [t for t in self._running.values() if not t.begun]
            self._waiting = {}
            for stop in (*self._dry_runs, *(t.stop for t in self._running.values())):
                stop.set()
            for ticket in ended:
                ticket.begun = True  # so that no thread takes it up any more
        for ticket in ended:
            self._end(ticket, error=SyncStopped(STOPPED, "feedd was stopped before this sync"))
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, ticket: Ticket) -> None:
        with self._lock:
            if ticket.begun:
                return
            ticket.begun = True
        record: SyncRecord | None = None
        error: BaseException | None = None
        try:
            record = self._sync(ticket)
        except FeeddError as expected:
            error = expected
        except Exception as bug:  # noqa: BLE001 one feed's bug must not end the thread before the next is due
            error = bug
        with self._lock:
            self._free(ticket.feed)
        self._end(ticket, record=record, error=error)

    def _free(self, feed: str) -> None:
        """Nothing of the feed runs any more: what waits begins."""
        del self._running[feed]
        waiting = self._waiting.get(feed)
        if waiting:
            following = waiting.pop(0)
            self._running[feed] = following
            self._pool.submit(self._run, following)

    def _sync(self, ticket: Ticket) -> SyncRecord:
        def started(sync_id: int) -> None:
            ticket.sync_id = sync_id
            ticket.started.set()

        def progressed(progress: Progress) -> None:
            ticket.progress = progress

        return self._app.sync(
            ticket.feed,
            trigger=ticket.trigger,
            replay=ticket.replay,
            accepted=ticket.accepted,
            on_started=started,
            on_progress=progressed,
            stop=ticket.stop,
        )

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
        try:
            self._on_done(ticket)
        except Exception:  # noqa: BLE001 what follows from a sync must not cost the next one
            from feedd import logs  # which a command has no use for

            logs.get_logger("feedd").exception(logs.SYNC_ERROR, feed=ticket.feed)

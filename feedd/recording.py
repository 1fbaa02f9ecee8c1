"""Group commit: what many ask to have recorded is written in one transaction, and each is told after its commit.

A commit waits for the disk, which takes as long for a thousand events as for one. So whoever comes while one is under way waits
for the next, with all others who came meanwhile. Nothing is told as recorded that a loss of power could take back.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from feedd import logs
from feedd.errors import FeeddError, Overloaded, SyncStopped
from feedd.people.values import Action, Outcome
from feedd.store.database import Database
from feedd.store.log_keeper import LogKeeper
from feedd.store.metric_ids import MetricIds
from feedd.store.recording import record, writing

MOST_AT_ONCE = 2_000  # actions in one transaction, unless one caller gave more
MOST_WAITING = 20_000
MOST_WAITING_BYTES = 64 * 1024 * 1024
STOP_WITHIN_S = 5.0
COMPLAIN_EVERY_S = 60.0

log = logs.get_logger("feedd")
Prepare = Callable[[Sequence[Action]], Sequence[Action]]
Also = Callable[[Any, list[Outcome]], None]  # a connection, and what became of the actions


class _Ticket:
    """What one caller wants recorded, and what became of it."""

    __slots__ = ("actions", "also", "done", "error", "outcomes", "size")

    def __init__(
        self,
        actions: Sequence[Action],
        done: Callable[["_Ticket"], None],
        also: Also | None = None,
    ) -> None:
        self.actions = actions
        self.also = also
        self.done = done
        self.size = sum(len(a.event.properties) for a in actions if a.event is not None)
        self.outcomes: list[Outcome] = []
        self.error: Exception | None = None

    def result(self) -> list[Outcome]:
        if self.error is not None:
            raise self.error
        return self.outcomes


class Recorder:
    """Takes actions from any thread, and writes them in batches; without `start`, each caller writes its own."""

    def __init__(
        self,
        people: Database,
        *,
        prepare: Prepare = lambda actions: actions,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        """`prepare` is what is done to actions before they are recorded, by whoever brings them."""
        self._people = people
        self._prepare = prepare
        self._most_waiting = most_waiting
        self._metrics = MetricIds()
        self._log = LogKeeper(people)
        self._waiting: deque[_Ticket] = deque()
        self._count = self._bytes = 0
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._stopping = self._running = False
        self._complained_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Write for others from now on."""
        self._running = True
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and take no more."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._running:
            self._thread.join(STOP_WITHIN_S)
        self._log.wait()

    def waiting(self) -> int:
        """How many actions wait to be written."""
        return self._count

    def record(self, actions: Sequence[Action], also: Also | None = None) -> list[Outcome]:
        """Record actions, all or none; gives what became of each, after the commit.

        `also` is called in their transaction, which is theirs alone then; what it raises undoes it.

        Raises:
            Overloaded: too many wait already; none of these was recorded.
            StoreError: the database cannot be used; none was recorded.
        """
        if not self._running:
            ticket = _Ticket(self._prepare(actions), lambda _: None, also)
            self._write([ticket])
            return ticket.result()
        ended = threading.Event()
        ticket = self._submit(actions, lambda _: ended.set(), also)
        ended.wait()
        return ticket.result()

    async def recorded(self, actions: Sequence[Action]) -> list[Outcome]:
        """As `record`, on an event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Outcome]] = loop.create_future()
        self._submit(actions, _Promise(loop, future))
        return await future

    def _submit(
        self,
        actions: Sequence[Action],
        done: Callable[[_Ticket], None],
        also: Also | None = None,
    ) -> _Ticket:
        ticket = _Ticket(self._prepare(actions), done, also)
        with self._changed:
            if self._stopping:
                raise SyncStopped("stopped", "feedd is stopping")
            full = self._count + len(actions) > self._most_waiting
            if self._waiting and (full or self._bytes + ticket.size > MOST_WAITING_BYTES):
                raise Overloaded
            self._waiting.append(ticket)
            self._count += len(actions)
            self._bytes += ticket.size
            self._changed.notify()
        return ticket

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if not self._waiting:
                    return
                batch = self._take()
            self._write(batch)
            _tell(batch)

    def _take(self) -> list[_Ticket]:
        batch = [self._waiting.popleft()]
        count = len(batch[0].actions)
        while (
            self._waiting
            and count + len(self._waiting[0].actions) <= MOST_AT_ONCE
            and batch[0].also is self._waiting[0].also is None
        ):
            batch.append(self._waiting.popleft())
            count += len(batch[-1].actions)
        self._count -= count
        self._bytes -= sum(ticket.size for ticket in batch)
        return batch

    def _write(self, batch: Sequence[_Ticket]) -> None:
        """Record what some tickets hold, in one transaction."""
        actions = [action for ticket in batch for action in ticket.actions]
        try:
            with self._writing:
                outcomes = self._recorded(actions, batch[0].also)
        except FeeddError as error:
            self._complain(error)
            for ticket in batch:
                ticket.error = error
            return
        except Exception as error:
            if len(batch) == 1:
                log.exception(logs.RECORD_ERROR)
                batch[0].error = error
                return
            for ticket in batch:  # a bug that one of them meets is not the others'
                self._write([ticket])
            return
        start = 0
        for ticket in batch:
            ticket.outcomes = outcomes[start : start + len(ticket.actions)]
            start += len(ticket.actions)

    def _complain(self, error: FeeddError) -> None:
        """Tell the log that nothing can be recorded, once a minute: whoever asks is told each time."""
        now = time.monotonic()
        if now - self._complained_at >= COMPLAIN_EVERY_S:
            self._complained_at = now
            log.error(logs.STORE_ERROR, error=str(error))

    def _recorded(self, actions: Sequence[Action], also: Also | None) -> list[Outcome]:
        try:
            with writing(self._people) as connection:
                outcomes = record(connection, actions, datetime.now(UTC), self._metrics)
                if also is not None:
                    also(connection, outcomes)
        except BaseException:
            self._metrics.forget()
            raise
        self._metrics.keep()
        self._log.wrote(len(actions))
        return outcomes


class _Promise:
    """Somebody on an event loop who waits for a ticket."""

    __slots__ = ("_future", "loop")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, future: "asyncio.Future[list[Outcome]]"
    ) -> None:
        self.loop = loop
        self._future = future

    def __call__(self, ticket: _Ticket) -> None:
        if self._future.done():  # whoever waited has gone
            return
        if ticket.error is not None:
            self._future.set_exception(ticket.error)
        else:
            self._future.set_result(ticket.outcomes)


def _tell(batch: Sequence[_Ticket]) -> None:
    """Tell those who wait; those on a loop by one call for all of them, for each call wakes the loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Ticket]] = {}
    for ticket in batch:
        if isinstance(ticket.done, _Promise):
            by_loop.setdefault(ticket.done.loop, []).append(ticket)
        else:
            ticket.done(ticket)
    for loop, tickets in by_loop.items():
        try:
            loop.call_soon_threadsafe(_keep, tickets)
        except RuntimeError:  # the loop has ended, and with it all who waited
            continue


def _keep(tickets: Sequence[_Ticket]) -> None:
    for ticket in tickets:
        ticket.done(ticket)

"""Group commit: what many ask to have recorded is written in one transaction, and each is told after its commit.

A commit waits for the disk, which takes as long for a thousand events as for one. So whoever comes while one is under way waits
for the next, with all others who came meanwhile. Nothing is told as recorded that a loss of power could take back.

Files are another matter: how far one is stands in the database, so a chunk of it may be told as taken before its commit. Such chunks
share a transaction that stays open while nobody else wants to write. Every commit writes each page that it has touched, and on a
large database nearly every event touches pages of its own: twenty chunks in one commit write half as much as in twenty.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from feedd import logs
from feedd.errors import FeeddError, Overloaded, StoreError, SyncStopped
from feedd.people.values import Action, Outcome
from feedd.store.database import Database
from feedd.store.log_keeper import LogKeeper
from feedd.store.metric_ids import MetricIds
from feedd.store.recording import record, savepoint, writing

MOST_AT_ONCE = 2_000  # actions in one transaction, unless one caller gave more
MOST_WAITING = 20_000
MOST_WAITING_BYTES = 64 * 1024 * 1024
MOST_LAZILY = 20_000  # actions in a transaction that stays open
OPEN_FOR_S = 1.0
IDLE_S = 0.05
LARGE_BYTES = 64 * 1024
STOP_WITHIN_S = 5.0
COMPLAIN_EVERY_S = 60.0

log = logs.get_logger("feedd")
Prepare = Callable[[Sequence[Action]], Sequence[Action]]
Also = Callable[[Any, list[Outcome]], None]  # a connection, and what became of the actions


class _Ticket:
    """What one caller wants recorded, and what became of it."""

    __slots__ = ("actions", "also", "done", "error", "is_lazy", "of", "outcomes", "size")

    def __init__(
        self,
        actions: Sequence[Action],
        done: Callable[["_Ticket"], None],
        also: Also | None = None,
        *,
        of: str | None = None,
        is_lazy: bool = False,
    ) -> None:
        self.actions = actions
        self.also = also
        self.of = of
        self.is_lazy = is_lazy
        self.done = done
        self.size = _size_of(actions)
        self.outcomes: list[Outcome] = []
        self.error: Exception | None = None

    def result(self) -> list[Outcome]:
        if self.error is not None:
            raise self.error
        return self.outcomes


def _size_of(actions: Sequence[Action]) -> int:
    return sum(len(each.event.properties) for each in actions if each.event is not None)


class Recorder:
    """Takes actions from any thread, and writes them in batches; until `start`, each caller writes its own."""

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
        self._open: _Open | None = None
        self._lost: dict[str, StoreError] = {}  # why what was told as taken is not there
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

    def record(
        self,
        actions: Sequence[Action],
        also: Also | None = None,
        *,
        of: str | None = None,
        lazily: bool = False,
    ) -> list[Outcome]:
        """Record actions, all or none; gives what became of each, after the commit.

        `also` is called in their transaction, which no other caller's actions are in; what it raises undoes them.
        `lazily` is for who can tell by `also` whether all that came before is there: it does not wait for the commit, which
        the next call that is not lazy does. `of` names who it is: the next call of the same name is told why that commit failed.

        Raises:
            Overloaded: too many wait already; none of these was recorded.
            StoreError: the database cannot be used; none was recorded, nor what was recorded lazily just before.
        """
        if lazily and not self._running:
            self.start()  # who commits what is open when nobody comes any more
        if not self._running:
            ticket = _Ticket(self._prepare(actions), lambda _: None, also, of=of)
            self._serve([ticket])
            return ticket.result()
        ended = threading.Event()
        ticket = _Ticket(self._prepare(actions), lambda _: ended.set(), also, of=of, is_lazy=lazily)
        self._submit(ticket)
        ended.wait()
        return ticket.result()

    async def recorded(self, actions: Sequence[Action]) -> list[Outcome]:
        """As `record`, on an event loop: what is large is prepared in a thread, so that nobody waits for it."""
        if not self._running:
            return await asyncio.to_thread(self.record, actions)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Outcome]] = loop.create_future()
        if _size_of(actions) > LARGE_BYTES:
            prepared = await asyncio.to_thread(self._prepare, actions)
        else:
            prepared = self._prepare(actions)
        self._submit(_Ticket(prepared, _Promise(loop, future)))
        return await future

    def _submit(self, ticket: _Ticket) -> None:
        count = len(ticket.actions)
        with self._changed:
            if self._stopping:
                raise SyncStopped("stopped", "feedd is stopping")
            full = self._count + count > self._most_waiting
            if self._waiting and (full or self._bytes + ticket.size > MOST_WAITING_BYTES):
                raise Overloaded
            self._waiting.append(ticket)
            self._count += count
            self._bytes += ticket.size
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    if not self._changed.wait(None if self._open is None else IDLE_S):
                        break
                batch = self._take() if self._waiting else []
                is_last = self._stopping and not batch
            if batch:
                self._serve(batch)
                _tell(batch)
            else:
                self._close()
            if is_last:
                return

    def _serve(self, batch: Sequence[_Ticket]) -> None:
        with self._writing:
            if batch[0].is_lazy:
                self._write_lazily(batch[0])
            else:
                self._close()
                self._write(batch)

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
            self._raise_lost(batch[0])
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

    def _write_lazily(self, ticket: _Ticket) -> None:
        """Record what a ticket holds in the transaction that is open, or in a new one."""
        try:
            self._raise_lost(ticket)
            if self._open is None:
                self._open = _Open(self._people)
            with self._open.part() as connection:
                now = datetime.now(UTC)
                ticket.outcomes = record(connection, ticket.actions, now, self._metrics)
                if ticket.also is not None:
                    ticket.also(connection, ticket.outcomes)
            self._open.add(ticket)
        except FeeddError as error:
            self._metrics.forget()  # those of this part are not there; others are found again
            ticket.error = error
        except Exception as error:  # noqa: BLE001 it is told and logged
            ticket.error = self._abandon(error)
            self._lost.pop(ticket.of or "", None)  # who is told now
        if self._open is not None and self._open.is_long():
            self._close()

    def _close(self) -> None:
        """Commit what was recorded lazily."""
        if self._open is None:
            return
        count, opened = self._open.count, self._open
        self._open = None
        try:
            opened.commit()
        except StoreError as error:
            self._lost |= dict.fromkeys(opened.names, error)
            self._metrics.forget()
            self._complain(error)
        else:
            self._metrics.keep()
            self._log.wrote(count)

    def _abandon(self, error: Exception) -> Exception:
        """Undo what was recorded lazily; gives what is told of an error that the driver has raised, or of a bug."""
        self._metrics.forget()
        opened, self._open = self._open, None
        told = error
        if opened is not None:
            told = opened.roll_back(error)
            if isinstance(told, StoreError):
                self._lost |= dict.fromkeys(opened.names, told)
        if isinstance(told, FeeddError):
            self._complain(told)
        else:
            log.error(logs.RECORD_ERROR, exc_info=told)
        return told

    def _raise_lost(self, ticket: _Ticket) -> None:
        """Tell who has recorded lazily why it is not there."""
        error = self._lost.pop(ticket.of, None) if ticket.of is not None else None
        if error is not None:
            raise error

    def _complain(self, error: FeeddError) -> None:
        """Tell the log that nothing can be recorded, once a minute: whoever asks is told each time."""
        now = time.monotonic()
        if isinstance(error, StoreError) and now - self._complained_at >= COMPLAIN_EVERY_S:
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


class _Open:
    """A transaction that stays open for several callers, each of whom has a part of it that can be undone by itself."""

    def __init__(self, people: Database) -> None:
        self._stack = contextlib.ExitStack()
        self._connection = self._stack.enter_context(writing(people))
        self._until = time.monotonic() + OPEN_FOR_S
        self.count = 0
        self.names: set[str] = set()  # whose parts it holds

    def add(self, ticket: _Ticket) -> None:
        self.count += len(ticket.actions)
        if ticket.of is not None:
            self.names.add(ticket.of)

    @contextlib.contextmanager
    def part(self) -> Iterator[Any]:
        with savepoint(self._connection):
            yield self._connection

    def is_long(self) -> bool:
        return self.count >= MOST_LAZILY or time.monotonic() > self._until

    def commit(self) -> None:
        self._stack.close()

    def roll_back(self, error: Exception) -> Exception:
        """Undo all of it; gives the error as the store tells it."""
        try:
            self._stack.__exit__(type(error), error, error.__traceback__)
        except Exception as told:  # noqa: BLE001 the caller tells it
            return told
        return error


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

"""Renders templates in worker processes, and answers what they ask of the catalog.

A render happens at one position of the change stream: everything it looks up is as of there, read in one snapshot. The processes are
kept: they hold compiled templates and answers, and are told what to forget when the stream has moved.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice

from feedd.errors import FeeddError, Overloaded
from feedd.rendering.job import Job, Recipient, Source, Wanted, sound
from feedd.rendering.lookups import Bodies, Lookups, View
from feedd.rendering.outcomes import (
    OUTCOMES,
    Deaths,
    Rendered,
    RenderFailed,
    ended,
    kind_of,
    too_long,
    without_bugs,
)
from feedd.rendering.process import WorkerDied, WorkerHung, WorkerProcess, was_out_of_memory
from feedd.templates.wire import Account, Check, Checked, Failed, Known, Limits, Position, Problem

CHUNK = 64  # messages that a worker does before another thread may have it
WAIT_S = 30.0  # for a process that is free
MOST_WAITING = 16  # threads that wait for one


class Renderer:
    """A few worker processes, started when they are needed. Every method may be called from many threads.

    `account` and `limits` are asked for when a process starts; `reload` has processes replaced that were started for others.
    """

    def __init__(
        self,
        account: Callable[[], Account],
        lookups: Lookups,
        *,
        processes: int = 1,
        limits: Limits = Limits(),  # noqa: B008 it is frozen
    ) -> None:
        self._account = account
        self._lookups = lookups
        self.limits = limits
        self._free = threading.BoundedSemaphore(processes)
        self.processes = processes
        self._idle: list[WorkerProcess] = []
        self._lock = threading.Lock()
        self._generation = 0
        self._waiting = 0
        self._closed = False
        self.busy = 0
        self.outcomes = Counter(dict.fromkeys(OUTCOMES, 0))
        self._deaths = Deaths()

    def render(self, source: Source, recipient: Recipient, wanted: Wanted = Wanted()) -> Rendered:  # noqa: B008
        """One message.

        Raises:
            RenderFailed: there is none; says why.
            Overloaded: every process has been busy for half a minute.
            UsageError: the position is not in the stream any more, or not yet.
        """
        for outcome in self.render_many(source, [recipient], wanted):
            if isinstance(outcome, Failed):
                raise RenderFailed(outcome)
            return outcome
        raise AssertionError("one recipient has one outcome")

    def render_many(
        self,
        source: Source,
        recipients: Iterable[Recipient],
        wanted: Wanted = Wanted(),  # noqa: B008
    ) -> Iterator[Rendered | Failed]:
        """A message for each recipient in turn, or why there is none; all of them at one position and time, with the same web feeds.

        No snapshot of the database is held while the caller does something with what there is: where the stream has moved
        meanwhile, it is walked back. What is raised comes after the messages that were done: the rest may be asked for again.

        Raises: as `render`, but RenderFailed. TooOld in the middle: retention has deleted changes after the position.
        """
        batch = _Batch(source, wanted)
        waiting = iter(recipients)
        while chunk := list(islice(waiting, CHUNK)):
            outcomes, error = self._render_chunk(batch, chunk)
            yield from outcomes
            if error is not None:
                raise error

    def check(self, source: str, known: Known = Known()) -> tuple[Problem, ...]:  # noqa: B008 it is frozen
        """Every problem of a source, in its order. `known` are the names that the configuration has.

        Raises:
            RenderFailed: it is too large, or takes too long to be read.
            Overloaded: as `render`.
        """
        if len(source) > self.limits.source_bytes:
            raise RenderFailed(too_long(self.limits))
        with self._worker() as worker:
            try:
                worker.send(Check(sound(source), known))
                said = worker.receive(time.monotonic() + self.limits.wall_s)
            except (WorkerDied, WorkerHung) as error:
                self._deaths.tell(error)
                raise RenderFailed(ended(error, self.limits)) from error
            if isinstance(said, Checked):
                return said.problems
            worker.kill()
            assert isinstance(said, Failed)  # noqa: S101 a question is never asked while checking
            failure = without_bugs(said)
            assert isinstance(failure, Failed)  # noqa: S101 it is one
            raise RenderFailed(failure)

    def reload(self, *, processes: int) -> None:
        """Have processes begin anew, one after the other: the account may be another one."""
        with self._lock:
            self._generation += 1
            idle, self._idle = self._idle, []
            if processes != self.processes:
                self.processes = processes
                self._free = threading.BoundedSemaphore(processes)
        for worker in idle:
            worker.kill()

    def close(self) -> None:
        """End the processes that are idle, and each of the others once it has done what it does."""
        self.reload(processes=self.processes)
        self._closed = True

    def _render_chunk(
        self, batch: "_Batch", chunk: Sequence[Recipient]
    ) -> tuple[list[Rendered | Failed], FeeddError | None]:
        """An outcome for each; or for some, and what kept the rest from being had.

        A process that dies takes the one message with it that it was at. A process comes before a view: who waits for one holds no
        connection, and what a process keeps is never older than its configuration.
        """
        outcomes: list[Rendered | Failed] = []
        error: FeeddError | None = None
        if batch.source.is_longer_than(self.limits.source_bytes):
            outcomes = [too_long(self.limits)] * len(chunk)
        while error is None and len(outcomes) < len(chunk):
            try:
                with self._worker() as worker, self._lookups.view(batch.at, batch.bodies) as view:
                    job = batch.job(view)
                    try:
                        job.prepare(worker)
                        job.run(worker, chunk, outcomes, self.limits)
                    except (WorkerDied, WorkerHung) as death:
                        self._deaths.tell(death)
                        if not (worker.messages and was_out_of_memory(death)):
                            outcomes.append(ended(death, self.limits))
            except FeeddError as found:
                error = found
        with self._lock:
            self.outcomes.update(map(kind_of, outcomes))
        return [without_bugs(each) for each in outcomes], error

    def _is_free(self, free: threading.BoundedSemaphore) -> bool:
        """Wait for a process, unless many do already: threads that wait here can do nothing else, and are not many."""
        if free.acquire(blocking=False):
            return True
        with self._lock:
            if self._waiting >= MOST_WAITING:
                return False
            self._waiting += 1
        try:
            return free.acquire(timeout=WAIT_S)
        finally:
            with self._lock:
                self._waiting -= 1

    @contextmanager
    def _worker(self) -> Iterator[WorkerProcess]:
        """A process for this thread alone, which is kept for the next one where it lives on."""
        free = self._free
        if not self._is_free(free):
            raise Overloaded("every process that renders templates is busy")
        try:
            with self._lock:
                generation = self._generation
                worker = self._idle.pop() if self._idle else None
                self.busy += 1
            try:
                if worker is not None and not worker.is_alive:
                    self._deaths.tell(WorkerDied(worker.signal_number))
                    worker.kill()  # its pipes are still open
                    worker = None
                if worker is None:
                    worker = WorkerProcess(self._account(), self.limits)
                yield worker
            except BaseException:  # it may be waiting for an answer that nobody gives
                if worker is not None:
                    worker.kill()
                raise
            finally:
                with self._lock:
                    self.busy -= 1
            with self._lock:
                is_kept = generation == self._generation and not self._closed and worker.is_alive
                if is_kept:
                    self._idle.append(worker)
            if not is_kept:
                worker.kill()
        finally:
            free.release()


class _Batch:
    """What is the same for all messages of one call: the template, and from the first message on the position, the time and web feeds."""

    def __init__(self, source: Source, wanted: Wanted) -> None:
        self.source = source
        self.at = wanted.at
        self.bodies: Bodies = {}
        self._wanted = wanted
        self._now = wanted.now

    def job(self, view: View) -> Job:
        """The template at the position of a view, which the later ones have to have too."""
        if self._now is None:
            self._now = datetime.now(UTC) if self.at is None else view.committed_at
        self.at = view.seq
        position = Position(view.stream_id, view.seq)
        return Job(self.source, self._wanted, position, self._now, view)

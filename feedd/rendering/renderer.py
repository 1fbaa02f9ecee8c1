"""Renders templates in worker processes, and answers what they ask of the catalog.

A render happens at one position of the change stream: everything it looks up is as of there, read in one snapshot. The processes are
kept: they hold compiled templates and answers, and are told what to forget when the stream has moved.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice

from msgspec import Struct

from feedd import logs
from feedd.errors import FeeddError, Overloaded
from feedd.rendering.lookups import Lookups, View
from feedd.rendering.process import (
    WorkerDied,
    WorkerHung,
    WorkerProcess,
    was_out_of_memory,
    was_out_of_time,
)
from feedd.templates.wire import (
    Account,
    Ask,
    Check,
    Checked,
    Done,
    Failed,
    Limits,
    Links,
    Load,
    Move,
    Position,
    Problem,
    Used,
    UsedFeed,
    Work,
)

log = logs.get_logger("feedd")
MOST_TEMPLATES = 64  # that a worker keeps compiled
CHUNK = 64  # messages that a worker does before another thread may have it
MOST_AHEAD_BYTES = (
    64 * 1024
)  # of work that a worker has not begun: what a socket takes without being read
OUTCOMES = ("rendered", "skipped", "failed")
WAIT_S = 30.0  # for a process that is free
MOST_WAITING = 16  # threads that wait for one
ANSWERS_S = 20.0  # what the questions of one message may take


class Source(Struct, frozen=True, kw_only=True):
    """A template: its HTML, and what else there is of it."""

    html: str
    text: str | None = None
    subject: str | None = None
    preview_text: str | None = None

    @property
    def name(self) -> str:
        """The same for the same template."""
        parts = (self.html, self.text, self.subject, self.preview_text)
        return sha256(repr(parts).encode()).hexdigest()  # repr: no two templates look the same


class Recipient(Struct, frozen=True, kw_only=True):
    """Who a message is for: their variables as a JSON object, their links (at a position), and what chance is seeded with."""

    values: bytes
    links: Links | Callable[[Position], Links] = Links()
    seed: str = ""


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to come out beside the HTML, and when. `now` is the moment of the position when left out."""

    text: bool = False
    inlines: bool = False
    at: int | None = None
    now: datetime | None = None


class Rendered(Struct, frozen=True, kw_only=True):
    """A message, with what it was made of: the same again at this position and time."""

    html: bytes
    text: str | None
    subject: str | None
    preview_text: str | None
    position: Position
    now: datetime
    items: tuple[Used, ...] = ()
    feeds: tuple[UsedFeed, ...] = ()


class RenderFailed(FeeddError):
    """There is no message. `failure.kind` is syntax (mend the template), lookup (skip the recipient), limit or error."""

    def __init__(self, failure: Failed) -> None:
        self.failure = failure
        self.code = failure.code
        self.message = failure.message
        self.hint = failure.hint or ""
        place = "" if failure.line is None else f"line {failure.line}, column {failure.column}: "
        super().__init__(f"{place}{failure.message}" + (f". {self.hint}" if self.hint else ""))


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
        """A message for each recipient in turn, or why there is none; all of them at one position and time.

        No snapshot of the database is held while the caller does something with what there is: where the stream has moved
        meanwhile, it is walked back.

        Raises: as `render`, but RenderFailed.
        """
        at, now = wanted.at, wanted.now
        waiting = iter(recipients)
        while chunk := list(islice(waiting, CHUNK)):
            with self._lookups.view(at) as view:
                if now is None:
                    now = datetime.now(UTC) if at is None else view.committed_at
                at = view.seq
                job = _Job(source, wanted, Position(view.stream_id, at), now, view)
                outcomes = self._render_chunk(job, chunk)
            yield from outcomes

    def check(self, source: str, *, feeds: tuple[str, ...] | None = None) -> tuple[Problem, ...]:
        """Every problem of a source, in its order. `feeds` are the web feeds that there are.

        Raises:
            RenderFailed: it is too large, or takes too long to be read.
            Overloaded: as `render`.
        """
        if len(source) > self.limits.source_bytes:
            raise RenderFailed(_too_long(self.limits))
        with self._worker() as worker:
            try:
                worker.send(Check(source, feeds))
                said = worker.receive(time.monotonic() + self.limits.wall_s)
            except (WorkerDied, WorkerHung) as error:
                raise RenderFailed(_ended(error, self.limits)) from error
            if isinstance(said, Checked):
                return said.problems
            worker.kill()
            assert isinstance(said, Failed)  # noqa: S101 a question is never asked while checking
            raise RenderFailed(said)

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

    def _render_chunk(self, job: "_Job", chunk: Sequence[Recipient]) -> list[Rendered | Failed]:
        """An outcome for each; a process that dies takes the one message with it that it was at."""
        if job.is_too_long(self.limits):
            return [_too_long(self.limits)] * len(chunk)
        outcomes: list[Rendered | Failed] = []
        while len(outcomes) < len(chunk):
            with self._worker() as worker:
                try:
                    job.prepare(worker)
                    job.run(worker, chunk, outcomes, self.limits)
                except (WorkerDied, WorkerHung) as error:
                    if not (worker.messages and was_out_of_memory(error)):
                        outcomes.append(_ended(error, self.limits))
        with self._lock:
            self.outcomes.update(map(_kind_of, outcomes))
        return [_without_bugs(each) for each in outcomes]

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


class _Job:
    """One template at one position, for any number of recipients."""

    def __init__(
        self, source: Source, wanted: Wanted, position: Position, now: datetime, view: View
    ) -> None:
        self._source = source
        self._name = source.name
        self._wanted = wanted
        self._position = position
        self._now = now
        self._view = view

    def is_too_long(self, limits: Limits) -> bool:
        """Whether the template is larger than one may be."""
        source = self._source
        parts = (source.html, source.text, source.subject, source.preview_text)
        return sum(len(part) for part in parts if part is not None) > limits.source_bytes

    def prepare(self, worker: WorkerProcess) -> None:
        """Bring a process to the position, and tell it the template."""
        worker.send(Move(self._position, *self._view.stale(worker.position, worker.feeds)))
        worker.position = self._position
        if self._name in worker.templates:
            worker.templates[self._name] = worker.templates.pop(self._name)  # used last
            return
        dropped = list(worker.templates)[: max(0, len(worker.templates) - MOST_TEMPLATES + 1)]
        for name in dropped:
            del worker.templates[name]
        source = self._source
        worker.send(
            Load(
                name=self._name,
                html=source.html,
                text=source.text,
                subject=source.subject,
                preview_text=source.preview_text,
                drop=tuple(dropped),
            )
        )
        worker.templates[self._name] = None

    def run(
        self,
        worker: WorkerProcess,
        chunk: Sequence[Recipient],
        outcomes: list[Rendered | Failed],
        limits: Limits,
    ) -> None:
        """Render those that have no outcome yet, until all have one or the process ends itself.

        A little work is sent ahead, so that the process never waits; never so much that both sides could wait to be read.
        """
        unread: deque[int] = deque()  # the sizes of what has been sent and not been done
        while len(outcomes) < len(chunk):
            while len(outcomes) + len(unread) < len(chunk) and (
                not unread or sum(unread) < MOST_AHEAD_BYTES
            ):
                work = self._work(chunk[len(outcomes) + len(unread)])
                if unread and len(work.values) > MOST_AHEAD_BYTES:
                    break
                unread.append(worker.send(work))
            said = self._follow(worker, limits)
            unread.popleft()
            if isinstance(said, Failed) and said.code == "too_much_memory" and worker.messages:
                # what others left there may be to blame: once more, in a fresh process
                worker.kill()
                return
            worker.messages += 1
            outcomes.append(said if isinstance(said, Failed) else self._rendered(said))
            if said.ends:
                worker.kill()
                return

    def _work(self, recipient: Recipient) -> Work:
        links = recipient.links
        return Work(
            name=self._name,
            values=recipient.values,
            now=self._now.timestamp(),
            seed=f"{self._name}{recipient.seed}",
            links=links if isinstance(links, Links) else links(self._position),
            wants_text=self._wanted.text,
            inlines=self._wanted.inlines,
        )

    def _follow(self, worker: WorkerProcess, limits: Limits) -> Done | Failed:
        """What becomes of the message that the process is at. The time that its questions take here is not its own, but has an end."""
        deadline = time.monotonic() + limits.wall_s
        taken = 0.0
        while True:
            said = worker.receive(deadline)
            if isinstance(said, Done | Failed):
                return said
            if isinstance(said, Ask):
                asked = time.monotonic()
                worker.answer(self._view.answer(said.question, worker.feeds))
                took = time.monotonic() - asked
                deadline, taken = deadline + took, taken + took
                if taken > ANSWERS_S:
                    return _LOOKS_TOO_LONG

    def _rendered(self, done: Done) -> Rendered:
        return Rendered(
            html=done.html,
            text=done.text,
            subject=done.subject,
            preview_text=done.preview_text,
            position=self._position,
            now=self._now,
            items=done.items,
            feeds=done.feeds,
        )


_LOOKS_TOO_LONG = Failed(
    kind="limit",
    code="too_slow",
    message=f"what it looks up takes more than {ANSWERS_S:g} s",
    hint='Look at fewer changes, such as those since="1d", or use one list more than once.',
    ends=True,
)


def _kind_of(outcome: Rendered | Failed) -> str:
    """The outcome in a word of `OUTCOMES`."""
    if isinstance(outcome, Rendered):
        return "rendered"
    return "skipped" if outcome.kind == "lookup" else "failed"


def _without_bugs(outcome: Rendered | Failed) -> Rendered | Failed:
    """The same outcome; a bug of ours goes to the log, and who asked is told that there is one."""
    if not isinstance(outcome, Failed) or outcome.kind != "bug":
        return outcome
    log.error(logs.RENDER_BUG, report=outcome.message)
    return Failed(
        kind="error",
        code="internal",
        message="feedd itself has failed here",
        hint="Its log says how (render.bug). Other messages are not touched.",
    )


def _ended(error: WorkerDied | WorkerHung, limits: Limits) -> Failed:
    """Why a message has taken its process with it."""
    if isinstance(error, WorkerHung):
        return Failed(
            kind="limit", code="too_slow", message=f"it takes more than {limits.wall_s:g} s"
        )
    if was_out_of_time(error.signal_number):
        message = f"it takes more than {limits.cpu_s:g} s of processor time"
        return Failed(kind="limit", code="too_slow", message=message)
    hint = "It may take too much memory. The messages after it were not touched."
    return Failed(kind="limit", code="crashed", message=str(error), hint=hint)


def _too_long(limits: Limits) -> Failed:
    message = f"a template may have {limits.source_bytes:,} characters"
    return Failed(kind="limit", code="template_too_large", message=message)

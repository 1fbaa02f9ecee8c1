"""One template for any number of people: what a worker is told, and what it answers."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import TypeVar

from msgspec import Struct

from feedd.rendering.lookups import View
from feedd.rendering.outcomes import ANSWERS_S, LOOKS_TOO_LONG, Rendered
from feedd.rendering.process import WorkerProcess
from feedd.templates.wire import Ask, Done, Failed, Limits, Links, Load, Move, Position, Work

MOST_TEMPLATES = 64  # that a worker keeps compiled
MOST_AHEAD_BYTES = 64 * 1024  # of work that is not begun: what a socket takes without being read
VIEW_S = 5.0  # for so long messages are begun under one snapshot of the database


class Source(Struct, frozen=True, kw_only=True):
    """A template: its HTML, and what else there is of it."""

    html: str
    text: str | None = None
    subject: str | None = None
    preview_text: str | None = None

    @property
    def _parts(self) -> tuple[str | None, ...]:
        return self.html, self.text, self.subject, self.preview_text

    @property
    def name(self) -> str:
        """The same for the same template."""
        return sha256(
            repr(self._parts).encode()
        ).hexdigest()  # repr: no two templates look the same

    def is_longer_than(self, characters: int) -> bool:
        """Whether there is more of it, all parts together."""
        return sum(len(part) for part in self._parts if part is not None) > characters

    @property
    def leads(self) -> bool:
        """Whether it may lead to a recipient's own pages: the tags that do so are called as their links are."""
        return any(tag in part for part in self._parts if part for tag in Links.__struct_fields__)


class Recipient(Struct, frozen=True, kw_only=True):
    """Who a message is for: their variables as a JSON object, their links, and what chance is seeded with.

    Links that are made at a position are asked for where the template may lead to one of them.
    """

    values: bytes
    links: Links | Callable[[Position], Links] = Links()
    seed: str = ""


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to come out beside the HTML, and when. `now` is the moment of the position when left out."""

    text: bool = False
    inlines: bool = False
    at: int | None = None
    now: datetime | None = None


class Job:
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
        self._leads = source.leads

    def prepare(self, worker: WorkerProcess) -> None:
        """Bring a process to the position, and tell it the template."""
        stale = self._view.stale(worker.position, worker.basis, worker.feeds)
        worker.send(Move(self._position, *stale))
        worker.position, worker.basis = self._position, self._view.basis
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
                html=sound(source.html),
                text=sound(source.text),
                subject=sound(source.subject),
                preview_text=sound(source.preview_text),
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
        """Render those that have no outcome yet, until all have one, the process ends itself, or the view has been open for long.

        A little work is sent ahead, so that the process never waits; never so much that both sides could wait to be read.
        """
        unread: deque[int] = deque()  # the sizes of what has been sent and not been done
        until = time.monotonic() + VIEW_S
        while unread or (len(outcomes) < len(chunk) and time.monotonic() < until):
            for recipient in chunk[len(outcomes) + len(unread) :]:
                if unread and (sum(unread) >= MOST_AHEAD_BYTES or time.monotonic() >= until):
                    break
                work = self._work(recipient)
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
        if not isinstance(links, Links):
            links = links(self._position) if self._leads else Links()
        return Work(
            name=self._name,
            values=recipient.values,
            now=self._now.timestamp(),
            seed=f"{self._name}{recipient.seed}",
            links=links,
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
                    return LOOKS_TOO_LONG

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


_Part = TypeVar("_Part", str, str | None)


def sound(text: _Part) -> _Part:
    """A text that can be sent: half a character becomes a question mark."""
    return None if text is None else text.encode("utf-8", "replace").decode()

"""What a worker may ask for, answered from the databases as of one position."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from feedd.templates.wire import AskFeed, Position, Question

if TYPE_CHECKING:  # who has no catalog need not wait for what reads one
    from feedd.shelf.view import Basis, Shelf
    from feedd.shelf.view import View as ShelfView
    from feedd.store.web_feeds import WebFeedBody

Told = dict[str, str]  # the web feeds that a worker has been told of, and in which version
Bodies = dict[str, "WebFeedBody"]  # those that the messages of a batch see


class WebFeedBodies(NamedTuple):
    """Where the bodies of web feeds are had, by their names, and what tells (`WebFeedBody.mark`) that one is another now."""

    read: "Callable[[str], WebFeedBody | None]" = lambda _: None
    marks: Callable[[], Mapping[str, str]] = dict


class View:
    """Everything as of one position of the change stream; nothing at all where there is no catalog."""

    def __init__(
        self,
        bodies: WebFeedBodies,
        shelf: "Shelf | None" = None,
        catalog: "ShelfView | None" = None,
        read: Bodies | None = None,
    ) -> None:
        self.stream_id = "" if catalog is None else catalog.stream_id
        self.seq = 0 if catalog is None else catalog.seq
        self.basis = None if catalog is None else catalog.basis  # with which answers end
        self.settings = None if catalog is None else catalog.settings  # by which it answers
        moment = None if catalog is None else catalog.committed_at
        self.committed_at = moment or datetime.now(UTC)
        self._shelf = shelf
        self._catalog = catalog
        self._bodies = bodies
        self._read: Bodies = {} if read is None else read

    @cached_property
    def _marks(self) -> Mapping[str, str]:
        return self._bodies.marks()

    def stale(
        self, position: Position | None, basis: "Basis | None", told: Told
    ) -> tuple[tuple[tuple[str, str], ...] | None, tuple[str, ...]]:
        """What a worker that stands at a position has to forget: items (None: everything), and web feeds.

        `basis` is what the answers that it has rest on.
        """
        feeds = tuple(name for name, mark in told.items() if mark != self._mark(name))
        if self._shelf is None or position is None or basis != self.basis:
            return None, feeds
        touched = self._shelf.touched(position.seq, self.seq)
        return None if touched is None else tuple(touched), feeds

    def _mark(self, name: str) -> str:
        """Which body of a web feed this view shows."""
        body = self._read.get(name)
        return self._marks.get(name, "") if body is None else body.mark

    def answer(self, question: Question, told: Told) -> bytes:
        """The JSON of what is asked for, `null` where there is nothing."""
        if isinstance(question, AskFeed):
            body = self._body(question.name)
            if body is None:
                return b"null"
            told[question.name] = body.mark
            return body.answer()
        return b"null" if self._catalog is None else self._catalog.answer(question)

    def _body(self, name: str) -> "WebFeedBody | None":
        """The body of a web feed, the same one for as long as this view is open."""
        body = self._read.get(name) or self._bodies.read(name)
        if body is not None:
            self._read[name] = body
        return body


class Lookups:
    """Opens views. `shelf` is None where there is no catalog."""

    def __init__(
        self,
        shelf: "Shelf | None" = None,
        bodies: WebFeedBodies = WebFeedBodies(),  # noqa: B008 it is frozen
    ) -> None:
        self._shelf = shelf
        self._bodies = bodies

    @contextmanager
    def view(self, at: int | None, read: Bodies | None = None) -> Iterator[View]:
        """A view of the catalog at a position; None: as it is now. `read` are bodies of web feeds that it shows whatever there is by now.

        Raises:
            UsageError: the position is not in the stream any more (TooOld), or not yet.
        """
        if self._shelf is None:
            yield View(self._bodies, read=read)
            return
        with self._shelf.view(at) as catalog:
            yield View(self._bodies, self._shelf, catalog, read)

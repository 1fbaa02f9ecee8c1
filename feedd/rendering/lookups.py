"""What a worker may ask for, answered from the databases as of one position."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from feedd.shelf.view import Shelf
from feedd.shelf.view import View as ShelfView
from feedd.templates.wire import AskFeed, Position, Question

Told = dict[str, str]  # the web feeds that a worker has been told of, and in which version


class View:
    """Everything as of one position of the change stream; nothing at all where there is no catalog."""

    def __init__(self, shelf: Shelf | None = None, catalog: ShelfView | None = None) -> None:
        self.stream_id = "" if catalog is None else catalog.stream_id
        self.seq = 0 if catalog is None else catalog.seq
        moment = None if catalog is None else catalog.committed_at
        self.committed_at = moment or datetime.now(UTC)
        self._shelf = shelf
        self._catalog = catalog

    def stale(
        self, position: Position | None, told: Told
    ) -> tuple[tuple[tuple[str, str], ...] | None, tuple[str, ...]]:
        """What a worker that stands at a position has to forget: items (None: everything), and web feeds."""
        del told
        if self._shelf is None or position is None or position.stream != self.stream_id:
            return None, ()
        touched = self._shelf.touched(position.seq, self.seq)
        return None if touched is None else tuple(touched), ()

    def answer(self, question: Question, told: Told) -> bytes:
        """The JSON of what is asked for, `null` where there is nothing."""
        del told
        if self._catalog is None or isinstance(question, AskFeed):
            return b"null"
        return self._catalog.answer(question)


class Lookups:
    """Opens views. `shelf` is None where there is no catalog."""

    def __init__(self, shelf: Shelf | None = None) -> None:
        self._shelf = shelf

    @contextmanager
    def view(self, at: int | None) -> Iterator[View]:
        """A view of the catalog at a position; None: as it is now.

        Raises:
            UsageError: the position is not in the stream any more (TooOld), or not yet.
        """
        if self._shelf is None:
            yield View()
            return
        with self._shelf.view(at) as catalog:
            yield View(self._shelf, catalog)

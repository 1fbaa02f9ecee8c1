"""What a worker may ask for, answered from the databases as of one position."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from feedd.templates.wire import Position, Question

Told = dict[str, str]  # the web feeds that a worker has been told of, and in which version


class View:
    """Everything as of one position of the change stream."""

    def __init__(self) -> None:
        self.stream_id = "x"
        self.seq = 0
        self.committed_at = datetime(2026, 1, 1).astimezone()

    def stale(
        self, position: Position | None, told: Told
    ) -> tuple[tuple[tuple[str, str], ...] | None, tuple[str, ...]]:
        """What a worker that stands at a position has to forget: items (None: everything), and web feeds."""
        del position, told
        return None, ()

    def answer(self, question: Question, told: Told) -> bytes:
        """The JSON of what is asked for, `null` where there is nothing."""
        del question, told
        return b"null"


class Lookups:
    """Opens views."""

    @contextmanager
    def view(self, at: int | None) -> Iterator[View]:
        """A view of the catalog at a position; None: as it is now."""
        del at
        yield View()

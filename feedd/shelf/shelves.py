"""Has the columns of feeds at hand: the newest that were asked for, brought up to date by the change stream, and a few earlier ones."""

import threading
from collections import OrderedDict

from feedd.errors import TooOld
from feedd.shelf.columns import Columns, Words
from feedd.shelf.feeds import ShelfFeed
from feedd.store.at import Moment, feed_ids
from feedd.store.changes import scan
from feedd.store.database import Database
from feedd.store.feeds import stream_of
from feedd.store.item_rows import item_rows, item_rows_of, touched_keys

_MOST_STEPS = 50_000  # items that are read again; with more the feed is
_MOST_PAST = 2
SPARE_WORDS = 100_000
_AT_ONCE = 1_000


class Shelves:
    """The columns of the feeds of a catalog database."""

    def __init__(self, catalog: Database) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._stream_id = ""
        self._words = Words()
        self._newest: dict[int, Columns] = {}
        self._past: OrderedDict[tuple[int, int], Columns] = OrderedDict()

    def at(self, feed: ShelfFeed, moment: Moment) -> Columns:
        """The columns of a feed at a position.

        Raises:
            TooOld: retention has just deleted what would have to be undone.
        """
        with self._lock:
            if self._stream_id != moment.stream.stream_id or self._has_old_words():
                self._stream_id = moment.stream.stream_id
                self._words, self._newest = Words(), {}
                self._past.clear()
            newest = self._newest.get(feed.id)
            if newest is None or newest.seq < moment.seq:
                newest = self._follow(feed, newest)
            if newest.seq == moment.seq:
                return newest
            found = self._past.get((feed.id, moment.seq))
            if found is None:
                found = self._walked_back(feed, newest, moment.seq)
                self._remember(feed, found)
            return found

    def _has_old_words(self) -> bool:
        """Whether most texts are those of no item any more. They are not dropped one by one: all is read again."""
        sizes = sum(columns.size for columns in self._newest.values())
        return len(self._words.all) > 4 * sizes + SPARE_WORDS  # an item has two

    def _follow(self, feed: ShelfFeed, old: Columns | None) -> Columns:
        """The columns at the end of the stream, which may be beyond the snapshot of whoever asks."""
        with self._catalog.snapshot(by_key=True) as connection:
            stream = stream_of(connection)
            _, next_item = feed_ids(connection, [feed.name])[feed.name]
            touched = None
            if old is not None and old.seq >= stream.oldest_seq - 1:
                touched = touched_keys(
                    connection, feed.name, after=old.seq, through=stream.last_seq, most=_MOST_STEPS
                )
            if old is None or touched is None:
                made = Columns(self._words, next_item)
                for rows in item_rows(connection, feed.id, next_item):
                    made.fill(rows)
            elif touched:
                self._remember(feed, old)
                made = old.copy(next_item)
                for start in range(0, len(touched), _AT_ONCE):
                    made.fill(item_rows_of(connection, touched[start : start + _AT_ONCE]))
            else:  # others' changes
                made = old
        made.seq = stream.last_seq
        self._newest[feed.id] = made
        return made

    def _walked_back(self, feed: ShelfFeed, newest: Columns, seq: int) -> Columns:
        made = newest.copy(newest.size)
        with self._catalog.snapshot(by_key=True) as connection:
            stream = stream_of(connection)
            if seq < stream.oldest_seq - 1:
                raise TooOld(f"changes after {seq}", stream.oldest_seq)
            for touch in scan(connection, after=seq, through=newest.seq, feeds=[feed.name]):
                made.undo(touch)
        made.seq = seq
        return made

    def _remember(self, feed: ShelfFeed, columns: Columns) -> None:
        self._past[feed.id, columns.seq] = columns
        while len(self._past) > _MOST_PAST:
            self._past.popitem(last=False)

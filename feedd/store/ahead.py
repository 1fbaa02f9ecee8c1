"""Added items are written ahead of their sync's commit, and are not there until it.

Numbers of items are given out by the sync that adds them, and only its commit moves `feeds.next_item`: a row of `items`
with that number or a later one is not there yet, nor are its changes, whose sync has no `first_seq`. Whoever reads
items leaves such rows out, by `committed()` or by keys below `first_free`. So a first load is written once, in transactions
that keep nobody waiting, and its commit has little left to do. What a sync that did not end well has left is swept
by the next one of its feed, by retention, or when the feed is forgotten.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, literal, select, text
from sqlalchemy.exc import SQLAlchemyError

from feedd.staging import AddedItems, ItemRow
from feedd.store.database import (
    UTF8,
    among,
    among_value,
    bulk_insert,
    hasty_transaction,
    insert_rows,
)
from feedd.store.feeds import Lease, hold_lease
from feedd.store.item_ids import delete_items, enter_ids, in_order
from feedd.store.tables import FEEDS, ITEMS, KINDS, NUMBER_BITS

# some 50 ms of the write lock a transaction; larger ones leave helpers without work
ROWS = 4_000
BYTES = 16 * 1024 * 1024  # of their texts, where items are large
# items: a tenth of a second of the write lock; more would make it longer, fewer dirty the same pages more often
ENTERED = 40_000
# transactions: so often, what is in the write-ahead log is moved into the file beside the writing
CHECKPOINT_EVERY = 4
# only a log that is moved whole is begun anew, which takes that nobody writes: it stays below 200 MB or so
WHOLE_CHECKPOINT_EVERY = 16
DIGEST_BYTES = 16
SWEPT = 2_000  # rows a transaction
_COLUMNS = {
    "id": "int8",
    "item_id": "text",
    "fields": UTF8,
    "digest": "bytea",
    "warnings": "text",
    "warning_count": "int4",
    "feed_id": "int4",
    "created_at": "timestamptz",
    "changed_at": "timestamptz",
}
# what all rows have in common is no parameter of theirs
_ADD_ITEMS_SQLITE = """
INSERT INTO items (id, feed_id, item_id, fields, digest, warnings, warning_count, created_at, changed_at) VALUES
"""
_ITEM_SQLITE = "(?, {feed}, ?, CAST(? AS TEXT), ?, NULLIF(?, ''), ?, '{made}', '{made}')"
_SQLITE_TIME = "%Y-%m-%d %H:%M:%S.%f"  # as SQLAlchemy writes it
_ADDED = KINDS.index("added")
_ADD_CHANGES_SQLITE = f"""
INSERT INTO changes (sync_id, ordinal, item, kind, fields)
SELECT :sync, value, :first + key, {_ADDED}, '{{}}' FROM json_each(:values)
"""  # noqa: S608
_ADD_CHANGES_POSTGRES = f"""
INSERT INTO changes (sync_id, ordinal, item, kind, fields)
SELECT :sync, ordinal, :first + place - 1, {_ADDED}, '{{}}'
FROM unnest(CAST(:values AS BIGINT[])) WITH ORDINALITY AS added (ordinal, place)
"""  # noqa: S608
_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
_LAST = """
SELECT MAX(id) FROM (SELECT id FROM items WHERE id >= :first AND id < :end ORDER BY id LIMIT :batch) AS part
"""


def committed(key: Any = ITEMS.c.id, feeds: Any = FEEDS) -> ColumnElement[bool]:
    """The condition that items are there, by their keys, in a query that joins their feeds; it decides nothing about the plan."""
    number = key.bitwise_and(literal((1 << NUMBER_BITS) - 1, BigInteger))
    found: ColumnElement[bool] = number < feeds.c.next_item
    return found


def first_free(feed_id: int, next_item: int) -> int:
    """The first key of a feed's items that are not there."""
    return feed_id << NUMBER_BITS | next_item


class Ahead:
    """The added items of one sync. They are written as soon as there are enough; the rest is left to the commit.

    Their ids are entered later, more of them at once; until then they are held here with their digests.

    `first` is the key of the first one; the following ones have the following keys. Those that are written ahead say that they
    were made when the sync began: when it will end is not known yet.
    """

    def __init__(self, connection: Connection, lease: Lease, first: int) -> None:
        self._connection = connection
        self._lease = lease
        self._sqlite = connection.dialect.name == "sqlite"
        self._first = self._next = self._entered = first
        self._rows: list[tuple[Any, ...]] = []
        self._ordinals: list[int] = []
        # of the items whose ids are not entered: their ids, and the digests in a row
        self._ids: list[str] = []
        self._digests = bytearray()
        self._bytes = 0
        self._transactions = 0
        self._checkpoints = Checkpoints(connection)

    def close(self) -> None:
        """Wait for what goes on beside the writing."""
        self._checkpoints.wait()

    def add(self, rows: Sequence[ItemRow]) -> None:
        """Take added items, in the order of their keys.

        Raises:
            SyncStopped: the lease was lost.
        """
        if rows:
            columns: Any = zip(*rows, strict=True)
            ordinals, keys, item_ids, _, fields, digests, warnings, counts, _ = columns
            self._add(keys, ordinals, item_ids, fields, digests, warnings, counts)

    def add_new(self, items: AddedItems) -> None:
        """Take added items that come by columns, as `add` does."""
        keys = range(items.first, items.first + len(items.item_ids))
        ordinals = range(items.ordinal, items.ordinal + len(items.item_ids))
        self._add(keys, ordinals, *items[2:])

    def _add(self, *columns: Sequence[Any]) -> None:
        """By columns: no line of Python is run for each of a million rows."""
        for start in range(0, len(columns[0]), ROWS):
            some: Any = [column[start : start + ROWS] for column in columns]
            keys, ordinals, item_ids, fields, digests, warnings, counts = some
            self._ordinals += ordinals
            self._ids += item_ids
            self._digests += b"".join(digests)
            self._bytes += sum(map(len, fields))
            if self._sqlite:
                # the driver looks for an adapter of each `bytes` and None, in vain and for longer than it takes to bind them
                fields, digests = map(bytearray, fields), map(bytearray, digests)
                warnings = [each or "" for each in warnings]
            self._rows += zip(keys, item_ids, fields, digests, warnings, counts, strict=True)
            if len(self._rows) >= ROWS or self._bytes >= BYTES:
                self._write()

    def staged(self, item_ids: Sequence[str]) -> dict[str, bytes]:
        """Item id -> digest of those among the added items."""
        wanted = set(item_ids)
        found = {
            item_id: bytes(self._digests[at * DIGEST_BYTES : (at + 1) * DIGEST_BYTES])
            for at, item_id in enumerate(self._ids)
            if item_id in wanted
        }
        if self._entered > self._first and len(found) < len(item_ids):
            query = (
                "SELECT items.item_id, digest FROM item_ids JOIN items ON id = item "  # noqa: S608
                "WHERE item_ids.feed_id = :feed AND item >= :first "
                f"AND {among(self._connection, 'item_ids.item_id')}"
            )
            values = {"feed": self._lease.feed_id, "first": self._first}
            values["values"] = among_value(self._connection, item_ids)
            for row in self._connection.execute(text(query), values):
                found[row.item_id] = bytes(row.digest)
        return found

    def insert(self, at: datetime) -> None:
        """Write what is not written yet, inside the caller's transaction, as made at that time; the ids come later."""
        if not self._rows:
            return
        keys = range(self._next, self._next + len(self._rows))
        if self._rows[0][0] != keys[0] or self._rows[-1][0] != keys[-1]:
            raise ValueError("keys of added items have a gap")
        feed, made = self._lease.feed_id, at.astimezone(UTC)
        if self._sqlite:
            marks = _ITEM_SQLITE.format(feed=feed, made=made.strftime(_SQLITE_TIME))
            insert_rows(self._connection, _ADD_ITEMS_SQLITE, marks, self._rows)
        else:
            rows = [(*row, feed, made, made) for row in self._rows]
            bulk_insert(self._connection, "items", list(_COLUMNS), rows, list(_COLUMNS.values()))
        self._connection.execute(
            text(_ADD_CHANGES_SQLITE if self._sqlite else _ADD_CHANGES_POSTGRES),
            {
                "sync": self._lease.sync_id,
                "first": keys[0],
                "values": among_value(self._connection, self._ordinals),
            },
        )
        self._next = keys[-1] + 1
        self._rows, self._ordinals, self._bytes = [], [], 0

    def enter(self) -> None:
        """Enter the ids of what is written, inside the caller's transaction."""
        self._enter(self._ids_in_order())

    def enter_ahead(self) -> None:
        """Enter the ids of what is written, so that the commit has less to do.

        Raises:
            SyncStopped: the lease was lost.
        """
        if rows := self._ids_in_order():
            with self._transaction():
                self._enter(rows)

    def _ids_in_order(self) -> list[tuple[int, str, int]]:
        written = self._ids[: self._next - self._entered]
        return in_order(self._lease.feed_id, written, self._entered)

    def _enter(self, rows: list[tuple[int, str, int]]) -> None:
        enter_ids(self._connection, rows)
        self._entered += len(rows)
        del self._ids[: len(rows)]
        del self._digests[: len(rows) * DIGEST_BYTES]

    def _write(self) -> None:
        with self._transaction():
            self.insert(self._lease.started_at)
        if self._next - self._entered >= ENTERED:
            self.enter_ahead()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        connection = self._connection
        with hasty_transaction(connection):
            hold_lease(connection, self._lease)
            yield
        self._transactions += 1
        if self._transactions % CHECKPOINT_EVERY == 0 and self._sqlite:
            if self._transactions % WHOLE_CHECKPOINT_EVERY == 0:
                self._checkpoints.take()
            else:
                self._checkpoints.begin()


class Checkpoints:
    """Moves SQLite's write-ahead log into the file, in a thread: half of it is waiting for the disk."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Have what is in the log by now be moved, unless the last move goes on still."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._move, name="checkpoint", daemon=True)
            self._thread.start()

    def take(self) -> None:
        """Move all that is in the log; the next transaction begins it anew."""
        self.wait()
        self._connection.exec_driver_sql(_CHECKPOINT).close()

    def wait(self) -> None:
        """Wait until nothing is being moved."""
        if self._thread is not None:
            self._thread.join()

    def _move(self) -> None:
        # what is wrong with the disk, the transactions tell
        with contextlib.suppress(SQLAlchemyError), self._connection.engine.connect() as other:
            other.exec_driver_sql(_CHECKPOINT).close()


def has_leftovers(connection: Connection, feed_id: int) -> bool:
    """Whether there are items of a feed that a sync has written and not committed."""
    return _last_leftover(connection, feed_id)[1] is not None


def sweep_some(connection: Connection, feed_id: int) -> bool:
    """Delete some of those, with their changes, inside a transaction in which no sync of the feed writes.

    Gives whether there may be more.
    """
    first, last = _last_leftover(connection, feed_id)
    if last is None:
        return False
    between = {"first": first, "last": last}
    connection.execute(text("DELETE FROM changes WHERE item >= :first AND item <= :last"), between)
    delete_items(connection, feed_id, ITEMS.c.id >= first, ITEMS.c.id <= last)
    return True


def _last_leftover(connection: Connection, feed_id: int) -> tuple[int, int | None]:
    """The first key that is not committed, and the key of the last of some items from there on."""
    next_item = connection.execute(select(FEEDS.c.next_item).where(FEEDS.c.id == feed_id)).scalar()
    first = first_free(feed_id, next_item or 1)
    values = {"first": first, "end": first_free(feed_id + 1, 0), "batch": SWEPT}
    return first, connection.execute(text(_LAST), values).scalar()

"""Where the rows of a sync wait for its commit: temporary tables of one connection, gone with it.

Filling them takes no lock that anybody else wants; the commit moves them in one short transaction. Added items are
not among them, except in a dry run: they are written once (`feedd.store.ahead`).
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, text

from feedd.fingerprints import Int64s, Known
from feedd.model import ChangeKind
from feedd.staging import AddedItems, ItemRow, RejectRow, StoredItem
from feedd.store.ahead import Ahead, has_leftovers, sweep_some
from feedd.store.database import UTF8, Database, among, among_value, bulk_insert, hasty_transaction
from feedd.store.feeds import Lease, hold_lease, stored_fingerprints
from feedd.store.tables import KINDS, NUMBER_BITS

_TABLES = {
    "stage_items": "ordinal BIGINT, item BIGINT NOT NULL, item_id TEXT NOT NULL, kind SMALLINT NOT NULL, "
    "fields TEXT, digest {blob} NOT NULL, warnings TEXT, warning_count INTEGER NOT NULL, changes TEXT NOT NULL",
    "stage_rejects": "reject BIGINT NOT NULL, is_new BOOLEAN NOT NULL, position BIGINT NOT NULL, item_id TEXT, "
    "fingerprint {blob} NOT NULL, duplicate BOOLEAN NOT NULL, problems TEXT NOT NULL",
    "stage_removed": "ordinal BIGINT NOT NULL, item BIGINT NOT NULL",
    "stage_closed": "reject BIGINT NOT NULL",
    "stage_fingerprints": "part INTEGER NOT NULL, packed {blob} NOT NULL",
}
_ITEM_TYPES = ("int8", "int8", "text", "int2", UTF8, "bytea", "text", "int4", "text")
LOOKUP = 1_000  # ids a question


class DatabaseStage:
    """The stage of one feed's sync; `connection` is its own until the commit.

    `ahead` takes the items that the sync adds; without a `lease` there is none, and they wait like all others.
    """

    def __init__(self, connection: Connection, feed_id: int, lease: Lease | None = None) -> None:
        self.connection = connection
        self.feed_id = feed_id
        self._first_free = self.numbering()[0]
        self.ahead = None if lease is None else Ahead(connection, lease, self._first_free)
        blob = "BLOB" if connection.dialect.name == "sqlite" else "BYTEA"
        for table, columns in _TABLES.items():
            connection.exec_driver_sql(
                f"CREATE TEMPORARY TABLE {table} ({columns.format(blob=blob)})"
            )
        connection.exec_driver_sql("CREATE INDEX ix_stage_item_id ON stage_items (item_id)")

    def close(self) -> None:
        """Wait for what goes on beside the sync."""
        if self.ahead is not None:
            self.ahead.close()

    def key(self, number: int) -> int:
        """The primary key of this feed's item or reject with that number."""
        return self.feed_id << NUMBER_BITS | number

    def numbering(self) -> tuple[int, int]:
        """The next free item and reject keys."""
        row = self.connection.execute(
            text("SELECT next_item, next_reject FROM feeds WHERE id = :feed"),
            {"feed": self.feed_id},
        ).one_or_none()
        if row is None:  # a dry run before the feed's first sync
            return self.key(1), self.key(1)
        return self.key(row.next_item), self.key(row.next_reject)

    def known(self) -> Known:
        """The fingerprints of the last sync."""
        return Known(*stored_fingerprints(self.connection, self.feed_id))

    def open_rejects(self) -> Iterator[tuple[int, str | None, int, bytes, bool]]:
        """Key, item id, position, fingerprint and whether it is a duplicate, of every open reject."""
        for row in self.connection.execute(
            text(
                "SELECT id, item_id, position, fingerprint, duplicate FROM rejects "
                "WHERE feed_id = :feed ORDER BY id"
            ),
            {"feed": self.feed_id},
        ):
            yield row.id, row.item_id, row.position, bytes(row.fingerprint), bool(row.duplicate)

    def add_items(self, rows: Sequence[ItemRow]) -> None:
        """Put items aside.

        Raises:
            SyncStopped: the lease was lost.
        """
        if self.ahead is not None:
            added = [row for row in rows if row.kind is ChangeKind.ADDED]
            self.ahead.add(added)
            if len(added) == len(rows):
                return
            rows = [row for row in rows if row.kind is not ChangeKind.ADDED]
        coded = [(*r[:3], 0 if r.kind is None else KINDS.index(r.kind), *r[4:]) for r in rows]
        bulk_insert(self.connection, "stage_items", ItemRow._fields, coded, _ITEM_TYPES)

    def add_new(self, items: AddedItems) -> None:
        """Put added items aside, in the order of their keys.

        Raises:
            SyncStopped: the lease was lost.
        """
        if self.ahead is not None:
            self.ahead.add_new(items)
            return
        rows: Any = enumerate(zip(*items[2:], strict=True))
        self.add_items(
            [
                ItemRow(items.ordinal + n, items.first + n, item_id, ChangeKind.ADDED, fields, digest, warnings, count, "{}")
                for n, (item_id, fields, digest, warnings, count) in rows
            ]
        )  # fmt: skip

    def add_rejects(self, rows: Sequence[RejectRow]) -> None:
        """Put rejects aside."""
        bulk_insert(self.connection, "stage_rejects", RejectRow._fields, rows)

    def add_removed(self, items: Int64s, first_ordinal: int) -> None:
        """Put aside which items go."""
        rows = list(enumerate(items.tolist(), first_ordinal))
        bulk_insert(self.connection, "stage_removed", ("ordinal", "item"), rows)

    def add_closed(self, rejects: Sequence[int]) -> None:
        """Put aside which rejects are settled."""
        bulk_insert(self.connection, "stage_closed", ("reject",), [(r,) for r in rejects])

    def add_fingerprints(self, parts: Iterable[bytes]) -> None:
        """Put aside the fingerprints of the next sync: 24 bytes an item, of which only a part is in memory at once."""
        for part, packed in enumerate(parts):
            rows = [(part, packed)]
            bulk_insert(self.connection, "stage_fingerprints", ("part", "packed"), rows)

    def staged(self, item_ids: Sequence[str]) -> dict[str, bytes]:
        """Item id -> digest of those that this sync has put aside already."""
        query = f"SELECT item_id, digest FROM stage_items WHERE {among(self.connection, 'item_id')}"  # noqa: S608
        found = {row.item_id: bytes(row.digest) for row in self._among(query, item_ids)}
        return found if self.ahead is None else found | self.ahead.staged(item_ids)

    def stored(self, item_ids: Sequence[str]) -> dict[str, StoredItem]:
        """Item id -> what the catalog holds of it, live or removed."""
        query = (
            "SELECT items.item_id, id, digest, fields, removed_at IS NULL AS live, warning_count "  # noqa: S608
            "FROM item_ids JOIN items ON id = item WHERE item_ids.feed_id = :feed AND item < :free "
            f"AND {among(self.connection, 'item_ids.item_id')}"
        )
        return {
            item_id: StoredItem(item, bytes(digest), fields, bool(live), warning_count)
            for item_id, item, digest, fields, live, warning_count in self._among(query, item_ids)
        }

    def stored_keys(self, item_ids: Sequence[str]) -> Iterator[int]:
        """The keys of those that the catalog holds, live or removed."""
        condition = among(self.connection, "item_id")
        query = f"SELECT item FROM item_ids WHERE feed_id = :feed AND item < :free AND {condition}"  # noqa: S608
        for row in self._among(query, item_ids):
            yield row.item

    def _among(self, query: str, values: Sequence[str]) -> Iterator[Any]:
        for start in range(0, len(values), LOOKUP):
            some = among_value(self.connection, values[start : start + LOOKUP])
            bound = {"feed": self.feed_id, "free": self._first_free, "values": some}
            used = {name: value for name, value in bound.items() if f":{name}" in query}
            yield from self.connection.execute(text(query), used).all()


@contextlib.contextmanager
def open_stage(
    database: Database,
    lease: Lease,
    *,
    snapshot: bool = False,
    on_swept: Callable[[], None] = lambda: None,
) -> Iterator[DatabaseStage]:
    """A stage on a connection of its own, which is closed at the end, not pooled: its tables die with it.

    With `snapshot` all that is read is the catalog of one moment, and nothing of it can be written. Without, what an
    earlier sync of the feed has written ahead and not committed is swept first, which may take half a minute: `on_swept`
    is called after each part of it, and ends it by raising.

    Raises:
        SyncStopped: the lease was lost.
    """
    with database.connect() as connection:
        connection.detach()
        if snapshot:
            isolation = "" if database.sqlite else " ISOLATION LEVEL REPEATABLE READ"
            connection.exec_driver_sql(f"BEGIN{isolation}")
            yield DatabaseStage(connection, lease.feed_id)
            return
        if (
            not database.sqlite
        ):  # it would rather read all ids in two processes than look a thousand up
            connection.exec_driver_sql("SET max_parallel_workers_per_gather = 0")
        _sweep(connection, lease, on_swept)
        stage = DatabaseStage(connection, lease.feed_id, lease)
        try:
            yield stage
        finally:
            stage.close()


def _sweep(connection: Connection, lease: Lease, on_swept: Callable[[], None]) -> None:
    more = has_leftovers(connection, lease.feed_id)
    while more:
        began = time.monotonic()
        with hasty_transaction(connection):
            hold_lease(connection, lease)
            more = sweep_some(connection, lease.feed_id)
        on_swept()
        time.sleep(time.monotonic() - began)  # others write meanwhile

"""All rows of both databases as they were at one moment, in values that either kind of database takes back."""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, select

from feedd.store.ahead import committed
from feedd.store.database import Database
from feedd.store.migrate import METADATA, current_revision
from feedd.store.people_tables import EVENT_CHUNKS, EVENT_COLUMNS
from feedd.store.tables import CHANGES, FEEDS, ITEM_IDS, ITEMS, STREAM, SYNCS

FETCHED = 500  # rows at a time
PART_BYTES = 4 * 1024 * 1024
_MADE_OF_OTHERS = (ITEM_IDS, EVENT_CHUNKS, EVENT_COLUMNS)
_encode = msgspec.msgpack.encode


class Part(NamedTuple):
    """Some rows of a table: MessagePack of [names of columns, rows]."""

    database: str
    table: str
    rows: int
    content: bytes


class Snapshot:
    """Both databases at one moment, while others write on."""

    def __init__(self, connections: dict[str, Connection]) -> None:
        self._connections = connections
        self.revisions = {
            name: current_revision(connection) or "" for name, connection in connections.items()
        }
        stream = connections["catalog"].execute(select(STREAM)).one()
        self.stream_id, self.last_seq = str(stream.stream_id), int(stream.last_seq)

    def parts(self) -> Iterator[Part]:
        """Every row of every table, those first that others refer to; but none that only repeat what others say."""
        for name, connection in self._connections.items():
            for table in METADATA[name].sorted_tables:
                if table in _MADE_OF_OTHERS:
                    continue
                columns = [str(column.name) for column in table.columns]
                query = select(table).where(*_there(table)).order_by(*table.primary_key.columns)
                result = connection.execute(query, execution_options={"yield_per": FETCHED})
                for count, rows in _bounded(result):
                    yield Part(name, str(table.name), count, _encode([columns, rows]))


def _there(table: Table) -> list[ColumnElement[bool]]:
    """The condition that leaves out what syncs that have not ended have written ahead."""
    if table is ITEMS:
        of_feed = select(FEEDS.c.id).where(FEEDS.c.id == ITEMS.c.feed_id, committed())
        return [of_feed.correlate(ITEMS).exists()]
    if table is CHANGES:
        return [CHANGES.c.sync_id.in_(select(SYNCS.c.id).where(SYNCS.c.first_seq.is_not(None)))]
    return []


def _bounded(result: Any) -> Iterator[tuple[int, list[msgspec.Raw]]]:
    rows: list[msgspec.Raw] = []
    size = 0
    for row in result:
        packed = _encode(tuple(row))
        rows.append(msgspec.Raw(packed))
        size += len(packed)
        if size >= PART_BYTES:
            yield len(rows), rows
            rows, size = [], 0
    if rows:
        yield len(rows), rows


@contextlib.contextmanager
def snapshot(catalog: Database, people: Database) -> Iterator[Snapshot]:
    """Both databases at one moment.

    On SQLite both write locks are taken, and under them a reading transaction is begun on each: what it sees is
    what was committed then. The locks are held for that only; nobody waits for the rows to be read. On PostgreSQL the
    second transaction takes over the snapshot of the first.

    Raises:
        StoreError: a database cannot be used.
    """
    with catalog.connect() as first, people.connect() as second:
        if catalog.sqlite:
            with catalog.transaction(), people.transaction():
                for connection in (first, second):
                    connection.exec_driver_sql("BEGIN")
                    connection.exec_driver_sql("SELECT COUNT(*) FROM alembic_version")
        else:
            begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            first.exec_driver_sql(begin)
            shared = first.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
            second.exec_driver_sql(begin)
            second.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{shared}'")
        try:
            yield Snapshot({"catalog": first, "people": second})
        finally:
            for connection in (first, second):
                connection.exec_driver_sql("ROLLBACK")

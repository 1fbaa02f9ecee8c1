"""Packs the columns of stretches of events that are full.

A stretch is claimed before its events are read, by a row with a negative `last_id`, and is there once that row says where it ends.
The claim is made while nobody writes, for a change that has looked for columns to drop and is not committed would be missed.
Whoever changes an event deletes the row in the same transaction (`chunks.drop_chunks`), so what was packed of older events
never counts.
"""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, text, update

from feedd.store.chunks import STRETCH, next_full
from feedd.store.columns import Budget, Builder
from feedd.store.database import Database, hasty_transaction
from feedd.store.people_tables import EVENT_CHUNKS, EVENT_COLUMNS
from feedd.store.recording import writing

ROWS_AT_ONCE = 100
BYTES_AT_ONCE = 128 * 1024  # written in one transaction
_LOCK_NUMBER = 0x7061636B  # "pack", for pg_advisory_lock
_EVENTS = text(
    "SELECT id, metric_id, profile_id, at, value, properties FROM events "
    "WHERE id >= :low AND id < :end ORDER BY id LIMIT :limit"
)
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def pack_next(database: Database, *, between: Callable[[], object] = lambda: None) -> bool:
    """Pack one full stretch, if there is one that is not and nobody else packs; says whether there was.

    `between` is called now and then, with nothing locked; what it raises ends the packing.

    Raises:
        StoreError: the database cannot be used.
    """
    with _alone(database) as connection:
        first = None if connection is None else next_full(connection)
        if first is not None:
            _pack(database, first, between)
        return first is not None


@contextlib.contextmanager
def _alone(database: Database) -> Iterator[Connection | None]:
    """A connection while no other daemon packs; None if one does."""
    with database.connect() as connection:
        if database.sqlite:
            yield connection
            return
        lock = f"pg_try_advisory_lock({_LOCK_NUMBER}, hashtext(current_schema()::text))"
        if not connection.exec_driver_sql(f"SELECT {lock}").scalar():
            yield None
            return
        try:
            yield connection
        finally:
            connection.exec_driver_sql(
                f"SELECT {lock.replace('try_advisory_lock', 'advisory_unlock')}"
            )


def _pack(database: Database, first: int, between: Callable[[], object]) -> None:
    token = -1 - secrets.randbits(62)
    with writing(database) as connection:
        connection.execute(delete(EVENT_COLUMNS).where(EVENT_COLUMNS.c.first_id == first))
        connection.execute(delete(EVENT_CHUNKS).where(EVENT_CHUNKS.c.first_id == first))
        connection.execute(insert(EVENT_CHUNKS).values(first_id=first, last_id=token))
    _write(database, first, _columns(_built(database, first, between)), between)
    ours = (EVENT_CHUNKS.c.first_id == first, EVENT_CHUNKS.c.last_id == token)
    with database.transaction() as connection:
        connection.execute(update(EVENT_CHUNKS).where(*ours).values(last_id=first + STRETCH - 1))


def _built(database: Database, first: int, between: Callable[[], object]) -> dict[int, Builder]:
    """The columns of the events of a stretch, by metric."""
    found: dict[int, Builder] = {}
    budget = Budget()
    low, end = first, first + STRETCH
    while True:
        # each page by itself: what changes meanwhile takes the claim away
        bound = {"low": low, "end": end, "limit": ROWS_AT_ONCE}
        with database.connect() as connection:
            rows = connection.execute(_EVENTS, bound).all()
        for _number, metric, profile, at, value, properties in rows:
            builder = found.get(metric)
            if builder is None:
                builder = found[metric] = Builder(budget)
            builder.add(at, profile, value, _decode(properties))
        between()
        if len(rows) < ROWS_AT_ONCE:
            return found
        low = rows[-1][0] + 1


def _columns(found: dict[int, Builder]) -> Iterator[dict[str, Any]]:
    for metric, builder in found.items():
        for name, packed in builder.packed():
            yield {"metric_id": metric, "name": name, "packed": packed}


def _write(
    database: Database,
    first: int,
    columns: Iterator[dict[str, Any]],
    between: Callable[[], object],
) -> None:
    """Insert columns in small transactions, none of which is waited for: the last one of the stretch is."""
    rows: list[dict[str, Any]] = []
    size = 0
    for column in columns:
        rows.append({"first_id": first, **column})
        size += len(column["packed"])
        if size >= BYTES_AT_ONCE:
            _insert(database, rows)
            rows, size = [], 0
            between()
    _insert(database, rows)


def _insert(database: Database, rows: list[dict[str, Any]]) -> None:
    if rows:
        with database.connect() as connection, hasty_transaction(connection):
            connection.execute(insert(EVENT_COLUMNS), rows)

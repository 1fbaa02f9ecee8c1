"""Packs the columns of stretches of events that are full, a few milliseconds at a time.

A stretch is claimed before its events are read, by a row with a negative `last_id`, and is there once that row says where it ends.
Whoever changes an event deletes the row in the same transaction (`chunks.drop_chunks`), so what was packed of older events
never counts.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, text, update

from feedd.store.chunks import STRETCH, first_of, ready_chunks
from feedd.store.columns import Budget, Builder
from feedd.store.database import Database, hasty_transaction
from feedd.store.people_tables import EVENT_CHUNKS, EVENT_COLUMNS, EVENTS

ROWS_AT_ONCE = 100
BYTES_AT_ONCE = 128 * 1024  # written in one transaction
BUSY_S = 0.002  # without a rest
_LOCK_NUMBER = 0x7061636B  # "pack", for pg_advisory_lock
_EVENTS = text(
    "SELECT id, metric_id, profile_id, at, value, properties FROM events "
    "WHERE id >= :low AND id < :end ORDER BY id LIMIT :limit"
)
_decode = msgspec.json.Decoder(dict[str, Any]).decode

Rest = Callable[[float], bool]


def pack_next(database: Database, *, rest: Rest) -> bool:
    """Pack one full stretch, if there is one that is not; says whether there was.

    `rest(seconds)` is called after every few milliseconds of work with the time that it took; True ends it all.

    Raises:
        StoreError: the database cannot be used.
    """
    with _alone(database) as connection:
        first = None if connection is None else _next_stretch(connection)
        return first is not None and _pack(database, first, _Pace(rest))


class _Stopped(Exception):
    """Whoever packs is to end."""


class _Pace:
    """Lets others in."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._began = time.monotonic()

    def step(self) -> None:
        """Rest, if there has been enough work."""
        worked = time.monotonic() - self._began
        if worked > BUSY_S:
            if self._rest(worked):
                raise _Stopped
            self._began = time.monotonic()


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


def _next_stretch(connection: Connection) -> int | None:
    """The first id of the first full stretch that is not packed."""
    ready = set(ready_chunks(connection))
    oldest, newest = (
        connection.execute(select(end(EVENTS.c.id))).scalar() for end in (func.min, func.max)
    )
    if oldest is None or newest is None:
        return None
    starts = range(first_of(oldest), newest - STRETCH + 2, STRETCH)
    return next((first for first in starts if first not in ready), None)


def _pack(database: Database, first: int, pace: _Pace) -> bool:
    token = -1 - secrets.randbits(62)
    with database.transaction() as connection:
        connection.execute(delete(EVENT_COLUMNS).where(EVENT_COLUMNS.c.first_id == first))
        connection.execute(delete(EVENT_CHUNKS).where(EVENT_CHUNKS.c.first_id == first))
        connection.execute(insert(EVENT_CHUNKS).values(first_id=first, last_id=token))
    try:
        _write(database, first, _columns(_built(database, first, pace), pace), pace)
    except _Stopped:
        return False
    ours = (EVENT_CHUNKS.c.first_id == first, EVENT_CHUNKS.c.last_id == token)
    with database.transaction() as connection:
        connection.execute(update(EVENT_CHUNKS).where(*ours).values(last_id=first + STRETCH - 1))
    return True


def _built(database: Database, first: int, pace: _Pace) -> dict[int, Builder]:
    """The columns of the events of a stretch, by metric."""
    found: dict[int, Builder] = {}
    budget = Budget()
    low, end = first, first + STRETCH
    while True:
        # each page by itself: what changes meanwhile takes the claim away
        with database.connect() as connection:
            rows = connection.execute(
                _EVENTS, {"low": low, "end": end, "limit": ROWS_AT_ONCE}
            ).all()
        for _number, metric, profile, at, value, properties in rows:
            builder = found.get(metric)
            if builder is None:
                builder = found[metric] = Builder(budget)
            builder.add(at, profile, value, _decode(properties))
            pace.step()
        if len(rows) < ROWS_AT_ONCE:
            return found
        low = rows[-1][0] + 1


def _columns(found: dict[int, Builder], pace: _Pace) -> Iterator[dict[str, Any]]:
    for metric, builder in found.items():
        for name, packed in builder.packed():
            yield {"metric_id": metric, "name": name, "packed": packed}
            pace.step()


def _write(database: Database, first: int, columns: Iterator[dict[str, Any]], pace: _Pace) -> None:
    """Insert columns in small transactions, none of which is waited for: the last one of the stretch is."""
    rows: list[dict[str, Any]] = []
    size = 0
    for column in columns:
        rows.append({"first_id": first, **column})
        size += len(column["packed"])
        if size >= BYTES_AT_ONCE:
            _insert(database, rows)
            rows, size = [], 0
            pace.step()
    _insert(database, rows)


def _insert(database: Database, rows: list[dict[str, Any]]) -> None:
    if rows:
        with database.connect() as connection, hasty_transaction(connection):
            connection.execute(insert(EVENT_COLUMNS), rows)

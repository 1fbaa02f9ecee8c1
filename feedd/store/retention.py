"""What has grown too old is deleted, in small transactions that make nobody wait.

Changes go at the old end only: first the mark `stream.oldest_seq` moves, then the rows below it are deleted, so that
a reader whose snapshot lacks a row sees the mark as well. To keep a further thing by age: a function here that yields
after each transaction, its line in `retain`, its key in `settings.retention_keys`.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select, update

from feedd.model import Deleted, Retention, SyncStatus
from feedd.store.ahead import has_leftovers, sweep_some
from feedd.store.database import Database
from feedd.store.feeds import note_erasure, read_stream
from feedd.store.item_ids import delete_items
from feedd.store.tables import CHANGES, CLOSED_REJECTS, FEEDS, ITEMS, REJECTS, STREAM, SYNCS

BATCH = 2_000  # rows a transaction: some milliseconds
MOST_CLOSED = 10_000  # rejects a feed, whatever their age: one that rejects other records each time would fill the disk
_SYNC_COST = 20  # a sync costs as much as so many changes
_LOCK_NUMBER = 0x6B656570  # "keep", for pg_advisory_xact_lock: one daemon at a time

Rest = Callable[[float], bool]


def retain(database: Database, keep: Retention, now: datetime, *, rest: Rest) -> Deleted:
    """Delete what is older than it is kept, and what interrupted syncs have left; says how much the former was.

    `rest(seconds)` is called after each transaction with the time that it took, to let others in; True ends it all.
    """
    done = Deleted()
    began = time.monotonic()
    for _ in _leftovers(database):
        if rest(time.monotonic() - began):
            return done
        began = time.monotonic()
    for name, sweep in (
        ("changes", _changes),
        ("syncs", _syncs),
        ("rejects", _closed_rejects),
        ("removed_items", _removed_items),
    ):
        kept_s: float | None = getattr(keep, f"{name}_s")
        if kept_s is None:
            continue
        began = time.monotonic()
        for count in sweep(database, now - timedelta(seconds=kept_s)):
            setattr(done, name, getattr(done, name) + count)
            if rest(time.monotonic() - began):
                return done
            began = time.monotonic()
    return done


@contextlib.contextmanager
def _turn(database: Database) -> Iterator[Connection]:
    """A write transaction that no other daemon's retention runs beside."""
    with database.transaction() as connection:
        if not database.sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})")
        yield connection


def _leftovers(database: Database) -> Iterator[None]:
    """What syncs have written ahead and not committed, of feeds that nobody syncs now."""
    for feed_id in _feed_ids(database):
        with database.connect() as connection:
            more = has_leftovers(connection, feed_id)
        while more:
            with _turn(database) as connection:
                more = _is_free(connection, feed_id) and sweep_some(connection, feed_id)
            yield


def _is_free(connection: Connection, feed_id: int) -> bool:
    """Whether nobody syncs a feed, nor will before the transaction ends: a sync begins by writing the feed's row."""
    free = select(FEEDS.c.id).where(FEEDS.c.id == feed_id, FEEDS.c.lease_holder.is_(None))
    return connection.execute(free.with_for_update()).scalar() is not None


def _changes(database: Database, before: datetime) -> Iterator[int]:
    _move_mark(database, before)
    while True:
        with _turn(database) as connection:
            deleted, more = _delete_changes(connection)
        yield deleted
        if not more:
            return


def _move_mark(database: Database, before: datetime) -> None:
    """Have the stream begin at its oldest sync that is young enough."""
    oldest = cut = read_stream(database).oldest_seq
    young = False
    while not young:
        query = (
            select(SYNCS.c.first_seq, SYNCS.c.change_count, SYNCS.c.finished_at)
            .where(SYNCS.c.first_seq >= cut)
            .order_by(SYNCS.c.first_seq)
            .limit(BATCH)
        )
        with database.connect() as connection:
            rows = connection.execute(query).all()
        young = not rows
        for row in rows:
            if row.finished_at >= before:
                young = True
                break
            cut = row.first_seq + row.change_count
    if cut > oldest:
        with _turn(database) as connection:
            connection.execute(
                update(STREAM).where(STREAM.c.oldest_seq < cut).values(oldest_seq=cut)
            )


def _delete_changes(connection: Connection) -> tuple[int, bool]:
    """Delete some changes below the mark, the oldest first; gives how many, and whether there are more.

    A sync whose changes are all gone loses its `first_seq`, by which it is found here.
    """
    mark = select(STREAM.c.oldest_seq).scalar_subquery()
    oldest = select(SYNCS.c.id).where(SYNCS.c.first_seq < mark).order_by(SYNCS.c.first_seq).limit(1)
    deleted, left = 0, BATCH
    while left > 0:
        sync = connection.execute(oldest).scalar()
        if sync is None:
            return deleted, False
        of_sync = CHANGES.c.sync_id == sync
        first = select(func.min(CHANGES.c.ordinal)).where(of_sync).scalar_subquery()
        count = connection.execute(
            delete(CHANGES).where(of_sync, CHANGES.c.ordinal < first + left)
        ).rowcount
        if count < left:
            connection.execute(update(SYNCS).where(SYNCS.c.id == sync).values(first_seq=None))
        deleted += count
        left -= count + _SYNC_COST
    return deleted, True


def _syncs(database: Database, before: datetime) -> Iterator[int]:
    """Syncs whose changes are gone; but the last of each outcome of each feed stays, and what rejects refer to."""
    columns = (
        SYNCS.c.id,
        SYNCS.c.status,
        SYNCS.c.first_seq,
        SYNCS.c.started_at,
        SYNCS.c.finished_at,
    )
    after, needed = 0, None
    while True:
        query = select(*columns).where(SYNCS.c.id > after).order_by(SYNCS.c.id).limit(BATCH)
        with database.connect() as connection:
            rows = connection.execute(query).all()
        old = {
            row.id
            for row in rows
            if row.status != SyncStatus.RUNNING
            and row.first_seq is None
            and row.finished_at is not None
            and row.finished_at < before
        }
        if old:
            needed = _needed_syncs(database) if needed is None else needed
            with _turn(database) as connection:
                left = select(CHANGES.c.item).where(CHANGES.c.sync_id == SYNCS.c.id).exists()
                connection.execute(delete(SYNCS).where(SYNCS.c.id.in_(old - needed), ~left))
            yield len(old - needed)
        if not rows or rows[-1].started_at >= before:
            return
        after = rows[-1].id


def _needed_syncs(database: Database) -> set[int]:
    last = select(func.max(SYNCS.c.id)).group_by(SYNCS.c.feed_id, SYNCS.c.status)
    queries = (
        last,
        select(REJECTS.c.sync_id).distinct(),
        select(CLOSED_REJECTS.c.sync_id).distinct(),
    )
    with database.connect() as connection:
        return {number for query in queries for number in connection.execute(query).scalars()}


def _closed_rejects(database: Database, before: datetime) -> Iterator[int]:
    for feed_id in _feed_ids(database):
        of_feed = select(CLOSED_REJECTS.c.closed_at).where(CLOSED_REJECTS.c.feed_id == feed_id)
        with database.connect() as connection:
            beyond = connection.execute(
                of_feed.order_by(CLOSED_REJECTS.c.closed_at.desc()).offset(MOST_CLOSED).limit(1)
            ).scalar()
        oldest = before if beyond is None else max(before, beyond)
        some = (
            select(CLOSED_REJECTS.c.id)
            .where(CLOSED_REJECTS.c.feed_id == feed_id, CLOSED_REJECTS.c.closed_at < oldest)
            .order_by(CLOSED_REJECTS.c.closed_at)
            .limit(BATCH)
        )
        count = BATCH
        while count == BATCH:
            with _turn(database) as connection:
                count = connection.execute(
                    delete(CLOSED_REJECTS).where(CLOSED_REJECTS.c.id.in_(some))
                ).rowcount
            yield count


def _removed_items(database: Database, before: datetime) -> Iterator[int]:
    """Items without changes that are kept, of feeds that nobody syncs now: a sync may be about to restore one."""
    for feed_id in _feed_ids(database):
        some = (
            select(ITEMS.c.id)
            .where(ITEMS.c.feed_id == feed_id, ITEMS.c.removed_at < before)
            .where(~select(CHANGES.c.item).where(CHANGES.c.item == ITEMS.c.id).exists())
            .order_by(ITEMS.c.removed_at)
            .limit(BATCH)
        )
        count = BATCH
        while count == BATCH:
            count = 0
            with _turn(database) as connection:
                if _is_free(connection, feed_id):
                    chosen = connection.execute(some).scalars().all()
                    count = len(chosen)
                    delete_items(connection, feed_id, ITEMS.c.id.in_(chosen))
                if count:
                    note_erasure(connection)
            yield count


def _feed_ids(database: Database) -> list[int]:
    with database.connect() as connection:
        return list(connection.execute(select(FEEDS.c.id)).scalars())

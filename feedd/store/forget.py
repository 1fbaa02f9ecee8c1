"""Drops what is stored of a feed, and has the change stream say so.

What an interrupted sync has written ahead is swept. Then comes one transaction, like a sync whose body lacks
everything: the live items are removed and their changes numbered, rejects, fingerprints and validators go. From then on
the feed is as one that was never synced. Then, under the same lease and in small transactions, the contents of items and
what nothing refers to any more; an item that kept changes speak of stays as an empty removed one, until retention has
dropped those changes.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, select, text, update

from feedd.errors import SyncStopped
from feedd.model import Counts, Forgotten, Orphan, SyncStatus
from feedd.store.ahead import first_free, sweep_some
from feedd.store.database import Database
from feedd.store.feeds import LEASE, Lease, begin_sync, close_lease, note_erasure
from feedd.store.item_ids import delete_items
from feedd.store.tables import CHANGES, FEEDS, ITEMS, KINDS, STREAM, SYNCS, Utc

BATCH = 2_000
_KEPT = ("id", "name", "next_item", "next_reject", "lease_epoch", "lease_holder", "lease_until")
_BLANK = {c.name: None if c.nullable else 0 for c in FEEDS.columns if c.name not in _KEPT}
_SAY_REMOVED = f"""
INSERT INTO changes (sync_id, ordinal, item, kind, fields)
SELECT :sync, ROW_NUMBER() OVER (ORDER BY id) - 1, id, {KINDS.index("removed")}, '{{}}'
FROM items WHERE id >= :first AND id < :end AND removed_at IS NULL
"""  # noqa: S608
_REMOVE = """
UPDATE items SET removed_at = :now, changed_at = :now WHERE id >= :first AND id < :end AND removed_at IS NULL
"""
_DROP = (
    "DELETE FROM rejects WHERE feed_id = :feed",
    "DELETE FROM fingerprints WHERE feed_id = :feed",
)
_LAST = """
SELECT MAX(id) FROM (SELECT id FROM items WHERE id > :after AND id < :end ORDER BY id LIMIT :batch) AS part
"""
_COUNT = "SELECT COUNT(*) FROM items WHERE id >= :first AND id < :end"
_EMPTY = """
UPDATE items SET fields = '{}', digest = :none, warnings = NULL, warning_count = 0
WHERE id > :after AND id <= :last
"""
_REST = (
    "DELETE FROM closed_rejects WHERE id IN (SELECT id FROM closed_rejects WHERE feed_id = :feed LIMIT :batch)",
    """
    DELETE FROM syncs WHERE id IN
    (SELECT id FROM syncs WHERE feed_id = :feed AND first_seq IS NULL AND id <> :sync LIMIT :batch)
    """,
)


def find_orphans(database: Database, configured: set[str]) -> list[Orphan]:
    """Feeds that something is stored of and that are not configured."""
    columns = [FEEDS.c[name] for name in ("name", "items", "rejected", "last_sync_at")]
    query = select(*columns).where(
        FEEDS.c.last_sync_at.is_not(None) | FEEDS.c.status.is_not(None) | (FEEDS.c["items"] > 0)
    )
    with database.connect() as connection:
        rows = connection.execute(query.order_by(FEEDS.c.name)).all()
    return [
        Orphan(name=row.name, items=row.items, rejected=row.rejected, last_sync=row.last_sync_at)
        for row in rows
        if row.name not in configured
    ]


def is_stored(database: Database, feed: str) -> bool:
    """Whether anything is known of a feed."""
    with database.connect() as connection:
        return (
            connection.execute(select(FEEDS.c.id).where(FEEDS.c.name == feed)).scalar() is not None
        )


def forget_feed(
    database: Database,
    feed: str,
    *,
    holder: str,
    stopped: Callable[[], bool],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Forgotten:
    """Drop what is stored of a feed; says how much that was.

    Raises:
        UsageError: (`busy`) the feed is being synced.
        SyncStopped: it was stopped, or somebody else took the feed; done again, it goes on where it was.
    """
    lease = begin_sync(database, feed, trigger="forget", holder=holder, now=now())
    more = True
    while more:
        began = time.monotonic()
        with database.transaction() as connection:
            _renew(connection, lease, now())
            more = sweep_some(connection, lease.feed_id)
        if more:
            _rest(began, stopped)
    rejects = _read(database, lease, "SELECT COUNT(*) FROM rejects WHERE feed_id = :feed")
    items = _read(database, lease, _COUNT)
    with database.transaction() as connection:
        _renew(connection, lease, now())
        removed = _remove_live(connection, lease, now())
    after = first_free(lease.feed_id, 0)
    untold = ~select(CHANGES.c.item).where(CHANGES.c.item == ITEMS.c.id).exists()
    while (last := _read(database, lease, _LAST, after)) != 0:
        began = time.monotonic()
        with database.transaction() as connection:
            _renew(connection, lease, now())
            between = ITEMS.c.id > after, ITEMS.c.id <= last
            delete_items(connection, lease.feed_id, *between, untold)
            connection.execute(text(_EMPTY), {"after": after, "last": last, "none": b""})
            note_erasure(connection)
        after = last
        _rest(began, stopped)
    for statement in _REST:
        count = BATCH
        while count == BATCH:
            began = time.monotonic()
            with database.transaction() as connection:
                _renew(connection, lease, now())
                count = connection.execute(
                    text(statement), _bound(statement, lease, batch=BATCH)
                ).rowcount
            _rest(began, stopped)
    with database.transaction() as connection:
        close_lease(connection, lease, {})
    return Forgotten(feed=feed, items=items, removed=removed, rejects=rejects)


def _remove_live(connection: Connection, lease: Lease, now: datetime) -> int:
    count = connection.execute(text(_SAY_REMOVED), _bound(_SAY_REMOVED, lease)).rowcount
    moment = text(_REMOVE).bindparams(bindparam("now", type_=Utc))
    connection.execute(moment, _bound(_REMOVE, lease) | {"now": now})
    for statement in _DROP:
        connection.execute(text(statement), {"feed": lease.feed_id})
    connection.execute(update(FEEDS).where(FEEDS.c.id == lease.feed_id).values(**_BLANK))
    first_seq = None
    if count:
        last_seq = connection.execute(
            update(STREAM).values(last_seq=STREAM.c.last_seq + count).returning(STREAM.c.last_seq)
        ).scalar_one()
        first_seq = last_seq - count + 1
    connection.execute(
        update(SYNCS)
        .where(SYNCS.c.id == lease.sync_id)
        .values(
            status=SyncStatus.APPLIED,
            finished_at=now,
            duration_s=(now - lease.started_at).total_seconds(),
            counts=msgspec.json.encode(Counts(removed=count)).decode(),
            first_seq=first_seq,
            change_count=count,
        )
    )
    return int(count)


def _renew(connection: Connection, lease: Lease, now: datetime) -> None:
    """Hold the lease for longer, and the feed's row until the end of the transaction."""
    held = connection.execute(
        update(FEEDS)
        .where(FEEDS.c.id == lease.feed_id, FEEDS.c.lease_epoch == lease.epoch)
        .where(FEEDS.c.lease_holder == lease.holder)
        .values(lease_until=now + LEASE)
    ).rowcount
    if not held:
        raise SyncStopped("lease_lost", f"another worker took over {lease.feed}")


def _rest(began_s: float, stopped: Callable[[], bool]) -> None:
    """Let others write for as long as a transaction has kept them out: SQLite has no queue of its own."""
    if stopped():
        raise SyncStopped(
            "stopped", "feedd was stopped while it forgot this feed", hint="Type it again to go on."
        )
    time.sleep(time.monotonic() - began_s)


def _read(database: Database, lease: Lease, query: str, after: int = 0) -> int:
    with database.connect() as connection:
        values = _bound(query, lease, after=after, batch=BATCH)
        return int(connection.execute(text(query), values).scalar() or 0)


def _bound(statement: str, lease: Lease, **values: int) -> dict[str, Any]:
    """The values that a statement asks for."""
    feed = lease.feed_id
    known = values | {"feed": feed, "sync": lease.sync_id}
    known |= {"first": first_free(feed, 0), "end": first_free(feed + 1, 0)}
    return {name: value for name, value in known.items() if f":{name}" in statement}

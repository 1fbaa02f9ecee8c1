"""The state of feeds, and the lease under which one worker at a time syncs a feed."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, select, text, update
from sqlalchemy import insert as generic_insert

from feedd.errors import SyncStopped, UsageError
from feedd.model import ErrorInfo, Guess, Pages, StreamState, SyncStatus
from feedd.store.database import Database, bulk_insert
from feedd.store.migrate import refuse_upgraded
from feedd.store.tables import FEEDS, STREAM, SYNCS

LEASE = timedelta(seconds=60)
FIRST_NOTE = 1 << 30  # the first `part` of fingerprints that amends those before it


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a body came as, which its bytes do not tell: enough to read it again later.

    `more_pages` is how the rest of its source could be followed, where the server says that there is more.
    """

    size_bytes: int = 0
    fetch_digest: bytes = b""
    name_hint: str = ""
    content_type: str | None = None
    charset: str | None = None
    more_pages: Pages | None = None


class FeedState(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a feed; all None and zero before its first sync."""

    id: int | None = None
    name: str
    etag: str | None = None
    last_modified: str | None = None
    body_digest: bytes | None = None
    config_digest: bytes | None = None
    fetch_digest: bytes | None = None
    guess: Guess | None = None
    read_digest: bytes | None = None
    read_config: bytes | None = None
    read_from: Origin | None = None
    status: SyncStatus | None = None
    error: ErrorInfo | None = None
    failures: int = 0
    last_sync_at: datetime | None = None
    last_applied_at: datetime | None = None
    full_fetch_at: datetime | None = None
    max_age_until: datetime | None = None
    retry_at: datetime | None = None
    items: int = 0
    rejected: int = 0
    warnings: int = 0
    held_removals: int = 0
    lease_holder: str | None = None
    lease_until: datetime | None = None


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to commit one sync of one feed, for as long as nobody has taken a later `epoch`."""

    feed_id: int
    feed: str
    sync_id: int
    epoch: int
    holder: str
    started_at: datetime


INTERRUPTED = msgspec.json.encode(
    ErrorInfo(code="interrupted", message="feedd was stopped in the middle of this sync")
).decode()
_STATE_COLUMNS = [FEEDS.c[name] for name in FeedState.__struct_fields__]


def read_feeds(database: Database, names: Iterable[str] | None = None) -> dict[str, FeedState]:
    """The stored state of the feeds, by name; a feed that never ran is not among them."""
    query = select(*_STATE_COLUMNS)
    if names is not None:
        query = query.where(FEEDS.c.name.in_(list(names)))
    with database.connect() as connection:
        return {row.name: _state(row) for row in connection.execute(query)}


def read_feed(database: Database, name: str) -> FeedState:
    """The stored state of one feed, blank before its first sync."""
    return read_feeds(database, [name]).get(name, FeedState(name=name))


def _state(row: Any) -> FeedState:
    values = dict(row._mapping)
    if values["error"] is not None:
        values["error"] = msgspec.json.decode(values["error"], type=ErrorInfo)
    if values["guess"] is not None:
        values["guess"] = msgspec.json.decode(values["guess"], type=Guess)
    if values["read_from"] is not None:
        values["read_from"] = msgspec.json.decode(values["read_from"], type=Origin)
    if values["status"] is not None:
        values["status"] = SyncStatus(values["status"])
    return FeedState(**values)


def begin_sync(database: Database, feed: str, *, trigger: str, holder: str, now: datetime) -> Lease:
    """Take the feed's lease and write the row of a running sync; a sync that lost the lease by that is ended as failed.

    A holder may take over from itself: it runs one sync of a feed at a time, so what it left is dead.

    Raises:
        UsageError: (`busy`) somebody else is syncing the feed.
        StoreError: a newer feedd has upgraded the database.
    """
    with database.transaction() as connection:
        refuse_upgraded(connection, database.name)
        feed_id = _feed_id(connection, feed)
        taken = connection.execute(
            update(FEEDS)
            .where(
                FEEDS.c.id == feed_id,
                FEEDS.c.lease_holder.is_(None)
                | (FEEDS.c.lease_holder == holder)
                | (FEEDS.c.lease_until < now),
            )
            .values(
                lease_epoch=FEEDS.c.lease_epoch + 1, lease_holder=holder, lease_until=now + LEASE
            )
            .returning(FEEDS.c.lease_epoch)
        ).scalar()
        if taken is None:
            raise UsageError(
                f"feed {feed} is being synced already", code="busy", hint="Wait until it has ended."
            )
        connection.execute(
            update(SYNCS)
            .where(SYNCS.c.feed_id == feed_id, SYNCS.c.status == SyncStatus.RUNNING)
            .values(status=SyncStatus.FAILED, finished_at=now, error=INTERRUPTED)
        )
        sync_id = connection.execute(
            generic_insert(SYNCS)
            .values(
                feed_id=feed_id,
                trigger=trigger,
                status=SyncStatus.RUNNING,
                holder=holder,
                started_at=now,
                change_count=0,
            )
            .returning(SYNCS.c.id)
        ).scalar_one()
    return Lease(
        feed_id=feed_id, feed=feed, sync_id=sync_id, epoch=taken, holder=holder, started_at=now
    )


def _feed_id(connection: Connection, feed: str) -> int:
    connection.execute(
        text(
            "INSERT INTO feeds (name, failures, items, rejected, warnings, held_removals, next_item, "
            "next_reject, lease_epoch) VALUES (:name, 0, 0, 0, 0, 0, 1, 1, 0) ON CONFLICT (name) DO NOTHING"
        ),
        {"name": feed},
    )
    return int(connection.execute(select(FEEDS.c.id).where(FEEDS.c.name == feed)).scalar_one())


def renew_lease(database: Database, lease: Lease, now: datetime) -> bool:
    """Hold the lease for longer; False when it is lost."""
    with database.transaction() as connection:
        return bool(
            connection.execute(
                update(FEEDS)
                .where(FEEDS.c.id == lease.feed_id, FEEDS.c.lease_epoch == lease.epoch)
                .values(lease_until=now + LEASE)
            ).rowcount
        )


def close_lease(connection: Connection, lease: Lease, values: dict[str, Any]) -> None:
    """Write a feed's state and give its lease back, inside the transaction that ends the sync.

    Raises:
        SyncStopped: somebody else has taken the lease meanwhile; the caller's transaction must not commit.
    """
    done = connection.execute(
        update(FEEDS)
        .where(FEEDS.c.id == lease.feed_id, FEEDS.c.lease_epoch == lease.epoch)
        .where(FEEDS.c.lease_holder == lease.holder)
        .values(lease_holder=None, lease_until=None, **values)
    ).rowcount
    if not done:
        raise _lease_lost(lease)


def hold_lease(connection: Connection, lease: Lease) -> None:
    """See that a lease is held, and that nobody takes it before the caller's transaction ends.

    Raises:
        SyncStopped: somebody else has taken the lease, or it was given back.
    """
    query = select(FEEDS.c.id).where(
        FEEDS.c.id == lease.feed_id, FEEDS.c.lease_epoch == lease.epoch
    )
    query = query.where(FEEDS.c.lease_holder == lease.holder).with_for_update(read=True)
    if connection.execute(query).scalar() is None:
        raise _lease_lost(lease)


def _lease_lost(lease: Lease) -> SyncStopped:
    return SyncStopped(
        "lease_lost",
        f"another worker took over the sync of {lease.feed} while this one was paused",
        hint="Nothing of this sync was stored; the other one goes on.",
    )


def break_leases(database: Database, holder: str, now: datetime) -> list[str]:
    """Give up the leases and end the running syncs of a holder that is known to be gone; their feeds' names."""
    with database.transaction() as connection:
        names = [
            str(name)
            for name in connection.execute(
                update(FEEDS)
                .where(FEEDS.c.lease_holder == holder)
                .values(lease_holder=None, lease_until=None, lease_epoch=FEEDS.c.lease_epoch + 1)
                .returning(FEEDS.c.name)
            ).scalars()
        ]
        connection.execute(
            update(SYNCS)
            .where(SYNCS.c.holder == holder, SYNCS.c.status == SyncStatus.RUNNING)
            .values(status=SyncStatus.FAILED, finished_at=now, error=INTERRUPTED)
        )
    return names


def stored_fingerprints(
    connection: Connection, feed_id: int
) -> tuple[Iterator[bytes], Iterator[bytes]]:
    """The parts that a sync of a feed has stored, and what each of the syncs since has noted."""

    def packed(first: int, last: int) -> Iterator[bytes]:
        query = "SELECT packed FROM fingerprints WHERE feed_id = :feed AND part BETWEEN :first AND :last ORDER BY part"
        values = {"feed": feed_id, "first": first, "last": last}
        yield from connection.execute(text(query), values).scalars()

    return packed(0, FIRST_NOTE - 1), packed(FIRST_NOTE, 2 * FIRST_NOTE - 1)


def forget_fingerprints(database: Database, feed: str) -> None:
    """Have the next sync of a feed fetch and decode everything, whatever it has seen before."""
    from feedd.fingerprints import without_hashes

    with database.transaction() as connection:
        feed_id = connection.execute(select(FEEDS.c.id).where(FEEDS.c.name == feed)).scalar()
        if feed_id is None:
            return
        values = {"feed": feed_id}
        parts = without_hashes(*stored_fingerprints(connection, feed_id))
        connection.execute(text("DELETE FROM fingerprints WHERE feed_id = :feed"), values)
        rows = [(feed_id, part, entries) for part, entries in enumerate(parts)]
        bulk_insert(connection, "fingerprints", ("feed_id", "part", "packed"), rows)
        connection.execute(
            update(FEEDS)
            .where(FEEDS.c.id == feed_id)
            .values(etag=None, last_modified=None, body_digest=None)
        )


def read_held(database: Database, feed: str) -> bytes:
    """The keys of the items whose removal is held, as packed 64-bit integers."""
    with database.connect() as connection:
        return connection.execute(select(FEEDS.c.held).where(FEEDS.c.name == feed)).scalar() or b""


def stream_position(database: Database) -> tuple[str, int]:
    """The change stream's id and the last number it has given out."""
    stream = read_stream(database)
    return stream.stream_id, stream.last_seq


def read_stream(database: Database) -> StreamState:
    """Which part of the change stream there is."""
    with database.connect() as connection:
        return stream_of(connection)


def stream_of(connection: Connection) -> StreamState:
    """As `read_stream`, as the connection's transaction sees it."""
    columns = [STREAM.c[name] for name in StreamState.__struct_fields__]
    return StreamState(**connection.execute(select(*columns)).one()._mapping)


def note_erasure(connection: Connection) -> None:
    """Have readers know that items were emptied or deleted. The last statement of a transaction: it holds up all commits."""
    connection.execute(update(STREAM).values(erasures=STREAM.c.erasures + 1))

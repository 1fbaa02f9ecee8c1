"""The syncs that have ended, in an order that leaves none out: of several that run, a later one may end first."""

from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import func, select

from feedd.model import SyncStatus
from feedd.store.database import Database
from feedd.store.feeds import read_stream
from feedd.store.tables import FEEDS, STREAM, SYNCS

SETTLED = timedelta(minutes=2)  # on PostgreSQL a number can be seen before a lower one
MOST_TAKEN = 10_000


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of syncs that have ended and were not taken, the oldest first, and where all before has been settled."""

    syncs: tuple[int, ...]
    settled: int


def stream_range(database: Database) -> tuple[str, int, int]:
    """The change stream's id, the last number given out, and the first one that is kept."""
    stream = read_stream(database)
    return stream.stream_id, stream.last_seq, stream.oldest_seq


def newest_sync(database: Database) -> int:
    """The number of the newest sync that there is; 0 for none."""
    with database.connect() as connection:
        return int(connection.execute(select(func.max(SYNCS.c.id))).scalar() or 0)


def ended_syncs(
    database: Database, through: int, taken: Collection[int], now: datetime, *, limit: int = 100
) -> Ended:
    """What has ended after `through` beyond those that are taken.

    No sync up to `settled` is still to end, or to appear. One that never ends is given up once thousands came after.
    """
    number = SYNCS.c.id
    after, running = number > through, SYNCS.c.status == SyncStatus.RUNNING
    lowest = select(func.min(number))
    with database.connect() as connection:
        found = connection.execute(
            select(number)
            .where(after, SYNCS.c.status != SyncStatus.RUNNING, number.not_in(list(taken)))
            .order_by(number)
            .limit(limit)
        ).scalars()
        syncs = tuple(int(each) for each in found)
        young = connection.execute(lowest.where(after, SYNCS.c.started_at > now - SETTLED)).scalar()
        open_ = connection.execute(lowest.where(after, running)).scalar()
        newest = connection.execute(select(func.max(number)).where(after)).scalar() or through
    bounds = [int(each) for each in (young, open_ if len(taken) < MOST_TAKEN else None) if each]
    return Ended(syncs=syncs, settled=min([int(newest), *(each - 1 for each in bounds)]))


def last_success(database: Database, feed_id: int) -> datetime | None:
    """When the last sync of a feed that did not fail ended; None for none that is still known."""
    query = (
        select(SYNCS.c.finished_at)
        .where(SYNCS.c.feed_id == feed_id)
        .where(SYNCS.c.status.in_([SyncStatus.APPLIED, SyncStatus.UNCHANGED, SyncStatus.HELD]))
        .order_by(SYNCS.c.id.desc())
        .limit(1)
    )
    with database.connect() as connection:
        return connection.execute(query).scalar()


def pulse(database: Database) -> tuple[object, ...]:
    """Something that differs once there are new changes, or a sync has begun or ended, whoever's."""
    with database.connect() as connection:
        stream = connection.execute(select(STREAM.c.stream_id, STREAM.c.last_seq)).one()
        begun = select(func.sum(FEEDS.c.lease_epoch), func.count(FEEDS.c.lease_holder))
        return (*stream, *connection.execute(begun).one())

"""What the catalog answers: items, changes, syncs and rejects, a page at a time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
)

from feedd.errors import NotFound
from feedd.model import (
    CatalogItem,
    Counts,
    ErrorInfo,
    OpenReject,
    Problem,
    SyncRecord,
    SyncStatus,
)
from feedd.store.ahead import committed, first_free
from feedd.store.database import Database
from feedd.store.item_ids import keys_of
from feedd.store.tables import (
    CHANGES,
    CLOSED_REJECTS,
    FEEDS,
    ITEM_IDS,
    ITEMS,
    NUMBER_BITS,
    REJECTS,
    SYNCS,
)

_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode
_decode_changes = msgspec.json.Decoder(dict[str, tuple[Any, Any]]).decode
_decode_problems = msgspec.json.Decoder(tuple[Problem, ...]).decode
_SEQ = SYNCS.c.first_seq + CHANGES.c.ordinal


def read_items(
    database: Database,
    *,
    feeds: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    removed: bool | None = False,
    after: int = 0,
    limit: int = 100,
) -> list[CatalogItem]:
    """Items in the order of their keys; `removed` None means live and removed ones."""
    kept = []
    if removed is not None:
        kept = [ITEMS.c.removed_at.is_not(None) if removed else ITEMS.c.removed_at.is_(None)]
    if ids is None and not removed:
        holding = FEEDS.c.next_item > 1 if removed is None else FEEDS.c["items"] > 0
        return _feed_by_feed(database, feeds, holding, kept, after, limit)
    query = select(ITEMS, FEEDS.c.name.label("feed")).join(FEEDS, FEEDS.c.id == ITEMS.c.feed_id)
    if feeds is not None:
        query = query.where(FEEDS.c.name.in_(feeds))
    if ids is not None:
        query = query.where(ITEMS.c.id.in_(keys_of(ids, feeds)))
    query = query.where(committed(), *kept, ITEMS.c.id > after).order_by(ITEMS.c.id).limit(limit)
    return [_item(row, row.feed) for row in _rows(database, query)]


def read_warned_items(
    database: Database, feeds: Sequence[str], *, after: int = 0, limit: int = 100
) -> list[CatalogItem]:
    """Live items with warnings, in the order of their keys."""
    warned = [ITEMS.c.warning_count > 0, ITEMS.c.removed_at.is_(None)]
    return _feed_by_feed(database, feeds, FEEDS.c.warnings > 0, warned, after, limit)


def _feed_by_feed(
    database: Database,
    feeds: Sequence[str] | None,
    holding: ColumnElement[bool],
    kept: Sequence[ColumnElement[bool]],
    after: int,
    limit: int,
) -> list[CatalogItem]:
    """A page of items of those feeds that hold some.

    One range of keys after the other: so none of the million rows is looked at that a first load has written ahead.
    """
    query = select(FEEDS.c.id, FEEDS.c.name, FEEDS.c.next_item).order_by(FEEDS.c.id)
    query = query.where(holding, FEEDS.c.id >= after >> NUMBER_BITS)
    if feeds is not None:
        query = query.where(FEEDS.c.name.in_(feeds))
    found: list[CatalogItem] = []
    with database.snapshot() as connection:
        for feed in connection.execute(query).all():
            low = max(after, first_free(feed.id, 0))
            range_ = ITEMS.c.id > low, ITEMS.c.id < first_free(feed.id, feed.next_item)
            page = select(ITEMS).where(*range_, *kept).order_by(ITEMS.c.id)
            rows = connection.execute(page.limit(limit - len(found))).all()
            found += [_item(row, feed.name) for row in rows]
            if len(found) == limit:
                break
    return found


def count_collisions(database: Database, feed: str, before: Sequence[str]) -> int:
    """How many live items of a feed have an id that a live item of one of the feeds before it has."""
    other, other_feed = ITEM_IDS.alias("other"), FEEDS.alias("other_feed")
    same_id = (
        select(other.c.item)
        .join(other_feed, other_feed.c.id == other.c.feed_id)
        .where(other_feed.c.name.in_(before), other.c.item_id == ITEM_IDS.c.item_id)
        .where(committed(other.c.item, other_feed), _is_live(other.c.item))
    )
    # ids first: of items, only those are looked at whose id comes twice
    query = (
        select(func.count())
        .select_from(ITEM_IDS.join(FEEDS, FEEDS.c.id == ITEM_IDS.c.feed_id))
        .where(FEEDS.c.name == feed, FEEDS.c["items"] > 0, committed(ITEM_IDS.c.item))
        .where(same_id.exists(), _is_live(ITEM_IDS.c.item))
    )
    with database.connect() as connection:
        return int(connection.execute(query).scalar_one())


def _is_live(key: ColumnElement[int]) -> ColumnElement[bool]:
    return select(ITEMS.c.id).where(ITEMS.c.id == key, ITEMS.c.removed_at.is_(None)).exists()


def read_syncs(
    database: Database,
    *,
    feeds: Sequence[str] | None = None,
    status: SyncStatus | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[SyncRecord]:
    """Syncs, the newest first."""
    query = select(SYNCS, FEEDS.c.name.label("feed")).join(FEEDS, FEEDS.c.id == SYNCS.c.feed_id)
    if feeds is not None:
        query = query.where(FEEDS.c.name.in_(feeds))
    if status is not None:
        query = query.where(SYNCS.c.status == status)
    if before is not None:
        # whatever number: PostgreSQL refuses one that its column cannot hold
        query = query.where(SYNCS.c.id < literal(before, BigInteger))
    return [_sync(row) for row in _rows(database, query.order_by(SYNCS.c.id.desc()).limit(limit))]


def read_sync(database: Database, sync_id: int) -> SyncRecord:
    """One sync.

    Raises:
        NotFound: there is none with that id.
    """
    found = read_syncs(database, before=sync_id + 1, limit=1)
    if not found or found[0].id != sync_id:
        raise NotFound(f"there is no sync {sync_id}")
    return found[0]


def read_rejects(
    database: Database,
    *,
    feeds: Sequence[str] | None = None,
    after: tuple[int, int] | None = None,
    limit: int = 100,
) -> list[OpenReject]:
    """Open rejects, feed by feed in the order of their positions; `after` is the (key, position) of the last seen."""
    query = select(REJECTS, FEEDS.c.name.label("feed")).join(FEEDS, FEEDS.c.id == REJECTS.c.feed_id)
    if feeds is not None:
        query = query.where(FEEDS.c.name.in_(feeds))
    if after is not None:
        key, position = after
        feed_id = key >> NUMBER_BITS
        same_feed = REJECTS.c.feed_id == feed_id
        beyond = or_(
            REJECTS.c.position > position,
            and_(REJECTS.c.position == position, REJECTS.c.id > key),
        )
        query = query.where(or_(REJECTS.c.feed_id > feed_id, and_(same_feed, beyond)))
    query = query.order_by(REJECTS.c.feed_id, REJECTS.c.position, REJECTS.c.id).limit(limit)
    return [_reject(row) for row in _rows(database, query)]


def read_closed_rejects(
    database: Database,
    *,
    feeds: Sequence[str] | None = None,
    after: int | None = None,
    limit: int = 100,
) -> list[OpenReject]:
    """Closed rejects, those that were opened last first; `after` is the key of the last seen."""
    query = select(CLOSED_REJECTS, FEEDS.c.name.label("feed")).join(
        FEEDS, FEEDS.c.id == CLOSED_REJECTS.c.feed_id
    )
    if feeds is not None:
        query = query.where(FEEDS.c.name.in_(feeds))
    if after is not None:
        query = query.where(CLOSED_REJECTS.c.id < after)
    rows = _rows(database, query.order_by(CLOSED_REJECTS.c.id.desc()).limit(limit))
    return [_reject(row, row.closed_at) for row in rows]


def _reject(row: Any, closed_at: datetime | None = None) -> OpenReject:
    return OpenReject(
        key=row.id,
        feed=row.feed,
        sync=row.sync_id,
        position=row.position,
        item_id=row.item_id,
        problems=_decode_problems(row.problems),
        opened_at=row.opened_at,
        closed_at=closed_at,
    )


def _rows(database: Database, query: Select[Any]) -> Sequence[Any]:
    with database.connect() as connection:
        return connection.execute(query).all()


def _item(row: Any, feed: str) -> CatalogItem:
    return CatalogItem(
        key=row.id,
        feed=feed,
        id=row.item_id,
        fields=_decode_fields(row.fields),
        warnings=_decode_problems(row.warnings) if row.warnings else (),
        created_at=row.created_at,
        changed_at=row.changed_at,
        removed_at=row.removed_at,
    )


def _sync(row: Any) -> SyncRecord:
    return SyncRecord(
        id=row.id,
        feed=row.feed,
        trigger=row.trigger,
        status=SyncStatus(row.status),
        started_at=row.started_at,
        finished_at=row.finished_at,
        duration_s=row.duration_s,
        size_bytes=row.size_bytes,
        counts=msgspec.json.decode(row.counts, type=Counts) if row.counts else None,
        error=msgspec.json.decode(row.error, type=ErrorInfo) if row.error else None,
    )

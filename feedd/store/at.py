"""Items as they were right after any change of the stream that is still kept, many at a time, in the caller's snapshot.

`feedd.store.history` does the same for one id, and says why there is nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Select, func, select

from feedd.diff import undo
from feedd.model import ChangeKind, StreamState
from feedd.store.ahead import committed
from feedd.store.tables import CHANGES, FEEDS, ITEM_IDS, ITEMS, KINDS, NUMBER_BITS, SYNCS

_KIND = {KINDS.index(kind): kind for kind in ChangeKind}
_SEQ = SYNCS.c.first_seq + CHANGES.c.ordinal
_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode
_decode_changes = msgspec.json.Decoder(dict[str, tuple[Any, Any]]).decode


class Moment(NamedTuple):
    """A position of the stream, and the snapshot that it is looked at in: changes after it must be kept."""

    connection: Connection
    stream: StreamState
    seq: int


class ItemThen(NamedTuple):
    """An item at a position; of one that had been removed, what it was last.

    `fields` is a JSON object. `version` is the number of its last change until then, None where that one is no longer kept.
    """

    key: int
    feed_id: int
    id: str
    fields: bytes
    is_live: bool
    version: int | None
    created_at: datetime
    changed_at: datetime | None


class ItemChange(NamedTuple):
    """A change of an item that is known by its key."""

    key: int
    seq: int
    kind: ChangeKind
    fields: dict[str, tuple[Any, Any]]
    at: datetime


def feed_ids(connection: Connection, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Name -> the feed's id and the number of its next item; a feed that never ran is left out."""
    query = select(FEEDS.c.name, FEEDS.c.id, FEEDS.c.next_item).where(FEEDS.c.name.in_(names))
    return {row.name: (row.id, row.next_item) for row in connection.execute(query)}


def keys_of_ids(
    connection: Connection, item_ids: Sequence[str], feeds: Iterable[int]
) -> dict[tuple[int, str], int]:
    """(feed, item id) -> key of what those feeds have, or had, under those ids."""
    query = (
        select(ITEM_IDS.c.feed_id, ITEM_IDS.c.item_id, ITEM_IDS.c.item)
        .join(FEEDS, FEEDS.c.id == ITEM_IDS.c.feed_id)
        .where(ITEM_IDS.c.feed_id.in_(list(feeds)), ITEM_IDS.c.item_id.in_(item_ids))
        .where(committed(ITEM_IDS.c.item))
    )
    return {(row.feed_id, row.item_id): row.item for row in connection.execute(query)}


def items_at(moment: Moment, keys: Sequence[int]) -> dict[int, ItemThen]:
    """Key -> item right after the change `seq`; what came later, or was emptied by `feedd forget`, is left out."""
    connection, stream, seq = moment
    rows = connection.execute(select(ITEMS).where(ITEMS.c.id.in_(keys))).all()
    later: dict[int, list[ItemChange]] = {}
    if seq < stream.last_seq:
        for change in changes_of_keys(connection, keys, after=seq, through=stream.last_seq):
            later.setdefault(change.key, []).append(change)
    last = _last_changes(connection, keys, seq, stream.oldest_seq)
    found = {}
    for row in rows:
        then = _then(row, later.get(row.id, ()), last.get(row.id))
        if then is not None:
            found[row.id] = then
    return found


def changes_of_keys(
    connection: Connection, keys: Sequence[int], *, after: int, through: int
) -> list[ItemChange]:
    """The changes of some items with a number above `after` and up to `through`, the newest first."""
    query = _changes(keys).where(after < _SEQ, through >= _SEQ)
    query = query.order_by(SYNCS.c.first_seq.desc(), CHANGES.c.ordinal.desc())
    return _item_changes(connection, query)


def history_of(
    connection: Connection, key: int, *, after: int, through: int, limit: int
) -> list[ItemChange]:
    """The newest changes of one item between two positions, the newest first."""
    query = _changes([key]).where(after < _SEQ, through >= _SEQ).limit(limit)
    query = query.order_by(SYNCS.c.first_seq.desc(), CHANGES.c.ordinal.desc())
    return _item_changes(connection, query)


def committed_at(connection: Connection, seq: int) -> datetime | None:
    """When the change `seq` was committed; None where that is no longer known, or there was none."""
    query = (
        select(SYNCS.c.finished_at)
        .where(SYNCS.c.first_seq <= seq, SYNCS.c.first_seq + SYNCS.c.change_count > seq)
        .order_by(SYNCS.c.first_seq.desc())
        .limit(1)
    )
    found: datetime | None = connection.execute(query).scalar()
    return found


def position_at(connection: Connection, moment: datetime, stream: StreamState) -> int:
    """The last change that was committed at a moment or before it, or the end of what is no longer kept."""
    query = (
        select(SYNCS.c.first_seq + SYNCS.c.change_count - 1)
        .where(SYNCS.c.first_seq.is_not(None), SYNCS.c.finished_at <= moment)
        .order_by(SYNCS.c.first_seq.desc())
        .limit(1)
    )
    found = connection.execute(query).scalar()
    return max(stream.oldest_seq - 1, int(found or 0))


def _then(row: Any, later: Sequence[ItemChange], last: Any) -> ItemThen | None:
    """A row of `items` with what happened since undone; `last` is its last change until then, where that is kept."""
    fields, live = row.fields.encode(), row.removed_at is None
    changed_at = row.changed_at if not later else None
    if later:
        decoded = _decode_fields(fields)
        for change in later:
            if change.kind is ChangeKind.ADDED:
                return None
            live = change.kind is not ChangeKind.RESTORED
            decoded = undo(decoded, change.fields)
        if "id" not in decoded:
            return None
        fields = msgspec.json.encode(decoded)
    elif fields == b"{}":
        return None
    if last is not None:
        # an added item may say when its sync began, as `created_at` does
        added = _KIND[last.kind] is ChangeKind.ADDED
        changed_at = row.created_at if added else last.at
    return ItemThen(
        key=row.id,
        feed_id=row.id >> NUMBER_BITS,
        id=row.item_id,
        fields=fields,
        is_live=live,
        version=None if last is None else last.seq,
        created_at=row.created_at,
        changed_at=changed_at,
    )


def _last_changes(
    connection: Connection, keys: Sequence[int], seq: int, oldest_seq: int
) -> dict[int, Any]:
    """Key -> the last change until `seq` that is kept: its `seq`, `kind` and `at`."""
    place = func.row_number().over(
        partition_by=CHANGES.c.item,
        order_by=(SYNCS.c.first_seq.desc(), CHANGES.c.ordinal.desc()),
    )
    columns = (
        CHANGES.c.item,
        _SEQ.label("seq"),
        CHANGES.c.kind,
        SYNCS.c.finished_at.label("at"),
        place.label("place"),
    )
    part = (
        select(*columns)
        .select_from(CHANGES.join(SYNCS, CHANGES.c.sync_id == SYNCS.c.id))
        .where(CHANGES.c.item.in_(keys), seq >= _SEQ, oldest_seq <= _SEQ)
        .subquery()
    )
    return {row.item: row for row in connection.execute(select(part).where(part.c.place == 1))}


def _changes(keys: Sequence[int]) -> Select[Any]:
    columns = (
        CHANGES.c.item,
        _SEQ.label("seq"),
        CHANGES.c.kind,
        CHANGES.c.fields,
        SYNCS.c.finished_at.label("at"),
    )
    joined = CHANGES.join(SYNCS, CHANGES.c.sync_id == SYNCS.c.id)
    return select(*columns).select_from(joined).where(CHANGES.c.item.in_(keys))


def _item_changes(connection: Connection, query: Select[Any]) -> list[ItemChange]:
    return [
        ItemChange(row.item, row.seq, _KIND[row.kind], _decode_changes(row.fields), row.at)
        for row in connection.execute(query)
    ]

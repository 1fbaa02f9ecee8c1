"""Items as they were right after any change of the stream that is still kept, many at a time, in the caller's snapshot.

`feedd.store.history` does the same for one id, and says why there is nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, select, text

from feedd.diff import canonical, undo
from feedd.model import ChangeKind, Counts, StreamState
from feedd.store.database import among, among_value
from feedd.store.tables import FEEDS, KINDS, NUMBER_BITS, SYNCS

_KIND = {KINDS.index(kind): kind for kind in ChangeKind}
_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode
_decode_changes = msgspec.json.Decoder(dict[str, tuple[Any, Any]]).decode
_decode_counts = msgspec.json.Decoder(Counts).decode

# in words: a thousand messages ask for some items each, and a statement that is put together takes longer than its answer
_KEYS = f"""
SELECT item_ids.feed_id, item_ids.item_id, item_ids.item FROM item_ids JOIN feeds ON feeds.id = item_ids.feed_id
WHERE {{feeds}} AND {{ids}} AND item_ids.item & {(1 << NUMBER_BITS) - 1} < feeds.next_item
"""  # noqa: S608
_ITEMS = """
SELECT id, item_id, fields, removed_at IS NULL AS is_live, created_at, changed_at FROM items WHERE {keys}
"""
_CHANGES = """
SELECT changes.item, syncs.first_seq + changes.ordinal AS seq, changes.kind, changes.fields, syncs.finished_at AS at
FROM changes JOIN syncs ON syncs.id = changes.sync_id WHERE {keys}
AND syncs.first_seq + changes.ordinal > :after AND syncs.first_seq + changes.ordinal <= :through
ORDER BY syncs.first_seq DESC, changes.ordinal DESC LIMIT :limit
"""
_LAST_CHANGES = """
SELECT item, seq, kind, at FROM (
  SELECT changes.item, syncs.first_seq + changes.ordinal AS seq, changes.kind, syncs.finished_at AS at,
    ROW_NUMBER() OVER (PARTITION BY changes.item ORDER BY syncs.first_seq DESC, changes.ordinal DESC) AS place
  FROM changes JOIN syncs ON syncs.id = changes.sync_id WHERE {keys}
  AND syncs.first_seq + changes.ordinal > :after AND syncs.first_seq + changes.ordinal <= :through
) AS part WHERE place = 1
"""
# along the numbers, not along all syncs of the feed, most of which changed nothing
_FIRST_SYNC = """
SELECT first_seq, change_count, counts FROM syncs
WHERE feed_id + 0 = :feed AND first_seq > :after AND first_seq <= :through ORDER BY first_seq LIMIT 1
"""
_ALL = 2**62


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
    values = {
        "feeds": among_value(connection, list(feeds)),
        "ids": among_value(connection, item_ids),
    }
    query = _KEYS.format(
        feeds=among(connection, "item_ids.feed_id", "feeds"),
        ids=among(connection, "item_ids.item_id", "ids"),
    )
    return {(feed, item_id): key for feed, item_id, key in connection.execute(_text(query), values)}


def items_at(moment: Moment, keys: Sequence[int], *, dated: bool = True) -> dict[int, ItemThen]:
    """Key -> item right after the change `seq`; what came later, or was emptied by `feedd forget`, is left out.

    Those that are not `dated` have no `version` and no `changed_at`.
    """
    connection, stream, seq = moment
    later: dict[int, list[ItemChange]] = {}
    if seq < stream.last_seq:
        for change in changes_of_keys(connection, keys, after=seq, through=stream.last_seq):
            later.setdefault(change.key, []).append(change)
    last = {}
    if dated:
        kept = {"after": stream.oldest_seq - 1, "through": seq}
        last = {row[0]: row for row in _rows(connection, _LAST_CHANGES, keys, kept)}
    found = {}
    for row in _rows(connection, _ITEMS, keys):
        key = row[0]
        then = _then(row, later.get(key, ()), last.get(key))
        if then is not None:
            found[key] = then
    return found


def changes_of_keys(
    connection: Connection, keys: Sequence[int], *, after: int, through: int, limit: int = _ALL
) -> list[ItemChange]:
    """The changes of some items with a number above `after` and up to `through`, the newest first."""
    between = {"after": after, "through": through, "limit": limit}
    return [
        ItemChange(
            key, seq, _KIND[kind], {} if fields == "{}" else _decode_changes(fields), _utc(at)
        )
        for key, seq, kind, fields, at in _rows(connection, _CHANGES, keys, between)
    ]


def committed_at(connection: Connection, seq: int) -> datetime | None:
    """When the change `seq` was committed, or the next one where that is not known; None where there is none."""
    times = select(SYNCS.c.finished_at).limit(1)
    end = SYNCS.c.first_seq + SYNCS.c.change_count
    own = times.where(SYNCS.c.first_seq <= seq, end > seq).order_by(SYNCS.c.first_seq.desc())
    found: datetime | None = connection.execute(own).scalar()
    if found is None:
        following = times.where(SYNCS.c.first_seq > seq).order_by(SYNCS.c.first_seq)
        found = connection.execute(following).scalar()
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


def first_syncs(
    connection: Connection, feeds: Sequence[int], *, after: int, through: int
) -> dict[int, int]:
    """Feed -> the last change of the first sync that brought it items, of those whose first sync begins within a window.

    That is one of additions alone, with none of the feed's changes before it.
    """
    found = {}
    for feed in feeds:
        between = {"feed": feed, "after": after, "through": through}
        row = connection.execute(_text(_FIRST_SYNC), between).first()
        if row is None:
            continue
        told = _decode_counts(row.counts)
        was_empty = told.added == row.change_count and not told.unchanged + told.held_removals
        before = select(SYNCS.c.id).where(SYNCS.c.feed_id == feed, SYNCS.c.first_seq <= after)
        if was_empty and connection.execute(before.limit(1)).scalar() is None:
            found[feed] = row.first_seq + row.change_count - 1
    return found


def _then(row: Any, later: Sequence[ItemChange], last: Any) -> ItemThen | None:
    """A row of `items` with what happened since undone; `last` is its last change until then, where that is kept."""
    key, item_id, text_of_fields, live, created_at, changed_at = row
    fields, live = text_of_fields.encode(), bool(live)
    created_at = _utc(created_at)
    changed = _utc(changed_at) if not later else None
    if later:
        decoded = _decode_fields(fields)
        for change in later:
            if change.kind is ChangeKind.ADDED:
                return None
            live = change.kind is not ChangeKind.RESTORED
            decoded = undo(decoded, change.fields)
        if "id" not in decoded:
            return None
        fields = canonical(decoded)
    elif fields == b"{}":
        return None
    version = None
    if last is not None:
        _, version, kind, at = last
        # an added item may say when its sync began, as `created_at` does
        changed = created_at if _KIND[kind] is ChangeKind.ADDED else _utc(at)
    return ItemThen(key, key >> NUMBER_BITS, item_id, fields, live, version, created_at, changed)


def _rows(
    connection: Connection, statement: str, keys: Sequence[int], more: dict[str, int] | None = None
) -> Sequence[Any]:
    column = "id" if statement is _ITEMS else "changes.item"
    query = _text(statement.format(keys=among(connection, column, "keys")))
    values = {"keys": among_value(connection, keys)} | (more or {})
    return connection.execute(query, values).all()


_text = lru_cache(text)


@lru_cache(maxsize=4096)  # what a sync has written has one time
def _utc(moment: datetime | str) -> datetime:
    """SQLite has texts, in UTC."""
    if isinstance(moment, str):
        return datetime.fromisoformat(moment).replace(tzinfo=UTC)
    return moment.astimezone(UTC)

"""What happened to one item, and what it was at any change that is still kept.

An item is stored as it is now. Earlier versions are had by walking its changes back from there: an update or a comeback
says what each field was before, and a removal leaves the fields as they were.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Select, select

from feedd.diff import undo
from feedd.errors import TooOld, UsageError
from feedd.model import Change, ChangeKind, ItemVersion
from feedd.store.ahead import committed
from feedd.store.changes import change_of, change_rows, start_of
from feedd.store.database import Database
from feedd.store.feeds import stream_of
from feedd.store.item_ids import keys_of
from feedd.store.tables import CHANGES, FEEDS, ITEMS, SYNCS

_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode
_SEQ = SYNCS.c.first_seq + CHANGES.c.ordinal


class Absence(NamedTuple):
    """Why a feed has no such item to show for some change: it came later, was removed, or has been forgotten."""

    feed: str
    reason: str


def read_history(
    database: Database,
    item_key: int,
    *,
    since: int = 0,
    before: int | None = None,
    limit: int = 100,
    descending: bool = False,
) -> list[Change]:
    """The changes of one item after `since` (0: all that are kept) and before `before`, in the order of the stream.

    Raises:
        TooOld: changes after `since` are no longer kept.
    """
    with database.snapshot() as connection:
        start = start_of(stream_of(connection), since)
        query = _of_item(item_key, descending=descending).where(start < _SEQ).limit(limit)
        if before is not None:
            query = query.where(before > _SEQ)
        return [change_of(row) for row in connection.execute(query)]


def read_versions(
    database: Database, item_id: str, *, feeds: Sequence[str], seq: int
) -> list[ItemVersion | Absence]:
    """What each of the feeds had under an id right after the change `seq`; a feed that never had it is left out.

    Raises:
        TooOld: it cannot be said any more, since changes after `seq` have been deleted.
        UsageError: the stream has not come so far.
    """
    with database.snapshot() as connection:
        stream = stream_of(connection)
        if seq < stream.oldest_seq - 1:
            raise TooOld(
                f"changes after {seq}",
                stream.oldest_seq,
                hint=f"The earliest that can be shown is {stream.oldest_seq - 1}.",
            )
        if seq > stream.last_seq:
            raise UsageError(
                f"there is no change {seq} yet", hint=f"The newest one is {stream.last_seq}."
            )
        rows = connection.execute(
            select(ITEMS, FEEDS.c.name.label("feed"))
            .join(FEEDS, FEEDS.c.id == ITEMS.c.feed_id)
            .where(ITEMS.c.id.in_(keys_of([item_id], feeds)), committed())
        ).all()
        return [_version(connection, row, seq) for row in rows]


def read_around(
    database: Database, changes: Sequence[Change]
) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
    """The fields of items right before and right after changes of the stream, by the numbers of the changes.

    Those of a removed item are what it last had. A change that cannot be told of any more is left out: its item
    was deleted since, or emptied by `feedd forget`.
    """
    feeds, ids = {each.feed for each in changes}, {each.item for each in changes}
    wanted = {each.seq for each in changes}
    with database.snapshot(by_key=True) as connection:
        items = connection.execute(
            select(ITEMS.c.id, ITEMS.c.fields).where(ITEMS.c.id.in_(keys_of([*ids], [*feeds])))
        ).all()
        later = (
            change_rows()
            .add_columns(CHANGES.c.item.label("key"))
            .where(CHANGES.c.item.in_([item.id for item in items]))
            .where(min(each.seq or 0 for each in changes) <= _SEQ)
            .order_by(SYNCS.c.first_seq.desc(), CHANGES.c.ordinal.desc())
        )
        rows = connection.execute(later).all()
    fields = {item.id: _decode_fields(item.fields) for item in items}
    found = {}
    for row in rows:
        change, after = change_of(row), fields[row.key]
        before = fields[row.key] = undo(after, change.fields)
        if change.seq in wanted and "id" in after:
            found[row.seq] = (before, after)
    return found


def _of_item(item_key: int, *, descending: bool) -> Select[Any]:
    order = (SYNCS.c.first_seq, CHANGES.c.ordinal)
    return (
        change_rows()
        .where(CHANGES.c.item == item_key)
        .order_by(*[column.desc() if descending else column for column in order])
    )


def _version(connection: Connection, row: Any, seq: int) -> ItemVersion | Absence:
    fields, live = _decode_fields(row.fields), row.removed_at is None
    changed_at = row.changed_at
    changes = _of_item(row.id, descending=True)
    for each in connection.execute(changes.where(seq < _SEQ)):
        change = change_of(each)
        if change.kind is ChangeKind.ADDED:
            return Absence(row.feed, f"it was added by change {change.seq}")
        live = change.kind is not ChangeKind.RESTORED
        fields, changed_at = undo(fields, change.fields), None
    last = connection.execute(changes.where(seq >= _SEQ).limit(1)).first()
    if not live:
        by = "" if last is None else f" by change {last.seq}"
        return Absence(row.feed, f"it had been removed{by}")
    if "id" not in fields:  # every item has one; what `feedd forget` has emptied cannot be told of
        return Absence(row.feed, "what it was has been dropped by `feedd forget` since")
    return ItemVersion(
        feed=row.feed,
        id=row.item_id,
        seq=seq,
        fields=fields,
        changed_at=changed_at if last is None else last.at,
    )

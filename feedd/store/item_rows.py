"""The items of a feed as they are now, all of them or some, for who keeps something of each."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from feedd.store.ahead import first_free
from feedd.store.changes import scan
from feedd.store.database import among, among_value

_PAGE = 2_000
_COLUMNS = "SELECT id, fields, removed_at IS NULL, created_at, changed_at FROM items WHERE "


class ItemRow(NamedTuple):
    """An item; `fields` is a JSON object, the times are seconds since 1970."""

    key: int
    fields: str
    is_live: bool
    created_s: float
    changed_s: float


def item_rows(connection: Connection, feed_id: int, next_item: int) -> Iterator[list[ItemRow]]:
    """The items of a feed, removed ones too, some at a time, in the order in which they came into the catalog."""
    query = text(_COLUMNS + "id >= :after AND id < :end ORDER BY id LIMIT :limit")
    values = {
        "after": first_free(feed_id, 0),
        "end": first_free(feed_id, next_item),
        "limit": _PAGE,
    }
    while rows := connection.execute(query, values).all():
        yield list(map(_row, rows))
        values["after"] = rows[-1][0] + 1


def item_rows_of(connection: Connection, keys: Sequence[int]) -> list[ItemRow]:
    """The items with those keys that there are."""
    query = text(_COLUMNS + among(connection, "id"))
    return list(map(_row, connection.execute(query, {"values": among_value(connection, keys)})))


def touched_keys(
    connection: Connection, feed: str, *, after: int, through: int, most: int
) -> list[int] | None:
    """The keys of the items of a feed that have changed between two positions; None where those are more than `most`."""
    keys: set[int] = set()
    for touch in scan(connection, after=after, through=through, feeds=[feed]):
        keys.add(touch.key)
        if len(keys) > most:
            return None
    return sorted(keys)


def _row(row: Any) -> ItemRow:
    key, fields, live, created, changed = row
    return ItemRow(key, fields, bool(live), _seconds(created), _seconds(changed))


@lru_cache(maxsize=1024)  # the items that a sync has written have one time
def _seconds(moment: datetime | str) -> float:
    """SQLite has texts, in UTC."""
    if isinstance(moment, str):
        return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    return moment.timestamp()

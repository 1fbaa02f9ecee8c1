"""Items are found by their ids in a table of its own, which is filled in the order of the ids.

An index of `items` would be entered in the order of the feed, which for an index of ids is none: a first load
dirtied and logged nearly every page of it in each of its transactions. So a sync enters the ids of what it has written
ahead many at a time, sorted (`feedd.store.ahead`). The law: an id stands here only with its item; once the item is
committed, it stands here. It is no more there than its item is, see `committed`.
"""

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, select, text

from feedd.store.database import among, among_value, bulk_insert, find_by_key
from feedd.store.tables import FEEDS, ITEM_IDS, ITEMS

_ENTER_ALL = """
INSERT INTO item_ids (feed_id, item_id, item) SELECT feed_id, item_id, id FROM items ORDER BY feed_id, item_id
"""
_TYPES = ("int4", "text", "int8")
_DROP = "DELETE FROM item_ids WHERE feed_id = :feed AND "


def in_order(feed_id: int, item_ids: Iterable[str], first: int) -> list[tuple[int, str, int]]:
    """The rows of items whose keys follow each other, the way they are entered: takes longer than entering them."""
    return [(feed_id, item_id, key) for item_id, key in sorted(zip(item_ids, count(first)))]


def enter_ids(connection: Connection, rows: Sequence[tuple[int, str, int]]) -> None:
    """Have items be found by their ids, inside the caller's transaction; `rows` are theirs, by `in_order`."""
    bulk_insert(connection, "item_ids", ("feed_id", "item_id", "item"), rows, _TYPES)


def enter_all_ids(connection: Connection) -> None:
    """Have all items be found by their ids, those that are already among them."""
    connection.execute(delete(ITEM_IDS))
    connection.execute(text(_ENTER_ALL))


def keys_of(item_ids: Sequence[str], feeds: Sequence[str] | None = None) -> Select[Any]:
    """A query for the keys of items with those ids, whether or not they are committed; of all feeds, or of some by name."""
    of_feeds = select(FEEDS.c.id)
    if feeds is not None:
        of_feeds = of_feeds.where(FEEDS.c.name.in_(feeds))
    return select(ITEM_IDS.c.item).where(
        ITEM_IDS.c.feed_id.in_(of_feeds), ITEM_IDS.c.item_id.in_(item_ids)
    )


def delete_items(connection: Connection, feed_id: int, *which: ColumnElement[bool]) -> None:
    """Delete some thousand items of a feed at most, inside the caller's transaction, with their ids."""
    gone = delete(ITEMS).where(ITEMS.c.feed_id == feed_id, *which).returning(ITEMS.c.item_id)
    item_ids = connection.execute(gone).scalars().all()
    if item_ids:
        find_by_key(connection)
        values = {"feed": feed_id, "values": among_value(connection, item_ids)}
        connection.execute(text(_DROP + among(connection, "item_id")), values)

"""Which feeds a question is about, and which of their items a look-up finds: of equal ids, those of the first feed."""

from collections.abc import Sequence
from typing import NamedTuple

from feedd.store.at import ItemThen, Moment, items_at, keys_of_ids


class ShelfFeed(NamedTuple):
    """A feed that something is stored of; `next_item` is the number that its next item gets."""

    name: str
    catalog: str
    id: int
    next_item: int


def hidden(moment: Moment, feeds: Sequence[ShelfFeed], items: Sequence[ItemThen]) -> set[int]:
    """The keys of those items that no look-up finds, for another feed has their ids live.

    That is a feed that comes before the item's own, or any one where the item itself has been removed.
    """
    if len(feeds) < 2 or not items:
        return set()
    places = {feed.id: place for place, feed in enumerate(feeds)}
    ids = list({each.id for each in items})
    known = keys_of_ids(moment.connection, ids, places)
    live: dict[str, list[int]] = {}
    for each in items_at(moment, list(known.values()), dated=False).values():
        if each.is_live:
            live.setdefault(each.id, []).append(places[each.feed_id])
    return {
        each.key
        for each in items
        if each.id in live and (not each.is_live or min(live[each.id]) < places[each.feed_id])
    }

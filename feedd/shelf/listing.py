"""The items of a catalog that meet conditions, in an order: what `{% items %}` asks."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from feedd.offers import effective_price
from feedd.shelf.columns import PREFIX, Columns, seconds
from feedd.shelf.conditions import meets
from feedd.shelf.feeds import ShelfFeed, hidden
from feedd.shelf.shelves import Shelves
from feedd.store.ahead import first_free
from feedd.store.at import ItemThen, Moment, items_at, keys_of_ids
from feedd.templates.queries import ItemsQuery

MOST_IDS = 1_000  # that one question may name
_AT_ONCE = 1_000
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class _Chosen:
    """Items that meet the conditions, of all feeds: their keys and what they are ordered by."""

    def __init__(
        self, moment: Moment, feeds: Sequence[ShelfFeed], shelves: Shelves, query: ItemsQuery
    ) -> None:
        keys, values = [], []
        by = (query.order or "").removeprefix("-")
        for feed in feeds:
            columns = shelves.at(feed, moment)
            numbers = columns.chosen(query)
            keys.append(numbers + first_free(feed.id, 0))
            values.append(_values(columns, by, numbers))
        self.keys: NDArray[Any] = np.concatenate(keys) if keys else np.zeros(0, dtype=np.int64)
        self.values: NDArray[Any] = np.concatenate(values) if values else np.zeros(0)


def list_items(
    moment: Moment, feeds: Sequence[ShelfFeed], shelves: Shelves, query: ItemsQuery
) -> list[ItemThen]:
    """The first items of a query; among equals comes first what came into the catalog first, feed by feed."""
    if query.ids is not None:
        return _listed(moment, feeds, query, query.ids)
    found: list[ItemThen] = []
    for keys in _batches(_in_order(moment, _Chosen(moment, feeds, shelves, query), query), query):
        items = items_at(moment, keys)
        away = hidden(moment, feeds, list(items.values()))
        # what `feedd forget` is emptying this moment is not among the items
        found += [items[key] for key in keys if key in items and key not in away]
        if len(found) >= query.limit:
            break
    return found[: query.limit]


def _values(columns: Columns, by: str, numbers: NDArray[Any]) -> NDArray[Any]:
    column: NDArray[Any]
    if by == "price":
        column = columns.price()
    elif by == "created_at":
        column = columns.created
    elif by == "changed_at":
        column = columns.changed
    elif by in ("title", "published_at"):
        column = columns.of[by]
    else:
        return np.zeros(len(numbers))
    return column[numbers]  # type: ignore[no-any-return]


def _in_order(moment: Moment, chosen: _Chosen, query: ItemsQuery) -> Iterator[int]:
    order = query.order or ""
    by, descending = order.removeprefix("-"), order.startswith("-")
    if by == "title":
        return _by_title(moment, chosen, descending)
    values = chosen.values
    if by == "changed_at":
        values = _with_changed(moment, chosen)
    # a sort that keeps the order of equals; what has no value (NaN) comes last both ways
    places = np.argsort(-values if descending else values, kind="stable")
    return iter(chosen.keys[places].tolist())


def _with_changed(moment: Moment, chosen: _Chosen) -> NDArray[Any]:
    """When items were changed last, looked up where that was before changes that have been undone."""
    values = chosen.values.copy()
    unknown = np.flatnonzero(np.isnan(values))
    for start in range(0, len(unknown), _AT_ONCE):
        some = unknown[start : start + _AT_ONCE]
        keys = chosen.keys[some].tolist()
        items = items_at(moment, keys)
        for place, key in zip(some, keys, strict=True):
            changed = items[key].changed_at if key in items else None
            if changed is not None:
                values[place] = changed.timestamp()
    return values


def _by_title(moment: Moment, chosen: _Chosen, descending: bool) -> Iterator[int]:
    """By the beginnings of titles, which are at hand, then by the whole of those that begin alike."""
    beginnings, ranks = np.unique(chosen.values, return_inverse=True)
    places = np.argsort(-ranks if descending else ranks, kind="stable")
    # items without a title come last
    untitled = int(np.count_nonzero(chosen.values == b""))
    if untitled and not descending:
        places = np.roll(places, -untitled)
    keys, ranks = chosen.keys[places].tolist(), ranks[places]
    borders = [0, *(np.flatnonzero(np.diff(ranks)) + 1).tolist(), len(keys)]
    for start, end in pairwise(borders):
        group = keys[start:end]
        if len(group) > 1 and len(bytes(beginnings[ranks[start]])) == PREFIX:
            group = _sorted_by_title(moment, group, descending)
        yield from group


def _sorted_by_title(moment: Moment, keys: Sequence[int], descending: bool) -> list[int]:
    titles: dict[int, str] = {}
    for start in range(0, len(keys), _AT_ONCE):
        for key, item in items_at(moment, keys[start : start + _AT_ONCE]).items():
            titles[key] = str(_decode(item.fields).get("title", "")).casefold()
    return sorted(keys, key=lambda key: titles.get(key, ""), reverse=descending)


def _listed(
    moment: Moment, feeds: Sequence[ShelfFeed], query: ItemsQuery, ids: Sequence[str]
) -> list[ItemThen]:
    """Those of some items that are live and meet the conditions."""
    usable = [each for each in dict.fromkeys(ids) if "\0" not in each][:MOST_IDS]
    keys = keys_of_ids(moment.connection, usable, [feed.id for feed in feeds])
    items = items_at(moment, list(keys.values()))
    found = []
    for item_id in usable:
        of_id = [items.get(keys.get((feed.id, item_id), -1)) for feed in feeds]
        first = next((each for each in of_id if each is not None and each.is_live), None)
        if first is not None and meets(_decode(first.fields), query):
            found.append(first)
    if query.order is not None:
        by, descending = query.order.removeprefix("-"), query.order.startswith("-")
        places = {feed.id: place for place, feed in enumerate(feeds)}
        found.sort(key=lambda each: (places[each.feed_id], each.key))
        values = {each.key: _value(each, by) for each in found}
        valued = [each for each in found if values[each.key] is not None]
        valued.sort(key=lambda each: values[each.key], reverse=descending)
        found = valued + [each for each in found if values[each.key] is None]
    return found[: query.limit]


def _value(item: ItemThen, by: str) -> Any:
    """What an item is ordered by; None where there is nothing."""
    fields = _decode(item.fields)
    if by == "title":
        return str(fields["title"]).casefold() if "title" in fields else None
    if by == "published_at":
        return seconds(fields.get("published_at"))
    return {
        "price": effective_price(fields),
        "created_at": item.created_at,
        "changed_at": item.changed_at,
    }[by]


def _batches(keys: Iterator[int], query: ItemsQuery) -> Iterator[list[int]]:
    """Keys, some at a time: first as many as are asked for, then ever more."""
    size = query.limit
    batch: list[int] = []
    for key in keys:
        batch.append(key)
        if len(batch) == size:
            yield batch
            batch, size = [], min(2 * size, _AT_ONCE)
    if batch:
        yield batch

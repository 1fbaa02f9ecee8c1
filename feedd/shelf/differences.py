"""How items differ from what they were at the beginning of a window: what `{% changes %}` asks.

The window is looked through from its end, some hundred items at a time, so the newest few are had at once. An order by anything
else looks at all of them, up to `MOST_ITEMS` that changed last.

A window of time begins, for each feed, no earlier than the end of its first sync: what that one brought is not new, it was there
before anybody looked. One that is named by a number begins there.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from feedd.diff import same
from feedd.model import ChangeKind
from feedd.offers import effective_price, number
from feedd.shelf.conditions import meets
from feedd.shelf.feeds import ShelfFeed, hidden
from feedd.store.at import (
    ItemChange,
    ItemThen,
    Moment,
    changes_of_keys,
    first_syncs,
    items_at,
    position_at,
)
from feedd.store.changes import Touch, scan
from feedd.store.tables import NUMBER_BITS
from feedd.templates.queries import PRICE, ChangesQuery

MOST_ITEMS = 100_000  # that are looked at in a window
MOST_CHANGES = 1_000_000  # that are looked through for them
_AT_ONCE = 500
_PRICES = ("price", "sale_price")
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class ItemDifference(NamedTuple):
    """An item that differs. `last` is the newest change that was looked for; `fields` is what differs in all."""

    item: ItemThen
    kind: ChangeKind
    field: str | None
    old: Any
    new: Any
    fields: dict[str, tuple[Any, Any]]
    last: Touch
    title: str

    @property
    def difference(self) -> float | None:
        """How much the value went up; negative where it went down. Of numbers only."""
        old, new = number(self.old), number(self.new)
        return None if old is None or new is None else _rounded(lambda: new - old, 10)

    @property
    def percent(self) -> float | None:
        """The same in hundredths of the old value, with two decimal places."""
        old, difference = number(self.old), self.difference
        if not old or difference is None:
            return None
        return _rounded(lambda: difference / abs(old) * 100, 2)


_ORDERS: dict[str, Callable[[ItemDifference], Any]] = {
    "at": lambda each: each.last.seq,
    "difference": lambda each: each.difference,
    "percent": lambda each: each.percent,
    "price": lambda each: effective_price(_decode(each.item.fields)),
    "title": lambda each: each.title.casefold() or None,
}


def differences(
    moment: Moment, feeds: Sequence[ShelfFeed], query: ChangesQuery
) -> list[ItemDifference]:
    """The items of some feeds that differ as the query says, in its order."""
    found = _first(_differing(moment, feeds, query), query)
    items = items_at(moment, [each.item.key for each in found])
    return [each._replace(item=items[each.item.key]) for each in found]


def _first(found: Iterator[ItemDifference], query: ChangesQuery) -> list[ItemDifference]:
    """The first ones in the order that is asked for."""
    name, descending = query.order.removeprefix("-"), query.order.startswith("-")
    if query.order == "-at":
        return list(islice(found, query.limit))

    def place(each: ItemDifference) -> Any:
        value = _ORDERS[name](each)
        # what has no value comes last, the newest first among equals
        if descending:
            return value is not None, value, each.last.seq
        return value is None, value, -each.last.seq

    pick = heapq.nlargest if descending else heapq.nsmallest
    return pick(query.limit, found, key=place)


def _differing(
    moment: Moment, feeds: Sequence[ShelfFeed], query: ChangesQuery
) -> Iterator[ItemDifference]:
    """What differs, the newest change first."""
    begins = _begins(moment, feeds, query)
    earliest = min(begins.values(), default=moment.seq)
    candidates = _candidates(moment, feeds, query, begins)
    while some := list(islice(candidates, _AT_ONCE)):
        keys = [touch.key for touch in some]
        items = items_at(moment, keys, dated=False)
        away = hidden(moment, feeds, list(items.values()))
        within: dict[int, list[ItemChange]] = {}
        for change in changes_of_keys(moment.connection, keys, after=earliest, through=moment.seq):
            if change.seq > begins[change.key >> NUMBER_BITS]:
                within.setdefault(change.key, []).append(change)
        for touch in some:
            item = items.get(touch.key)
            if item is not None and touch.key not in away:
                found = _difference(item, within[touch.key], query, touch)
                if found is not None:
                    yield found


def _begins(moment: Moment, feeds: Sequence[ShelfFeed], query: ChangesQuery) -> dict[int, int]:
    """Feed -> the change after which the window begins for it; what is no longer kept is not in it."""
    ids = [feed.id for feed in feeds]
    since = max(moment.stream.oldest_seq - 1, query.since_seq or 0)
    if query.since_seq is not None or query.since_at is None:
        return dict.fromkeys(ids, since)
    then = datetime.fromtimestamp(query.since_at, UTC)
    since = position_at(moment.connection, then, moment.stream)
    first = first_syncs(moment.connection, ids, after=since, through=moment.seq)
    return dict.fromkeys(ids, since) | first


def _field(query: ChangesQuery) -> str | None:
    """The field that is asked about; up and down are about the price where nothing else is said."""
    return query.field or (PRICE if query.direction else None)


def _candidates(
    moment: Moment, feeds: Sequence[ShelfFeed], query: ChangesQuery, begins: dict[int, int]
) -> Iterator[Touch]:
    """The newest change of each item that may differ, the newest first."""
    field = _field(query)
    fields: Sequence[str] | None = _PRICES if field == PRICE else [field] if field else None
    kinds = [ChangeKind(query.kind)] if query.kind and not field else None
    touches = scan(
        moment.connection,
        after=min(begins.values(), default=moment.seq),
        through=moment.seq,
        feeds=[feed.name for feed in feeds],
        kinds=kinds,
        fields=fields,
    )
    some = islice(touches, MOST_CHANGES)
    return _first_of_each(each for each in some if each.seq > begins[each.key >> NUMBER_BITS])


def _first_of_each(touches: Iterable[Touch]) -> Iterator[Touch]:
    seen: set[int] = set()
    for touch in touches:
        if touch.key not in seen:
            seen.add(touch.key)
            yield touch
            if len(seen) == MOST_ITEMS:
                return


def _difference(
    item: ItemThen, changes: Sequence[ItemChange], query: ChangesQuery, last: Touch
) -> ItemDifference | None:
    """How an item differs, if it does and is what is asked for; `changes` are those of the window, the newest first."""
    kind = _kind(changes[-1].kind, item.is_live)
    if query.kind is not None and kind != query.kind:
        return None
    fields = _decode(item.fields)
    if not meets(fields, query):
        return None
    before: dict[str, Any] = {}
    for change in changes:
        before |= {name: old for name, (old, _) in change.fields.items()}
    differs = {
        name: (old, fields.get(name))
        for name, old in sorted(before.items())
        if not same(old, fields.get(name))
    }
    field, old, new = _field(query), None, None
    if field is not None:
        if not item.is_live:
            return None
        was = fields | before
        if field == PRICE and was.get("currency") != fields.get("currency"):
            return None
        old, new = _value(was, field), _value(fields, field)
        if same(old, new) or not _goes(query.direction, old, new):
            return None
    elif kind is ChangeKind.UPDATED and not differs:
        return None
    title = fields.get("title")
    return ItemDifference(
        item, kind, field, old, new, differs, last, title if isinstance(title, str) else ""
    )


def _kind(first: ChangeKind, is_live: bool) -> ChangeKind:
    """What happened in all, from the first change of a window to its end. What came and went within it is gone."""
    if not is_live:
        return ChangeKind.REMOVED
    return ChangeKind.UPDATED if first is ChangeKind.REMOVED else first


def _value(fields: dict[str, Any], field: str) -> Any:
    return effective_price(fields) if field == PRICE else fields.get(field)


def _rounded(value: Callable[[], float], places: int) -> float | None:
    """A number; None where it is larger than any is."""
    try:
        found = round(value(), places)
    except OverflowError:
        return None
    return found if abs(found) < float("inf") else None


def _goes(direction: str | None, old: Any, new: Any) -> bool:
    if direction is None:
        return True
    was, now = number(old), number(new)
    if was is None or now is None:
        return False
    return now > was if direction == "up" else now < was

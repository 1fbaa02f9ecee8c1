"""Which catalog items an event names, and what a change of an item means to those who want to know of it. Pure.

A profile wants to know of an item by a rule when the newest of its events that make it so is newer than the newest of those that end
it. Both follow from the stored events alone, in whatever order they were recorded.

An item is named by its id, which means what a lookup of that id finds, or by catalog and id, `$custom:::CATALOG:::ID`.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from feedd.model import Change, ChangeKind
from feedd.offers import effective_price, is_to_be_had
from feedd.settings.rule_keys import Drop, Path, RuleSettings

MOST_ITEMS = 1_000  # that one event names by one rule
LONGEST_ID = 350  # characters: of 255 in a catalog, with the catalog's name
UNTIL = ".until"  # behind a rule's name: events that end a wish
PRICE_FIELDS = ("price", "sale_price")

_COMPOSITE = "$custom:::"
_GLOBAL = "gid://"  # Shopify's global ids, whose last part is the id in its feeds
_OWN_PATH: Path = ("CatalogItemID",)  # in the events that feedd writes
_PRICE = frozenset(PRICE_FIELDS)
_STOCK = frozenset({"availability", "inventory_quantity"})
_LARGEST = 10**100
_decode = msgspec.json.Decoder().decode

Tree = dict[str, "Branch"]


class Branch(Struct, frozen=True):
    """A step of paths to ids: whether one ends here, and where others go on."""

    ends: bool
    rest: Tree


class Naming(Struct, frozen=True):
    """Under which name (`RULE`, or `RULE` and `UNTIL`) the items that a metric's events name are kept, and where they stand."""

    kept_as: str
    tree: Tree


Namings = Mapping[str, tuple[Naming, ...]]


class PriceDrop(Struct, frozen=True, kw_only=True):
    """A price that has gone down; the difference is exact."""

    before: int | float
    after: int | float
    difference: Decimal
    percent: Decimal
    currency: str | None


def namings(rules: Iterable[RuleSettings]) -> Namings:
    """By the names of metrics, what is looked for in their events. Metrics without a rule are not in it."""
    found: dict[str, dict[str, set[Path]]] = {}
    for rule in rules:
        if not rule.enabled:
            continue
        until = rule.name + UNTIL
        for metric in rule.metrics:
            found.setdefault(metric, {}).setdefault(rule.name, set()).update(rule.properties)
        for metric in rule.until:
            found.setdefault(metric, {}).setdefault(until, set()).update(rule.properties)
        if rule.once:
            found.setdefault(rule.metric, {}).setdefault(until, set()).add(_OWN_PATH)
    return {
        metric: tuple(Naming(kept_as, _tree(sorted(paths))) for kept_as, paths in by_name.items())
        for metric, by_name in found.items()
    }


def named_items(
    metric: str, properties: bytes | str, rules: Namings
) -> tuple[tuple[str, str], ...]:
    """What an event names, as pairs of where it is kept (`Naming.kept_as`) and the item; `properties` is a JSON object's text."""
    wanted = rules.get(metric)
    if wanted is None:
        return ()
    try:
        decoded = _decode(properties)
    except (msgspec.DecodeError, UnicodeError):  # a lone half of a character, which names nothing
        return ()
    found: list[tuple[str, str]] = []
    for naming in wanted:
        ids: dict[str, None] = {}
        _gather(decoded, naming.tree, ids)
        found += [(naming.kept_as, item) for item in ids]
    return tuple(found)


def item_names(item_id: str, catalog: str) -> tuple[str, str]:
    """What events may call an item of a catalog: by its id, and by catalog and id."""
    return item_id, f"{_COMPOSITE}{catalog}:::{item_id}"


def may_matter(rule: RuleSettings, change: Change) -> bool:
    """Whether a change could be told by a rule, by what it says itself."""
    if rule.once:
        return change.kind is ChangeKind.RESTORED or (
            change.kind is ChangeKind.UPDATED and not _STOCK.isdisjoint(change.fields)
        )
    return change.kind in (ChangeKind.UPDATED, ChangeKind.RESTORED) and not _PRICE.isdisjoint(
        change.fields
    )


def price_drop(
    before: Mapping[str, Any], after: Mapping[str, Any], least: Drop
) -> PriceDrop | None:
    """How far the price that is to be paid went down, in one currency, if that is as much as asked for.

    That is the reduced price where there is one, else the usual price.
    """
    old, new = effective_price(before), effective_price(after)
    currency = after.get("currency")
    if old is None or new is None or old <= 0 or before.get("currency") != currency:
        return None
    was, now = Decimal(repr(old)), Decimal(repr(new))
    difference = was - now
    if difference <= 0:
        return None
    percent = difference * 100 / was
    reached = difference * 100 >= least.value * was if least.percent else difference >= least.value
    if not reached:
        return None
    return PriceDrop(
        before=old, after=new, difference=difference, percent=round(percent, 2), currency=currency
    )


def is_back(change: Change, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether an item was not to be had, or not in the catalog any more, and now is."""
    was_away = change.kind is ChangeKind.RESTORED or not is_to_be_had(before)
    return was_away and is_to_be_had(after)


def told_properties(change: Change, after: Mapping[str, Any]) -> dict[str, Any]:
    """What an event says of the item that it tells of, in the names that shops' events have."""
    said = {
        "ProductID": change.item,
        "ProductName": after.get("title"),
        "URL": after.get("link"),
        "ImageURL": after.get("image_link"),
        "Brand": after.get("brand"),
        "Categories": after.get("categories"),
        "Price": effective_price(after),
        "Currency": after.get("currency"),
        "Availability": after.get("availability"),
        "InventoryQuantity": after.get("inventory_quantity"),
        "Feed": change.feed,
        "ChangeSeq": change.seq,
    }
    return {name: value for name, value in said.items() if value is not None}


def drop_properties(drop: PriceDrop) -> dict[str, Any]:
    """What an event says of the price besides."""
    return {
        "PreviousPrice": drop.before,
        "PriceDrop": float(drop.difference),
        "PriceDropPercent": float(drop.percent),
    }


def _tree(paths: Iterable[Path]) -> Tree:
    heads: dict[str, list[Path]] = {}
    for path in paths:
        heads.setdefault(path[0], []).append(path[1:])
    return {
        head: Branch(() in rests, _tree(rest for rest in rests if rest))
        for head, rests in heads.items()
    }


def _gather(value: Any, tree: Tree, found: dict[str, None]) -> None:
    """Add what stands at the ends of the paths below a value; of a list what stands in each of its members."""
    for each in value if type(value) is list else (value,):
        if type(each) is not dict:
            continue
        for name, branch in tree.items():
            if name not in each:
                continue
            if branch.ends:
                _add(each[name], found)
            if branch.rest:
                _gather(each[name], branch.rest, found)


def _add(value: Any, found: dict[str, None]) -> None:
    for each in value if type(value) is list else (value,):
        item = _id(each)
        if item is not None and len(found) < MOST_ITEMS:
            found[item] = None
            if item.startswith(_GLOBAL) and not item.endswith("/"):
                found[item.rpartition("/")[2]] = None


def _id(value: Any) -> str | None:
    """What stands for an item as text: an id in a catalog of any integration but our own is an id."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int:
        return str(value) if abs(value) < _LARGEST else None
    if type(value) is not str:
        return None
    found = value.strip()
    if found.startswith("$"):
        parts = found.split(":::", 2)
        if len(parts) == 3 and parts[0] != "$custom":
            found = parts[2]
    usable = 0 < len(found) <= LONGEST_ID and "\0" not in found
    return found if usable else None

"""The keys of `[price_drop]` and `[back_in_stock]`: who is told when an item changes that they had to do with.

To add a key: one row in `PRICE_DROP_KEYS` or `BACK_IN_STOCK_KEYS`, its field in `RuleSettings`, its row in
`docs/configuration.md`, and its cases in `tests/test_rule_settings.py`.
"""

import re
from collections.abc import Collection
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from feedd.settings.file import Node
from feedd.settings.retention_keys import age
from feedd.settings.values import Key, WrongValueError, did_you_mean, each, flag, read_keys, text

Path = tuple[str, ...]

_METRIC_EXAMPLE = 'metrics = ["Viewed Product"]'
_PATH_EXAMPLE = 'properties = ["ProductID", "Items.ProductID"]'
_DROP_EXAMPLE = 'min_drop = "5%", or min_drop = 2.50 in the currency of the item'
_LONGEST_METRIC = 127

# how shops' plugins call what stands for an item, and the lists that hold several
_NAMES = (
    "ProductID", "ProductId", "productId", "product_id", "Product ID",
    "ItemID", "ItemId", "itemId", "item_id", "$id",
    "VariantID", "VariantId", "variantId", "variant_id",
    "SKU", "Sku", "sku", "CatalogItemID",
)  # fmt: skip
_ADDED = ("AddedItemProductID", "AddedItemProductId", "AddedItemVariantID", "AddedItemSKU")
_LISTS = ("Items", "items", "line_items", "products")
_INSIDE: tuple[Path, ...] = ((), *((name,) for name in _LISTS))
PROPERTIES: tuple[Path, ...] = (
    *((*start, *inside, name) for start in ((), ("$extra",)) for inside in _INSIDE for name in _NAMES),
    *((name,) for name in _ADDED),
)  # fmt: skip


class Drop(NamedTuple):
    """How much a price has to go down by: a part of it in percent, or an amount."""

    value: Decimal
    percent: bool = False


class RuleSettings(Struct, frozen=True, kw_only=True):
    """One rule; what each value means is in its table of keys. `once`: a wish is over once it was told of.

    Empty `catalogs` mean all. `within_s` None is for ever.
    """

    name: str
    metric: str
    metrics: tuple[str, ...]
    enabled: bool = True
    properties: tuple[Path, ...] = PROPERTIES
    until: tuple[str, ...] = ()
    within_s: float | None = None
    min_drop: Drop = Drop(Decimal(0))
    catalogs: tuple[str, ...] = ()
    once: bool = False


PRICE_DROP = RuleSettings(
    name="price_drop",
    metric="Price Drop",
    metrics=(
        "Viewed Product",
        "Added to Cart",
        "Added To Cart",
        "Added to Wishlist",
        "Started Checkout",
        "Checkout Started",
        "Subscribed to Price Drop",
    ),
    until=("Placed Order", "Ordered Product"),
    within_s=30 * 86_400.0,
    min_drop=Drop(Decimal(5), percent=True),
)
BACK_IN_STOCK = RuleSettings(
    name="back_in_stock",
    metric="Back in Stock",
    metrics=("Subscribed to Back in Stock",),
    once=True,
)


def read_rules(top: Node, catalogs: Collection[str]) -> dict[str, RuleSettings]:
    """The rules of the main file; `catalogs` are those that there are."""
    found = {}
    for rule, keys in ((PRICE_DROP, PRICE_DROP_KEYS), (BACK_IN_STOCK, BACK_IN_STOCK_KEYS)):
        found[rule.name] = rule
        if rule.name not in top.value:
            continue
        node = top.child(rule.name)
        if type(node.value) is not dict:
            node.problem("is not a table", f"Write [{rule.name}], and its keys below it.")
            continue
        values = read_keys(node, keys)
        for index, name in enumerate(values.get("catalogs", ())):
            if name not in catalogs:
                node.child("catalogs").child(index).problem(
                    f"no feed has the catalog {name!r}", did_you_mean(name, [*catalogs])
                )
        found[rule.name] = replace(rule, **values)
    return found


def _metric(node: Node) -> str:
    name = str(text(_METRIC_EXAMPLE)(node))
    if len(name) > _LONGEST_METRIC:
        raise WrongValueError(
            "is too long for the name of a metric", f"It may have {_LONGEST_METRIC} characters."
        )
    return name


def _metrics(node: Node) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each(_metric, _METRIC_EXAMPLE)(node)))


def _properties(node: Node) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(each(_path, _PATH_EXAMPLE)(node)))


def _path(node: Node) -> Path:
    """The names that lead to a property: dotted, or a list for names that hold dots."""
    steps = node.value.split(".") if type(node.value) is str else node.value
    if type(steps) is not list or not steps or not all(map(_is_step, steps)):
        raise WrongValueError(
            "is not a path to a property",
            f'Write it so: {_PATH_EXAMPLE}; ["a.b", "c"] for names that hold dots',
        )
    return tuple(steps)


def _is_step(step: Any) -> bool:
    return type(step) is str and bool(step.strip()) and step.isprintable()


def _min_drop(node: Node) -> Drop:
    value = node.value
    if type(value) is str:
        match = re.fullmatch(r"\s*([0-9]{1,3}(?:\.[0-9]{1,9})?)\s*%\s*", value)
        if match is None or Decimal(match[1]) > 100:
            raise WrongValueError(f"{value!r} is not a percentage", f"Write it so: {_DROP_EXAMPLE}")
        return Drop(Decimal(match[1]), percent=True)
    if type(value) not in {int, float} or not 0 <= value < 1e12:
        raise WrongValueError("is no part of a price", f"Write it so: {_DROP_EXAMPLE}")
    return Drop(Decimal(repr(value)))


def _rule_keys(rule: RuleSettings, *more: Key) -> tuple[Key, ...]:
    until = "[]" if not rule.until else "[" + ", ".join(f'"{name}"' for name in rule.until) + "]"
    return (
        Key("enabled", "enabled", flag, "true or false", "true",
            "`false` tells nobody; once it is `true` again, what changes from then on is told"),
        Key("metric", "metric", _metric, "name of a metric", f'"{rule.metric}"', "the metric of the events that tell of it"),
        Key("metrics", "metrics", _metrics, "list of metrics", "(those of shops)",
            "whose events make somebody want to know of the item"),
        Key("properties", "properties", _properties, "list of paths", "(those of shops)",
            "where in an event's properties the ids of items stand; dotted, and lists are gone through"),
        Key("until", "until", _metrics, "list of metrics", until, "whose events, when they name the item too, end that"),
        Key("within", "within_s", age('within = "30d"'), "duration", '"forever"' if rule.within_s is None else '"30d"',
            "for how long after such an event somebody is told"),
        *more,
        Key("catalogs", "catalogs", each(text('catalogs = ["outlet"]'), 'catalogs = ["outlet"]'), "list of names", "[]",
            "only items of these catalogs; `[]` for all"),
    )  # fmt: skip


PRICE_DROP_KEYS = _rule_keys(
    PRICE_DROP,
    Key("min_drop", "min_drop", _min_drop, "percentage or amount", '"5%"',
        "how much the price has to go down by: a part of it, or an amount in the item's currency"),
)  # fmt: skip
BACK_IN_STOCK_KEYS = _rule_keys(BACK_IN_STOCK)

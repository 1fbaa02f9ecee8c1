"""What `{% items %}` and `{% changes %}` ask for: the values that stand as JSON in `wire.AskItems` and `wire.AskChanges`. Pure.

Everything that is None, or left out, is no condition.
"""

import msgspec
from msgspec import Struct

LIMIT = 12
MOST = 100
ITEM_ORDERS = ("title", "price", "published_at", "changed_at", "created_at")
CHANGE_ORDERS = ("at", "difference", "percent", "price", "title")
KINDS = ("added", "updated", "removed", "restored")
DIRECTIONS = ("up", "down")
PRICE = "price"  # as a field of changes: what is to be paid, the reduced price where there is one


class Conditions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an item is to be. Prices are what is to be paid; `category` is a name, or a path such as `Shoes > Women`."""

    category: str | None = None
    brand: str | None = None
    min_price: float | None = None
    max_price: float | None = None
    in_stock: bool | None = None
    on_sale: bool | None = None


class ItemsQuery(Conditions, frozen=True, kw_only=True, omit_defaults=True):
    """Live items. `order` is one of ITEM_ORDERS, with `-` before it the other way round; None: as they came into the catalog.

    `ids` asks for those items, in that order where no other is asked for.
    """

    ids: tuple[str, ...] | None = None
    order: str | None = None
    limit: int = LIMIT


class ChangesQuery(Conditions, frozen=True, kw_only=True, omit_defaults=True):
    """How items differ from what they were at the beginning of a window.

    The window begins after the change `since_seq`, or at `since_at` (seconds since 1970). `order` is one of CHANGE_ORDERS.
    """

    since_seq: int | None = None
    since_at: float | None = None
    field: str | None = None
    direction: str | None = None
    kind: str | None = None
    order: str = "-at"
    limit: int = LIMIT


def written(query: ItemsQuery | ChangesQuery) -> str:
    """The query as the text that stands in a question: the same text for the same query."""
    return msgspec.json.encode(query).decode()


read_items_query = msgspec.json.Decoder(ItemsQuery).decode
read_changes_query = msgspec.json.Decoder(ChangesQuery).decode

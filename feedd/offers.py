"""What an item's fields say of buying it: what is to be paid, whether that is less than usual, whether it is to be had. Pure.

The fields are those of the canonical item. A schema of somebody's own may let other values through, which then say nothing.
"""

from collections.abc import Mapping
from typing import Any

_TO_ORDER = ("preorder", "backorder")  # may be a value that has no hash: no set


def number(value: Any) -> int | float | None:
    """A number as it is; nothing else is one."""
    return value if type(value) is int or type(value) is float else None


def effective_price(fields: Mapping[str, Any]) -> int | float | None:
    """What is to be paid: the reduced price where there is one, else the usual price."""
    reduced = number(fields.get("sale_price"))
    return number(fields.get("price")) if reduced is None else reduced


def is_on_sale(fields: Mapping[str, Any]) -> bool:
    """Whether an item has a reduced price that is below its usual one."""
    usual, reduced = number(fields.get("price")), number(fields.get("sale_price"))
    return usual is not None and reduced is not None and reduced < usual


def is_to_be_had(fields: Mapping[str, Any]) -> bool:
    """Whether an item that is in the catalog can be bought or ordered; one that says nothing of its stock can."""
    availability, quantity = fields.get("availability"), number(fields.get("inventory_quantity"))
    if availability == "out_of_stock":
        return False
    return availability in _TO_ORDER or quantity is None or quantity > 0

"""What the conditions of a query mean for one item. Pure.

`feedd.shelf.columns` says the same of many items at once; a test holds the two together.
"""

from collections.abc import Mapping
from typing import Any

from feedd.offers import effective_price, is_on_sale, is_to_be_had
from feedd.templates.queries import Conditions

PRICE_FIELDS = ("price", "sale_price", "currency")


def folded(text: Any) -> str:
    """A name the way names are compared."""
    return " ".join(text.split()).casefold() if isinstance(text, str) else ""


def path(category: Any) -> tuple[str, ...]:
    """The names of a category's path, the way they are compared."""
    return tuple(map(folded, category.split(">"))) if isinstance(category, str) else ()


def is_in(categories: Any, wanted: tuple[str, ...]) -> bool:
    """Whether an item of these categories is in the one that is wanted: a name in a path, or names that follow each other."""
    length = len(wanted)
    return isinstance(categories, list | tuple) and any(
        names[start : start + length] == wanted
        for names in map(path, categories)
        for start in range(len(names) - length + 1)
    )


def meets(fields: Mapping[str, Any], wanted: Conditions) -> bool:
    """Whether an item is what is asked for."""
    price = effective_price(fields)
    return (
        (wanted.category is None or is_in(fields.get("categories"), path(wanted.category)))
        and (wanted.brand is None or folded(fields.get("brand")) == folded(wanted.brand))
        and (wanted.min_price is None or (price is not None and price >= wanted.min_price))
        and (wanted.max_price is None or (price is not None and price <= wanted.max_price))
        and (wanted.in_stock is None or is_to_be_had(fields) is wanted.in_stock)
        and (wanted.on_sale is None or is_on_sale(fields) is wanted.on_sale)
    )

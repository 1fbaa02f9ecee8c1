"""Coercions: from what a feed says to what a catalog holds. Pure.

A coercion takes any decoded value and returns a plain value, `None` where there is nothing to read, a `Noted` value
that somebody should hear about, or a `Refused`. It never raises, and coercing twice is coercing once.

To add a coercion: write the function in the family's file (or a new file), give it a line in `COERCIONS`, rows in
`tests/test_coerce.py` and a line in `docs/schemas.md`. If it reads a whole list by itself, name it in `MANY` too; if
it is asked for the same few texts again and again, in `REPEATING`.
"""

from collections.abc import Callable
from typing import Any

from feedd.coerce.dates import date
from feedd.coerce.links import url, urls
from feedd.coerce.money import currency, price
from feedd.coerce.numerals import integer, number, total
from feedd.coerce.outcome import Note, Noted, Refused, excerpt
from feedd.coerce.text import category_bars, category_path, item_id, line, strings, text
from feedd.coerce.trees import anything, pairs
from feedd.coerce.words import (
    availability,
    availability_of_any,
    boolean,
    condition,
    inventory_policy,
)

__all__ = ["COERCIONS", "MANY", "REPEATING", "Coercion", "Note", "Noted", "Refused", "excerpt"]

Coercion = Callable[[Any], Any]

COERCIONS: dict[str, Coercion] = {
    "any": anything,
    "availability": availability,
    "availability_of_any": availability_of_any,
    "boolean": boolean,
    "category_bars": category_bars,
    "category_path": category_path,
    "condition": condition,
    "currency": currency,
    "date": date,
    "id": item_id,
    "integer": integer,
    "inventory_policy": inventory_policy,
    "line": line,
    "number": number,
    "pairs": pairs,
    "price": price,
    "strings": strings,
    "text": text,
    "total": total,
    "url": url,
    "urls": urls,
}

# These take a list as it is; all others are asked about its elements, one by one.
MANY = frozenset(
    {
        "any",
        "availability_of_any",
        "category_bars",
        "category_path",
        "pairs",
        "strings",
        "total",
        "urls",
    }
)

# Many records give these the same texts; what is made of them is worth keeping (`memo.remembering`).
REPEATING = frozenset(
    {
        "availability",
        "availability_of_any",
        "boolean",
        "category_bars",
        "category_path",
        "condition",
        "currency",
        "inventory_policy",
        "price",
    }
)

"""What `{% items %}` goes by, of all items of a feed at once: arrays that are indexed by the items' numbers.

A feed is read once, a million items in some seconds, and 90 bytes an item are kept; from then on only what has changed is read
again. As of an earlier position, the changes since are undone in a copy: each says what the values were.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from feedd.model import ChangeKind
from feedd.offers import number
from feedd.shelf.conditions import folded, is_in, path
from feedd.store.changes import Touch
from feedd.store.item_rows import ItemRow
from feedd.store.tables import NUMBER_BITS
from feedd.templates.queries import Conditions

Array = NDArray[Any]
PREFIX = 24  # bytes of a title that are kept
_NUMBERS = (1 << NUMBER_BITS) - 1
_AVAILABILITIES = ("", "in_stock", "out_of_stock", "preorder", "backorder")
_NAN = float("nan")


class Fields(Struct):
    """The fields that count."""

    id: Any = None
    title: Any = None
    price: Any = None
    sale_price: Any = None
    availability: Any = None
    inventory_quantity: Any = None
    brand: Any = None
    categories: Any = None
    published_at: Any = None


_decode = msgspec.json.Decoder(Fields).decode
_decode_changes = msgspec.json.Decoder(dict[str, tuple[Any, Any]]).decode


class Words:
    """Texts, and lists of texts, by numbers that they keep; 0 is none."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {None: 0}
        self.all: list[Any] = [None]

    def number(self, word: Any) -> int:
        """The number of a text or of a tuple of texts."""
        found = self._numbers.get(word)
        if found is None:
            found = self._numbers[word] = len(self.all)
            self.all.append(word)
        return found

    def matching(self, is_wanted: Callable[[Any], bool]) -> Array:
        """By number: whether the word is wanted."""
        return np.array([word is not None and is_wanted(word) for word in self.all], dtype=bool)


def _float(value: Any) -> float:
    found = number(value)
    try:
        return _NAN if found is None else float(found)
    except OverflowError:
        return float("inf")


def seconds(value: Any) -> float | None:
    """The moment that a text says, in seconds since 1970; None where it says none. Without a zone it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _seconds(value: Any) -> float:
    found = seconds(value)
    return _NAN if found is None else found


def _prefix(value: Any) -> bytes:
    return value.casefold().encode()[:PREFIX] if isinstance(value, str) else b""


class Columns:
    """The columns of one feed, as of the change `seq`. Nobody changes them once others have them."""

    def __init__(self, words: Words, size: int) -> None:
        self.seq = 0
        self.words = words
        self.size = size
        self.live = np.zeros(size, dtype=bool)
        self.created = np.full(size, _NAN)
        self.changed = np.full(size, _NAN)
        # by the names of fields; an item without an id is one that has been emptied
        self.of: dict[str, Array] = {
            "id": np.zeros(size, dtype=bool),
            "title": np.zeros(size, dtype=f"S{PREFIX}"),
            "price": np.full(size, _NAN),
            "sale_price": np.full(size, _NAN),
            "availability": np.zeros(size, dtype=np.int8),
            "inventory_quantity": np.full(size, _NAN),
            "brand": np.zeros(size, dtype=np.int32),
            "categories": np.zeros(size, dtype=np.int32),
            "published_at": np.full(size, _NAN),
        }
        self._kept: dict[str, Callable[[Any], Any]] = {
            "id": lambda value: value is not None,
            "title": _prefix,
            "price": _float,
            "sale_price": _float,
            "availability": lambda value: (
                _AVAILABILITIES.index(value) if value in _AVAILABILITIES else 0
            ),
            "inventory_quantity": _float,
            "brand": self._brand,
            "categories": self._categories,
            "published_at": _seconds,
        }

    def copy(self, size: int) -> "Columns":
        """The same columns with room for more items."""
        made = Columns(self.words, size)
        made.seq = self.seq
        for name, column in self.of.items():
            made.of[name][: self.size] = column
        for column, old in (
            (made.live, self.live),
            (made.created, self.created),
            (made.changed, self.changed),
        ):
            column[: self.size] = old
        return made

    def fill(self, rows: Sequence[ItemRow]) -> None:
        """Take what items are now."""
        if not rows:
            return
        keys, fields, live, created, changed = zip(*rows, strict=True)
        at = np.array(keys, dtype=np.int64) & _NUMBERS
        self.live[at] = live
        self.created[at] = created
        self.changed[at] = changed
        decoded = list(map(_decode, fields))
        for name, kept in self._kept.items():
            self.of[name][at] = [kept(getattr(each, name)) for each in decoded]

    def undo(self, touch: Touch) -> None:
        """Make an item what it was before a change, the newest change first."""
        at = touch.key & _NUMBERS
        self.live[at] = touch.kind in (ChangeKind.UPDATED, ChangeKind.REMOVED)
        self.changed[at] = _NAN
        if touch.fields != "{}":
            for name, (old, _) in _decode_changes(touch.fields).items():
                if name in self._kept:
                    self.of[name][at] = self._kept[name](old)

    def chosen(self, wanted: Conditions) -> Array:
        """The numbers of the live items that meet the conditions."""
        of = self.of
        mask = self.live & of["id"]
        price = self.price()
        if wanted.category is not None:
            names = path(wanted.category)
            mask &= self.words.matching(
                lambda word: isinstance(word, tuple) and is_in(word, names)
            )[of["categories"]]
        if wanted.brand is not None:
            brand = folded(wanted.brand)
            mask &= self.words.matching(lambda word: word == brand)[of["brand"]] | (
                (of["brand"] == 0) & (brand == "")
            )
        if wanted.min_price is not None:
            mask &= price >= wanted.min_price
        if wanted.max_price is not None:
            mask &= price <= wanted.max_price
        if wanted.in_stock is not None:
            mask &= self._in_stock() == wanted.in_stock
        if wanted.on_sale is not None:
            mask &= (of["sale_price"] < of["price"]) == wanted.on_sale
        found: Array = np.flatnonzero(mask)
        return found

    def price(self) -> Array:
        """What is to be paid."""
        reduced = self.of["sale_price"]
        return np.where(np.isnan(reduced), self.of["price"], reduced)

    def _in_stock(self) -> Array:
        availability, quantity = self.of["availability"], self.of["inventory_quantity"]
        to_order = availability >= _AVAILABILITIES.index("preorder")
        there = np.isnan(quantity) | (quantity > 0)
        found: Array = (availability != _AVAILABILITIES.index("out_of_stock")) & (to_order | there)
        return found

    def _brand(self, value: Any) -> int:
        return self.words.number(folded(value) or None)

    def _categories(self, value: Any) -> int:
        if not isinstance(value, list) or not value:
            return 0
        return self.words.number(tuple(each for each in value if isinstance(each, str)))

"""What kinds of values properties have, told from values that were seen. Pure.

The kinds are Klaviyo's: Text, Number, Date, Boolean and List. What has values of several kinds is Text; objects and nulls have no kind.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from feedd.coerce.dates import date

MOST_SAMPLES = 10
_MOST_LENGTH = 256  # of a sample
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.{0,20})?", re.ASCII)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_NOT_TOLD = frozenset(("$extra",))  # what events carry along, to be asked for by nobody


class Kind(StrEnum):
    """What a property's values are."""

    TEXT = "Text"
    NUMBER = "Number"
    DATE = "Date"
    BOOLEAN = "Boolean"
    LIST = "List"


class Property(Struct, frozen=True, kw_only=True):
    """A property of a metric's events. `samples` are different values of it, or elements of its lists, at most MOST_SAMPLES."""

    name: str
    kind: Kind
    samples: tuple[Any, ...] = ()


class Seen:
    """What was seen of the properties of some events; at most so many properties."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kinds: dict[str, set[Kind]] = {}
        self._samples: dict[str, dict[Any, Any]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._kinds

    def add(self, properties: Mapping[str, Any]) -> None:
        """Look at the properties of one more event."""
        for name, value in properties.items():
            kind = kind_of(value)
            if kind is not None and self._may_have(name):
                self._enter(name, kind, value if kind is Kind.LIST else (value,))

    def add_texts(self, name: str, texts: Iterable[str], *, is_list: bool) -> None:
        """Look at the different values of a property, of which only the texts are left: numbers and booleans are told by their look."""
        found = [text for text in texts if text]
        if found and self._may_have(name):
            kinds = {Kind.LIST} if is_list else {_kind_of_text(text) for text in found}
            kind = kinds.pop() if len(kinds) == 1 else Kind.TEXT
            self._enter(name, kind, (_value_of(text, kind) for text in found))

    def properties(self) -> list[Property]:
        """What was found, by name."""
        return [
            Property(
                name=name,
                kind=next(iter(kinds)) if len(kinds) == 1 else Kind.TEXT,
                samples=tuple(self._samples[name].values()),
            )
            for name, kinds in sorted(self._kinds.items())
        ]

    def _may_have(self, name: str) -> bool:
        return name in self._kinds or (len(self._kinds) < self._most and name not in _NOT_TOLD)

    def _enter(self, name: str, kind: Kind, values: Iterable[Any]) -> None:
        self._kinds.setdefault(name, set()).add(kind)
        samples = self._samples.setdefault(name, {})
        for value in values:
            if len(samples) >= MOST_SAMPLES:
                return
            if isinstance(value, str | int | float) and len(str(value)) <= _MOST_LENGTH:
                samples.setdefault((type(value) is bool, value), value)


def kind_of(value: Any) -> Kind | None:
    """What one value is; None for an object, null, and text with nothing in it."""
    if isinstance(value, bool):
        return Kind.BOOLEAN
    if isinstance(value, int | float):
        return Kind.NUMBER
    if isinstance(value, list):
        return Kind.LIST
    if isinstance(value, str) and value:
        return Kind.DATE if is_date(value) else Kind.TEXT
    return None


def is_date(text: str) -> bool:
    """Whether a text is a date as machines write it: `2026-01-01`, with a time or without."""
    return _DATE.fullmatch(text) is not None and isinstance(date(text), str)


def _kind_of_text(text: str) -> Kind:
    if text in ("true", "false"):
        return Kind.BOOLEAN
    if _NUMBER.fullmatch(text):
        return Kind.NUMBER
    return Kind.DATE if is_date(text) else Kind.TEXT


def _value_of(text: str, kind: Kind) -> Any:
    if kind is Kind.BOOLEAN:
        return text == "true"
    if kind is Kind.NUMBER:
        return float(text) if any(each in text for each in ".eE") else int(text)
    return text

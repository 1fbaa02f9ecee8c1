"""Columns of events: values of one kind side by side, packed to some bytes an event.

The events of one metric in a stretch have a column each of when they happened, whose they are, of their values, and of every
property of theirs that has texts, numbers or booleans. Those of a property are codes: its texts are stored once. Pure.
"""

from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
import zstandard
from msgspec import Struct

AT, PROFILE, VALUE, PROPERTY = (
    "at",
    "profile",
    "value",
    ".",
)  # the last one stands before the name of a property

MOST_TEXTS = 16_384  # different ones of a property in a stretch
MOST_TEXT_BYTES = 256
MOST_NAME_BYTES = 256
MOST_PROPERTIES = 500  # of a metric in a stretch
MOST_BYTES = 32 * 1024 * 1024  # all texts in a stretch
_LEVEL = 3
_EXACT = 2.0**53

Integers = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[Any]]


class Coded(NamedTuple):
    """A property of some events. `codes` are places in `texts`; the first text is "", of those that have none.

    An event that has several values has the others of them at the end: `codes[count + n]` is one of event `extra[n]`.
    """

    texts: list[str]
    codes: Codes
    extra: Codes


class Packed(Struct, frozen=True, array_like=True):
    """A column as it is stored. What could not be packed has no `kind`; `more`: some properties have no column at all."""

    kind: str = ""
    base: int = 0
    data: bytes = b""
    texts: bytes = b""
    extra: bytes = b""
    more: bool = False


def may_have_column(name: str) -> bool:
    """Whether a property's name can be that of a column: PostgreSQL stores no NUL, and finds no long keys."""
    return "\0" not in name and len(name.encode()) <= MOST_NAME_BYTES


def texts_of(value: Any) -> tuple[str, ...]:
    """The texts that a property's value counts as: those of its elements, if it is a list; an object has none.

    Numbers count as they compare: 5 is 5.0. Absent, null and "" are the same.
    """
    if isinstance(value, list):
        return tuple(dict.fromkeys(text for element in value if (text := _text_of(element))))
    text = _text_of(value)
    return (text,) if text else ()


def _text_of(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is float and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return str(value) if kind is int or kind is float else ""


class _Property:
    """A property's codes so far, of the events that have it."""

    __slots__ = ("codes", "rows", "texts")

    def __init__(self) -> None:
        self.texts: dict[str, int] | None = {"": 0}  # None: given up
        self.rows = array("I")
        self.codes = array("I")


class Builder:
    """The columns of the events of one metric, an event at a time.

    Bounded ones give up properties that are not worth a column, or would take too much memory.
    """

    def __init__(self, budget: "Budget | None" = None) -> None:
        self._budget = budget
        self._at = array("q")
        self._profile = array("q")
        self._value = array("d")
        self._properties: dict[str, _Property] = {}
        self._more = False

    def add(self, at: int, profile: int, value: float | None, properties: dict[str, Any]) -> None:
        """Append an event."""
        row = len(self._at)
        self._at.append(at)
        self._profile.append(profile)
        self._value.append(np.nan if value is None else value)
        known = self._properties
        for name, given in properties.items():
            kind = type(given)
            if kind is dict or given is None:
                continue
            found = known.get(name)
            if found is None and (found := self._new(name)) is None:
                continue
            if found.texts is None:
                continue
            if kind is list:
                for text in texts_of(given):
                    self._enter(found, row, text)
                continue
            text = given if kind is str else _text_of(given)
            code = found.texts.get(text)
            if code:
                found.rows.append(row)
                found.codes.append(code)
            elif code is None:
                self._enter(found, row, text)

    def _enter(self, found: _Property, row: int, text: str) -> None:
        if found.texts is None:
            return
        code = found.texts.get(text)
        if code is None:
            if not self._may_have(found, text):
                found.texts = None
                return
            code = found.texts[text] = len(found.texts)
        found.rows.append(row)
        found.codes.append(code)

    def _new(self, name: str) -> _Property | None:
        if self._budget is not None and (
            len(self._properties) >= MOST_PROPERTIES or not may_have_column(name)
        ):
            self._more = True
            return None
        return self._properties.setdefault(name, _Property())

    def _may_have(self, found: _Property, text: str) -> bool:
        if self._budget is None:
            return True
        size = len(text.encode())
        many = found.texts is None or len(found.texts) > MOST_TEXTS
        return not many and size <= MOST_TEXT_BYTES and self._budget.take(size)

    def at(self) -> Integers:
        return np.array(self._at, dtype=np.int64)

    def profile(self) -> Integers:
        return np.array(self._profile, dtype=np.int64)

    def value(self) -> Floats:
        """NaN where there is none."""
        return np.array(self._value, dtype=np.float64)

    def coded(self, name: str) -> Coded | None:
        """A property; None if it was given up."""
        found = self._properties.get(name, _Property())
        if found.texts is None:
            return None
        rows, codes = np.array(found.rows, dtype=np.uint32), np.array(found.codes, dtype=np.uint32)
        again = np.zeros(len(rows), dtype=bool)
        again[1:] = rows[1:] == rows[:-1]
        full = np.zeros(len(self._at), dtype=np.uint32)
        full[rows[~again]] = codes[~again]
        return Coded(list(found.texts), np.concatenate([full, codes[again]]), rows[again])

    def packed(self) -> Iterator[tuple[str, bytes]]:
        """Each column by its name, as it is stored."""
        yield AT, _encode(_packed_integers(self.at(), more=self._more))
        yield PROFILE, _encode(_packed_integers(self.profile()))
        value = self.value()
        if not np.isnan(value).all():
            yield VALUE, _encode(Packed(kind="<f8", data=_compressed(value)))
        for name in self._properties:
            coded = self.coded(name)
            if coded is None:
                yield PROPERTY + name, _encode(Packed())
            elif len(coded.texts) > 1:
                yield PROPERTY + name, _encode(_packed_codes(coded))


class Budget:
    """The bytes that the texts of one stretch may still take."""

    def __init__(self) -> None:
        self._left = MOST_BYTES

    def take(self, size: int) -> bool:
        self._left -= size
        return self._left >= 0


def unpacked(packed: bytes) -> Packed:
    """A stored column, its values still compressed."""
    return _decode(packed)


def integers_of(packed: Packed) -> Integers:
    """The values of a column of whole numbers."""
    values: Integers = _decompressed(packed.data, packed.kind).astype(np.int64)
    return values + packed.base


def floats_of(packed: Packed) -> Floats:
    """The values of a column of numbers; NaN where there is none."""
    values: Floats = _decompressed(packed.data, packed.kind)
    return values


def codes_of(packed: Packed) -> Coded:
    """The values of a property."""
    texts = _decode_texts(zstandard.ZstdDecompressor().decompress(packed.texts))
    extra = _decompressed(packed.extra, "<u2") if packed.extra else np.zeros(0, dtype=np.uint16)
    return Coded(texts, _decompressed(packed.data, packed.kind), extra)


def _packed_integers(values: Integers, *, more: bool = False) -> Packed:
    base = int(values.min())
    smallest = _smallest(values - base)
    return Packed(kind=smallest.dtype.str, base=base, data=_compressed(smallest), more=more)


def _packed_codes(coded: Coded) -> Packed:
    codes = _smallest(coded.codes)
    return Packed(
        kind=codes.dtype.str,
        data=_compressed(codes),
        texts=zstandard.ZstdCompressor(level=_LEVEL).compress(_encode(coded.texts)),
        extra=_compressed(coded.extra.astype("<u2")) if len(coded.extra) else b"",
    )


def _smallest(values: Codes) -> Codes:
    """The same numbers in as few bytes each as the largest one needs."""
    kind = np.min_scalar_type(int(values.max(initial=0))).newbyteorder("<")
    return values.astype(kind)


def _compressed(values: Codes) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL).compress(np.ascontiguousarray(values).data)


def _decompressed(data: bytes, kind: str) -> Any:
    return np.frombuffer(zstandard.ZstdDecompressor().decompress(data), dtype=kind)


_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(Packed).decode
_decode_texts = msgspec.msgpack.Decoder(list[str]).decode

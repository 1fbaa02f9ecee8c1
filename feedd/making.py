"""Raw records become what is stored of them: decode, normalize, write canonically, digest. Pure.

This is what a record costs that is new, and nothing in it hangs on other records, so it can be done anywhere:
here, or in other processes (`spread`).
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from feedd import diff
from feedd.model import Item, Problem, Reject, Slices

MAX_SALVAGED = 1024 * 1024
AT_ONCE = 128  # decoded records are several times larger than raw ones, and leave the processor's cache sooner
_encode = msgspec.json.encode


class MadeItem(Struct, frozen=True, array_like=True, tag=0, gc=False):
    """An item as it is stored: `text` are its fields as canonical JSON, `warnings` a JSON array or None for none.

    The text stays the bytes that the database will hold: made a string on the way, it would be decoded and encoded
    three times, and twice as large in most scripts.
    """

    id: str
    text: bytes
    digest: bytes
    warnings: str | None = None
    warning_count: int = 0


class MadeReject(Struct, frozen=True, array_like=True, tag=1, gc=False):
    """A record that became no item; `problems` is a JSON array, the most telling one first."""

    item_id: str | None
    problems: str


Made = MadeItem | MadeReject
Promise = Callable[[], Sequence[Made]]


class Maker(Protocol):
    """Makes items of records, at once or in the background.

    `start` gives a promise: called, it gives what was made of each of the slices, in order; it raises FormatError where
    one shows that the whole body is not well-formed. `ahead` says for how many promises it is worth to start others.
    """

    @property
    def ahead(self) -> int: ...
    def start(self, slices: Slices) -> Promise: ...


class Here:
    """Makes items in this process, at once."""

    ahead = 0

    def __init__(
        self,
        *,
        decode: Callable[[Slices], list[dict[str, Any] | Problem]],
        salvage: Callable[[bytes, bytes], dict[str, Any] | None],
        normalize: Callable[[int, dict[str, Any]], Item | Reject],
    ) -> None:
        self._decode = decode
        self._salvage = salvage
        self._normalize = normalize

    def start(self, slices: Slices) -> Promise:
        """What was made of each of the slices, which is known at once."""
        made = self.make(slices)
        return lambda: made

    def make(self, slices: Slices) -> list[Made]:
        """What is made of each of the slices, in order.

        Raises:
            FormatError: one of them shows that the body is not well-formed.
        """
        made: list[Made] = []
        for start in range(0, len(slices.raws), AT_ONCE):
            some = slices.raws[start : start + AT_ONCE]
            made += self._make(Slices(slices.position + start, some, slices.context))
        return made

    def _make(self, slices: Slices) -> list[Made]:
        return [
            self._rejected(slices, index, value)
            if type(value) is Problem
            else made_of(self._normalize(slices.position + index, value))  # type: ignore[arg-type]
            for index, value in enumerate(self._decode(slices))
        ]

    def _rejected(self, slices: Slices, index: int, problem: Problem) -> MadeReject:
        """The reject of a record that cannot be decoded, under its id if that can be read and stands in it literally."""
        raw = bytes(slices.raws[index])
        record = None if len(raw) > MAX_SALVAGED else self._salvage(raw, slices.context)
        item_id = None
        if record is not None:
            outcome = self._normalize(slices.position + index, record)
            item_id = outcome.id if isinstance(outcome, Item) else outcome.item_id
            if item_id is not None and not _stands_in(raw, item_id):
                item_id = None
        return MadeReject(item_id, problems_of((problem,)))


def made_of(outcome: Item | Reject) -> Made:
    """What is stored of an item or a reject."""
    if type(outcome) is not Item:
        return MadeReject(outcome.item_id, problems_of(outcome.problems))  # type: ignore[union-attr]
    text = diff.canonical(outcome.fields)
    warnings = outcome.warnings
    return MadeItem(
        outcome.id,
        text,
        diff.digest(text),
        problems_of(warnings) if warnings else None,
        len(warnings),
    )


def problems_of(problems: Sequence[Problem]) -> str:
    """Problems as they are stored."""
    return _encode(problems).decode()


def _stands_in(raw: bytes, item_id: str) -> bool:
    """Whether a record holds an id whole: of a broken one, a parser may have read half of it."""
    whole = rb"(?<![^\s>\"':,\[])%b(?![^\s<\"',}\]])" % re.escape(item_id.encode())
    return re.search(whole, raw) is not None

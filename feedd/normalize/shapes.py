"""What is to be done for a record, by the names of its keys. Pure.

The records of a feed have few different sets of keys. What follows from the names alone (which sources of which field
are there, which keys no field is filled from, and what these are called) is worked out once for each, so that a record
costs what is in it and not what the schema could look for.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from feedd.coerce import Coercion
from feedd.coerce.memo import Memo
from feedd.coerce.text import clean
from feedd.normalize.draft import Step
from feedd.normalize.mapping import Source
from feedd.normalize.names import Names
from feedd.normalize.paths import Template

MOST_SHAPES = 500
LONGEST_SHAPE = 2_000  # characters of all keys together

Kept = tuple[Any, tuple[str, ...]]


# A field that the first usable of some sources fills: the first of these that is there, if the value stands there
# itself, else None; the field's name, its coercion, its step, and those of its sources that are there. (A plain tuple,
# because that is unpacked in half of the time.)
Move = tuple[str | None, str, Coercion, Step, tuple[Source, ...]]


class Shape(NamedTuple):
    """What is to be done for records with the same keys in the same order.

    `taken` maps each field whose first source is a key to that. `composed` are the fields that are put together and
    can be there. `known` are the keys that fields may be filled from. `keys` are all keys, each with the names that it
    could be kept under, best first; `others` those of them that are not known. `distinct`: no two keys could be kept
    under one name.
    """

    moves: tuple[Move, ...]
    taken: Mapping[str, str]
    composed: tuple[Step, ...]
    known: frozenset[Any]
    keys: tuple[Kept, ...]
    others: tuple[Kept, ...]
    distinct: bool


def shapes_of(steps: Mapping[str, Step], known: Mapping[str, Any], names: Names) -> Memo:
    """The shape of each tuple of keys. `steps` are all fields by name, `known` has the keys that fill one."""
    return Memo(_Shapes(steps, known, names).shape, most=MOST_SHAPES, longest=LONGEST_SHAPE)


class _Shapes:
    """Makes shapes. In some feeds each record has keys of its own, so what there is to know of one key is kept too."""

    def __init__(self, steps: Mapping[str, Step], known: Mapping[str, Any], names: Names) -> None:
        self._steps = steps
        self._known = known
        self._names = names
        self._kept = Memo(self._kept_as)
        self._composed = [step for step in steps.values() if not step.plain]
        self._alone: dict[str, list[tuple[int, Move]]] = {}
        for place, step in enumerate(steps.values()):
            for key in dict.fromkeys(source[0] for source in step.plain):
                self._alone.setdefault(key, []).append((place, _move(step, {key})))

    def shape(self, keys: tuple[Any, ...]) -> Shape:
        there = frozenset(keys)
        kept = [self._kept[key] for key in keys]
        moves = self._moves(there)
        candidates = [name for _, own in kept for name in own]
        return Shape(
            moves,
            {name: key for key, name, *_ in moves if key is not None},
            tuple(step for step in self._composed if _can_be_there(step, there)),
            there.intersection(self._known),
            tuple(kept),
            tuple(each for each in kept if each[0] not in self._known),
            len(set(candidates)) == len(candidates),
        )

    def _moves(self, there: frozenset[Any]) -> tuple[Move, ...]:
        """A move for each field that has a source there; most have one key there, and the move for that is at hand."""
        alone = self._alone
        moves: dict[int, Move] = {}
        for key in there:
            for place, move in alone.get(key, ()):
                moves[place] = move if place not in moves else _move(move[3], there)
        return tuple(moves[place] for place in sorted(moves))

    def _kept_as(self, key: Any) -> Kept:
        """A key and what it is kept as: its bare name, else its whole one. What stands under a field's name, the
        schema decides."""
        candidates = dict.fromkeys((self._names.bare(key), clean(str(key))))
        return key, tuple(name for name in candidates if name not in self._steps)


def _move(step: Step, there: AbstractSet[Any]) -> Move:
    sources = tuple(source for source in step.plain if source[0] in there)
    key = None if sources[0][1] else sources[0][0]
    return key, step.name, step.coerce, step, sources


def _can_be_there(step: Step, keys: frozenset[Any]) -> bool:
    """Whether a source can lead anywhere; a template, and a step that takes elements (`*`, `[a=b]`, `0`), always can."""
    return any(
        isinstance(source, Template)
        or source[0] in keys
        or source[0][0] in "*["
        or source[0] == "0"
        for source in step.sources
    )

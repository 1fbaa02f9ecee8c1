"""What is to be done for a record, by the names of its keys. Pure.

The records of a feed have few different sets of keys. What follows from the names alone (which sources of which field
are there, which keys no field is filled from, and what these are called) is worked out once for each, so that a record
costs what is in it and not what the schema could look for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from feedd.coerce import Coercion
from feedd.coerce.text import clean
from feedd.normalize.draft import Step
from feedd.normalize.mapping import Source
from feedd.normalize.names import Names
from feedd.normalize.paths import Template

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


def shape_of(
    keys: Sequence[Any], steps: Mapping[str, Step], known: Mapping[str, Any], names: Names
) -> Shape:
    """The shape of records with these keys. `steps` are all fields by name, `known` has the keys that fill one."""
    there = frozenset(keys)
    moves: list[Move] = []
    for step in steps.values():
        sources = tuple(source for source in step.plain if source[0] in there)
        if sources:
            key = None if sources[0][1] else sources[0][0]
            moves.append((key, step.name, step.coerce, step, sources))
    kept = tuple((key, _names_for(key, steps, names)) for key in keys)
    candidates = [name for _, own in kept for name in own]
    return Shape(
        tuple(moves),
        {name: key for key, name, *_ in moves if key is not None},
        tuple(step for step in steps.values() if not step.plain and _can_be_there(step, there)),
        there.intersection(known),
        kept,
        tuple(each for each in kept if each[0] not in known),
        len(set(candidates)) == len(candidates),
    )


def _can_be_there(step: Step, keys: frozenset[Any]) -> bool:
    """Whether a source can lead anywhere; a template, and a step that takes elements (`*`, `[a=b]`, `0`), always can."""
    return any(
        isinstance(source, Template)
        or source[0] in keys
        or source[0][0] in "*["
        or source[0] == "0"
        for source in step.sources
    )


def _names_for(key: Any, steps: Mapping[str, Step], names: Names) -> tuple[str, ...]:
    """What a key is kept as: its bare name, else its whole one. What stands under a field's name, the schema decides."""
    candidates = dict.fromkeys((names.bare(key), clean(str(key))))
    return tuple(name for name in candidates if name not in steps)

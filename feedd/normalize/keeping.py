"""The fields of a record that its schema does not know: they keep their names and shapes. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from feedd.coerce import COERCIONS, Refused, excerpt
from feedd.model import Problem
from feedd.normalize.draft import BLANK_TYPES, Draft
from feedd.normalize.names import Named, Names, kept_apart
from feedd.normalize.shapes import Shape
from feedd.normalize.verdict import pointer

_keep = COERCIONS["any"]


def keep_others(
    draft: Draft, shape: Shape, known: Mapping[str, Sequence[str]], names: Names
) -> None:
    """Fill an item with what its record holds beside its fields. `known` maps the keys that fields are filled from to
    these."""
    kept: Iterable[Named] = _named(draft, shape, known)
    if not shape.distinct:
        kept = list(kept)
        if len({name for name, _, _ in kept}) < len(kept):
            kept = kept_apart(kept)
    refused: list[Problem] = []
    for name, key, value in kept:
        if type(value) is str and value.isprintable():
            result: Any = value
        else:
            result = names.usual(value)
            if result is None:
                result = _keep(names.tree(value))
        if type(result) is Refused:
            refused.append(_left_out(name, value, result))
        elif result or key not in known or type(result) not in BLANK_TYPES:
            draft.fields[name] = result
    if refused:
        draft.warnings += sorted(refused, key=lambda problem: problem.pointer)


def _named(draft: Draft, shape: Shape, known: Mapping[str, Sequence[str]]) -> Iterator[Named]:
    """The values that are kept, each with its name and its key."""
    record, fields = draft.record, draft.fields
    left = shape.known.difference(draft.taken.values(), draft.spent)
    for key, names in shape.keys if left else shape.others:
        value = record[key]
        if value is None:
            continue
        if key in known and (key not in left or _says_nothing_new(draft, known[key], value)):
            continue
        for name in names:
            if name not in fields:
                yield name, key, value
                break


def _says_nothing_new(draft: Draft, names: Sequence[str], value: Any) -> bool:
    """Whether an alternative that was not needed is empty, or repeats the value that was taken."""
    if not value and type(value) in BLANK_TYPES:
        return True
    return any(
        draft.fields.get(name) == value or draft.record.get(draft.taken.get(name, "")) == value
        for name in names
    )


def _left_out(name: str, value: Any, refused: Refused) -> Problem:
    return Problem(
        pointer=pointer(name), rule=refused.rule, value=excerpt(value), hint=refused.hint
    )

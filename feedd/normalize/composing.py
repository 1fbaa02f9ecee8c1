"""The values of fields that are put together: from templates and several places, out of tables, in minor units. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from feedd.coerce import excerpt
from feedd.coerce.numerals import integer
from feedd.coerce.outcome import scalar_text
from feedd.model import Problem
from feedd.normalize.around import Tree, keys_of
from feedd.normalize.draft import Draft, Step
from feedd.normalize.mapping import MOST_MINOR_UNITS
from feedd.normalize.paths import SITE, Path, Template, filled, reach

_BLANK: tuple[Any, ...] = ("", [], {})


class Outside(NamedTuple):
    """What a document says outside its records: where its links build on, and its tables."""

    site: str | None = None
    tables: Mapping[str, Tree] = {}


def composed(draft: Draft, step: Step, outside: Outside) -> Iterator[tuple[str, Any]]:
    """What the sources of a field give, in order, each with the key of the record that is used up with it, if any."""
    record = draft.record
    for source in step.sources:
        if isinstance(source, Template):
            key, raw = "", _filled(source, record, outside.site)
        else:
            key, raw = "" if source[1] else source[0], reach(record, (source[0], *source[1]))
        if step.lookup and raw is not None:
            raw = _looked_up(draft, step, outside.tables.get(step.lookup), raw)
        if raw is None or raw in _BLANK:
            continue
        yield key, _in_major_units(raw, step.minor_units, record) if step.minor_units else raw


def flat(value: Any) -> list[Any]:
    """The elements of a list, and of those lists that are elements of it; a list of what is none."""
    if type(value) is not list:
        return [value]
    return [inner for each in value for inner in (each if type(each) is list else [each])]


def _filled(template: Template, record: dict[str, Any], site: str | None) -> str | list[str] | None:
    return filled(template, lambda path: site if path == (SITE,) else reach(record, path))


def _looked_up(draft: Draft, step: Step, tree: Tree | None, raw: Any) -> list[str]:
    """The names that a table has for the ids in a record; none where no document was read for it."""
    if tree is None:
        return []
    found = {key: tree.path(key) for key in keys_of(raw)}
    unknown = [key for key, name in found.items() if name is None]
    if unknown:
        hint = f"The feed's {step.lookup} do not name this one; list it there."
        value = excerpt(unknown[0])
        draft.warnings.append(
            Problem(pointer=step.pointer, rule="unknown_id", value=value, hint=hint)
        )
    return [name for name in found.values() if name is not None]


def _in_major_units(raw: Any, minor_units: int | Path, record: dict[str, Any]) -> Any:
    """An amount of cents as one with decimals; what is not written in digits alone stays as it is."""
    digits = integer(minor_units if isinstance(minor_units, int) else reach(record, minor_units))
    text = scalar_text(raw)
    if type(digits) is not int or not 0 < digits <= MOST_MINOR_UNITS:
        return raw
    if text is None or not (text.isascii() and text.isdecimal()):
        return raw
    text = text.zfill(digits + 1)
    return f"{text[:-digits]}.{text[-digits:]}"

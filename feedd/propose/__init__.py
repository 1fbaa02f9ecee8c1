"""Where the fields of an item could be in records whose keys no schema knows, by names and by values. Pure.

`propose` looks at every place in some records, and gives each field that is missing the place that sounds most like
it and holds such values. It only proposes: a person reads it before it becomes the `fields` of a feed.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from feedd.coerce import excerpt
from feedd.propose.names import NAMES, likeness
from feedd.propose.values import CHECKS, UNMISTAKABLE, is_line, is_text

DEEPEST = 3
MOST_PLACES = 400
ENOUGH = 0.8
_BY_VALUE = 1.0


class Proposal(Struct, frozen=True, kw_only=True):
    """A field, the path where it seems to be, why, and what stands there in the first record that has it."""

    field: str
    path: tuple[str, ...]
    reason: str
    example: str


class _Column(NamedTuple):
    """What the records hold at one path; records without it are not among the values."""

    path: tuple[str, ...]
    values: list[Any]


class _Match(NamedTuple):
    score: float
    field: str
    column: _Column
    reason: str


def propose(
    records: Sequence[dict[str, Any]], *, missing: Collection[str], taken: Collection[str] = ()
) -> list[Proposal]:
    """A place for each missing field, where there is a likely one. `taken` are keys that fields have already."""
    columns = [
        column
        for column in _columns(records)
        if column.path[0] not in taken and len(column.values) * 2 >= len(records)
    ]
    matches = [
        match
        for field in NAMES
        if field in missing
        for column in columns
        if (match := _match(field, column, len(records))) is not None
    ]
    if "id" in missing:
        matches += _fallbacks("id", columns, len(records))
    if "title" in missing:
        matches += _fallbacks("title", columns, len(records))
    chosen: dict[str, _Match] = {}
    used: set[tuple[str, ...]] = set()
    for match in sorted(matches, key=lambda match: -match.score):
        if match.field not in chosen and match.column.path not in used:
            chosen[match.field] = match
            used.add(match.column.path)
    return [_proposal(chosen[field]) for field in NAMES if field in chosen]


def _match(field: str, column: _Column, records: int) -> _Match | None:
    if field == "id" and len(column.values) < records:
        return None
    fits = CHECKS[field](column.values)
    sounds = likeness(field, column.path)
    if sounds > 0 and fits >= ENOUGH:
        return _Match(sounds * fits, field, column, f"named like it, and {_said(fits)}")
    by_value = UNMISTAKABLE[field](column.values) if field in UNMISTAKABLE else 0.0
    if by_value >= ENOUGH:
        depth = 0.25 * (len(column.path) - 1)
        return _Match(
            _BY_VALUE * by_value - depth, field, column, f"by its values: {_said(by_value)}"
        )
    return None


def _said(share: float) -> str:
    return "all its values fit" if share == 1 else f"{share:.0%} of its values fit"


def _fallbacks(field: str, columns: list[_Column], records: int) -> Iterator[_Match]:
    """What could do where nothing sounds right: the first short values that are all different, or differ most."""
    for rank, column in enumerate(columns):
        if len(column.values) < records or records < 2:
            continue
        if field == "id" and CHECKS["id"](column.values):
            yield _Match(0.5 - rank / 1000, field, column, "different in every record")
        if field == "title" and all(is_line(v) and is_text(v) for v in column.values):
            different = len(set(column.values)) / records
            words = sum(len(str(v).split()) > 1 for v in column.values) / records
            yield _Match(
                0.3 * different + 0.2 * words - rank / 1000,
                field,
                column,
                "a short text that differs",
            )


def _proposal(match: _Match) -> Proposal:
    return Proposal(
        field=match.field,
        path=match.column.path,
        reason=match.reason,
        example=excerpt(match.column.values[0]),
    )


def _columns(records: Sequence[dict[str, Any]]) -> list[_Column]:
    """Every path with its values, in the order in which the records first hold them."""
    columns: dict[tuple[str, ...], list[Any]] = {}
    for record in records:
        seen: dict[tuple[str, ...], Any] = {}
        _walk(record, (), seen)
        for path, value in seen.items():
            if path in columns or len(columns) < MOST_PLACES:
                columns.setdefault(path, []).append(value)
    return [_Column(path, values) for path, values in columns.items()]


def _walk(value: Any, path: tuple[str, ...], seen: dict[tuple[str, ...], Any]) -> None:
    """Note what stands at each path of a record: scalars, lists of scalars, and what the objects of a list have."""
    if value is None or value in ("", [], {}) or len(path) > DEEPEST:
        return
    if type(value) is dict:
        text = value.get("#text")
        if text is not None and path:
            seen[path] = text
        for key, inner in value.items():
            if key != "#text":
                _walk(inner, (*path, str(key)), seen)
    elif type(value) is list and any(type(each) is dict for each in value):
        objects = [each for each in value if type(each) is dict]
        for key in dict.fromkeys(key for each in objects for key in each):
            inner = [each[key] for each in objects if each.get(key) not in (None, "", [], {})]
            if inner and not any(type(each) in (dict, list) for each in inner):
                seen[(*path, "*", str(key))] = inner
    elif path:
        seen[path] = value

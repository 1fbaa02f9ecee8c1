"""Where the fields of an item could be in records whose keys no schema knows, by names and by values. Pure.

`propose` looks at every place in some records, and gives each field that is missing the place that sounds most like
it and holds such values. It only proposes: a person reads it before it becomes the `fields` of a feed.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from feedd.coerce import excerpt
from feedd.propose.names import NAMES, NOT_IN, is_other, likeness, words_of
from feedd.propose.values import CHECKS, UNMISTAKABLE, is_counted, is_line, is_page, is_text

DEEPEST = 3
MOST_PLACES = 400
ENOUGH = 0.8
_BY_VALUE = 1.0
_NUMBERS = frozenset(
    {"id", "code", "number", "num", "no", "nr", "nummer", "numero", "numer", "номер"}
)


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
    everything = [c for c in _columns(records) if len(c.values) * 2 >= len(records)]
    columns = [column for column in everything if column.path[0] not in taken]
    matches = [
        match
        for field in NAMES
        if field in missing
        for column in columns
        if (match := _match(field, column, len(records))) is not None
    ]
    if "id" in missing:
        matches += _other_ids(columns, len(records))
    if "title" in missing:
        matches += _other_titles(columns, len(records))
    chosen: dict[str, _Match] = {}
    used: set[tuple[str, ...]] = set()
    for match in sorted(matches, key=lambda match: -match.score):
        if match.field not in chosen and match.column.path not in used:
            chosen[match.field] = match
            used.add(match.column.path)
    if "title" in missing and "title" not in chosen and (found := _described(chosen)) is not None:
        del chosen["description"]
        chosen["title"] = found
    if (
        "id" in missing
        and "id" not in chosen
        and (found := _shared_id(everything, len(records))) is not None
    ):
        chosen["id"] = found
    if "title" in missing and "title" not in chosen and "id" in chosen and chosen["id"].score < 1:
        del chosen["id"]  # an id that is only different in every record is of no use alone
    return [_proposal(chosen[field]) for field in NAMES if field in chosen]


def _match(field: str, column: _Column, records: int) -> _Match | None:
    if field == "id" and len(column.values) < records:
        return None
    if field == "categories" and _is_constant_type(column):
        return None
    if field in ("id", "title") and "*" in column.path and column.path[-1] != "#text":
        return None
    fits = CHECKS[field](column.values)
    sounds = likeness(field, column.path)
    if sounds > 0 and fits >= ENOUGH:
        return _Match(sounds * fits, field, column, f"its name{_said(fits)}")
    by_value = 0.0
    if field in UNMISTAKABLE and not is_other(field, column.path):
        by_value = UNMISTAKABLE[field](column.values)
    if by_value >= ENOUGH:
        depth = 0.25 * (len(column.path) - 1)
        return _Match(_BY_VALUE * by_value - depth, field, column, f"its values{_said(by_value)}")
    return None


def _said(share: float) -> str:
    return "" if share == 1 else f", {min(share, 0.99):.0%} of them fit"


def _is_constant_type(column: _Column) -> bool:
    """Whether a place says what kind of thing the records are, not what kind of product."""
    key = column.path[-1]
    return words_of(key)[-1:] == ("type",) and (
        key.startswith("@") or ":" in key or len(set(map(str, column.values))) < 2
    )


def _other_ids(columns: list[_Column], records: int) -> Iterator[_Match]:
    """What could be the id where nothing sounds like it: the first short values that are all different."""
    for rank, column in enumerate(columns):
        if len(column.values) < records or records < 2 or not CHECKS["id"](column.values):
            continue
        words = {word for step in column.path for word in words_of(step)}
        named = not _NUMBERS.isdisjoint(words)
        if not NOT_IN["id"].isdisjoint(words) or _sounds_other("id", column):
            continue
        if any(map(is_page, column.values)) or (is_counted(column.values) and not named):
            continue
        yield _Match(0.5 - rank / 1000, "id", column, "different in every record")


def _other_titles(columns: list[_Column], records: int) -> Iterator[_Match]:
    """What could be the title where nothing sounds like it: short texts that differ most, with most words."""
    for rank, column in enumerate(columns):
        if len(column.values) < records or records < 2 or _sounds_other("title", column):
            continue
        if not all(is_line(v) and is_text(v) for v in column.values):
            continue
        different = len(set(column.values)) / records
        words = sum(len(str(v).split()) > 1 for v in column.values) / records
        if different >= 0.5 and words >= 0.5:
            score = 0.3 * different + 0.2 * words - rank / 1000
            yield _Match(score, "title", column, "a short text that differs")


def _sounds_other(field: str, column: _Column) -> bool:
    """Whether the place is named like something that is neither the field nor another way to tell a record."""
    if is_other(field, column.path):
        return True
    telling = {field, "link", "gtin", "mpn"} if field == "id" else {field}
    return any(likeness(other, column.path) >= 1 for other in NAMES if other not in telling)


def _described(chosen: dict[str, _Match]) -> _Match | None:
    """Descriptions that are as short as titles, where there are no titles."""
    match = chosen.get("description")
    if match is None or CHECKS["title"](match.column.values) < ENOUGH:
        return None
    return match._replace(field="title", reason="the only text of each record")


def _shared_id(columns: list[_Column], records: int) -> _Match | None:
    """The page or the bar code of a record, where it has nothing else that is its own."""
    for field, said in (
        ("link", "no id, but a page of its own"),
        ("gtin", "no id, but a bar code of its own"),
    ):
        for column in columns:
            if len(column.values) < max(records, 2) or likeness(field, column.path) < 1:
                continue
            if CHECKS[field](column.values) >= ENOUGH and CHECKS["id"](column.values):
                return _Match(0.1, "id", column, said)
    return None


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
            if key == "#text" and len(inner) < len(objects):
                continue
            if inner and not any(type(each) in (dict, list) for each in inner):
                seen[(*path, "*", str(key))] = inner
    elif path:
        seen[path] = value

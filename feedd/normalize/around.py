"""What a feed says once, outside its records, and its items need: the base of its links, a currency, tables of names.

`read_places` reads `x-document`; `read_around` makes values of what the formats found there. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import msgspec

from feedd.coerce import COERCIONS
from feedd.coerce.outcome import scalar_text
from feedd.model import Wanted
from feedd.normalize.paths import Path, parse_path, reach

MAX_LEVELS = 32
MAX_NAME_LENGTH = 255
MAX_PATH_LENGTH = 1_000
MAX_BASE_LENGTH = 2_000
MAX_IDS = 100
ROWS_WORDS = ("rows", "id", "name", "parent")

_url = COERCIONS["url"]
_currency = COERCIONS["currency"]
_line = COERCIONS["line"]

Row = tuple[str, str, str]


class Place(NamedTuple):
    """One place outside the records: what a format is asked for, and the steps below it."""

    wanted: Wanted
    rest: Path


class Table(NamedTuple):
    """Where the rows of a table are, and in each its id, its name and its parent's id."""

    place: Place
    id: Path
    name: Path
    parent: Path | None


class Places(NamedTuple):
    """What `x-document` names."""

    base: tuple[Place, ...] = ()
    currency: tuple[Place, ...] = ()
    tables: tuple[tuple[str, Table], ...] = ()

    @property
    def wanted(self) -> list[Wanted]:
        """What a format is asked for, in the order that `read_around` takes the answers in."""
        found = [place.wanted for place in (*self.base, *self.currency)]
        return found + [table.place.wanted for _, table in self.tables]


class Around(NamedTuple):
    """What was found: the base without which relative links lead nowhere, the currency, the rows of each table."""

    base: str | None = None
    currency: str | None = None
    tables: tuple[tuple[str, tuple[Row, ...]], ...] = ()


class Tree:
    """Names by id, each below its parent's; rows may come in any order, repeat ids, and lead nowhere or in circles."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows: dict[str, Row] = {}
        for row in rows:
            self._rows.setdefault(row[0], row)

    def path(self, row_id: str) -> str | None:
        """The names from the top down to that id, as `A > B > C`; at most the lowest 32 levels and
        1,000 characters."""
        names: list[str] = []
        length = 0
        passed: set[str] = set()
        while (row := self._rows.get(row_id)) is not None and row_id not in passed:
            passed.add(row_id)
            length += len(row[1]) + len(" > ")
            if len(passed) > MAX_LEVELS or length > MAX_PATH_LENGTH:
                break
            names += [row[1]] if row[1] else []
            row_id = row[2]
        return " > ".join(reversed(names)) or None


def read_places(found: Mapping[str, Any]) -> Places:
    """The places that an `x-document` names.

    Raises:
        ValueError: it is not of the form that docs/schemas.md describes.
    """
    tables = tuple(
        (name, _table(found[name])) for name in found if name not in ("base", "currency")
    )
    return Places(_places(found.get("base", ())), _places(found.get("currency", ())), tables)


def read_around(places: Places, found: Sequence[list[Any]], base: str | None) -> Around:
    """The values at some places, out of what a format found there; `base` is where the feed itself came from."""
    answers = iter(found)
    bases = [_below(place, next(answers)) for place in places.base]
    currencies = [_below(place, next(answers)) for place in places.currency]
    codes = (_currency(each) for values in currencies for each in values)
    links = (_absolute(each, base) for values in bases for each in values)
    return Around(
        base=next((link for link in links if link is not None), base),
        currency=next((code for code in codes if type(code) is str), None),
        tables=tuple((name, _rows(table, next(answers))) for name, table in places.tables),
    )


def seed_of(around: Around) -> bytes:
    """Bytes that are equal where what was found is."""
    return msgspec.json.encode(around)


def site_of(base: str | None) -> str | None:
    """The scheme and host of an address."""
    if base is None:
        return None
    parts = urlsplit(base)
    return f"{parts.scheme}://{parts.netloc}"


def _places(found: Any) -> tuple[Place, ...]:
    paths = [found] if isinstance(found, str) else found
    if not isinstance(paths, list | tuple):
        raise ValueError(f"{found!r} is no list of paths")  # noqa: TRY004 all that is wrong is one kind of error
    return tuple(_place(parse_path(path)) for path in paths)


def _place(path: Path, *, anywhere: bool = False) -> Place:
    """A path as the names that it begins with, and the steps from the first that is no plain name on."""
    special = [i for i, step in enumerate(path) if step[0] in "@#[*" or step.isdecimal()]
    plain = special[0] if special else len(path)
    rest = path[plain:]
    return Place(Wanted(path[:plain], bool(rest) and rest[0][0] == "@", anywhere), rest)


def _table(found: Any) -> Table:
    if not isinstance(found, dict) or not {"rows", "id", "name"} <= found.keys() <= set(ROWS_WORDS):
        raise ValueError(
            f"{found!r} is no table: it needs rows, id and name, and may have a parent"
        )
    place = _place(parse_path(found["rows"]), anywhere=True)
    parent = parse_path(found["parent"]) if "parent" in found else None
    return Table(place, parse_path(found["id"]), parse_path(found["name"]), parent)


def _below(place: Place, values: list[Any]) -> list[Any]:
    found = reach(values[0] if len(values) == 1 else values, place.rest)
    return found if type(found) is list else [found]


def _absolute(value: Any, base: str | None) -> str | None:
    """A link as an absolute address, on top of the feed's own."""
    found = _url(value)
    link = getattr(found, "value", found)
    if type(link) is not str or len(link) > MAX_BASE_LENGTH:
        return None
    try:
        link = urljoin(base, link) if base else link
        parts = urlsplit(link)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return None
    return parts._replace(query="", fragment="").geturl()  # a session's number is no part of a base


def _rows(table: Table, values: list[Any]) -> tuple[Row, ...]:
    rows: list[Row] = []
    for row in _below(table.place, values):
        row_id = _key(reach(row, table.id))
        if row_id:
            name = _line(reach(row, table.name))
            parent = _key(reach(row, table.parent)) if table.parent else ""
            rows.append((row_id, name[:MAX_NAME_LENGTH] if type(name) is str else "", parent))
    return tuple(rows)


def _key(value: Any) -> str:
    return (scalar_text(value) or "").strip()[:MAX_NAME_LENGTH]


def keys_of(value: Any) -> list[str]:
    """The ids that a record gives, one or a list of them; the first 100 of more."""
    values = value[:MAX_IDS] if type(value) is list else [value]
    return [key for each in values if (key := _key(each))]

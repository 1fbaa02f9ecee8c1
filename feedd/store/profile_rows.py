"""Rows of profiles and of their identifiers, as a writer reads and writes them: many at once."""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, bindparam, delete, select, text, update

from feedd.people.values import Identifier, Kind
from feedd.store.database import UTF8, among, among_value, bulk_insert
from feedd.store.people_tables import IDENTIFIERS, PROFILES

KNOWN = ((Kind.EMAIL, "email"), (Kind.PHONE, "phone_number"), (Kind.EXTERNAL, "external_id"))
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
_COLUMNS = ("id", "uid", *(name for _, name in KNOWN), "properties", "created_at", "updated_at")
_TYPES = ("int8", "text", "text", "text", "text", UTF8, "timestamptz", "timestamptz")
_SQLITE_TIME = "%Y-%m-%d %H:%M:%S.%f"
_encode = msgspec.json.encode


class Person:
    """A profile in a writer's hands. `known` are the identifiers that make a person known: one of each kind."""

    __slots__ = (
        "created_at",
        "is_changed",
        "is_new",
        "known",
        "number",
        "properties",
        "uid",
        "updated_at",
    )

    def __init__(self, number: int, uid: str, at: datetime) -> None:
        self.number = number
        self.uid = uid
        self.known: dict[Kind, str] = {}
        self.properties: dict[str, Any] = {}
        self.created_at = self.updated_at = at
        self.is_new = self.is_changed = False


def new(number: int, now: datetime) -> Person:
    """A profile that is to be stored."""
    person = Person(number, ulid(now), now)
    person.is_new = True
    return person


def ulid(now: datetime) -> str:
    """A new ULID (https://github.com/ulid/spec): 48 bits of milliseconds, 80 random ones, in Crockford's base 32."""
    number = int(now.timestamp() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -10, -10)])


def last_number(connection: Connection) -> int:
    """The last number that a profile was given; 0 where there is none. Those of merged ones are not given again."""
    newest = "SELECT max(id) FROM profiles UNION ALL SELECT max(from_id) FROM merges"
    return max(number or 0 for (number,) in connection.exec_driver_sql(newest))


def load(connection: Connection, numbers: Sequence[int]) -> dict[int, Person]:
    """Profiles by their numbers."""
    if not numbers:
        return {}
    query = _numbered(among(connection, "profiles.id"))
    rows = connection.execute(query, {"values": among_value(connection, numbers)})
    return {row.id: _person(row) for row in rows}


@cache
def _numbered(condition: str) -> Select[Any]:
    """The question for some profiles, which takes as long to put together as to answer."""
    return select(PROFILES).where(text(condition))


def _person(row: Any) -> Person:
    person = Person(row.id, row.uid, row.created_at)
    person.updated_at = row.updated_at
    person.known = {
        kind: value for kind, name in KNOWN if (value := getattr(row, name)) is not None
    }
    person.properties = msgspec.json.decode(row.properties)
    return person


def store(connection: Connection, persons: Iterable[Person]) -> None:
    """Write the new ones and the changed ones."""
    listed = list(persons)
    added = [each for each in listed if each.is_new]
    changed = [each for each in listed if each.is_changed and not each.is_new]
    if added:
        _add(connection, added)
    if changed:
        statement = update(PROFILES).where(PROFILES.c.id == bindparam("number"))
        rows = [_values(each) | {"number": each.number} for each in changed]
        connection.execute(statement, rows)
    for each in listed:
        each.is_new = each.is_changed = False


def _add(connection: Connection, added: Sequence[Person]) -> None:
    """By the driver, which takes times on SQLite as text without a zone."""
    as_text = connection.dialect.name == "sqlite"

    @cache  # most of them are now
    def stored(at: datetime) -> Any:
        return at.astimezone(UTC).strftime(_SQLITE_TIME) if as_text else at

    rows = [
        (
            each.number,
            each.uid,
            *(each.known.get(kind) for kind, _ in KNOWN),
            _encode(each.properties),
            stored(each.created_at),
            stored(each.updated_at),
        )
        for each in added
    ]
    bulk_insert(connection, "profiles", _COLUMNS, rows, _TYPES)


def _values(person: Person) -> dict[str, Any]:
    """What changes of a profile. SQLite enters a column that is set in its indexes anew, though it be what it was."""
    return {
        "properties": _encode(person.properties).decode(),
        "updated_at": person.updated_at.astimezone(UTC),
        **{name: person.known.get(kind) for kind, name in KNOWN},
    }


def enter(connection: Connection, entries: Sequence[tuple[Identifier, int]]) -> None:
    """Say whose identifiers are; one that was another's is this one's from now on."""
    rows = sorted((int(kind), value, number) for (kind, value), number in dict(entries).items())
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        source = "SELECT value->>0, value->>1, value->>2 FROM json_each(?) WHERE true"
        parameters: tuple[Any, ...] = (_encode(rows).decode(),)
    else:
        source = "SELECT * FROM unnest(%s::smallint[], %s::text[], %s::bigint[])"
        parameters = tuple(list(column) for column in zip(*rows, strict=True))
    connection.exec_driver_sql(
        f"INSERT INTO identifiers (kind, value, profile_id) {source} "
        "ON CONFLICT (kind, value) DO UPDATE SET profile_id = excluded.profile_id",
        parameters,
    )


def leave(connection: Connection, identifier: Identifier) -> None:
    """Have an identifier be nobody's."""
    kind, value = identifier
    mine = (IDENTIFIERS.c.kind == int(kind), IDENTIFIERS.c.value == value)
    connection.execute(delete(IDENTIFIERS).where(*mine))

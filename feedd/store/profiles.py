"""Profiles, read: found by an identifier, one by its number, a page of them."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from feedd.people.values import Identifier, Identifiers, Kind, Profile
from feedd.store.database import Database
from feedd.store.people_tables import EVENTS, IDENTIFIERS, PROFILES

_START = "SELECT value, profile_id FROM identifiers WHERE kind = "
_IN_SQLITE = _START + "? AND value IN (SELECT value FROM json_each(?))"  # noqa: S608 our own words
_IN_POSTGRES = _START + "%s AND value = ANY(%s)"


def owners_of(connection: Connection, identifiers: Sequence[Identifier]) -> dict[Identifier, int]:
    """The numbers of the profiles that those identifiers belong to, by identifier; those that are nobody's are left out."""
    by_kind: dict[Kind, set[str]] = {}
    for kind, value in identifiers:
        by_kind.setdefault(kind, set()).add(value)
    found: dict[Identifier, int] = {}
    for kind, values in by_kind.items():
        query, parameters = _ask(connection, values)
        rows = connection.exec_driver_sql(query, (int(kind), *parameters)).all()
        for value, number in rows:
            found[kind, value] = number
    return found


def _ask(connection: Connection, values: set[str]) -> tuple[str, tuple[Any, ...]]:
    """The question for values of one kind, for the driver: the way through the compiler costs more than the answer."""
    if connection.dialect.name == "sqlite":
        return _IN_SQLITE, (msgspec.json.encode(list(values)).decode(),)
    return _IN_POSTGRES, (list(values),)


def find_profile(database: Database, who: Identifiers) -> Profile | None:
    """The profile that those identifiers mean, if there is one: the first of them that is known decides."""
    given = who.given()
    with database.snapshot() as connection:
        owners = owners_of(connection, given)
        for identifier in given:
            if identifier in owners:
                return read_profile(connection, owners[identifier])
    return None


def read_profiles_by_id(database: Database, uids: Collection[str]) -> list[Profile]:
    """The profiles with those ids, which may be of ones that were merged into them; deleted ones are left out."""
    with database.snapshot() as connection:
        owners = owners_of(connection, [(Kind.PROFILE, uid) for uid in uids])
        return read_profiles(connection, numbers=sorted(set(owners.values())))


def read_profile(connection: Connection, number: int) -> Profile | None:
    """One profile by its number; None where it is not there (any more), or was deleted."""
    found = read_profiles(connection, numbers=[number])
    return found[0] if found else None


def read_profiles(
    connection: Connection,
    *,
    numbers: Sequence[int] | None = None,
    after: int = 0,
    limit: int = 1_000,
) -> list[Profile]:
    """Profiles by their numbers, or a page in the order of their numbers; deleted ones are left out."""
    query = select(PROFILES).where(PROFILES.c.redacted_at.is_(None)).order_by(PROFILES.c.id)
    if numbers is None:
        query = query.where(PROFILES.c.id > after).limit(limit)
    else:
        query = query.where(PROFILES.c.id.in_(numbers))
    return profiles_of(connection, connection.execute(query).all())


def profiles_of(connection: Connection, rows: Sequence[Any]) -> list[Profile]:
    """The profiles of rows of their table, in the order of the rows, with what stands elsewhere."""
    listed = [row.id for row in rows]
    anonymous = _anonymous_ids(connection, listed)
    last = last_events(connection, listed)
    return [_profile(row, anonymous.get(row.id, ()), last.get(row.id)) for row in rows]


def read_names(database: Database, uids: Sequence[str]) -> dict[str, str]:
    """How people are called, by the ids of their profiles: email, phone number or customer id; those with none are left out."""
    name = func.coalesce(PROFILES.c.email, PROFILES.c.phone_number, PROFILES.c.external_id)
    query = (
        select(IDENTIFIERS.c.value, name)
        .join(PROFILES, PROFILES.c.id == IDENTIFIERS.c.profile_id)
        .where(
            IDENTIFIERS.c.kind == int(Kind.PROFILE),
            IDENTIFIERS.c.value.in_(set(uids)),
            name.is_not(None),
        )
    )
    with database.connect() as connection:
        rows = connection.execute(query).all()
    return {row[0]: row[1] for row in rows}


def last_events(connection: Connection, numbers: Sequence[int]) -> dict[int, datetime]:
    """When each of those profiles did something last, by number."""
    newest = (
        select(func.max(EVENTS.c.at))
        .where(EVENTS.c.profile_id == PROFILES.c.id)
        .correlate(PROFILES)
        .scalar_subquery()
    )
    rows = connection.execute(select(PROFILES.c.id, newest).where(PROFILES.c.id.in_(numbers)))
    return {number: datetime.fromtimestamp(at, UTC) for number, at in rows if at is not None}


def _anonymous_ids(connection: Connection, numbers: Sequence[int]) -> dict[int, tuple[str, ...]]:
    query = (
        select(IDENTIFIERS.c.profile_id, IDENTIFIERS.c.value)
        .where(IDENTIFIERS.c.profile_id.in_(numbers), IDENTIFIERS.c.kind == int(Kind.ANONYMOUS))
        .order_by(IDENTIFIERS.c.value)
    )
    found: dict[int, list[str]] = {}
    for number, value in connection.execute(query):
        found.setdefault(number, []).append(value)
    return {number: tuple(values) for number, values in found.items()}


def _profile(row: Any, anonymous: tuple[str, ...], last_event_at: datetime | None) -> Profile:
    return Profile(
        id=row.uid,
        number=row.id,
        email=row.email,
        phone_number=row.phone_number,
        external_id=row.external_id,
        anonymous_ids=anonymous,
        properties=msgspec.json.decode(row.properties),
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_event_at=last_event_at,
    )

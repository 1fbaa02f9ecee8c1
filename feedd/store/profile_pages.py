"""Pages of profiles, in any order and by any condition that the API has, quick among millions.

A page begins behind a position in its order, so nobody comes twice or is left out, whatever is written meanwhile, as long as what
profiles are ordered by stays. The order of ids and of addresses is read from `identifiers`, that of times from indexes of their own.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    case,
    false,
    literal,
    literal_column,
    select,
    text,
    true,
    tuple_,
)

from feedd.people.values import Identifier, Kind, Profile
from feedd.store.database import Database, among, among_value
from feedd.store.people_tables import IDENTIFIERS, PROFILES
from feedd.store.profiles import owners_of, profiles_of
from feedd.store.tables import Utc

FEW = 5_000  # so many are found by their conditions, and ordered then
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Order(StrEnum):
    """What profiles are ordered by; those that are equal, by their numbers. Without an email is behind all that have one."""

    NUMBER = "number"  # of the row: the order in which they were made
    ID = "id"
    EMAIL = "email"
    CREATED = "created"
    UPDATED = "updated"


Key = int | str | None
Position = tuple[Key, int]  # what a profile is ordered by (times in microseconds), and its number
Comparison = Literal[">", ">=", "<", "<="]


class Bound(NamedTuple):
    """A time that profiles were made or changed before or after."""

    field: Literal[Order.CREATED, Order.UPDATED]
    comparison: Comparison
    at: datetime


class Wanted(Struct, frozen=True, kw_only=True):
    """Which profiles, and how they are ordered. Of each group of identifiers, a profile has one."""

    order: Order = Order.NUMBER
    is_descending: bool = False
    identifiers: tuple[frozenset[Identifier], ...] = ()
    bounds: tuple[Bound, ...] = ()


class _Part(NamedTuple):
    """A stretch of an order: its rows, what they are ordered by, and behind what it is read, if anything."""

    query: Select[Any]
    keys: tuple[ColumnElement[Any], ...]
    behind: tuple[Any, ...] | None = None


def position_of(profile: Profile, order: Order) -> Position:
    """Where a profile stands in an order."""
    keys: dict[Order, Key] = {
        Order.NUMBER: 0,
        Order.ID: profile.id,
        Order.EMAIL: profile.email,
        Order.CREATED: _micros(profile.created_at),
        Order.UPDATED: _micros(profile.updated_at),
    }
    return keys[order], profile.number


def read_profile_page(
    database: Database, wanted: Wanted, *, behind: Position | None = None, limit: int = 100
) -> list[Profile]:
    """A page of profiles, behind a position in their order; deleted ones are left out."""
    with database.snapshot(by_key=True) as connection:
        numbers = _numbers(connection, wanted)
        rows: list[Any] = []
        for part in _parts(wanted, behind, by_number=numbers is not None):
            if len(rows) < limit and numbers != []:
                query = _asked(part, wanted, behind, connection, numbers)
                parameters = {} if numbers is None else {"values": among_value(connection, numbers)}
                rows += connection.execute(query.limit(limit - len(rows)), parameters).all()
        return profiles_of(connection, rows)


def _numbers(connection: Connection, wanted: Wanted) -> list[int] | None:
    """Whom the conditions leave, where they are few; None where they are many."""
    if wanted.identifiers:
        groups = [set(owners_of(connection, list(group)).values()) for group in wanted.identifiers]
        return sorted(set.intersection(*groups))
    elsewhere = [bound for bound in wanted.bounds if bound.field != wanted.order]
    if not elsewhere:
        return None
    query = select(PROFILES.c.id).where(
        *(_compared(_TIMES[each.field], each) for each in elsewhere)
    )
    found = list(connection.execute(query.limit(FEW + 1)).scalars())
    return None if len(found) > FEW else found


_TIMES = {Order.CREATED: PROFILES.c.created_at, Order.UPDATED: PROFILES.c.updated_at}


def _parts(wanted: Wanted, behind: Position | None, *, by_number: bool) -> Iterator[_Part]:
    """The stretches of an order, the first first."""
    order, rows = wanted.order, select(PROFILES).where(PROFILES.c.redacted_at.is_(None))
    if order is Order.NUMBER:
        yield _Part(rows, (PROFILES.c.id,), behind and behind[1:])
    elif order is Order.ID:
        source = (
            (rows, PROFILES.c.uid) if by_number else _through(rows, Kind.PROFILE, PROFILES.c.uid)
        )
        yield _Part(source[0], (source[1],), behind and behind[:1])
    elif order is Order.EMAIL:
        yield from _by_email(wanted, behind, rows, by_number=by_number)
    else:
        at = behind and (_EPOCH + timedelta(microseconds=int(behind[0] or 0)), behind[1])
        yield _Part(rows, (_TIMES[order], PROFILES.c.id), at)


def _by_email(
    wanted: Wanted, behind: Position | None, rows: Select[Any], *, by_number: bool
) -> Iterator[_Part]:
    email = PROFILES.c.email
    source = (rows, email) if by_number else _through(rows, Kind.EMAIL, email)
    named = _Part(source[0].where(email.is_not(None)), (source[1],))
    nameless = _Part(rows.where(email.is_(None)), (PROFILES.c.id,))
    if behind is not None and behind[0] is not None:
        named = named._replace(behind=behind[:1])
    elif behind is not None:
        nameless = nameless._replace(behind=behind[1:])
    parts = [nameless, named] if wanted.is_descending else [named, nameless]
    skipped = behind is not None and parts[0].behind is None
    yield from parts[1:] if skipped else parts


def _through(
    rows: Select[Any], kind: Kind, column: ColumnElement[Any]
) -> tuple[Select[Any], ColumnElement[Any]]:
    """Profiles by way of their identifiers of a kind; those that lead to one that has another now are passed over."""
    entry = IDENTIFIERS.c
    joined = rows.join(IDENTIFIERS, entry.profile_id == PROFILES.c.id)
    # nearly all are the same, and PostgreSQL, which thinks that hardly any is, would go through the whole table
    same = case((entry.value == column, true()), else_=false())
    return joined.where(entry.kind == int(kind), same), entry.value


def _asked(
    part: _Part,
    wanted: Wanted,
    behind: Position | None,
    connection: Connection,
    numbers: Sequence[int] | None,
) -> Select[Any]:
    query = part.query
    if numbers is not None:
        query = query.where(text(among(connection, "profiles.id")))
    for bound in wanted.bounds:
        if bound.field != wanted.order:
            query = query.where(_compared(_without_index(connection, bound.field), bound))
        # behind a position it is met, and would only keep SQLite from beginning there
        elif behind is None or bound.comparison.startswith(">") == wanted.is_descending:
            query = query.where(_compared(_TIMES[bound.field], bound))
    if part.behind is not None:
        query = query.where(_behind(part.keys, part.behind, is_descending=wanted.is_descending))
    return query.order_by(*(key.desc() if wanted.is_descending else key for key in part.keys))


def _behind(
    keys: Sequence[ColumnElement[Any]], values: Sequence[Any], *, is_descending: bool
) -> ColumnElement[bool]:
    given = [literal(value, key.type) for key, value in zip(keys, values, strict=True)]
    left, right = (keys[0], given[0]) if len(keys) == 1 else (tuple_(*keys), tuple_(*given))
    return left < right if is_descending else left > right


_COMPARE: dict[Comparison, Callable[[Any, Any], ColumnElement[bool]]] = {
    ">": lambda column, at: column > at,
    ">=": lambda column, at: column >= at,
    "<": lambda column, at: column < at,
    "<=": lambda column, at: column <= at,
}


def _compared(column: ColumnElement[Any], bound: Bound) -> ColumnElement[bool]:
    return _COMPARE[bound.comparison](column, literal(bound.at, Utc()))


def _without_index(connection: Connection, field: Order) -> ColumnElement[Any]:
    """A time of profiles that are read in another order: SQLite would rather read half of them by its index, and sort."""
    column = _TIMES[field]
    if connection.dialect.name != "sqlite":
        return column
    return literal_column(f"+profiles.{column.name}", Utc())


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)

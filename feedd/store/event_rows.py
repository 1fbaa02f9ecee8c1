"""Rows of events, as a writer writes them: many at once, those that are there already left out."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.sql import exists

from feedd.store import interests
from feedd.store.database import UTF8, bulk_insert
from feedd.store.people_tables import EVENTS

_encode = msgspec.json.encode
_COLUMNS = (
    "id",
    "profile_id",
    "metric_id",
    "at",
    "value",
    "properties",
    "received_at",
    "source",
    "keyed",
)
_TYPES = ("int8", "int8", "int4", "int8", "float8", UTF8, "int8", "int2", "bool")


class NewRow(msgspec.Struct, kw_only=True, gc=False):
    """An event that is to be stored; `is_first` where its profile is as new. `duplicate` is known afterwards."""

    id: int
    profile: int
    metric: int
    at: int
    value: float | None
    properties: bytes
    received_at: int
    source: int
    key: int | None
    is_first: bool
    items: tuple[tuple[str, str], ...] = ()
    duplicate: bool = False


def has_any(connection: Connection, profile: int, metric: int) -> bool:
    """Whether a profile has an event of a metric."""
    found = exists().where(EVENTS.c.profile_id == profile, EVENTS.c.metric_id == metric)
    return bool(connection.execute(select(found)).scalar())


def insert(connection: Connection, rows: Sequence[NewRow]) -> None:
    """Write events; of those that say the same, the first one stays, and the others are marked as duplicates.

    The same: of one profile and one metric, with the same unique id, or both without one and in the same second.
    """
    keyed = [row for row in rows if row.key is not None]
    plain = [row for row in rows if row.key is None]
    if keyed:
        entered = _enter_keys(connection, keyed)
        for row in keyed:
            row.duplicate = row.id not in entered
    if plain:
        _mark_repeats(connection, plain)
    stored = [row for row in rows if not row.duplicate]
    bulk_insert(connection, "events", _COLUMNS, [_stored(row) for row in stored], _TYPES)
    named = [(*pair, row.profile, row.at) for row in stored for pair in row.items]
    interests.enter(connection, named)


def _stored(row: NewRow) -> tuple[Any, ...]:
    return (
        row.id,
        row.profile,
        row.metric,
        row.at,
        row.value,
        row.properties,
        row.received_at,
        row.source,
        row.key is not None,
    )


def _enter_keys(connection: Connection, rows: Sequence[NewRow]) -> set[int]:
    """Take unique ids; the numbers of the events that got theirs."""
    wanted = [(row.profile, row.metric, row.key, row.id) for row in rows]
    if connection.dialect.name == "sqlite":
        source = "SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each(?) WHERE true"
        parameters: tuple[Any, ...] = (_encode(wanted).decode(),)
    else:
        source = "SELECT * FROM unnest(%s::bigint[], %s::integer[], %s::bigint[], %s::bigint[])"
        parameters = tuple(list(column) for column in zip(*wanted, strict=True))
    result = connection.exec_driver_sql(
        f"INSERT INTO event_keys (profile_id, metric_id, key, event_id) {source} "
        "ON CONFLICT (profile_id, metric_id, key) DO NOTHING RETURNING event_id",
        parameters,
    )
    return {number for (number,) in result.all()}


def _mark_repeats(connection: Connection, rows: Sequence[NewRow]) -> None:
    """Mark those of the same second as one that is stored, or as one before them."""
    seen = _stored_already(connection, [row for row in rows if not row.is_first])
    for row in rows:
        when = (row.profile, row.at, row.metric)
        row.duplicate = when in seen
        seen.add(when)


def _stored_already(connection: Connection, rows: Sequence[NewRow]) -> set[tuple[int, int, int]]:
    if not rows:
        return set()
    wanted = [(row.profile, row.at, row.metric) for row in rows]
    if connection.dialect.name == "sqlite":
        question = (
            "SELECT e.profile_id, e.at, e.metric_id FROM json_each(?) j CROSS JOIN events e "
            "INDEXED BY ix_events_profile ON e.profile_id = j.value->>0 AND e.at = j.value->>1 "
            "AND e.metric_id = j.value->>2 AND e.keyed = 0"
        )
        found = connection.exec_driver_sql(question, (_encode(wanted).decode(),))
    else:
        # a lookup each, whatever the planner thinks of an array
        question = (
            "SELECT j.profile, j.at, j.metric "
            "FROM unnest(%s::bigint[], %s::bigint[], %s::integer[]) AS j(profile, at, metric) "
            "WHERE EXISTS (SELECT 1 FROM events e WHERE e.profile_id = j.profile AND e.at = j.at "
            "AND e.metric_id = j.metric AND NOT e.keyed OFFSET 0)"
        )
        columns = tuple(list(column) for column in zip(*wanted, strict=True))
        found = connection.exec_driver_sql(question, columns)
    return {(profile, at, metric) for profile, at, metric in found.all()}

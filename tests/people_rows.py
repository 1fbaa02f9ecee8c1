"""Rows of people, metrics and events as a test wants them, written straight into the tables."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import insert

from feedd.intake import Place
from feedd.store.database import Database, open_database
from feedd.store.people_tables import EVENTS, MERGES, METRICS, PROFILES

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Row(NamedTuple):
    """An event, by the numbers of its profile and metric."""

    number: int
    profile: int
    metric: int
    at: int
    value: float | None = None
    properties: dict[str, Any] | None = None


def open_people(place: Place) -> Database:
    return open_database("people", state_dir=Path(place.state_dir), url=place.url)


def fill(database: Database, rows: Iterable[Row], *, profiles: int, metrics: int) -> None:
    """Make profiles and metrics, numbered from 1, and events."""
    with database.transaction() as connection:
        connection.execute(insert(PROFILES), [profile_row(n) for n in range(1, profiles + 1)])
        connection.execute(insert(METRICS), [metric_row(n) for n in range(1, metrics + 1)])
    add_events(database, rows)


def add_events(database: Database, rows: Iterable[Row]) -> None:
    found = [event_row(row) for row in rows]
    if found:
        with database.transaction() as connection:
            connection.execute(insert(EVENTS), found)


def merge(database: Database, source: int, into: int) -> None:
    """Give the events of a profile to another one, as a merge does."""
    with database.transaction() as connection:
        connection.execute(insert(MERGES).values(from_id=source, into_id=into, merged_at=NOW))
        connection.execute(
            EVENTS.update().where(EVENTS.c.profile_id == source).values(profile_id=into)
        )


def profile_row(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "uid": f"P{number}",
        "properties": "{}",
        "created_at": NOW,
        "updated_at": NOW,
    }


def metric_row(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "uid": f"M{number:05}",
        "name": f"Metric {number}",
        "integration": "API",
        "created_at": NOW,
    }


def event_row(row: Row) -> dict[str, Any]:
    return {
        "id": row.number,
        "profile_id": row.profile,
        "metric_id": row.metric,
        "at": row.at,
        "value": row.value,
        "properties": json.dumps(row.properties or {}),
        "received_at": row.at,
        "source": 0,
        "keyed": False,
    }

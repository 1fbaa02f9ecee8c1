"""Profiles that become one, and profiles that go. In the caller's `recording.writing`."""

import uuid
from datetime import datetime

from sqlalchemy import Connection, delete, insert, literal, select, text, tuple_, update

from feedd.people.patching import merged
from feedd.people.redaction import personal_values, redacted
from feedd.store import interests, profile_rows
from feedd.store.chunks import drop_chunks, keep_numbers
from feedd.store.database import among, among_value
from feedd.store.people_tables import (
    EVENT_KEYS,
    EVENTS,
    IDENTIFIERS,
    MERGES,
    PROFILES,
)

_PAGE = 1_000


def merge(connection: Connection, source: int, into: int, now: datetime) -> None:
    """Make `source` a part of `into`: its properties fill gaps, its identifiers lead there, its events are that one's.

    Identifiers of the source for which the other has its own are not lost: whoever is known by them is found. Of events that both have,
    the one that was recorded first stays.
    """
    persons = profile_rows.load(connection, [source, into])
    gone, person = persons[source], persons[into]
    person.properties = merged(person.properties, gone.properties)
    for kind, value in gone.known.items():
        person.known.setdefault(kind, value)
    person.updated_at, person.is_changed = now, True
    profile_rows.store(connection, [person])
    if gone.created_at < person.created_at:
        older = update(PROFILES).where(PROFILES.c.id == into)
        connection.execute(older.values(created_at=gone.created_at))
    connection.execute(
        update(IDENTIFIERS).where(IDENTIFIERS.c.profile_id == source).values(profile_id=into)
    )
    _move_events(connection, source, into, now)
    interests.move(connection, source, into)
    connection.execute(delete(PROFILES).where(PROFILES.c.id == source))
    connection.execute(insert(MERGES).values(from_id=source, into_id=into, merged_at=now))


def _move_events(connection: Connection, source: int, into: int, now: datetime) -> None:
    repeated = _drop_keys(connection, source, into) + _repeated_seconds(connection, source, into)
    if repeated:
        chosen = {"values": among_value(connection, repeated)}
        connection.execute(delete(EVENTS).where(text(among(connection, "events.id"))), chosen)
        drop_chunks(connection, repeated)
        keep_numbers(connection, repeated, now)
    for table in (EVENT_KEYS, EVENTS):
        connection.execute(
            update(table).where(table.c.profile_id == source).values(profile_id=into)
        )


def _drop_keys(connection: Connection, source: int, into: int) -> list[int]:
    """Where both profiles have an event with one unique id, let that of the later event go; the numbers of these events."""
    ours, theirs = EVENT_KEYS.alias("ours"), EVENT_KEYS.alias("theirs")
    query = select(
        ours.c.metric_id, ours.c.key, ours.c.event_id.label("old"), theirs.c.event_id.label("new")
    ).where(
        theirs.c.profile_id == source,
        ours.c.profile_id == into,
        ours.c.metric_id == theirs.c.metric_id,
        ours.c.key == theirs.c.key,
    )
    later = []
    for row in connection.execute(query).all():
        loser = source if row.new > row.old else into
        connection.execute(
            delete(EVENT_KEYS).where(
                EVENT_KEYS.c.profile_id == loser,
                EVENT_KEYS.c.metric_id == row.metric_id,
                EVENT_KEYS.c.key == row.key,
            )
        )
        later.append(max(row.old, row.new))
    return later


def _repeated_seconds(connection: Connection, source: int, into: int) -> list[int]:
    """The later ones of events without a unique id that both profiles have in one second."""
    ours, theirs = EVENTS.alias("ours"), EVENTS.alias("theirs")
    query = select(ours.c.id, theirs.c.id).where(
        theirs.c.profile_id == source,
        ours.c.profile_id == into,
        ours.c.metric_id == theirs.c.metric_id,
        ours.c.at == theirs.c.at,
        ~ours.c.keyed,
        ~theirs.c.keyed,
    )
    return [max(pair) for pair in connection.execute(query)]


def redact(connection: Connection, number: int, now: datetime) -> int:
    """Have a profile be nobody's: nothing of the person is left, and their events name nobody; how many events that is.

    A new person with the same address begins anew.
    """
    persons = profile_rows.load(connection, [number])
    person = persons[number]
    identifiers = connection.execute(
        select(IDENTIFIERS.c.value).where(IDENTIFIERS.c.profile_id == number)
    ).scalars()
    values = personal_values([*identifiers, *person.known.values()], person.properties)
    changed = _redact_events(connection, number, values)
    connection.execute(delete(IDENTIFIERS).where(IDENTIFIERS.c.profile_id == number))
    interests.forget(connection, number)
    connection.execute(
        update(PROFILES)
        .where(PROFILES.c.id == number)
        .values(
            email=f"redacted.{uuid.uuid4()}@example.com",
            phone_number=None,
            external_id=None,
            properties="{}",
            updated_at=now,
            redacted_at=now,
        )
    )
    return changed


def _redact_events(connection: Connection, number: int, values: frozenset[str]) -> int:
    changed: list[int] = []
    position = (-(1 << 62), 0)
    while True:
        page = connection.execute(
            select(EVENTS.c.id, EVENTS.c.at, EVENTS.c.properties)
            .where(
                EVENTS.c.profile_id == number,
                tuple_(EVENTS.c.at, EVENTS.c.id) > tuple_(*map(literal, position)),
            )
            .order_by(EVENTS.c.at, EVENTS.c.id)
            .limit(_PAGE)
        ).all()
        for row in page:
            properties = redacted(row.properties, values)
            if properties != row.properties:
                connection.execute(
                    update(EVENTS).where(EVENTS.c.id == row.id).values(properties=properties)
                )
                changed.append(row.id)
        if len(page) < _PAGE:
            break
        position = (page[-1].at, page[-1].id)
    drop_chunks(connection, changed)
    return len(changed)

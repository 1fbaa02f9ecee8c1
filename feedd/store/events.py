"""Events as they are read: timelines, a page at a time, and single ones.

A page goes on behind an exact position, (`at`, number) of the last event before it, so that none is shown twice or left out
whatever is recorded meanwhile, and a late page costs what the first one does. The timeline of everything has no index of its
own: it is put together from those of the metrics, of which there are a few hundred at most.
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from msgspec import Raw, Struct
from sqlalchemy import func, select, text

from feedd.people.values import Event, Source
from feedd.store.database import Database, among, among_value
from feedd.store.people_tables import EVENTS, METRICS

MOST_EVENTS = 1_000  # in a page
MOST_BYTES = 16 * 1024 * 1024  # of their properties: each may have 5 MB
_AT_ONCE = 25
_METRICS_AT_ONCE = 100  # in a statement: SQLite takes 500

# RFC 9562 5.1: ticks of 100 ns since the Gregorian calendar began
_TICKS_S = 10_000_000
_GREGORIAN_S = 12_219_292_800
_NODE_BITS = 40
_MULTICAST = 1 << _NODE_BITS  # RFC 9562 6.10: the node is no network card's

_ROWS = """
SELECT events.id, events.at, events.value, events.properties, events.source,
  metrics.name AS metric, metrics.uid AS metric_id, profiles.uid AS profile
FROM ({chosen}) AS chosen JOIN events ON events.id = chosen.id
  JOIN metrics ON metrics.id = events.metric_id JOIN profiles ON profiles.id = events.profile_id
ORDER BY chosen.at {order}, chosen.id {order}
"""


class Position(NamedTuple):
    """Where an event stands in a timeline: Unix seconds, and the number of the event."""

    at: int
    number: int


class Page(Struct, frozen=True, kw_only=True):
    """Part of a timeline. `next` is where the next page begins; null at the end."""

    events: list[Event]
    next: Position | None = None


def read_timeline(
    database: Database,
    *,
    profile: int | None = None,
    metric: int | Sequence[int] | None = None,
    since: int | None = None,
    before: int | None = None,
    after: Position | None = None,
    oldest_first: bool = False,
    limit: int = 100,
) -> Page:
    """Events of a profile, of a metric or some, of both or of everybody; the newest first unless asked otherwise.

    `profile` and `metric` are the numbers of rows; who asks has followed merges. `since` (with it) and `before` (without it) are
    Unix seconds. `after` is the `next` of the page before, in the same order. At most MOST_EVENTS, and fewer where they are large.
    """
    limit = max(1, min(limit, MOST_EVENTS))
    order = "ASC" if oldest_first else "DESC"
    conditions, bound = _conditions(profile, since, before, after, oldest_first)
    bound["limit"] = limit + 1
    with database.snapshot(by_key=True) as connection:
        metrics = None if metric is None else [metric] if isinstance(metric, int) else metric
        if metrics is not None and len(metrics) == 1:
            chosen = _choice([*conditions, f"metric_id = {int(metrics[0])}"], order)
        elif profile is None:
            if metrics is None:
                metrics = connection.execute(select(METRICS.c.id)).scalars().all()
            chosen = _newest_of_each(metrics, conditions, order)
        else:
            if metrics is not None:
                listed = ", ".join(str(int(number)) for number in metrics) or "NULL"
                conditions.append(f"metric_id IN ({listed})")
            chosen = _choice(conditions, order)
        statement = text(_ROWS.format(chosen=chosen, order=order))
        # a few are asked for at once: a cursor costs PostgreSQL another message or two
        options = {"yield_per": _AT_ONCE} if limit >= _AT_ONCE else {}
        with connection.execute(statement, bound, execution_options=options) as found:
            rows, more = _page_of(found, limit)
    return Page(
        events=[_event_of(row) for row in rows],
        next=Position(rows[-1].at, rows[-1].id) if more else None,
    )


def _page_of(found: Iterable[Any], limit: int) -> tuple[list[Any], bool]:
    """The rows of a page, and whether more follow."""
    rows: list[Any] = []
    left = MOST_BYTES
    for row in found:
        if len(rows) == limit or left <= 0:
            return rows, True
        rows.append(row)
        left -= len(row.properties)
    return rows, False


def read_recorded(
    database: Database, *, behind: int, metric: int | None = None, limit: int = MOST_EVENTS
) -> list[Event]:
    """Events in the order in which they were recorded, behind a number; of one metric if one is given."""
    only = "" if metric is None else " AND metric_id = :metric"
    chosen = f"SELECT id, id AS at FROM events WHERE id > :behind{only} ORDER BY id LIMIT :limit"  # noqa: S608
    bound = {"behind": behind, "limit": limit} | ({} if metric is None else {"metric": metric})
    with database.snapshot(by_key=True) as connection:
        rows = connection.execute(text(_ROWS.format(chosen=chosen, order="ASC")), bound).all()
    return [_event_of(row) for row in rows]


def last_number(database: Database) -> int:
    """The number of the event that was recorded last; 0 where there is none."""
    with database.connect() as connection:
        return connection.execute(select(func.max(EVENTS.c.id))).scalar() or 0


def read_event(database: Database, number: int) -> Event | None:
    """One event by its number, or None."""
    chosen = "SELECT id, at FROM events WHERE id = :number"
    statement = text(_ROWS.format(chosen=chosen, order="ASC"))
    with database.snapshot(by_key=True) as connection:
        row = connection.execute(statement, {"number": number}).one_or_none()
    return None if row is None else _event_of(row)


def read_event_by_uuid(database: Database, given: str) -> Event | None:
    """One event by its uuid, or None; what is no uuid of an event is none."""
    position = position_of_uuid(given)
    found = None if position is None else read_event(database, position.number)
    return found if found is not None and found.uuid == str(uuid.UUID(given)) else None


def read_last_event_at(database: Database, profiles: Sequence[int]) -> dict[int, datetime]:
    """When each of some profiles did something last, by the numbers of the profiles; those who did nothing are not in it."""
    last = select(func.max(EVENTS.c.at)).where(EVENTS.c.profile_id == text("profiles.id"))
    statement = f"SELECT id, ({last}) AS last FROM profiles WHERE {{}}"  # noqa: S608 our own names
    with database.snapshot(by_key=True) as connection:
        condition = among(connection, "id")
        rows = connection.execute(
            text(statement.format(condition)), {"values": among_value(connection, profiles)}
        ).all()
    return {row.id: _utc(row.last) for row in rows if row.last is not None}


def uuid_of(position: Position) -> str:
    """The uuid of an event: version 1 of RFC 9562 in form, made of its time and its number alone."""
    ticks = (position.at + _GREGORIAN_S) * _TICKS_S
    low, high = position.number & (_MULTICAST - 1), position.number >> _NODE_BITS
    return str(
        uuid.UUID(
            fields=(
                ticks & 0xFFFFFFFF,
                ticks >> 32 & 0xFFFF,
                ticks >> 48 & 0x0FFF | 0x1000,
                high >> 8 & 0x3F | 0x80,
                high & 0xFF,
                _MULTICAST | low,
            )
        )
    )


def position_of_uuid(given: str) -> Position | None:
    """The event that a uuid would be of, or None: the inverse of `uuid_of`."""
    try:
        read = uuid.UUID(given)
    except ValueError:
        return None
    number = read.clock_seq << _NODE_BITS | read.node & (_MULTICAST - 1)
    position = Position(read.time // _TICKS_S - _GREGORIAN_S, number)
    return position if uuid_of(position) == str(read) else None


def _conditions(
    profile: int | None,
    since: int | None,
    before: int | None,
    after: Position | None,
    oldest_first: bool,
) -> tuple[list[str], dict[str, Any]]:
    conditions: list[str] = []
    bound: dict[str, Any] = {}
    for condition, name, value in (
        ("profile_id = :profile", "profile", profile),
        ("at >= :since", "since", since),
        ("at < :before", "before", before),
    ):
        if value is not None:
            conditions.append(condition)
            bound[name] = value
    if after is not None:
        conditions.append(f"(at, id) {'>' if oldest_first else '<'} (:after_at, :after_number)")
        bound |= {"after_at": after.at, "after_number": after.number}
    return conditions, bound


def _choice(conditions: Sequence[str], order: str) -> str:
    where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
    return f"SELECT id, at FROM events {where}ORDER BY at {order}, id {order} LIMIT :limit"  # noqa: S608 our own names


def _newest_of_each(metrics: Sequence[int], conditions: list[str], order: str) -> str:
    """What chooses the first of some metrics together, from the first of each."""
    parts = []
    for number in metrics:
        one = _choice([f"metric_id = {int(number)}", *conditions], order)
        parts.append(f"SELECT * FROM ({one}) AS of_{int(number)}")  # noqa: S608 our own names
    while len(parts) > 1:
        some, parts = parts[:_METRICS_AT_ONCE], parts[_METRICS_AT_ONCE:]
        together = f"({' UNION ALL '.join(some)}) AS some_{len(parts)}"
        parts.append(
            f"SELECT * FROM (SELECT * FROM {together} ORDER BY at {order}, id {order} LIMIT :limit) AS first_{len(parts)}"  # noqa: S608
        )
    return parts[0] if parts else _choice(["1 = 0"], order)


def _event_of(row: Any) -> Event:
    return Event(
        number=row.id,
        uuid=uuid_of(Position(row.at, row.id)),
        metric=row.metric,
        metric_id=row.metric_id,
        profile=row.profile,
        at=_utc(row.at),
        value=row.value,
        sent=Raw(row.properties),
        source=Source(row.source),
    )


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

"""Who wants to know of which item: kept beside the events that say so, in their transactions.

A row is the newest event of a profile by which a rule holds (or, under the rule's name and `.until`, by which it ends) for
one item: what `people.interest.named_items` says of it. So rows can be made from events at any time.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, delete, literal, select, text, tuple_

from feedd.store import cursors
from feedd.store.database import Database, among, among_value
from feedd.store.people_tables import EVENTS, INTERESTS, MERGES, METRICS, PROFILES

Row = tuple[str, str, int, int]  # kept as, item, profile, at (Unix seconds)

_KEPT_POSTGRES = "SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[])"
_ENTER = (
    "INSERT INTO interests (rule, item_id, profile_id, at) {source} "
    "ON CONFLICT (rule, item_id, profile_id) DO UPDATE SET at = excluded.at WHERE interests.at < excluded.at"
)
_NAMED = "SELECT item_id, count(*) FROM interests WHERE rule = :rule AND {items} GROUP BY item_id"
# who may want to know: the newest event for it is not too old, and newer than what ends it; whoever was told is left out. One that is
# younger than the change says nothing of those before it, which have to be looked for
_AUDIENCE = text("""
SELECT wish.profile_id, profiles.uid, wish.wished_at, wish.ended_at FROM (
  SELECT profile_id, max(CASE WHEN rule = :rule THEN at END) AS wished_at, max(CASE WHEN rule = :until THEN at END) AS ended_at
  FROM interests
  WHERE item_id IN (:plain, :full) AND rule IN (:rule, :until)
    AND profile_id > :after AND profile_id <= :upto
  GROUP BY profile_id
) AS wish JOIN profiles ON profiles.id = wish.profile_id
WHERE wish.wished_at >= :earliest AND (wish.ended_at IS NULL OR wish.wished_at > wish.ended_at)
  AND profiles.redacted_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM event_keys
    WHERE event_keys.profile_id = wish.profile_id AND event_keys.metric_id = :metric AND event_keys.key = :key
  )
ORDER BY wish.profile_id
""")
_LAST = 2**62


class Wish(NamedTuple):
    """What somebody may want to know of: an item by both its names, by a rule and what ends it.

    `earliest` is the time, in Unix seconds, before which nothing counts. Whoever has an event of the metric `told_by` with the
    key `key` was told.
    """

    rule: str
    until: str
    names: tuple[str, str]
    earliest: int
    told_by: int
    key: int


class Interested(NamedTuple):
    """Somebody who wants to know: the number and id of the profile, when it last said so, and when it last said the opposite."""

    number: int
    uid: str
    wished_at: int
    ended_at: int | None


def enter(connection: Connection, rows: Iterable[Row]) -> None:
    """Keep what events name; of several that say the same, the newest counts. In the caller's `recording.writing`."""
    newest: dict[tuple[str, str, int], int] = {}
    for rule, item, profile, at in rows:
        key = (rule, item, profile)
        newest[key] = max(at, newest.get(key, at))
    if not newest:
        return
    listed = [(*key, at) for key, at in sorted(newest.items())]
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_ENTER.format(source="VALUES (?, ?, ?, ?)"), listed)
    else:
        columns = tuple(list(column) for column in zip(*listed, strict=True))
        connection.exec_driver_sql(_ENTER.format(source=_KEPT_POSTGRES), columns)


def move(connection: Connection, from_profile: int, into_profile: int) -> None:
    """What a profile wants to know is another's from now on, which it is merged into."""
    gone = delete(INTERESTS).where(INTERESTS.c.profile_id == from_profile)
    rows = connection.execute(
        gone.returning(INTERESTS.c.rule, INTERESTS.c.item_id, INTERESTS.c.at)
    ).all()
    if rows:
        enter(connection, [(row.rule, row.item_id, into_profile, row.at) for row in rows])
        cursors.go_back(connection, into_profile)


def forget(connection: Connection, profile: int) -> None:
    """A profile wants to know of nothing any more."""
    connection.execute(delete(INTERESTS).where(INTERESTS.c.profile_id == profile))


def is_wanted(database: Database, *kept_as: str) -> bool:
    """Whether anything is kept under some names: whether anybody wants to know of anything."""
    query = select(INTERESTS.c.at).where(INTERESTS.c.rule.in_(kept_as)).limit(1)
    with database.connect() as connection:
        return connection.execute(query).first() is not None


def named(database: Database, rule: str, names: Collection[str]) -> dict[str, int]:
    """Those of some items' names that somebody wants to know of by a rule, and how many that may be."""
    with database.connect() as connection:
        query = _NAMED.format(items=among(connection, "item_id", "items"))
        values = {"rule": rule, "items": among_value(connection, list(names))}
        return {row[0]: row[1] for row in connection.execute(text(query), values)}


def audience(
    connection: Connection, wish: Wish, *, after: int, limit: int | None
) -> tuple[list[Interested], int | None]:
    """Who wants to know and was not told, in the order of their numbers, of those above `after`.

    Looks at `limit` profiles for each name of the item, or at all; gives the number up to which it looked, None where that was all.
    """
    reached = None if limit is None else _place(connection, wish, after, limit)
    plain, full = wish.names
    values = {
        "plain": plain,
        "full": full,
        "rule": wish.rule,
        "until": wish.until,
        "earliest": wish.earliest,
        "metric": wish.told_by,
        "key": wish.key,
        "after": after,
        "upto": _LAST if reached is None else reached,
    }
    people = [Interested(*row) for row in connection.execute(_AUDIENCE, values)]
    return people, reached


def _place(connection: Connection, wish: Wish, after: int, limit: int) -> int | None:
    """The number of the profile in that place of those that may want to know; None where they are fewer."""
    query = (
        select(INTERESTS.c.profile_id)
        .where(INTERESTS.c.rule == wish.rule, INTERESTS.c.profile_id > after)
        .order_by(INTERESTS.c.profile_id)
        .offset(limit - 1)
        .limit(1)
    )
    places = [
        connection.execute(query.where(INTERESTS.c.item_id == name)).scalar()
        for name in set(wish.names)
    ]
    return min((place for place in places if place is not None), default=None)


def said_until(
    connection: Connection, profile: int, metrics: Sequence[str], *, earliest: int, latest: int
) -> Iterator[tuple[str, int, str]]:
    """The events of a profile by some metrics between two times: (metric, at, properties), the newest first."""
    query = (
        select(METRICS.c.name, EVENTS.c.at, EVENTS.c.properties)
        .join(METRICS, METRICS.c.id == EVENTS.c.metric_id)
        .where(EVENTS.c.profile_id == profile, EVENTS.c.at.between(earliest, latest))
        .where(METRICS.c.name.in_(metrics))
        .order_by(EVENTS.c.at.desc())
    )
    for row in connection.execute(query):
        yield row.name, row.at, row.properties


def metric_number(connection: Connection, name: str) -> int:
    """The number of a metric; -1 where there is none of that name."""
    number = connection.execute(select(METRICS.c.id).where(METRICS.c.name == name)).scalar()
    return -1 if number is None else int(number)


def said_by_metric(
    database: Database, metric: str, after: tuple[int, int], limit: int
) -> list[tuple[int, int, int, str]]:
    """Events of a metric: (at, id, profile, properties), in that order, after a time and an id."""
    query = (
        select(EVENTS.c.at, EVENTS.c.id, EVENTS.c.profile_id, EVENTS.c.properties)
        .where(
            EVENTS.c.metric_id
            == select(METRICS.c.id).where(METRICS.c.name == metric).scalar_subquery()
        )
        .where(
            EVENTS.c.at >= after[0], tuple_(EVENTS.c.at, EVENTS.c.id) > tuple_(*map(literal, after))
        )
        .order_by(EVENTS.c.at, EVENTS.c.id)
        .limit(limit)
    )
    with database.connect() as connection:
        return [
            (row.at, row.id, row.profile_id, row.properties) for row in connection.execute(query)
        ]


def enter_again(connection: Connection, rows: Sequence[Row]) -> None:
    """Keep what stored events name that were read before this transaction: their profiles may be merged by now, or gone."""
    leads = {row[2]: row[2] for row in rows}
    while True:
        here = _chosen(
            connection, select(PROFILES.c.id, PROFILES.c.redacted_at), "profiles.id", leads.values()
        )
        lost = [number for number in leads.values() if number not in here]
        query = select(MERGES.c.from_id, MERGES.c.into_id)
        merged = _chosen(connection, query, "merges.from_id", lost) if lost else {}
        if not merged:
            break
        leads = {number: merged.get(lead, lead) for number, lead in leads.items()}
    kept = {number: lead for number, lead in leads.items() if here.get(lead, "gone") is None}
    enter(connection, [(rule, item, kept[p], at) for rule, item, p, at in rows if p in kept])


def _chosen(
    connection: Connection, query: Select[Any], column: str, values: Iterable[int]
) -> dict[int, Any]:
    """The pairs of a query where a column is one of some values."""
    bound = {"values": among_value(connection, sorted(set(values)))}
    rows = connection.execute(query.where(text(among(connection, column))), bound)
    return {row[0]: row[1] for row in rows}


def drop(connection: Connection, kept_as: Sequence[str], limit: int) -> None:
    """Forget some of what is kept under some names."""
    columns = INTERESTS.c.rule, INTERESTS.c.item_id, INTERESTS.c.profile_id
    some = connection.execute(select(*columns).where(INTERESTS.c.rule.in_(kept_as)).limit(limit))
    _delete(connection, [tuple(row) for row in some])


def old_ones(
    database: Database, kept_as: str, after: tuple[str, int], before: int, limit: int
) -> tuple[list[tuple[str, str, int]], tuple[str, int] | None]:
    """Look through some of what is kept under a name, after an item and profile: what is older than a time, and where that ended."""
    columns = INTERESTS.c.item_id, INTERESTS.c.profile_id
    query = (
        select(*columns, INTERESTS.c.at)
        .where(INTERESTS.c.rule == kept_as, tuple_(*columns) > tuple_(*map(literal, after)))
        .order_by(*columns)
        .limit(limit)
    )
    with database.connect() as connection:
        rows = connection.execute(query).all()
    old = [(kept_as, row.item_id, row.profile_id) for row in rows if row.at < before]
    return old, (rows[-1].item_id, rows[-1].profile_id) if len(rows) == limit else None


def drop_old(connection: Connection, rows: Sequence[tuple[str, str, int]], before: int) -> None:
    """Forget those of some that are still older than a time."""
    _delete(connection, rows, before)


def _delete(
    connection: Connection, rows: Sequence[tuple[str, str, int]], before: int | None = None
) -> None:
    """Delete rows by their keys, those only that are older than a time if one is given."""
    if not rows:
        return
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    statement = (
        f"DELETE FROM interests WHERE rule = {mark} AND item_id = {mark} AND profile_id = {mark}"  # noqa: S608
    )
    if before is not None:
        statement += f" AND at < {int(before)}"
    connection.exec_driver_sql(statement, [tuple(row) for row in rows])

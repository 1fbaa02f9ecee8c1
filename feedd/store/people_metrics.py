"""The metrics of an account: the names of what people do. There are a few hundred at most."""

from typing import Any, NamedTuple

from sqlalchemy import or_, select, text

from feedd.people.values import Metric
from feedd.store.database import Database
from feedd.store.people_tables import METRICS

DAY_S = 86_400
# from the index alone, and no more than a count of all of it: half a second for ten million events
_ALL = "SELECT metric_id, count(*) AS events FROM events GROUP BY metric_id"
_OF_METRIC = "(SELECT {} FROM events WHERE metric_id = metrics.id AND at >= :{}) AS {}"
_NEWEST = f"""
SELECT id, {_OF_METRIC.format("count(*)", "day", "day")}, {_OF_METRIC.format("count(*)", "week", "week")},
  {_OF_METRIC.format("max(at)", "first", "last")}
FROM metrics
"""  # noqa: S608 our own names


class Activity(NamedTuple):
    """How many events a metric has, in all and of late, and when the last one was, in Unix seconds."""

    events: int
    day: int
    week: int
    last: int


def read_metrics(database: Database) -> list[Metric]:
    """All metrics, the oldest first."""
    with database.connect() as connection:
        rows = connection.execute(select(METRICS).order_by(METRICS.c.id)).all()
    return [_metric_of(row) for row in rows]


def find_metric(database: Database, named: str) -> Metric | None:
    """The metric with that id or, if there is none, with that name, exactly."""
    if not named.isprintable():  # PostgreSQL takes no NUL
        return None
    query = select(METRICS).where(or_(METRICS.c.uid == named, METRICS.c.name == named))
    with database.connect() as connection:
        found = {row.uid == named: row for row in connection.execute(query)}
    row = found.get(True, found.get(False))
    return None if row is None else _metric_of(row)


def read_activity(database: Database, now: int) -> dict[int, Activity]:
    """How much happens, by the numbers of the metrics; of those that nothing was recorded of, nothing."""
    since = {"day": now - DAY_S, "week": now - 7 * DAY_S, "first": 0}
    with database.snapshot() as connection:
        counted = connection.execute(text(_ALL)).all()
        recent = {row.id: row for row in connection.execute(text(_NEWEST), since)}
    return {
        row.metric_id: Activity(row.events, of.day, of.week, of.last)
        for row in counted
        for of in [recent[row.metric_id]]
    }


def _metric_of(row: Any) -> Metric:
    return Metric(
        id=row.uid,
        number=row.id,
        name=row.name,
        integration=row.integration,
        created_at=row.created_at,
    )

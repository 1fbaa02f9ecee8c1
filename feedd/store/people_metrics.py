"""The metrics of an account: the names of what people do. There are a few hundred at most."""

from typing import Any

from sqlalchemy import or_, select

from feedd.people.values import Metric
from feedd.store.database import Database
from feedd.store.people_tables import METRICS


def read_metrics(database: Database) -> list[Metric]:
    """All metrics, the oldest first."""
    with database.connect() as connection:
        rows = connection.execute(select(METRICS).order_by(METRICS.c.id)).all()
    return [_metric_of(row) for row in rows]


def find_metric(database: Database, named: str) -> Metric | None:
    """The metric with that id or, if there is none, with that name, exactly."""
    query = select(METRICS).where(or_(METRICS.c.uid == named, METRICS.c.name == named))
    with database.connect() as connection:
        found = {row.uid == named: row for row in connection.execute(query)}
    row = found.get(True, found.get(False))
    return None if row is None else _metric_of(row)


def _metric_of(row: Any) -> Metric:
    return Metric(
        id=row.uid,
        number=row.id,
        name=row.name,
        integration=row.integration,
        created_at=row.created_at,
    )

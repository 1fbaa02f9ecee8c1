"""The numbers of metrics by their names; a metric is made when it is first heard of, and never deleted."""

import secrets
import string
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from feedd.store.people_tables import METRICS

DEFAULT_INTEGRATION = "API"
_ALPHABET = string.ascii_letters + string.digits


class MetricIds:
    """Numbers of metrics, remembered. `keep` those of a transaction once it is committed, `forget` them if it is not."""

    def __init__(self) -> None:
        self._kept: dict[str, int] = {}
        self._fresh: dict[str, int] = {}

    def find(
        self,
        connection: Connection,
        name: str,
        now: datetime,
        *,
        most: int | None = None,
        service: str | None = None,
    ) -> int | None:
        """The number of a metric, which is made if need be; None if it would be, and there are `most` of them already.

        One that is made is of the integration `service`.
        """
        number = self._kept.get(name) or self._fresh.get(name)
        if number is None:
            number = _stored(connection, name)
            if number is None:
                if most is not None and _count(connection) >= most:
                    return None
                number = _made(connection, name, service or DEFAULT_INTEGRATION, now)
            self._fresh[name] = number
        return number

    def keep(self) -> None:
        """What was found is there for good."""
        self._kept |= self._fresh
        self._fresh = {}

    def forget(self) -> None:
        """What was made is not there."""
        self._fresh = {}


def _stored(connection: Connection, name: str) -> int | None:
    found = connection.execute(select(METRICS.c.id).where(METRICS.c.name == name)).scalar()
    return None if found is None else int(found)


def _count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(METRICS)).scalar_one())


def _made(connection: Connection, name: str, integration: str, now: datetime) -> int:
    while True:
        uid = "".join(secrets.choice(_ALPHABET) for _ in range(6))
        values = {"uid": uid, "name": name, "integration": integration, "created_at": now}
        if connection.execute(select(METRICS.c.id).where(METRICS.c.uid == uid)).first() is None:
            made = connection.execute(insert(METRICS).values(**values).returning(METRICS.c.id))
            return int(made.scalar_one())

"""Messages to webhooks that wait or are dead, in the people database; one that was delivered is not kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, Select, delete, func, insert, literal, select, update

from feedd.errors import NotFound
from feedd.messages import Message
from feedd.model import Delivery
from feedd.store.database import Database
from feedd.store.tables import DELIVERIES

MOST_DEAD = 1_000  # of one webhook; the oldest go
MOST_WAITING = 1_000
WAITING, DEAD = "waiting", "dead"
# messages of the first two lanes go one after another; those of the others wait for none
CHANGES, SYNCS, ALERTS, REPLAYS = "changes", "syncs", "alerts", "replays"
IN_ORDER = (CHANGES, SYNCS)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be sent."""

    id: int
    lane: str
    message: str
    type: str
    body: str
    tries: int
    next_try_at: datetime


def enqueue(connection: Connection, name: str, lane: str, message: Message, now: datetime) -> None:
    """Store a message that no cursor leads to, once; beyond what may wait it is dead at once."""
    waiting = _count(connection, name, WAITING)
    known = connection.execute(
        select(DELIVERIES.c.id).where(
            DELIVERIES.c.webhook == name, DELIVERIES.c.message_id == message.id
        )
    ).scalar()
    if known is None:
        add(connection, name, lane, message, now, full=waiting >= MOST_WAITING)


def add(
    connection: Connection,
    name: str,
    lane: str,
    message: Message,
    now: datetime,
    *,
    full: bool = False,
) -> None:
    """Store a message; one that comes when it is `full` is dead."""
    connection.execute(
        insert(DELIVERIES).values(
            webhook=name,
            lane=lane,
            message_id=message.id,
            type=message.type,
            body=message.body,
            first_seq=message.first_seq,
            last_seq=message.last_seq,
            status=DEAD if full else WAITING,
            tries=0,
            created_at=now,
            next_try_at=None if full else now,
            reason=f"{MOST_WAITING} messages were waiting already" if full else None,
            ended_at=now if full else None,
        )
    )
    if full:
        prune(connection, name)


def due(database: Database, name: str) -> list[Waiting]:
    """The messages that may be sent next, the oldest first; of a lane with an order its first only."""
    columns = (DELIVERIES.c.id, DELIVERIES.c.lane, DELIVERIES.c.tries, DELIVERIES.c.next_try_at,
               DELIVERIES.c.message_id.label("message"), DELIVERIES.c.type, DELIVERIES.c.body)  # fmt: skip
    mine = (DELIVERIES.c.webhook == name, DELIVERIES.c.status == WAITING)
    found: list[Any] = []
    with database.connect() as connection:
        for lane in IN_ORDER:
            first = select(*columns).where(*mine, DELIVERIES.c.lane == lane)
            found += connection.execute(first.order_by(DELIVERIES.c.id).limit(1)).all()
        soonest = select(*columns).where(*mine, DELIVERIES.c.lane.not_in(IN_ORDER))
        order = (DELIVERIES.c.next_try_at, DELIVERIES.c.id)
        found += connection.execute(soonest.order_by(*order).limit(10)).all()
    return [Waiting(**row._mapping) for row in found]


def list_deliveries(
    database: Database,
    *,
    webhooks: Sequence[str] | None = None,
    status: str | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[Delivery]:
    """Messages that wait or are dead, the oldest first."""
    query = _deliveries().where(DELIVERIES.c.id > literal(after, BigInteger))
    if webhooks is not None:
        query = query.where(DELIVERIES.c.webhook.in_(webhooks))
    if status is not None:
        query = query.where(DELIVERIES.c.status == status)
    with database.connect() as connection:
        rows = connection.execute(query.order_by(DELIVERIES.c.id).limit(limit))
        return [Delivery(**row._mapping) for row in rows]


def counts(database: Database) -> dict[str, tuple[int, int, datetime | None]]:
    """Of each webhook: messages that wait, dead ones, and when the next try is."""
    query = select(
        DELIVERIES.c.webhook,
        DELIVERIES.c.status,
        func.count().label("number"),
        func.min(DELIVERIES.c.next_try_at).label("next"),
    ).group_by(DELIVERIES.c.webhook, DELIVERIES.c.status)
    found: dict[str, tuple[int, int, datetime | None]] = {}
    with database.connect() as connection:
        for row in connection.execute(query):
            waiting, dead, soonest = found.get(row.webhook, (0, 0, None))
            if row.status == WAITING:
                found[row.webhook] = (row.number, dead, row.next)
            else:
                found[row.webhook] = (waiting, row.number, soonest)
    return found


def drop(database: Database, delivery: int, now: datetime) -> Delivery:
    """Give up a message: one that waits is dead, a dead one is deleted. Gives it as it was.

    Raises:
        NotFound: there is no such message.
    """
    with database.transaction() as connection:
        row = connection.execute(_deliveries().where(DELIVERIES.c.id == delivery)).one_or_none()
        if row is None:
            raise NotFound(f"there is no message {delivery} that waits or is dead")
        found = Delivery(**row._mapping)
        mine = DELIVERIES.c.id == delivery
        if found.status == DEAD:
            connection.execute(delete(DELIVERIES).where(mine))
        else:
            values = {"status": DEAD, "reason": "given up by a person", "next_try_at": None}
            connection.execute(update(DELIVERIES).where(mine).values(ended_at=now, **values))
            prune(connection, found.webhook)
    return found


def _deliveries() -> Select[Any]:
    labels = {"message": "message_id", "next_try": "next_try_at"}
    return select(*[DELIVERIES.c[labels.get(n, n)].label(n) for n in Delivery.__struct_fields__])


def same(sent: Waiting) -> tuple[Any, ...]:
    """The row of a message: SQLite gives numbers out again."""
    return DELIVERIES.c.id == sent.id, DELIVERIES.c.message_id == sent.message


def _count(connection: Connection, name: str, status: str) -> int:
    mine = (DELIVERIES.c.webhook == name, DELIVERIES.c.status == status)
    return int(
        connection.execute(select(func.count()).select_from(DELIVERIES).where(*mine)).scalar_one()
    )


def prune(connection: Connection, name: str) -> None:
    """Keep the newest of a webhook's dead messages."""
    dead = (DELIVERIES.c.webhook == name, DELIVERIES.c.status == DEAD)
    newest = select(DELIVERIES.c.id).where(*dead).order_by(DELIVERIES.c.id.desc()).limit(MOST_DEAD)
    connection.execute(delete(DELIVERIES).where(*dead, DELIVERIES.c.id.not_in(newest)))

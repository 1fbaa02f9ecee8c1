"""Webhooks in the people database: where each is in the stream, and who may deliver for it.

A message is stored in the transaction that moves the cursor past what it tells, so that nothing is told twice under
two ids, and nothing is left out. Every step of a worker checks the epoch of its lease.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, delete, insert, select, update

from feedd.errors import NotFound, UsageError
from feedd.messages import Message
from feedd.store.database import Database
from feedd.store.deliveries import CHANGES, DEAD, REPLAYS, WAITING, Waiting, add, prune, same
from feedd.store.leases import may_take, taken
from feedd.store.tables import DELIVERIES, WEBHOOKS

LEASE = timedelta(seconds=60)
GONE = "the receiver answered 410 Gone"


class LeaseLost(Exception):
    """Somebody else delivers for this webhook now, or a person has moved its cursor meanwhile: begin anew."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as it is stored."""

    name: str
    target: str
    stream_id: str
    seq: int | None
    sync_through: int | None
    syncs_taken: tuple[int, ...]
    generation: int
    disabled_at: datetime | None
    delivered: int
    delivered_at: datetime | None
    error: str | None
    failed_at: datetime | None
    lease_epoch: int


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Where what a webhook is told begins; None where it wants nothing of the kind."""

    stream_id: str
    seq: int | None
    sync: int | None


_COLUMNS = [WEBHOOKS.c[name] for name in Endpoint.__struct_fields__]


def register(database: Database, name: str, target: str, start: Start, now: datetime) -> Endpoint:
    """The webhook of that name, made if it is new. One with another address than before is no longer disabled."""
    with database.transaction() as connection:
        if _read(connection, name) is None:
            connection.execute(
                insert_once(database, WEBHOOKS).values(
                    name=name,
                    target=target,
                    stream_id=start.stream_id,
                    seq=start.seq,
                    sync_through=start.sync,
                    syncs_taken="[]",
                    generation=0,
                    registered_at=now,
                    delivered=0,
                    lease_epoch=0,
                )
            )
        else:
            connection.execute(
                update(WEBHOOKS)
                .where(WEBHOOKS.c.name == name, WEBHOOKS.c.target != target)
                .values(target=target, disabled_at=None, error=None, failed_at=None)
            )
        found = _read(connection, name)
    assert found is not None  # noqa: S101 just written
    return found


def insert_once(database: Database, table: Table) -> Any:
    """An insert that leaves the row that another daemon has written meanwhile."""
    if database.sqlite:
        return insert(table).prefix_with("OR IGNORE")
    from sqlalchemy.dialects.postgresql import insert as postgres_insert

    return postgres_insert(table).on_conflict_do_nothing()


def read_endpoints(database: Database) -> dict[str, Endpoint]:
    """Every webhook that was ever registered, by name."""
    with database.connect() as connection:
        return {row.name: _endpoint(row) for row in connection.execute(select(*_COLUMNS))}


def claim(database: Database, name: str, holder: str, now: datetime) -> Endpoint | None:
    """Take the right to deliver for a webhook for a minute; None when another daemon has it, or nothing is there."""
    with database.transaction() as connection:
        row = connection.execute(
            update(WEBHOOKS)
            .where(WEBHOOKS.c.name == name, may_take(WEBHOOKS, holder, now, LEASE))
            .values(taken(WEBHOOKS, holder, now, LEASE))
            .returning(*_COLUMNS)
        ).one_or_none()
    return None if row is None else _endpoint(row)


def read_endpoint(database: Database, name: str) -> Endpoint | None:
    """One webhook, whoever delivers for it; None when it was never registered."""
    with database.connect() as connection:
        return _read(connection, name)


def current(database: Database, endpoint: Endpoint) -> Endpoint:
    """The webhook as it is now. Raises LeaseLost."""
    found = read_endpoint(database, endpoint.name)
    if found is None or found.lease_epoch != endpoint.lease_epoch:
        raise LeaseLost
    return found


def release(database: Database, endpoint: Endpoint) -> None:
    """Let others have it."""
    with database.transaction() as connection:
        connection.execute(_held(endpoint).values(lease_holder=None, lease_until=None))


def advance(
    database: Database,
    endpoint: Endpoint,
    *,
    now: datetime,
    messages: Sequence[tuple[str, Message]] = (),
    **cursor: Any,
) -> None:
    """Move a webhook's cursor and store what follows from that: (lane, message). All of it, or nothing.

    Raises:
        LeaseLost: it is not where it was.
    """
    if "syncs_taken" in cursor:
        cursor["syncs_taken"] = msgspec.json.encode(cursor["syncs_taken"]).decode()
    with database.transaction() as connection:
        moved = connection.execute(
            _held(endpoint)
            .where(WEBHOOKS.c.generation == endpoint.generation)
            .where(WEBHOOKS.c.stream_id == endpoint.stream_id)
            .values(lease_until=now + LEASE, **cursor)
        ).rowcount
        if not moved:
            raise LeaseLost
        for lane, message in messages:
            add(connection, endpoint.name, lane, message, now)


def record_delivered(
    database: Database, endpoint: Endpoint, sent: Waiting, *, now: datetime
) -> None:
    """A message has arrived: it is no longer kept. Raises LeaseLost."""
    with database.transaction() as connection:
        _check(
            connection,
            endpoint,
            now,
            delivered=WEBHOOKS.c.delivered + 1,
            delivered_at=now,
            error=None,
            failed_at=None,
        )
        connection.execute(delete(DELIVERIES).where(*same(sent)))


def record_failed(
    database: Database,
    endpoint: Endpoint,
    sent: Waiting,
    *,
    reason: str,
    http_status: int | None,
    next_try_at: datetime | None,
    now: datetime,
    gone: bool = False,
) -> None:
    """A try has failed: the message waits for the next one, or is dead. `gone` disables the webhook. Raises LeaseLost."""
    with database.transaction() as connection:
        disabled = {"disabled_at": now} if gone else {}
        _check(connection, endpoint, now, error=reason, failed_at=now, **disabled)
        dead = next_try_at is None
        connection.execute(
            update(DELIVERIES)
            .where(*same(sent))
            .values(
                tries=sent.tries + 1,
                status=DEAD if dead else WAITING,
                next_try_at=next_try_at,
                http_status=http_status,
                reason=reason,
                ended_at=now if dead else None,
            )
        )
        if dead:
            prune(connection, endpoint.name)


def replay_since(database: Database, name: str, since: int, stream_id: str) -> None:
    """Tell the changes after a number again.

    Raises:
        UsageError: the webhook has not got that far, or wants no changes.
    """
    with database.transaction() as connection:
        endpoint = _registered(connection, name)
        if endpoint.seq is None or endpoint.stream_id != stream_id or since > endpoint.seq:
            far = "is told no changes" if endpoint.seq is None else f"was told up to {endpoint.seq}"
            raise UsageError(f"webhook {name} {far}: there is nothing after {since} to tell again")
        connection.execute(
            update(WEBHOOKS)
            .where(WEBHOOKS.c.name == name)
            .values(seq=since, generation=WEBHOOKS.c.generation + 1, disabled_at=None)
        )
        connection.execute(
            delete(DELIVERIES).where(
                DELIVERIES.c.webhook == name,
                DELIVERIES.c.lane == CHANGES,
                DELIVERIES.c.status == WAITING,
                DELIVERIES.c.first_seq.is_not(None),
            )
        )


def replay_dead(
    database: Database, name: str, now: datetime, *, delivery: int | None = None
) -> int:
    """Send dead messages again under the ids that they had, all of them or one; how many those are.

    Raises:
        NotFound: there is no such webhook, or no such dead message.
    """
    with database.transaction() as connection:
        _registered(connection, name)
        dead = [DELIVERIES.c.webhook == name, DELIVERIES.c.status == DEAD]
        if delivery is not None:
            dead.append(DELIVERIES.c.id == delivery)
        values = {
            "status": WAITING,
            "lane": REPLAYS,
            "tries": 0,
            "next_try_at": now,
            "ended_at": None,
        }
        number = connection.execute(update(DELIVERIES).where(*dead).values(**values)).rowcount
        if delivery is not None and not number:
            raise NotFound(
                f"webhook {name} has no dead message {delivery}",
                hint=f"`feedd webhook dead {name}` shows them.",
            )
        connection.execute(update(WEBHOOKS).where(WEBHOOKS.c.name == name).values(disabled_at=None))
    return number


def record_answer(database: Database, name: str, error: str | None, now: datetime) -> None:
    """A test has arrived, or has not: one that has enables a disabled webhook."""
    values: dict[str, Any] = {"error": error, "failed_at": now if error else None}
    if error is None:
        values["disabled_at"] = None
    with database.transaction() as connection:
        connection.execute(update(WEBHOOKS).where(WEBHOOKS.c.name == name).values(**values))


def _registered(connection: Connection, name: str) -> Endpoint:
    found = _read(connection, name)
    if found is None:
        raise NotFound(f"there is no webhook {name!r}", hint="`feedd webhook list` shows them.")
    return found


def _read(connection: Connection, name: str) -> Endpoint | None:
    row = connection.execute(select(*_COLUMNS).where(WEBHOOKS.c.name == name)).one_or_none()
    return None if row is None else _endpoint(row)


def _endpoint(row: Any) -> Endpoint:
    values = dict(row._mapping)
    values["syncs_taken"] = tuple(msgspec.json.decode(values["syncs_taken"], type=list[int]))
    return Endpoint(**values)


def _held(endpoint: Endpoint) -> Any:
    return update(WEBHOOKS).where(
        WEBHOOKS.c.name == endpoint.name, WEBHOOKS.c.lease_epoch == endpoint.lease_epoch
    )


def _check(connection: Connection, endpoint: Endpoint, now: datetime, **values: Any) -> None:
    """Write what is known of a webhook, and hold it for longer. Raises LeaseLost."""
    values["lease_until"] = now + LEASE
    if not connection.execute(_held(endpoint).values(**values)).rowcount:
        raise LeaseLost

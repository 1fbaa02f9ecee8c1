"""What alerts remember of feeds, in the people database: written together with the messages that follow from it."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select, update

from feedd.alerts import Open, Watch
from feedd.messages import Message
from feedd.store.database import Database
from feedd.store.deliveries import ALERTS, enqueue
from feedd.store.tables import WATCHES
from feedd.store.webhooks import insert_once

_decode_open = msgspec.json.Decoder(dict[str, Open]).decode
# the watch as it is now -> the watch to be, and (webhook, message) pairs
Judge = Callable[[Watch], tuple[Watch, Sequence[tuple[str, Message]]]]


def read_watches(database: Database) -> dict[str, Watch]:
    """What is remembered of every feed, by name."""
    with database.connect() as connection:
        return {row.feed: _watch(row) for row in connection.execute(select(WATCHES))}


def step(database: Database, fresh: Watch, judge: Judge, now: datetime) -> None:
    """Judge a feed and store what follows, as one transaction; `fresh` is what is known of a feed that is new.

    Of several daemons one judges at a time.
    """
    with database.transaction() as connection:
        watch = _locked(connection, fresh, database)
        after, messages = judge(watch)
        connection.execute(
            update(WATCHES).where(WATCHES.c.feed == watch.feed).values(**_values(after))
        )
        for webhook, message in messages:
            enqueue(connection, webhook, ALERTS, message, now)


def forget(database: Database, feeds: Collection[str]) -> None:
    """Remember nothing of feeds that are not watched any more."""
    with database.transaction() as connection:
        connection.execute(delete(WATCHES).where(WATCHES.c.feed.in_(list(feeds))))


def _locked(connection: Connection, fresh: Watch, database: Database) -> Watch:
    query = select(WATCHES).where(WATCHES.c.feed == fresh.feed).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is not None:
        return _watch(row)
    connection.execute(insert_once(database, WATCHES).values(feed=fresh.feed, **_values(fresh)))
    return _watch(connection.execute(query).one())


def _values(watch: Watch) -> dict[str, Any]:
    return {
        "watched_at": watch.watched_at,
        "last_success": watch.last_success,
        "failing_since": watch.failing_since,
        "open": msgspec.json.encode(watch.open).decode(),
    }


def _watch(row: Any) -> Watch:
    return Watch(
        feed=row.feed,
        watched_at=row.watched_at,
        last_success=row.last_success,
        failing_since=row.failing_since,
        open=_decode_open(row.open),
    )

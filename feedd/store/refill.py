"""Databases made anew out of the rows of a backup: with the schema it was made with, then brought up to date."""

import re
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, update

from feedd.errors import StoreError
from feedd.model import SyncStatus
from feedd.store.database import Database, bulk_insert
from feedd.store.feeds import INTERRUPTED
from feedd.store.item_ids import enter_all_ids
from feedd.store.migrate import upgrade
from feedd.store.snapshot import Part
from feedd.store.tables import FEEDS, STREAM, SYNCS

_COLUMN = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def refill(
    database: Database,
    connection: Connection,
    revision: str,
    parts: Iterable[Part],
    now: datetime,
) -> None:
    """Fill an empty database with a backup's rows, inside the caller's transaction.

    The change stream gets another id, so that cursors of the history that ends here are refused; nothing runs, and
    nobody has a lease.
    """
    upgrade(database, connection, revision)
    emptied: set[str] = set()
    for part in parts:
        columns, rows = msgspec.msgpack.decode(part.content)
        if not all(isinstance(name, str) and _COLUMN.fullmatch(name) for name in columns):
            raise StoreError(f"the backup names columns of {part.table} that cannot be any")
        if part.table not in emptied:  # migrations may have put rows there
            connection.exec_driver_sql(f"DELETE FROM {part.table}")  # noqa: S608 a name of ours
            emptied.add(part.table)
        plain = [tuple(_stored(value, database) for value in row) for row in rows]
        bulk_insert(connection, part.table, columns, plain)
    if database.name == "catalog":
        _begin_anew(connection, now)
    upgrade(database, connection)
    if database.name == "catalog":
        enter_all_ids(connection)
    if not database.sqlite:
        _set_sequences(connection)


def _stored(value: Any, database: Database) -> Any:
    """A value as the driver takes it: times on SQLite are text without a zone."""
    if isinstance(value, datetime) and database.sqlite:
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return value


def _begin_anew(connection: Connection, now: datetime) -> None:
    connection.execute(update(STREAM).values(stream_id=uuid.uuid4().hex))
    connection.execute(
        update(FEEDS).values(
            lease_holder=None, lease_until=None, lease_epoch=FEEDS.c.lease_epoch + 1
        )
    )
    connection.execute(
        update(SYNCS)
        .where(SYNCS.c.status == SyncStatus.RUNNING)
        .values(status=SyncStatus.FAILED, finished_at=now, error=INTERRUPTED)
    )


def _set_sequences(connection: Connection) -> None:
    """Have PostgreSQL number new rows after those that were brought in."""
    owned = connection.exec_driver_sql(
        "SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name)"
        " FROM information_schema.columns WHERE table_schema = current_schema()"
        " AND pg_get_serial_sequence(quote_ident(table_name), column_name) IS NOT NULL"
    ).all()
    for table, column, sequence in owned:
        connection.exec_driver_sql(
            f"SELECT setval('{sequence}', COALESCE(MAX({column}), 1), MAX({column}) IS NOT NULL)"  # noqa: S608
            f" FROM {table}"
        )

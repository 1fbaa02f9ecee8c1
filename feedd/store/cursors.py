"""How far each rule has read the change stream, in the people database.

What follows from a part of the stream is written in the transaction that moves the cursor past it, after it was seen to be
where it was. So it is written once, whatever is killed when, and however many daemons read on.
"""

from datetime import datetime

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from feedd.store.database import Database
from feedd.store.people_tables import CURSORS


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """All changes up to `seq` are done with; of the next one, all profiles up to the number `position` are."""

    name: str
    stream_id: str
    seq: int
    position: int = 0


class Moved(Exception):
    """Somebody else has moved a cursor meanwhile: begin anew from where it is."""


_COLUMNS = [CURSORS.c[name] for name in Cursor.__struct_fields__]


def read_cursor(database: Database, name: str) -> Cursor | None:
    """A cursor; None where there is none."""
    with database.connect() as connection:
        return find(connection, name)


def find(connection: Connection, name: str) -> Cursor | None:
    """A cursor as it is in a transaction."""
    row = connection.execute(select(*_COLUMNS).where(CURSORS.c.name == name)).one_or_none()
    return None if row is None else Cursor(**row._mapping)


def put(connection: Connection, cursor: Cursor, now: datetime) -> None:
    """Set a cursor, wherever it was, inside the caller's `recording.writing`."""
    remove(connection, cursor.name)
    connection.execute(insert(CURSORS).values(moved_at=now, **msgspec.structs.asdict(cursor)))


def move(connection: Connection, old: Cursor, new: Cursor, now: datetime) -> None:
    """Move a cursor, if it is where it was. Raises Moved."""
    check(connection, old)
    put(connection, new, now)


def check(connection: Connection, cursor: Cursor) -> None:
    """Raise Moved where a cursor is not what it was."""
    if find(connection, cursor.name) != cursor:
        raise Moved


def remove(connection: Connection, name: str) -> None:
    """Forget a cursor."""
    connection.execute(delete(CURSORS).where(CURSORS.c.name == name))


def go_back(connection: Connection, profile: int) -> None:
    """Have every cursor that has passed a profile within its change come to it again: there is news of it."""
    connection.execute(
        update(CURSORS).where(CURSORS.c.position >= profile).values(position=profile - 1)
    )

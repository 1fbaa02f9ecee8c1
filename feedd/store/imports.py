"""How far imports of files are. In the transaction that takes their rows in, so that none is taken twice and none left out."""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from feedd.errors import UsageError
from feedd.people.operations import Counts, ImportState
from feedd.store.people_tables import IMPORTS

KEPT_FOR = timedelta(days=90)  # after the last row


def begin(
    connection: Connection, import_id: str, name: str, now: datetime, *, again: bool
) -> ImportState:
    """How far an import is; it is entered where it is not yet, and taken from the beginning `again` if that is asked for."""
    connection.execute(delete(IMPORTS).where(IMPORTS.c.moved_at < now - KEPT_FOR))
    if again:
        connection.execute(delete(IMPORTS).where(IMPORTS.c.id == import_id))
    row = connection.execute(select(IMPORTS).where(IMPORTS.c.id == import_id)).one_or_none()
    if row is not None:
        return ImportState(
            rows=row.rows,
            counts=msgspec.json.decode(row.counts, type=Counts),
            started_at=row.started_at,
            finished_at=row.finished_at,
        )
    connection.execute(
        insert(IMPORTS).values(
            id=import_id,
            name=name,
            rows=0,
            counts=_text(Counts()),
            started_at=now,
            moved_at=now,
        )
    )
    return ImportState(started_at=now)


def advance(
    connection: Connection,
    import_id: str,
    *,
    begin: int,
    rows: int,
    counts: Counts,
    ended: bool,
    now: datetime,
) -> None:
    """Say that the rows from `begin` to `rows` were taken in, and what became of them.

    Raises:
        UsageError: (`busy`) the import is not at `begin`.
    """
    query = select(IMPORTS.c.rows, IMPORTS.c.counts).where(IMPORTS.c.id == import_id)
    row = connection.execute(query).one_or_none()
    if row is not None and row.rows < begin:
        raise UsageError(
            "the rows before these could not be stored, or the file is being imported by another command",
            code="busy",
            hint=f"{row.rows:,} rows are taken in; the same command goes on behind them.",
        )
    if row is None or row.rows != begin:
        raise UsageError(
            "this file is being imported by another command",
            code="busy",
            hint="Wait for its end; the same command goes on where it was.",
        )
    together = msgspec.json.decode(row.counts, type=Counts).plus(counts)
    values = {"rows": rows, "counts": _text(together), "moved_at": now}
    connection.execute(
        update(IMPORTS)
        .where(IMPORTS.c.id == import_id)
        .values(**values, finished_at=now if ended else None)
    )


def _text(counts: Counts) -> str:
    return msgspec.json.encode(counts).decode()

"""Which daemon has which files in its directory of templates: a template goes when no directory has its file any more.

Daemons that share a database may read directories that differ, for a while or for good. Each says here what its own has, as whole as
that is known. What a daemon has said counts for a week after it was last there.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, delete, insert, select

from feedd.store.database import Database
from feedd.store.people_tables import TEMPLATE_DIRECTORIES

COUNTS_FOR = timedelta(days=7)  # a daemon that has not been there for so long has no files
SAID_AGAIN = timedelta(hours=1)

_decode = msgspec.json.Decoder(frozenset[str]).decode
_encode = msgspec.json.Encoder(order="sorted").encode


class Standing(NamedTuple):
    """What a daemon has, which stored files nobody has, and whether it is written down already."""

    held: frozenset[str]
    gone: frozenset[str]
    is_noted: bool


def standing(
    connection: Connection,
    stored: Collection[str],
    *,
    daemon: str,
    new: Collection[str],
    is_there: Callable[[str], bool] | None,
    now: datetime,
) -> Standing:
    """How things stand with the `stored` files once a daemon has stored the `new` ones.

    `is_there` tells whether a file is in its directory, or may be; None where that is not known.
    """
    rows = {row.daemon: row for row in connection.execute(select(TEMPLATE_DIRECTORIES))}
    known = rows.pop(daemon, None)
    before = _decode(known.files) if known else frozenset()
    held = before if is_there is None else frozenset(filter(is_there, stored))
    held |= set(new)
    others = frozenset[str]().union(
        *(_decode(row.files) for row in rows.values() if now - row.seen_at < COUNTS_FOR)
    )
    gone = frozenset() if is_there is None else frozenset(stored) - held - others
    is_said = known is not None and now - known.seen_at < SAID_AGAIN
    return Standing(held, gone, held == before and (is_said or not held))


def note(connection: Connection, daemon: str, held: Collection[str], now: datetime) -> None:
    """Write down what a daemon has, and forget those that have been away for too long."""
    table = TEMPLATE_DIRECTORIES
    is_old = (table.c.daemon == daemon) | (table.c.seen_at <= now - COUNTS_FOR)
    connection.execute(delete(table).where(is_old))
    if held:
        values = {"daemon": daemon, "seen_at": now, "files": _encode(frozenset(held)).decode()}
        connection.execute(insert(table).values(values))


def has_files(database: Database, daemon: str) -> bool:
    """Whether a daemon has had files until now."""
    table = TEMPLATE_DIRECTORIES
    with database.connect() as connection:
        query = select(table.c.daemon).where(table.c.daemon == daemon)
        return connection.execute(query).first() is not None

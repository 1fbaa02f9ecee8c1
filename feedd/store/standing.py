"""What monitoring asks of the databases: how each feed stands, how far the stream is, how large it all is."""

from datetime import datetime
from pathlib import Path

import msgspec
from sqlalchemy import select

from feedd.model import SyncStatus
from feedd.store.database import Database
from feedd.store.tables import FEEDS, STREAM, SYNCS

_SUCCESSES = (SyncStatus.APPLIED, SyncStatus.UNCHANGED, SyncStatus.HELD)
_SCHEMA_BYTES = """
SELECT COALESCE(SUM(pg_total_relation_size(pg_class.oid)), 0) FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = current_schema() AND relkind = 'r'
"""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a feed stands; `last_success_at` is the end of its last sync that did not fail."""

    name: str
    items: int
    rejected: int
    warnings: int
    held_removals: int
    failures: int
    last_sync_at: datetime | None
    max_age_until: datetime | None
    retry_at: datetime | None
    lease_until: datetime | None
    last_success_at: datetime | None


def read_standings(database: Database) -> tuple[dict[str, Standing], int]:
    """The feeds by name, and the last number of the change stream, in one query."""
    last_success = (
        select(SYNCS.c.finished_at)
        .where(SYNCS.c.feed_id == FEEDS.c.id, SYNCS.c.status.in_(_SUCCESSES))
        .order_by(SYNCS.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    own = [FEEDS.c[name] for name in Standing.__struct_fields__ if name != "last_success_at"]
    query = select(STREAM.c.last_seq, *own, last_success.label("last_success_at")).outerjoin_from(
        STREAM, FEEDS, FEEDS.c.name.is_not(None)
    )
    found = {}
    with database.connect() as connection:
        rows = connection.execute(query).all()
    for row in rows:
        _last_seq, *values = row
        if values[0] is not None:
            standing = Standing(**dict(zip(Standing.__struct_fields__, values, strict=True)))
            found[standing.name] = standing
    return found, int(rows[0].last_seq)


def size_bytes(database: Database) -> int:
    """What a database takes on its disk, its write-ahead log included where that is a file of its own."""
    if database.sqlite:
        path = database.engine.url.database or ""
        files = [Path(path + suffix) for suffix in ("", "-wal")]
        return sum(file.stat().st_size for file in files if file.exists())
    with database.connect() as connection:
        return int(connection.exec_driver_sql(_SCHEMA_BYTES).scalar_one())

"""Web feeds in the catalog database: the last good body of each, how its refreshes went, and who may refresh it now.

A body is written in the transaction that says so, and only by who holds the lease: two daemons on one database, or one that
was paused for long, cannot put an older body in the place of a newer one.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from feedd.errors import SyncStopped, UsageError
from feedd.model import ErrorInfo
from feedd.store.database import Database
from feedd.store.leases import may_take, taken
from feedd.store.migrate import refuse_upgraded
from feedd.store.tables import WEB_FEED_BODIES, WEB_FEEDS
from feedd.store.webhooks import insert_once


class WebFeedState(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a web feed; all None and zero before its first refresh."""

    name: str
    created_at: datetime | None = None
    digest: bytes | None = None
    raw_digest: bytes | None = None
    source_digest: bytes | None = None
    format: str | None = None
    size_bytes: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    fetched_at: datetime | None = None
    changed_at: datetime | None = None
    checked_at: datetime | None = None
    error: ErrorInfo | None = None
    failures: int = 0
    full_fetch_at: datetime | None = None
    max_age_until: datetime | None = None
    retry_at: datetime | None = None
    lease_epoch: int = 0
    lease_holder: str | None = None
    lease_until: datetime | None = None


class WebFeedBody(msgspec.Struct, frozen=True, kw_only=True):
    """The last good body of a web feed: JSON, its digest, and when it was last had from its address, unchanged or not.

    `error` is why the last refresh has failed, None where it has not. Where none has ever succeeded there is nothing but that: the digest is
    empty.
    """

    name: str
    body: bytes = b"null"
    digest: str = ""
    fetched_at: datetime | None = None
    error: ErrorInfo | None

    @property
    def mark(self) -> str:
        """Something that is otherwise once `answer` is."""
        return _mark(self.digest, self.fetched_at, self.error)

    def answer(self) -> bytes:
        """What a template's worker is answered (`feedd.templates.feeds`), as JSON."""
        return msgspec.json.encode(
            {
                "body": msgspec.Raw(self.body),
                "digest": self.digest,
                "fetched_at": self.fetched_at,
                "status": "ok" if self.error is None else "failing",
                "error": None if self.error is None else self.error.message,
            }
        )


class Had(msgspec.Struct, frozen=True, kw_only=True):
    """What a good answer of a web feed tells beside its body."""

    raw_digest: bytes
    source_digest: bytes
    format: str
    etag: str | None
    last_modified: str | None
    full_fetch_at: datetime
    max_age_until: datetime | None


_COLUMNS = [WEB_FEEDS.c[name] for name in WebFeedState.__struct_fields__]


def register(database: Database, names: Collection[str], now: datetime) -> None:
    """Enter the web feeds that are new."""
    known = read_web_feeds(database)
    fresh = [name for name in names if name not in known]
    if not fresh:
        return
    with database.transaction() as connection:
        for name in fresh:
            _enter(database, connection, name, now)


def read_web_feeds(
    database: Database, names: Collection[str] | None = None
) -> dict[str, WebFeedState]:
    """The stored state of web feeds, by name; one that was never registered is not among them."""
    query = select(*_COLUMNS)
    if names is not None:
        query = query.where(WEB_FEEDS.c.name.in_(list(names)))
    with database.connect() as connection:
        return {row.name: _state(row) for row in connection.execute(query)}


def read_web_feed(database: Database, name: str) -> WebFeedBody | None:
    """The last good body of a web feed, or why none was ever had; None where nobody has tried."""
    query = (
        select(
            WEB_FEED_BODIES.c.body,
            WEB_FEED_BODIES.c.digest,
            WEB_FEEDS.c.fetched_at,
            WEB_FEEDS.c.error,
        )
        .join_from(
            WEB_FEEDS, WEB_FEED_BODIES, WEB_FEEDS.c.name == WEB_FEED_BODIES.c.name, isouter=True
        )
        .where(WEB_FEEDS.c.name == name)
    )
    with database.connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None or (row.body is None and row.error is None):
        return None
    if row.body is None:
        return WebFeedBody(name=name, error=_error(row.error))
    return WebFeedBody(
        name=name,
        body=bytes(row.body),
        digest=row.digest.hex(),
        fetched_at=row.fetched_at,
        error=_error(row.error),
    )


def read_marks(database: Database) -> dict[str, str]:
    """The `mark` of all that `read_web_feed` gives something for: quick to ask for, as no body is read."""
    query = select(
        WEB_FEEDS.c.name, WEB_FEEDS.c.digest, WEB_FEEDS.c.fetched_at, WEB_FEEDS.c.error
    ).where(WEB_FEEDS.c.digest.is_not(None) | WEB_FEEDS.c.error.is_not(None))
    with database.connect() as connection:
        return {
            row.name: _mark(
                row.digest.hex() if row.digest else "", row.fetched_at, _error(row.error)
            )
            for row in connection.execute(query)
        }


def claim(
    database: Database, name: str, *, holder: str, lease: timedelta, now: datetime
) -> WebFeedState:
    """Take the right to refresh a web feed; gives what is stored of it.

    Raises:
        UsageError: (`busy`) somebody else is refreshing it.
        StoreError: a newer feedd has upgraded the database.
    """
    with database.transaction() as connection:
        refuse_upgraded(connection, database.name)
        _enter(database, connection, name, now)
        row = connection.execute(
            update(WEB_FEEDS)
            .where(WEB_FEEDS.c.name == name, may_take(WEB_FEEDS, holder, now, lease))
            .values(taken(WEB_FEEDS, holder, now, lease))
            .returning(*_COLUMNS)
        ).one_or_none()
    if row is None:
        raise UsageError(
            f"web feed {name} is being refreshed already",
            code="busy",
            hint="Wait until that has ended.",
        )
    return _state(row)


def record_good(
    database: Database,
    claimed: WebFeedState,
    had: Had,
    *,
    body: bytes,
    digest: bytes,
    began: datetime,
    now: datetime,
) -> bool:
    """A good body has come; gives whether it says anything new. Raises SyncStopped: the lease is lost."""
    is_new = digest != claimed.digest
    values: dict[str, Any] = {"digest": digest, "size_bytes": len(body)}
    if is_new:
        values["changed_at"] = now
    with database.transaction() as connection:
        _end(connection, claimed, began, **_good(had, now), **values)
        if is_new:
            mine = WEB_FEED_BODIES.c.name == claimed.name
            connection.execute(delete(WEB_FEED_BODIES).where(mine))
            connection.execute(
                insert(WEB_FEED_BODIES).values(name=claimed.name, digest=digest, body=body)
            )
    return is_new


def record_unchanged(
    database: Database, claimed: WebFeedState, had: Had, *, began: datetime, now: datetime
) -> None:
    """The body is what it was. Raises SyncStopped: the lease is lost."""
    with database.transaction() as connection:
        _end(connection, claimed, began, **_good(had, now))


def record_failed(
    database: Database,
    claimed: WebFeedState,
    error: ErrorInfo,
    *,
    retry_at: datetime | None,
    began: datetime,
) -> None:
    """No good body has come; the one that is there stays. Raises SyncStopped: the lease is lost."""
    values = {
        "error": msgspec.json.encode(error).decode(),
        "failures": WEB_FEEDS.c.failures + 1,
        "max_age_until": None,
        "retry_at": retry_at,
    }
    with database.transaction() as connection:
        _end(connection, claimed, began, **values)


def release(database: Database, claimed: WebFeedState) -> None:
    """Give the lease back with nothing to tell: feedd is stopping."""
    with database.transaction() as connection:
        connection.execute(_held(claimed).values(lease_holder=None, lease_until=None))


def break_leases(database: Database, holder: str) -> None:
    """Give up the leases of a holder that is known to be gone."""
    held = select(WEB_FEEDS.c.name).where(WEB_FEEDS.c.lease_holder == holder)
    with database.connect() as connection:
        if connection.execute(held).first() is None:
            return
    with database.transaction() as connection:
        connection.execute(
            update(WEB_FEEDS)
            .where(WEB_FEEDS.c.lease_holder == holder)
            .values(lease_holder=None, lease_until=None, lease_epoch=WEB_FEEDS.c.lease_epoch + 1)
        )


def prune(database: Database, kept: Collection[str], before: datetime) -> list[str]:
    """Drop the web feeds that are not among the `kept` and that nobody has refreshed since then; their names."""
    stored = read_web_feeds(database)
    old = [
        name
        for name, state in stored.items()
        if name not in kept and max(filter(None, (state.checked_at, state.created_at))) < before
    ]
    if old:
        with database.transaction() as connection:
            for table in (WEB_FEED_BODIES, WEB_FEEDS):
                connection.execute(delete(table).where(table.c.name.in_(old)))
    return sorted(old)


def _enter(database: Database, connection: Connection, name: str, now: datetime) -> None:
    connection.execute(
        insert_once(database, WEB_FEEDS).values(
            name=name, created_at=now, failures=0, lease_epoch=0
        )
    )


def _good(had: Had, now: datetime) -> dict[str, Any]:
    found = {name: getattr(had, name) for name in had.__struct_fields__}
    return found | {"fetched_at": now, "error": None, "failures": 0, "retry_at": None}


def _end(connection: Connection, claimed: WebFeedState, began: datetime, **values: Any) -> None:
    ended = {"checked_at": began, "lease_holder": None, "lease_until": None}
    if not connection.execute(_held(claimed).values(**(values | ended))).rowcount:
        raise SyncStopped(
            "lease_lost",
            f"another worker took over the refresh of {claimed.name} while this one was paused",
        )


def _held(claimed: WebFeedState) -> Any:
    return update(WEB_FEEDS).where(
        WEB_FEEDS.c.name == claimed.name,
        WEB_FEEDS.c.lease_epoch == claimed.lease_epoch,
        WEB_FEEDS.c.lease_holder == claimed.lease_holder,
    )


def _state(row: Any) -> WebFeedState:
    values = dict(row._mapping)
    return WebFeedState(**(values | {"error": _error(values["error"])}))


def _mark(digest: str, fetched_at: datetime | None, error: ErrorInfo | None) -> str:
    had = "" if fetched_at is None else fetched_at.isoformat()
    return f"{digest} {had} {'' if error is None else error.message}"


def _error(text: str | None) -> ErrorInfo | None:
    return None if text is None else msgspec.json.decode(text, type=ErrorInfo)

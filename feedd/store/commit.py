"""The end of a sync: everything that it found, in one transaction, or nothing."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, bindparam, text, update

from feedd.errors import CANCELLED, STOPPED, FeedError
from feedd.model import Counts, ErrorInfo, Guess, SyncStatus
from feedd.store.database import Database, find_by_key, transaction
from feedd.store.feeds import FIRST_NOTE, Lease, Origin, close_lease, hold_lease
from feedd.store.tables import FEEDS, KINDS, NUMBER_BITS, STREAM, SYNCS, Utc

if TYPE_CHECKING:  # a sync that changes nothing takes no numpy
    from feedd.fingerprints import Int64s, Known
    from feedd.reconcile import Outcome
    from feedd.store.stage import DatabaseStage

_REMOVED = KINDS.index("removed")

_UPDATE_ITEMS = """
UPDATE items SET fields = COALESCE(s.fields, items.fields), digest = s.digest, warnings = s.warnings,
  warning_count = s.warning_count, removed_at = NULL,
  changed_at = CASE WHEN s.kind = 0 THEN items.changed_at ELSE :now END
FROM stage_items AS s WHERE items.id = s.item
"""
_REMOVE_ITEMS = """
UPDATE items SET removed_at = :now, changed_at = :now FROM stage_removed AS s WHERE items.id = s.item
"""
REMOVED_WARNINGS = """
SELECT COALESCE(SUM(warning_count), 0) FROM items JOIN stage_removed ON items.id = stage_removed.item
"""
_ADD_CHANGES = """
INSERT INTO changes (sync_id, ordinal, item, kind, fields)
SELECT :sync, ordinal, item, kind, changes FROM stage_items WHERE ordinal IS NOT NULL
"""
_ADD_REMOVALS = f"""
INSERT INTO changes (sync_id, ordinal, item, kind, fields)
SELECT :sync, ordinal, item, {_REMOVED}, '{{}}' FROM stage_removed
"""  # noqa: S608
_KEEP_CLOSED = """
INSERT INTO closed_rejects (id, feed_id, sync_id, position, item_id, problems, opened_at, closed_at)
SELECT id, feed_id, sync_id, position, item_id, problems, opened_at, :now
FROM rejects WHERE id IN (SELECT reject FROM stage_closed)
"""
_CLOSE_REJECTS = "DELETE FROM rejects WHERE id IN (SELECT reject FROM stage_closed)"
_MOVE_REJECTS = """
UPDATE rejects SET position = s.position FROM stage_rejects AS s WHERE rejects.id = s.reject AND NOT s.is_new
"""
_ADD_REJECTS = """
INSERT INTO rejects (id, feed_id, sync_id, position, item_id, fingerprint, duplicate, problems, opened_at)
SELECT reject, :feed, :sync, position, item_id, fingerprint, duplicate, problems, :now
FROM stage_rejects WHERE is_new ORDER BY reject
"""
_DROP_FINGERPRINTS = "DELETE FROM fingerprints WHERE feed_id = :feed"
_ADD_FINGERPRINTS = """
INSERT INTO fingerprints (feed_id, part, packed) SELECT :feed, part, packed FROM stage_fingerprints ORDER BY part
"""
_NOTE_FINGERPRINTS = """
INSERT INTO fingerprints (feed_id, part, packed)
SELECT :feed, COALESCE(MAX(part) + 1, :first), :packed FROM fingerprints WHERE feed_id = :feed AND part >= :first
"""
_MOVES = [
    text(statement).bindparams(*([bindparam("now", type_=Utc)] if ":now" in statement else []))
    for statement in (
        _UPDATE_ITEMS,
        _REMOVE_ITEMS,
        _ADD_CHANGES,
        _ADD_REMOVALS,
        _KEEP_CLOSED,
        _CLOSE_REJECTS,
        _MOVE_REJECTS,
        _ADD_REJECTS,
    )
]


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What a body is recognized by next time, and what the server said about it.

    The `digest` may be empty until the commit: of a file that is read where it lies, it is taken meanwhile.
    `origin` is None for one that did not come, because it has not changed. A `replayed` one was not asked for: the
    feed's turn, its failures to come and what the server wants stay as they are.
    """

    digest: bytes
    size_bytes: int
    config_digest: bytes
    fetch_digest: bytes
    guess: Guess | None = None
    etag: str | None = None
    last_modified: str | None = None
    max_age_until: datetime | None = None
    full_fetch_at: datetime | None = None
    origin: Origin | None = None
    replayed: bool = False


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a sync ended, as it is recorded."""

    status: SyncStatus
    counts: Counts
    finished_at: datetime
    duration_s: float
    size_bytes: int | None = None
    error: ErrorInfo | None = None


def commit_sync(
    stage: "DatabaseStage",
    lease: Lease,
    *,
    outcome: "Outcome",
    removed: "Int64s",
    held: "Int64s",
    known: "Known",
    body: Body,
    error: ErrorInfo | None,
    now: datetime,
    elapsed_s: Callable[[], float],
) -> Ending:
    """Store a sync whose body was read to the end; gives how it ended. `elapsed_s` is asked at the last moment.

    Raises:
        SyncStopped: the lease was lost; nothing was stored.
    """
    import numpy as np

    connection = stage.connection
    counts = outcome.counts
    counts.removed = len(removed)
    counts.held_removals = len(held)
    stage.add_removed(removed, outcome.next_ordinal)
    stage.add_closed(outcome.closed_rejects)
    gone = np.concatenate([removed, -np.array(outcome.closed_rejects, dtype=np.int64)])
    note = known.note(gone, outcome.fresh)
    if note is None:
        stage.add_fingerprints(known.packed(gone, outcome.fresh))
    status = SyncStatus.HELD if len(held) else SyncStatus.APPLIED
    if stage.ahead is not None:
        stage.ahead.enter_ahead()
    with transaction(connection):
        hold_lease(connection, lease)
        find_by_key(connection)
        if stage.ahead is not None:
            stage.ahead.insert(now)
            stage.ahead.enter()
        warnings = _move_rows(connection, lease, now) + outcome.warnings_delta
        _keep_fingerprints(connection, lease, note)
        live = outcome.live_before + counts.added + counts.restored - counts.removed
        numbers = (1 << NUMBER_BITS) - 1
        close_lease(
            connection,
            lease,
            _validators(None if len(held) else body, body)
            | _turn(lease, replayed=body.replayed)
            | {
                "status": status,
                "last_applied_at": now,
                "error": _error(error),
                "items": live,
                "rejected": counts.rejected,
                "warnings": FEEDS.c.warnings + warnings,
                "held_removals": len(held),
                "held": held.tobytes() if len(held) else None,
                "next_item": outcome.next_item & numbers,
                "next_reject": outcome.next_reject & numbers,
            },
        )
        counts.warnings = int(
            connection.execute(
                text("SELECT warnings FROM feeds WHERE id = :feed"), {"feed": lease.feed_id}
            ).scalar_one()
        )
        ending = Ending(
            status=status,
            counts=counts,
            finished_at=now,
            duration_s=elapsed_s(),
            size_bytes=body.size_bytes,
            error=error,
        )
        _number_changes(connection, lease, ending, outcome.next_ordinal + len(removed))
    return ending


def _move_rows(connection: Connection, lease: Lease, now: datetime) -> int:
    """Staged rows become items, changes and rejects; gives how the removals change the count of warnings."""
    values = {"feed": lease.feed_id, "sync": lease.sync_id, "now": now}
    for statement in _MOVES:
        used = {name: values[name] for name in statement.compile().params}
        connection.execute(statement, used)
    return -int(connection.execute(text(REMOVED_WARNINGS)).scalar_one())


def _keep_fingerprints(connection: Connection, lease: Lease, note: bytes | None) -> None:
    """Store all fingerprints anew, from the stage, or what is to be noted beside them."""
    if note is None:
        for statement in (_DROP_FINGERPRINTS, _ADD_FINGERPRINTS):
            connection.execute(text(statement), {"feed": lease.feed_id})
    elif note:
        values = {"feed": lease.feed_id, "first": FIRST_NOTE, "packed": note}
        connection.execute(text(_NOTE_FINGERPRINTS), values)


def _number_changes(connection: Connection, lease: Lease, ending: Ending, changes: int) -> None:
    """Give the sync's changes their place in the stream: the last thing before COMMIT, for all wait for this row."""
    first_seq = None
    if changes:
        last_seq = connection.execute(
            update(STREAM).values(last_seq=STREAM.c.last_seq + changes).returning(STREAM.c.last_seq)
        ).scalar_one()
        first_seq = last_seq - changes + 1
    _end_sync(connection, lease, ending, first_seq=first_seq, change_count=changes)


def record_unchanged(
    database: Database,
    lease: Lease,
    body: Body,
    *,
    error: ErrorInfo | None,
    now: datetime,
    duration_s: float,
) -> Ending:
    """End a sync whose body is the one that is stored already; the counts are those of the catalog."""
    with database.transaction() as connection:
        feed = connection.execute(
            text("SELECT items, rejected, warnings FROM feeds WHERE id = :feed"),
            {"feed": lease.feed_id},
        ).one()
        ending = Ending(
            status=SyncStatus.UNCHANGED,
            counts=Counts(unchanged=feed.items, rejected=feed.rejected, warnings=feed.warnings),
            finished_at=now,
            duration_s=duration_s,
            size_bytes=body.size_bytes,
        )
        values = _validators(body, body) | _turn(lease)
        values |= {"status": SyncStatus.UNCHANGED, "error": _error(error)}
        close_lease(connection, lease, values)
        _end_sync(connection, lease, ending)
    return ending


def record_failed(
    database: Database,
    lease: Lease,
    error: FeedError,
    *,
    retry_at: datetime | None,
    now: datetime,
    duration_s: float,
    replayed: bool = False,
) -> Ending:
    """End a sync that failed; the catalog stands as it is.

    One that feedd itself has stopped is no fault of the feed, and comes again at once; one that a person has cancelled
    is none either, and comes again when it would have come after it.
    """
    with database.transaction() as connection:
        feed = connection.execute(
            text("SELECT rejected, warnings, held_removals FROM feeds WHERE id = :feed"),
            {"feed": lease.feed_id},
        ).one()
        ending = Ending(
            status=SyncStatus.FAILED,
            counts=Counts(
                rejected=feed.rejected, warnings=feed.warnings, held_removals=feed.held_removals
            ),
            finished_at=now,
            duration_s=duration_s,
            error=error.info,
        )
        fault = _turn(lease, retry_at, replayed=replayed) | {
            "status": SyncStatus.FAILED,
            "error": _error(error.info),
            "failures": FEEDS.c.failures + 1,
        }
        ended = {STOPPED: {}, CANCELLED: {} if replayed else {"last_sync_at": lease.started_at}}
        close_lease(connection, lease, ended.get(error.code, fault))
        _end_sync(connection, lease, ending)
    return ending


def _turn(
    lease: Lease, retry_at: datetime | None = None, *, replayed: bool = False
) -> dict[str, Any]:
    """What the feed's next turn hangs on: when it was asked for last, and how that went."""
    if replayed:
        return {}
    return {"last_sync_at": lease.started_at, "retry_at": retry_at, "failures": 0}


def _validators(stored: Body | None, seen: Body) -> dict[str, Any]:
    """What the next fetch may ask with; None where the body was not taken in whole, so that it comes again.

    Whether or not it was, a body that came is the one that the catalog was read from.
    """
    read: dict[str, Any] = {}
    if seen.origin is not None:
        read = {
            "read_digest": seen.digest,
            "read_config": seen.config_digest,
            "read_from": msgspec.json.encode(seen.origin).decode(),
        }
    return read | {
        "etag": stored.etag if stored else None,
        "last_modified": stored.last_modified if stored else None,
        "body_digest": stored.digest if stored else None,
        "config_digest": stored.config_digest if stored else None,
        "fetch_digest": stored.fetch_digest if stored else None,
        "guess": None if seen.guess is None else msgspec.json.encode(seen.guess).decode(),
        "full_fetch_at": seen.full_fetch_at,
        "max_age_until": seen.max_age_until,
    }


def _end_sync(
    connection: Connection,
    lease: Lease,
    ending: Ending,
    *,
    first_seq: int | None = None,
    change_count: int = 0,
) -> None:
    connection.execute(
        update(SYNCS)
        .where(SYNCS.c.id == lease.sync_id)
        .values(
            status=ending.status,
            finished_at=ending.finished_at,
            duration_s=ending.duration_s,
            size_bytes=ending.size_bytes,
            counts=msgspec.json.encode(ending.counts).decode(),
            error=_error(ending.error),
            first_seq=first_seq,
            change_count=change_count,
        )
    )


def _error(error: ErrorInfo | None) -> str | None:
    return None if error is None else msgspec.json.encode(error).decode()

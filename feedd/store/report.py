"""The end of a dry run: what a sync would have stored, read from its stage and written to a file, a line each.

Nothing is written to the database. The rows are read a page at a time, so memory does not grow with the feed.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import text

from feedd.fingerprints import Int64s
from feedd.model import (
    ChangeKind,
    DryRunLine,
    PlannedChange,
    PlannedReject,
    Problem,
    SyncRecord,
    SyncStatus,
)
from feedd.reconcile import Outcome
from feedd.store.commit import REMOVED_WARNINGS
from feedd.store.stage import DatabaseStage
from feedd.store.tables import KINDS, NUMBER_BITS

PAGE = 2_000
TITLED = 1_000  # so many of the changed items are told by their titles too
_encode = msgspec.json.encode
_fields = msgspec.json.Decoder(dict[str, Any]).decode
_problems = msgspec.json.Decoder(tuple[Problem, ...]).decode

_INDEXES = (
    "CREATE INDEX ix_stage_ordinal ON stage_items (ordinal)",
    "CREATE INDEX ix_stage_removed ON stage_removed (ordinal)",
    "CREATE INDEX ix_stage_reject ON stage_rejects (reject)",
)
_CHANGED = """
SELECT ordinal AS place, item_id, kind, changes, fields FROM stage_items
WHERE ordinal > :last ORDER BY ordinal LIMIT :page
"""
_REMOVED = """
SELECT s.ordinal AS place, items.item_id, items.fields FROM stage_removed AS s JOIN items ON items.id = s.item
WHERE s.ordinal > :last ORDER BY s.ordinal LIMIT :page
"""
_KEPT_REJECTS = """
SELECT r.id AS place, COALESCE(s.position, r.position) AS position, r.item_id, r.problems
FROM rejects AS r LEFT JOIN stage_rejects AS s ON s.reject = r.id
WHERE r.feed_id = :feed AND r.id > :last AND r.id NOT IN (SELECT reject FROM stage_closed)
ORDER BY r.id LIMIT :page
"""
_NEW_REJECTS = """
SELECT reject AS place, position, item_id, problems FROM stage_rejects
WHERE is_new AND reject > :last ORDER BY reject LIMIT :page
"""


def write_report(
    stage: DatabaseStage,
    path: Path,
    record: SyncRecord,
    outcome: Outcome,
    removed: Int64s,
    held: Int64s,
) -> None:
    """Write what a sync would do: its changes in their order, every reject that would be open, and how it would end.

    `record` is filled in with the counts and the status.
    """
    counts = outcome.counts
    counts.removed = len(removed)
    counts.held_removals = len(held)
    stage.add_removed(removed, outcome.next_ordinal)
    stage.add_closed(outcome.closed_rejects)
    for statement in _INDEXES:
        stage.connection.exec_driver_sql(statement)
    before = stage.connection.execute(
        text("SELECT rejected, warnings FROM feeds WHERE id = :feed"), {"feed": stage.feed_id}
    ).one_or_none()
    gone = int(stage.connection.execute(text(REMOVED_WARNINGS)).scalar_one())
    counts.warnings = (before.warnings if before else 0) + outcome.warnings_delta - gone
    with path.open("wb") as file:
        for line in chain(_changes(stage), _removals(stage), _rejects(stage)):
            file.write(_encode(line) + b"\n")
        ended = msgspec.structs.replace(
            record, status=SyncStatus.HELD if len(held) else SyncStatus.APPLIED, counts=counts
        )
        last = DryRunLine(sync=ended, rejected_before=before.rejected if before else 0)
        file.write(_encode(last) + b"\n")


def _changes(stage: DatabaseStage) -> Iterator[DryRunLine]:
    for number, row in enumerate(_pages(stage, _CHANGED)):
        titled = number < TITLED and row.fields is not None
        yield DryRunLine(
            change=PlannedChange(
                item=row.item_id,
                kind=ChangeKind(KINDS[row.kind]),
                fields=msgspec.Raw(row.changes.encode()),
                title=_fields(row.fields).get("title") if titled else None,
            )
        )


def _removals(stage: DatabaseStage) -> Iterator[DryRunLine]:
    for number, row in enumerate(_pages(stage, _REMOVED)):
        title = _fields(row.fields).get("title") if number < TITLED else None
        yield DryRunLine(
            change=PlannedChange(
                item=row.item_id, kind=ChangeKind.REMOVED, fields=msgspec.Raw(b"{}"), title=title
            )
        )


def _rejects(stage: DatabaseStage) -> Iterator[DryRunLine]:
    for query in (_KEPT_REJECTS, _NEW_REJECTS):
        for row in _pages(stage, query, feed=stage.feed_id):
            yield DryRunLine(
                reject=PlannedReject(
                    position=row.position, item_id=row.item_id, problems=_problems(row.problems)
                )
            )


def _pages(stage: DatabaseStage, query: str, **values: int) -> Iterator[Any]:
    last = -(1 << NUMBER_BITS)
    statement = text(query)
    names = statement.compile().params
    values = {name: value for name, value in values.items() if name in names}
    while rows := stage.connection.execute(statement, {"last": last, "page": PAGE} | values).all():
        yield from rows
        last = rows[-1].place

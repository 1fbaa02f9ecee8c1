"""Jobs: what was sent in bulk, kept until it is done, and what became of it until that expires.

A part of a job goes in the transaction that does it: killed at any point, none is left out and none done twice. The lease of a job
keeps daemons that share a database from trying the same part at once; jobs are done one after the other, in the order in which
they came.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, text, update

from feedd.errors import Overloaded, UsageError
from feedd.people.jobs import (
    FINISHED,
    UNFINISHED,
    Done,
    Job,
    JobKind,
    JobStatus,
    Part,
    RowError,
)
from feedd.store.database import Database
from feedd.store.job_reading import COLUMNS, KEPT_FOR, job_of
from feedd.store.people_tables import JOB_ERRORS, JOB_PARTS, JOB_PROFILES, JOBS
from feedd.store.profile_rows import ulid
from feedd.store.recording import writing

LEASE = timedelta(seconds=5)
MOST_WAITING = 500
MOST_WAITING_BYTES = 256 * 1024 * 1024
_BATCH = 2_000  # rows a transaction: some milliseconds

Rest = Callable[[float], bool]


class Elsewhere(UsageError):
    """Somebody else has the job, or has done the part already: look again."""

    def __init__(self) -> None:
        super().__init__("another feedd on the same database does this job", code="busy")


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the jobs that is to be done next."""

    job: Job
    part: Part


def submit(connection: Connection, kind: JobKind, parts: Sequence[Part], now: datetime) -> Job:
    """Enter a job, inside the caller's `recording.writing`: once that is committed, the job will be done.

    Each kind has a bound of its own: whoever may send events only keeps no deletion out.

    Raises:
        Overloaded: too many of its kind wait already, or too much.
    """
    size = sum(len(part.payload) for part in parts)
    waiting = connection.execute(
        select(func.count(), func.coalesce(func.sum(JOBS.c.size_bytes), 0)).where(
            _unfinished(), JOBS.c.kind == kind.value
        )
    ).one()
    if waiting[0] >= MOST_WAITING:
        raise Overloaded(f"{MOST_WAITING} such jobs are waiting to be done")
    if waiting[0] and waiting[1] + size > MOST_WAITING_BYTES:
        raise Overloaded(f"{MOST_WAITING_BYTES >> 20} MB of such jobs are waiting to be done")
    row = {
        "uid": ulid(now),
        "kind": kind.value,
        "status": JobStatus.QUEUED.value,
        "total": sum(part.rows for part in parts),
        "completed": 0,
        "failed": 0,
        "created_at": now,
        "expires_at": now + KEPT_FOR,
    }
    number = connection.execute(
        insert(JOBS).values(**row, errors=0, size_bytes=size).returning(JOBS.c.id)
    ).scalar_one()
    _insert_parts(connection, number, parts)
    return job_of({**row, "number": number, "id": row["uid"]})


def _insert_parts(connection: Connection, number: int, parts: Iterable[Part]) -> None:
    rows = [{"job_id": number, **msgspec.structs.asdict(part)} for part in parts]
    connection.execute(insert(JOB_PARTS), rows)


# what is done


def next_turn(database: Database, holder: str, now: datetime) -> Turn | None:
    """The next part of the oldest job that is not done; None where there is none, or somebody else has it."""
    with database.snapshot() as connection:
        row = connection.execute(
            select(*COLUMNS, JOBS.c.lease_holder, JOBS.c.lease_until)
            .where(_unfinished())
            .order_by(JOBS.c.id)
            .limit(1)
        ).one_or_none()
        if row is None or _is_held(row, holder, now):
            return None
        part = connection.execute(
            select(JOB_PARTS.c.first, JOB_PARTS.c.rows, JOB_PARTS.c.payload)
            .where(JOB_PARTS.c.job_id == row.number)
            .order_by(JOB_PARTS.c.first)
            .limit(1)
        ).one()
    return Turn(job=job_of(row._mapping), part=Part(**part._mapping))


def finish_part(connection: Connection, turn: Turn, done: Done, holder: str, now: datetime) -> Job:
    """Say what became of a part, in the transaction that does it; gives the job as it is then.

    Raises:
        Elsewhere: it was done already, or somebody else is about to; nothing of the transaction may stay.
    """
    errors = _take(connection, turn, holder, now)
    _add_errors(connection, turn.job.number, errors, done.errors)
    _add_profiles(connection, turn.job.number, done.profiles)
    left = select(JOB_PARTS.c.first).where(JOB_PARTS.c.job_id == turn.job.number).limit(1)
    is_last = connection.execute(left).one_or_none() is None
    values: dict[str, Any] = {
        "status": JobStatus.PROCESSING.value,
        "lease_holder": holder,
        "lease_until": now + LEASE,
    }
    if is_last:
        values = {
            "status": JobStatus.COMPLETE.value,
            "completed_at": now,
            "expires_at": now + KEPT_FOR,
            "lease_holder": None,
            "lease_until": None,
        }
    row = connection.execute(
        update(JOBS)
        .where(JOBS.c.id == turn.job.number)
        .values(
            started_at=func.coalesce(JOBS.c.started_at, now),
            completed=JOBS.c.completed + done.completed,
            failed=JOBS.c.failed + done.failed,
            errors=JOBS.c.errors + len(done.errors),
            size_bytes=JOBS.c.size_bytes - len(turn.part.payload),
            **values,
        )
        .returning(*COLUMNS)
    ).one()
    return job_of(row._mapping)


def split_part(
    connection: Connection, turn: Turn, parts: Sequence[Part], holder: str, now: datetime
) -> None:
    """Put smaller parts in the place of one. Raises Elsewhere, as `finish_part`."""
    _take(connection, turn, holder, now)
    _insert_parts(connection, turn.job.number, parts)
    grown = sum(len(part.payload) for part in parts) - len(turn.part.payload)
    connection.execute(
        update(JOBS)
        .where(JOBS.c.id == turn.job.number)
        .values(size_bytes=JOBS.c.size_bytes + grown)
    )


def _take(connection: Connection, turn: Turn, holder: str, now: datetime) -> int:
    """Take a part away that is the caller's to do; gives how many errors its job has."""
    row = connection.execute(
        select(JOBS.c.errors, JOBS.c.lease_holder, JOBS.c.lease_until).where(
            JOBS.c.id == turn.job.number, _unfinished()
        )
    ).one_or_none()
    if row is None or _is_held(row, holder, now):
        raise Elsewhere
    gone = connection.execute(
        delete(JOB_PARTS).where(
            JOB_PARTS.c.job_id == turn.job.number,
            JOB_PARTS.c.first == turn.part.first,
            JOB_PARTS.c.rows == turn.part.rows,
        )
    ).rowcount
    if not gone:
        raise Elsewhere
    return int(row.errors)


def _is_held(row: Any, holder: str, now: datetime) -> bool:
    return row.lease_holder not in (None, holder) and row.lease_until > now


def cancel(connection: Connection, job: Job, now: datetime) -> Job:
    """Leave off with a job that is not done, inside the caller's `recording.writing`: what of it is done stays.

    Raises:
        UsageError: (`ended`) it has ended.
    """
    row = connection.execute(
        update(JOBS)
        .where(JOBS.c.id == job.number, _unfinished())
        .values(
            status=JobStatus.CANCELLED.value,
            completed_at=now,
            expires_at=now + KEPT_FOR,
            size_bytes=0,
            lease_holder=None,
            lease_until=None,
        )
        .returning(*COLUMNS)
    ).one_or_none()
    if row is None:
        raise UsageError(f"job {job.id} has ended already", code="ended")
    connection.execute(delete(JOB_PARTS).where(JOB_PARTS.c.job_id == job.number))
    return job_of(row._mapping)


def release(database: Database, holder: str) -> None:
    """Let others go on with what this holder has begun."""
    with writing(database) as connection:
        connection.execute(
            update(JOBS)
            .where(_unfinished(), JOBS.c.lease_holder == holder)
            .values(lease_holder=None, lease_until=None)
        )


def _add_errors(
    connection: Connection, number: int, begin: int, errors: Sequence[RowError]
) -> None:
    rows = [
        {
            "job_id": number,
            "number": begin + place,
            "code": each.code,
            "title": each.title,
            "detail": _storable(each.detail),
            "pointer": _storable(each.pointer),
            "payload": None if each.payload is None else each.payload.decode(errors="replace"),
        }
        for place, each in enumerate(errors)
    ]
    if rows:
        connection.execute(insert(JOB_ERRORS), rows)


def _storable(said: str) -> str:
    """What is said of a row, which may name a property of any name: PostgreSQL stores no NUL."""
    return said.replace("\0", "\ufffd")


def _add_profiles(connection: Connection, number: int, profiles: Sequence[int]) -> None:
    rows = [{"job": number, "profile": each} for each in dict.fromkeys(profiles)]
    if rows:
        statement = text(
            "INSERT INTO job_profiles (job_id, profile_id) VALUES (:job, :profile)"
            " ON CONFLICT DO NOTHING"
        )
        connection.execute(statement, rows)


# what waits, and what is over


class Waiting(msgspec.Struct, frozen=True):
    """How much is to be done."""

    jobs: int
    rows: int


def waiting(database: Database) -> dict[JobKind, Waiting]:
    """How many jobs of each kind are not done, and how many of their rows."""
    rows = func.sum(JOBS.c.total - JOBS.c.completed - JOBS.c.failed)
    query = select(JOBS.c.kind, func.count(), rows).where(_unfinished()).group_by(JOBS.c.kind)
    with database.connect() as connection:
        found = {
            JobKind(kind): Waiting(jobs, int(left))
            for kind, jobs, left in connection.execute(query)
        }
    return {kind: found.get(kind, Waiting(0, 0)) for kind in JobKind}


def sweep(database: Database, now: datetime, *, rest: Rest) -> int:
    """Delete what has expired, in small transactions; how many jobs that was. `rest` lets others in; True ends it."""
    expired = (
        select(JOBS.c.id)
        .where(JOBS.c.expires_at < now, JOBS.c.status.in_([each.value for each in FINISHED]))
        .order_by(JOBS.c.expires_at)
        .limit(1)
    )
    swept = 0
    while True:
        with database.connect() as connection:
            number = connection.execute(expired).scalar()
        if number is None:
            return swept
        while True:
            with writing(database) as connection:
                is_gone = _sweep_some(connection, number)
            if rest(0.0):
                return swept
            if is_gone:
                break
        swept += 1


def _sweep_some(connection: Connection, number: int) -> bool:
    """Delete some of what is known of a job; True once all of it is gone."""
    left = _BATCH
    for table, key in (
        (JOB_ERRORS, JOB_ERRORS.c.number),
        (JOB_PROFILES, JOB_PROFILES.c.profile_id),
    ):
        some = select(key).where(table.c.job_id == number).order_by(key).limit(left)
        left -= connection.execute(
            delete(table).where(table.c.job_id == number, key.in_(some))
        ).rowcount
        if left <= 0:
            return False
    connection.execute(delete(JOBS).where(JOBS.c.id == number))
    return True


def _unfinished() -> Any:
    return JOBS.c.status.in_([each.value for each in UNFINISHED])

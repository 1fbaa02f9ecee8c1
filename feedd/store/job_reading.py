"""Jobs as they are read: single ones, pages of them, what was wrong with their rows, and whom they have touched."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from feedd.errors import NotFound
from feedd.people.jobs import Job, JobKind, JobStatus, RowError, StoredError
from feedd.store.database import Database
from feedd.store.people_tables import JOB_ERRORS, JOB_PROFILES, JOBS, MERGES

KEPT_FOR = timedelta(days=7)  # after its end
_ID_LENGTH = 26
COLUMNS = [
    JOBS.c.id.label("number"),
    JOBS.c.uid.label("id"),
    *(JOBS.c[name] for name in Job.__struct_fields__ if name not in ("number", "id")),
]


def read_job(database: Database, job_id: str, kinds: Sequence[JobKind] = tuple(JobKind)) -> Job:
    """A job of one of those kinds. Raises NotFound."""
    query = select(*COLUMNS).where(JOBS.c.uid == job_id, JOBS.c.kind.in_(kinds))
    row = None
    if len(job_id) == _ID_LENGTH and job_id.isalnum():
        with database.connect() as connection:
            row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(
            f"there is no job {job_id[:40]!r}",
            hint=f"What is known of a job is deleted {KEPT_FOR.days} days after its end.",
        )
    return job_of(row._mapping)


def read_jobs(
    database: Database,
    *,
    kinds: Sequence[JobKind] = tuple(JobKind),
    statuses: Sequence[str] | None = None,
    descending: bool = True,
    after: int | None = None,
    limit: int = 100,
) -> list[Job]:
    """Jobs in the order in which they came, or the newest first; `after` is the number of the last one seen."""
    query = select(*COLUMNS).where(JOBS.c.kind.in_(kinds)).limit(limit)
    if statuses is not None:
        query = query.where(JOBS.c.status.in_(statuses))
    if after is not None:
        query = query.where(JOBS.c.id < after if descending else JOBS.c.id > after)
    query = query.order_by(JOBS.c.id.desc() if descending else JOBS.c.id)
    with database.connect() as connection:
        return [job_of(row._mapping) for row in connection.execute(query)]


def read_errors(
    database: Database, job: Job, *, after: int = -1, limit: int = 100
) -> list[StoredError]:
    """What is wrong with rows of a job, in their order; `after` is the number of the last one seen."""
    query = (
        select(JOB_ERRORS)
        .where(JOB_ERRORS.c.job_id == job.number, JOB_ERRORS.c.number > after)
        .order_by(JOB_ERRORS.c.number)
        .limit(limit)
    )
    with database.connect() as connection:
        return [_error(row) for row in connection.execute(query)]


def read_profiles(
    database: Database, job: Job, *, after: int = 0, limit: int = 100
) -> list[tuple[int, int | None]]:
    """Whom an import has touched, by number: as they were then, which is their order, and who they are by now; None where that one has
    a place of its own."""
    query = (
        select(JOB_PROFILES.c.profile_id)
        .where(JOB_PROFILES.c.job_id == job.number, JOB_PROFILES.c.profile_id > after)
        .order_by(JOB_PROFILES.c.profile_id)
        .limit(limit)
    )
    with database.snapshot() as connection:
        now = {number: number for number in connection.execute(query).scalars()}
        moved = list(now)
        while moved:
            further = select(MERGES.c.from_id, MERGES.c.into_id).where(MERGES.c.from_id.in_(moved))
            merged = {row.from_id: row.into_id for row in connection.execute(further)}
            now = {number: merged.get(each, each) for number, each in now.items()}
            moved = list(merged.values())
        became = {number for place, number in now.items() if number != place}
        own = select(JOB_PROFILES.c.profile_id).where(
            JOB_PROFILES.c.job_id == job.number, JOB_PROFILES.c.profile_id.in_(became)
        )
        told = set(connection.execute(own).scalars()) if became else set()
    return [
        (place, None if number != place and number in told else number)
        for place, number in now.items()
    ]


def job_of(row: Any) -> Job:
    """The job of a row of `COLUMNS`, or of values by their names."""
    values = {name: row[name] for name in Job.__struct_fields__ if name in row}
    values["kind"] = JobKind(values["kind"])
    values["status"] = JobStatus(values["status"])
    return Job(**values)


def _error(row: Any) -> StoredError:
    return StoredError(
        number=row.number,
        error=RowError(
            code=row.code,
            title=row.title,
            detail=row.detail,
            pointer=row.pointer,
            payload=None if row.payload is None else row.payload.encode(),
        ),
    )

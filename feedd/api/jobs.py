"""What jobs of every kind share: how they are told of, listed and taken.

The kinds of jobs are those of Klaviyo's current API, which tells only of profile imports; feedd tells of the others in the same way.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from msgspec import Struct

from feedd.api.access import TheApp, needs
from feedd.api.asking import Asked, Asking, Number
from feedd.api.body import MAX_BODY_BYTES, limited_body
from feedd.api.documents import told_code
from feedd.api.filters import choices
from feedd.api.openapi import Shape
from feedd.api.resources import Relation, Resource, ResourceType
from feedd.app import App
from feedd.people.documents import Time
from feedd.people.jobs import Job, JobKind, JobStatus, StoredError
from feedd.store import job_reading

PAGES = (20, 100)


class JobAttributes(Struct, frozen=True, kw_only=True):
    """How far a job is; counts are of rows."""

    status: JobStatus
    created_at: Time
    total_count: int
    completed_count: int
    failed_count: int
    started_at: Time | None = None
    completed_at: Time | None = None
    expires_at: Time | None = None


class ErrorSource(Struct, frozen=True):
    """Where in the document that was sent."""

    pointer: str


class ImportErrorAttributes(Struct, frozen=True, kw_only=True):
    """Why a row was not done; `original_payload` is the row as it was sent."""

    code: str
    title: str
    detail: str
    source: ErrorSource
    original_payload: dict[str, Any] | None = None


IMPORT_ERRORS_OF = Relation("import-error", many=True, has_linkage=False)
IMPORT_ERROR = ResourceType(
    name="import-error", attributes=ImportErrorAttributes, scope="profiles", has_page=False
)
IMPORT_JOB = ResourceType(
    name=JobKind.PROFILES.value,
    attributes=JobAttributes,
    scope="profiles",
    relationships={
        "lists": Relation("list", many=True),
        "profiles": Relation("profile", many=True),
        "import-errors": IMPORT_ERRORS_OF,
    },
)
EVENT_JOB = ResourceType(
    name=JobKind.EVENTS.value,
    attributes=JobAttributes,
    scope="events",
    relationships={"import-errors": IMPORT_ERRORS_OF},
)
DELETION_JOB = ResourceType(
    name=JobKind.DELETION.value,
    attributes=JobAttributes,
    scope="data-privacy",
    relationships={"import-errors": IMPORT_ERRORS_OF},
)
JOBS: Mapping[JobKind, ResourceType] = {
    JobKind.PROFILES: IMPORT_JOB,
    JobKind.EVENTS: EVENT_JOB,
    JobKind.DELETION: DELETION_JOB,
}
ERRORS = Asking(IMPORT_ERROR, pages=PAGES)


async def _body(request: Request) -> bytes:
    return await limited_body(request, MAX_BODY_BYTES)


Body = Annotated[bytes, Depends(_body)]


class Summaries(NamedTuple):
    """What OpenAPI calls the operations that tell of jobs of a kind."""

    listed: str
    one: str
    errors: str


def tell(
    router: APIRouter,
    kind: JobKind,
    summaries: Summaries,
    *,
    include: Mapping[str, ResourceType] | None = None,
    scopes: Sequence[str] = (),
) -> None:
    """Add the operations that tell of jobs of a kind: a page of them, one, and what was wrong with rows of it.

    `include` are relationships that can be included, of which there are none yet. Rows are told as they were sent, which may need
    further `scopes`.
    """
    path = f"/{kind.value}s"
    many, one = _many_of(JOBS[kind]), Asking(JOBS[kind], include=include)

    @router.get(path, summary=summaries.listed, **many.route(shape=Shape.PAGE))
    def list_jobs(app: TheApp, asked: Annotated[Asked, Depends(many)]) -> Response:
        return _jobs_page(app, asked, kind)

    @router.get(f"{path}/{{job_id}}", summary=summaries.one, **one.route())
    def get_job(app: TheApp, job_id: str, asked: Annotated[Asked, Depends(one)]) -> Response:
        found = job_resource(job_of(app, kind, job_id))
        return asked.one(found, include={name: list for name in one.include})  # noqa: C420 a type for each

    @router.get(
        f"{path}/{{job_id}}/import-errors",
        summary=summaries.errors,
        dependencies=[Depends(needs(scope)) for scope in scopes],
        **ERRORS.route(shape=Shape.PAGE),
    )
    def list_errors(app: TheApp, job_id: str, asked: Annotated[Asked, Depends(ERRORS)]) -> Response:
        """Rows as they were sent, each with what was wrong with it."""
        return _errors_page(app, asked, kind, job_id)


def _many_of(kind: ResourceType) -> Asking:
    """What a list of jobs of a kind can be asked for."""
    return Asking(
        kind,
        filters={"status": choices([each.value for each in JobStatus], "equals", "any")},
        sorts=("created_at", "-created_at"),
        pages=PAGES,
    )


def submitted(app: App, kind: JobKind, body: bytes) -> Job:
    """The job that a body asks for, stored. Raises UsageError where the body cannot be used as a whole."""
    return app.jobs.submit(kind, body, datetime.now(UTC))


def taken(asked: Asked, job: Job) -> Response:
    """The answer to what was sent of kinds of which Klaviyo tells nothing: 202, no body."""
    return Response(status_code=202, headers=location_of(asked, job))


def location_of(asked: Asked, job: Job) -> dict[str, str]:
    """The header that says where the job is told of."""
    return {"Location": asked.url_of(job_resource(job))}


def job_of(app: App, kind: JobKind, job_id: str) -> Job:
    """The job of that kind with that id. Raises NotFound."""
    return job_reading.read_job(app.people, job_id, [kind])


def _jobs_page(app: App, asked: Asked, kind: JobKind) -> Response:
    """Jobs of a kind, the newest first unless sorted otherwise."""
    after = asked.position(tuple[Number])
    rows = job_reading.read_jobs(
        app.people,
        kinds=[kind],
        statuses=asked.values("status"),
        descending=asked.sort != "created_at",
        after=None if after is None else after[0],
        limit=asked.size + 1,
    )
    return asked.page(rows, resource=job_resource, position=lambda job: [job.number])


def _errors_page(app: App, asked: Asked, kind: JobKind, job_id: str) -> Response:
    """What was wrong with rows of a job. Raises NotFound."""
    job = job_of(app, kind, job_id)
    after = asked.position(tuple[Number])
    rows = job_reading.read_errors(
        app.people, job, after=after[0] if after else -1, limit=asked.size + 1
    )
    return asked.page(
        rows,
        resource=lambda row: _error_resource(job, row),
        position=lambda row: [row.number],
    )


def job_resource(job: Job) -> Resource:
    """A job as a resource."""
    attributes = JobAttributes(
        status=job.status,
        created_at=job.created_at.isoformat(),
        total_count=job.total,
        completed_count=job.completed,
        failed_count=job.failed,
        started_at=_time(job.started_at),
        completed_at=_time(job.completed_at),
        expires_at=_time(job.expires_at),
    )
    return Resource(JOBS[job.kind], job.id, attributes, {"lists": ()})


def _error_resource(job: Job, stored_error: StoredError) -> Resource:
    error = stored_error.error
    attributes = {
        "code": told_code(error.code),
        "title": error.title,
        "detail": error.detail,
        "source": ErrorSource(error.pointer),
        "original_payload": None if error.payload is None else msgspec.Raw(error.payload),
    }
    return Resource(IMPORT_ERROR, f"{job.id}-{stored_error.number}", attributes)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()

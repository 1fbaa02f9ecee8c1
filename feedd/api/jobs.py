"""What is sent in bulk: taken at once, done by and by, and told about until it expires.

The kinds of jobs are those of Klaviyo's current API, which tells only of profile imports; feedd tells of the others in the same way.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from msgspec import Meta, Raw, Struct

from feedd.api.access import TheApp, needs
from feedd.api.asking import Asked, Asking, Number
from feedd.api.body import MAX_BODY_BYTES, limited_body, usable
from feedd.api.filters import choices
from feedd.api.openapi import Shape
from feedd.api.people_kinds import PROFILE, profile_resource
from feedd.api.resources import Relation, Resource, ResourceType
from feedd.app import App
from feedd.people.job_rows import DeletionDocument, ImportDocument
from feedd.people.jobs import Job, JobKind, JobStatus, StoredError
from feedd.people.values import Profile
from feedd.store import jobs as stored

imports = APIRouter(tags=["profiles"])
events = APIRouter(tags=["events"])
deletions = APIRouter(tags=["data privacy"])

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
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


class ListAttributes(Struct, frozen=True, kw_only=True):
    """What is told of a list, once there are any."""

    name: str | None = None
    created: Time | None = None
    updated: Time | None = None
    opt_in_process: str | None = None


class _Entries(Struct):
    data: list[Raw]


class _EventAttributes(Struct, rename={"entries": "events-bulk-create"}):
    entries: _Entries


class _EventData(Struct):
    type: str
    attributes: _EventAttributes


class EventJobDocument(Struct):
    """`{"data": {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": {"data": [entry, …]}}}}`"""

    data: _EventData


IMPORT_ERRORS_OF = Relation("import-error", many=True, has_linkage=False)
IMPORT_ERROR = ResourceType(
    name="import-error", attributes=ImportErrorAttributes, scope="profiles", has_page=False
)
LIST = ResourceType(name="list", attributes=ListAttributes, scope="profiles", has_page=False)
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
JOB_TYPES: Mapping[JobKind, ResourceType] = {
    JobKind.PROFILES: IMPORT_JOB,
    JobKind.EVENTS: EVENT_JOB,
    JobKind.DELETION: DELETION_JOB,
}


def _many(kind: ResourceType) -> Asking:
    return Asking(
        kind,
        filters={"status": choices([each.value for each in JobStatus], "equals", "any")},
        sorts=("created_at", "-created_at"),
        pages=PAGES,
    )


ONE_IMPORT, IMPORTS = Asking(IMPORT_JOB), _many(IMPORT_JOB)
ONE_EVENTS, EVENTS = Asking(EVENT_JOB), _many(EVENT_JOB)
ONE_DELETION, DELETIONS = Asking(DELETION_JOB), _many(DELETION_JOB)
ERRORS = Asking(IMPORT_ERROR, pages=PAGES)
PROFILES = Asking(PROFILE, pages=PAGES)
LISTS = Asking(LIST)

IMPORT_EXAMPLE = {
    "data": {
        "type": "profile-bulk-import-job",
        "attributes": {
            "profiles": {
                "data": [
                    {
                        "type": "profile",
                        "attributes": {
                            "email": "jane.doe@example.com",
                            "first_name": "Jane",
                            "location": {"city": "Oslo"},
                            "properties": {"Plan": "gold"},
                        },
                    }
                ]
            }
        },
    }
}
EVENTS_EXAMPLE = {
    "data": {
        "type": "event-bulk-create-job",
        "attributes": {
            "events-bulk-create": {
                "data": [
                    {
                        "type": "event-bulk-create",
                        "attributes": {
                            "profile": {
                                "data": {
                                    "type": "profile",
                                    "attributes": {"email": "jane.doe@example.com"},
                                }
                            },
                            "events": {
                                "data": [
                                    {
                                        "type": "event",
                                        "attributes": {
                                            "metric": {
                                                "data": {
                                                    "type": "metric",
                                                    "attributes": {"name": "Placed Order"},
                                                }
                                            },
                                            "properties": {"ItemNames": ["Mug"]},
                                            "time": "2026-01-01T12:00:00+00:00",
                                            "value": 29.9,
                                            "unique_id": "order-1042",
                                        },
                                    }
                                ]
                            },
                        },
                    }
                ]
            }
        },
    }
}
DELETION_EXAMPLE = {
    "data": {
        "type": "data-privacy-deletion-job",
        "attributes": {
            "profile": {
                "data": {"type": "profile", "attributes": {"email": "jane.doe@example.com"}}
            }
        },
    }
}


async def _body(request: Request) -> bytes:
    return await limited_body(request, MAX_BODY_BYTES)


Body = Annotated[bytes, Depends(_body)]


# imports of profiles


@imports.post(
    "/profile-bulk-import-jobs",
    summary="Create or update up to 10,000 profiles, by and by",
    **ONE_IMPORT.route(status=202, body=(ImportDocument, IMPORT_EXAMPLE)),
)
def import_profiles(
    app: TheApp, asked: Annotated[Asked, Depends(ONE_IMPORT)], body: Body
) -> Response:
    """Decoded in a thread: ten thousand rows take the event loop too long."""
    job = _submitted(app, JobKind.PROFILES, body)
    return asked.one(_job_resource(job), status=202, headers=_location(asked, job))


@imports.get(
    "/profile-bulk-import-jobs",
    summary="Imports of profiles, the newest first",
    **IMPORTS.route(shape=Shape.PAGE),
)
def list_imports(app: TheApp, asked: Annotated[Asked, Depends(IMPORTS)]) -> Response:
    return _jobs(app, asked, JobKind.PROFILES)


@imports.get(
    "/profile-bulk-import-jobs/{job_id}",
    summary="How far an import of profiles is",
    **ONE_IMPORT.route(),
)
def get_import(app: TheApp, job_id: str, asked: Annotated[Asked, Depends(ONE_IMPORT)]) -> Response:
    return asked.one(_job_resource(_job(app, JobKind.PROFILES, job_id)))


@imports.get(
    "/profile-bulk-import-jobs/{job_id}/profiles",
    summary="Whom an import of profiles has created or updated",
    **PROFILES.route(shape=Shape.PAGE),
)
def list_imported(app: TheApp, job_id: str, asked: Annotated[Asked, Depends(PROFILES)]) -> Response:
    return asked.page(
        _imported(app, job_id, asked),
        resource=lambda row: profile_resource(row[1]),
        position=lambda row: [row[0]],
    )


@imports.get(
    "/profile-bulk-import-jobs/{job_id}/relationships/profiles",
    summary="The ids of whom an import of profiles has created or updated",
    **PROFILES.route(shape=Shape.LINKAGES),
)
def list_imported_ids(
    app: TheApp, job_id: str, asked: Annotated[Asked, Depends(PROFILES)]
) -> Response:
    return asked.linkages(
        "profile",
        _imported(app, job_id, asked),
        id_of=lambda row: row[1].id,
        position=lambda row: [row[0]],
    )


@imports.get(
    "/profile-bulk-import-jobs/{job_id}/lists",
    summary="The lists that profiles were added to: none, as there are no lists yet",
    **LISTS.route(shape=Shape.PAGE),
)
def list_lists(app: TheApp, job_id: str, asked: Annotated[Asked, Depends(LISTS)]) -> Response:
    _job(app, JobKind.PROFILES, job_id)
    nothing: list[Resource] = []
    return asked.page(nothing, resource=lambda each: each, position=lambda _: [])


@imports.get(
    "/profile-bulk-import-jobs/{job_id}/relationships/lists",
    summary="The ids of the lists that profiles were added to: none, as there are no lists yet",
    **LISTS.route(shape=Shape.LINKAGES),
)
def list_list_ids(app: TheApp, job_id: str, asked: Annotated[Asked, Depends(LISTS)]) -> Response:
    _job(app, JobKind.PROFILES, job_id)
    nothing: list[str] = []
    return asked.linkages("list", nothing, id_of=str)


@imports.get(
    "/profile-bulk-import-jobs/{job_id}/import-errors",
    summary="What was wrong with rows of an import of profiles",
    **ERRORS.route(shape=Shape.PAGE),
)
def list_import_errors(
    app: TheApp, job_id: str, asked: Annotated[Asked, Depends(ERRORS)]
) -> Response:
    return _errors(app, asked, JobKind.PROFILES, job_id)


# events in bulk


@events.post(
    "/event-bulk-create-jobs",
    summary="Create up to 1,000 events, by and by",
    **ONE_EVENTS.route(status=202, body=(EventJobDocument, EVENTS_EXAMPLE), shape=Shape.NOTHING),
)
def create_events(
    app: TheApp, asked: Annotated[Asked, Depends(ONE_EVENTS)], body: Body
) -> Response:
    """The header Location says where it is told how far they are."""
    return _taken(asked, _submitted(app, JobKind.EVENTS, body))


@events.get(
    "/event-bulk-create-jobs",
    summary="Events that were sent in bulk, the newest first",
    **EVENTS.route(shape=Shape.PAGE),
)
def list_event_jobs(app: TheApp, asked: Annotated[Asked, Depends(EVENTS)]) -> Response:
    return _jobs(app, asked, JobKind.EVENTS)


@events.get(
    "/event-bulk-create-jobs/{job_id}",
    summary="How far events that were sent in bulk are",
    **ONE_EVENTS.route(),
)
def get_event_job(
    app: TheApp, job_id: str, asked: Annotated[Asked, Depends(ONE_EVENTS)]
) -> Response:
    return asked.one(_job_resource(_job(app, JobKind.EVENTS, job_id)))


@events.get(
    "/event-bulk-create-jobs/{job_id}/import-errors",
    summary="What was wrong with events that were sent in bulk",
    dependencies=[Depends(needs("profiles"))],
    **ERRORS.route(shape=Shape.PAGE),
)
def list_event_errors(
    app: TheApp, job_id: str, asked: Annotated[Asked, Depends(ERRORS)]
) -> Response:
    """Rows as they were sent: a key has to be allowed to read profiles too."""
    return _errors(app, asked, JobKind.EVENTS, job_id)


# deletions


@deletions.post(
    "/data-privacy-deletion-jobs",
    summary="Delete whoever has an identifier: one of id, email and phone_number",
    **ONE_DELETION.route(
        status=202, body=(DeletionDocument, DELETION_EXAMPLE), shape=Shape.NOTHING
    ),
)
def delete_person(
    app: TheApp, asked: Annotated[Asked, Depends(ONE_DELETION)], body: Body
) -> Response:
    """The header Location says where it is told whether they are gone."""
    return _taken(asked, _submitted(app, JobKind.DELETION, body))


@deletions.get(
    "/data-privacy-deletion-jobs",
    summary="Deletions, the newest first",
    **DELETIONS.route(shape=Shape.PAGE),
)
def list_deletions(app: TheApp, asked: Annotated[Asked, Depends(DELETIONS)]) -> Response:
    return _jobs(app, asked, JobKind.DELETION)


@deletions.get(
    "/data-privacy-deletion-jobs/{job_id}",
    summary="How far a deletion is",
    **ONE_DELETION.route(),
)
def get_deletion(
    app: TheApp, job_id: str, asked: Annotated[Asked, Depends(ONE_DELETION)]
) -> Response:
    return asked.one(_job_resource(_job(app, JobKind.DELETION, job_id)))


@deletions.get(
    "/data-privacy-deletion-jobs/{job_id}/import-errors",
    summary="Why nobody was deleted",
    **ERRORS.route(shape=Shape.PAGE),
)
def list_deletion_errors(
    app: TheApp, job_id: str, asked: Annotated[Asked, Depends(ERRORS)]
) -> Response:
    return _errors(app, asked, JobKind.DELETION, job_id)


# what they share


def _submitted(app: App, kind: JobKind, body: bytes) -> Job:
    with usable():
        return app.jobs.submit(kind, body, datetime.now(UTC))


def _taken(asked: Asked, job: Job) -> Response:
    return Response(status_code=202, headers=_location(asked, job))


def _location(asked: Asked, job: Job) -> dict[str, str]:
    return {"Location": asked.url_of(_job_resource(job))}


def _job(app: App, kind: JobKind, job_id: str) -> Job:
    return stored.read_job(app.people, job_id, [kind])


def _jobs(app: App, asked: Asked, kind: JobKind) -> Response:
    after = asked.position(tuple[Number])
    rows = stored.read_jobs(
        app.people,
        kinds=[kind],
        statuses=asked.values("status"),
        descending=asked.sort != "created_at",
        after=None if after is None else after[0],
        limit=asked.size + 1,
    )
    return asked.page(rows, resource=_job_resource, position=lambda job: [job.number])


def _imported(app: App, job_id: str, asked: Asked) -> list[tuple[int, Profile]]:
    job = _job(app, JobKind.PROFILES, job_id)
    after = asked.position(tuple[Number])
    return app.jobs.profiles(job, after=after[0] if after else 0, limit=asked.size + 1)


def _errors(app: App, asked: Asked, kind: JobKind, job_id: str) -> Response:
    job = _job(app, kind, job_id)
    after = asked.position(tuple[Number])
    rows = stored.read_errors(
        app.people, job, after=after[0] if after else -1, limit=asked.size + 1
    )
    return asked.page(
        rows,
        resource=lambda row: _error_resource(job, row),
        position=lambda row: [row.number],
    )


def _job_resource(job: Job) -> Resource:
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
    return Resource(JOB_TYPES[job.kind], job.id, attributes)


def _error_resource(job: Job, stored_error: StoredError) -> Resource:
    error = stored_error.error
    attributes = {
        "code": error.code,
        "title": error.title,
        "detail": error.detail,
        "source": ErrorSource(error.pointer),
        "original_payload": None if error.payload is None else msgspec.Raw(error.payload),
    }
    return Resource(IMPORT_ERROR, f"{job.id}-{stored_error.number}", attributes)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()

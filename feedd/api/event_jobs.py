"""Events that are sent in bulk: recorded by and by, told about until they expire."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from feedd.api.access import TheApp, needs
from feedd.api.asking import Asked, Asking
from feedd.api.event_bodies import JOB_EXAMPLE, EventJobBody
from feedd.api.jobs import (
    ERRORS,
    EVENT_JOB,
    Body,
    errors_page,
    job_of,
    job_resource,
    jobs_page,
    many_of,
    submitted,
    taken,
)
from feedd.api.openapi import Shape
from feedd.people.jobs import JobKind

router = APIRouter(tags=["events"])


ONE_EVENTS, EVENTS = Asking(EVENT_JOB), many_of(EVENT_JOB)


@router.post(
    "/event-bulk-create-jobs",
    summary="Create up to 1,000 events, by and by",
    **ONE_EVENTS.route(status=202, body=(EventJobBody, JOB_EXAMPLE), shape=Shape.NOTHING),
)
def create_events(
    app: TheApp, asked: Annotated[Asked, Depends(ONE_EVENTS)], body: Body
) -> Response:
    """The header Location says where it is told how far they are."""
    return taken(asked, submitted(app, JobKind.EVENTS, body))


@router.get(
    "/event-bulk-create-jobs",
    summary="Events that were sent in bulk, the newest first",
    **EVENTS.route(shape=Shape.PAGE),
)
def list_event_jobs(app: TheApp, asked: Annotated[Asked, Depends(EVENTS)]) -> Response:
    return jobs_page(app, asked, JobKind.EVENTS)


@router.get(
    "/event-bulk-create-jobs/{job_id}",
    summary="How far events that were sent in bulk are",
    **ONE_EVENTS.route(),
)
def get_event_job(
    app: TheApp, job_id: str, asked: Annotated[Asked, Depends(ONE_EVENTS)]
) -> Response:
    return asked.one(job_resource(job_of(app, JobKind.EVENTS, job_id)))


@router.get(
    "/event-bulk-create-jobs/{job_id}/import-errors",
    summary="What was wrong with events that were sent in bulk",
    dependencies=[Depends(needs("profiles"))],
    **ERRORS.route(shape=Shape.PAGE),
)
def list_event_errors(
    app: TheApp, job_id: str, asked: Annotated[Asked, Depends(ERRORS)]
) -> Response:
    """Rows as they were sent: a key has to be allowed to read profiles too."""
    return errors_page(app, asked, JobKind.EVENTS, job_id)

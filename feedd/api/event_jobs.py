"""Events that are sent in bulk: recorded by and by, told about until they expire."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from feedd.api.access import TheApp
from feedd.api.asking import Asked, Asking
from feedd.api.event_bodies import JOB_EXAMPLE, EventJobBody
from feedd.api.jobs import (
    EVENT_JOB,
    Body,
    Summaries,
    submitted,
    taken,
    tell,
)
from feedd.api.openapi import Shape
from feedd.people.jobs import JobKind

router = APIRouter(tags=["events"])

NEW_EVENTS = Asking(EVENT_JOB)


@router.post(
    "/event-bulk-create-jobs",
    summary="Create up to 1,000 events, by and by",
    **NEW_EVENTS.route(status=202, body=(EventJobBody, JOB_EXAMPLE), shape=Shape.NOTHING),
)
def create_events(
    app: TheApp, asked: Annotated[Asked, Depends(NEW_EVENTS)], body: Body
) -> Response:
    """The header Location says where it is told how far they are."""
    return taken(asked, submitted(app, JobKind.EVENTS, body))


tell(
    router,
    JobKind.EVENTS,
    Summaries(
        listed="Events that were sent in bulk, the newest first",
        one="How far events that were sent in bulk are",
        errors="What was wrong with events that were sent in bulk",
    ),
    scopes=("profiles",),  # rows name people
)

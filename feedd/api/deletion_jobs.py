"""Deletions of people for good: done by and by, told about until they expire."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from feedd.api.access import TheApp
from feedd.api.asking import Asked, Asking
from feedd.api.jobs import (
    DELETION_JOB,
    Body,
    Summaries,
    submitted,
    taken,
    tell,
)
from feedd.api.openapi import Shape
from feedd.people.job_rows import DeletionDocument
from feedd.people.jobs import JobKind

router = APIRouter(tags=["data privacy"])

NEW_DELETION = Asking(DELETION_JOB)
EXAMPLE = {
    "data": {
        "type": "data-privacy-deletion-job",
        "attributes": {
            "profile": {
                "data": {"type": "profile", "attributes": {"email": "jane.doe@example.com"}}
            }
        },
    }
}


@router.post(
    "/data-privacy-deletion-jobs",
    summary="Delete whoever has an identifier: one of id, email and phone_number",
    **NEW_DELETION.route(status=202, body=(DeletionDocument, EXAMPLE), shape=Shape.NOTHING),
)
def delete_person(
    app: TheApp, asked: Annotated[Asked, Depends(NEW_DELETION)], body: Body
) -> Response:
    """The header Location says where it is told whether they are gone."""
    return taken(asked, submitted(app, JobKind.DELETION, body))


tell(
    router,
    JobKind.DELETION,
    Summaries(
        listed="Deletions, the newest first",
        one="How far a deletion is",
        errors="Why nobody was deleted",
    ),
)

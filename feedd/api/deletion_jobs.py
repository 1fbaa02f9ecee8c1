"""Deletions of people for good: done by and by, told about until they expire."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from feedd.api.access import TheApp
from feedd.api.asking import Asked, Asking
from feedd.api.jobs import (
    DELETION_JOB,
    ERRORS,
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
from feedd.people.job_rows import DeletionDocument
from feedd.people.jobs import JobKind

router = APIRouter(tags=["data privacy"])

ONE_DELETION, DELETIONS = Asking(DELETION_JOB), many_of(DELETION_JOB)
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
    **ONE_DELETION.route(status=202, body=(DeletionDocument, EXAMPLE), shape=Shape.NOTHING),
)
def delete_person(
    app: TheApp, asked: Annotated[Asked, Depends(ONE_DELETION)], body: Body
) -> Response:
    """The header Location says where it is told whether they are gone."""
    return taken(asked, submitted(app, JobKind.DELETION, body))


@router.get(
    "/data-privacy-deletion-jobs",
    summary="Deletions, the newest first",
    **DELETIONS.route(shape=Shape.PAGE),
)
def list_deletions(app: TheApp, asked: Annotated[Asked, Depends(DELETIONS)]) -> Response:
    return jobs_page(app, asked, JobKind.DELETION)


@router.get(
    "/data-privacy-deletion-jobs/{job_id}",
    summary="How far a deletion is",
    **ONE_DELETION.route(),
)
def get_deletion(
    app: TheApp, job_id: str, asked: Annotated[Asked, Depends(ONE_DELETION)]
) -> Response:
    return asked.one(job_resource(job_of(app, JobKind.DELETION, job_id)))


@router.get(
    "/data-privacy-deletion-jobs/{job_id}/import-errors",
    summary="Why nobody was deleted",
    **ERRORS.route(shape=Shape.PAGE),
)
def list_deletion_errors(
    app: TheApp, job_id: str, asked: Annotated[Asked, Depends(ERRORS)]
) -> Response:
    return errors_page(app, asked, JobKind.DELETION, job_id)

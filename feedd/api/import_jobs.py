"""Imports of profiles: sent in bulk, done by and by, told about until they expire."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from msgspec import Struct

from feedd.api.access import TheApp
from feedd.api.asking import Asked, Asking, Number
from feedd.api.jobs import (
    IMPORT_JOB,
    PAGES,
    Body,
    Summaries,
    job_of,
    job_resource,
    location_of,
    submitted,
    tell,
)
from feedd.api.openapi import Shape
from feedd.api.people_kinds import PROFILE, profile_resource
from feedd.api.profile_bodies import ImportBody
from feedd.api.resources import Resource, ResourceType
from feedd.app import App
from feedd.people.documents import Time
from feedd.people.jobs import JobKind
from feedd.people.values import Profile

router = APIRouter(tags=["profiles"])


class ListAttributes(Struct, frozen=True, kw_only=True):
    """What is told of a list, once there are any."""

    name: str | None = None
    created: Time | None = None
    updated: Time | None = None
    opt_in_process: str | None = None


LIST = ResourceType(name="list", attributes=ListAttributes, scope="profiles", has_page=False)
NEW_IMPORT = Asking(IMPORT_JOB)
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


@router.post(
    "/profile-bulk-import-jobs",
    summary="Create or update up to 10,000 profiles, by and by",
    **NEW_IMPORT.route(status=202, body=(ImportBody, IMPORT_EXAMPLE)),
)
def import_profiles(
    app: TheApp, asked: Annotated[Asked, Depends(NEW_IMPORT)], body: Body
) -> Response:
    """Answers once the job is stored; `GET /api/profile-bulk-import-jobs/{id}` says how far it is, and what was wrong with rows of it."""
    # in a thread: ten thousand rows take the event loop too long to decode
    job = submitted(app, JobKind.PROFILES, body)
    return asked.one(job_resource(job), status=202, headers=location_of(asked, job))


tell(
    router,
    JobKind.PROFILES,
    Summaries(
        listed="Imports of profiles, the newest first",
        one="How far an import of profiles is",
        errors="What was wrong with rows of an import of profiles",
    ),
    include={"lists": LIST},
)


@router.get(
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


@router.get(
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


@router.get(
    "/profile-bulk-import-jobs/{job_id}/lists",
    summary="The lists that profiles were added to: none, as there are no lists yet",
    **LISTS.route(shape=Shape.PAGE),
)
def list_lists(app: TheApp, job_id: str, asked: Annotated[Asked, Depends(LISTS)]) -> Response:
    job_of(app, JobKind.PROFILES, job_id)
    nothing: list[Resource] = []
    return asked.page(nothing, resource=lambda each: each, position=lambda _: [])


@router.get(
    "/profile-bulk-import-jobs/{job_id}/relationships/lists",
    summary="The ids of the lists that profiles were added to: none, as there are no lists yet",
    **LISTS.route(shape=Shape.LINKAGES),
)
def list_list_ids(app: TheApp, job_id: str, asked: Annotated[Asked, Depends(LISTS)]) -> Response:
    job_of(app, JobKind.PROFILES, job_id)
    nothing: list[str] = []
    return asked.linkages("list", nothing, id_of=str)


def _imported(app: App, job_id: str, asked: Asked) -> list[tuple[int, Profile]]:
    job = job_of(app, JobKind.PROFILES, job_id)
    after = asked.position(tuple[Number])
    return app.jobs.profiles(job, after=after[0] if after else 0, limit=asked.size + 1)

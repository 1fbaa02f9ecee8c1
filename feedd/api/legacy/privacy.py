"""v2 data privacy: people who want to be forgotten."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from feedd.api.legacy.calls import Call, LegacyRoute, answer, caller, told
from feedd.api.legacy.people import find_by
from feedd.people.operations import DeleteProfile
from feedd.people.values import Identifiers

router = APIRouter(tags=["v1 and v2"], route_class=LegacyRoute)
Writes = Annotated[Call, Depends(caller("data-privacy", "write"))]


@router.post(
    "/v2/data-privacy/deletion-request",
    summary="Delete a person",
    **told(
        ("email", "string", "An email address"),
        ("phone_number", "string", "A phone number: `+14155550123`"),
        ("person_id", "string", "The id of a person"),
        body=True,
    ),
)
def request_deletion(call: Writes) -> Response:
    """The person with exactly one of them, for good. Their events stay, and name nobody."""
    found = find_by(call, *call.one_of(("email", "phone_number", "person_id")))
    call.app.persons.answer(DeleteProfile(who=Identifiers(profile=found.id)))
    return answer({"status": 200, "message": "The profile was deleted.", "id": found.id})

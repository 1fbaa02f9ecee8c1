"""Previews: a template, rendered for one person as it would be sent (`POST /api/template-previews`)."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from msgspec import Struct
from msgspec.structs import replace

from feedd.api.access import TheApp, authorize
from feedd.api.asking import Asked, Asking
from feedd.api.body import BodyError, json_body
from feedd.api.resources import Resource, ResourceType
from feedd.people.identifiers import normalize_email, normalize_phone
from feedd.people.values import Identifiers
from feedd.previews import Preview, Previewed

router = APIRouter(tags=["templates"])

PREVIEW = ResourceType(
    name="template-preview", attributes=Previewed, scope="templates", has_page=False
)
ONE_PREVIEW = Asking(PREVIEW)
EXAMPLE = {
    "data": {
        "type": "template-preview",
        "attributes": {
            "html": "<p>Hello {{ first_name|default:'there' }}</p>",
            "subject": "News for {{ first_name }}",
            "profile": {"email": "jane.doe@example.com"},
        },
    }
}


class _Data(Struct):
    type: Literal["template-preview"]
    attributes: Preview


class PreviewQuery(Struct):
    """`{"data": {"type": "template-preview", "attributes": {"html" or "template", "profile", "event", "context", "at", …}}}`"""

    data: _Data


async def _allowed(
    request: Request, query: Annotated[PreviewQuery, Depends(json_body(PreviewQuery))]
) -> PreviewQuery:
    """What is asked for, by somebody who may read the people whom it is about. Raises UsageError."""
    wanted = query.data.attributes
    if wanted.profile is not None:
        await authorize(request, "profiles:read")
    if wanted.event is not None:
        await authorize(request, "profiles:read")
        await authorize(request, "events:read")
    return query


@router.post(
    "/template-previews",
    summary="A template, rendered for one person",
    **ONE_PREVIEW.route(body=(PreviewQuery, EXAMPLE), status=201),
)
def preview_template(
    app: TheApp,
    asked: Annotated[Asked, Depends(ONE_PREVIEW)],
    query: Annotated[PreviewQuery, Depends(_allowed)],
) -> Response:
    """As it would be sent, at the newest position of the change stream or at another: what could not be rendered says why."""
    wanted = query.data.attributes
    if wanted.profile is not None:
        wanted = replace(wanted, profile=_normalized(wanted.profile))
    previewed = app.previews.render(wanted)
    return asked.one(Resource(PREVIEW, "preview", previewed), status=201)


def _normalized(who: Identifiers) -> Identifiers:
    """The same person, as they are stored. Raises UsageError: an identifier is none, or there is none."""
    at = "/data/attributes/profile"
    if not who.given():
        raise BodyError(
            "it names nobody", hint='Write {"email": "jane.doe@example.com"}.', pointer=at
        )
    email, phone = who.email, who.phone_number
    return replace(
        who,
        email=None if email is None else normalize_email(email, f"{at}/email"),
        phone_number=None if phone is None else normalize_phone(phone, f"{at}/phone_number"),
    )

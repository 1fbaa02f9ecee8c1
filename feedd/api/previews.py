"""Previews: a template, rendered for one person as it would be sent (`POST /api/template-previews`)."""

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from msgspec import Struct
from msgspec.structs import replace

from feedd.api.access import TheApp, authorize
from feedd.api.asking import Asked, Asking
from feedd.api.body import BodyError, json_body
from feedd.api.resources import Resource, ResourceType
from feedd.people.identifiers import normalize_email, normalize_phone
from feedd.people.limits import PayloadProblem, check_shape
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


_AT = "/data/attributes"
# what to write where something else was written
_HINTS = {
    f"{_AT}/profile": 'Write {"email": "jane.doe@example.com"}.',
    f"{_AT}/event": 'Write the id of an event, the name of a metric, or properties: {"Name": "Mug"}.',
    f"{_AT}/context": 'Write {"first_name": "Jane"}.',
    f"{_AT}/now": "Write 2026-12-24T08:00:00.",
}


class PreviewProfile(Identifiers, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who it is for: by `profile` (the id), `email`, `phone_number`, `external_id` or `anonymous_ids`."""


class PreviewAttributes(Preview, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to render for whom."""

    profile: PreviewProfile | None = None


class _Data(Struct):
    type: Literal["template-preview"]
    attributes: PreviewAttributes


class PreviewQuery(Struct):
    """`{"data": {"type": "template-preview", "attributes": {"html" or "template", "profile", "event", "context", "at", …}}}`"""

    data: _Data


_body = json_body(PreviewQuery)


async def _allowed(request: Request) -> PreviewQuery:
    """What is asked for, by somebody who may read the people whom it is about. Raises UsageError."""
    try:
        query = await _body(request)
    except PayloadProblem as error:
        hint = error.hint or _HINTS.get(error.pointer, "")
        raise PayloadProblem(error.pointer, error.problem, code=error.code, hint=hint) from error
    wanted = query.data.attributes
    if wanted.profile is not None:
        await authorize(request, "profiles:read")
    if isinstance(wanted.event, str):
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
    wanted: Preview = query.data.attributes
    _check_depth(wanted)
    if wanted.profile is not None:
        wanted = replace(wanted, profile=_normalized(wanted.profile))
    previewed = app.previews.render(wanted)
    return asked.one(Resource(PREVIEW, "preview", previewed), status=201)


def _check_depth(wanted: Preview) -> None:
    """Raise PayloadProblem where variables are nested too deep, or a text is too long."""
    for name, value in (("context", wanted.context), ("event", wanted.event)):
        if isinstance(value, dict):
            encoded = msgspec.json.encode(value)
            brackets = encoded.count(b"{") + encoded.count(b"[")
            check_shape(value, f"{_AT}/{name}", len(encoded), brackets)


def _normalized(who: Identifiers) -> Identifiers:
    """The same person, as they are stored. Raises UsageError: an identifier is none, or there is none."""
    at = f"{_AT}/profile"
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

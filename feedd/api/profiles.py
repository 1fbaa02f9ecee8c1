"""Profiles: people, listed, made, changed and merged in the forms of Klaviyo's current API."""

from collections.abc import Sequence
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Response
from msgspec import Meta, Raw, Struct
from msgspec.structs import replace

from feedd.api.access import TheApp, may_read
from feedd.api.asking import Asked, Asking, Number
from feedd.api.body import json_body
from feedd.api.filters import Condition, texts, times
from feedd.api.openapi import Shape
from feedd.api.people_kinds import PROFILE, profile_resource, written_profile
from feedd.api.profile_bodies import (
    EXAMPLE,
    MERGE_EXAMPLE,
    PATCH_EXAMPLE,
    MergeDocument,
    ProfileDocument,
)
from feedd.api.resources import Resource, ResourceType
from feedd.app import App
from feedd.errors import NotFound, UsageError
from feedd.people import operations
from feedd.people.documents import of_somebody, profile_action
from feedd.people.identifiers import external_id, normalize_email, normalize_phone
from feedd.people.job_rows import TELLS
from feedd.people.limits import PROFILE_FULL, PayloadProblem
from feedd.people.values import (
    Action,
    Identifier,
    Identifiers,
    Kind,
    Outcome,
    Profile,
    Refusal,
    Source,
)
from feedd.store import profiles
from feedd.store.profile_pages import (
    Bound,
    Comparison,
    Order,
    Wanted,
    position_of,
    read_profile_page,
)

router = APIRouter(tags=["profiles"])
client = APIRouter(tags=["client"])

ATTRIBUTES = "/data/attributes"
_COMPARISONS: dict[str, Comparison] = {
    "greater-than": ">",
    "less-than": "<",
    "greater-or-equal": ">=",
    "less-or-equal": "<=",
}
_KINDS = {
    "id": (Kind.PROFILE, external_id),
    "email": (Kind.EMAIL, normalize_email),
    "phone_number": (Kind.PHONE, normalize_phone),
    "external_id": (Kind.EXTERNAL, external_id),
    "_kx": (Kind.ANONYMOUS, external_id),
}
_TIMES = {"created": Order.CREATED, "updated": Order.UPDATED}
_SORTS = ("created", "email", "id", "updated")

_Text = Annotated[str, Meta(pattern=r"^[^\x00]*$")]
_Micros = Annotated[int, Meta(ge=0, lt=253_402_300_800 * 10**6)]
_POSITIONS: dict[Order, Any] = {
    Order.NUMBER: tuple[Number, Number],
    Order.ID: tuple[_Text, Number],
    Order.EMAIL: tuple[_Text | None, Number],
    Order.CREATED: tuple[_Micros, Number],
    Order.UPDATED: tuple[_Micros, Number],
}


class Nothing(Struct):
    """The attributes of what has none."""


MERGED = ResourceType(name="profile", attributes=Nothing, scope="profiles")
PROFILES = Asking(
    PROFILE,
    filters={
        **{name: texts("equals", "any") for name in _KINDS if name != "_kx"},
        "_kx": texts("equals"),
        **{name: times(*_COMPARISONS) for name in _TIMES},
    },
    sorts=tuple(f"{sign}{name}" for name in _SORTS for sign in ("", "-")),
    pages=(20, 100),
)
ONE_PROFILE = Asking(PROFILE)
A_MERGE = Asking(MERGED)
FROM_PAGES = Asking(PROFILE, also=("company_id",))
_IMPORT = ONE_PROFILE.route(status=201, body=(ProfileDocument, PATCH_EXAMPLE))
_IMPORT["responses"][200] = _IMPORT["responses"][201]


class _Body(Struct):
    data: Raw


TheBody = Annotated[_Body, Depends(json_body(_Body))]
MayRead = Annotated[bool, Depends(may_read("profiles"))]
AskedOne = Annotated[Asked, Depends(ONE_PROFILE)]


@router.get("/profiles", summary="Profiles", **PROFILES.route(shape=Shape.PAGE))
def list_profiles(app: TheApp, asked: Annotated[Asked, Depends(PROFILES)]) -> Response:
    """Times are compared exactly, and told to the second. With no sort, they are in the order of the time that is filtered by, or as
    they were made. An id or address that a profile had before it was merged finds what it became."""
    wanted = _wanted(asked)
    found = read_profile_page(
        app.people,
        wanted,
        behind=asked.position(_POSITIONS[wanted.order]),
        limit=asked.size + 1,
    )
    return asked.page(
        found,
        resource=profile_resource,
        position=lambda profile: list(position_of(profile, wanted.order)),
    )


@router.get("/profiles/{profile_id}", summary="One profile", **ONE_PROFILE.route())
def get_profile(app: TheApp, profile_id: str, asked: AskedOne) -> Response:
    """The id of a profile that was merged leads to what it became."""
    found = _find(app, profile_id)
    if found is None:
        raise NoProfile(profile_id)
    return asked.one(profile_resource(found))


@router.post(
    "/profiles",
    summary="Make a profile",
    **ONE_PROFILE.route(status=201, body=(ProfileDocument, EXAMPLE)),
)
async def create_profile(
    app: TheApp, body: TheBody, asked: AskedOne, may_read: MayRead
) -> Response:
    """409 (`duplicate_profile`) where anybody has one of its identifiers: `meta.duplicate_profile_id` says who."""
    action = of_somebody(profile_action(bytes(body.data)), ATTRIBUTES)
    if action.who.profile is not None:
        raise PayloadProblem("/data/id", "is given by feedd", hint="Leave it out.")
    _, profile = await _done(app, replace(action, only_new=True))
    return asked.one(written_profile(profile, action, may_read=may_read), status=201)


@router.patch(
    "/profiles/{profile_id}",
    summary="Change a profile",
    **ONE_PROFILE.route(body=(ProfileDocument, PATCH_EXAMPLE)),
)
async def update_profile(
    app: TheApp, profile_id: str, body: TheBody, asked: AskedOne, may_read: MayRead
) -> Response:
    """What is null is cleared, what is absent is left. All of it is done, or nothing: 409 where an identifier is somebody else's."""
    action = profile_action(bytes(body.data))
    if action.who.profile not in (None, profile_id):
        raise PayloadProblem("/data/id", "is not the id in the path")
    if not _may_be_an_id(profile_id):
        raise NoProfile(profile_id)
    who = replace(action.who, profile=profile_id)
    _, profile = await _done(app, replace(action, who=who, only_existing=True, strict=True))
    return asked.one(written_profile(profile, action, may_read=may_read))


@router.post(
    "/profile-import",
    summary="Make a profile, or change the one that has one of its identifiers",
    **_IMPORT,
)
async def import_profile(
    app: TheApp, body: TheBody, asked: AskedOne, may_read: MayRead
) -> Response:
    """201 where a profile was made, 200 where one was changed. All of it is done, or nothing: 409 where identifiers are of two people."""
    action = of_somebody(profile_action(bytes(body.data)), ATTRIBUTES)
    outcome, profile = await _done(app, replace(action, strict=True), "/data/id")
    status = 201 if outcome.created else 200
    return asked.one(written_profile(profile, action, may_read=may_read), status=status)


@router.post(
    "/profile-merge",
    summary="Make a profile a part of another one",
    **A_MERGE.route(status=201, body=(MergeDocument, MERGE_EXAMPLE)),
)
def merge_profiles(
    app: TheApp,
    document: Annotated[MergeDocument, Depends(json_body(MergeDocument))],
    asked: Annotated[Asked, Depends(A_MERGE)],
) -> Response:
    """The one in `data` stays, fills its gaps from the other, and has its events; done when it is answered. Cannot be undone."""
    (source,) = document.data.relationships.profiles.data
    at = "/data/relationships/profiles/data/0/id"
    found = []
    for id_, pointer in ((document.data.id, "/data/id"), (source.id, at)):
        if (profile := _find(app, id_)) is None:
            raise NoProfile(id_, pointer)
        found.append(profile.id)
    if found[0] == found[1]:
        raise PayloadProblem(at, "is the profile that it would become a part of")
    into, gone = (Identifiers(profile=id_) for id_ in found)
    left = app.persons.answer(operations.MergeProfiles(sources=(gone,), into=into))
    return asked.one(Resource(MERGED, left.profile.id, Nothing()), status=201)


@client.post(
    "/profiles",
    summary="Make or change a profile, from a page or an app",
    **FROM_PAGES.route(status=202, body=(ProfileDocument, EXAMPLE), shape=Shape.NOTHING),
)
async def create_client_profile(app: TheApp, body: TheBody) -> Response:
    """Identifiers that are missing are added; those that somebody has are left, and that is no error."""
    found = profile_action(bytes(body.data), trusted=False, source=Source.CLIENT)
    await app.recorder.recorded([of_somebody(found, ATTRIBUTES)])
    return Response(status_code=202)


class NoProfile(NotFound):
    """There is no profile with an id; `pointer` is where a body names it."""

    def __init__(self, id_: str, pointer: str | None = None) -> None:
        self.source = {"pointer": pointer} if pointer else None
        super().__init__(f"A profile with id {id_[:100]} does not exist.")


class DuplicateProfile(UsageError):
    """Somebody else is known by an identifier: `meta` names their profile, `source` points at the identifier."""

    def __init__(self, id_: str, kind: Kind) -> None:
        field, name = TELLS[kind]
        # of an id of a device it is not known by which of two names it was given
        self.source = {"pointer": ATTRIBUTES if kind is Kind.ANONYMOUS else f"/data{field}"}
        self.meta = {"duplicate_profile_id": id_}
        super().__init__(
            "A profile already exists with one of these identifiers",
            code="duplicate_profile",
            hint=f"It has {name}: change or merge that profile, or leave this out. Nothing was changed.",
        )


async def _done(app: App, action: Action, pointer: str | None = None) -> tuple[Outcome, Profile]:
    """Record an action that is done whole or not at all, and give the profile as it is then."""
    (outcome,) = await app.recorder.recorded([action])
    if outcome.refused is Refusal.PROFILE_TOO_LARGE:
        raise PayloadProblem(f"{ATTRIBUTES}/properties", PROFILE_FULL, hint="Nothing was changed.")
    profile = await anyio.to_thread.run_sync(_read, app, outcome.profile or 0)
    if profile is None:
        raise NoProfile(action.who.profile or str(outcome.profile), pointer)
    if outcome.refused is Refusal.TAKEN:
        raise DuplicateProfile(profile.id, outcome.ignored[0][0])
    return outcome, profile


def _read(app: App, number: int) -> Profile | None:
    with app.people.snapshot() as connection:
        return profiles.read_profile(connection, number)


def _find(app: App, id_: str) -> Profile | None:
    if not _may_be_an_id(id_):
        return None
    return profiles.find_profile(app.people, Identifiers(profile=id_))


def _may_be_an_id(text: str) -> bool:
    """Whether a database can be asked for it: PostgreSQL knows no text with a NUL."""
    return text.isprintable()


def _wanted(asked: Asked) -> Wanted:
    """What a request asks the list for."""
    bounds = [
        Bound(_TIMES[each.field], _COMPARISONS[each.operator], each.value)  # type: ignore[arg-type]
        for each in asked.conditions
        if each.field in _TIMES
    ]
    groups = [_group(each) for each in asked.conditions if each.field in _KINDS]
    order = Order((asked.sort or "").removeprefix("-") or Order.NUMBER)
    if asked.sort is None and bounds:
        order = bounds[0].field
    return Wanted(
        order=order,
        is_descending=(asked.sort or "").startswith("-"),
        identifiers=tuple(groups),
        bounds=tuple(bounds),
    )


def _group(condition: Condition) -> frozenset[Identifier]:
    """The identifiers that a condition names, as they are stored; one that can be nobody's is left out."""
    kind, judge = _KINDS[condition.field]
    values: Sequence[str] = condition.value if condition.operator == "any" else [condition.value]
    found = set()
    for value in values:
        try:
            found.add((kind, judge(_with_plus(kind, value), "")))
        except PayloadProblem:
            continue
    return frozenset(found)


def _with_plus(kind: Kind, value: str) -> str:
    """The + of a number or an address, which reads as a space where a client has not escaped it."""
    if kind is Kind.EMAIL:
        return value.strip().replace(" ", "+")
    return f"+{value[1:]}" if kind is Kind.PHONE and value.startswith(" ") else value

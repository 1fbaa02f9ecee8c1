"""Events: what people did, told and recorded in the forms of Klaviyo's current API."""

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from feedd.api.access import TheApp, needs
from feedd.api.asking import Asked, Asking, Number
from feedd.api.body import apart, limited_body
from feedd.api.event_bodies import BULK_EXAMPLE, EXAMPLE, EntryBody, EventBody
from feedd.api.filters import FilterError, numbers, relations, texts, times
from feedd.api.openapi import Shape
from feedd.api.people_kinds import (
    ATTRIBUTION,
    EVENT,
    METRIC,
    PROFILE,
    event_resource,
    metric_resource,
    profile_resource,
    seconds_of,
)
from feedd.api.resources import Resource
from feedd.app import App
from feedd.errors import NotFound
from feedd.people.event_documents import (
    ATTRIBUTES,
    entry_document_actions,
    event_action,
)
from feedd.people.limits import MAX_EVENT_BYTES, MAX_PUBLIC_METRICS, PayloadProblem
from feedd.people.spans import span_of
from feedd.people.values import Action, Event, Identifiers, Metric, Outcome, Profile, Refusal
from feedd.store import events, people_metrics, profiles
from feedd.store.events import Page, Position

router = APIRouter(tags=["events"])
client = APIRouter(tags=["client"])

_COMPARISONS = ("greater-or-equal", "greater-than", "less-or-equal", "less-than")
# clients ask for attributions by habit; there are none, as nothing that feedd sends is followed yet
_INCLUDE = {"metric": METRIC, "profile": PROFILE, "attributions": ATTRIBUTION}

EVENTS = Asking(
    EVENT,
    filters={
        "metric_id": texts("equals", many=("equals",)),
        "profile_id": texts("equals"),
        "datetime": times(*_COMPARISONS),
        "timestamp": numbers(*_COMPARISONS),
        "profile": relations(),
        "metric": relations(),
    },
    sorts=("datetime", "-datetime", "timestamp", "-timestamp"),
    pages=(200, 1_000),
    include=_INCLUDE,
)
ONE_EVENT = Asking(EVENT, include=_INCLUDE)
ITS_METRIC = Asking(METRIC)
ITS_PROFILE = Asking(PROFILE)
FROM_PAGES = Asking(EVENT, also=("company_id",))


@router.get("/events", summary="What people did", **EVENTS.route(shape=Shape.PAGE))
def list_events(app: TheApp, asked: Annotated[Asked, Depends(EVENTS)]) -> Response:
    """The newest first, unless sorted otherwise; those of the same second in the order of recording."""
    oldest_first = asked.sort in ("datetime", "timestamp")
    found = _found(app, asked, oldest_first=oldest_first)
    return asked.page(
        found.events,
        more=found.next is not None,
        resource=event_resource,
        position=lambda event: [seconds_of(event.at), event.number],
        include={
            "metric": lambda rows: _metrics_of(app, rows),
            "profile": lambda rows: _profiles_of(app, rows),
            "attributions": lambda _: [],
        },
    )


@router.get("/events/{event_id}", summary="One event", **ONE_EVENT.route())
def get_event(app: TheApp, event_id: str, asked: Annotated[Asked, Depends(ONE_EVENT)]) -> Response:
    event = _event(app, event_id)
    return asked.one(
        event_resource(event),
        include={
            "metric": lambda: _metrics_of(app, [event]),
            "profile": lambda: _profiles_of(app, [event]),
            "attributions": list,
        },
    )


@router.get(
    "/events/{event_id}/metric",
    summary="The metric of an event",
    dependencies=[Depends(needs("metrics"))],
    **ITS_METRIC.route(),
)
def get_metric(
    app: TheApp, event_id: str, asked: Annotated[Asked, Depends(ITS_METRIC)]
) -> Response:
    return asked.one(_metrics_of(app, [_event(app, event_id)])[0])


@router.get(
    "/events/{event_id}/relationships/metric",
    summary="The id of the metric of an event",
    dependencies=[Depends(needs("metrics"))],
    **ITS_METRIC.route(shape=Shape.LINKAGE),
)
def get_metric_id(
    app: TheApp, event_id: str, asked: Annotated[Asked, Depends(ITS_METRIC)]
) -> Response:
    return asked.linkage("metric", _event(app, event_id).metric_id)


@router.get(
    "/events/{event_id}/profile",
    summary="Whose event it is",
    dependencies=[Depends(needs("profiles"))],
    **ITS_PROFILE.route(),
)
def get_profile(
    app: TheApp, event_id: str, asked: Annotated[Asked, Depends(ITS_PROFILE)]
) -> Response:
    """404 where the profile was deleted: the event stays, and names nobody."""
    found = _profiles_of(app, [_event(app, event_id)])
    if not found:
        raise NotFound("whose event this is was deleted")
    return asked.one(found[0])


@router.get(
    "/events/{event_id}/relationships/profile",
    summary="The id of the profile whose event it is",
    dependencies=[Depends(needs("profiles"))],
    **ITS_PROFILE.route(shape=Shape.LINKAGE),
)
def get_profile_id(
    app: TheApp, event_id: str, asked: Annotated[Asked, Depends(ITS_PROFILE)]
) -> Response:
    found = _profiles_of(app, [_event(app, event_id)])
    return asked.linkage("profile", found[0].id if found else None)


@router.post(
    "/events",
    summary="Record an event",
    dependencies=[Depends(Asking(EVENT))],
    **Asking(EVENT).route(status=202, body=(EventBody, EXAMPLE), shape=Shape.NOTHING),
)
async def create_event(app: TheApp, request: Request) -> Response:
    """Answers once it is recorded; it is there to be read then. The profile is made or changed with it."""
    action = await _decoded(request, lambda body: event_action(body, time.time(), trusted=True))
    await _record(app, [action])
    return Response(status_code=202)


@client.post(
    "/events",
    summary="Record an event, from a page or an app",
    **FROM_PAGES.route(status=202, body=(EventBody, EXAMPLE), shape=Shape.NOTHING),
)
async def create_client_event(app: TheApp, request: Request) -> Response:
    """As `POST /api/events`, with a public key, which changes no identifier that somebody has."""
    action = await _decoded(request, lambda body: event_action(body, time.time()))
    await _record(app, [action])
    return Response(status_code=202)


@client.post(
    "/event-bulk-create",
    summary="Record several events of one person, from a page or an app",
    **FROM_PAGES.route(status=202, body=(EntryBody, BULK_EXAMPLE), shape=Shape.NOTHING),
)
async def create_client_events(app: TheApp, request: Request) -> Response:
    """At most 1,000 events, all of them or, where one cannot be used, none."""
    actions = await _decoded(request, lambda body: entry_document_actions(body, time.time()))
    await _record(app, actions)
    return Response(status_code=202)


def _found(app: App, asked: Asked, *, oldest_first: bool) -> Page:
    """A page of events."""
    bounds = [
        (each.operator, each.value)
        for each in asked.conditions
        if each.field in ("datetime", "timestamp")
    ]
    span = span_of(bounds)
    last = asked.position(tuple[Number, Number])
    metrics = _metric_numbers(app, asked.values("metric_id"))
    ids = asked.values("profile_id")
    profile = None
    if ids is not None:
        person = _person(app, ids[0]) if len(ids) == 1 else None
        if person is None:
            return Page(events=[])
        profile = person.number
    if span.is_empty():
        return Page(events=[])
    return events.read_timeline(
        app.people,
        profile=profile,
        metric=metrics,
        since=span.since,
        before=span.before,
        after=None if last is None else Position(*last),
        oldest_first=oldest_first,
        limit=asked.size,
    )


def _metric_numbers(app: App, ids: Sequence[Any] | None) -> list[int] | None:
    """The numbers of metrics; None where none is asked for."""
    if ids is None:
        return None
    known = {metric.id: metric.number for metric in people_metrics.read_metrics(app.people)}
    missing = [each for each in ids if each not in known]
    if missing:
        raise FilterError(
            f"there is no metric with the id {missing[0][:100]!r}",
            hint="GET /api/metrics tells the ids of all.",
        )
    return [known[each] for each in dict.fromkeys(ids)]


def _person(app: App, id_: str) -> Profile | None:
    return profiles.find_profile(app.people, Identifiers(profile=id_))


def _event(app: App, id_: str) -> Event:
    found = events.read_event_by_uuid(app.people, id_)
    if found is None:
        raise NotFound(f"there is no event with the id {id_[:100]!r}")
    return found


def _metrics_of(app: App, rows: Sequence[Event]) -> list[Resource]:
    wanted = {event.metric_id for event in rows}
    found: list[Metric] = people_metrics.read_metrics(app.people)
    return [metric_resource(metric) for metric in found if metric.id in wanted]


def _profiles_of(app: App, rows: Sequence[Event]) -> list[Resource]:
    """Whose events they are; those who were deleted are left out."""
    found = profiles.read_profiles_by_id(app.people, {event.profile for event in rows})
    return [profile_resource(profile) for profile in found]


async def _decoded(request: Request, decode: Callable[[bytes], Any]) -> Any:
    body = await limited_body(request, MAX_EVENT_BYTES)
    return await apart(lambda: decode(body), body)


async def _record(app: App, actions: Sequence[Action]) -> None:
    for action, outcome in zip(actions, await app.recorder.recorded(actions), strict=True):
        _check(action, outcome)


def _check(action: Action, outcome: Outcome) -> None:
    """Raise UsageError where an event was not recorded."""
    if outcome.profile is None:
        raise UnknownProfile(f"there is no profile with the id {action.who.profile!r}")
    if outcome.refused is Refusal.TOO_MANY_METRICS:
        raise PayloadProblem(
            f"{ATTRIBUTES}/metric{ATTRIBUTES}/name",
            f"is new, and there are {MAX_PUBLIC_METRICS:,} metrics",
            code=outcome.refused,
            hint="Say what differs in a property; more metrics are made with a private key only.",
        )


class UnknownProfile(NotFound):
    """An event of a profile that is not there."""

    source = {"pointer": f"{ATTRIBUTES}/profile/data/id"}  # noqa: RUF012 never changed

"""Events as JSON:API documents bring them, decoded into actions. Pure.

The forms are those of Klaviyo's current API (revision 2026-07-15): one event, a profile with several events, and many of those; `metric`
and `profile` may also stand without `data`, as revisions of 2022 and 2023 had them. Properties of events go on as the text that was sent.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from feedd.people.decoding import UNDECODED, decode_problem, read, shape_problem
from feedd.people.documents import of_somebody, profile_action
from feedd.people.limits import (
    MAX_EVENT_BYTES,
    MAX_METRIC_LENGTH,
    PayloadProblem,
)
from feedd.people.payloads import NotJson, boolean, new_event, person_of
from feedd.people.values import NOTHING, Action, Identifiers, NewEvent, Patch, Source

MAX_BULK_EVENTS = 1_000  # of a request, over all its profiles
ATTRIBUTES = "/data/attributes"
BULK_ENTRIES = f"{ATTRIBUTES}/events-bulk-create/data"

_members = msgspec.json.Decoder(dict[str, Raw]).decode


class _EventAttributes(Struct, forbid_unknown_fields=True):
    properties: Raw
    metric: dict[str, Any]
    time: Any = None
    value: Any = None
    value_currency: str | None = None
    unique_id: Any = None
    backfill: Any = None


class _ProfiledAttributes(_EventAttributes, forbid_unknown_fields=True, kw_only=True):
    profile: Raw


class _EventData(Struct):
    type: Literal["event"]
    attributes: _EventAttributes


class _ProfiledData(Struct):
    type: Literal["event"]
    attributes: _ProfiledAttributes


class EventDocument(Struct):
    """A document with one event, which holds its metric and its profile."""

    data: _ProfiledData


class _Events(Struct):
    data: list[Raw]


class _EntryAttributes(Struct, forbid_unknown_fields=True):
    profile: Raw
    events: _Events
    backfill: Any = None


class _Entry(Struct):
    type: Literal["event-bulk-create"]
    attributes: _EntryAttributes


class EntryDocument(Struct):
    """A document with one profile and its events."""

    data: _Entry


class _EntryText(Struct):
    data: Raw


class _JobEntries(Struct):
    data: list[Raw]


class _JobAttributes(Struct, forbid_unknown_fields=True, rename={"entries": "events-bulk-create"}):
    entries: _JobEntries


class _Job(Struct):
    type: Literal["event-bulk-create-job"]
    attributes: _JobAttributes


class _JobDocument(Struct):
    data: _Job


class _MetricAttributes(Struct, forbid_unknown_fields=True):
    name: Any
    service: str | None = None


class _MetricData(Struct):
    type: Literal["metric"]
    attributes: _MetricAttributes


class _Metric(Struct):
    data: _MetricData


def _decoder(kind: type[Any]) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(kind)


_profiled_event, _event, _entry = map(_decoder, (EventDocument, _EventData, _Entry))
_entry_document, _job_document = map(_decoder, (_EntryText, _JobDocument))


def event_action(body: bytes, now_s: float, *, trusted: bool = False) -> Action:
    """The action of a document with one event, which holds its metric and its profile.

    Raises:
        PayloadProblem: it cannot be used; says what, where, and what to do.
    """
    data = _read(_profiled_event, body).data
    who, patch = _person(data.attributes.profile, f"{ATTRIBUTES}/profile", trusted=trusted)
    event = _new_event(data.attributes, ATTRIBUTES, now_s)
    return _action(who, patch, event, trusted=trusted)


def entry_document_actions(body: bytes, now_s: float, *, trusted: bool = False) -> list[Action]:
    """The actions of a document with one profile and its events, in their order; all can be used.

    Raises:
        PayloadProblem: something of it cannot be used.
    """
    actions = []
    for found in entry_actions(
        bytes(_read(_entry_document, body).data), "/data", now_s, trusted=trusted
    ):
        if isinstance(found, PayloadProblem):
            raise found
        actions.append(found)
    return actions


def bulk_entries(body: bytes) -> list[bytes]:
    """The entries of a document that creates many events: the texts of what `entry_actions` reads, in their order.

    Raises:
        PayloadProblem: it is no such document, or has no entries.
    """
    entries = _read(_job_document, body).data.attributes.entries.data
    if not entries:
        raise PayloadProblem(BULK_ENTRIES, "is empty", hint="Send at least one event.")
    return [bytes(entry) for entry in entries]


def count_events(entries: list[bytes]) -> int:
    """How many events entries have.

    Raises:
        PayloadProblem: they are more than MAX_BULK_EVENTS, or an entry is none.
    """
    found = 0
    for place, entry in enumerate(entries):
        found += len(_read(_entry, entry, f"{BULK_ENTRIES}/{place}").attributes.events.data)
    if found > MAX_BULK_EVENTS:
        raise _too_many(BULK_ENTRIES, found)
    return found


def entry_actions(
    entry: bytes, pointer: str, now_s: float, *, trusted: bool = False
) -> Iterator[Action | PayloadProblem]:
    """What becomes of each event of an entry `{"type", "attributes": {"profile", "events"}}`, in their order: an action, or what is wrong.

    What is wrong with the profile is wrong with each. The first action changes the profile, the others do not.

    Raises:
        PayloadProblem: it is no entry, or it has no events, or too many.
    """
    attributes = _read(_entry, entry, pointer).attributes
    pointer = f"{pointer}/attributes"
    events = attributes.events.data
    if not events:
        raise PayloadProblem(f"{pointer}/events/data", "is empty", hint="Send at least one event.")
    if len(events) > MAX_BULK_EVENTS:
        raise _too_many(f"{pointer}/events/data", len(events))
    boolean(attributes.backfill, f"{pointer}/backfill")
    try:
        who, patch = _person(attributes.profile, f"{pointer}/profile", trusted=trusted)
    except PayloadProblem as problem:
        yield from [problem] * len(events)
        return
    for place, text in enumerate(events):
        at = f"{pointer}/events/data/{place}"
        try:
            event = _new_event(_read(_event, bytes(text), at).attributes, f"{at}/attributes", now_s)
        except PayloadProblem as problem:
            yield problem
        else:
            yield _action(who, patch, event, trusted=trusted)
            patch = NOTHING


def _too_many(pointer: str, count: int) -> PayloadProblem:
    return PayloadProblem(
        pointer,
        f"has {count:,} events; a request has at most {MAX_BULK_EVENTS:,}",
        hint="Send them in several requests.",
    )


def _action(who: Identifiers, patch: Patch, event: NewEvent, *, trusted: bool) -> Action:
    source = Source.SERVER if trusted else Source.CLIENT
    return Action(who=who, patch=patch, event=event, trusted=trusted, source=source)


def _read(decoder: "msgspec.json.Decoder[Any]", text: bytes, pointer: str = "") -> Any:
    if len(text) > MAX_EVENT_BYTES:
        raise PayloadProblem(
            pointer, f"is larger than {MAX_EVENT_BYTES // 10**6} MB", code="payload_too_large"
        )
    return read(decoder, text, pointer)


def _new_event(found: _EventAttributes, pointer: str, now_s: float) -> NewEvent:
    """An event of its attributes, which stand at `pointer`."""
    name, service, name_at = _metric(found.metric, f"{pointer}/metric")
    # what is nothing without flows: events are told to nobody as they come
    boolean(found.backfill, f"{pointer}/backfill")
    places = {"/event": name_at, "/time": f"{pointer}/time"}
    if found.value is not None:
        places["/properties/$value"] = f"{pointer}/value"
    if found.unique_id is not None:
        places["/properties/$event_id"] = f"{pointer}/unique_id"
    try:
        made = new_event(
            name,
            bytes(found.properties),
            now_s=now_s,
            time=found.time,
            value=found.value,
            unique_id=found.unique_id,
        )
    except PayloadProblem as problem:
        raise problem.at(places.get(problem.pointer, pointer + problem.pointer)) from problem
    except NotJson as error:
        raise PayloadProblem(f"{pointer}/properties", f"is not JSON: {error}") from error
    said = {"$event_id": made.unique_id if found.unique_id is not None else None}
    said |= {"$value": found.value if made.value is not None else None}
    said |= {"$value_currency": found.value_currency}
    return replace(made, properties=_with(made.properties, said), service=service)


def _with(properties: bytes, said: Mapping[str, Any]) -> bytes:
    """Properties with what attributes say of them, as track calls have it; each member is the text that was sent."""
    more = {name: value for name, value in said.items() if value is not None}
    if not more:
        return properties
    return msgspec.json.encode({**_members(properties), **more})


def _metric(found: dict[str, Any], pointer: str) -> tuple[Any, str | None, str]:
    """The name of a metric, its service, and where the name stands."""
    is_old = "data" not in found and "name" in found
    shape: Any = {"data": {"type": "metric", "attributes": found}} if is_old else found
    try:
        attributes = msgspec.convert(shape, _Metric).data.attributes
    except msgspec.ValidationError as error:
        raise shape_problem(error, pointer, model=_Metric) from error
    if not is_old:
        pointer += ATTRIBUTES
    service = (attributes.service or "").strip()
    if len(service) > MAX_METRIC_LENGTH or not service.isprintable():
        raise PayloadProblem(f"{pointer}/service", "is no name of a service")
    known = None if service.lower() in ("", "api") else service
    return attributes.name, known, f"{pointer}/name"


def _person(raw: Raw, pointer: str, *, trusted: bool) -> tuple[Identifiers, Patch]:
    """Who it is, and what changes of them: a null identifier is one that is not known, and takes none away."""
    text = bytes(raw)
    try:
        members = _members(text)
        if "data" not in members:  # as revisions of 2022 and 2023 had it
            return person_of(raw, pointer, len(text), trusted=trusted)
    except NotJson as error:
        raise PayloadProblem(pointer, f"is not JSON: {error}") from error
    except UNDECODED as error:
        raise decode_problem(error, pointer, text) from error
    pointer = f"{pointer}/data"
    found = profile_action(bytes(members["data"]), pointer, trusted=trusted)
    of_somebody(found, pointer)
    patch = replace(found.patch, clear=())
    return found.who, NOTHING if patch.is_empty() else patch

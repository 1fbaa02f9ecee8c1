"""What calls about events are sent, as OpenAPI tells it, with examples. What is in an event is read by `feedd.people.event_documents`."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from feedd.api.profile_bodies import ProfileData
from feedd.people.event_documents import MAX_BULK_EVENTS
from feedd.people.limits import MAX_METRIC_LENGTH


class MetricAttributes(Struct, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=MAX_METRIC_LENGTH)]
    service: Annotated[
        str | None, Meta(description="The integration of a metric that is made by the event.")
    ] = None


class MetricData(Struct):
    type: Literal["metric"]
    attributes: MetricAttributes


class EventMetric(Struct):
    data: MetricData


class EventProfile(Struct):
    data: Annotated[
        ProfileData, Meta(description="Who it is, by one identifier at least, and what changes.")
    ]


class EventAttributes(Struct, kw_only=True):
    properties: Annotated[dict[str, Any], Meta(description="Any JSON, 400 at the top.")]
    metric: EventMetric
    time: Annotated[
        str | float | None, Meta(description="ISO 8601, or Unix seconds; now where it is absent.")
    ] = None
    value: Annotated[float | None, Meta(description="Kept as the property `$value`.")] = None
    value_currency: Annotated[
        str | None, Meta(description="Kept as the property `$value_currency`.")
    ] = None
    unique_id: Annotated[
        str | None,
        Meta(description="The first event of a profile, a metric and a unique id stays."),
    ] = None
    backfill: Annotated[bool | None, Meta(description="Taken, and means nothing here.")] = None


class ProfiledEventAttributes(EventAttributes, kw_only=True):
    profile: EventProfile


class EventData(Struct):
    type: Literal["event"]
    attributes: EventAttributes


class ProfiledEventData(Struct):
    type: Literal["event"]
    attributes: ProfiledEventAttributes


class EventBody(Struct):
    """One event, with its metric and its profile."""

    data: ProfiledEventData


class EventsOfOne(Struct):
    data: Annotated[list[EventData], Meta(min_length=1, max_length=MAX_BULK_EVENTS)]


class EntryAttributes(Struct, kw_only=True):
    profile: EventProfile
    events: EventsOfOne
    backfill: Annotated[bool | None, Meta(description="Taken, and means nothing here.")] = None


class Entry(Struct):
    type: Literal["event-bulk-create"]
    attributes: EntryAttributes


class EntryBody(Struct):
    """Events of one profile."""

    data: Entry


class Entries(Struct):
    data: Annotated[list[Entry], Meta(min_length=1, max_length=MAX_BULK_EVENTS)]


class EventJobAttributes(Struct):
    entries: Entries = field(name="events-bulk-create")


class EventJobData(Struct):
    type: Literal["event-bulk-create-job"]
    attributes: EventJobAttributes


class EventJobBody(Struct):
    """Events of several profiles, 1,000 in all."""

    data: EventJobData


_EVENT: dict[str, Any] = {
    "metric": {"data": {"type": "metric", "attributes": {"name": "Placed Order"}}},
    "properties": {"ItemNames": ["Mug"]},
    "time": "2026-01-01T12:00:00+00:00",
    "value": 29.9,
    "value_currency": "EUR",
    "unique_id": "order-1042",
}
_PERSON = {"data": {"type": "profile", "attributes": {"email": "jane.doe@example.com"}}}
EXAMPLE = {"data": {"type": "event", "attributes": {**_EVENT, "profile": _PERSON}}}
BULK_EXAMPLE = {
    "data": {
        "type": "event-bulk-create",
        "attributes": {
            "profile": _PERSON,
            "events": {"data": [{"type": "event", "attributes": _EVENT}]},
        },
    }
}
JOB_EXAMPLE = {
    "data": {
        "type": "event-bulk-create-job",
        "attributes": {"events-bulk-create": {"data": [BULK_EXAMPLE["data"]]}},
    }
}

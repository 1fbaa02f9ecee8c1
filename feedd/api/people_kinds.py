"""The kinds of resources that tell of people: profiles, events, metrics and their properties, each with what one is told as."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2s
from typing import Any

from msgspec import Struct

from feedd.api.resources import Relation, Resource, ResourceType
from feedd.people.documents import (
    ProfileAttributes,
    Time,
    iso_time,
    profile_attributes,
    sent_attributes,
)
from feedd.people.inference import Property
from feedd.people.values import Action, Event, Metric, Profile
from feedd.store.metric_properties import property_id

Sample = str | int | float | bool


class EventAttributes(Struct, frozen=True, kw_only=True):
    """Something that somebody did; `timestamp` in Unix seconds, `datetime` the same in ISO 8601."""

    timestamp: int
    event_properties: dict[str, Any]
    datetime: Time
    uuid: str


class AttributionAttributes(Struct, frozen=True):
    """What is told of the message that an event is owed to: nothing, as feedd sends none yet."""


class Integration(Struct, frozen=True, kw_only=True):
    """Where a metric's events come from."""

    object: str = "integration"
    id: str
    name: str
    category: str


class MetricAttributes(Struct, frozen=True, kw_only=True):
    """A kind of what people do."""

    name: str
    created: Time
    updated: Time
    integration: Integration


class PropertyAttributes(Struct, frozen=True, kw_only=True):
    """A property that a metric's events have; `inferred_type` is Text, Number, Date, Boolean or List."""

    label: str
    property: str
    inferred_type: str
    sample_values: list[Sample]


PROFILE = ResourceType(
    name="profile",
    attributes=ProfileAttributes,
    scope="profiles",
    additional=("subscriptions", "predictive_analytics"),
)
METRIC = ResourceType(name="metric", attributes=MetricAttributes, scope="metrics")
EVENT = ResourceType(
    name="event",
    attributes=EventAttributes,
    scope="events",
    relationships={
        "profile": Relation("profile"),
        "metric": Relation("metric"),
        "attributions": Relation("attribution", many=True, has_related=False),
    },
)
ATTRIBUTION = ResourceType(
    name="attribution", attributes=AttributionAttributes, scope="events", has_page=False
)
METRIC_PROPERTY = ResourceType(
    name="metric-property",
    path="metric-properties",
    attributes=PropertyAttributes,
    scope="metrics",
    relationships={"metric": Relation("metric")},
    additional=("sample_values",),
)
CATEGORY = "API"  # of all integrations: everything comes over the API


def profile_resource(profile: Profile) -> Resource:
    """A person as a resource."""
    return Resource(PROFILE, profile.id, profile_attributes(profile))


def written_profile(profile: Profile, action: Action, *, may_read: bool) -> Resource:
    """A person as the answer to a call that has changed one; who may not read people is told what they sent themselves."""
    if may_read:
        return profile_resource(profile)
    return Resource(PROFILE, profile.id, sent_attributes(profile, action))


def event_resource(event: Event) -> Resource:
    """An event as a resource; its value is one of its properties, however it was sent."""
    properties: dict[str, Any] = dict(event.members())
    if event.value is not None:
        properties.setdefault("$value", event.value)
    attributes = EventAttributes(
        timestamp=seconds_of(event.at),
        event_properties=properties,
        datetime=iso_time(event.at),
        uuid=event.uuid,
    )
    related: Mapping[str, str | Sequence[str] | None] = {
        "profile": event.profile,
        "metric": event.metric_id,
        "attributions": (),
    }
    return Resource(EVENT, event.uuid, attributes, related)


def integration_of(metric: Metric) -> Integration:
    """What brings the events of a metric."""
    id_ = blake2s(metric.integration.encode(), digest_size=3).hexdigest()
    return Integration(id=id_, name=metric.integration, category=CATEGORY)


def metric_resource(metric: Metric) -> Resource:
    """A metric as a resource."""
    created = iso_time(metric.created_at)
    attributes = MetricAttributes(
        name=metric.name, created=created, updated=created, integration=integration_of(metric)
    )
    return Resource(METRIC, metric.id, attributes)


def property_resource(metric: Metric, found: Property) -> Resource:
    """A property of a metric's events as a resource."""
    attributes = PropertyAttributes(
        label=found.name,
        property=found.name,
        inferred_type=found.kind.value,
        sample_values=list(found.samples),
    )
    id_ = property_id(metric.id, found.name)
    return Resource(METRIC_PROPERTY, id_, attributes, {"metric": metric.id})


def seconds_of(at: datetime) -> int:
    """A time in Unix seconds."""
    return int(at.timestamp())

"""Events of JSON:API documents, decoded into actions."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.people.event_documents import (
    BULK_ENTRIES,
    MAX_BULK_EVENTS,
    bulk_entries,
    count_events,
    entry_actions,
    entry_document_actions,
    event_action,
)
from feedd.people.limits import PayloadProblem
from feedd.people.values import NOTHING, Action, Identifiers, NewEvent, Patch, Source

NOW = 1_795_762_000
METRIC = {"data": {"type": "metric", "attributes": {"name": "Placed Order"}}}
JANE = {
    "data": {
        "type": "profile",
        "attributes": {"email": "Jane.Doe@example.com", "first_name": "Jane"},
    }
}
WHO = Identifiers(email="jane.doe@example.com")


def document(**attributes: Any) -> dict[str, Any]:
    found = {"properties": {}, "metric": METRIC, "profile": JANE, **attributes}
    kept = {name: value for name, value in found.items() if value is not ...}
    return {"data": {"type": "event", "attributes": kept}}


def event_of(**attributes: Any) -> NewEvent:
    made = event_action(json.dumps(document(**attributes)).encode(), NOW, trusted=True).event
    assert made is not None
    return made


def refused(body: Any) -> PayloadProblem:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(PayloadProblem) as caught:
        event_action(text, NOW)
    return caught.value


def entry(*events: dict[str, Any], profile: Any = JANE) -> dict[str, Any]:
    data = [{"type": "event", "attributes": {"properties": {}, "metric": METRIC, **event}} for event in events]  # fmt: skip
    attributes = {"profile": profile, "events": {"data": data}}
    return {"type": "event-bulk-create", "attributes": attributes}


def job(*entries: Any) -> bytes:
    attributes = {"events-bulk-create": {"data": list(entries)}}
    return json.dumps({"data": {"type": "event-bulk-create-job", "attributes": attributes}}).encode()  # fmt: skip


def read_job(body: bytes) -> list[Action | PayloadProblem]:
    entries = bulk_entries(body)
    count_events(entries)
    return list(entry_actions(entries[0], f"{BULK_ENTRIES}/0", NOW))


def test_an_event_becomes_an_action() -> None:
    body = document(
        time="2026-11-08T01:00:00+01:00",
        value=9.99,
        value_currency="USD",
        unique_id="o-1",
        backfill=True,
        properties={"ItemNames": ["Mug"]},
    )
    assert event_action(json.dumps(body).encode(), NOW, trusted=True) == Action(
        who=WHO,
        patch=Patch(set={"$first_name": "Jane"}),
        event=NewEvent(
            metric="Placed Order",
            at=1_794_096_000,
            value=9.99,
            unique_id="o-1",
            properties=b'{"ItemNames":["Mug"],"$event_id":"o-1","$value":9.99,"$value_currency":"USD"}',
        ),
        trusted=True,
        source=Source.SERVER,
    )


def test_whoever_has_a_public_key_is_a_client() -> None:
    made = event_action(json.dumps(document()).encode(), NOW)
    assert (made.trusted, made.source) == (False, Source.CLIENT)
    assert made.event == NewEvent(metric="Placed Order", at=NOW, properties=b"{}")


def test_properties_keep_every_digit() -> None:
    text = json.dumps(document(value=2, properties="PROPERTIES")).replace(
        '"PROPERTIES"', '{"big": 123456789012345678901234567890, "price": 1.10}'
    )
    made = event_action(text.encode(), NOW).event
    assert made is not None
    assert made.properties == b'{"big":123456789012345678901234567890,"price":1.10,"$value":2}'
    plain = event_action(text.replace(', "value": 2', "").encode(), NOW).event
    assert plain is not None
    assert plain.properties == b'{"big": 123456789012345678901234567890, "price": 1.10}'


@given(st.dictionaries(st.text(max_size=5).map("x{}".format), st.integers() | st.text(), max_size=5))  # fmt: skip
def test_properties_come_back_as_they_were_sent(properties: dict[str, Any]) -> None:
    made = event_of(properties=properties, value=1, unique_id="u", value_currency="EUR")
    more = {"$event_id": "u", "$value": 1, "$value_currency": "EUR"}
    assert msgspec.json.decode(made.properties) == properties | more


def test_what_properties_say_counts_where_attributes_say_nothing() -> None:
    made = event_of(properties={"$value": "7.5", "$event_id": "a"}, value=None, unique_id=None)
    assert (made.value, made.unique_id) == (7.5, "a")
    assert made.properties == b'{"$value": "7.5", "$event_id": "a"}'
    made = event_of(properties={"$value": 7.5, "$event_id": "a"}, value=8, unique_id="b")
    assert (made.value, made.unique_id) == (8, "b")
    assert made.properties == b'{"$value":8,"$event_id":"b"}'


def test_a_profile_has_all_that_a_profile_has() -> None:
    attributes = {
        "email": None,
        "external_id": "C-1",
        "_kx": "x1",
        "last_name": None,
        "location": {"city": "Oslo"},
        "properties": {"Plan": "gold"},
        "meta": {"patch_properties": {"append": {"Tags": "x"}, "unset": "Old"}},
    }
    profile = {"data": {"type": "profile", "id": "01GDDKASAP8TKDDA2GRZDSVP4H", "attributes": attributes}}  # fmt: skip
    made = event_action(json.dumps(document(profile=profile)).encode(), NOW, trusted=True)
    assert made.who == Identifiers(profile="01GDDKASAP8TKDDA2GRZDSVP4H", external_id="C-1", anonymous_ids=("x1",))  # fmt: skip
    # a null identifier is not known to who sends it, and stays what it is
    assert made.patch == Patch(
        set={"$last_name": None, "$city": "Oslo", "Plan": "gold"},
        append={"Tags": "x"},
        unset=("Old",),
    )


@pytest.mark.parametrize("nothing", [None, [], {}])
def test_properties_may_be_empty(nothing: Any) -> None:
    assert event_of(properties=nothing).properties == b"{}"


@pytest.mark.parametrize(
    "time",
    ["2026-11-08T00:00:00.9+00:00", "2026-11-08T00:00:00", "2026-11-08 00:00:00", "1794096000", 1794096000],
)  # fmt: skip
def test_a_time_may_be_spelled_in_many_ways(time: Any) -> None:
    assert event_of(time=time).at == 1_794_096_000
    assert event_of(time=None).at == NOW


def test_a_service_is_the_integration_of_a_new_metric() -> None:
    def service(**given: Any) -> str | None:
        attributes = {"name": "Placed Order", **given}
        return event_of(metric={"data": {"type": "metric", "attributes": attributes}}).service

    assert [service(), service(service=None), service(service="api")] == [None] * 3
    assert service(service="shopify") == "shopify"


def test_the_form_of_2022_is_understood() -> None:
    body = document(metric={"name": "Viewed"}, profile={"$email": "jane.doe@example.com", "Plan": "gold"})  # fmt: skip
    made = event_action(json.dumps(body).encode(), NOW)
    assert (made.who, made.patch) == (WHO, Patch(set={"Plan": "gold"}))
    assert made.event is not None
    assert made.event.metric == "Viewed"
    assert refused(document(metric={"name": ""})).pointer == "/data/attributes/metric/name"


@pytest.mark.parametrize(
    ("body", "pointer", "problem"),
    [
        (b"nonsense", "", "is not JSON"),
        ([], "", "is a list, not an object"),
        ({}, "/data", "is missing"),
        ({"data": {"type": "metric"}}, "/data/type", 'is \'metric\', which is not supported. Write "event".'),
        (document(properties=...), "/data/attributes/properties", "is missing"),
        (document(properties="x"), "/data/attributes/properties", "is not an object"),
        (document(properties={str(n): n for n in range(401)}), "/data/attributes/properties", "401 properties"),
        (document(properties={"x": "x" * 103_000}), "/data/attributes/properties/x", "100 KB"),
        (document(metric=...), "/data/attributes/metric", "is missing"),
        (document(metric={}), "/data/attributes/metric/data", "is missing"),
        (document(metric={"data": {"type": "event", "attributes": {"name": "x"}}}), "/data/attributes/metric/data/type", 'Write "metric".'),
        (document(metric={"data": {"type": "metric", "attributes": {"name": "x" * 128}}}), "/data/attributes/metric/data/attributes/name", "127"),
        (document(metric={"data": {"type": "metric", "attributes": {"name": "x", "service": "a\nb"}}}), "/data/attributes/metric/data/attributes/service", "service"),
        (document(profile=...), "/data/attributes/profile", "is missing"),
        (document(profile=[]), "/data/attributes/profile", "is a list, not an object"),
        (document(profile={}), "/data/attributes/profile", "identifies nobody"),
        (document(profile={"$email": "nobody"}), "/data/attributes/profile/$email", "@"),
        (document(profile={"data": {"type": "event", "attributes": {}}}), "/data/attributes/profile/data/type", "is not"),
        (document(profile={"data": {"type": "profile", "attributes": {}}}), "/data/attributes/profile/data", "identifies nobody"),
        (document(profile={"data": {"type": "profile", "attributes": {"email": "nobody"}}}), "/data/attributes/profile/data/attributes/email", "@"),
        (document(time="soon"), "/data/attributes/time", "cannot be read"),
        (document(time="1980-01-01T00:00:00Z"), "/data/attributes/time", "1990"),
        (document(value="much"), "/data/attributes/value", "is not a number"),
        (document(value=True), "/data/attributes/value", "is not a number"),
        (document(properties={"$value": "much"}), "/data/attributes/properties/$value", "is not a number"),
        (document(unique_id=[1]), "/data/attributes/unique_id", "neither text"),
        (document(value_currency=5), "/data/attributes/value_currency", "is a whole number, not text or null"),
        (document(backfill="perhaps"), "/data/attributes/backfill", "neither true nor false"),
        (document(vallue=5), "/data/attributes/vallue", "not a field that is known. Supported: properties, metric,"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_place(body: Any, pointer: str, problem: str) -> None:  # fmt: skip
    found = refused(body)
    assert found.pointer == pointer
    assert problem in str(found)


def test_an_event_that_is_too_large_is_refused() -> None:
    found = refused(document(properties={"x": ["x" * 50_000] * 101}))
    assert found.code == "payload_too_large"


def test_half_an_emoji_is_mended() -> None:
    body = json.dumps(document(properties={"x": "PLACE"})).replace("PLACE", "\\ud83d")
    made = event_action(body.encode(), NOW).event
    assert made is not None
    assert json.loads(made.properties) == {"x": "\ufffd"}


def test_events_of_one_profile_share_it() -> None:
    body = json.dumps({"data": entry({"time": NOW - 60}, {"value": 5})}).encode()
    first, second = entry_document_actions(body, NOW)
    assert (first.who, first.patch) == (WHO, Patch(set={"$first_name": "Jane"}))
    assert (second.who, second.patch) == (WHO, NOTHING)
    assert first.event is not None
    assert first.event.at == NOW - 60
    assert second.event is not None
    assert second.event.value == 5
    assert not first.trusted


def test_a_document_of_one_profile_is_taken_whole_or_not_at_all() -> None:
    body = json.dumps({"data": entry({}, {"value": "much"})}).encode()
    with pytest.raises(PayloadProblem) as caught:
        entry_document_actions(body, NOW)
    assert caught.value.pointer == "/data/attributes/events/data/1/attributes/value"


def test_a_job_is_entries_each_with_what_becomes_of_its_events() -> None:
    entries = bulk_entries(job(entry({}, {"time": "soon"}, {"value": 1}), entry({}, {}, profile={"data": {"type": "profile", "attributes": {"location": {"city": "Oslo"}}}})))  # fmt: skip
    assert count_events(entries) == 5
    first, wrong, third = entry_actions(entries[0], f"{BULK_ENTRIES}/0", NOW, trusted=True)
    assert isinstance(first, Action)
    assert isinstance(third, Action)
    assert (first.trusted, third.patch) == (True, NOTHING)
    assert isinstance(wrong, PayloadProblem)
    assert wrong.pointer == f"{BULK_ENTRIES}/0/attributes/events/data/1/attributes/time"
    nobody = list(entry_actions(entries[1], f"{BULK_ENTRIES}/1", NOW))
    assert [each.code for each in nobody if isinstance(each, PayloadProblem)] == ["not_identified"] * 2  # fmt: skip


def test_the_first_event_that_can_be_used_changes_the_profile() -> None:
    (text,) = bulk_entries(job(entry({"time": "soon"}, {})))
    _, second = entry_actions(text, BULK_ENTRIES, NOW)
    assert isinstance(second, Action)
    assert second.patch == Patch(set={"$first_name": "Jane"})


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (job(), BULK_ENTRIES),
        (job(entry()), f"{BULK_ENTRIES}/0/attributes/events/data"),
        (job({"type": "event"}), f"{BULK_ENTRIES}/0/type"),
        (job(entry(*[{}] * 600), entry(*[{}] * 401)), BULK_ENTRIES),
        (job(entry(*[{}] * (MAX_BULK_EVENTS + 1))), BULK_ENTRIES),
        (json.dumps(document()).encode(), "/data/type"),
    ],
)
def test_a_job_that_is_none_is_refused(body: bytes, pointer: str) -> None:
    with pytest.raises(PayloadProblem) as caught:
        read_job(body)
    assert caught.value.pointer == pointer

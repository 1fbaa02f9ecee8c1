"""Profiles as resource objects: what one asks for, what one tells, and what is refused."""

import contextlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.people.documents import profile_action, profile_attributes
from feedd.people.identifiers import is_somebody
from feedd.people.limits import PayloadProblem
from feedd.people.patching import patched
from feedd.people.values import NOTHING, Identifiers, Kind, Patch, Profile, Source

AT = datetime(2026, 5, 4, 12, 0, 7, 999_999, UTC)


def asked(attributes: Any, *, pointer: str = "/data", **more: Any) -> Any:
    document = {"type": "profile", "attributes": attributes, **more}
    return profile_action(json.dumps(document).encode(), pointer)


def told(**more: Any) -> dict[str, Any]:
    profile = Profile(id="01", number=1, created_at=AT, updated_at=AT, **more)
    found: dict[str, Any] = msgspec.to_builtins(profile_attributes(profile))
    return found


def test_everything_that_a_profile_may_have() -> None:
    action = asked(
        {
            "email": "Jane.Doe@Example.com",
            "phone_number": "+1 415 555 0123",
            "external_id": 17,
            "anonymous_id": "device-1",
            "_kx": "exchanged",
            "first_name": "Jane",
            "last_name": None,
            "locale": "en-US",
            "location": {"city": "Boston", "zip": 2101, "latitude": 42.36, "longitude": "-71.06"},
            "properties": {"plan": "gold", "gone": None, "$source": -6},
        },
        id="01GDDKASAP8TKDDA2GRZDSVP4H",
    )
    assert action.who == Identifiers(
        profile="01GDDKASAP8TKDDA2GRZDSVP4H",
        email="jane.doe@example.com",
        phone_number="+14155550123",
        external_id="17",
        anonymous_ids=("device-1", "exchanged"),
    )
    assert action.patch == Patch(
        set={
            "plan": "gold",
            "gone": None,
            "$source": -6,
            "$first_name": "Jane",
            "$last_name": None,
            "$locale": "en-US",
            "$city": "Boston",
            "$zip": "2101",
            "$latitude": 42.36,
            "$longitude": "-71.06",
        }
    )
    assert action.trusted
    assert action.source is Source.SERVER


def test_null_clears_and_absent_leaves() -> None:
    action = asked({"email": None, "external_id": None, "title": None, "location": {"ip": None}})
    assert action.patch.clear == (Kind.EMAIL, Kind.EXTERNAL)
    assert action.patch.set == {"$title": None, "$ip": None}
    assert not is_somebody(action.who)


@pytest.mark.parametrize(
    "nothing",
    [
        {},
        {"location": None, "properties": None, "anonymous_id": None},
        {"location": [], "properties": [], "meta": []},
    ],
)
def test_what_is_not_said_changes_nothing(nothing) -> None:
    assert asked(nothing, meta=None).patch == NOTHING


def test_an_identifier_that_is_an_empty_text_is_none() -> None:
    action = asked({"email": "", "phone_number": "", "external_id": "", "anonymous_id": "a"})
    assert action.who == Identifiers(anonymous_ids=("a",))
    assert action.patch == NOTHING


def test_revisions_of_2022_say_in_meta_who_it_is() -> None:
    given = {"id": "01J", "email": "Jane@example.com", "external_id": "", "_kx": "k"}
    action = asked({"email": "joe@example.com"}, meta={"identifiers": given})
    assert action.who == Identifiers(profile="01J", email="joe@example.com", anonymous_ids=("k",))
    with pytest.raises(PayloadProblem) as caught:
        asked({}, meta={"identifiers": {"phone_number": "5"}})
    assert caught.value.pointer == "/data/meta/identifiers/phone_number"


META = {
    "patch_properties": {
        "append": {"sizes": ["S"]},
        "unappend": {"tags": 3},
        "unset": ["old", "$title"],
    },
    "patch_identifiers": {
        "append": {"anonymous_id": ["b", "a"]},
        "unappend": {"anonymous_id": "c"},
    },
}


@pytest.mark.parametrize("inside", [False, True])
def test_patches_stand_in_meta_beside_or_among_the_attributes(inside) -> None:
    attributes: dict[str, Any] = {"anonymous_id": "a"}
    action = asked(attributes | {"meta": META}) if inside else asked(attributes, meta=META)
    assert action.who.anonymous_ids == ("a", "b")
    assert action.patch == Patch(
        append={"sizes": ["S"]}, unappend={"tags": 3}, unset=("old", "$title"), leave=("c",)
    )


def test_one_name_is_unset_too() -> None:
    assert asked({}, meta={"patch_properties": {"unset": "old", "append": None}}).patch == Patch(
        unset=("old",)
    )


@pytest.mark.parametrize(
    ("attributes", "more", "pointer"),
    [
        ({"email": "jane"}, {}, "/data/attributes/email"),
        ({"phone_number": "555"}, {}, "/data/attributes/phone_number"),
        ({"external_id": ["x"]}, {}, "/data/attributes/external_id"),
        ({"_kx": "a\0b"}, {}, "/data/attributes/_kx"),
        ({"first_name": ["Jane"]}, {}, "/data/attributes/first_name"),
        ({"title": True}, {}, "/data/attributes/title"),
        ({"location": "Boston"}, {}, "/data/attributes/location"),
        ({"location": {"street": "x"}}, {}, "/data/attributes/location/street"),
        ({"location": {"latitude": []}}, {}, "/data/attributes/location/latitude"),
        ({"properties": [1]}, {}, "/data/attributes/properties"),
        ({"properties": {"$email": "x"}}, {}, "/data/attributes/properties/$email"),
        ({"properties": {"$first_name": {}}}, {}, "/data/attributes/properties/$first_name"),
        ({"properties": {"a/b$email": 1, "$unset": []}}, {}, "/data/attributes/properties/$unset"),
        ({"created": "2026-01-01"}, {}, "/data/attributes/created"),
        ({"a/~b": 1}, {}, "/data/attributes/a~1~0b"),
        ([], {}, "/data/attributes"),
        (None, {}, "/data/attributes"),
        ({}, {"type": "person"}, "/data/type"),
        ({}, {"id": ""}, "/data/id"),
        ({}, {"id": {}}, "/data/id"),
        ({}, {"meta": ["x"]}, "/data/meta"),
        ({}, {"meta": {"patch": {}}}, "/data/meta/patch"),
        ({"meta": {"patch": {}}}, {}, "/data/attributes/meta/patch"),
        ({}, {"meta": {"patch_properties": {"set": {}}}}, "/data/meta/patch_properties/set"),
        ({}, {"meta": {"patch_properties": {"append": [1]}}}, "/data/meta/patch_properties/append"),
        ({}, {"meta": {"patch_properties": {"append": {"$city": "x"}}}}, "/data/meta/patch_properties/append/$city"),
        ({}, {"meta": {"patch_properties": {"unset": [1]}}}, "/data/meta/patch_properties/unset"),
        ({}, {"meta": {"patch_properties": {"unset": "$email"}}}, "/data/meta/patch_properties/unset"),
        ({}, {"meta": {"patch_identifiers": {"append": {"email": "x"}}}}, "/data/meta/patch_identifiers/append/email"),
        ({}, {"meta": {"patch_identifiers": {"unappend": {"anonymous_id": [{}]}}}},
         "/data/meta/patch_identifiers/unappend/anonymous_id"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_pointed_at(attributes, more, pointer) -> None:
    with pytest.raises(PayloadProblem) as caught:
        asked(attributes, **more)
    assert caught.value.pointer == pointer


def test_pointers_begin_where_the_profile_stands() -> None:
    with pytest.raises(PayloadProblem) as caught:
        asked({"email": "jane"}, pointer="/data/attributes/profiles/data/3")
    assert caught.value.pointer == "/data/attributes/profiles/data/3/attributes/email"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"[]", "invalid"),
        (b'{"type": "profile"', "invalid"),
        (b'{"type": "profile", "attributes": {"title": "\xff"}}', "invalid"),
        (b'{"type": "profile", "attributes": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "invalid"),
        (b'{"type": "profile", "x": "' + b"x" * 102_400 + b'"}', "payload_too_large"),
    ],
)
def test_what_is_no_profile_is_refused(text, code) -> None:
    with pytest.raises(PayloadProblem) as caught:
        profile_action(text)
    assert (caught.value.code, caught.value.pointer) == (code, "/data")


def test_a_profile_of_whom_nothing_is_known_tells_of_every_field() -> None:
    found = told()
    assert found.pop("properties") == {}
    assert found.pop("created") == found.pop("updated") == "2026-05-04T12:00:07+00:00"
    subscriptions = found.pop("subscriptions")
    assert not subscriptions["email"]["marketing"]["can_receive_email_marketing"]
    location, foreseen = found.pop("location"), found.pop("predictive_analytics")
    assert set(location) == {
        *("address1", "address2", "city", "country", "latitude", "longitude"),
        *("region", "zip", "timezone", "ip"),
    }
    assert set(found) == {
        *("email", "phone_number", "external_id", "first_name", "last_name", "organization"),
        *("locale", "title", "image", "last_event_date"),
    }
    assert {*found.values(), *location.values(), *foreseen.values()} == {None}


def test_special_properties_have_their_places() -> None:
    found = told(
        email="jane.doe@example.com",
        properties={
            "$first_name": "Jane",
            "$city": "Boston",
            "$zip": 2101,
            "$latitude": 42.36,
            "$title": ["x"],
            "$source": -6,
            "first_name": "mine",
        },
        last_event_at=AT.astimezone(timezone(timedelta(hours=5))),
    )
    assert (found["first_name"], found["title"]) == ("Jane", '["x"]')
    place = found["location"]
    assert (place["city"], place["zip"], place["latitude"]) == ("Boston", "2101", 42.36)
    assert found["properties"] == {"$source": -6, "first_name": "mine"}
    assert found["last_event_date"] == "2026-05-04T12:00:07+00:00"
    assert found["subscriptions"]["email"]["marketing"]["can_receive_email_marketing"]


TEXT = st.none() | st.text(max_size=5)
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), st.lists)


@given(
    texts=st.dictionaries(st.sampled_from(["first_name", "title", "locale", "image"]), TEXT),
    places=st.dictionaries(st.sampled_from(["city", "ip", "timezone", "zip"]), TEXT),
    properties=st.dictionaries(st.text(max_size=4), VALUES, max_size=3),
)
def test_what_is_set_is_told(texts, places, properties) -> None:
    patch = asked({**texts, "location": places, "properties": properties}).patch
    found = told(properties=patched({"$first_name": "Old", "$city": "Old", "plan": "old"}, patch))
    was = {"first_name": "Old", "plan": "old", "city": "Old"}
    for name in ("first_name", "title", "locale", "image"):
        assert found[name] == texts.get(name, was.get(name))
    for name in ("city", "ip", "timezone", "zip"):
        assert found["location"][name] == places.get(name, was.get(name))
    known = {"plan": "old"} | properties
    assert found["properties"] == {
        name: value for name, value in known.items() if value is not None
    }


@given(st.recursive(VALUES, lambda each: st.dictionaries(st.text(max_size=6), each, max_size=3)))
def test_anything_is_an_action_or_a_problem(value) -> None:
    for document in (value, {"type": "profile", "attributes": value, "meta": value}):
        with contextlib.suppress(PayloadProblem):
            assert profile_action(json.dumps(document).encode()).event is None

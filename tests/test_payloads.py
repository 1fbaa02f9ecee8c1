"""The payloads of track and identify, decoded into actions."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.people.limits import PayloadProblem
from feedd.people.payloads import NotJson, boolean, identify_payload, new_event, track_payload
from feedd.people.values import Action, Identifiers, NewEvent, Patch, Source

NOW = 1_795_762_000
JANE = {"$email": "jane.doe@example.com"}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


def track(**members) -> bytes:
    return json.dumps({"event": "Viewed", "customer_properties": JANE} | members).encode()


def event(**properties) -> NewEvent:
    made = track_payload(track(properties=properties), NOW).action.event
    assert made is not None
    return made


def refused(body: bytes, decode=lambda body: track_payload(body, NOW)) -> PayloadProblem:
    with pytest.raises(PayloadProblem) as caught:
        decode(body)
    return caught.value


def test_a_track_payload_becomes_an_action() -> None:
    body = (
        b'{"token": "abc123", "event": "Placed Order", "time": 1790000000,'
        b' "customer_properties": {"$email": "Jane.Doe@example.com", "first_name": "Jane"},'
        b' "properties": {"$event_id": "o-1", "$value": 1.10, "big": 123456789012345678901234567890}}'
    )
    found = track_payload(body, NOW)
    assert found.token == "abc123"
    assert found.action == Action(
        who=Identifiers(email="jane.doe@example.com"),
        patch=Patch(set={"$first_name": "Jane"}),
        event=NewEvent(
            metric="Placed Order",
            at=1_790_000_000,
            value=1.1,
            unique_id="o-1",
            properties=b'{"$event_id": "o-1", "$value": 1.10, "big": 123456789012345678901234567890}',
        ),
        source=Source.CLIENT,
    )


def test_an_identify_payload_becomes_an_action() -> None:
    body = b'{"token": "abc123", "properties": {"email": "jane.doe@example.com", "id": 7, "Plan": "gold"}}'
    found = identify_payload(body, trusted=True)
    assert found.action == Action(
        who=Identifiers(email="jane.doe@example.com", external_id="7"),
        patch=Patch(set={"Plan": "gold"}),
        trusted=True,
        source=Source.SERVER,
    )


@pytest.mark.parametrize("nothing", [{}, None, []])
def test_properties_may_be_nothing(nothing) -> None:
    made = track_payload(track(properties=nothing), NOW).action.event
    assert made == NewEvent(metric="Viewed", at=NOW, properties=b"{}")
    assert track_payload(track(), NOW + 0.5).action.event == made


@given(st.dictionaries(st.text(max_size=5).map("x{}".format), JSON_VALUES, max_size=5))
def test_properties_are_kept_as_they_were_sent(properties) -> None:
    text = json.dumps(properties)
    body = b'{"event":"Viewed","customer_properties":{"$id":1},"properties":%s}' % text.encode()
    made = track_payload(body, NOW).action.event
    assert made is not None
    assert made.properties == text.encode()
    assert msgspec.json.decode(made.properties) == properties


@given(st.binary(max_size=60) | JSON_VALUES.map(json.dumps).map(str.encode))
def test_any_bytes_are_a_payload_or_a_problem(body: bytes) -> None:
    for decode in (lambda: track_payload(body, NOW), lambda: identify_payload(body)):
        with pytest.raises((NotJson, PayloadProblem)):
            decode()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"hello", b"{'event': 1}", b'{"event":NaN}', b'{"event":"\xff"}', b'{"a":1}}', b'{"event":"a\x00b"}'],
)  # fmt: skip
def test_what_is_no_json_is_told_from_what_cannot_be_used(body) -> None:
    with pytest.raises(NotJson):
        track_payload(body, NOW)


def test_half_an_emoji_is_replaced_and_the_rest_kept() -> None:
    made = track_payload(
        rb'{"event":"V","customer_properties":{"$id":1},"properties":{"a":"x\ud83d","b":"\\ud83d","c":"\ud83d\ude00"}}',
        NOW,
    ).action.event
    assert made is not None
    assert msgspec.json.decode(made.properties) == {"a": "x�", "b": "\\ud83d", "c": "😀"}


def test_the_last_of_two_members_counts() -> None:
    body = b'{"event":"A","event":"B","customer_properties":{"$id":1,"$id":2},"properties":{"$value":1,"$value":2}}'
    action = track_payload(body, NOW).action
    assert action.who.external_id == "2"
    assert action.event is not None
    assert (action.event.metric, action.event.value) == ("B", 2)


@pytest.mark.parametrize(
    ("body", "where", "code"),
    [
        (b"[]", "", "invalid"),
        (b"5", "", "invalid"),
        (track(event=None), "/event", "invalid"),
        (track(event=" "), "/event", "invalid"),
        (track(event=5), "/event", "invalid"),
        (track(event="x" * 128), "/event", "invalid"),
        (track(event="a\x00b"), "/event", "invalid"),
        (track(token=5), "/token", "invalid"),
        (track(customer_properties=None), "/customer_properties", "not_identified"),
        (track(customer_properties={"Plan": 1}), "/customer_properties", "not_identified"),
        (track(customer_properties="jane"), "/customer_properties", "invalid"),
        (
            track(customer_properties={"$email": "jane"}),
            "/customer_properties/$email",
            "invalid_email",
        ),
        (track(properties="x"), "/properties", "invalid"),
        (track(properties=[1]), "/properties", "invalid"),
        (track(properties={"$value": "free"}), "/properties/$value", "invalid"),
        (track(properties={"$value": True}), "/properties/$value", "invalid"),
        (track(properties={"$value": "inf"}), "/properties/$value", "invalid"),
        (track(properties={"$value": 10**400}), "/properties/$value", "invalid"),
        (track(properties={"$event_id": {}}), "/properties/$event_id", "invalid"),
        (track(properties={"__track_once__": "x"}), "/properties/__track_once__", "invalid"),
        (track(properties={str(n): n for n in range(401)}), "/properties", "invalid"),
        (track(time="x"), "/time", "invalid_time"),
        (track(time=NOW * 1000), "/time", "invalid_time"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_says_what_and_where(body, where, code) -> None:
    problem = refused(body)
    assert (problem.pointer, problem.code) == (where, code)


def test_limits_are_told_with_the_place() -> None:
    long_text = "x" * 102_401
    assert refused(track(properties={"a": [{"b": long_text}]})).pointer == "/properties/a/0/b"
    assert refused(track(properties={"a": "é" * 51_201})).pointer == "/properties/a"
    assert refused(track(properties={"a/b~": long_text})).pointer == "/properties/a~1b~0"
    assert refused(track(properties={long_text: 1})).pointer == "/properties"
    assert refused(track(customer_properties=JANE | {"a": long_text[:99_999], "b": long_text})).pointer == (
        "/customer_properties"
    )  # fmt: skip
    assert refused(b" " * 5_000_001).code == "payload_too_large"


def test_what_is_just_within_the_limits_is_taken() -> None:
    assert event(a="x" * 102_400, b="x" * 102_400).at == NOW
    assert event(**{str(n): [] for n in range(400)}).at == NOW
    assert track_payload(track(event="x" * 127), NOW).action.event is not None
    assert track_payload(track(properties=_nested(62)), NOW).action.event is not None
    text = b'{"a":' * 64 + b"1" + b"}" * 64
    assert new_event("V", text, now_s=NOW).properties == text


@pytest.mark.parametrize("depth", [65, 70, 500, 100_000])
def test_what_is_nested_too_deep_is_refused(depth: int) -> None:
    text = b'{"a":' * depth + b"1" + b"}" * depth
    problem = refused(b'{"event":"V","customer_properties":{"$id":1},"properties":%s}' % text)
    assert "64 levels" in problem.message
    if depth < 500:
        assert refused(b'{"properties":%s}' % text, identify_payload).pointer == "/properties"


def _nested(depth: int) -> dict:
    found: dict = {"last": 1}
    for _ in range(depth):
        found = {"a": found, "b": [1]}
    return found


@pytest.mark.parametrize(
    ("sent", "value"), [(29.9, 29.9), (30, 30.0), ("29.90", 29.9), (" 5 ", 5.0), ("", None), (None, None), (-3, -3.0)]
)  # fmt: skip
def test_a_value_is_a_number(sent, value) -> None:
    assert event(**{"$value": sent}).value == value


@pytest.mark.parametrize(
    ("sent", "unique_id"), [("o-1", "o-1"), (17, "17"), (1.5, "1.5"), ("", None), (None, None)]
)
def test_a_unique_id_is_text(sent, unique_id) -> None:
    assert event(**{"$event_id": sent}).unique_id == unique_id


@pytest.mark.parametrize(
    ("sent", "once"), [(True, True), (False, False), ("true", True), (1, True), ("No", False), (None, False), (0, False)]
)  # fmt: skip
def test_once_is_a_truth_value_among_the_properties_or_beside_them(sent, once) -> None:
    assert event(__track_once__=sent).once is once
    beside = track_payload(track(__track_once__=sent), NOW).action.event
    assert beside is not None
    assert beside.once is once


@pytest.mark.parametrize("value", [True, "1", 1, "TRUE", "t", "Yes", "y"])
def test_what_means_true(value) -> None:
    assert boolean(value, "") is True


@pytest.mark.parametrize("value", [False, "0", 0, "FALSE", "f", "No", "n", None, ""])
def test_what_means_false(value) -> None:
    assert boolean(value, "") is False


def test_an_event_is_made_of_its_parts() -> None:
    made = new_event(
        " Viewed ",
        b'{"$value": 1}',
        now_s=NOW,
        time="2014-09-30",
        value="7",
        unique_id="u",
        once=True,
    )
    assert made == NewEvent(
        metric="Viewed",
        at=1_412_035_200,
        properties=b'{"$value": 1}',
        value=7.0,
        unique_id="u",
        once=True,
    )

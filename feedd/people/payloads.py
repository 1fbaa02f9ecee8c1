"""The payloads of track and identify calls, decoded into actions. Pure.

The formats are those of Klaviyo's legacy Track and Identify API, as its documentation has them and as its own client libraries
send them. Properties of events go on as the text that was sent, so that no digit of a number is lost. Where an object has
a member twice, the last one counts, as it does in JavaScript.
"""

import math
from typing import Any

import msgspec
from msgspec import Raw, Struct

from feedd.people.decoding import read_json, shape_problem
from feedd.people.identifiers import is_somebody, who_and_what
from feedd.people.limits import (
    MAX_EVENT_BYTES,
    MAX_EVENT_PROPERTIES,
    MAX_METRIC_LENGTH,
    MAX_PROFILE_BYTES,
    PayloadProblem,
    check_shape,
    too_deep,
)
from feedd.people.times import event_time
from feedd.people.values import Action, Identifiers, NewEvent, Patch, Source

ONCE = "__track_once__"
_TRUE = frozenset(("true", "1", "t", "yes", "y"))
_FALSE = frozenset(("false", "0", "f", "no", "n", ""))
_EMPTY = Raw(b"{}")
_NOTHING = (b"null", b"[]")  # an empty object of PHP is a list
_NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError)


class NotJson(ValueError):
    """What was sent is not JSON."""


class Payload(Struct, frozen=True):
    """An action as it was asked for, with the public key that was given in `token`, if one was."""

    token: str | None
    action: Action


class _Track(Struct):
    token: Any = None
    event: Any = None
    customer_properties: Raw = _EMPTY
    properties: Raw = _EMPTY
    time: Any = None
    once: Any = msgspec.field(default=None, name=ONCE)


class _Identify(Struct):
    token: Any = None
    properties: Raw = _EMPTY


_track = msgspec.json.Decoder(_Track)
_identify = msgspec.json.Decoder(_Identify)
_anything = msgspec.json.Decoder()


def track_payload(
    body: bytes, now_s: float, *, trusted: bool = False, lenient: bool = False
) -> Payload:
    """The action of `{"token", "event", "customer_properties", "properties", "time"}`.

    Where it is to be `lenient`, an email address, phone number or value that cannot be used costs itself, and not the event: old
    clients look at no answer. It is kept as a property.

    Raises:
        NotJson: it is not JSON.
        PayloadProblem: it cannot be used; says what, where, and what to do.
    """
    found, body = _decoded(_track, body)
    who, patch = person_of(
        found.customer_properties,
        "/customer_properties",
        len(body),
        trusted=trusted,
        lenient=lenient,
    )
    event = new_event(
        found.event,
        bytes(found.properties),
        time=found.time,
        now_s=now_s,
        once=found.once,
        lenient=lenient,
    )
    source = Source.SERVER if trusted else Source.CLIENT
    action = Action(who=who, patch=patch, event=event, trusted=trusted, source=source)
    return Payload(_token(found.token), action)


def identify_payload(body: bytes, *, trusted: bool = False, lenient: bool = False) -> Payload:
    """The action of `{"token", "properties"}`. As `track_payload`."""
    found, body = _decoded(_identify, body)
    who, patch = person_of(
        found.properties, "/properties", len(body), trusted=trusted, lenient=lenient
    )
    source = Source.SERVER if trusted else Source.CLIENT
    return Payload(
        _token(found.token), Action(who=who, patch=patch, trusted=trusted, source=source)
    )


def new_event(
    metric: Any,
    properties: bytes,
    *,
    now_s: float,
    time: Any = None,
    once: Any = None,
    value: Any = None,
    unique_id: Any = None,
    lenient: bool = False,
) -> NewEvent:
    """An event from its parts, `properties` being the text of a JSON object.

    `value`, `unique_id` and `once`, where they are not given, come from `$value`, `$event_id` and `__track_once__` among the
    properties.

    Raises:
        PayloadProblem: a part that cannot be used.
    """
    if properties in _NOTHING:
        properties = b"{}"
    found = _object(properties, "/properties")
    if len(found) > MAX_EVENT_PROPERTIES:
        raise PayloadProblem(
            "/properties",
            f"has {len(found)} properties; an event has at most {MAX_EVENT_PROPERTIES}",
            hint="Put what belongs together into one object.",
        )
    if value is None:
        value = found.get("$value")
    if unique_id is None:
        unique_id = found.get("$event_id")
    if once is None:
        once = found.get(ONCE)
    return NewEvent(
        metric=metric_name(metric),
        at=event_time(time, now_s),
        properties=properties,
        value=None if value is None else _value(value, lenient=lenient),
        unique_id=None if unique_id is None else _unique_id(unique_id),
        once=once is not None and boolean(once, f"/properties/{ONCE}"),
    )


def metric_name(value: Any, pointer: str = "/event") -> str:
    """The name of a metric, without space around it. Raises PayloadProblem."""
    name = value.strip() if isinstance(value, str) else ""
    if not name:
        raise PayloadProblem(
            pointer, "does not name what was done", hint='Write a text such as "Placed Order".'
        )
    if len(name) > MAX_METRIC_LENGTH:
        raise PayloadProblem(pointer, f"is longer than {MAX_METRIC_LENGTH} characters")
    if not name.isprintable():
        raise PayloadProblem(pointer, "holds a control character")
    return name


def boolean(value: Any, pointer: str) -> bool:
    """A truth value as clients write it: true, 1, "yes" and the like. Raises PayloadProblem."""
    if value is None or value is True or value is False:
        return bool(value)
    text = str(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise PayloadProblem(pointer, "is neither true nor false")


def _decoded(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> tuple[Any, bytes]:
    """A payload, and the text that was decoded in the end."""
    if len(body) > MAX_EVENT_BYTES:
        raise PayloadProblem(
            "", f"is larger than {MAX_EVENT_BYTES // 10**6} MB", code="payload_too_large"
        )
    try:
        return decoded(decoder, body)
    except msgspec.ValidationError as error:
        raise _no_object(body) from error


def decoded(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> tuple[Any, bytes]:
    """What a decoder makes of JSON, and the text that was decoded in the end.

    Raises:
        NotJson: it is none.
        PayloadProblem: it is nested too deep.
        msgspec.ValidationError: it has not the shape that it should have.
    """
    try:
        return read_json(decoder, body)
    except RecursionError:
        raise too_deep("") from None
    except msgspec.ValidationError:
        raise
    except _NOT_DECODED as error:
        raise NotJson(str(error)) from error


def _no_object(body: bytes) -> Exception:
    """What is wrong with a payload that does not begin as an object: something else, or no JSON at all."""
    try:
        _anything.decode(body)
    except RecursionError:
        return too_deep("")
    except _NOT_DECODED as error:
        return NotJson(str(error))
    return PayloadProblem("", "is not an object", hint="A call tells of one thing.")


def _object(text: bytes, pointer: str) -> dict[str, Any]:
    try:
        found = _anything.decode(text)
    except msgspec.ValidationError as error:
        raise shape_problem(error, pointer, text) from error
    except _NOT_DECODED as error:
        raise NotJson(str(error)) from error
    if type(found) is not dict:
        raise PayloadProblem(pointer, "is not an object", hint='Write {"property": value}.')
    check_shape(found, pointer, len(text), text.count(b"{") + text.count(b"["))
    return found


def person_of(
    raw: Raw, pointer: str, size_bytes: int, *, trusted: bool, lenient: bool = False
) -> tuple[Identifiers, Patch]:
    """Who the text of customer properties is about, and what it changes of them; the text is no longer than `size_bytes`.

    Raises:
        NotJson: it is no JSON.
        PayloadProblem: it cannot be used.
    """
    text = bytes(raw)
    if size_bytes > MAX_PROFILE_BYTES and len(text) > MAX_PROFILE_BYTES:
        raise PayloadProblem(
            pointer,
            f"is larger than {MAX_PROFILE_BYTES // 1024} KB",
            hint="Keep on a profile what you want to know of a person, and send the rest with events.",
        )
    found = {} if text in _NOTHING else _object(text, pointer)
    who, patch = who_and_what(found, pointer, trusted=trusted, lenient=lenient)
    if not is_somebody(who):
        raise PayloadProblem(
            pointer,
            "identifies nobody",
            code="not_identified",
            hint="Give one of $email, $phone_number, $id or $anonymous.",
        )
    return who, patch


def _token(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise PayloadProblem("/token", "is not text", hint="It is your public key.")
    return value


def _value(value: Any, *, lenient: bool) -> float | None:
    try:
        if type(value) is str:
            if not (value := value.strip()):
                return None
        elif type(value) not in (int, float):
            raise ValueError(value)
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(value)
    except (ValueError, OverflowError):
        if lenient:  # it stays among the properties
            return None
        raise PayloadProblem(
            "/properties/$value", "is not a number", hint="Write it as 29.90."
        ) from None
    return number


def _unique_id(value: Any) -> str | None:
    if type(value) in (int, float):
        return repr(value)
    if type(value) is not str:
        raise PayloadProblem(
            "/properties/$event_id", "is neither text nor a number", hint="Write it as text."
        )
    return value or None

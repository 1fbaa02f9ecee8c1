"""Profiles as resource objects of JSON:API: what one asks to have changed, and what one tells. Pure.

The attributes are those of Klaviyo's current API (https://developers.klaviyo.com/en/reference/profiles_api_overview). The special ones
stand among a profile's properties under their `$` names; what a shop made up itself stands in `properties`.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from feedd.people.decoding import read
from feedd.people.identifiers import external_id, is_somebody, normalize_email, normalize_phone
from feedd.people.limits import MAX_PROFILE_BYTES, PayloadProblem, below, check_shape
from feedd.people.subscriptions import (
    MAILABLE,
    NOT_MAILABLE,
    UNFORESEEN,
    PredictiveAnalytics,
    Subscriptions,
)
from feedd.people.values import Action, Identifiers, Kind, Patch, Profile, Source

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class Location(Struct, frozen=True, kw_only=True):
    """Where somebody is."""

    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    country: str | None = None
    latitude: float | str | None = None
    longitude: float | str | None = None
    region: str | None = None
    zip: str | None = None
    timezone: str | None = None
    ip: str | None = None


class ProfileAttributes(Struct, frozen=True, kw_only=True):
    """All that is told of a profile; null where it is not known. Times are ISO 8601, to the second, in UTC."""

    email: str | None = None
    phone_number: str | None = None
    external_id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    organization: str | None = None
    locale: str | None = None
    title: str | None = None
    image: str | None = None
    created: Time | None = None
    updated: Time | None = None
    last_event_date: Time | None = None
    location: Location = Location()
    properties: dict[str, Any] = {}
    subscriptions: Subscriptions = NOT_MAILABLE
    predictive_analytics: PredictiveAnalytics = UNFORESEEN


_anything = msgspec.json.Decoder()
_TEXTS = ("first_name", "last_name", "organization", "locale", "title", "image")
_PLACES = Location.__struct_fields__
_COORDINATES = ("latitude", "longitude")
_SPECIAL = {f"${name}": name for name in (*_TEXTS, *_PLACES)}
_JUDGES: Mapping[str, tuple[Kind, Callable[[Any, str], str]]] = {
    "email": (Kind.EMAIL, normalize_email),
    "phone_number": (Kind.PHONE, normalize_phone),
    "external_id": (Kind.EXTERNAL, external_id),
}
_ANONYMOUS = ("anonymous_id", "_kx")
_ATTRIBUTES = (*_JUDGES, *_ANONYMOUS, *_TEXTS, "location", "properties", "meta")
# they say who somebody is, or what is to be done, and are never properties
_NO_PROPERTIES = {
    "$email": "Give it as the attribute email.",
    "$phone_number": "Give it as the attribute phone_number.",
    "$id": "Give it as the attribute external_id.",
    "$anonymous": "Give it as the attribute anonymous_id.",
    "$append": "Give it in meta, as patch_properties.append.",
    "$unappend": "Give it in meta, as patch_properties.unappend.",
    "$unset": "Give it in meta, as patch_properties.unset.",
}

# from a resource object


def profile_action(
    text: bytes,
    pointer: str = "/data",
    *,
    trusted: bool = True,
    source: Source = Source.SERVER,
) -> Action:
    """What the JSON of a profile's resource object asks for. Nobody may be identified: `of_somebody` tells.

    `{"type": "profile", "id", "attributes", "meta": {"patch_properties": {"append", "unappend", "unset"}, "patch_identifiers":
    {"append": {"anonymous_id"}, "unappend": {…}}}}`; `meta` may stand among the attributes too. An attribute that is null is
    cleared, one that is absent is left; a null `location` or `properties`, and an identifier that is an empty text, are as if they
    were absent. `id` is the profile's own. `meta.identifiers` may say who it is, as in revisions of 2022.

    Raises:
        PayloadProblem: it is larger than 100 KB (`payload_too_large`), or a part of it cannot be used; points below `pointer`.
    """
    if len(text) > MAX_PROFILE_BYTES:
        raise PayloadProblem(
            pointer,
            f"is larger than {MAX_PROFILE_BYTES // 1024} KB",
            code="payload_too_large",
            hint="Keep on a profile what you want to know of a person, and send the rest with events.",
        )
    found = _decoded(text, pointer)
    if found.get("type") != "profile":
        raise PayloadProblem(f"{pointer}/type", 'is not "profile"', hint='Write "type": "profile".')
    at = f"{pointer}/attributes"
    attributes = _object(found.get("attributes", {}), at)
    for name in attributes:
        if name not in _ATTRIBUTES:
            raise PayloadProblem(
                below(at, name),
                "is not a valid field for the resource 'profile'",
                hint="What you made up yourself belongs into properties.",
            )
    meta = _members(found, "meta", pointer) or _members(attributes, "meta", at)
    where = pointer if found.get("meta") else at
    who, clear = _identified(attributes, at)
    who = _filled(who, _old_identifiers(meta, f"{where}/meta"))
    if found.get("id") is not None:
        who = replace(who, profile=external_id(found["id"], f"{pointer}/id"))
    append, unappend = _patched_identifiers(meta, f"{where}/meta")
    patch = _patched(meta, f"{where}/meta", clear=clear, unappend=unappend)
    who = replace(who, anonymous_ids=tuple(dict.fromkeys((*who.anonymous_ids, *append))))
    patch = replace(patch, set=_values(attributes, at))
    return Action(who=who, patch=patch, trusted=trusted, source=source)


def of_somebody(action: Action, pointer: str) -> Action:
    """An action as it is. Raises PayloadProblem (`not_identified`) where it is about nobody; `pointer` is where identifiers belong."""
    if is_somebody(action.who):
        return action
    raise PayloadProblem(
        pointer,
        "identifies nobody",
        code="not_identified",
        hint="Give one of email, phone_number, external_id or anonymous_id.",
    )


def _decoded(text: bytes, pointer: str) -> dict[str, Any]:
    found = _object(read(_anything, text, pointer), pointer)
    check_shape(found, pointer, len(text), text.count(b"{") + text.count(b"["))
    return found


def _identified(found: Mapping[str, Any], at: str) -> tuple[Identifiers, tuple[Kind, ...]]:
    """Whose profile it is, and which identifiers are taken from it. Apps send those that they do not know as empty texts."""
    given: dict[str, str] = {}
    clear = []
    for name, (kind, judge) in _JUDGES.items():
        if name in found and found[name] is None:
            clear.append(kind)
        elif found.get(name, "") != "":
            given[name] = judge(found[name], f"{at}/{name}")
    anonymous = [
        external_id(found[name], f"{at}/{name}")
        for name in _ANONYMOUS
        if found.get(name) not in (None, "")
    ]
    return Identifiers(**given, anonymous_ids=tuple(anonymous)), tuple(clear)


def _old_identifiers(meta: Mapping[str, Any], at: str) -> Identifiers:
    """Who it is by `meta.identifiers`, which is how revisions of 2022 say it."""
    found = _members(meta, "identifiers", at)
    at = f"{at}/identifiers"
    _only(found, ("id", *_JUDGES, *_ANONYMOUS), at)
    who, _ = _identified(found, at)
    id_ = found.get("id")
    return who if id_ in (None, "") else replace(who, profile=external_id(id_, f"{at}/id"))


def _filled(who: Identifiers, other: Identifiers) -> Identifiers:
    """Identifiers with what another one has where they have nothing."""
    return replace(
        other,
        **{name: value for name in who.__struct_fields__ if (value := getattr(who, name))},
    )


def _values(attributes: Mapping[str, Any], at: str) -> dict[str, Any]:
    """The properties that are set, the special ones under their `$` names."""
    values: dict[str, Any] = {}
    for name, value in _members(attributes, "properties", at).items():
        pointer = below(f"{at}/properties", name)
        known = _SPECIAL.get(name)
        values[_property(name, pointer)] = (
            value if known is None else _special(known, value, pointer)
        )
    for name in _TEXTS:
        if name in attributes:
            values[f"${name}"] = _special(name, attributes[name], f"{at}/{name}")
    for name, value in _members(attributes, "location", at).items():
        pointer = below(f"{at}/location", name)
        if name not in _PLACES:
            raise PayloadProblem(
                pointer, "is not a field of a location", hint=f"They are {', '.join(_PLACES)}."
            )
        values[f"${name}"] = _special(name, value, pointer)
    return values


def _special(name: str, value: Any, pointer: str) -> Any:
    if value is None or type(value) is str:
        return value
    if type(value) in (int, float):
        return value if name in _COORDINATES else str(value)
    raise PayloadProblem(pointer, "is not text", hint="Write it as text, or null to clear it.")


def _property(name: str, pointer: str) -> str:
    if (hint := _NO_PROPERTIES.get(name)) is not None:
        raise PayloadProblem(pointer, "is no property", hint=hint)
    return name


def _patched(
    meta: Mapping[str, Any], at: str, *, clear: tuple[Kind, ...], unappend: tuple[str, ...]
) -> Patch:
    asked = _members(meta, "patch_properties", at)
    at = f"{at}/patch_properties"
    _only(asked, ("append", "unappend", "unset"), at)
    return Patch(
        append=_lists(_members(asked, "append", at), f"{at}/append"),
        unappend=_lists(_members(asked, "unappend", at), f"{at}/unappend"),
        unset=_names(asked.get("unset"), f"{at}/unset"),
        clear=clear,
        leave=unappend,
    )


def _lists(found: dict[str, Any], at: str) -> dict[str, Any]:
    for name in found:
        pointer = below(at, name)
        if name in _SPECIAL:
            raise PayloadProblem(pointer, "has one value, and is no list")
        _property(name, pointer)
    return found


def _names(value: Any, pointer: str) -> tuple[str, ...]:
    names = [] if value is None else value if isinstance(value, list) else [value]
    for name in names:
        if type(name) is not str:
            raise PayloadProblem(
                pointer,
                "is neither a name nor a list of names",
                hint='Write ["property", "another"].',
            )
        _property(name, pointer)
    return tuple(names)


def _patched_identifiers(
    meta: Mapping[str, Any], at: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of devices that become somebody's, and that are theirs no more."""
    _only(meta, ("patch_properties", "patch_identifiers", "identifiers"), at)
    asked = _members(meta, "patch_identifiers", at)
    at = f"{at}/patch_identifiers"
    _only(asked, ("append", "unappend"), at)
    return _anonymous_ids(asked, "append", at), _anonymous_ids(asked, "unappend", at)


def _anonymous_ids(asked: Mapping[str, Any], name: str, at: str) -> tuple[str, ...]:
    found = _members(asked, name, at)
    _only(found, ("anonymous_id",), f"{at}/{name}", "Of other identifiers a profile has one each.")
    value = found.get("anonymous_id")
    ids = [] if value is None else value if isinstance(value, list) else [value]
    return tuple(external_id(each, f"{at}/{name}/anonymous_id") for each in ids)


def _only(found: Mapping[str, Any], known: tuple[str, ...], at: str, hint: str = "") -> None:
    for name in found:
        if name not in known:
            hint = f"Supported: {', '.join(known)}. {hint}".strip()
            raise PayloadProblem(below(at, name), "is not supported", hint=hint)


def _members(found: Mapping[str, Any], name: str, at: str) -> dict[str, Any]:
    """The object under a name; an empty one where there is none, or null, or the empty list that PHP makes of an empty object."""
    value = found.get(name)
    return {} if value is None or value == [] else _object(value, f"{at}/{name}")


def _object(value: Any, pointer: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise PayloadProblem(pointer, "is not an object", hint='Write {"name": value}.')
    return value


# to a resource object


def profile_attributes(profile: Profile) -> ProfileAttributes:
    """What is told of a profile."""
    known = profile.properties
    texts: dict[str, Any] = {name: _text(known.get(f"${name}")) for name in _TEXTS}
    return ProfileAttributes(
        email=profile.email,
        phone_number=profile.phone_number,
        external_id=profile.external_id,
        **texts,
        created=iso_time(profile.created_at),
        updated=iso_time(profile.updated_at),
        last_event_date=None if profile.last_event_at is None else iso_time(profile.last_event_at),
        location=Location(**{name: _place(name, known.get(f"${name}")) for name in _PLACES}),
        properties={name: value for name, value in known.items() if name not in _SPECIAL},
        subscriptions=NOT_MAILABLE if profile.email is None else MAILABLE,
    )


def sent_attributes(profile: Profile, action: Action) -> dict[str, Any]:
    """Of what is told of a profile that which the action has just set: for whoever may change it, and not read it."""
    told = profile_attributes(profile)
    given = {kind for kind, _ in action.who.given()} | set(action.patch.clear)
    found = {name: getattr(told, name) for name, (kind, _) in _JUDGES.items() if kind in given}
    for name in action.patch.set:
        known = _SPECIAL.get(name)
        if known in _PLACES:
            found.setdefault("location", {})[known] = getattr(told.location, known)
        elif known is not None:
            found[known] = getattr(told, known)
        elif name in told.properties:
            found.setdefault("properties", {})[name] = told.properties[name]
    return found


def iso_time(at: datetime) -> str:
    """A time as the API tells it: `2026-01-01T00:00:00+00:00`."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _place(name: str, value: Any) -> Any:
    if name in _COORDINATES and type(value) in (int, float):
        return value
    return _text(value)


def _text(value: Any) -> str | None:
    """A special property as text: who sends them the old way may send anything."""
    if value is None or type(value) is str:
        return value
    return msgspec.json.encode(value).decode()

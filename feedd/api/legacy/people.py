"""v1 and v2 people: one by id, found by an identifier, and changed."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Response
from msgspec.structs import replace

from feedd.api.legacy.calls import (
    API_KEY,
    NO_PROFILE,
    Call,
    LegacyRoute,
    answer,
    caller,
    told,
    written,
)
from feedd.api.legacy.parameters import Parameters, structured, typed
from feedd.errors import NotFound, UsageError
from feedd.people.columns import SPECIAL, TEXTS
from feedd.people.identifiers import (
    ANONYMOUS_NAMES,
    EMAIL_NAMES,
    ID_NAMES,
    PHONE_NAMES,
    external_id,
    normalize_email,
    normalize_phone,
    who_and_what,
)
from feedd.people.limits import MAX_PROFILE_BYTES, PROFILE_FULL, PayloadProblem
from feedd.people.rows import problem_of, profile_id
from feedd.people.values import Action, Identifiers, Patch, Profile, Refusal
from feedd.store import profiles

router = APIRouter(tags=["v1 and v2"], route_class=LegacyRoute)
Reads = Annotated[Call, Depends(caller("profiles", "read"))]
Writes = Annotated[Call, Depends(caller("profiles", "write"))]

# what a person always has; "" where it is not known
_SPECIAL = (
    "$address1",
    "$address2",
    "$city",
    "$country",
    "$first_name",
    "$last_name",
    "$latitude",
    "$longitude",
    "$organization",
    "$region",
    "$timezone",
    "$title",
    "$zip",
)
# the same under a second name, as old answers had it
_TWINS = {"email": "$email", "first_name": "$first_name", "last_name": "$last_name"}
_READ_ONLY = frozenset((API_KEY, "object", "id", "created", "updated"))
_NO_PERSON = "There is no person with that id"
_OPERATORS = ("$append", "$unappend", "$unset")
_TEXT_NAMES = frozenset((*EMAIL_NAMES, *PHONE_NAMES, *ID_NAMES, *ANONYMOUS_NAMES, *TEXTS)) | {
    name.removeprefix("$") for name in TEXTS
}


@router.get("/v1/person/{person_id}", summary="A person", **told())
def get_person(call: Reads, person_id: str) -> Response:
    return answer(person_of(find_person(call, person_id)))


@router.put(
    "/v1/person/{person_id}",
    summary="Change a person",
    **told(
        ("$email", "string", "A new email address; `$phone_number` and `$id` likewise"),
        ("$unset", "string", 'Names of properties to clear: `["Plan","$city"]`'),
        body=True,
    ),
)
def update_person(call: Writes, person_id: str) -> Response:
    """Every other parameter is a property. They stand in the query, in a form, or in a JSON object."""
    found = find_person(call, person_id)
    who, patch = _change_of(call.parameters)
    who = replace(who, profile=found.id)
    action = Action(who=who, patch=patch, trusted=True, strict=True)
    (outcome,) = call.app.recorder.record([action])
    if outcome.refused is not None:
        raise _refused(outcome.refused)
    changed = find_person(call, found.id)
    return answer(person_of(changed) if call.may_read("profiles") else _sent(changed, who, patch))


@router.get(
    "/v2/people/search",
    summary="The id of a person",
    **told(
        ("email", "string", "An email address"),
        ("phone_number", "string", "A phone number: `+14155550123`"),
        ("external_id", "string", "The id that your shop gives a customer"),
    ),
)
def search_people(call: Reads) -> Response:
    """By exactly one of them."""
    return answer({"id": find_by(call, *call.one_of(("email", "phone_number", "external_id"))).id})


@router.post(
    "/v2/people/exchange",
    summary="The id of a person, for the id of a browser",
    **told(("exchange_id", "string", "What a page has in `_kx`"), body=True),
)
def exchange(call: Reads) -> Response:
    """What feedd knows as an anonymous id, with the account's key behind a point or without it."""
    _, text = call.one_of(("exchange_id",))
    return answer({"id": find_by(call, "exchange_id", text).id})


def find_person(call: Call, person_id: str) -> Profile:
    """The person with that id, or that a person with it was merged into. Raises NotFound."""
    try:
        who = Identifiers(profile=profile_id(person_id))
    except PayloadProblem as error:
        raise NotFound(_NO_PERSON) from error
    found = profiles.find_profile(call.app.people, who)
    if found is None:
        raise NotFound(_NO_PERSON)
    return found


def find_by(call: Call, name: str, text: str) -> Profile:
    """The person with that identifier, by the name of its parameter. Raises NotFound, also where nobody can have it."""
    if name == "phone_number":
        text = call.parameters.raw(name)
    try:
        who = _identified(name, text)
    except PayloadProblem as error:
        raise NotFound(NO_PROFILE.rstrip(".")) from error
    found = profiles.find_profile(call.app.people, who)
    if found is None:
        raise NotFound(NO_PROFILE.rstrip("."))
    return found


def _identified(name: str, text: str) -> Identifiers:
    if name == "email":
        return Identifiers(email=normalize_email(_with_pluses(text)))
    if name == "phone_number":
        return Identifiers(phone_number=normalize_phone(_with_plus(text)))
    if name == "external_id":
        return Identifiers(external_id=external_id(text))
    if name == "exchange_id":
        known, bare = external_id(text), text.rpartition(".")[0]
        return Identifiers(anonymous_ids=(known, bare) if bare else (known,))
    return Identifiers(profile=profile_id(text))


def _with_plus(text: str) -> str:
    """A phone number whose plus sign is missing, or became a space in a query."""
    if text[:1] == " ":
        return f"+{text.strip()}"
    # ten digits may be a number that lacks its country
    whole = text.isdigit() and len(text) > 10 and text[0] != "0"
    return f"+{text}" if whole else text


def _with_pluses(text: str) -> str:
    """An email address whose plus signs became spaces in a query: none has a space in it."""
    return text.strip().replace(" ", "+")


def person_of(profile: Profile) -> dict[str, Any]:
    """A person as v1 shows one: special properties under their `$` names, "" where they are not known, then all others."""
    known = {
        **dict.fromkeys(_SPECIAL, ""),
        **{name: value for name, value in profile.properties.items() if name.startswith("$")},
        "$email": profile.email or "",
        "$phone_number": profile.phone_number or "",
        "$id": profile.external_id or "",
    }
    return {
        **{name: known[twin] for name, twin in _TWINS.items()},
        **profile.properties,
        **known,
        "object": "person",
        "id": profile.id,
        "created": written(profile.created_at),
        "updated": written(profile.updated_at),
    }


def _sent(profile: Profile, who: Identifiers, patch: Patch) -> dict[str, Any]:
    """Of a person what a call has just changed, for whoever may not read people."""
    identifiers = {
        "$email": who.email,
        "$phone_number": who.phone_number,
        "$id": who.external_id,
    }
    names = {*patch.set, *(name for name, value in identifiers.items() if value)}
    names |= {name for name, twin in _TWINS.items() if twin in names}
    changed = {name: value for name, value in person_of(profile).items() if name in names}
    return {**changed, **nobody(profile.id)}


def nobody(person_id: str) -> dict[str, Any]:
    """A person of whom nothing is known, or nothing is to be told, but the id."""
    return {"object": "person", "id": person_id}


def _change_of(parameters: Parameters) -> tuple[Identifiers, Patch]:
    """Who somebody is said to be, and what is changed of them. Raises UsageError."""
    given = {
        name: _value(name, value)
        for name, value in parameters.values()
        if name not in _READ_ONLY and name
    }
    for name, twin in _TWINS.items():  # whoever sends a person back sends both
        if twin in given:
            given.pop(name, None)
    for names, mend in ((PHONE_NAMES, _with_plus), (EMAIL_NAMES, _with_pluses)):
        for name in names:
            if isinstance(given.get(name), str):
                given[name] = mend(given[name])
    size = len(msgspec.json.encode(given))
    if size > MAX_PROFILE_BYTES:
        raise UsageError(
            f"the properties are larger than {MAX_PROFILE_BYTES // 1024} KB",
            code="payload_too_large",
        )
    cleared = [name for name, value in given.items() if name in SPECIAL and value in (None, "")]
    for name in cleared:
        del given[name]
    who, patch = who_and_what(given, trusted=True)
    if (problem := problem_of(patch.set) or problem_of(patch.append)) is not None:
        raise UsageError(problem)
    return who, replace(patch, unset=(*patch.unset, *cleared))


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, str) or name in _TEXT_NAMES:
        return value
    return structured(value, value) if name in _OPERATORS else typed(value)


def _refused(refusal: Refusal) -> UsageError:
    """Why a person was not changed."""
    if refusal is Refusal.NO_PROFILE:
        return NotFound(_NO_PERSON)
    if refusal is Refusal.TAKEN:
        return UsageError(
            "Another person has that email address, phone number or id",
            hint="Nothing was changed.",
        )
    return UsageError(PROFILE_FULL, hint="Nothing was changed.")

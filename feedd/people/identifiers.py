"""Who somebody is: identifiers as they are sent, normalized. Pure.

An email address is lower-cased, a phone number is E.164 (`+14155550123`), a customer id is text. Well-kept libraries judge
addresses and numbers; they are imported when the first one is judged that is not plain.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from feedd.people.limits import MAX_ID_LENGTH, PayloadProblem
from feedd.people.values import NOTHING, Identifiers, Kind, Patch

# `$` names of what is special, under the names without it that mean the same
_PLAIN_FIELDS = {
    name: f"${name}"
    for name in (
        "first_name",
        "last_name",
        "title",
        "organization",
        "address1",
        "address2",
        "city",
        "region",
        "country",
        "zip",
        "latitude",
        "longitude",
        "timezone",
        "image",
    )
}
_SPECIAL = frozenset(_PLAIN_FIELDS.values())
EMAIL_NAMES = ("$email", "email")
PHONE_NAMES = ("$phone_number", "phone_number")
ID_NAMES = ("$id", "id", "external_id", "$external_id")
ANONYMOUS_NAMES = ("$anonymous", "$anonymous_id", "anonymous_id", "$exchange_id", "$kx", "_kx")
_OPERATORS = frozenset(("$append", "$unappend", "$unset"))
_KINDS = (
    dict.fromkeys(EMAIL_NAMES, Kind.EMAIL)
    | dict.fromkeys(PHONE_NAMES, Kind.PHONE)
    | dict.fromkeys(ID_NAMES, Kind.EXTERNAL)
)
_NEED_CARE = frozenset(_PLAIN_FIELDS) | frozenset(_KINDS) | {*ANONYMOUS_NAMES, *_OPERATORS}

# what email-validator gives back unchanged; every address that a shop has is like that
_PLAIN_EMAIL = re.compile(
    r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@"
    r"(?:(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+"
    r"(?!(?:arpa|invalid|local|localhost|onion)$)[a-z]{2,63}",
    re.ASCII,
)
_MAX_EMAIL_LENGTH = 254
_UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def normalize_email(value: Any, pointer: str = "/email") -> str:
    """An email address in lower case, its domain in Unicode. Raises PayloadProblem."""
    if not isinstance(value, str):
        raise PayloadProblem(pointer, "is not text", code="invalid_email", hint=_EMAIL_HINT)
    text = value.strip().lower()
    if len(text) <= _MAX_EMAIL_LENGTH and _PLAIN_EMAIL.fullmatch(text):
        return text
    found = _judged_email(text[: 2 * _MAX_EMAIL_LENGTH])
    if found[:1] == "!":
        raise PayloadProblem(pointer, found[1:], code="invalid_email", hint=_EMAIL_HINT)
    return found


_EMAIL_HINT = "Write it as jane.doe@example.com."


@lru_cache(maxsize=4096)
def _judged_email(text: str) -> str:
    """The address, or `!` and what is wrong with it."""
    from email_validator import EmailNotValidError, validate_email

    try:
        # the name says tests: shops test too, with addresses at .test
        found = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        return "!" + str(error).rstrip(".")
    if "." not in found.domain:
        return "!the part after the @-sign has no period"
    return found.normalized.lower()


def normalize_phone(value: Any, pointer: str = "/phone_number") -> str:
    """A phone number as E.164 (`+14155550123`), from any usual way to write an international one. Raises PayloadProblem."""
    if not isinstance(value, str):
        raise PayloadProblem(pointer, "is not text", code="invalid_phone_number", hint=_PHONE_HINT)
    found = _judged_phone(value.strip()[:300])
    if found[:1] == "!":
        raise PayloadProblem(pointer, found[1:], code="invalid_phone_number", hint=_PHONE_HINT)
    return found


_PHONE_HINT = "Write it with its country, as +14155550123."


@lru_cache(maxsize=16384)
def _judged_phone(text: str) -> str:
    """The number, or `!` and what is wrong with it.

    Possible is enough (its length fits its country): which numbers are given out changes faster than a library can.
    """
    import phonenumbers

    if not text.startswith(("+", "\N{FULLWIDTH PLUS SIGN}")):
        return "!does not begin with + and a country code"
    if _UNWRITABLE.search(text):
        return "!holds a control character"
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return "!is not a phone number"
    if number.extension:
        return "!has an extension"
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        return "!is too long or too short for its country"
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def external_id(value: Any, pointer: str = "/id") -> str:
    """A customer id, or the id of a device, as text; whole numbers become their digits. Raises PayloadProblem."""
    if type(value) is int or (type(value) is float and value.is_integer() and abs(value) < 2**53):
        value = str(int(value))
    if not isinstance(value, str):
        raise PayloadProblem(pointer, "is neither text nor a whole number", code="invalid_id")
    text = value.strip()
    if not text:
        raise PayloadProblem(pointer, "is empty", code="invalid_id")
    if len(text) > MAX_ID_LENGTH:
        raise PayloadProblem(
            pointer, f"is longer than {MAX_ID_LENGTH} characters", code="invalid_id"
        )
    if _UNWRITABLE.search(text):
        raise PayloadProblem(pointer, "holds a control character", code="invalid_id")
    return text


def who_and_what(
    properties: Mapping[str, Any],
    pointer: str = "",
    *,
    trusted: bool = False,
    lenient: bool = False,
) -> tuple[Identifiers, Patch]:
    """Who a mapping of customer properties is about, and what it changes of them.

    Identifiers and special fields may be spelled with `$` or without. Where both are there, the one with it counts, and the other
    is a property like any other, unless it says the same. Identifiers that are null or empty, and special properties that are null,
    are as if they were not there. `$append`, `$unappend` and
    `$unset` are the operators of the JavaScript clients; identifiers are cleared for trusted callers only. Nobody may
    be identified: then the identifiers are empty. Where it is to be `lenient`, an address or number that cannot be used is a
    property that says so, if somebody is identified without it.

    Raises:
        PayloadProblem: an identifier or an operator that cannot be used; points below `pointer`.
    """
    if _NEED_CARE.isdisjoint(properties):
        return _NOBODY, Patch(set=properties)
    rest = dict(properties)
    anonymous = [
        external_id(rest.pop(name), f"{pointer}/{name}")
        for name in ANONYMOUS_NAMES
        if name in rest and not _is_none(rest, name)
    ]
    try:
        who = _identified(rest, anonymous, pointer)
    except PayloadProblem:
        if not lenient:
            raise
        unusable = _set_aside(rest)
        who = _identified(rest, anonymous, pointer)
        if not (unusable and is_somebody(who)):
            raise
        rest |= unusable
    if _OPERATORS.isdisjoint(rest):
        return who, Patch(set=_said(_special(rest))) if rest else NOTHING
    append = _special(_mapping(rest.pop("$append", None), f"{pointer}/$append"))
    unappend = _special(_mapping(rest.pop("$unappend", None), f"{pointer}/$unappend"))
    unset = _names(rest.pop("$unset", None), f"{pointer}/$unset")
    return who, Patch(
        set=_said(_special(rest)),
        append=append,
        unappend=unappend,
        unset=tuple(_PLAIN_FIELDS.get(name, name) for name in unset if name not in _KINDS),
        clear=tuple(dict.fromkeys(_KINDS[name] for name in unset if name in _KINDS and trusted)),
    )


def _identified(properties: dict[str, Any], anonymous: list[str], pointer: str) -> Identifiers:
    """Takes the identifiers away, all or, where one cannot be used, none."""
    left = dict(properties)
    who = Identifiers(
        email=_taken(left, EMAIL_NAMES, normalize_email, pointer),
        phone_number=_taken(left, PHONE_NAMES, normalize_phone, pointer),
        external_id=_taken(left, ID_NAMES, external_id, pointer),
        anonymous_ids=tuple(dict.fromkeys(anonymous)),
    )
    for name in properties.keys() - left.keys():
        del properties[name]
    return who


def _set_aside(properties: dict[str, Any]) -> dict[str, Any]:
    """Takes addresses and numbers away that cannot be used; the same under names that say so."""
    found: dict[str, Any] = {}
    for names, judge, kept_as in (
        (EMAIL_NAMES, normalize_email, "unusable_email"),
        (PHONE_NAMES, normalize_phone, "unusable_phone_number"),
    ):
        for name in names:
            if name in properties and not _can_be_used(properties[name], judge):
                found.setdefault(kept_as, properties.pop(name))
    return found


def _can_be_used(value: Any, judge: Any) -> bool:
    try:
        judge(value)
    except PayloadProblem:
        return value is None or value == ""
    return True


_NOBODY = Identifiers()


def is_somebody(who: Identifiers) -> bool:
    """Whether there is any identifier."""
    return bool(who.profile or who.email or who.phone_number or who.external_id) or bool(
        who.anonymous_ids
    )


def _is_none(properties: dict[str, Any], name: str) -> bool:
    """Whether an identifier says nothing; then it is taken away."""
    value = properties[name]
    if value is None or (type(value) is str and not value.strip()):
        del properties[name]
        return True
    return False


def _taken(properties: dict[str, Any], names: tuple[str, ...], judge: Any, pointer: str) -> Any:
    """The identifier under the first of its names that says something; other names go if they say the same."""
    found = None
    for name in names:
        if name not in properties or _is_none(properties, name):
            continue
        if found is None:
            found = judge(properties.pop(name), f"{pointer}/{name}")
        elif _says(properties[name], judge, found):
            del properties[name]
    return found


def _says(value: Any, judge: Any, found: str) -> bool:
    try:
        return bool(judge(value) == found)
    except PayloadProblem:
        return False


def _special(properties: dict[str, Any]) -> dict[str, Any]:
    """The same properties, the special ones under their `$` names."""
    for name in sorted(_PLAIN_FIELDS.keys() & properties.keys()):
        if _PLAIN_FIELDS[name] not in properties:
            properties[_PLAIN_FIELDS[name]] = properties.pop(name)
    return properties


def _mapping(value: Any, pointer: str) -> dict[str, Any]:
    if value is None or value == []:
        return {}
    if not isinstance(value, dict):
        raise PayloadProblem(pointer, "is not an object", hint='Write {"property": value}.')
    if known := sorted({*_KINDS, *ANONYMOUS_NAMES} & value.keys()):
        raise PayloadProblem(f"{pointer}/{known[0]}", "is an identifier, which has one value")
    return dict(value)


def _said(properties: dict[str, Any]) -> dict[str, Any]:
    """The same without special properties that are null: Klaviyo's PHP library sends null for each that it was not given."""
    if None in properties.values():
        for name in _SPECIAL & properties.keys():
            if properties[name] is None:
                del properties[name]
    return properties


def _names(value: Any, pointer: str) -> list[str]:
    """Names of properties, from one, a list, or the keys of an object."""
    if value is None:
        return []
    names = list(value) if type(value) in (list, dict) else [value]
    if not all(isinstance(name, str) for name in names):
        raise PayloadProblem(
            pointer, "is not a list of names", hint='Write ["property", "another"].'
        )
    return names

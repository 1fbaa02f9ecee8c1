"""How people, their properties and times are named on the command line."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from feedd.errors import UsageError

WHO_HELP = "An email address, a phone number (+49…), feedd's id, external:ID or anonymous:ID."

Who = Annotated[str | None, typer.Argument(metavar="WHO", help=WHO_HELP)]
ExternalId = Annotated[
    str | None, typer.Option(metavar="ID", help="The customer id that you gave somebody.")
]
AnonymousId = Annotated[
    str | None, typer.Option(metavar="ID", help="The id of a browser or device.")
]
ErrorsPath = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Where to say what was wrong; FILE.errors.csv if left out."),
]
Again = Annotated[
    bool,
    typer.Option("--again", help="From the beginning, although it was imported before."),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Not before this: 7d, 12h, 2026-01-31, 2026-01-31T12:00Z."),
]
_AGO = re.compile(r"(\d{1,6})(min|h|d|w)")
_UNITS = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def who_of(
    *words: str | None, external_id: str | None = None, anonymous_id: str | None = None
) -> Any:
    """The identifiers that those words are, of one person; at least one.

    Raises:
        UsageError: a word is no identifier, two are of one kind, or there is none.
    """
    from feedd.people.values import Identifiers

    given = [each for each in words if each is not None]
    if external_id is not None:
        given.append(f"external:{external_id}")
    if anonymous_id is not None:
        given.append(f"anonymous:{anonymous_id}")
    found: dict[str, Any] = {}
    for word in given:
        name, value = _identifier(word)
        if name == "anonymous_ids":
            value = (*found.get(name, ()), value)
        elif name in found:
            raise UsageError(
                f"{found[name]} and {value} are two people",
                hint="Name one person, by one identifier of a kind.",
            )
        found[name] = value
    if not found:
        raise UsageError("say who it is about", hint=WHO_HELP)
    return Identifiers(**found)


def _identifier(word: str) -> tuple[str, Any]:
    from feedd.people.identifiers import external_id, normalize_email, normalize_phone
    from feedd.people.rows import profile_id

    kind, colon, value = word.partition(":")
    if colon and kind in ("external", "anonymous"):
        name = "external_id" if kind == "external" else "anonymous_ids"
        return name, external_id(value, f"/{kind}")
    if "@" in word:
        return "email", normalize_email(word)
    if word.startswith("+"):
        return "phone_number", normalize_phone(word)
    if re.fullmatch(r"[0-9A-Za-z]{26}", word):
        return "profile", profile_id(word)
    if re.fullmatch(r"[\d /()-]{6,}", word):
        raise UsageError(
            f"{word!r} could be a phone number or an id of yours",
            hint=f"Write a phone number with its country (+49…), a customer id as external:{word}.",
        )
    raise UsageError(
        f"{word!r} is no email address, phone number or id of feedd's",
        hint=f"A customer id of yours is written external:{word}",
    )


def assignment(text: str) -> tuple[str, Any]:
    """The name and the value of `name=text` or `name:=JSON`. Raises UsageError."""
    name, equals, value = text.partition("=")
    if not equals or not name.rstrip(":"):
        raise UsageError(
            f"{text!r} sets nothing", hint="Write name=value for a text, name:=JSON for anything."
        )
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{text!r}: {value!r} is no JSON ({error})",
            hint=f'Write {name[:-1]}={value} for a text; JSON is 5, true, null, [1, 2], {{"a": 1}}.',
        ) from error


def property_of(name: str) -> str:
    """The property that a name means, as it does in a CSV file: `first_name` is `$first_name`. Raises UsageError."""
    from feedd.people.columns import column_of

    column = column_of(name)
    if column.identifier is not None:
        raise UsageError(
            f"{name} is an identifier",
            hint="`feedd profile set WHO` changes it with --email, --phone or --external-id;"
            f" a property that is called so is properties.{name}.",
        )
    return column.name


def properties(assignments: list[str] | None) -> dict[str, Any]:
    """Properties of a person, from assignments. Raises UsageError."""
    pairs = [assignment(each) for each in assignments or []]
    return {property_of(name): value for name, value in pairs}


def moment(text: str, now: datetime) -> datetime:
    """A time: so long before `now` (`7d`), or any usual spelling of one, UTC where it does not say. Raises UsageError."""
    from feedd.people.limits import PayloadProblem
    from feedd.people.times import event_time

    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return datetime.fromtimestamp(event_time(text, now.timestamp(), "/since"), UTC)
    except PayloadProblem as error:
        raise UsageError(
            f"{text!r} {error.problem}", hint="Write 7d, 12h or 2026-01-31."
        ) from error

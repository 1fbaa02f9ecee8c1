"""Commands that record: track, identify."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from feedd.cli.backend import Backend, connect
from feedd.cli.options import AsJson, options_of
from feedd.cli.people_arguments import (
    WHO_HELP,
    Again,
    AnonymousId,
    ErrorsPath,
    ExternalId,
    assignment,
    properties,
    who_of,
)
from feedd.cli.show import emit, plain, say
from feedd.errors import NotFound, UsageError
from feedd.people.limits import PROFILE_FULL

if TYPE_CHECKING:
    from feedd.people.values import Action, Outcome


def track(
    context: typer.Context,
    event: Annotated[
        str | None, typer.Argument(metavar="EVENT", help='What they did: "Placed Order".')
    ] = None,
    who: Annotated[
        list[str] | None,
        typer.Argument(metavar="WHO", help=f"{WHO_HELP} Several are one person's."),
    ] = None,
    *,
    property_: Annotated[
        list[str] | None,
        typer.Option(
            "--property",
            "-p",
            metavar="NAME=TEXT",
            help="A property of the event; NAME:=JSON for what is no text; may be repeated.",
        ),
    ] = None,
    value: Annotated[float | None, typer.Option(help="What it is worth, for sums.")] = None,
    at: Annotated[
        str | None,
        typer.Option("--time", metavar="TIME", help="When it happened; now if left out."),
    ] = None,
    unique_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Recorded once for one person and metric: an order's number."
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Only if they never did this before.")
    ] = False,
    external_id: ExternalId = None,
    anonymous_id: AnonymousId = None,
    import_: Annotated[
        str | None,
        typer.Option(
            "--import", metavar="FILE", help="Record the events of a JSON Lines file; - is stdin."
        ),
    ] = None,
    errors: ErrorsPath = None,
    again: Again = False,
    as_json: AsJson = False,
) -> None:
    """Record that somebody did something; with --import, the events of a file."""
    options = options_of(context)
    if import_ is not None:
        if event is not None:
            raise UsageError("--import takes events from its file only", hint="Name no event.")
        with connect(options, to_record=True) as backend:
            raise typer.Exit(_import(backend, import_, errors, again=again, as_json=as_json))
    if event is None:
        raise UsageError(
            "say what was done, and by whom", hint='feedd track "Placed Order" jane.doe@example.com'
        )
    from feedd.people.payloads import new_event
    from feedd.people.values import Action

    did = dict(map(assignment, property_ or []))
    made = new_event(
        event,
        msgspec.json.encode(did),
        now_s=time.time(),
        time=at,
        value=value,
        unique_id=unique_id,
        once=once or None,
    )
    person = who_of(*(who or []), external_id=external_id, anonymous_id=anonymous_id)
    with connect(options, to_record=True) as backend:
        outcome = _recorded(backend, Action(who=person, event=made, trusted=True))
    if as_json:
        emit({"metric": made.metric, "recorded": not outcome.duplicate, "created": outcome.created})
    elif outcome.duplicate:
        say(f"{plain(made.metric)} was recorded before, and is not again.")
    else:
        say(f"Recorded: {plain(made.metric)}.{_new(outcome)}")


def identify(
    context: typer.Context,
    who: Annotated[str | None, typer.Argument(metavar="WHO", help=WHO_HELP)] = None,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=TEXT", help="What to set; NAME:=JSON for what is no text."),
    ] = None,
    *,
    external_id: ExternalId = None,
    anonymous_id: AnonymousId = None,
    as_json: AsJson = False,
) -> None:
    """Say who somebody is, as the identify call does; makes their profile where there is none."""
    from feedd.people.values import Action, Patch

    words = list(values or [])
    if who is not None and "=" in who and "@" not in who.partition("=")[0]:
        words.insert(0, who)  # somebody is named by an option, and this sets something
        who = None
    named = [word for word in words if "=" not in word]
    person = who_of(who, *named, external_id=external_id, anonymous_id=anonymous_id)
    patch = Patch(set=properties([word for word in words if "=" in word]))
    with connect(options_of(context), to_record=True) as backend:
        outcome = _recorded(backend, Action(who=person, patch=patch, trusted=True))
    if as_json:
        emit({"created": outcome.created})
    else:
        say(f"Done.{_new(outcome)}")


def _recorded(backend: Backend, action: "Action") -> "Outcome":
    from feedd.people.operations import Record

    (outcome,) = backend.people(Record(actions=(action,))).outcomes
    ignored = ", ".join(value for _, value in outcome.ignored)
    if outcome.profile is None:
        raise NotFound(f"there is nobody with {ignored}")
    if ignored:
        say(f"feedd: {plain(ignored)} is another profile's, and was not taken", stderr=True)
    if outcome.refused is not None:
        say(f"feedd: {PROFILE_FULL}; nothing of it was changed", stderr=True)
    return outcome


def _new(outcome: "Outcome") -> str:
    return " A new profile was made." if outcome.created else ""


def _import(backend: Backend, file: str, errors: Path | None, *, again: bool, as_json: bool) -> int:
    from feedd.cli.transfer import Importing, Source, errors_path

    with Source(file) as source:
        if source.form() != "jsonl":
            raise UsageError(
                f"{source.name} is no JSON Lines",
                hint='Each line is an object: {"event": …, "email": …}',
            )
        importing = Importing(backend, source, "events", "jsonl")
        return importing.run(errors_path(file, errors), again=again, as_json=as_json)

"""Commands for profiles: show, set, merge, delete, import, export."""

import csv
import io
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import msgspec
import typer

from feedd.cli.backend import Backend, connect
from feedd.cli.backups import target
from feedd.cli.operating import Yes, confirm
from feedd.cli.options import AsJson, options_of
from feedd.cli.people_arguments import (
    WHO_HELP,
    Again,
    AnonymousId,
    ErrorsPath,
    ExternalId,
    Since,
    Who,
    assignment,
    moment,
    properties,
    property_of,
    who_of,
)
from feedd.cli.show import counted, emit, plain, say
from feedd.errors import UsageError
from feedd.people.limits import PROFILE_FULL

if TYPE_CHECKING:
    from feedd.people.values import Kind, Profile

EXPORT_PAGE = 500
MOST_COLUMNS = 2_000
Form = Literal["csv", "jsonl"]


def show(
    context: typer.Context,
    who: Who = None,
    *,
    external_id: ExternalId = None,
    anonymous_id: AnonymousId = None,
    events: Annotated[
        int, typer.Option(min=0, max=100_000, help="At most so many events, the newest.")
    ] = 20,
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only events of this metric.")
    ] = None,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Who somebody is, what is known of them, and what they did, the newest first."""
    from feedd.cli.people_wording import profile_object, show_profile, show_timeline, timeline
    from feedd.people.operations import FindProfile

    wanted = who_of(who, external_id=external_id, anonymous_id=anonymous_id)
    begin = None if since is None else int(moment(since, datetime.now(UTC)).timestamp())
    with connect(options_of(context)) as backend:
        found = backend.people(FindProfile(who=wanted))
        did = list(timeline(backend, profile=found.id, metric=metric, since=begin, limit=events))
    if as_json:
        emit(profile_object(found) | {"events": [event for event, _ in did]})
        return
    show_profile(found)
    if events:
        show_timeline(did, with_people=False)


def set_(
    context: typer.Context,
    who: Annotated[str, typer.Argument(metavar="WHO", help=WHO_HELP)],
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=TEXT", help="What to set; NAME:=JSON for what is no text."),
    ] = None,
    *,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Clear this; may be repeated.")
    ] = None,
    append: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TEXT", help="Add to a list what is not in it; may be repeated."),
    ] = None,
    unappend: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TEXT", help="Take out of a list; may be repeated."),
    ] = None,
    email: Annotated[str | None, typer.Option(metavar="NEW", help="Their email address.")] = None,
    phone: Annotated[str | None, typer.Option(metavar="NEW", help="Their phone number.")] = None,
    external_id: Annotated[
        str | None, typer.Option(metavar="NEW", help="The customer id that you give them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change what is known of somebody; makes their profile where there is none."""
    from feedd.cli.people_wording import profile_object, show_profile
    from feedd.people.columns import column_of
    from feedd.people.identifiers import external_id as judged_id
    from feedd.people.identifiers import normalize_email, normalize_phone
    from feedd.people.operations import SetProfile
    from feedd.people.values import Action, Identifiers, Patch

    cleared = [column_of(name) for name in unset or []]
    patch = Patch(
        set=properties(values),
        append=_lists(append),
        unappend=_lists(unappend),
        unset=tuple(each.name for each in cleared if each.identifier is None),
        clear=tuple(each.identifier for each in cleared if each.identifier is not None),
    )
    new = Identifiers(
        email=None if email is None else normalize_email(email),
        phone_number=None if phone is None else normalize_phone(phone),
        external_id=None if external_id is None else judged_id(external_id),
    )
    if patch.is_empty() and not new.given():
        raise UsageError("there is nothing to set", hint="first_name=Jane points:=12 --unset old")
    action = Action(who=new, patch=patch, trusted=True)
    with connect(options_of(context), to_record=True) as backend:
        changed = backend.people(SetProfile(who=who_of(who), action=action))
    if as_json:
        emit(profile_object(changed.profile) | {"created": changed.outcome.created})
    else:
        say("A new profile." if changed.outcome.created else "Changed.")
        show_profile(changed.profile)
    _refuse_ignored(changed.outcome.ignored)
    if changed.outcome.refused is not None:
        raise UsageError(PROFILE_FULL, hint="Clear some of them first: --unset NAME")


def _lists(assignments: list[str] | None) -> dict[str, Any]:
    """What to add to or take out of lists: a property that is named twice gets both."""
    found: dict[str, list[Any]] = {}
    for each in assignments or []:
        name, value = assignment(each)
        found.setdefault(property_of(name), []).append(value)
    return found


def _refuse_ignored(ignored: "tuple[tuple[Kind, str], ...]") -> None:
    if not ignored:
        return
    shown = ", ".join(value for _, value in ignored)
    raise UsageError(
        f"{shown} is another profile's, and was not taken",
        hint=f"Make them one: feedd profile merge {ignored[0][1]} INTO",
    )


def merge(
    context: typer.Context,
    who: Annotated[
        list[str],
        typer.Argument(
            metavar="FROM... INTO", help="The profiles that go, then the one that stays."
        ),
    ],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make one profile of several: events and identifiers move, gaps are filled. It cannot be undone."""
    from feedd.cli.people_wording import name_of, profile_object, show_profile
    from feedd.people.operations import FindProfile, MergeProfiles

    if len(who) < 2:
        raise UsageError("a merge takes two profiles", hint="feedd profile merge FROM INTO")
    *sources, into = [who_of(each) for each in who]
    with connect(options_of(context)) as backend:
        going = [backend.people(FindProfile(who=each)) for each in sources]
        staying = backend.people(FindProfile(who=into))
        names = ", ".join(plain(name_of(each)) for each in going)
        confirm(
            f"Merge {names} into {plain(name_of(staying))}? Their events move there, their properties fill"
            " gaps, and nothing can part them again.",
            yes=yes,
        )
        done = backend.people(MergeProfiles(sources=tuple(sources), into=into))
    if as_json:
        emit(profile_object(done.profile) | {"merged": done.merged})
        return
    say(f"{counted(len(done.merged), 'profile')} merged into this one.")
    show_profile(done.profile)


def delete(
    context: typer.Context,
    who: Who = None,
    *,
    external_id: ExternalId = None,
    anonymous_id: AnonymousId = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete what is known of a person. Their events stay and name nobody any more. It cannot be undone."""
    from feedd.cli.people_wording import name_of
    from feedd.people.operations import DeleteProfile, FindProfile

    wanted = who_of(who, external_id=external_id, anonymous_id=anonymous_id)
    with connect(options_of(context)) as backend:
        found = backend.people(FindProfile(who=wanted))
        confirm(
            f"Delete {plain(name_of(found))}? Identifiers and properties go for good; events stay, and what"
            " names the person in them is redacted.",
            yes=yes,
        )
        done = backend.people(DeleteProfile(who=wanted))
    if as_json:
        emit({"id": done.profile, "deleted": True})
        return
    say(f"{plain(name_of(found))} is deleted. Their events stay, and name nobody.")


def import_(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="CSV or JSON Lines; - is what is piped in.")
    ],
    *,
    as_form: Annotated[
        Form | None, typer.Option("--as", help="What it is; seen by how it begins if left out.")
    ] = None,
    errors: ErrorsPath = None,
    again: Again = False,
    as_json: AsJson = False,
) -> None:
    """Take in profiles from a file. Interrupted, the same command goes on where it was."""
    from feedd.cli.transfer import Importing, Source, errors_path

    with Source(file) as source, connect(options_of(context), to_record=True) as backend:
        importing = Importing(backend, source, "profiles", as_form or source.form())
        code = importing.run(errors_path(file, errors), again=again, as_json=as_json)
    raise typer.Exit(code)


def export(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to write it; - is stdout.")],
    *,
    as_form: Annotated[
        Form | None,
        typer.Option(
            "--as", help="CSV or JSON Lines; if left out, what the name ends with, or CSV."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write all profiles to a file, the oldest first; `profile import` reads it without loss."""
    from feedd.cli.progress import Meter

    ends_so = file.lower().endswith((".jsonl", ".ndjson", ".json"))
    form = as_form or ("jsonl" if ends_so else "csv")
    with (
        connect(options_of(context)) as backend,
        target(file) as out,
        Meter("profiles") as meter,
    ):
        pages = _pages(backend, meter)
        count = _write_lines(pages, out) if form == "jsonl" else _write_csv(pages, out)
        out.flush()
    if as_json and file != "-":
        emit({"file": file, "profiles": count})
    else:
        name = "stdout" if file == "-" else plain(file)
        say(f"{name}: {counted(count, 'profile')}.", stderr=file == "-")


def _pages(backend: Backend, meter: Any) -> "Iterator[list[Profile]]":
    from feedd.people.operations import ListProfiles

    after = count = 0
    while page := backend.people(ListProfiles(after=after, limit=EXPORT_PAGE)).profiles:
        after, count = page[-1].number, count + len(page)
        meter.show(count)
        yield page


def _write_lines(pages: "Iterator[list[Profile]]", out: BinaryIO) -> int:
    from feedd.people.exports import line_of

    count = 0
    for page in pages:
        out.write(b"".join(msgspec.json.encode(line_of(each)) + b"\n" for each in page))
        count += len(page)
    return count


def _write_csv(pages: "Iterator[list[Profile]]", out: BinaryIO) -> int:
    """Which columns there are is known at the end only: until then the profiles lie in a nameless file."""
    from feedd.people.exports import Names as PropertyNames
    from feedd.people.values import Profile

    names, count = PropertyNames(), 0
    with tempfile.TemporaryFile() as spool:
        for page in pages:
            names.add(page)
            if len(names) > MOST_COLUMNS:
                raise UsageError(
                    f"there are more than {MOST_COLUMNS:,} properties, too many for columns",
                    hint="Export JSON Lines: --as jsonl",
                )
            spool.write(b"".join(msgspec.json.encode(each) + b"\n" for each in page))
            count += len(page)
        spool.seek(0)
        made = names.table()
        text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(made.headings())
        decode = msgspec.json.Decoder(Profile).decode
        writer.writerows(made.row(decode(line)) for line in spool)
        text.flush()
        text.detach()
    return count

"""The command `render`: a template as one person would get it."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from feedd.cli.backend import connect
from feedd.cli.browsing import page_of, show_page
from feedd.cli.options import AsJson, options_of
from feedd.cli.people_arguments import WHO_HELP, moment, who_of
from feedd.cli.pointing import pointed
from feedd.cli.show import counted, emit, end_quietly, plain, say, text
from feedd.errors import NotFound, UsageError

if TYPE_CHECKING:
    from feedd.previews import Failure, Previewed
    from feedd.templates.wire import Problem

MOST_WARNINGS = 5  # that are told beside a message
MOST_BYTES = (
    4 * 1024 * 1024
)  # that are read of a file: the renderer tells that a template is too large


def render(
    context: typer.Context,
    template: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A file, - for standard input, or the id or name of a template."
        ),
    ],
    *,
    profile: Annotated[
        str | None, typer.Option(metavar="WHO", help=f"Who it is for. {WHO_HELP}")
    ] = None,
    event: Annotated[
        str | None,
        typer.Option(
            metavar="EVENT",
            help="What they did: the id of an event, a metric (its newest event), or @FILE with properties as JSON.",
        ),
    ] = None,
    given: Annotated[
        Path | None,
        typer.Option("--context", metavar="FILE", help="A JSON object of variables, which win."),
    ] = None,
    subject: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A subject line, rendered too.")
    ] = None,
    preview_text: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What {% render_variable preview_text %} shows."),
    ] = None,
    at: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**62,
            metavar="SEQ",
            help="With the catalog as it was right after this change.",
        ),
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="The time that the template sees, in the account's zone where it names none; with --at, that of the change.",
        ),
    ] = None,
    as_text: Annotated[
        bool, typer.Option("--text", help="The plain text in place of the HTML.")
    ] = False,
    open_: Annotated[bool, typer.Option("--open", help="Show it in a browser.")] = False,
    inline_css: Annotated[
        bool,
        typer.Option(
            "--inline-css/--no-inline-css", help="CSS in style attributes, as mail clients want it."
        ),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Render a template for one person, as it would be sent."""
    from feedd.previews import Preview

    source = _source(template)
    preview = Preview(
        template=template if source is None else None,
        html=source,
        text=None if source is None else _text_beside(Path(template)),
        subject=subject,
        preview_text=preview_text,
        profile=None if profile is None else who_of(profile),
        event=_object(Path(event[1:])) if event is not None and event[:1] == "@" else event,
        context={} if given is None else _object(given),
        at=at,
        now=None if now is None else _time(now),
        inline_css=inline_css,
        wants_warnings=True,
    )
    try:
        with connect(options_of(context), to_record=True) as backend:
            found = backend.preview(preview)
    except NotFound as error:
        if source is None and str(error).startswith("there is no template "):
            raise _not_found(template, error) from error
        raise
    if as_json:
        emit(found)
        _open(found, as_text=as_text, open_=open_)
    elif found.failure is not None:
        _tell_failure(found.failure, template, source if found.failure.part == "html" else None)
    else:
        _show(found, as_text=as_text, open_=open_)
        _warn(found.warnings, template)
    if found.failure is not None:
        raise typer.Exit(1)


def _source(named: str) -> str | None:
    """The text of a file or of standard input; None where no file is called so. Raises UsageError."""
    if named == "-":
        return _decoded(named, sys.stdin.buffer.read(MOST_BYTES + 1))
    path = Path(named)
    return _decoded(named, _content(path)) if path.is_file() else None


def _text_beside(path: Path) -> str | None:
    """The plain text of a template that is a file, which lies beside it as it does in a directory. Raises UsageError."""
    beside = path.with_suffix(".txt")
    if path.suffix != ".html" or not beside.is_file():
        return None
    return _decoded(str(beside), _content(beside))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _decoded(named: str, content: bytes) -> str:
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise UsageError(
            f"{named} holds a NUL character in line {line}", hint="Save it as UTF-8, without it."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(
            f"{named} is not UTF-8 text: a byte in line {line} is none", hint="Save it as UTF-8."
        ) from error


def _not_found(named: str, error: NotFound) -> UsageError:
    """What is wrong with a name that is no template's: it may be meant as that of a file or of a directory."""
    path = Path(named)
    if path.is_dir():
        return UsageError(
            f"{named} is a directory, and no template is called so",
            hint="`feedd template check` looks through one.",
        )
    if path.suffix in (".html", ".htm", ".txt"):
        return UsageError(
            f"there is no file {named}, and no template is called so",
            hint="`feedd templates` shows them.",
        )
    return error


def _time(text: str) -> datetime:
    """A time, without a zone where the text names none. Raises UsageError."""
    try:
        found = datetime.fromisoformat(text.strip()) if "-" in text else None
    except ValueError:
        found = None
    return moment(text, datetime.now(UTC)) if found is None else found


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises UsageError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{path} is no JSON object: {error}", hint='Write {"first_name": "Jane"}.'
        ) from error


def _open(found: "Previewed", *, as_text: bool, open_: bool) -> None:
    """Show the message in a browser, where that is asked for. Raises Unavailable."""
    if open_ and found.html is not None:
        show_page(page_of(found.text or "") if as_text else found.html)


def _show(found: "Previewed", *, as_text: bool, open_: bool) -> None:
    if open_:
        _open(found, as_text=as_text, open_=open_)
    else:
        shown = (found.text or "") if as_text else (found.html or "")
        try:
            sys.stdout.write(shown if shown.endswith("\n") else f"{shown}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            end_quietly()
    for name, value in (("subject", found.subject), ("preview text", found.preview_text)):
        if value is not None:
            say(f"{name}: {plain(value)}", stderr=True)
    say(text(_made_of(found), style="dim"), stderr=True)


def _made_of(found: "Previewed") -> str:
    """What a message was made of, in a line."""
    position = found.position
    at = "" if position is None else f" at change {position.seq}"
    when = "" if found.now is None else f", {found.now.isoformat(timespec='seconds')}"
    items = [
        f"{each.item} (change {each.version})" if each.version else each.item
        for each in found.items
    ]
    more = f" … and {len(items) - 5} more" if len(items) > 5 else ""
    used = f"; {counted(len(items), 'item')}: {', '.join(items[:5])}{more}" if items else ""
    return plain(f"rendered{at}{when}{used}")


def _tell_failure(failure: "Failure", named: str, source: str | None) -> None:
    """Why there is no message; with the line of the template and its place in it."""
    place = "" if failure.line is None else f":{failure.line}:{failure.column}"
    part = "" if failure.part == "html" else f" ({failure.part.replace('_', ' ')})"
    what = "skipped: " if failure.kind == "lookup" else ""
    say(f"{plain(named)}{place}{part}: {what}{plain(failure.message)}", stderr=True)
    lines = [] if source is None else source.split("\n")
    if failure.line is not None and failure.column is not None and failure.line <= len(lines):
        shown, marks = pointed(lines[failure.line - 1], failure.column)
        say(f"    {shown}", stderr=True)
        say(text(f"    {marks}", style="red"), stderr=True)
    if failure.hint:
        say(f"    {plain(failure.hint)}", stderr=True)


def _warn(warnings: "tuple[Problem, ...]", named: str) -> None:
    """What was rendered and cannot be meant."""
    for each in warnings[:MOST_WARNINGS]:
        part = "" if each.part == "html" else f" ({each.part.replace('_', ' ')})"
        where = f"{plain(named)}:{each.line}:{each.column}{part}:"
        say(where, text("warning:", style="yellow"), plain(each.message), stderr=True)
        if each.hint:
            say(f"    {plain(each.hint)}", stderr=True)
    if len(warnings) > MOST_WARNINGS:
        more = len(warnings) - MOST_WARNINGS
        say(
            f"… and {counted(more, 'more warning')}: `feedd template check` tells all.", stderr=True
        )

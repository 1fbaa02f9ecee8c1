"""The command `item`: as it is stored, as it was, and what happened to it."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from feedd.cli.backend import Backend, connect
from feedd.cli.completing import feed_names
from feedd.cli.options import AsJson, options_of
from feedd.cli.show import clock, emit, plain, say, table, text
from feedd.cli.wording import change_object, item_object, version_object
from feedd.errors import UsageError
from feedd.model import Change, ChangeKind


def item(
    context: typer.Context,
    item_id: Annotated[str, typer.Argument(metavar="ID", help="The item's id.")],
    *,
    feed: Annotated[
        str | None, typer.Option(help="Of this feed.", autocompletion=feed_names)
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="What happened to it.")] = False,
    at: Annotated[
        int | None,
        typer.Option(min=0, max=2**62, metavar="SEQ", help="As it was right after this change."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """One item as it is stored, or as it was; or what happened to it."""
    if history and at is not None:
        raise UsageError("--history and --at are two things", hint="Leave one of them out.")
    with connect(options_of(context)) as backend:
        if history:
            _show_history(backend.history(item_id, feed=feed), as_json=as_json)
        elif at is not None:
            _show_version(backend, item_id, feed, at, as_json=as_json)
        else:
            _show_item(backend, item_id, feed, as_json=as_json)


def _show_item(backend: Backend, item_id: str, feed: str | None, *, as_json: bool) -> None:
    found = backend.find_item(item_id, feed=feed)
    if as_json:
        emit(item_object(found))
        return
    state = f"removed {clock(found.removed_at)}" if found.removed_at else "live"
    say(
        f"{plain(found.id)}  in feed {plain(found.feed)}, {state}, changed {clock(found.changed_at)}"
    )
    table(("field", "value"), found.fields.items())
    for warning in found.warnings:
        say(text(f"warning  {warning.pointer}  {warning.rule}: {warning.hint}"))


def _show_version(
    backend: Backend, item_id: str, feed: str | None, seq: int, *, as_json: bool
) -> None:
    found = backend.item_at(item_id, feed=feed, seq=seq)
    if as_json:
        emit(version_object(found))
        return
    changed = f", changed {clock(found.changed_at)}" if found.changed_at else ""
    say(f"{plain(found.id)}  in feed {plain(found.feed)}, as it was at change {seq}{changed}")
    table(("field", "value"), found.fields.items())


def _show_history(changes: Iterator[Change], *, as_json: bool) -> None:
    if as_json:
        for change in changes:
            emit(change_object(change))
        return
    found = list(changes)
    if found:
        table(
            (">seq", "when", "kind", "field", "old", "new", ">sync"),
            [row for change in found for row in _rows(change)],
        )
    if not found or found[0].kind is not ChangeKind.ADDED:
        say("What happened to it before that is no longer kept.")


def _rows(change: Change) -> Iterator[tuple[Any, ...]]:
    """A line for each field; what they share stands in the first one."""
    shared: tuple[Any, ...] = (change.seq, change.at, str(change.kind))
    sync: int | None = change.sync
    for name, (old, new) in change.fields.items() or [("", (None, None))]:
        yield (*shared, name, old, new, sync)
        shared, sync = (None, None, None), None

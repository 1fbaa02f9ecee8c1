"""Commands that end things: cancel, forget."""

import sys
from typing import Annotated

import typer

from feedd.cli.backend import connect
from feedd.cli.completing import feed_names
from feedd.cli.options import AsJson, options_of
from feedd.cli.show import counted, emit, plain, say
from feedd.errors import NotFound, UsageError

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def cancel(
    context: typer.Context,
    feed: Annotated[
        str,
        typer.Argument(
            metavar="FEED", help="The feed whose sync is to end.", autocompletion=feed_names
        ),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """End the sync of a feed that runs, and the one that waits; the catalog stays as it was."""
    with connect(options_of(context)) as backend:
        cancelled, committed = backend.cancel(feed)
    if as_json:
        emit({"feed": feed, "cancelled": cancelled, "committed": committed})
        return
    if not cancelled and not committed:
        say(f"{plain(feed)} is not being synced.")
    if cancelled:
        say(f"{plain(feed)}: {counted(cancelled, 'sync')} cancelled. The catalog stands as it was.")
    if committed:
        say(f"{plain(feed)}: too late, its sync was committed just before.")


def forget(
    context: typer.Context,
    feed: Annotated[str, typer.Argument(metavar="FEED", help="A feed, configured or not.")],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Drop what is stored of a feed; its items are told as removed."""
    with connect(options_of(context), to_sync=True) as backend:
        configured = {each.name: each.items for each in backend.feeds()}
        items = configured | {each.name: each.items for each in backend.orphans()}
        if feed not in items:
            raise NotFound(
                f"nothing is stored of a feed {feed!r}",
                hint=f"There are: {', '.join(items) or 'none'}.",
            )
        confirm(f"Drop {counted(items[feed], 'item')} of {plain(feed)}?", yes=yes)
        done = backend.forget(feed)
    if as_json:
        emit(done)
        return
    say(f"{plain(feed)} is forgotten: {counted(done.removed, 'live item')} told as removed.")
    if feed in configured:
        say("It is still configured, so it begins anew with its next sync.")


def confirm(question: str, *, yes: bool) -> None:
    """Go on if that is wanted. Raises UsageError, or Exit where a person says no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("this needs to be confirmed", hint="Give --yes.")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)

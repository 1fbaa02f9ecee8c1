"""Commands that end things: cancel."""

from typing import Annotated

import typer

from feedd.cli.backend import connect
from feedd.cli.options import AsJson, options_of
from feedd.cli.show import counted, emit, plain, say


def cancel(
    context: typer.Context,
    feed: Annotated[str, typer.Argument(metavar="FEED", help="The feed whose sync is to end.")],
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

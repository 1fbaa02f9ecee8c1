"""Commands that look: feeds, rejects."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from feedd.cli.backend import Backend, connect
from feedd.cli.completing import feed_names
from feedd.cli.options import AsJson, options_of
from feedd.cli.show import ago, emit, plain, say, table, text, until
from feedd.cli.wording import (
    feed_notes,
    feed_object,
    orphans_text,
    reject_object,
    warning_objects,
)
from feedd.errors import UsageError
from feedd.model import FeedView

MOST = 1_000_000_000
SHOWN = 100


def feeds(context: typer.Context, *, as_json: AsJson = False) -> None:
    """How each feed is doing, and what is wrong with it."""
    with connect(options_of(context)) as backend:
        found = backend.feeds()
        orphans = [] if as_json else backend.orphans()
    if as_json:
        for feed in found:
            emit(feed_object(feed))
        return
    if orphans:
        say(orphans_text(orphans), stderr=True)
    if not found:
        say('No feeds are configured. Write [feeds.NAME] and url = "https://…" into feedd.toml.')
        return
    table(
        (
            "feed",
            "status",
            ">items",
            ">rejected",
            ">warnings",
            "last begun",
            "last applied",
            "next",
        ),
        [
            (
                feed.name,
                _state(feed),
                f"{feed.items:,}",
                f"{feed.rejected:,}",
                f"{feed.warnings:,}",
                ago(feed.last_sync),
                ago(feed.last_applied),
                until(feed.next_due) if feed.enabled else "paused",
            )
            for feed in found
        ],
    )
    for feed in found:
        for note in feed_notes(feed):
            say(text(feed.name), "", plain(note))


def _state(feed: FeedView) -> str:
    if feed.running:
        return "running"
    return feed.status if feed.enabled else "paused"


def rejects(
    context: typer.Context,
    feed: Annotated[
        str | None, typer.Argument(help="Only this feed's.", autocompletion=feed_names)
    ] = None,
    *,
    warnings: Annotated[
        bool, typer.Option("--warnings", help="The fields that could not be used, instead.")
    ] = False,
    closed: Annotated[
        bool, typer.Option("--closed", help="Those whose record has changed or gone, instead.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, max=MOST, help=f"At most so many; {SHOWN} in a table.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Records that could not become items, and why."""
    if warnings and closed:
        raise UsageError("--warnings and --closed are two lists", hint="Leave one of them out.")
    most = limit if as_json else limit or SHOWN
    with connect(options_of(context), to_try=not (warnings or closed)) as backend:
        found = _problems(backend, feed, warnings=warnings, closed=closed)
        if as_json:
            for each in islice(found, most):
                emit(each)
            return
        rows = list(islice(found, most))
        more = next(found, None) is not None
    if not rows:
        say("No warnings." if warnings else "No closed rejects." if closed else "No rejects.")
        return
    columns = {
        "feed": "feed", ">record": "position", "item": "item", "field": "pointer", "rule": "rule", "value": "value",
        "what to do": "hint",
    }  # fmt: skip
    changed = not (warnings or closed) and any(r["passes"] is not False for r in rows)
    if changed:
        columns |= {"passes now": "passes"}
    table(list(columns), [[r[name] for name in columns.values()] for r in rows])
    if changed:
        _say_what_passes(rows)
    if more:
        say(f"And more: --limit shows more than these {most}, --json all of them.")


def _say_what_passes(rows: list[dict[str, Any]]) -> None:
    for feed in dict.fromkeys(r["feed"] for r in rows):
        passing = sum(r["feed"] == feed and r["passes"] is True for r in rows)
        if passing:
            say(
                f"{passing:,} of those of {plain(feed)} would be {'an item' if passing == 1 else 'items'} under"
                " the configuration as it is now: reload the daemon, or without one:"
                f" feedd resync {plain(feed)} --replay"
            )


def _problems(
    backend: Backend, feed: str | None, *, warnings: bool, closed: bool
) -> Iterator[dict[str, Any]]:
    if warnings:
        for each in backend.warned_items(feed):
            yield from warning_objects(each)
    elif closed:
        for reject in backend.closed_rejects(feed):
            yield reject_object(reject) | {"closed_at": reject.closed_at}
    else:
        for reject in backend.rejects(feed):
            yield reject_object(reject)

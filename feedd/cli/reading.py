"""Commands that look: feeds, changes, item, rejects."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from feedd.cli.backend import Backend, connect
from feedd.cli.options import AsJson, Options, options_of
from feedd.cli.show import ago, clock, emit, plain, say, table, text, until
from feedd.cli.wording import (
    change_object,
    feed_notes,
    feed_object,
    fields_text,
    item_object,
    reject_object,
    warning_objects,
)
from feedd.errors import StoreError, UsageError
from feedd.model import Change, FeedView

NEWEST = 50
MOST = 1_000_000_000
SHOWN = 100
PAGE = 1_000
FOLLOW_EVERY_S = 0.5


def feeds(context: typer.Context, *, as_json: AsJson = False) -> None:
    """How each feed is doing, and what is wrong with it."""
    with connect(options_of(context)) as backend:
        found = backend.feeds()
    if as_json:
        for feed in found:
            emit(feed_object(feed))
        return
    if not found:
        say('No feeds are configured. Write [feeds.NAME] and url = "https://…" into feedd.toml.')
        return
    table(
        ("feed", "status", ">items", ">rejected", ">warnings", "last sync", "last applied", "next"),
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


def changes(
    context: typer.Context,
    feed: Annotated[str | None, typer.Argument(help="Only this feed's.")] = None,
    *,
    since: Annotated[
        int | None, typer.Option(min=0, max=2**62, metavar="SEQ", help="From after this number on.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help=f"At most so many; the newest {NEWEST} if left out."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they come.")] = False,
    as_json: AsJson = False,
) -> None:
    """What changed, in the order of the stream: field by field, old -> new."""
    options = options_of(context)
    with connect(options) as backend:
        stream, last = backend.stream()
        last = last if since is None else since
        for change in _first(backend, feed, since, limit):
            show_change(change, as_json=as_json)
            last = max(last, change.seq or 0)
    if follow:
        _follow(options, feed, stream, last, as_json=as_json)


def _first(
    backend: Backend, feed: str | None, since: int | None, limit: int | None
) -> Iterator[Change]:
    if since is None:
        yield from backend.newest_changes(feed, limit=min(limit or NEWEST, PAGE))
        return
    left = limit
    while left is None or left > 0:
        page = backend.changes(feed, since=since, limit=PAGE if left is None else min(left, PAGE))
        if not page:
            return
        yield from page
        since = page[-1].seq or since
        left = None if left is None else left - len(page)


def _follow(options: Options, feed: str | None, stream: str, last: int, *, as_json: bool) -> None:
    """Show changes after `last` as they come, over restarts of the daemon, until Ctrl-C."""
    while True:
        try:
            with connect(options) as backend:
                while True:
                    if backend.stream()[0] != stream:
                        raise UsageError(
                            "the change stream began anew: the catalog was restored or made afresh",
                            code="stream_changed",
                            hint="Read it again from the start with --since 0.",
                        )
                    for change in backend.changes(feed, since=last, limit=PAGE):
                        show_change(change, as_json=as_json)
                        last = change.seq or last
                    time.sleep(FOLLOW_EVERY_S)
        except StoreError:  # the daemon has ended, or is being restarted
            time.sleep(FOLLOW_EVERY_S)


def show_change(change: Change, *, as_json: bool) -> None:
    """Print a change as a line."""
    if as_json:
        emit(change_object(change))
        return
    say(
        f"{change.seq:>6}  {clock(change.at)}  {plain(change.feed):<12}",
        text(f"{change.kind:<8}"),
        f"{plain(change.item)}  {fields_text(change)}".rstrip(),
    )


def item(
    context: typer.Context,
    item_id: Annotated[str, typer.Argument(metavar="ID", help="The item's id.")],
    *,
    feed: Annotated[str | None, typer.Option(help="Of this feed.")] = None,
    as_json: AsJson = False,
) -> None:
    """One item as it is stored."""
    with connect(options_of(context)) as backend:
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


def rejects(
    context: typer.Context,
    feed: Annotated[str | None, typer.Argument(help="Only this feed's.")] = None,
    *,
    warnings: Annotated[
        bool, typer.Option("--warnings", help="The fields that could not be used, instead.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, max=MOST, help=f"At most so many; {SHOWN} in a table.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Records that could not become items, and why."""
    most = limit if as_json else limit or SHOWN
    with connect(options_of(context)) as backend:
        found = _problems(backend, feed, warnings=warnings)
        if as_json:
            for each in islice(found, most):
                emit(each)
            return
        rows = list(islice(found, most))
        more = next(found, None) is not None
    if not rows:
        say("No warnings." if warnings else "No rejects.")
        return
    table(
        ("feed", ">record", "item", "field", "rule", "value", "what to do"),
        [
            [r[name] for name in ("feed", "position", "item", "pointer", "rule", "value", "hint")]
            for r in rows
        ],
    )
    if more:
        say(f"And more: --limit shows more than these {most}, --json all of them.")


def _problems(backend: Backend, feed: str | None, *, warnings: bool) -> Iterator[dict[str, Any]]:
    if warnings:
        for each in backend.warned_items(feed):
            yield from warning_objects(each)
    else:
        for reject in backend.rejects(feed):
            yield reject_object(reject)

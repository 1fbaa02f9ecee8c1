"""The command `changes`: the stream as far as it goes, and then as it comes."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from feedd.cli.backend import Backend, connect
from feedd.cli.completing import feed_names
from feedd.cli.options import AsJson, Options, Wanted, options_of
from feedd.cli.show import clock, emit, plain, say, text
from feedd.cli.wording import change_object, fields_text
from feedd.errors import StoreError
from feedd.model import Change, ChangeKind

NEWEST = 50
MOST = 1_000_000_000
PAGE = 1_000
AGAIN_AFTER_S = 0.5


def changes(
    context: typer.Context,
    feed: Annotated[
        str | None, typer.Argument(help="Only this feed's.", autocompletion=feed_names)
    ] = None,
    *,
    since: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**62, metavar="SEQ", help="From after this number on; 0 is the beginning."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help=f"At most so many; the newest {NEWEST} if left out."),
    ] = None,
    kind: Annotated[
        list[ChangeKind] | None, typer.Option(help="Only of this kind; may be repeated.")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only those that touch this field; may be repeated."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they come.")] = False,
    as_json: AsJson = False,
) -> None:
    """What changed, in the order of the stream: field by field, old -> new."""
    options = options_of(context)
    wanted = Wanted(feed, tuple(kind or ()), tuple(field or ()))
    with connect(options) as backend:
        stream, last = backend.stream()
        last = last if since is None else since
        for change in _first(backend, wanted, since, limit):
            show_change(change, as_json=as_json)
            last = max(last, change.seq or 0)
    if follow:
        _follow(options, wanted, stream, last, as_json=as_json)


def _first(
    backend: Backend, wanted: Wanted, since: int | None, limit: int | None
) -> Iterator[Change]:
    if since is None:
        yield from backend.newest_changes(wanted, limit=min(limit or NEWEST, PAGE))
        return
    left = limit
    while left is None or left > 0:
        page = backend.changes(wanted, since=since, limit=PAGE if left is None else min(left, PAGE))
        if not page:
            return
        yield from page
        since = page[-1].seq or since
        left = None if left is None else left - len(page)


def _follow(options: Options, wanted: Wanted, stream: str, last: int, *, as_json: bool) -> None:
    """Show changes after `last` as they come, over restarts of the daemon, until Ctrl-C."""
    socket = options.socket()
    try:
        while True:
            try:
                there = _file(socket)
                with connect(options) as backend:
                    for place, change in backend.follow(wanted, stream=stream, since=last):
                        if change is not None:
                            show_change(change, as_json=as_json)
                        last = place
                        if _file(socket) != there:  # a daemon has started, or another one has
                            break
            except StoreError:  # the daemon has ended, or is being restarted
                pass
            time.sleep(AGAIN_AFTER_S)
    except KeyboardInterrupt:  # that is how following ends
        raise typer.Exit from None


def _file(path: Path) -> tuple[int, int] | None:
    """Which file is at a path: another one after a daemon was started anew."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns


def show_change(change: Change, *, as_json: bool) -> None:
    """Print a change as a line."""
    if as_json:
        emit(change_object(change))
        return
    say(
        f"{change.seq:>6}  {clock(change.at)}  {plain(change.feed):<12}",
        text(f"{change.kind:<8}"),
        f"{plain(change.item)}  {fields_text(change.fields)}".rstrip(),
    )

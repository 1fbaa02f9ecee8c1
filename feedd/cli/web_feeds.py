"""Commands for web feeds."""

import contextlib
import threading
from collections.abc import Iterator
from functools import partial
from typing import Annotated

import typer

from feedd.cli.backend import connect
from feedd.cli.completing import web_feed_names
from feedd.cli.options import AsJson, options_of
from feedd.cli.show import ago, emit, plain, say, size, table, text, until
from feedd.cli.wording import error_text, refresh_object, web_feed_object
from feedd.model import WebFeedView

WAITS_S = 3.0
# in place of Klaviyo's words, which say how long it has been so
_SHOWN = {None: "new", "ok": "ok", "refreshing": "refreshing", "disabled": "paused"}


def list_(context: typer.Context, *, as_json: AsJson = False) -> None:
    """How each web feed is doing: how old its body is, when it is refreshed next, what is wrong."""
    with connect(options_of(context)) as backend:
        found = backend.web_feeds()
    if as_json:
        for view in found:
            emit(web_feed_object(view))
        return
    if not found:
        say("No web feeds. Register one with [web_feeds.NAME] in the configuration.")
        return
    table(("web feed", "status", "body", ">size", "checked", "next"), map(_row, found))
    for view in found:
        if view.error is not None:
            times = f" ({view.failures} times in a row)" if view.failures > 1 else ""
            kept = f" The body of {ago(view.fetched_at)} is used." if view.fetched_at else ""
            say(f"{plain(view.name)}: {plain(error_text(view.error))}{times}{kept}")


def refresh(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The web feed.", autocompletion=web_feed_names)
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Fetch a web feed now, and tell how it went."""
    with connect(options_of(context), to_sync=True) as backend, _patience(name):
        done = backend.refresh_web_feed(name)
    if as_json:
        emit(refresh_object(done))
    elif done.error is None:
        say(
            plain(name),
            text(done.outcome, "green"),
            f" {done.duration_s:.1f} s  {size(done.size_bytes or 0)}",
        )
    else:
        say(plain(name), text("failed"), f" {plain(error_text(done.error))}")
        if done.fetched_at is not None:
            say(f"  The body of {ago(done.fetched_at)} stays in use.")
    if done.error is not None:
        raise typer.Exit(1)


@contextlib.contextmanager
def _patience(name: str) -> Iterator[None]:
    """Say on stderr what is waited for, where that takes a while."""
    waiting = f"waiting for what {name} answers …"
    timer = threading.Timer(WAITS_S, partial(say, plain(waiting), stderr=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _row(view: WebFeedView) -> tuple[object, ...]:
    return (
        view.name,
        _SHOWN.get(view.status, "failing"),
        ago(view.fetched_at),
        None if view.size_bytes is None else size(view.size_bytes),
        ago(view.checked_at),
        until(view.next_refresh) if view.next_refresh else None,
    )

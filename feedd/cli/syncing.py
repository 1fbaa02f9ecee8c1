"""The command that does: resync."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from feedd.cli.backend import Backend, Resync, connect
from feedd.cli.completing import feed_names
from feedd.cli.options import AsJson, options_of
from feedd.cli.progress import Bars
from feedd.cli.show import emit, plain, say, text
from feedd.cli.wording import counts_text, error_text, held_text, resync_object
from feedd.errors import FeedError, StoreError, UsageError
from feedd.model import Counts, ErrorInfo, SyncRecord, SyncStatus

POLL_EVERY_S = 0.05
MOST_POLL_EVERY_S = 0.5


def resync(
    context: typer.Context,
    feeds: Annotated[
        list[str] | None,
        typer.Argument(help="The feeds to sync.", autocompletion=feed_names),
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every feed that is enabled.")] = False,
    accept_removals: Annotated[
        bool, typer.Option("--accept-removals", help="Agree to the removals that are held.")
    ] = False,
    replay: Annotated[
        bool, typer.Option("--replay", help="Read the stored body again, without fetching.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what it would do, and store nothing.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, max=1000, help="With --dry-run: so many samples of each.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sync feeds now, and tell what it did."""
    if limit is not None and not dry_run:
        raise UsageError("--limit is for --dry-run", hint="Leave it out, or add --dry-run.")
    if bool(feeds) == everything:
        raise UsageError(
            "name the feeds to sync, or give --all", hint="`feedd feeds` shows their names."
        )
    with connect(options_of(context), to_sync=True, to_try=dry_run) as backend:
        names = _named(backend, feeds)
        if dry_run:
            options = {"accept_removals": accept_removals, "replay": replay}
            if _rehearse(backend, names, options, limit=limit, as_json=as_json):
                raise typer.Exit(1)
            return
        running = {
            name: backend.resync(name, accept_removals=accept_removals, replay=replay)
            for name in names
        }
        try:
            failed = _follow(running, as_json=as_json)
        except KeyboardInterrupt:
            if not backend.is_local:
                for name in running:
                    say(
                        f"The daemon goes on with {name}. To end it: feedd cancel {name}",
                        stderr=True,
                    )
            raise
    if failed:
        raise typer.Exit(1)


def _named(backend: Backend, feeds: list[str] | None) -> list[str]:
    """The feeds that were asked for, each once; nothing starts when one of them does not exist."""
    known = {feed.name: feed for feed in backend.feeds()}
    if not feeds:
        return [name for name, feed in known.items() if feed.enabled]
    for name in feeds:
        if name not in known:
            raise UsageError(
                f"there is no feed {name!r}",
                hint=f"Configured feeds: {', '.join(known) or 'none'}.",
            )
    return list(dict.fromkeys(feeds))


def _rehearse(
    backend: Backend,
    names: list[str],
    options: dict[str, bool],
    *,
    limit: int | None,
    as_json: bool,
) -> bool:
    """Show what a sync of each feed would do, one after the other; gives whether one would fail."""
    from feedd.cli.rehearsing import SAMPLES, show_dry_run

    failed = False
    with Bars() as bars:
        for number, name in enumerate(names):
            if number and not as_json:
                say("")
            try:
                lines = backend.dry_run(name, **options)
                failed |= show_dry_run(name, lines, bars, limit=limit or SAMPLES, as_json=as_json)
            except UsageError as error:
                if error.code != "no_body":
                    raise
                say(f"feedd: {plain(str(error))}", stderr=True)
                failed = True
    if not as_json:
        say("\nA dry run: nothing was stored.")
    return failed


def _follow(running: dict[str, Resync], *, as_json: bool) -> bool:
    """Show every resync's progress and end; gives whether one failed."""
    failed = False
    wait_s = POLL_EVERY_S
    with Bars() as bars:
        while running:
            for name, resync in list(running.items()):
                try:
                    record = _polled(name, resync)
                except UsageError as error:
                    if error.code != "no_body":
                        raise
                    bars.remove(name)
                    say(f"feedd: {plain(str(error))}", stderr=True)
                    del running[name]
                    failed = True
                    continue
                if record is None:
                    bars.show(name, resync.progress)
                    continue
                del running[name]
                bars.remove(name)
                failed = failed or record.status == SyncStatus.FAILED
                _show(record, as_json=as_json)
            if running:
                next(iter(running.values())).wait(wait_s)
                wait_s = min(wait_s * 1.2, MOST_POLL_EVERY_S)
    return failed


def _polled(name: str, resync: Resync) -> SyncRecord | None:
    """The record of a resync that has ended; of one that failed so that none could be written, what it would say."""
    try:
        return resync.poll()
    except (FeedError, StoreError) as error:
        now = datetime.now(UTC)
        return SyncRecord(
            id=0,  # of which nothing is known but its error
            feed=name,
            trigger="resync",
            status=SyncStatus.FAILED,
            started_at=now,
            finished_at=now,
            duration_s=None,
            size_bytes=None,
            counts=None,
            error=error.info
            if isinstance(error, FeedError)
            else ErrorInfo(code="store", message=str(error)),
        )


def _show(record: SyncRecord, *, as_json: bool) -> None:
    if as_json:
        emit(resync_object(record))
        return
    counts = record.counts or Counts()
    took = f"{record.duration_s or 0:.1f} s"
    if record.status == SyncStatus.FAILED:
        say(
            text(record.feed),
            text(str(record.status)),
            f" {took}  {plain(error_text(record.error))}",
        )
        if record.id and "catalog stands" not in str(error_text(record.error)):
            say("  The catalog stands as it was.")
        return
    say(text(record.feed), text(str(record.status)), f" {took}  {counts_text(counts)}")
    if counts.held_removals:
        say(f"  {held_text(record.feed, counts.held_removals)}")
    if record.error is not None:
        say(f"  {plain(error_text(record.error))}")
    if counts.rejected:
        say(f"  See what could not be used, and why: feedd rejects {record.feed}")

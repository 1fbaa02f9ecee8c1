"""Commands for backups: backup, restore."""

import contextlib
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from feedd.cli.operating import Yes, confirm
from feedd.cli.options import AsJson, options_of
from feedd.cli.show import clock, counted, emit, plain, say
from feedd.errors import UsageError


def backup(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to write it; - is stdout.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Write both databases, as they are at one moment, to one file; the daemon may run."""
    from feedd import archive
    from feedd.cli.local import open_local
    from feedd.store.snapshot import snapshot

    if file == "-" and sys.stdout.isatty():
        raise UsageError("a backup is nothing for a terminal", hint="feedd backup - > FILE")
    settings = options_of(context).settings(with_secrets=True)
    with (
        contextlib.closing(open_local(settings, to_sync=False)) as local,
        target(file) as out,
        snapshot(*local.databases) as taken,
    ):
        manifest = archive.write(out, taken, datetime.now(UTC))
        out.flush()
    size = 0 if file == "-" else Path(file).stat().st_size
    items = manifest.rows.get("catalog/items", 0)
    if file == "-":
        say(f"Written: {counted(items, 'item')}.", stderr=True)
    elif as_json:
        emit({"file": file, "items": items, "size_bytes": size, "stream_seq": taken.last_seq})
    else:
        say(f"{plain(file)}: {counted(items, 'item')}, {size / 1e6:,.1f} MB.")


@contextlib.contextmanager
def target(file: str) -> Iterator[BinaryIO]:
    """What to write to. A file takes its name once all of it is on the disk: one that is there stays until then."""
    if file == "-":
        yield sys.stdout.buffer
        return
    path = Path(file).absolute()
    if path.is_dir():
        raise UsageError(f"{path} is a directory", hint=f"Name a file in it: {path}/feedd.backup")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}",
            hint="feedd writes as the owner of its state directory; `feedd backup - > FILE` writes as you.",
        ) from error
    try:
        with os.fdopen(descriptor, "wb") as out:
            yield out
            out.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the databases that are there; these are kept aside. No daemon may run."""
    from feedd import restore as restoring
    from feedd import state, swap
    from feedd.databases import place_of

    settings = options_of(context).settings(with_secrets=True)
    file = file.absolute()
    state.prepare(settings.state_dir)  # first: whoever reads the file now reads it later too
    header = restoring.check(file)
    lock = state.StateLock(settings.state_dir, "restore")
    try:
        swap.finish(settings.state_dir)
        place = place_of(settings)
        if restoring.holds_data(place):
            confirm(
                f"Put the backup of {clock(header.made_at)} in the place of what is stored here?",
                yes=yes,
            )
        done = restoring.restore(file, header, place, datetime.now(UTC))
    finally:
        lock.release()
    if as_json:
        emit({"file": str(file), "made_at": header.made_at, "kept": done.kept})
        return
    say(f"Restored the backup of {clock(header.made_at)}. The change stream has a new id.")
    if done.kept:
        say(f"What was there before is kept: {plain(done.kept)}. Delete it when all is well.")

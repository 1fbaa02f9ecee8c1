"""A backup put back: on SQLite as new files, on PostgreSQL as new schemas, in both cases all or nothing; the old is kept."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from feedd import archive, swap
from feedd.archive import BackupError, Header
from feedd.errors import StateInUse
from feedd.intake import Place
from feedd.store.database import Database, open_database, transaction
from feedd.store.migrate import current_revision, revisions
from feedd.store.refill import refill
from feedd.store.schemas import replace_schemas
from feedd.store.snapshot import Part

DATABASES = ("catalog", "people")


class Restored(NamedTuple):
    """Where what was there before is kept; None when there was nothing."""

    kept: str | None


def check(path: Path) -> Header:
    """Read a backup from end to end; gives what it is of.

    Raises:
        BackupError: it cannot be restored.
    """
    header, _ = archive.verify(path)
    for name in DATABASES:
        revision = header.databases.get(name)
        if revision not in revisions(name):
            raise BackupError(
                path,
                f"it was made by feedd {header.feedd}, with a {name} database that this one does not know ({revision})",
                hint="Restore it with that feedd, or a newer one.",
            )
    return header


def holds_data(place: Place) -> bool:
    """Whether there is anything that a restore would put aside."""
    if place.url is None:
        return any((Path(place.state_dir) / f"{name}.db").exists() for name in DATABASES)
    with closing(_open("catalog", place)) as database, database.connect() as connection:
        return current_revision(connection) is not None


def restore(path: Path, header: Header, place: Place, now: datetime) -> Restored:
    """Put a backup that was checked in the place of what is there. The caller holds the state directory's lock.

    Raises:
        StateInUse: somebody uses the databases.
        StoreError: a database cannot be used.
    """
    if place.url is None:
        return _into_files(path, header, Path(place.state_dir), now)
    with closing(_open("catalog", place)) as catalog:
        moved = replace_schemas(catalog, header.databases, _by_database(path), now)
    return Restored(f"the schemas {', '.join(moved)}" if moved else None)


def _open(name: str, place: Place) -> Database:
    return open_database(name, state_dir=Path(place.state_dir), url=place.url)


def _into_files(path: Path, header: Header, state_dir: Path, now: datetime) -> Restored:
    folder = swap.begin(state_dir)
    for name, parts in _by_database(path):
        with (
            closing(open_database(name, state_dir=folder, url=None)) as database,
            database.connect() as connection,
        ):
            # nobody reads these files before they are whole, and they are made again if this does not end well
            connection.exec_driver_sql("PRAGMA journal_mode=OFF")
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
            with transaction(connection):
                refill(database, connection, header.databases[name], parts, now)
    for name in DATABASES:
        _fold(state_dir / f"{name}.db")
    kept = swap.commit(state_dir, [f"{name}.db" for name in DATABASES], now)
    return Restored(None if kept is None else str(kept))


def _fold(path: Path) -> None:
    """Take the write-ahead log of a database into it, so that one file is all of it; nobody may have it open.

    One that is damaged is put aside as it is.
    """
    if not path.exists():
        return
    with closing(sqlite3.connect(path, isolation_level=None, timeout=2)) as connection:
        try:
            connection.execute("PRAGMA journal_mode=DELETE").close()
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise StateInUse(str(path), "another program that reads it") from error
        except sqlite3.DatabaseError:
            return


def _by_database(path: Path) -> Iterator[tuple[str, Iterator[Part]]]:
    """Each database with its parts; databases without rows too."""
    seen = set()
    for name, parts in groupby(archive.parts(path), key=lambda part: part.database):
        seen.add(name)
        yield name, parts
    for name in DATABASES:
        if name not in seen:
            yield name, iter(())

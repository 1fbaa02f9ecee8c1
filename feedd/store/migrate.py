"""Bring a database to the newest schema, or refuse one that this feedd does not know.

Each upgrade is one transaction, under a lock that keeps a second feedd out; a SQLite file that holds data is copied
first. Alembic is imported only when there is something to do: it costs a third of a second.
"""

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from feedd.errors import StoreError
from feedd.store.database import Database, transaction
from feedd.store.people_tables import PROFILES
from feedd.store.tables import catalog_metadata

if TYPE_CHECKING:
    from alembic.config import Config

HEADS = {"catalog": "catalog0007", "people": "people0008"}
METADATA = {"catalog": catalog_metadata, "people": PROFILES.metadata}
MIGRATIONS = Path(__file__).parent / "migrations"
_IN_SQLITE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
_IN_POSTGRES = "SELECT to_regclass('alembic_version')"  # on the search path, which is the schema
_LOCK_NUMBER = 0x66656564  # "feed", for pg_advisory_xact_lock


def migrate(database: Database) -> None:
    """Upgrade to the newest schema where needed.

    Raises:
        StoreError: the schema is newer than this feedd, or the database cannot be used.
    """
    with database.connect() as connection:
        current = current_revision(connection)
        if current == HEADS[database.name]:
            return
        if current is not None:
            _back_up(database, current)
        with transaction(connection):
            if not database.sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})")
                connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {database.name}")
            upgrade(database, connection)


def is_migrated(database: Database) -> bool:
    """Whether the schema is the newest one already. Raises StoreError."""
    with database.connect() as connection:
        return current_revision(connection) == HEADS[database.name]


def refuse_upgraded(connection: Connection, name: str) -> None:
    """Refuse a database that a newer feedd has upgraded meanwhile, as one of several that share it may have.

    Raises:
        StoreError: it has.
    """
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found != HEADS[name]:
        raise StoreError(
            f"the {name} database has been upgraded to {found} by another feedd, and this one knows {HEADS[name]}: "
            "install the newer version here too, and restart"
        )


def current_revision(connection: Connection) -> str | None:
    """The revision of the schema that is there; None for an empty database."""
    sqlite = connection.dialect.name == "sqlite"
    there = connection.exec_driver_sql(_IN_SQLITE if sqlite else _IN_POSTGRES).scalar()
    if there is None:
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def revisions(name: str) -> set[str]:
    """The schemas of the database of that name that this feedd knows."""
    from alembic.script import ScriptDirectory

    return {
        script.revision for script in ScriptDirectory.from_config(_config(name)).walk_revisions()
    }


def upgrade(database: Database, connection: Connection, revision: str = "head") -> None:
    """Upgrade inside the caller's transaction. Raises StoreError."""
    from alembic import command
    from alembic.util import CommandError

    config = _config(database.name)
    config.attributes["connection"] = connection
    config.attributes["metadata"] = METADATA[database.name]
    current = current_revision(connection)
    if current is not None and current not in revisions(database.name):
        raise StoreError(
            f"the {database.name} database has schema {current}, which this feedd does not know; "
            "it was written by a newer one: install that, or restore the backup made before the upgrade"
        )
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise StoreError(f"the {database.name} database cannot be upgraded: {error}") from error


def _config(name: str) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("version_locations", str(MIGRATIONS / name))
    config.set_main_option("path_separator", "os")
    return config


def _back_up(database: Database, revision: str) -> None:
    name = database.engine.url.database
    if not database.sqlite or name is None:
        return
    target = Path(f"{name}.before-{revision}-upgrade")
    with (
        contextlib.closing(sqlite3.connect(name)) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)

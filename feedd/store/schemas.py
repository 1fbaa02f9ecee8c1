"""A restore on PostgreSQL: new schemas in the place of old ones, which are renamed, in one transaction."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from sqlalchemy import Connection

from feedd.errors import StateInUse
from feedd.store.database import Database, transaction
from feedd.store.refill import refill
from feedd.store.snapshot import Part


def replace_schemas(
    catalog: Database,
    revisions: Mapping[str, str],
    databases: Iterable[tuple[str, Iterator[Part]]],
    now: datetime,
) -> list[str]:
    """Fill new schemas with a backup's rows; gives the names that the old ones have now.

    Raises:
        StateInUse: another feedd is connected.
    """
    aside = now.strftime("_before_restore_%Y%m%dT%H%M%SZ").lower()
    moved = []
    with catalog.connect() as connection:
        _refuse_others(connection)
        with transaction(connection):
            connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
            for name, parts in databases:
                if _has_schema(connection, name):
                    connection.exec_driver_sql(f"ALTER SCHEMA {name} RENAME TO {name}{aside}")
                    moved.append(f"{name}{aside}")
                connection.exec_driver_sql(f"CREATE SCHEMA {name}")
                connection.exec_driver_sql(f"SET LOCAL search_path TO {name}")
                refill(Database(name, catalog.engine), connection, revisions[name], parts, now)
    return moved


def _has_schema(connection: Connection, name: str) -> bool:
    found = connection.exec_driver_sql(
        f"SELECT 1 FROM pg_namespace WHERE nspname = '{name}'"  # noqa: S608 a name of ours
    )
    return found.scalar() is not None


def _refuse_others(connection: Connection) -> None:
    """Refuse while another feedd is connected, here or on another machine."""
    others = connection.exec_driver_sql(
        "SELECT COALESCE(host(client_addr), 'this machine') FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND application_name IN ('feedd catalog', 'feedd people')"
    ).scalars()
    places = sorted(set(others))
    if places:
        raise StateInUse("the database", f"another feedd, on {', '.join(places)}")

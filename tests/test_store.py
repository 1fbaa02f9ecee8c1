"""The databases themselves: migrations, transactions, leases."""

import sqlite3
import sys
import threading
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from conftest import KINDS, fresh_place
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from feedd import intake
from feedd.errors import StoreError
from feedd.store import commit, keys
from feedd.store.database import (
    ROWS_AT_ONCE,
    SQLITE_BUSY_MS,
    UTF8,
    Database,
    bulk_insert,
    find_by_key,
    hasty_transaction,
    open_database,
    transaction,
)
from feedd.store.feeds import read_stream
from feedd.store.migrate import HEADS, METADATA, MIGRATIONS, migrate
from feedd.store.stage import DatabaseStage

NAMES = ("catalog", "people")


def opened(place: intake.Place, name: str) -> Database:
    return open_database(name, state_dir=Path(place.state_dir), url=place.url)


@pytest.mark.parametrize("name", NAMES)
def test_the_migrations_make_the_tables(place: intake.Place, name: str) -> None:
    database = opened(place, name)
    with database.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), METADATA[name])
    database.close()
    assert found == []


@pytest.mark.parametrize("name", NAMES)
def test_the_newest_migration_is_the_one_that_is_asked_for(name: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("version_locations", str(MIGRATIONS / name))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [HEADS[name]]


def test_migrating_twice_is_migrating_once(place: intake.Place) -> None:
    database = opened(place, "catalog")
    migrate(database)
    database.close()


def test_a_newer_schema_is_refused_and_left_alone(place: intake.Place) -> None:
    database = opened(place, "catalog")
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'catalog9999'")
    with pytest.raises(StoreError, match="newer"):
        migrate(database)
    with database.connect() as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    database.close()
    assert found == "catalog9999"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        migrate(open_database("catalog", state_dir=tmp_path, url=None))


@pytest.mark.parametrize("kind", KINDS)
def test_each_catalog_has_a_stream_of_its_own(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    streams = set()
    for name in ("one", "other"):
        with fresh_place(request, kind, tmp_path / name) as place:
            catalog = place.open_catalog()
            streams.add(read_stream(catalog).stream_id)
            catalog.close()
    assert len(streams) == 2


def test_what_fails_in_a_transaction_leaves_nothing(place: intake.Place) -> None:
    database = opened(place, "people")
    statement = "INSERT INTO api_keys (name, kind, prefix, scopes, created_at) VALUES ('a', 'public', 'x', '[]', '2026-01-01')"

    def insert_twice() -> None:
        with database.transaction() as connection:
            connection.exec_driver_sql(statement)
            connection.exec_driver_sql(statement)

    with pytest.raises(IntegrityError):
        insert_twice()
    assert keys.list_keys(database) == []
    database.close()


def test_sqlite_keeps_what_it_has_acknowledged(tmp_path: Path) -> None:
    database = open_database("catalog", state_dir=tmp_path, url=None)
    with database.connect() as connection:
        modes = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    database.close()
    assert modes == ["wal", 2, 1]


def test_an_upgrade_copies_the_data_first(tmp_path: Path) -> None:
    database = open_database("people", state_dir=tmp_path, url=None)
    migrate(database)
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'people0000'")
    with pytest.raises(StoreError):  # there is no such revision to upgrade from
        migrate(database)
    database.close()
    copy = sqlite3.connect(tmp_path / "people.db.before-people0000-upgrade")
    assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == ("people0000",)
    copy.close()


def _lose_the_connection(database: Database) -> None:
    with database.transaction() as connection:
        ours = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with database.connect() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({ours})")
        connection.exec_driver_sql("UPDATE stream SET last_seq = 5")


def test_a_lost_connection_is_an_error_of_the_store(place: intake.Place) -> None:
    if place.url is None:
        pytest.skip("SQLite has no connection to lose")
    database = opened(place, "catalog")
    with pytest.raises(StoreError, match="catalog database"):
        _lose_the_connection(database)
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT last_seq FROM stream").scalar() == 0
    database.close()


def test_a_missing_driver_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match="extra `postgres`"):
        open_database("catalog", state_dir=tmp_path, url="postgresql://db.example/feedd")


def test_a_checkpoint_waits_for_nobody(tmp_path: Path) -> None:
    database = open_database("catalog", state_dir=tmp_path, url=None)
    migrate(database)
    with database.connect() as reader:
        reader.exec_driver_sql("BEGIN")
        reader.exec_driver_sql("SELECT * FROM stream").all()
        with database.transaction() as writer:
            writer.exec_driver_sql("UPDATE stream SET last_seq = last_seq")
        began = time.monotonic()
        database.checkpoint()
        assert time.monotonic() - began < SQLITE_BUSY_MS / 1000 / 4
        reader.exec_driver_sql("ROLLBACK")
    database.checkpoint()
    assert (tmp_path / "catalog.db-wal").stat().st_size == 0
    database.close()


def test_a_commit_finds_the_items_that_it_updates_by_their_keys(place: intake.Place) -> None:
    catalog = opened(place, "catalog")
    if not catalog.sqlite:
        with catalog.connect() as connection, transaction(connection):
            stage = DatabaseStage(connection, 1)
            find_by_key(stage.connection)
            for statement in (commit._UPDATE_ITEMS, commit._REMOVE_ITEMS, commit.REMOVED_WARNINGS):
                plan = "EXPLAIN " + statement.replace(":now", "NOW()")
                lines = [row[0] for row in connection.exec_driver_sql(plan)]
                assert any("items_pkey" in line for line in lines), lines
                assert not any("Seq Scan on items" in line for line in lines), lines
    catalog.close()


def test_a_database_that_goes_away_while_rows_are_copied_is_told_as_such(
    place: intake.Place,
) -> None:
    catalog = opened(place, "catalog")

    def copy() -> None:
        with catalog.connect() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with catalog.connect() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)")
            bulk_insert(connection, "feeds", ("id", "name"), [(1, "a")])

    if not catalog.sqlite:
        with pytest.raises(StoreError, match="catalog database"):
            copy()
    catalog.close()


@pytest.mark.parametrize("count", [0, 1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 1])
def test_all_rows_are_inserted_however_many_go_into_a_statement(
    place: intake.Place, count: int
) -> None:
    catalog = opened(place, "catalog")
    columns, types = ("feed_id", "item_id", "item"), ("int4", UTF8, "int8")
    with catalog.transaction() as connection:
        bulk_insert(connection, "item_ids", columns, [(1, f"a{n}", n) for n in range(count)])
        rows = [(2, f"é{n}".encode(), n) for n in range(count)]
        bulk_insert(connection, "item_ids", columns, rows, types)
    with catalog.connect() as connection:
        query = "SELECT feed_id, item_id, item FROM item_ids ORDER BY feed_id, item"
        found = [tuple(row) for row in connection.exec_driver_sql(query)]
    catalog.close()
    texts = [(1, "a"), (2, "é")]
    assert found == [(feed, f"{text}{n}", n) for feed, text in texts for n in range(count)]


def test_only_a_hasty_transaction_does_not_wait_for_the_disk(place: intake.Place) -> None:
    catalog = opened(place, "catalog")
    query = "PRAGMA synchronous" if catalog.sqlite else "SHOW synchronous_commit"

    def asked(connection: Connection) -> object:
        return connection.exec_driver_sql(query).scalar()

    def fails(connection: Connection) -> None:
        with hasty_transaction(connection):
            raise KeyError

    with catalog.connect() as connection:
        with hasty_transaction(connection):
            inside = asked(connection)
        with pytest.raises(KeyError):
            fails(connection)
        after = asked(connection)
    assert (inside, after) == ((1, 2) if catalog.sqlite else ("off", "on"))
    catalog.close()


def test_a_writer_that_never_rests_lets_others_write(place: intake.Place) -> None:
    people = open_database("people", state_dir=Path(place.state_dir), url=place.url)
    stop = threading.Event()
    written = []

    def write() -> None:
        while not stop.is_set():
            with people.transaction() as connection:
                connection.exec_driver_sql("UPDATE api_keys SET name = 'x' WHERE id < 0")
                time.sleep(0.01)
            written.append(1)

    busy = threading.Thread(target=write)
    busy.start()
    waited = []
    for _ in range(6):
        time.sleep(0.02)  # it is at it again
        before = len(written)
        with people.transaction() as connection:
            connection.exec_driver_sql("UPDATE api_keys SET name = 'x' WHERE id < 0")
        waited.append(len(written) - before)
    stop.set()
    busy.join()
    people.close()
    # the one that had come before; now and then this thread is not let run before it can ask
    assert sorted(waited)[len(waited) // 2] <= 2

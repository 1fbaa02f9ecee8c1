"""What a page of profiles costs, in each order and under each condition that the API has.

    python tests/benchmarks/profile_pages.py --profiles 1000000 --folder /var/tmp/feedd-profiles --postgres

Profiles were made over a year in the order of their numbers, and changed since at random; a tenth has no address. Pages of 100 from the
beginning and from the middle, and a whole list a page after the other. Then what the indexes of the lists cost who writes: profiles are
made and changed, 64 in a transaction, with them and without them in turn.
"""

import argparse
import contextlib
import itertools
import random
import shutil
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from databases import postgres
from people_read import median_ms

from feedd.people.values import Action, Identifiers, Kind, Patch
from feedd.store.database import UTF8, Database, bulk_insert, open_database
from feedd.store.migrate import migrate
from feedd.store.people_tables import IDENTIFIERS, PROFILES
from feedd.store.profile_pages import Bound, Order, Wanted, position_of, read_profile_page
from feedd.store.profile_rows import ulid
from feedd.store.recording import record, writing

START = datetime(2025, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
BATCH = 50_000
COMMITS = 100
RUNS = 3
PROPERTIES = b'{"$first_name":"Jane","$city":"Boston","plan":"gold","orders":12,"sizes":["S","M"]}'
COLUMNS = ("id", "uid", "email", "properties", "created_at", "updated_at")
TYPES = ("int8", "text", "text", UTF8, "timestamptz", "timestamptz")


def load(database: Database, profiles: int) -> None:
    """Fill the tables by the quickest way, their indexes afterwards."""
    indexes = PROFILES.indexes | IDENTIFIERS.indexes
    entries: list[tuple[int, str, int]] = []
    with database.connect() as connection:
        for index in indexes:
            index.drop(connection)
        if database.sqlite:
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
        for first in range(1, profiles + 1, BATCH):
            rows = list(_rows(first, min(BATCH, profiles + 1 - first), profiles, database.sqlite))
            entries += [(int(Kind.PROFILE), row[1], row[0]) for row in rows]
            entries += [(int(Kind.EMAIL), row[2], row[0]) for row in rows if row[2]]
            connection.exec_driver_sql("BEGIN")
            bulk_insert(connection, "profiles", COLUMNS, rows, TYPES)
            connection.exec_driver_sql("COMMIT")
        entries.sort()
        for start in range(0, len(entries), BATCH):
            connection.exec_driver_sql("BEGIN")
            bulk_insert(
                connection,
                "identifiers",
                ("kind", "value", "profile_id"),
                entries[start : start + BATCH],
                ("int2", "text", "int8"),
            )
            connection.exec_driver_sql("COMMIT")
        for index in indexes:
            index.create(connection)
        if not database.sqlite:
            connection.exec_driver_sql("VACUUM ANALYZE")
    database.checkpoint()


def _rows(first: int, count: int, profiles: int, as_text: bool) -> Iterator[tuple[Any, ...]]:
    dice = np.random.default_rng(first)
    for number, late, name in zip(
        range(first, first + count), dice.random(count), dice.permutation(count), strict=True
    ):
        made = START + YEAR * (number / profiles)
        changed = made + (START + YEAR - made) * late
        email = None if number % 10 == 0 else f"u{name:05}.{number}@example.com"
        times = [at.strftime("%Y-%m-%d %H:%M:%S.%f") if as_text else at for at in (made, changed)]
        yield number, ulid(made), email, PROPERTIES, *times


def pages(database: Database, profiles: int) -> Iterator[tuple[str, float]]:
    """What is read, and milliseconds of a page of 100."""
    for order in Order:
        for is_descending in (False, True):
            wanted = Wanted(order=order, is_descending=is_descending)
            name = f"by {order}{', backwards' if is_descending else ''}"
            yield f"{name}: the first", _took(database, wanted)
            behind = _middle(database, order, profiles)
            yield f"{name}: from the middle", _took(database, wanted, behind=behind)
    recent, half = START + YEAR - timedelta(hours=1), START + YEAR / 2
    for name, order, field, at in (
        ("changed in the last hour, by change", Order.UPDATED, Order.UPDATED, recent),
        ("changed in the second half, by change", Order.UPDATED, Order.UPDATED, half),
        ("changed in the last hour, by id", Order.ID, Order.UPDATED, recent),
        ("changed in the second half, by id", Order.ID, Order.UPDATED, half),
        ("made in the second half, by address", Order.EMAIL, Order.CREATED, half),
        ("made in the second half, by change", Order.UPDATED, Order.CREATED, half),
        ("changed in the last day, by making", Order.CREATED, Order.UPDATED, START + YEAR * 0.997),
    ):
        yield name, _took(database, Wanted(order=order, bounds=(Bound(field, ">", at),)))
    with database.connect() as connection:
        emails = connection.exec_driver_sql(
            "SELECT email FROM profiles WHERE email IS NOT NULL ORDER BY email DESC LIMIT 100"
        ).scalars()
        group = frozenset((Kind.EMAIL, each) for each in emails)
    yield (
        "of 100 addresses, by change",
        _took(database, Wanted(order=Order.UPDATED, identifiers=(group,))),
    )


def _took(database: Database, wanted: Wanted, **more: Any) -> float:
    return median_ms(lambda: read_profile_page(database, wanted, limit=101, **more), 20)


def _middle(database: Database, order: Order, profiles: int) -> Any:
    numbers = Wanted(order=Order.NUMBER)
    (found,) = read_profile_page(database, numbers, behind=(0, profiles // 2), limit=1)
    return position_of(found, order)


def whole(database: Database, wanted: Wanted) -> tuple[int, float]:
    """How many profiles a list gives in pages of 100, and how many seconds that takes."""
    count, behind, began = 0, None, time.perf_counter()
    while found := read_profile_page(database, wanted, behind=behind):
        count += len(found)
        behind = position_of(found[-1], wanted.order)
    return count, time.perf_counter() - began


def costs(
    database: Database, folder: Path, profiles: int
) -> Iterator[tuple[str, str, float, float]]:
    """What is written, with which indexes, and of each profile microseconds and bytes of the log."""
    with database.connect() as connection:
        uids = list(connection.exec_driver_sql("SELECT uid FROM profiles").scalars())
    dice, serial = random.Random(1), itertools.count()

    def new() -> Action:
        return Action(who=Identifiers(email=f"new{next(serial)}@example.com"))

    def anonymous() -> Action:
        return Action(who=Identifiers(anonymous_ids=(f"device-{next(serial)}",)))

    def changed() -> Action:
        who = Identifiers(profile=uids[dice.randrange(profiles)])
        return Action(who=who, patch=Patch(set={"seen": next(serial)}))

    took: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(RUNS):
        for indexes in ("without", "with"):
            with database.connect() as connection:
                for index in PROFILES.indexes:
                    index.drop(connection, checkfirst=True)
                    if indexes == "with":
                        index.create(connection)
            for make in (new, anonymous, changed):
                database.checkpoint()
                before, began = _logged(database, folder), time.perf_counter()
                for _ in range(COMMITS):
                    with writing(database) as connection:
                        record(connection, [make() for _ in range(64)], datetime.now(UTC))
                micros = (time.perf_counter() - began) * 1e6 / COMMITS / 64
                written = (_logged(database, folder) - before) / COMMITS / 64
                took.setdefault((make.__name__, indexes), []).append((micros, written))
    for (what, indexes), found in took.items():
        micros, written = (statistics.median(each) for each in zip(*found, strict=True))
        yield what, indexes, micros, written


def _logged(database: Database, folder: Path) -> int:
    """How long the write-ahead log is, in bytes."""
    if database.sqlite:
        return (folder / "people.db-wal").stat().st_size
    with database.connect() as connection:
        question = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"
        return int(connection.exec_driver_sql(question).scalar_one())


def measured(database: Database, folder: Path, profiles: int) -> None:
    load(database, profiles)
    kind = "SQLite" if database.sqlite else "PostgreSQL"
    print(f"\n| {kind}, {profiles:,} profiles | ms a page |\n|---|---:|", flush=True)
    for name, took in pages(database, profiles):
        print(f"| {name} | {took:,.1f} |", flush=True)
    for order in (Order.UPDATED, Order.EMAIL):
        count, took_s = whole(database, Wanted(order=order))
        print(f"| all {count:,} by {order} | {took_s / count * 100_000:,.1f} |", flush=True)
    print(f"\n| {kind}, a profile that is | indexes | us | log, bytes |\n|---|---|---:|---:|")
    for what, indexes, micros, written in costs(database, folder, profiles):
        print(f"| {what} | {indexes} | {micros:,.0f} | {written:,.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL too")
    parser.add_argument("--only-postgres", action="store_true")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, mode=0o700)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        urls = [] if arguments.only_postgres else [None]
        if arguments.postgres or arguments.only_postgres:
            urls.append(stack.enter_context(postgres(folder)).fresh())
        for url in urls:
            database = open_database("people", state_dir=folder, url=url)
            stack.callback(database.close)
            migrate(database)
            measured(database, folder, arguments.profiles)


if __name__ == "__main__":
    main()

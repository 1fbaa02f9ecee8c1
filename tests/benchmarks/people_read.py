"""What reading events costs: timelines and aggregates, beside what plain SQL takes for the same in the same run.

    python tests/benchmarks/people_read.py --events 10000000 --folder /var/tmp/feedd-people --postgres

Events of a year over a tenth as many profiles and twelve metrics, of which the largest has a third of all. One profile has a fiftieth
of the events. The tables are filled without their indexes, which is quicker and the same in the end.
"""

import argparse
import contextlib
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from databases import postgres
from sqlalchemy import insert

from feedd.people.aggregation import Interval, Measure, Question
from feedd.store.aggregates import Aggregates
from feedd.store.database import Database, bulk_insert, open_database
from feedd.store.events import read_timeline
from feedd.store.metric_properties import read_properties
from feedd.store.migrate import migrate
from feedd.store.packing import pack_next
from feedd.store.people_tables import EVENTS, METRICS, PROFILES

METRIC_SHARES = (33, 22, 14, 10, 7, 5, 3, 2, 1.6, 1.2, 0.8, 0.4)
START = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
YEAR_S = 365 * 86_400
MIDDLE = START + YEAR_S // 2
BATCH = 50_000
BRANDS = [f"Brand {n}" for n in range(40)]
CHANNELS = ("web", "app", "shop", "phone", "mail")
EVENT_COLUMNS = (
    "id",
    "profile_id",
    "metric_id",
    "at",
    "value",
    "properties",
    "received_at",
    "source",
    "keyed",
)
EVENT_TYPES = ("int8", "int8", "int4", "int8", "float8", "utf8", "int8", "int2", "bool")
PAGE = "SELECT * FROM events {} ORDER BY at DESC, id DESC LIMIT 100"
RUNS = 5
HOT = 1
BIG, SMALL = 1, 12


def load(database: Database, events: int) -> None:
    """Fill the tables by the quickest way."""
    now = datetime.now(UTC)
    profiles = max(events // 10, 10)
    with database.transaction() as connection:
        connection.execute(
            insert(METRICS),
            [
                {
                    "id": n + 1,
                    "uid": f"M{n:05}",
                    "name": f"Metric {n}",
                    "integration": "API",
                    "created_at": now,
                }
                for n in range(len(METRIC_SHARES))
            ],
        )
    for first in range(1, profiles + 1, BATCH):
        with database.transaction() as connection:
            connection.execute(
                insert(PROFILES),
                [
                    {
                        "id": n,
                        "uid": f"{n:026}",
                        "properties": "{}",
                        "created_at": now,
                        "updated_at": now,
                    }
                    for n in range(first, min(first + BATCH, profiles + 1))
                ],
            )
    with database.connect() as connection:
        for index in EVENTS.indexes:
            index.drop(connection)
        if database.sqlite:
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
        for first in range(1, events + 1, BATCH):
            rows = list(event_rows(first, min(BATCH, events + 1 - first), events, profiles))
            connection.exec_driver_sql("BEGIN")
            bulk_insert(connection, "events", EVENT_COLUMNS, rows, EVENT_TYPES)
            connection.exec_driver_sql("COMMIT")
            if first // BATCH % 20 == 0:
                database.checkpoint()
        for index in EVENTS.indexes:
            index.create(connection)
        connection.exec_driver_sql("ANALYZE" if database.sqlite else "VACUUM ANALYZE")
    database.checkpoint()


def event_rows(first: int, count: int, events: int, profiles: int) -> Iterator[tuple[Any, ...]]:
    dice = np.random.default_rng(first)
    shares = np.array(METRIC_SHARES) / sum(METRIC_SHARES)
    metrics = dice.choice(len(shares), count, p=shares) + 1
    whose = dice.integers(1, profiles + 1, count)
    whose[dice.random(count) < 1 / 50] = HOT
    # most come as they happen, a tenth is told up to a month later
    at = START + (np.arange(first, first + count) * YEAR_S // (events + 1))
    late = dice.random(count) < 0.1
    at = np.maximum(at - late * dice.integers(0, 30 * 86_400, count), START)
    products = np.minimum(dice.pareto(1.2, count) * 20, 4_999).astype(int)
    prices = np.round(dice.gamma(2, 20, count), 2)
    for n, (metric, profile, moment, product, price) in enumerate(
        zip(
            metrics.tolist(),
            whose.tolist(),
            at.tolist(),
            products.tolist(),
            prices.tolist(),
            strict=True,
        )
    ):
        number = first + n
        brand, channel = BRANDS[product % 40], CHANNELS[number * 7 % 5]
        properties = (
            f'{{"ProductID":"P{product}","ProductName":"Product {product}","Brand":"{brand}","Price":{price},'
            f'"Categories":["c{product % 12}","c{product % 5}"],"Channel":"{channel}","OrderId":"{number:09}",'
            f'"URL":"https://shop.example/p/{product}","Items":[{{"SKU":"P{product}","Quantity":{number % 3 + 1}}}]}}'
        )
        value = price if metric < 7 else None
        yield number, profile, metric, moment, value, properties.encode(), moment, 0, False


def pack(database: Database) -> tuple[int, float]:
    """How many stretches were packed, and how long each took."""
    count, began = 0, time.perf_counter()
    while pack_next(database):
        count += 1
    database.checkpoint()
    return count, (time.perf_counter() - began) / max(count, 1)


def median_ms(run: Callable[[], object], runs: int = RUNS) -> float:
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        run()
        took.append((time.perf_counter() - began) * 1000)
        if sum(took) > 4_000:
            break
    return statistics.median(took)


def timelines(database: Database, profiles: int) -> Iterator[tuple[str, float, float | None]]:
    """Pages of 100: what it is, ours, plain SQL's."""
    ordinary = random.Random(1).sample(range(2, profiles), 200)

    def sql(where: str) -> Callable[[], object]:
        return lambda: fetched(database, PAGE.format(where))

    deep = read_timeline(database, metric=BIG, before=MIDDLE, limit=1).next
    each = iter(ordinary * 2)
    yield (
        "a profile",
        median_ms(lambda: read_timeline(database, profile=next(each)), 200),
        median_ms(lambda: fetched(database, PAGE.format(f"WHERE profile_id = {next(each)}")), 200),
    )
    for name, where, asked in (
        ("the profile with a fiftieth of all", f"WHERE profile_id = {HOT}", {"profile": HOT}),
        (
            "it, and the smallest metric",
            f"WHERE profile_id = {HOT} AND metric_id = {SMALL}",
            {"profile": HOT, "metric": SMALL},
        ),
        ("a profile without events", "WHERE profile_id = 999999999", {"profile": 999_999_999}),
        ("the largest metric", f"WHERE metric_id = {BIG}", {"metric": BIG}),
        (
            "three metrics, a day in the midst",
            f"WHERE metric_id IN ({BIG}, 5, {SMALL}) AND at >= {MIDDLE} AND at < {MIDDLE + 86_400}",
            {"metric": (BIG, 5, SMALL), "since": MIDDLE, "before": MIDDLE + 86_400},
        ),
        ("everything", "", {}),
    ):
        given: dict[str, Any] = asked
        yield (
            name,
            median_ms(lambda given=given: read_timeline(database, **given), 50),
            median_ms(sql(where), 3),
        )
    yield (
        "the largest metric, a page from its middle",
        median_ms(lambda: read_timeline(database, metric=BIG, after=deep), 50),
        median_ms(
            lambda: fetched(
                database,
                f"SELECT * FROM events WHERE metric_id = {BIG} ORDER BY at DESC, id DESC LIMIT 100 OFFSET "
                f"(SELECT COUNT(*) / 2 FROM events WHERE metric_id = {BIG})",
            ),
            3,
        ),
    )
    yield "the properties of it", median_ms(lambda: read_properties(database, BIG)), None
    yield (
        "a page of 1,000 of it",
        median_ms(lambda: read_timeline(database, metric=BIG, limit=1_000), 20),
        None,
    )


def fetched(database: Database, statement: str) -> list[Any]:
    with database.snapshot() as connection:
        return list(connection.exec_driver_sql(statement))


def aggregates(database: Database) -> Iterator[tuple[str, float, float]]:
    """Of the largest metric over the year: what is asked, ours, plain SQL's."""
    reader = Aggregates(database)
    lite = database.sqlite
    day = "at / 86400"
    brand = (
        "json_extract(properties, '$.Brand')" if lite else "CAST(properties AS JSON) ->> 'Brand'"
    )
    month = (
        "strftime('%Y-%m', at, 'unixepoch')"
        if lite
        else "date_trunc('month', to_timestamp(at) AT TIME ZONE 'America/New_York')"
    )
    span = f"FROM events WHERE metric_id = {BIG} AND at >= {START} AND at < {START + YEAR_S}"
    for name, asked, statement in (
        ("count by day", {}, f"SELECT {day}, COUNT(*) {span} GROUP BY 1"),
        (
            "unique by day",
            {"measures": (Measure.UNIQUE,)},
            f"SELECT {day}, COUNT(DISTINCT profile_id) {span} GROUP BY 1",
        ),
        ("sum by day", {"measures": (Measure.SUM,)}, f"SELECT {day}, SUM(value) {span} GROUP BY 1"),
        (
            "all three by month of New York",
            {"measures": tuple(Measure), "interval": Interval.MONTH, "zone": "America/New_York"},
            f"SELECT {month}, COUNT(*), COUNT(DISTINCT profile_id), SUM(value) {span} GROUP BY 1",
        ),
        (
            "count by day and brand (40)",
            {"by": ("Brand",)},
            f"SELECT {day}, {brand}, COUNT(*) {span} GROUP BY 1, 2",
        ),
        (
            "sum by month and product (5,000)",
            {"by": ("ProductID",), "measures": (Measure.SUM,), "interval": Interval.MONTH},
            f"SELECT {month}, {brand.replace('Brand', 'ProductID')}, SUM(value) {span} GROUP BY 1, 2",
        ),
        (
            "count by day of one brand",
            {"where": (("Brand", "Brand 7"),)},
            f"SELECT {day}, COUNT(*) {span} AND {brand} = 'Brand 7' GROUP BY 1",
        ),
        (
            "count by hour",
            {"interval": Interval.HOUR},
            f"SELECT at / 3600, COUNT(*) {span} GROUP BY 1",
        ),
    ):
        given: dict[str, Any] = asked
        question = msgspec.structs.replace(
            Question(metric=BIG, since=START, before=START + YEAR_S), **given
        )
        ours = median_ms(lambda question=question: reader.answer(question))
        yield name, ours, median_ms(lambda statement=statement: fetched(database, statement), 3)


def sizes(database: Database) -> Iterator[tuple[str, float]]:
    """Megabytes."""
    with database.connect() as connection:
        packed = connection.exec_driver_sql(
            "SELECT SUM(LENGTH(packed)) FROM event_columns"
        ).scalar()
        texts = connection.exec_driver_sql("SELECT SUM(LENGTH(properties)) FROM events").scalar()
    yield "properties as they were sent", float(texts or 0) / 1e6
    yield "packed columns", float(packed or 0) / 1e6


def measured(database: Database, events: int, *, unpacked: bool) -> None:
    kind = "SQLite" if database.sqlite else "PostgreSQL"
    began = time.perf_counter()
    load(database, events)
    print(
        f"\n## {kind}, {events:,} events\n\nloaded in {time.perf_counter() - began:.0f} s",
        flush=True,
    )
    if unpacked:
        question = Question(metric=BIG, since=START, before=START + YEAR_S)
        took = median_ms(lambda: Aggregates(database).answer(question), 1)
        print(f"nothing packed: count by day takes {took:,.0f} ms")
    count, each_s = pack(database)
    print(f"packed {count} stretches, {each_s:.2f} s each")
    for name, size in sizes(database):
        print(f"{name}: {size:,.0f} MB")
    for title, rows in (
        ("a page of a timeline", timelines(database, events // 10)),
        ("counted over a year", aggregates(database)),
    ):
        print(f"\n| {title} | feedd, ms | plain SQL, ms | times |\n|---|---:|---:|---:|")
        for name, ours, plain in rows:
            told = "" if plain is None else f"{plain:,.1f} | {plain / ours:,.1f}"
            print(f"| {name} | {ours:,.1f} | {told or ' | '} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL too")
    parser.add_argument("--only-postgres", action="store_true")
    parser.add_argument(
        "--unpacked", action="store_true", help="a count before anything is packed too"
    )
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, mode=0o700)
    try:
        if not arguments.only_postgres:
            database = open_database("people", state_dir=folder, url=None)
            migrate(database)
            measured(database, arguments.events, unpacked=arguments.unpacked)
            database.close()
            for path in folder.glob("people.db*"):
                path.unlink()
        if arguments.postgres or arguments.only_postgres:
            with contextlib.ExitStack() as stack:
                url = stack.enter_context(postgres(folder)).fresh()
                database = open_database("people", state_dir=folder, url=url)
                stack.callback(database.close)
                migrate(database)
                measured(database, arguments.events, unpacked=arguments.unpacked)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

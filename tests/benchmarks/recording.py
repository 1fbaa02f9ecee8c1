"""How quickly events are recorded so that they last: one at a time over HTTP, and many at once, beside the database's own floor.

    python tests/benchmarks/recording.py [--postgres] [--seconds 15] [--bulk 200000] [--sync 1000000]

Single events come through `/api/track` at 64 connections from wrk (https://github.com/wg/wrk, `apt-get install wrk`), each with a
unique id of its own, so that a repeat is not mistaken for a loss: what was answered is counted in the database afterwards. The floor
is raw group commits of the same rows into the same tables, in this run: 64 at a time, and 1,000 at a time.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent.parent))

import dataset
from daemons import Running, running, wait_for, write_config
from databases import Databases, postgres
from latency import _free_port
from machine import cpu_s
from sqlalchemy import insert

from feedd.store.database import Database, open_database, transaction
from feedd.store.event_rows import NewRow
from feedd.store.event_rows import insert as insert_events
from feedd.store.migrate import migrate
from feedd.store.people_tables import METRICS

HERE = Path(__file__).parent
PEOPLE = 100_000
CONNECTIONS = 64
AT = 1_780_000_000
PROPERTIES = {
    "ProductID": "SKU-48213",
    "ProductName": "Wool jumper, navy blue",
    "Categories": ["Apparel", "Knitwear"],
    "Brand": "Dunmore",
    "Price": 64.5,
    "URL": "https://shop.example.com/products/wool-jumper-navy-blue",
    "ImageURL": "https://cdn.example.com/i/48213.jpg",
}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--postgres", action="store_true", help="on PostgreSQL as well")
    add("--seconds", type=int, default=15, help="of each case over HTTP (15)")
    add("--bulk", type=int, default=200_000, help="events that are recorded in bulk (200000)")
    add("--sync", type=int, default=0, help="items of a first load beside single events (none)")
    add("--cache", type=Path, help="where the feed's data is kept (a temporary folder)")
    return parser.parse_args()


def floor(database: Database, at_once: int, groups: int) -> float:
    """Rows a second of raw group commits into the tables of events, with their unique ids."""
    number = 0
    properties = json.dumps(PROPERTIES | {"$event_id": uuid.uuid4().hex}).encode()
    began = time.perf_counter()
    for _ in range(groups):
        rows = []
        for _ in range(at_once):
            number += 1
            who = number * 7919 % PEOPLE
            key = uuid.uuid4().int >> 65
            rows.append(
                NewRow(
                    id=number, profile=who, metric=1, at=AT, value=1.0, properties=properties,
                    received_at=AT, source=1, key=key, is_first=False,
                )
            )  # fmt: skip
        with database.connect() as connection, transaction(connection):
            insert_events(connection, rows)
    return at_once * groups / (time.perf_counter() - began)


def floors(folder: Path, kind: Databases) -> dict[int, float]:
    folder.mkdir()
    database = open_database("people", state_dir=folder, url=kind.fresh())
    migrate(database)
    with database.transaction() as connection:
        values = {"uid": "floor1", "name": "Floor", "integration": "", "created_at": _now()}
        connection.execute(insert(METRICS).values(**values))
    found = {64: floor(database, 64, 300)}
    with database.transaction() as connection:
        for table in ("events", "event_keys"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    found[1_000] = floor(database, 1_000, 100)
    database.close()
    shutil.rmtree(folder)
    return found


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def shot(method: str, token: str) -> str:
    """The file that `track.lua` reads. In JSON blanks may stand anywhere, so that parts are as long as base64 wants them."""
    properties = json.dumps(PROPERTIES)[1:-1]
    head = f'{{"token": "{token}", "event": "Viewed Product", "customer_properties": {{"$email": "u'
    middle = f'@example.com"}}, "properties": {{{properties}, "$event_id": "'
    tail = '"}}'
    head = " " * (-len(head) % 3) + head
    middle = middle.replace(", ", "," + " " * (-len(middle) % 3 + 1), 1)
    tail += " " * (-len(tail) % 3)
    if method == "POST":
        head, middle, tail = quote(head), quote(middle), quote(tail)
    return f"{method}\n{head}\n{middle}\n{tail}\n"


def shoot(
    folder: Path, port: int, method: str, token: str, seconds: int, first: int
) -> list[float]:
    """[answers, seconds, p50, p99, slowest in ms, errors] of wrk."""
    path = folder / f"{method}.shot"
    path.write_text(shot(method, token))
    environ = {"FEEDD_SHOT": str(path), "FEEDD_PEOPLE": str(PEOPLE), "FEEDD_FIRST": str(first)}
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(HERE / "track.lua"), f"http://127.0.0.1:{port}"]
    told = subprocess.run(
        command, env=os.environ | environ, capture_output=True, text=True, check=False
    )
    line = next((each for each in told.stdout.splitlines() if each.startswith("RESULT")), None)
    if line is None:
        raise SystemExit(f"wrk failed: {told.stdout}{told.stderr}")
    answers, micros, *rest = (float(each) for each in line.split()[1:])
    return [answers, micros / 1e6, *rest]


def feedd(config: Path, *words: str) -> str:
    command = [sys.executable, "-m", "feedd", "--config", str(config), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def stored(folder: Path, url: str | None) -> int:
    database = open_database("people", state_dir=folder / "state", url=url)
    with database.connect() as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one()
    database.close()
    return int(found)


@contextlib.contextmanager
def daemon(
    folder: Path, url: str | None, feed: dataset.Feed | None
) -> Iterator[tuple[Running, int]]:
    folder.mkdir()
    port = _free_port()
    main: dict[str, Any] = {"listen": f"127.0.0.1:{port}", "log_level": "info"}
    feeds: dict[str, dict[str, Any]] = {}
    if url is not None:
        main["database"] = url
    if feed is not None:
        main["file_roots"] = [str(feed.path.parent)]
        feeds["shop"] = {
            "url": f"file://{feed.path}", "every": "24h", "schema": "google-product",
            "format": feed.format, "enabled": False,
        }  # fmt: skip
    with running(write_config(folder, feeds, **main)) as started:
        yield started, port
        started.stop()
    shutil.rmtree(folder)


def singles(kind: Databases, folder: Path, asked: argparse.Namespace, base: float) -> None:
    url = kind.fresh()
    feed = dataset.feed(asked.cache or folder.parent, "json", asked.sync, 1) if asked.sync else None
    with daemon(folder, url, feed) as (running_one, port):
        token = json.loads(
            feedd(running_one.config, "key", "create", "--public", "--name", "benchmark", "--json")
        )["key"]
        shoot(folder, port, "POST", token, 3, 900_000_000)  # its start is no part of it
        first, before = 0, stored(folder, url)
        for method in ("GET", "POST"):
            used = cpu_s(running_one.process.pid)
            told = shoot(folder, port, method, token, asked.seconds, first)
            used = cpu_s(running_one.process.pid) - used
            tell(f"{method} alone ({used / told[0] * 1e6:.0f} us of CPU each)", told, base)
            before = check(folder, url, before)
            first += 10_000_000
        if feed is not None:
            thread = threading.Thread(target=_load, args=(running_one,))
            thread.start()
            time.sleep(1)
            for method in ("GET", "POST"):
                case = f"{method} beside a first load of {feed.items:,}"
                beside = "" if thread.is_alive() else " (the load has ended)"
                told = shoot(folder, port, method, token, asked.seconds, first)
                tell(case + beside, told, base)
                before = check(folder, url, before)
                first += 10_000_000
            thread.join()


_answers: list[float] = []


def check(folder: Path, url: str | None, before: int) -> int:
    """What was answered is there; of each connection two more may have been under way when wrk ended."""
    after = stored(folder, url)
    answered = int(_answers[-1])
    if not answered <= after - before <= answered + 2 * CONNECTIONS:
        raise SystemExit(f"{answered} were answered and {after - before} are stored")
    return after


def tell(case: str, told: list[float], base: float) -> None:
    answers, seconds, p50, p99, slowest, errors = told
    _answers.append(answers)
    rate = answers / seconds
    print(
        f"  {case:<40} {rate:8,.0f} events/s  {rate / base:5.2f} of the floor  "
        f"p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  slowest {slowest:6.0f} ms  errors {errors:.0f}",
        flush=True,
    )


def _load(running_one: Running) -> None:
    running_one.request("PATCH", "/api/feeds/shop", None)
    feed = {"data": {"type": "feed", "id": "shop"}}
    body = {"data": {"type": "feed-sync", "attributes": {}, "relationships": {"feed": feed}}}
    status, document = running_one.request("POST", "/api/feed-syncs", body)
    assert status == 202, document
    path = f"/api/feed-syncs/{document['data']['id']}"
    wait_for(lambda: running_one.get(path)["data"]["attributes"]["status"] != "running", 600)


def bulk(kind: Databases, folder: Path, asked: argparse.Namespace, base: float) -> None:
    """A file of events through `feedd track --import` and a running daemon, until they can be read."""
    url = kind.fresh()
    lines = folder.parent / "events.jsonl"
    with lines.open("w") as out:
        for number in range(asked.bulk):
            line = {
                "event": "Viewed Product",
                "customer_properties": {"$email": f"u{number * 7919 % PEOPLE}@example.com"},
                "properties": PROPERTIES | {"$event_id": f"e-{number}"},
                "time": AT + number // 20,
            }
            out.write(json.dumps(line) + "\n")
    with daemon(folder, url, None) as (running_one, _):
        for case in ("into an empty database", "people that are there"):
            before = stored(folder, url)
            began = time.perf_counter()
            feedd(running_one.config, "track", "--import", str(lines), "--json")
            rate = asked.bulk / (time.perf_counter() - began)
            added = stored(folder, url) - before
            if added != asked.bulk:
                raise SystemExit(f"{asked.bulk} were imported and {added} are stored")
            print(
                f"  bulk, {case:<34} {rate:8,.0f} events/s  {rate / base:5.2f} of the floor",
                flush=True,
            )
            text = lines.read_text().replace('"e-', '"f-')
            lines.write_text(text)


def run(kind: Databases, asked: argparse.Namespace, work: Path) -> None:
    print(f"{kind.name}", flush=True)
    found = floors(work / "floor", kind)
    print(f"  floor: {found[64]:,.0f} rows/s by 64, {found[1_000]:,.0f} by 1,000", flush=True)
    singles(kind, work / "single", asked, found[64])
    bulk(kind, work / "bulk", asked, found[1_000])


def main() -> None:
    asked = options()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed: https://github.com/wg/wrk")
    with tempfile.TemporaryDirectory(prefix="feedd-bench-") as name:
        work = Path(name)
        run(Databases(), asked, work)
        if asked.postgres:
            with postgres(work) as server:
                run(server, asked, work)


if __name__ == "__main__":
    main()

"""How long the API's answers take while a first load runs in the same daemon, and while nothing does."""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from asking import KINDS, Seen
from daemons import Running, running, wait_for, write_config
from dataset import Feed, link
from results import Latency

ASKING = Path(__file__).with_name("asking.py")
RATE = 50
IDLE_S = 20.0
OTHER_ITEMS = 10_000


def latencies(
    folder: Path, big: Feed, other: Feed, *, database: str | None, idle_s: float = IDLE_S
) -> tuple[list[Latency], float]:
    """Of requests about a loaded feed, idle and during the first load of another; and how long that load took."""
    folder.mkdir(parents=True)
    port = _free_port()
    main: dict[str, Any] = {"file_roots": [str(folder)], "listen": f"127.0.0.1:{port}"}
    if database is not None:
        main["database"] = database
    feeds = {
        "shop": _feed(folder, "shop", big, enabled=False),
        "other": _feed(folder, "other", other),
    }
    with running(write_config(folder, feeds, **main)) as daemon:
        wait_for(lambda: daemon.feed("other")["items"] == other.items, 300)
        began, ended, seen = _asked_during_a_load(daemon, port, other.items, idle_s)
        daemon.stop()
    shutil.rmtree(folder)
    idle = [each for each in seen if began - idle_s <= each[0] < began]
    loading = [each for each in seen if began <= each[0] < ended]
    database_kind = "SQLite" if database is None else "PostgreSQL"
    return [
        summary(kind, f"{during}, {database_kind}", some)
        for during, some in (("idle", idle), (f"first load of {big.items:,}", loading))
        for kind in KINDS
    ], ended - began


def _asked_during_a_load(
    daemon: Running, port: int, items: int, idle_s: float
) -> tuple[float, float, list[Seen]]:
    key = _key(daemon.config)
    command = [sys.executable, str(ASKING), str(port), key, str(RATE), str(items)]
    asking = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        time.sleep(idle_s + 1)  # its start, and connecting, are no part of it
        began = time.monotonic()
        _load(daemon)
        ended = time.monotonic()
        told, _ = asking.communicate()
    finally:
        asking.kill()
    return began, ended, [tuple(each) for each in json.loads(told)]


def _load(daemon: Running) -> None:
    """Sync the big feed, asking seldom how far it is."""
    feed = {"data": {"type": "feed", "id": "shop"}}
    body = {"data": {"type": "feed-sync", "attributes": {}, "relationships": {"feed": feed}}}
    status, document = daemon.request("POST", "/api/feed-syncs", body)
    assert status == 202, document
    path = f"/api/feed-syncs/{document['data']['id']}"
    while (told := daemon.get(path)["data"]["attributes"])["status"] == "running":
        time.sleep(0.5)
    assert told["status"] == "applied", told


def _feed(folder: Path, name: str, feed: Feed, **more: Any) -> dict[str, Any]:
    path = folder / f"{name}.{feed.format}"
    link(feed, path)
    values = {"url": f"file://{path}", "every": "24h", "schema": "google-product"}
    return values | {"format": feed.format, **more}


def _key(config: Path) -> str:
    command = [sys.executable, "-m", "feedd", "--config", str(config), "key", "create"]
    told = subprocess.run(
        [*command, "--private", "--read-only", "--name", "benchmark", "--json"],
        check=True,
        capture_output=True,
    )
    return str(json.loads(told.stdout)["key"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def summary(kind: str, during: str, seen: list[Seen]) -> Latency:
    took = sorted(each[2] * 1000 for each in seen if each[1] == kind)

    def percentile(share: float) -> float:
        return took[min(len(took) - 1, int(len(took) * share))] if took else 0.0

    return Latency(
        request=kind,
        during=during,
        requests=len(took),
        failed=sum(1 for each in seen if each[1] == kind and not each[3]),
        p50_ms=percentile(0.5),
        p95_ms=percentile(0.95),
        p99_ms=percentile(0.99),
        max_ms=percentile(1.0),
    )

"""What feedd's syncs cost: `feedd resync` as a process of its own, and a 304 inside the daemon.

Every run is checked by its own counts: a benchmark of a sync that did something else would be worth nothing.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from daemons import running, write_config
from databases import Databases
from dataset import Feed, expected, link
from measure import Cost, measure
from results import CHANGED, FIRST, IDENTICAL, NOT_MODIFIED, Result, Run
from serve import ETAG_SUFFIX

SERVE = Path(__file__).with_name("serve.py")
UrlOf = Callable[[Path], str]


class Shop(NamedTuple):
    """A feed of one shop with a state of its own, none yet."""

    folder: Path
    url: str
    served: Path
    config: Path

    def put(self, feed: Feed) -> None:
        """Make a version of the feed what the URL leads to; to a server it is a new file."""
        link(feed, self.served)
        self.served.with_suffix(ETAG_SUFFIX).write_text(f'"{time.time_ns()}"')

    def resync(self) -> tuple[Cost, dict[str, Any]]:
        """Sync without a daemon: what it cost, and what it said."""
        feedd = [sys.executable, "-m", "feedd", "--config", str(self.config)]
        cost = measure([*feedd, "resync", "shop", "--json"])
        told: dict[str, Any] = json.loads(
            [line for line in cost.output.splitlines() if line.startswith("{")][-1]
        )
        return cost, told


def new_shop(folder: Path, form: str, *, database: str | None, server: UrlOf | None) -> Shop:
    """A shop whose feed is a file, or is served by a loopback server."""
    folder.mkdir(parents=True)
    served = folder / f"shop.{form}"
    url = server(served) if server else f"file://{served}"
    values: dict[str, Any] = {"url": url, "every": "24h"}
    values |= {"schema": "google-product", "format": form}
    if server:
        values["allow_private"] = ["127.0.0.0/8"]
    main: dict[str, Any] = {"file_roots": [str(folder)]}
    if database is not None:
        main["database"] = database
    return Shop(folder, url, served, write_config(folder, {"shop": values}, **main))


def check(what: str, told: dict[str, Any], **wanted: Any) -> None:
    wrong = {name: told.get(name) for name, value in wanted.items() if told.get(name) != value}
    if wrong:
        raise AssertionError(f"{what}: feedd says {wrong}, wanted {wanted}: {told}")


def sync_results(
    folder: Path,
    old: Feed,
    new: Feed,
    *,
    runs: int,
    databases: Databases,
    server: UrlOf | None,
) -> list[Result]:
    """First load, the identical body, 1 % changed, and over HTTP a 304 as well."""
    kept: dict[str, list[Run]] = {}
    items, counts = old.items, expected(old.items)

    def sync(shop: Shop, case: str, **wanted: Any) -> None:
        used_s = databases.server_cpu_s()
        cost, told = shop.resync()
        kept.setdefault(case, []).append(Run.of(cost, databases.server_cpu_s() - used_s))
        check(case, told, **wanted)

    for run in range(runs):
        shop = new_shop(
            folder / f"{old.format}-{items}-{run}",
            old.format,
            database=databases.fresh(),
            server=server,
        )
        shop.put(old)
        sync(shop, FIRST, status="applied", added=items, rejected=0, warnings=0)
        if run < runs - 1:
            shutil.rmtree(shop.folder)
    for _ in range(runs):
        shop.put(old)
        sync(shop, IDENTICAL, status="unchanged")
    for _ in range(runs if server else 0):
        sync(shop, NOT_MODIFIED, status="unchanged")
    for run in range(runs):
        there = run % 2 == 0
        shop.put(new if there else old)
        removed = counts["removed" if there else "added"]
        sync(
            shop,
            CHANGED,
            status="applied",
            updated=counts["updated"],
            removed=removed,
            unchanged=items - counts["updated"] - counts["removed"],
        )
    shutil.rmtree(shop.folder)
    return [
        Result(
            who="feedd",
            case=case,
            format=old.format,
            items=items,
            size_bytes=old.size_bytes,
            database=databases.name,
            via="http" if server else "file",
            runs=some,
        )
        for case, some in kept.items()
    ]


@contextlib.contextmanager
def file_server(folder: Path) -> Iterator[UrlOf]:
    """A server of the files below a folder, in a process of its own; tells the URL of each."""
    process = subprocess.Popen([sys.executable, SERVE, str(folder)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield lambda path: f"http://127.0.0.1:{port}/{path.relative_to(folder)}"
    finally:
        process.terminate()
        process.wait()


def not_modified_in_the_daemon(folder: Path, feed: Feed, *, runs: int) -> Result:
    """How long the daemon says that a sync took which a 304 ended."""
    with file_server(folder) as server:
        shop = new_shop(folder / "daemon", feed.format, database=None, server=server)
        shop.put(feed)
        with running(shop.config) as daemon:
            told = daemon.get("/api/feed-syncs")["data"]
            deadline = time.monotonic() + 3600
            while not daemon.feed()["items"]:
                assert time.monotonic() < deadline, told
                time.sleep(0.5)
            took = []
            for _ in range(runs):
                told = daemon.resync()
                check("a 304 in the daemon", told, status="unchanged")
                took.append(told["duration_s"])
            daemon.stop()
    return Result(
        who="feedd",
        case=NOT_MODIFIED,
        format=feed.format,
        items=feed.items,
        size_bytes=feed.size_bytes,
        database="SQLite",
        via="daemon",
        runs=[Run(wall_s=each) for each in took],
    )

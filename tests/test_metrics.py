"""Metrics: what Prometheus would read of a daemon, by its own parsers; and who may read it."""

import ast
import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from daemons import Running, running, shop, wait_for, write_config
from feeds import item, take_in
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser
from servers import FeedServer, feed_server

import feedd
from feedd import intake
from feedd.api import create_api
from feedd.app import App, build
from feedd.dispatch import Dispatcher
from feedd.errors import FeedError
from feedd.metrics import CODES, Metrics, overdue_s
from feedd.model import SyncRecord, SyncStatus
from feedd.settings import FeedSettings, Settings
from feedd.store.commit import record_failed
from feedd.store.feeds import begin_sync
from feedd.store.standing import read_standings, size_bytes

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def samples(text: str) -> Samples:
    found: Samples = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    return found[(name, tuple(sorted(labels.items())))]


def scrape(daemon: Running) -> Samples:
    status, text = daemon.request("GET", "/metrics")
    assert status == 200
    return samples(text)


def ask(app: App, peer: str, **headers: str) -> httpx.Response:
    """The answer to `GET /metrics` for whoever comes from that address."""

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(create_api(app, Dispatcher(app)), client=(peer, 4000))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8030"
        ) as client:
            return await client.get("/metrics", headers=headers)

    return asyncio.run(get())


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/shop.json"] = json.dumps([item("a"), item("b"), {"id": "c"}]).encode()
        yield made


def test_a_daemon_tells_how_its_feeds_do(server: FeedServer, tmp_path: Path) -> None:
    feeds = {"shop": shop(server), "gone": shop(server), "paused": shop(server, enabled=False)}
    with running(write_config(tmp_path, feeds)) as daemon:
        ended = "feedd_sync_duration_seconds_count"  # counted once the sync is stored
        wait_for(lambda: scrape(daemon).get((ended, (("status", "applied"),))) == 2)
        first = scrape(daemon)
        assert value(first, "feedd_syncs_total", feed="shop", status="applied") == 1
        assert value(first, "feedd_syncs_total", feed="shop", status="failed") == 0
        assert value(first, "feedd_changes_total", feed="shop", kind="added") == 2
        size = len(server.bodies["/shop.json"])
        assert value(first, "feedd_fetched_bytes_total", feed="shop") == size
        assert value(first, "feedd_feed_items", feed="shop") == 2
        assert value(first, "feedd_feed_rejected", feed="shop") == 1
        assert value(first, "feedd_feed_items", feed="paused") == 0
        assert value(first, "feedd_feed_enabled", feed="paused") == 0
        assert ("feedd_feed_lag_seconds", (("feed", "paused"),)) not in first
        assert 0 <= value(first, "feedd_feed_lag_seconds", feed="shop") < 60
        assert value(first, "feedd_feed_overdue_seconds", feed="shop") == 0
        assert value(first, "feedd_stream_seq") == 4
        assert value(first, "feedd_stream_oldest_seq") == 1
        assert value(first, "feedd_syncs_running") == value(first, "feedd_syncs_waiting") == 0
        assert value(first, "feedd_workers") == os.cpu_count()
        assert value(first, "feedd_database_bytes", database="catalog") > 4_096
        build_info = {
            dict(labels)["version"] for name, labels in first if name == "feedd_build_info"
        }
        assert build_info == {feedd.__version__}

        server.answers["/shop.json"] = (500, {}, b"down")
        assert daemon.resync()["status"] == "failed"
        write_config(tmp_path, {"shop": feeds["shop"]})
        daemon.send(signal.SIGHUP)
        wait_for(lambda: "gone" not in {f["id"] for f in daemon.get("/api/feeds")["data"]})
        second = scrape(daemon)
        assert value(second, "feedd_syncs_total", feed="shop", status="failed") == 1
        assert value(second, "feedd_sync_failures_total", feed="shop", code="http_status") == 1
        assert value(second, "feedd_feed_failures", feed="shop") == 1
        assert {dict(labels).get("feed") for _, labels in second} == {None, "shop"}
        for key in first.keys() & second.keys():
            if key[0].endswith(("_total", "_bucket", "_count", "_sum")):
                assert second[key] >= first[key], key


def test_openmetrics_is_spoken_to_who_asks_for_it(app: App) -> None:
    plain = ask(app, "127.0.0.1")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    wanted = "application/openmetrics-text; version=1.0.0"
    answer = ask(app, "127.0.0.1", Accept=wanted)
    assert answer.headers["content-type"].startswith(wanted)
    families = list(openmetrics_parser.text_string_to_metric_families(answer.text))
    assert "feedd_feed_items" in {family.name for family in families}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    feeds = {"shop": FeedSettings(name="shop", url="https://shop.example/", every_s=60.0)}
    made = build(Settings(state_dir=tmp_path / "state", socket=tmp_path / "s", feeds=feeds))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("127.0.0.1", {"Host": "localhost:8030"}, 200),
        ("127.0.0.1", {"Host": "shop.example"}, 401),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 401),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}, 401),
        ("203.0.113.9", {}, 401),
        ("203.0.113.9", {"X-Forwarded-For": "127.0.0.1"}, 401),
        ("203.0.113.9", {"Host": "localhost"}, 401),
        ("203.0.113.9", {"Authorization": "Bearer KEY"}, 200),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9", "Authorization": "Bearer KEY"}, 200),
        ("203.0.113.9", {"Authorization": "Bearer pk_wrong"}, 401),
    ],
)
def test_who_may_read(app: App, peer: str, headers: dict[str, str], status: int) -> None:
    _, key = app.create_key(kind="private", name="prometheus", scopes=("read",))
    sent = {name: text.replace("KEY", key) for name, text in headers.items()}
    assert ask(app, peer, **sent).status_code == status


def test_over_tcp_this_machine_needs_no_key(server: FeedServer, tmp_path: Path) -> None:
    with running(write_config(tmp_path, {"shop": shop(server)}, listen="127.0.0.1:0")) as daemon:
        (ready,) = [line for line in daemon.log() if line["event"] == "daemon.ready"]
        for headers, status in (({}, 200), ({"X-Forwarded-For": "127.0.0.1"}, 401)):
            connection = http.client.HTTPConnection(ready["listen"], timeout=20)
            connection.request("GET", "/metrics", headers=headers)
            response = connection.getresponse()
            response.read()
            connection.close()
            assert response.status == status


def test_a_stored_feed_is_read_in_one_query(place: intake.Place, tmp_path: Path) -> None:
    catalog = place.open_catalog()
    assert read_standings(catalog) == ({}, 0)
    take_in(catalog, tmp_path, [item("a"), {"id": "b"}])
    lease = begin_sync(catalog, "shop", trigger="schedule", holder="test", now=datetime.now(UTC))
    later = datetime.now(UTC) + timedelta(hours=1)
    record_failed(catalog, lease, FeedError("dns", "no"), retry_at=None, now=later, duration_s=1.0)
    begin_sync(catalog, "new", trigger="schedule", holder="test", now=later)
    found, last_seq = read_standings(catalog)
    assert last_seq == 1
    shop = found["shop"]
    assert (shop.items, shop.rejected, shop.failures) == (1, 1, 1)
    assert shop.last_success_at is not None
    assert shop.last_success_at < later - timedelta(minutes=50)
    assert found["new"].last_success_at is None
    assert size_bytes(catalog) > 10_000
    catalog.close()


def test_overdue_is_counted_from_when_the_sync_should_have_begun(
    place: intake.Place, tmp_path: Path
) -> None:
    catalog = place.open_catalog()
    take_in(catalog, tmp_path, [item("a")])
    standing = read_standings(catalog)[0]["shop"]
    feed = FeedSettings(name="shop", url="https://shop.example/", every_s=600.0)
    began = standing.last_sync_at
    assert began is not None
    assert overdue_s(feed, standing, began + timedelta(minutes=9)) == 0
    late = overdue_s(feed, standing, began + timedelta(minutes=25))
    assert 15 * 60 - feed.jitter_s - 1 <= late <= 15 * 60
    assert overdue_s(feed, None, NOW) == 0
    catalog.close()


def test_codes_are_a_known_set(app: App) -> None:
    """A code that feedd gives a failure is in the table; what is not would be counted as `other`."""
    used = set()
    for path in Path(feedd.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            first = node.args[0] if node.args else None
            if name in ("FeedError", "FetchError", "FormatError", "SyncStopped") and isinstance(
                first, ast.Constant
            ):
                used.add(first.value)
    assert used <= CODES, f"add to feedd.metrics.CODES: {sorted(used - CODES)}"
    metrics = Metrics(app, Dispatcher(app))
    for code in ("dns", "made_up"):
        metrics.observe(
            SyncRecord(
                id=1,
                feed="shop",
                trigger="schedule",
                status=SyncStatus.FAILED,
                started_at=NOW,
                finished_at=NOW,
                duration_s=1.0,
                size_bytes=None,
                counts=None,
                error=FeedError(code, "no").info,
            )
        )
    found = samples(metrics.render("")[0].decode())
    assert value(found, "feedd_sync_failures_total", feed="shop", code="dns") == 1
    assert value(found, "feedd_sync_failures_total", feed="shop", code="other") == 1


def test_short_commands_do_not_import_it() -> None:
    script = (
        "import sys, feedd.cli.main, feedd.cli.local; print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"

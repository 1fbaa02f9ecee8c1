"""Cancelling a sync: whatever it is at, the catalog stays as it was, and the feed comes again in its turn."""

import contextlib
import json
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from daemons import Running, running, shop, wait_for, write_config
from servers import FeedServer, feed_server
from test_cli import Shell

FIRST = [{"id": "a", "title": "Mug"}]
LARGE = [{"id": str(n), "title": "Mug", "description": "x" * 300} for n in range(60_000)]


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/shop.json"] = json.dumps(FIRST).encode()
        yield made


@pytest.fixture
def daemon(server: FeedServer, tmp_path: Path) -> Iterator[Running]:
    feeds = {"shop": shop(server), "other": shop(server, enabled=False)}
    with running(write_config(tmp_path, feeds)) as made:
        wait_for(lambda: made.feed()["status"] == "applied")
        yield made


def begin(daemon: Running, name: str = "shop") -> str:
    """Start a resync; the id of its sync."""
    feed = {"data": {"type": "feed", "id": name}}
    body = {"data": {"type": "feed-sync", "relationships": {"feed": feed}}}
    status, document = daemon.request("POST", "/api/feed-syncs", body)
    assert status == 202, document
    return str(document["data"]["id"])


def sync(daemon: Running, sync_id: str) -> dict[str, Any]:
    attributes: dict[str, Any] = daemon.get(f"/api/feed-syncs/{sync_id}")["data"]["attributes"]
    return attributes


def stage(daemon: Running, sync_id: str) -> str | None:
    progress = sync(daemon, sync_id)["progress"]
    return progress and progress["stage"]


def cancel(daemon: Running, path: str) -> tuple[int, Any]:
    return daemon.request("PATCH", path, {"data": {"attributes": {"action": "cancel"}}})


def check_as_it_was(daemon: Running, sync_id: str) -> None:
    record = sync(daemon, sync_id)
    assert (record["status"], record["error"]["code"]) == ("failed", "cancelled")
    assert daemon.ids() == {"a"}
    assert len(daemon.changes()) == 1
    feed = daemon.feed()
    assert (feed["status"], feed["failures"], feed["error"]) == ("applied", 0, None)
    assert feed["next_due"] > record["finished_at"]


def test_while_it_fetches(daemon: Running, server: FeedServer) -> None:
    server.delay.clear()
    sync_id = begin(daemon)
    status, document = cancel(daemon, f"/api/feed-syncs/{sync_id}")
    assert (status, document["data"]["attributes"]["status"]) == (200, "failed")
    check_as_it_was(daemon, sync_id)
    server.delay.set()
    status, document = cancel(daemon, f"/api/feed-syncs/{sync_id}")
    assert (status, document["errors"][0]["code"]) == (409, "ended")
    assert daemon.resync()["status"] == "unchanged"


def test_while_it_reads(daemon: Running, server: FeedServer) -> None:
    server.bodies["/shop.json"] = json.dumps(LARGE).encode()
    sync_id = begin(daemon)
    wait_for(lambda: stage(daemon, sync_id) == "read")
    status, document = cancel(daemon, "/api/feeds/shop")
    assert (status, document["meta"]) == (200, {"cancelled": 1, "committed": 0})
    check_as_it_was(daemon, sync_id)
    server.bodies["/shop.json"] = json.dumps(FIRST).encode()
    assert daemon.resync()["status"] == "unchanged"


def test_while_it_waits_to_commit(daemon: Running, server: FeedServer, tmp_path: Path) -> None:
    server.bodies["/shop.json"] = json.dumps([*FIRST, {"id": "b", "title": "Cup"}]).encode()
    answers: list[tuple[int, Any]] = []
    with contextlib.closing(
        sqlite3.connect(tmp_path / "state" / "catalog.db", isolation_level=None)
    ) as writer:
        server.delay.clear()
        sync_id = begin(daemon)
        writer.execute("BEGIN IMMEDIATE")
        server.delay.set()
        wait_for(lambda: stage(daemon, sync_id) == "store")
        children = psutil.Process(daemon.process.pid).children(recursive=True)
        asked = threading.Thread(
            target=lambda: answers.append(cancel(daemon, f"/api/feed-syncs/{sync_id}"))
        )
        asked.start()
        wait_for(lambda: not all(alive(child) for child in children))
        writer.execute("ROLLBACK")
        asked.join()
    assert answers[0][0] == 200
    check_as_it_was(daemon, sync_id)


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def test_the_command(daemon: Running, server: FeedServer) -> None:
    shell = Shell(daemon.config)
    assert "shop is not being synced" in shell("cancel", "shop")
    assert "no feed 'shoe'" in shell.failing(2, "cancel", "shoe")
    server.delay.clear()
    sync_id = begin(daemon)
    (told,) = shell.lines("cancel", "shop")
    assert told == {"feed": "shop", "cancelled": 1, "committed": 0}
    check_as_it_was(daemon, sync_id)
    server.delay.set()
    daemon.stop()
    assert "no daemon runs" in shell.failing(1, "cancel", "shop")


def test_ctrl_c_on_a_resync_says_that_the_daemon_goes_on(
    daemon: Running, server: FeedServer
) -> None:
    server.delay.clear()
    shell = Shell(daemon.config)
    typed = subprocess.Popen(
        shell.command("resync", "shop"), stderr=subprocess.PIPE, text=True, env=shell.env
    )
    wait_for(lambda: daemon.feed()["running"])
    typed.send_signal(signal.SIGINT)
    _, told = typed.communicate(timeout=20)
    assert typed.returncode == 130
    assert "feedd cancel shop" in told
    assert daemon.feed()["running"]
    server.delay.set()
    wait_for(lambda: not daemon.feed()["running"])
    assert daemon.get("/api/feed-syncs")["data"][0]["attributes"]["status"] == "unchanged"


def test_ctrl_c_on_a_resync_without_a_daemon_ends_it(server: FeedServer, tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    shell("resync", "shop")
    server.bodies["/shop.json"] = json.dumps(LARGE * 3).encode()
    typed = subprocess.Popen(shell.command("resync", "shop"), stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list((tmp_path / "state" / "spool").glob("*")))
    typed.send_signal(signal.SIGINT)
    typed.communicate(timeout=20)
    assert typed.returncode == 130
    (feed,) = shell.lines("feeds")
    assert (feed["status"], feed["items"]) == ("applied", 1)

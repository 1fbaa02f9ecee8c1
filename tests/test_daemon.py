"""The daemon as its users have it: a process, its sockets, its signals."""

import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from daemons import Running, running, shop, wait_for, write_config
from receivers import new_secret
from servers import FeedServer, feed_server

from feedd import listen
from feedd.app import build
from feedd.dispatch import Dispatcher
from feedd.listen import MOST_TCP
from feedd.settings import Settings


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/shop.json"] = body(3)
        yield made


def body(count: int, **fields: Any) -> bytes:
    return json.dumps([{"id": str(n), "title": "Mug", **fields} for n in range(count)]).encode()


def test_a_feed_is_synced_and_its_changes_are_told(server: FeedServer, tmp_path: Path) -> None:
    with running(write_config(tmp_path, {"shop": shop(server, every="1s")})) as daemon:
        wait_for(lambda: daemon.ids() == {"0", "1", "2"})
        server.bodies["/shop.json"] = body(3, price=5)
        wait_for(lambda: len(daemon.changes(kind="updated")) == 3)
        assert daemon.changes(kind="updated")[0]["fields"] == {"price": [None, 5]}
        wait_for(lambda: daemon.feed()["status"] == "unchanged")


BROKEN = [
    ((500, {}, b"down"), "http_status"),
    ((200, {}, b'[{"id":"0","title":"Mug"},{"id":"1"'), "truncated"),
    ((200, {}, b""), "empty_body"),
    ((200, {}, b"<!DOCTYPE html><html><body>Log in</body></html>"), "html_page"),
    ((204, {}, b""), "http_status"),
    ((302, {"Location": "http://169.254.169.254/"}, b""), "blocked_address"),
]


def test_a_broken_feed_leaves_the_catalog_and_says_what_is_wrong(
    server: FeedServer, tmp_path: Path
) -> None:
    with running(write_config(tmp_path, {"shop": shop(server)})) as daemon:
        wait_for(lambda: len(daemon.ids()) == 3)
        for answer, code in BROKEN:
            server.answers["/shop.json"] = answer
            assert daemon.resync()["error"]["code"] == code
            assert daemon.feed()["status"] == "failed"
            assert daemon.feed()["error"]["message"]
            assert len(daemon.ids()) == 3
            del server.answers["/shop.json"]
            assert daemon.resync()["status"] in ("applied", "unchanged")
            assert daemon.feed()["error"] is None


def test_sigterm_stops_it_cleanly_and_a_restart_loses_nothing(
    server: FeedServer, tmp_path: Path
) -> None:
    with running(write_config(tmp_path, {"shop": shop(server)})) as daemon:
        wait_for(lambda: len(daemon.ids()) == 3)
        due, changes = daemon.feed()["next_due"], daemon.changes()
        assert daemon.stop() == 0
        assert not daemon.socket.exists()
        daemon.start()
        assert daemon.changes() == changes
        assert daemon.feed()["next_due"] == due


def test_sigterm_during_a_fetch_does_not_wait_for_it(server: FeedServer, tmp_path: Path) -> None:
    server.delay.clear()
    with running(write_config(tmp_path, {"shop": shop(server)})) as daemon:
        wait_for(lambda: server.requests)
        before = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - before < 10


def test_after_a_kill_the_interrupted_sync_is_told_and_run_again(
    server: FeedServer, tmp_path: Path
) -> None:
    server.delay.clear()
    with running(write_config(tmp_path, {"shop": shop(server)})) as daemon:
        wait_for(lambda: server.requests)
        daemon.stop(signal.SIGKILL)
        server.delay.set()
        daemon.start()
        wait_for(lambda: len(daemon.ids()) == 3)
        syncs = daemon.get("/api/feed-syncs")["data"]
        assert [s["attributes"]["status"] for s in syncs] == ["applied", "failed"]
        assert syncs[1]["attributes"]["error"]["code"] == "interrupted"


def test_sighup_takes_over_a_new_configuration_and_refuses_a_broken_one(
    server: FeedServer, tmp_path: Path
) -> None:
    server.bodies["/more.json"] = body(5)
    config = write_config(tmp_path, {"shop": shop(server)})
    with running(config) as daemon:
        config.write_text(config.read_text() + "\nnonsense = = 3")
        daemon.send(signal.SIGHUP)
        wait_for(lambda: any(line["event"] == "config.refused" for line in daemon.log()))
        assert daemon.feed()["name"] == "shop"
        write_config(tmp_path, {"more": shop(server, "/more.json")})
        daemon.send(signal.SIGHUP)
        wait_for(lambda: any(line["event"] == "config.reloaded" for line in daemon.log()))
        wait_for(lambda: daemon.feed("more")["items"] == 5)
        assert daemon.request("GET", "/api/feeds/shop")[0] == 404


def test_what_was_missed_during_a_pause_runs_once(server: FeedServer, tmp_path: Path) -> None:
    with running(write_config(tmp_path, {"shop": shop(server, every="1s")})) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "unchanged")
        daemon.send(signal.SIGSTOP)
        time.sleep(3.5)
        count = len(server.requests)
        daemon.send(signal.SIGCONT)
        time.sleep(0.7)
        assert len(server.requests) - count <= 2


def test_a_resync_during_a_sync_waits_for_it_and_then_runs(
    server: FeedServer, tmp_path: Path
) -> None:
    import threading

    with running(write_config(tmp_path, {"shop": shop(server)})) as daemon:
        wait_for(lambda: len(daemon.ids()) == 3)
        server.delay.clear()
        results: list[dict[str, Any]] = []
        threads = [
            threading.Thread(target=lambda: results.append(daemon.resync())) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(server.requests) == 2)
        time.sleep(0.3)
        server.delay.set()
        for thread in threads:
            thread.join()
        assert {r["status"] for r in results} == {"unchanged"}
        assert (
            len({r["id"] for r in results}) <= 2
        )  # one that ran, one for all that asked meanwhile


def test_over_tcp_a_private_key_is_needed(server: FeedServer, tmp_path: Path) -> None:
    with running(write_config(tmp_path, {"shop": shop(server)}, listen="127.0.0.1:0")) as daemon:
        ready = next(line for line in daemon.log() if line["event"] == "daemon.ready")
        host, port = ready["listen"].rsplit(":", 1)

        def status(method: str, path: str, key: str | None = None) -> int:
            connection = http.client.HTTPConnection(host, int(port), timeout=10)
            headers = {"Authorization": f"Klaviyo-API-Key {key}"} if key else {}
            connection.request(method, path, headers=headers)
            found = connection.getresponse().status
            connection.close()
            return found

        attributes = {"kind": "private", "name": "site", "scopes": ["read"]}
        made = daemon.request("POST", "/api/api-keys", {"data": {"attributes": attributes}})[1]
        key = made["data"]["attributes"]["key"]
        assert status("GET", "/healthz") == status("GET", "/readyz") == 200
        assert status("GET", "/api/feeds") == 401
        assert status("GET", "/api/feeds", "pk_wrong") == 401
        assert status("GET", "/api/feeds", key) == 200
        assert status("POST", "/api/feed-syncs", key) == 403
        assert status("GET", "/api/api-keys", key) == 403
        prefix = made["data"]["id"]
        assert daemon.request("DELETE", f"/api/api-keys/{prefix}")[0] == 200
        assert status("GET", "/api/feeds", key) == 401


def test_the_socket_is_for_its_owner_and_group_only(server: FeedServer, tmp_path: Path) -> None:
    with running(write_config(tmp_path, {"shop": shop(server)})) as daemon:
        assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o660
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_state_directory_may_lie_deeper_than_a_socket_can(
    server: FeedServer, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    with running(write_config(deep, {"shop": shop(server)})) as daemon:
        wait_for(lambda: len(daemon.ids()) == 3)
        told = subprocess.run(
            [sys.executable, "-m", "feedd", "--config", str(daemon.config), "feeds", "--json"],
            capture_output=True,
            text=True,
        )
        assert json.loads(told.stdout)["items"] == 3


def test_a_reload_syncs_what_it_changed_at_once(server: FeedServer, tmp_path: Path) -> None:
    server.bodies["/new.json"] = body(5)
    config = write_config(tmp_path, {"shop": shop(server)})
    with running(config) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "applied")
        write_config(tmp_path, {"shop": shop(server, "/new.json"), "more": shop(server)})
        daemon.send(signal.SIGHUP)
        wait_for(lambda: daemon.feed()["items"] == 5)
        wait_for(lambda: daemon.feed("more")["items"] == 3)


def test_it_stops_in_time_although_the_database_is_blocked(
    server: FeedServer, tmp_path: Path
) -> None:
    with running(write_config(tmp_path, {"shop": shop(server)})) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "applied")
        with contextlib.closing(
            sqlite3.connect(tmp_path / "state" / "catalog.db", isolation_level=None)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            feed = {"data": {"type": "feed", "id": "shop"}}
            daemon.request("POST", "/api/feed-syncs", {"data": {"relationships": {"feed": feed}}})
            assert daemon.stop() == 0  # which waits for less than the database would
            other.execute("ROLLBACK")
        daemon.start()
        assert daemon.ids() == {"0", "1", "2"}


def test_strangers_cannot_use_up_its_connections(server: FeedServer, tmp_path: Path) -> None:
    with running(write_config(tmp_path, {"shop": shop(server)}, listen="127.0.0.1:0")) as daemon:
        ready = next(line for line in daemon.log() if line["event"] == "daemon.ready")
        host, port = ready["listen"].rsplit(":", 1)
        wait_for(lambda: daemon.feed()["status"] == "applied")
        with contextlib.ExitStack() as half_sent:
            for _ in range(MOST_TCP + 50):
                connection = half_sent.enter_context(socket.create_connection((host, int(port))))
                with contextlib.suppress(OSError):
                    connection.sendall(b"GET /healthz HTTP/1.1\r\n")
            assert daemon.feed()["items"] == 3
            assert daemon.resync()["status"] == "unchanged"
        wait_for(lambda: _answers(host, int(port)))


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def test_half_a_request_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(listen, "REQUEST_WITHIN_S", 0.5)
    app = build(Settings(state_dir=tmp_path / "state", socket=tmp_path / "s"))
    server = listen.HttpServer(app, Dispatcher(app), app.settings)
    server.start()
    host, port = str(server.address()).rsplit(":", 1)
    try:
        for start in (
            b"",
            b"GET /healthz",
            b"POST /api/feed-syncs HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        ):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(start)
                with contextlib.suppress(ConnectionResetError):
                    while connection.recv(1000):
                        pass
    finally:
        server.stop()
        app.close()


def test_over_tcp_no_part_of_an_answer_waits_for_an_acknowledgement(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []

    class Protocol(listen.GuardedProtocol):
        def connection_made(self, transport: Any) -> None:
            accepted = transport.get_extra_info("socket")
            seen.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            super().connection_made(transport)

    monkeypatch.setattr(listen, "GuardedProtocol", Protocol)
    app = build(Settings(state_dir=tmp_path / "state", socket=tmp_path / "s"))
    server = listen.HttpServer(app, Dispatcher(app), app.settings)
    server.start()
    host, port = str(server.address()).rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    finally:
        server.stop()
        app.close()
    assert seen == [1]


def test_a_taken_address_is_told(server: FeedServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = write_config(tmp_path, {"shop": shop(server)}, listen=address)
        done = subprocess.run(
            [sys.executable, "-m", "feedd", "--config", str(config), "run"],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert (
            done.returncode == 1
        )  # not 2: it may be free again when a service manager tries again
        assert f"cannot listen on {address}" in done.stderr


def test_no_secret_reaches_the_log(server: FeedServer, tmp_path: Path, monkeypatch: Any) -> None:
    canary = "canary-5f1d7a"
    monkeypatch.setenv("SHOP_TOKEN", canary)
    feed = shop(server, f"/gone.json?token={canary}2", auth={"token": {"env": "SHOP_TOKEN"}})
    config = write_config(tmp_path, {"shop": feed})
    with running(config) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "failed")
        shown = json.dumps(daemon.get("/api/feeds")) + json.dumps(daemon.get("/api/feed-syncs"))
        daemon.stop()
        stored = b"".join(p.read_bytes() for p in (tmp_path / "state").glob("*.db*"))
        assert canary not in daemon.log_path.read_text() + shown
        assert canary.encode() not in stored
        assert server.requests[0][1]["Authorization"] == f"Bearer {canary}"
        assert canary in server.requests[0][0]


def test_a_child_that_dies_costs_one_sync(server: FeedServer, tmp_path: Path) -> None:
    import psutil

    with running(write_config(tmp_path, {"shop": shop(server)})) as daemon:
        wait_for(lambda: len(daemon.ids()) == 3)
        big = [{"id": str(n), "title": "Mug", "description": "x" * 500} for n in range(60_000)]
        server.bodies["/shop.json"] = json.dumps(big).encode()
        feed = {"data": {"type": "feed", "id": "shop"}}
        _, started = daemon.request(
            "POST", "/api/feed-syncs", {"data": {"relationships": {"feed": feed}}}
        )
        me = psutil.Process(daemon.process.pid)

        def workers() -> list[psutil.Process]:
            return [c for c in me.children(recursive=True) if c.num_threads() > 1]

        wait_for(workers)
        for child in workers():
            os.kill(child.pid, signal.SIGKILL)
        path = f"/api/feed-syncs/{started['data']['id']}"
        wait_for(lambda: daemon.get(path)["data"]["attributes"]["status"] == "failed")
        assert daemon.get(path)["data"]["attributes"]["error"]["code"] == "crashed"
        assert len(daemon.ids()) == 3
        assert daemon.resync()["counts"]["added"] == 60_000 - 3


def reload(daemon: Running) -> None:
    """SIGHUP, and wait until it is taken over."""
    before = sum(line["event"] == "config.reloaded" for line in daemon.log())
    daemon.send(signal.SIGHUP)
    wait_for(lambda: sum(line["event"] == "config.reloaded" for line in daemon.log()) > before)


def triggers(daemon: Running) -> list[str]:
    """What each ended sync was triggered by, the newest first."""
    syncs = [s["attributes"] for s in daemon.get("/api/feed-syncs")["data"]]
    return [s["trigger"] for s in syncs if s["status"] != "running"]


def test_a_reload_reads_stored_bodies_again_without_fetching(
    server: FeedServer, tmp_path: Path
) -> None:
    server.bodies["/shop.json"] = body(3, cost=5)
    server.bodies["/elsewhere.json"] = body(3, cost=7)
    config = write_config(tmp_path, {"shop": shop(server)})
    with running(config) as daemon:
        wait_for(lambda: len(daemon.ids()) == 3)
        due = daemon.feed()["next_due"]
        server.answers["/shop.json"] = (500, {}, b"down")
        write_config(tmp_path, {"shop": shop(server, fields={"price": "cost"})})
        reload(daemon)
        wait_for(lambda: len(daemon.changes(kind="updated")) == 3)
        assert triggers(daemon) == ["replay", "schedule"]
        assert (len(server.requests), daemon.feed()["next_due"]) == (1, due)
        assert daemon.resync(replay=True)["counts"]["unchanged"] == 3
        # asked elsewhere, it is fetched
        fields = {"price": "cost", "brand": "title"}
        write_config(tmp_path, {"shop": shop(server, "/elsewhere.json", fields=fields)})
        reload(daemon)
        wait_for(lambda: len(daemon.changes(kind="updated")) == 6)
        assert triggers(daemon)[0] == "reload"
        # without a kept body too
        write_config(
            tmp_path, {"shop": shop(server, "/elsewhere.json", keep_body=False)}, keep_bodies=True
        )
        reload(daemon)
        wait_for(lambda: len(daemon.changes(kind="updated")) == 9)
        assert not list((tmp_path / "state" / "bodies").iterdir())
        status, document = daemon.request(
            "POST",
            "/api/feed-syncs",
            {
                "data": {
                    "type": "feed-sync",
                    "attributes": {"replay": True},
                    "relationships": {"feed": {"data": {"id": "shop"}}},
                }
            },
        )
        assert (status, document["errors"][0]["code"]) == (409, "no_body")


def test_a_start_under_another_configuration_replays_what_it_changes(
    server: FeedServer, tmp_path: Path
) -> None:
    feeds = {name: shop(server) for name in ("shop", "outlet", "same")}
    config = write_config(tmp_path, feeds)
    with running(config) as daemon:
        wait_for(lambda: all(daemon.feed(name)["items"] == 3 for name in feeds))
        assert daemon.stop() == 0
        for name in ("shop", "outlet"):
            feeds[name] = shop(server, fields={"brand": "title"})
        write_config(tmp_path, feeds)
        daemon.start()
        wait_for(lambda: len(daemon.changes(kind="updated")) == 6)
        assert triggers(daemon) == ["replay"] * 2 + ["schedule"] * 3
        assert len(server.requests) == 3
        del feeds["outlet"]
        write_config(tmp_path, feeds)
        reload(daemon)
        kept = {path.name for path in (tmp_path / "state" / "bodies").iterdir()}
        assert kept == {"shop", "same"}


def test_an_edited_schema_is_replayed_at_a_reload_although_the_configuration_is_the_same(
    server: FeedServer, tmp_path: Path
) -> None:
    server.bodies["/shop.json"] = json.dumps([{"id": "a", "label": "Mug"}]).encode()
    path = tmp_path / "own.json"

    def write_schema(**title: Any) -> None:
        properties = {"id": {"type": "string"}, "title": {"type": "string"} | title}
        path.write_text(json.dumps({"properties": properties}))

    write_schema()
    with running(
        write_config(tmp_path, {"shop": shop(server, schema="own.json", items="")})
    ) as daemon:
        wait_for(lambda: daemon.feed()["rejected"] == 1)
        (reject,) = daemon.get("/api/feed-rejects?passes=true")["data"]
        assert reject["attributes"]["passes"] is False
        write_schema(**{"x-source": "label"})
        (reject,) = daemon.get("/api/feed-rejects?passes=true")["data"]
        assert reject["attributes"]["passes"] is True
        reload(daemon)
        wait_for(lambda: daemon.ids() == {"a"})
        assert (daemon.feed()["rejected"], len(server.requests)) == (0, 1)


def test_a_reload_while_the_database_is_away_is_made_up_for(
    postgres_template: str, server: FeedServer, tmp_path: Path
) -> None:
    with psycopg.connect(postgres_template, autocommit=True) as connection:
        connection.execute("CREATE DATABASE feedd_away TEMPLATE template_feedd")
    environ = {
        "FEEDD_DATABASE": postgres_template.replace("/postgres?", "/feedd_away?"),
        "HOOK_SECRET": new_secret(),
    }
    config = write_config(tmp_path, {})
    config.write_text(f'database = {{ env = "FEEDD_DATABASE" }}\n{config.read_text()}')
    with running(config, **environ) as daemon:
        with psycopg.connect(postgres_template, autocommit=True) as connection:
            connection.execute("ALTER DATABASE feedd_away ALLOW_CONNECTIONS false")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'feedd_away'"
            )
            with config.open("a") as file:
                file.write(
                    '[webhooks.erp]\nurl = "https://erp.example/"\nsecret = { env = "HOOK_SECRET" }\n'
                )
            reload(daemon)
            connection.execute("ALTER DATABASE feedd_away ALLOW_CONNECTIONS true")
        path = "/api/webhooks/erp"
        wait_for(lambda: daemon.get(path)["data"]["attributes"]["seq"] == 0)
        assert daemon.stop() == 0

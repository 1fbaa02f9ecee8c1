"""A feed that is not enabled: it ends what it is at, is not scheduled, and is synced when somebody names it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import running, shop, wait_for, write_config
from servers import FeedServer, feed_server
from test_cli import Shell, body


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/shop.json"] = body({"id": "a"})
        yield made


def test_pausing_while_it_is_synced_and_going_on(server: FeedServer, tmp_path: Path) -> None:
    feeds = {"shop": shop(server, every="1s"), "other": shop(server)}
    shell = Shell(write_config(tmp_path, feeds))
    server.delay.clear()
    with running(shell.config) as daemon:
        wait_for(lambda: daemon.feed()["running"])
        write_config(tmp_path, feeds | {"shop": shop(server, every="1s", enabled=False)})
        daemon.send(signal.SIGHUP)
        wait_for(lambda: not daemon.feed()["enabled"])
        assert "running" in shell("feeds")
        server.delay.set()
        wait_for(lambda: not daemon.feed()["running"])
        feed = daemon.feed()
        assert (feed["status"], feed["items"], feed["next_due"]) == ("applied", 1, None)
        assert "paused" in shell("feeds")
        wait_for(lambda: not daemon.feed("other")["running"])

        server.bodies["/shop.json"] = body({"id": "a"}, {"id": "b"})
        asked = len(server.requests)
        told = shell.lines("resync", "--all")
        assert [outcome["feed"] for outcome in told] == ["other"]
        assert len(server.requests) == asked + 1
        assert daemon.feed()["items"] == 1
        (told,) = shell.lines("resync", "shop")
        assert told["added"] == 1
        assert daemon.feed()["next_due"] is None

        server.bodies["/shop.json"] = body({"id": "c"}, {"id": "a"}, {"id": "b"})
        write_config(tmp_path, feeds)
        daemon.send(signal.SIGHUP)
        wait_for(lambda: daemon.feed()["items"] == 3)
        assert daemon.feed()["next_due"] is not None


def test_one_that_begins_paused_is_never_fetched(server: FeedServer, tmp_path: Path) -> None:
    config = write_config(tmp_path, {"shop": shop(server, enabled=False), "other": shop(server)})
    with running(config) as daemon:
        wait_for(lambda: daemon.feed("other")["status"] == "applied")
        assert daemon.feed()["status"] == "new"
        assert len(server.requests) == 1

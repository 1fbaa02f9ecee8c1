"""Web feeds as a daemon and the command line have them: on time, after a reload, after kill -9, and with no daemon at all."""

import json
import signal
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from daemons import Running, running, wait_for, write_config
from servers import FeedServer, feed_server
from test_cli import DOCS, Shell

from feedd import intake

POSTS = b'{"posts": [{"title": "One"}]}'


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/blog.json"] = POSTS
        yield made


def config(folder: Path, server: FeedServer, **web_feeds: dict[str, Any]) -> Path:
    path = write_config(folder, {})
    with path.open("a") as file:
        for name, options in web_feeds.items():
            values = {"url": server.url("/blog.json"), "allow_private": ["127.0.0.0/8"]} | options
            lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
            file.write("\n".join([f"[web_feeds.{name}]", *lines, ""]))
    return path


def web_feed(daemon: Running, name: str = "blog") -> dict[str, Any]:
    attributes: dict[str, Any] = daemon.get(f"/api/web-feeds/{name}")["data"]["attributes"]
    return attributes


def outcomes(daemon: Running) -> list[str]:
    return [line["outcome"] for line in daemon.log() if line["event"] == "web_feed.refreshed"]


def test_it_is_refreshed_when_it_is_its_time(server: FeedServer, tmp_path: Path) -> None:
    path = config(tmp_path, server, blog={"every": "1s"}, rare={}, off={"enabled": False})
    with running(path) as daemon:
        wait_for(lambda: web_feed(daemon, "rare")["status"] == "ok")
        wait_for(lambda: len(server.requests) >= 3)
        server.answers["/blog.json"] = (404, {}, b"down")  # which is not tried again at once
        wait_for(lambda: web_feed(daemon)["failures"] >= 1)
        found = web_feed(daemon)
        assert found["error"]["code"] == "http_status"
        assert found["fetched_at"] < found["checked_at"]
        assert web_feed(daemon, "off")["status"] == "disabled"
        del server.answers["/blog.json"]
        wait_for(lambda: web_feed(daemon)["status"] == "ok")
        metrics = daemon.request("GET", "/metrics")[1]
        assert 'feedd_web_feed_refreshes_total{outcome="changed",web_feed="rare"} 1.0' in metrics
        assert 'feedd_web_feed_refreshes_total{outcome="failed",web_feed="off"} 0.0' in metrics
        assert 'feedd_web_feed_age_seconds{web_feed="blog"}' in metrics
        assert 'feedd_web_feed_age_seconds{web_feed="off"}' not in metrics
        assert 'feedd_web_feed_failures{web_feed="rare"} 0.0' in metrics
        assert daemon.stop() == 0
    assert {"changed", "unchanged", "failed"} <= set(outcomes(daemon))
    (line,) = [line for line in daemon.log() if line.get("outcome") == "failed"][:1]
    assert (line["level"], line["code"]) == ("warning", "http_status")


def test_a_reload_fetches_what_is_new_or_otherwise(server: FeedServer, tmp_path: Path) -> None:
    with running(config(tmp_path, server, blog={})) as daemon:
        wait_for(lambda: web_feed(daemon)["status"] == "ok")
        first = web_feed(daemon)
        server.bodies["/other.json"] = b"[1, 2]"
        server.answers["/new.json"] = (404, {}, b"")
        changed = {"url": server.url("/new.json")}
        config(tmp_path, server, blog=changed, other={"url": server.url("/other.json")})
        daemon.send(signal.SIGHUP)
        wait_for(lambda: web_feed(daemon)["failures"] == 1)  # now, and not in a quarter of an hour
        assert web_feed(daemon)["fetched_at"] == first["fetched_at"]  # the old body stays
        wait_for(lambda: web_feed(daemon, "other")["status"] == "ok")
        config(tmp_path, server, other={"url": server.url("/other.json")})
        daemon.send(signal.SIGHUP)
        wait_for(lambda: daemon.request("GET", "/api/web-feeds/blog")[0] == 404)
        assert "blog" not in daemon.request("GET", "/metrics")[1]
        config(tmp_path, server)
        daemon.send(signal.SIGHUP)
        wait_for(lambda: daemon.request("GET", "/api/web-feeds/other")[0] == 404)
        assert "[web_feeds.NAME]" in Shell(daemon.config)("web-feeds")


def test_kill_9_leaves_the_old_body_and_a_restart_asks_for_nothing_that_is_not_due(
    server: FeedServer, tmp_path: Path
) -> None:
    server.bodies["/rare.json"] = POSTS
    path = config(tmp_path, server, blog={"every": "1s"}, rare={"url": server.url("/rare.json")})
    with running(path) as daemon:
        wait_for(lambda: {web_feed(daemon, name)["status"] for name in ("blog", "rare")} == {"ok"})
        rare = web_feed(daemon, "rare")
        server.bodies["/blog.json"] = b'{"posts": []}'
        server.delay.clear()
        asked = len(server.requests)
        wait_for(lambda: len(server.requests) > asked)
        assert web_feed(daemon)["status"] == "refreshing"
        daemon.stop(signal.SIGKILL)
        shell = Shell(path)
        view, _ = shell.lines("web-feeds")
        assert (view["status"], view["size_bytes"]) == (
            "ok",
            len(json.dumps(json.loads(POSTS))) - 2,
        )
        server.delay.set()
        daemon.start()
        wait_for(lambda: web_feed(daemon)["size_bytes"] == len('{"posts":[]}'))
        assert web_feed(daemon, "rare") == rare
    assert list((tmp_path / "state" / "spool").iterdir()) == []
    assert [path for path, _ in server.requests].count("/rare.json") == 1


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_two_daemons_on_one_database_share_the_work(
    place: intake.Place, server: FeedServer, tmp_path: Path
) -> None:
    assert place.url is not None
    daemons = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        path = config(folder, server, blog={"every": "1s"})
        path.write_text('database = { env = "DATABASE" }\n' + path.read_text())
        daemons.append(path)
    with running(daemons[0], DATABASE=place.url) as one, running(daemons[1], DATABASE=place.url):
        wait_for(lambda: web_feed(one)["status"] == "ok")
        began = len(server.requests)
        wait_for(lambda: len(server.requests) >= began + 2)
        lines = [
            json.loads(line)
            for path in daemons
            for line in (path.parent / "daemon.log").read_text().splitlines()
        ]
    times = sorted(
        datetime.fromisoformat(line["timestamp"])
        for line in lines
        if line["event"] == "web_feed.refreshed"
    )
    assert len(server.requests) - len(times) <= 1  # the one that is under way
    assert all(later - earlier > timedelta(seconds=0.3) for earlier, later in pairwise(times))
    assert [line for line in lines if line["level"] == "error"] == []


@pytest.fixture(params=["daemon", "alone"])
def shell(request: pytest.FixtureRequest, server: FeedServer, tmp_path: Path) -> Iterator[Shell]:
    """A web feed that was fetched, and one whose address is wrong."""
    path = config(tmp_path, server, blog={}, wrong={"url": server.url("/gone.json?key=hush")})
    made = Shell(path)
    if request.param == "alone":
        assert made.run("web-feeds", "refresh", "blog").returncode == 0
        assert made.run("web-feeds", "refresh", "wrong").returncode == 1
        yield made
        return
    with running(path) as daemon:
        wait_for(
            lambda: web_feed(daemon)["status"] == "ok" and web_feed(daemon, "wrong")["failures"]
        )
        yield made


def test_commands_say_how_they_do(shell: Shell, server: FeedServer) -> None:
    blog, wrong = shell.lines("web-feeds", "list")
    assert (blog["name"], blog["status"], blog["error"]) == ("blog", "ok", None)
    assert (wrong["failures"], wrong["fetched_at"]) == (1, None)
    assert "hush" not in json.dumps(wrong)
    shown = shell("web-feeds")
    assert "404" in shown
    assert "never" in shown
    assert "unchanged" in shell("web-feeds", "refresh", "blog")
    server.answers["/blog.json"] = (200, {}, b"<html>")
    told = shell.failing(1, "web-feeds", "refresh", "blog")
    assert "web page" in told
    assert "stays in use" in told
    assert "is used" in shell("web-feeds")
    mail = shell.config.parent / "mail.html"
    mail.write_text("{{ feeds.blog.posts.0.title }} {{ web_feeds.blog.status }}{{ feeds.wrong.x }}")
    (rendered,) = shell.lines("render", str(mail))
    assert rendered["html"] == "One failing"
    assert [used["name"] for used in rendered["web_feeds"]] == ["blog"]
    server.answers["/blog.json"] = (200, {}, b"[7]")
    (done,) = shell.lines("web-feeds", "refresh", "blog")
    assert (done["outcome"], done["size_bytes"], done["error"]) == ("changed", 3, None)
    assert "no web feed 'x'" in shell.failing(2, "web-feeds", "refresh", "x")
    documented = DOCS.read_text()
    for name in (*blog, *done):
        assert f'"{name}"' in documented, f"docs/cli.md does not name {name}"


def test_who_asks_waits_for_what_runs(server: FeedServer, tmp_path: Path) -> None:
    """What a person wants seen may have happened after the running one has fetched."""
    with running(config(tmp_path, server, blog={})) as daemon:
        wait_for(lambda: web_feed(daemon)["status"] == "ok")
        server.delay.clear()
        body = {"data": {"type": "web-feed-refresh", "attributes": {"web_feed": "blog"}}}
        answers: list[tuple[int, Any]] = []

        def ask() -> None:
            answers.append(daemon.request("POST", "/api/web-feed-refreshes", body))

        asking = [threading.Thread(target=ask) for _ in range(2)]
        for each in asking:
            each.start()
        wait_for(lambda: len(server.requests) == 2)
        server.bodies["/blog.json"] = b"[8]"
        server.delay.set()
        for each in asking:
            each.join()
        assert [status for status, _ in answers] == [201, 201]
        assert len(server.requests) == 3
        server.delay.clear()
        stopped = threading.Thread(target=ask)
        stopped.start()
        wait_for(lambda: len(server.requests) == 4)
        assert daemon.stop() == 0
        stopped.join()
        assert answers[-1][0] == 503

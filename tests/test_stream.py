"""Changes as server-sent events: what is told, from where on, to how many, and how it ends."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from daemons import UnixConnection, running, shop, wait_for, write_config
from feeds import item, take_in
from servers import FeedServer, feed_server
from test_api import Api

from feedd import intake, listen, tail
from feedd.api import stream
from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.errors import SyncStopped, UsageError
from feedd.model import StreamState
from feedd.settings import Settings
from feedd.settings.secret import Secret
from feedd.tail import Tail


class Follower:
    """An open stream, read in a thread as the standard says: `events` are (id, data), `comments` what is no event."""

    def __init__(
        self, connection: HTTPConnection, query: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self.connection = connection
        self.connection.request("GET", f"/api/catalog-changes/stream{query}", headers=headers or {})
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.comments: list[str] = []
        self.last_id = ""
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        if self.status == 200:
            self._thread.start()
        else:
            self.error = json.loads(self.response.read())["errors"][0]
            self.connection.close()

    def _read(self) -> None:
        data = ""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for raw in iter(self.response.readline, b""):
                name, _, value = raw.decode().rstrip("\n").partition(": ")
                if name == "id":
                    self.last_id = value
                elif name == "data":
                    data += value
                elif name == "" and value:
                    self.comments.append(value)
                elif name == "" and data:
                    self.events.append((self.last_id, json.loads(data)))
                    data = ""
        self.ended.set()

    @property
    def seqs(self) -> list[int]:
        return [change["seq"] for _, change in self.events]

    def close(self) -> None:
        if self.status == 200:
            with contextlib.suppress(OSError):
                self.connection.sock.shutdown(socket.SHUT_RDWR)
            self._thread.join(10)
        self.connection.close()


@pytest.fixture
def api(place: intake.Place, tmp_path: Path) -> Iterator[Api]:
    made = Api(place, tmp_path)
    yield made
    made.close()


@contextlib.contextmanager
def following(api: Api, query: str = "", **headers: str) -> Iterator[Follower]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    made = Follower(UnixConnection(api.folder / "api.sock"), query, named)
    try:
        yield made
    finally:
        made.close()


def filtered(text: str) -> str:
    return f"?since=0&filter={quote(text)}"


def test_what_changes_is_told_as_it_comes(api: Api) -> None:
    api.sync("shop", [item("a")])
    with following(api) as seen:
        assert seen.response.headers["content-type"].startswith("text/event-stream")
        wait_for(lambda: seen.last_id)
        api.sync("shop", [item("a", price=3), item("b")])
        wait_for(lambda: len(seen.events) == 2)
    stream_id = api.app.stream().stream_id
    assert [name for name, _ in seen.events] == [f"{stream_id}:2", f"{stream_id}:3"]
    listed = api.get("/api/catalog-changes?filter=greater-than(seq,1)")["data"]
    assert [change for _, change in seen.events] == [one["attributes"] for one in listed]


def test_it_goes_on_after_the_last_event(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PAGE", 2)
    monkeypatch.setattr(stream, "WINDOW", 3)
    api.sync("shop", [item(str(n)) for n in range(9)])
    with following(api, "?since=0") as seen:
        wait_for(lambda: len(seen.events) == 9)
    fourth = seen.events[3][0]
    with following(api, "?since=0", Last_Event_ID=fourth) as again:
        wait_for(lambda: len(again.events) == 5)
    assert again.events == seen.events[4:]
    with following(api, "?since=7") as by_number:
        wait_for(lambda: len(by_number.events) == 2)


def test_it_is_filtered_and_its_place_moves_on_over_what_does_not_match(api: Api) -> None:
    api.sync("shop", [item("a", price=1), item("b")])
    api.sync("extra", [item("a", price=1)])
    api.sync("shop", [item("a", price=2), item("b", "Bowl")])
    api.sync("shop", [item("a", price=2, brand="Acme"), item("c")])
    for text, seqs in (
        ('equals(feed,"extra")', [3]),
        ('any(kind,["removed","updated"])', [4, 5, 6, 8]),
        ('any(field,["price","brand"])', [4, 6]),
        ('equals(field,"title"),equals(item,"b")', [5]),
        ('equals(field,"no \\"such\\" field")', []),
    ):
        with following(api, filtered(text)) as seen:
            wait_for(lambda seen=seen: seen.last_id.endswith(":8"))
            assert seen.seqs == seqs
        if not text.startswith('equals(field,"no'):
            listed = api.get(f"/api/catalog-changes?filter={quote(text)}")["data"]
            assert [int(change["id"]) for change in listed] == seqs


def test_what_cannot_be_followed_is_refused_as_a_document(api: Api) -> None:
    for query, status, says in (
        ("?since=yesterday", 400, "not a place"),
        ("?since=other:1", 410, "another history"),
        ("?filter=equals(price,3)", 400, "equals(field,…)"),
        ("?filter=equals(kind,%22gone%22)", 400, "added"),
        ("?page[size]=3", 400, "since"),
    ):
        with following(api, query) as seen:
            assert seen.status == status
            assert says in seen.error["detail"]


def test_a_restored_catalog_ends_it_and_refuses_its_place(api: Api) -> None:
    api.sync("shop", [item("a")])
    with following(api, "?since=0") as seen:
        wait_for(lambda: seen.events)
        with api.app.catalog.transaction() as connection:
            connection.exec_driver_sql("UPDATE stream SET stream_id = 'restored'")
        assert seen.ended.wait(10)
        assert "another history" in seen.comments[-1]
    with following(api, Last_Event_ID=seen.last_id) as again:
        assert (again.status, again.error["code"]) == (410, "stream_changed")


def test_heartbeats_are_comments(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    with following(api) as seen:
        wait_for(lambda: len(seen.comments) >= 3)
    assert set(seen.comments) == {"heartbeat"}
    assert seen.events == []


def test_only_so_many_may_be_open_and_one_that_ends_makes_room(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "MOST_FOLLOWERS", 2)
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    with following(api) as one, following(api):
        wait_for(lambda: one.last_id)
        with following(api) as third:
            assert (third.status, third.error["code"]) == (429, "too_many_streams")
            assert third.response.headers["retry-after"]

    def opened() -> bool:
        with following(api) as later:
            return later.status == 200

    wait_for(opened)


def test_head_tells_of_the_stream_and_holds_no_place_in_it(api: Api) -> None:
    connection = UnixConnection(api.folder / "api.sock")
    connection.request("HEAD", "/api/catalog-changes/stream")
    response = connection.getresponse()
    assert response.status == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.read() == b""
    wait_for(lambda: not api.http.tail._listeners)
    connection.close()


def test_a_reader_that_does_not_read_holds_one_page_and_is_given_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "TAKE_WITHIN_S", 0.5)
    monkeypatch.setattr(stream, "PAGE", 10)
    long = "x" * 50_000
    api.sync("shop", [item(str(n), description=long) for n in range(100)])
    api.sync("shop", [item(str(n), description=f"{long}y") for n in range(100)])
    pages = []
    page_after = stream._page_after

    def counted(*args: Any) -> Any:
        pages.append(args)
        return page_after(*args)

    monkeypatch.setattr(stream, "_page_after", counted)
    connection = UnixConnection(api.folder / "api.sock")
    connection.request("GET", "/api/catalog-changes/stream?since=100")
    wait_for(lambda: pages)
    wait_for(lambda: not api.http.tail._listeners)
    assert len(pages) < 10  # of the ten pages of a megabyte each, the socket took some
    connection.close()


def test_open_streams_end_when_the_server_does(api: Api) -> None:
    with following(api) as one, following(api) as two:
        wait_for(lambda: one.last_id and two.last_id)
        began = time.monotonic()
        api.http.stop()
        assert one.ended.wait(5)
        assert two.ended.wait(5)
        assert time.monotonic() - began < 3


def test_nobody_is_asked_while_nobody_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "POLL_S", 0.01)
    asked: list[int] = []
    told = threading.Event()

    def read() -> StreamState:
        asked.append(1)
        return StreamState(stream_id="s", last_seq=len(asked), oldest_seq=1)

    made = Tail(read)
    made.add(told.set)
    assert told.wait(5)
    made.discard(told.set)
    time.sleep(0.05)
    count = len(asked)
    time.sleep(0.1)
    assert len(asked) <= count + 1
    made.stop()
    with pytest.raises(SyncStopped):
        made.add(told.set)


def test_the_tail_tells_at_once_when_it_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "POLL_S", 60.0)
    numbers = iter(range(1000))
    told = threading.Event()
    made = Tail(lambda: StreamState(stream_id="s", last_seq=next(numbers), oldest_seq=1))
    made.add(told.set)
    made.wake()
    assert told.wait(5)
    made.stop()


def test_a_bug_in_one_look_does_not_end_the_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "POLL_S", 0.01)
    looks = iter([ValueError("broken"), StreamState(stream_id="s", last_seq=1, oldest_seq=1)])

    def read() -> StreamState:
        look = next(looks)
        if isinstance(look, ValueError):
            raise look
        return look

    told = threading.Event()
    made = Tail(read)
    made.add(told.set)
    assert told.wait(5)
    made.stop()


def test_listeners_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "MOST_FOLLOWERS", 1)
    made = Tail(lambda: StreamState(stream_id="s", last_seq=0, oldest_seq=1))
    made.add(threading.Event().set)
    with pytest.raises(UsageError, match="as many as there may be"):
        made.add(threading.Event().set)
    made.stop()


# with the daemon


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/shop.json"] = json.dumps([item("a", price=1)]).encode()
        yield made


def test_a_sync_is_told_of_at_once_and_sigterm_ends_the_stream(
    server: FeedServer, tmp_path: Path
) -> None:
    with running(write_config(tmp_path, {"shop": shop(server)})) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "applied")
        seen = Follower(UnixConnection(daemon.socket), "?since=0")
        wait_for(lambda: seen.seqs == [1])
        server.bodies["/shop.json"] = json.dumps([item("a", price=2)]).encode()
        daemon.resync()
        wait_for(lambda: seen.seqs == [1, 2])
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 4
        assert seen.ended.wait(5)
        seen.close()
        assert not [line for line in daemon.log() if line.get("level") == "error"]


def test_a_reader_that_does_not_read_does_not_keep_the_daemon_from_stopping(
    server: FeedServer, tmp_path: Path
) -> None:
    def products(letter: str) -> bytes:
        return json.dumps([item(str(n), description=letter * 50_000) for n in range(100)]).encode()

    server.bodies["/shop.json"] = products("x")
    with running(write_config(tmp_path, {"shop": shop(server)})) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "applied")
        server.bodies["/shop.json"] = products("y")
        daemon.resync()
        connection = UnixConnection(daemon.socket)
        connection.request("GET", "/api/catalog-changes/stream?since=0")
        time.sleep(1.0)
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 4
        connection.close()
        assert not [line for line in daemon.log() if line.get("level") == "error"]


Tcp = tuple[App, Callable[[], HTTPConnection]]


@pytest.fixture
def tcp(place: intake.Place, tmp_path: Path) -> Iterator[Tcp]:
    app = App(
        Settings(
            state_dir=Path(place.state_dir),
            socket=tmp_path / "tcp.sock",
            listen=("127.0.0.1", 0),
            database=Secret(place.url) if place.url else None,
        )
    )
    http = listen.HttpServer(app, Dispatcher(app), app.settings)
    http.start()
    yield app, partial(HTTPConnection, http.address() or "", timeout=20)
    http.stop()
    app.close()


def test_over_tcp_a_stream_needs_a_key_and_ends_when_that_is_revoked(
    tcp: Tcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    app, connect = tcp
    assert Follower(connect()).status == 401
    assert Follower(connect(), headers={"Authorization": "Bearer pk_wrong"}).status == 401
    key, secret = app.create_key(kind="private", name="site", scopes=("read",))
    seen = Follower(connect(), headers={"Authorization": f"Bearer {secret}"})
    assert seen.status == 200
    wait_for(lambda: "heartbeat" in seen.comments)
    app.revoke_key(key.prefix)
    assert seen.ended.wait(10)
    assert "private key" in seen.comments[-1]
    seen.close()


def test_one_that_is_never_quiet_ends_too_when_its_key_is_revoked(
    tcp: Tcp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.5)
    monkeypatch.setattr(tail, "POLL_S", 0.05)
    app, connect = tcp
    key, secret = app.create_key(kind="private", name="site", scopes=("read",))
    seen = Follower(connect(), headers={"Authorization": f"Bearer {secret}"})
    app.revoke_key(key.prefix)
    price, end = 0, time.monotonic() + 10
    while not seen.ended.is_set() and time.monotonic() < end:
        price += 1
        take_in(app.catalog, tmp_path, [item("a", price=price)])
        time.sleep(0.05)
    assert seen.events
    assert seen.ended.is_set()
    assert "private key" in seen.comments[-1]
    seen.close()

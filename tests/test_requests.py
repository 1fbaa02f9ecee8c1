"""Requests that go wrong on their way: what is answered, and what the log tells of them."""

import io
import json
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from asgi import ask
from daemons import wait_for

from feedd import listen, logs
from feedd.api.attempts import MOST
from feedd.api.origins import for_pages, preflight
from feedd.app import App, build
from feedd.dispatch import Dispatcher
from feedd.settings import Settings
from feedd.state import socket_address
from feedd.store import profiles

# one for each way in which bodies are read
READERS = (
    *("/api/track", "/api/events", "/api/profile-import", "/api/profile-bulk-import-jobs"),
    *("/api/metric-aggregates", "/api/feed-syncs", "/api/people-operations"),
    *("/api/v2/people/exchange", "/api/v2/data-privacy/deletion-request"),
    "/client/event-bulk-create?company_id={}",
)
Said = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def said() -> Iterator[Said]:
    """What the log has told since the test began, all of it or one kind of event."""
    root, stream = logging.getLogger(), io.StringIO()
    before = (root.handlers[:], root.level)
    logs.configure(stream, "debug", json=True)
    yield lambda event=None: [
        line
        for line in map(json.loads, stream.getvalue().splitlines())
        if event in (None, line["event"])
    ]
    root.handlers, root.level = before
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("requests")
    made = build(Settings(state_dir=folder, socket=folder / "s", listen=("127.0.0.1", 0)))
    yield made
    made.close()


@pytest.fixture
def server(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[listen.HttpServer]:
    monkeypatch.setattr(listen, "REQUEST_WITHIN_S", 0.2)
    made = listen.HttpServer(app, Dispatcher(app), app.settings)
    made.start()
    yield made
    made.stop()


def half(path: Path, url: str) -> socket.socket:
    """A connection over which half of a body was sent."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    with socket_address(path) as address:
        connection.connect(address)
    connection.sendall(
        f"POST {url} HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\n{{".encode("ascii")
    )
    return connection


def test_a_body_that_does_not_come_whole_is_answered_in_the_form_of_its_errors(
    app: App, server: listen.HttpServer, said: Said
) -> None:
    _, key = app.create_key(kind="public", name="pages", scopes=())
    stalled = {url: half(app.settings.socket, url.format(key)) for url in READERS}
    for url, connection in stalled.items():
        with connection:
            answer = b""
            while chunk := connection.recv(10_000):
                answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 "), (url, answer)
        told = json.loads(body)
        assert "message" in told if "/v2/" in url else told["errors"][0]["code"] == "too_slow"
    assert {line["event"] for line in said()} == {"track.refused"}


def test_who_hangs_up_has_said_nothing_and_costs_no_more_than_a_line(
    app: App, server: listen.HttpServer, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "REQUEST_WITHIN_S", 20.0)
    _, key = app.create_key(kind="public", name="pages", scopes=())
    for url in READERS:
        half(app.settings.socket, url.format(key)).close()
    # track looks after itself
    wait_for(lambda: len(said("request.left")) == len(READERS) - 1)
    assert [line for line in said() if line["level"] != "debug"] == []


def test_a_bug_is_found_in_the_log_by_the_id_of_its_answer(
    app: App, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(profiles, "find_profile", broken)
    api = listen.create_api(app, Dispatcher(app))
    url = "/api/profiles/jane.doe@example.com?fields[profile]=email"
    answer = ask(api, "GET", url)
    assert answer.status_code == 500
    ask(api, "HEAD", url)
    old = ask(api, "GET", "/api/v2/people/search?email=jane.doe@example.com").json()
    lines = said()
    assert [line["event"] for line in lines] == ["request.error"] * 3
    assert lines[0]["id"] == answer.json()["errors"][0]["id"]
    assert lines[2]["id"] in old["message"]
    assert "RuntimeError: a bug" in lines[0]["exception"]
    at = [(line["method"], line["path"]) for line in lines]
    one = "/api/profiles/{profile_id}"
    assert at == [("GET", one), ("HEAD", one), ("GET", "/api/v2/people/search")]
    assert "jane.doe" not in json.dumps(lines)


def test_wrong_keys_are_told_once_a_minute_and_when_they_are_too_many(
    app: App, server: listen.HttpServer, said: Said
) -> None:
    host, _, port = (server.address() or "").rpartition(":")
    for _ in range(MOST + 3):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(
                b"GET /api/feeds HTTP/1.0\r\nAuthorization: Bearer pk_secret\r\n\r\n"
            )
            assert connection.recv(12) in (b"HTTP/1.1 401", b"HTTP/1.1 429")
    told = [(line["event"], line["level"], line["address"]) for line in said()]
    assert told == [("key.wrong", "warning", host), ("key.blocked", "warning", host)]
    assert "pk_secret" not in json.dumps(said())


@pytest.mark.parametrize("text", ["2026-99-99", "2026-02-30", "yesterday", "2026-07-15x", ""])
def test_a_revision_is_a_date(app: App, text: str) -> None:
    api = listen.create_api(app, Dispatcher(app))
    answer = ask(api, "GET", "/api/feeds", revision=text)
    assert (answer.status_code, "revision" in answer.text) == (400, True)
    for good in ("2023-02-22", "2026-10-15", "2026-07-15.pre"):
        assert ask(api, "GET", "/api/feeds", revision=good).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/profiles", "GET, POST"),
        ("PUT", "/api/profiles/01ABC/", "GET, PATCH"),
        ("PUT", "/api/feeds/shop", "GET, PATCH, DELETE"),
        ("POST", "/api/feed-syncs/1", "GET, PATCH"),
        ("DELETE", "/api/events", "GET, POST"),
        ("DELETE", "/api/profile-bulk-import-jobs", "GET, POST"),
        ("GET", "/client/events", "POST, OPTIONS"),
        ("POST", "/docs", "GET"),
        ("DELETE", "/api/v1/person/01ABC", "GET, PUT"),
    ],
)
def test_what_a_path_is_for_is_told_in_full(app: App, method: str, path: str, allowed: str) -> None:
    answer = ask(listen.create_api(app, Dispatcher(app)), method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_who_looks_for_the_api_finds_its_documentation(app: App) -> None:
    api = listen.create_api(app, Dispatcher(app))
    answer = ask(api, "GET", "/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
    assert "/docs" in ask(api, "GET", "/wrong").json()["errors"][0]["detail"]


def test_a_page_that_sends_its_cookies_along_is_named() -> None:
    assert dict(for_pages([])) == {b"access-control-allow-origin": b"*", b"vary": b"Origin"}
    asked = [(b"host", b"h"), (b"origin", b"https://shop.example")]
    told = {
        b"access-control-allow-origin": b"https://shop.example",
        b"access-control-allow-credentials": b"true",
        b"vary": b"Origin",
    }
    assert dict(for_pages(asked)) == told
    before = dict(preflight([*asked, (b"access-control-request-headers", b"x-own")], b"POST"))
    assert before[b"access-control-allow-headers"] == b"x-own"
    assert before.items() >= {**told, b"vary": before[b"vary"]}.items()
    assert b"Content-Type" in dict(preflight(asked, b"POST"))[b"access-control-allow-headers"]

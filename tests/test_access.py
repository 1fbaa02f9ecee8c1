"""Who may call: private keys by their scopes, and how often a wrong one may be sent."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from daemons import running, write_config
from test_keys import Clock

from feedd.api import create_api
from feedd.api.attempts import MOST, WITHIN_S, Attempts, TooManyAttempts
from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.metrics import Metrics
from feedd.scopes import RESOURCES
from feedd.settings import Settings

PATHS = {"feeds": "/api/feeds", "catalogs": "/api/catalog-items", "webhooks": "/api/webhooks"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("state")
    made = App(Settings(state_dir=folder, socket=folder / "x.sock"))
    yield made
    made.close()


class Caller:
    """Asks an API as if over TCP."""

    def __init__(self, app: App) -> None:
        dispatcher = Dispatcher(app)
        self.metrics = Metrics(app, dispatcher)
        self.api = create_api(app, dispatcher, self.metrics)

    def __call__(
        self, method: str, path: str, key: str = "", peer: str = "203.0.113.9", **headers: str
    ) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.api, client=(peer, 50_000))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1:8030"
            ) as client:
                sent = headers | ({"Authorization": f"Bearer {key}"} if key else {})
                return await client.request(method, path, headers=sent)

        return asyncio.run(ask())


def test_a_scope_opens_its_resource_and_no_other(app: App) -> None:
    ask = Caller(app)
    for scope in ("read", "write", *(f"{r}:{a}" for r in RESOURCES for a in ("read", "write"))):
        _, key = app.create_key(kind="private", name="k", scopes=(scope,))
        for resource, path in PATHS.items():
            may_read = scope in ("read", f"{resource}:read")
            assert ask("GET", path, key).status_code == (200 if may_read else 403), (scope, path)
        wrote = ask("DELETE", "/api/feeds/nowhere", key)
        assert wrote.status_code == (404 if scope in ("write", "feeds:write") else 403)
    refused = ask("GET", "/api/feeds", key).json()["errors"][0]
    assert refused["code"] == "permission_denied"
    assert "--scope feeds:read" in refused["detail"]


def test_without_a_key_the_answer_says_how_to_send_one(app: App) -> None:
    refused = Caller(app)("GET", "/api/feeds", "pk_nobodys")
    error = refused.json()["errors"][0]
    assert (error["status"], error["code"]) == (401, "not_authenticated")
    assert error["title"] == "Authentication credentials were not provided."
    assert error["detail"].startswith("Missing or invalid private key")
    assert error["source"] == {"pointer": "/data/"}
    assert refused.headers["www-authenticate"] == "Bearer, Klaviyo-API-Key"


@pytest.mark.parametrize(
    ("revision", "status"),
    [
        ("2022-10-17", 200),
        ("2026-10-15", 200),
        ("2026-01-15.pre", 200),
        ("latest", 400),
        ("", 400),
        ("2024-2-15", 400),
        ("2024-13-45", 400),
    ],
)
def test_a_revision_is_a_date(app: App, revision: str, status: int) -> None:
    _, key = app.create_key(kind="private", name="k", scopes=("read",))
    assert Caller(app)("GET", "/api/feeds", key, revision=revision).status_code == status


def test_a_wrong_method_is_told_which_are_right(app: App) -> None:
    refused = Caller(app)("DELETE", "/api/profiles")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")


def test_api_keys_are_managed_over_the_unix_socket_only(app: App) -> None:
    _, key = app.create_key(kind="private", name="k", scopes=("read", "write"))
    assert Caller(app)("GET", "/api/api-keys", key).status_code == 403


def test_the_command_lines_operations_are_done_over_the_unix_socket_only(app: App) -> None:
    _, key = app.create_key(kind="private", name="k", scopes=("read", "write"))
    refused = Caller(app)("POST", "/api/people-operations", key)
    assert refused.status_code == 403
    assert "unix socket only" in refused.json()["errors"][0]["detail"]


def test_too_many_wrong_keys_are_refused_and_a_known_one_is_not(app: App) -> None:
    ask = Caller(app)
    _, key = app.create_key(kind="private", name="k", scopes=("read",))
    _, another = app.create_key(kind="private", name="l", scopes=("read",))
    assert ask("GET", "/api/feeds", key).status_code == 200
    for _ in range(MOST):
        assert ask("GET", "/api/feeds", "pk_wrong").status_code == 401
    refused = ask("GET", "/api/feeds", another)
    assert refused.status_code == 429
    assert refused.json()["errors"][0]["code"] == "too_many_attempts"
    assert 0 < int(refused.headers["retry-after"]) <= WITHIN_S
    assert ask("GET", "/api/feeds", key).status_code == 200
    assert ask("GET", "/api/feeds").status_code == 401
    assert ask("GET", "/api/feeds", another, peer="203.0.113.10").status_code == 200
    text = ask.metrics.render("")[0].decode()
    assert f"feedd_wrong_keys_total {MOST + 1}.0" in text


def test_after_a_minute_keys_are_looked_at_again() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock)
    for _ in range(MOST):
        attempts.check("203.0.113.9", b"x")
        attempts.failed("203.0.113.9", b"x")
    with pytest.raises(TooManyAttempts) as caught:
        attempts.check("203.0.113.9", b"y")
    assert caught.value.retry_after_s == WITHIN_S
    clock.now = WITHIN_S
    attempts.check("203.0.113.9", b"y")
    attempts.failed("203.0.113.9", b"y")
    attempts.check("203.0.113.9", b"y")


def test_a_key_that_is_right_no_more_is_not_known_any_more() -> None:
    attempts = Attempts(clock=Clock())
    attempts.succeeded("203.0.113.9", b"x")
    for _ in range(MOST):
        attempts.failed("203.0.113.9", b"w")
    attempts.check("203.0.113.9", b"x")
    attempts.failed("203.0.113.9", b"x")
    with pytest.raises(TooManyAttempts):
        attempts.check("203.0.113.9", b"x")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.8", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("a proxy", "a proxy", True),
    ],
)
def test_an_ipv6_source_is_its_network(one: str, other: str, same: bool) -> None:
    attempts = Attempts(clock=Clock())
    for _ in range(MOST):
        attempts.failed(one, b"x")
    if same:
        with pytest.raises(TooManyAttempts):
            attempts.check(other, b"y")
    else:
        attempts.check(other, b"y")


def test_the_memory_of_attempts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedd.api.attempts._MOST_SOURCES", 3)
    monkeypatch.setattr("feedd.api.attempts._MOST_KNOWN", 3)
    clock = Clock()
    attempts = Attempts(clock=clock)
    for n in range(10):
        attempts.failed(f"10.0.0.{n}", b"x")
        attempts.succeeded(f"10.0.0.{n}", b"y")
        assert len(attempts._wrong) == len(attempts._known) == min(n + 1, 3)
    clock.now = WITHIN_S
    attempts.failed("10.0.1.1", b"x")
    assert list(attempts._wrong) == ["10.0.1.1"]


@pytest.mark.parametrize(("trusted", "counted"), [(["127.0.0.0/8"], "each"), ([], "all")])
def test_a_trusted_proxy_says_where_a_request_comes_from(
    tmp_path: Path, trusted: list[str], counted: str
) -> None:
    config = write_config(tmp_path, {}, listen="127.0.0.1:0", trusted_proxies=trusted)
    with running(config) as daemon, httpx.Client() as client:
        (ready,) = [line for line in daemon.log() if line["event"] == "daemon.ready"]

        def ask(source: str) -> int:
            headers = {
                "Authorization": "Bearer pk_wrong",
                "X-Forwarded-For": f"198.51.100.1, {source}",
            }
            return client.get(f"http://{ready['listen']}/api/feeds", headers=headers).status_code

        assert {ask("203.0.113.9") for _ in range(MOST)} == {401}
        assert ask("203.0.113.9") == 429
        assert ask("203.0.113.8") == (401 if counted == "each" else 429)

"""Fetches over HTTP from real servers on loopback, good ones and bad ones."""

import contextlib
import gzip
import hashlib
import json
import random
import resource
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard
from servers import FeedServer, feed_server

from feedd.errors import FetchError
from feedd.fetch import Fetched, Fetcher, FetchRequest
from feedd.fetch.clock import Deadline
from feedd.fetch.spool import spool
from feedd.model import Layout, Pages

BODY = b'[{"id":"1","title":"A thing"}]'
LOOPBACK = ("127.0.0.0/8",)
SECRETS = ("s3cr3t", "qu3ry")
Script = Callable[["RawServer", socket.socket], None]


class RawServer:
    """Answers the nth connection with the nth script, the last one over and over; `requests` records what came."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.closing = threading.Event()
        self.scripts = scripts
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._connected: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path: str = "/feed.json", *, host: str = "127.0.0.1") -> str:
        return f"{'http' if self._tls is None else 'https'}://{host}:{self.port}{path}"

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            script = self.scripts[min(len(self._connected), len(self.scripts) - 1)]
            self._connected.append(connected)
            thread = threading.Thread(target=self._serve, args=(script, connected))
            self._threads.append(thread)
            thread.start()

    def _serve(self, script: Script, connected: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(connected.close)
            if self._tls is not None:
                connected = self._tls.wrap_socket(connected, server_side=True)
                stack.callback(connected.close)
            script(self, connected)

    def heard(self, connected: socket.socket) -> None:
        """Read one request."""
        head = b""
        while b"\r\n\r\n" not in head:
            chunk = connected.recv(65_536)
            if not chunk:
                raise OSError("the client is gone")
            head += chunk
        self.requests.append(head)

    def close(self) -> None:
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connected in self._connected:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def raw_server(*scripts: Script, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    server = RawServer(*scripts, tls=tls)
    try:
        yield server
    finally:
        server.close()


def answer(head: str, body: bytes = b"") -> Script:
    """Sends an answer as it stands, and closes."""

    def script(server: RawServer, connected: socket.socket) -> None:
        server.heard(connected)
        connected.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)

    return script


def good(body: bytes = BODY, *lines: str) -> Script:
    return answer("\n".join([f"HTTP/1.1 200 OK\nContent-Length: {len(body)}", *lines]), body)


def status(code: int, *lines: str) -> Script:
    return answer("\n".join([f"HTTP/1.1 {code} So\nContent-Length: 0", *lines]))


def silence(server: RawServer, connected: socket.socket) -> None:
    server.closing.wait(20)


def deaf_after_request(server: RawServer, connected: socket.socket) -> None:
    server.heard(connected)
    server.closing.wait(20)


def drip(prefix: bytes, drop: bytes) -> Script:
    """Sends something small again and again, and never comes to an end."""

    def script(server: RawServer, connected: socket.socket) -> None:
        server.heard(connected)
        connected.sendall(prefix)
        while not server.closing.wait(0.02):
            connected.sendall(drop)

    return script


def reset(prefix: bytes) -> Script:
    def script(server: RawServer, connected: socket.socket) -> None:
        server.heard(connected)
        connected.sendall(prefix)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/feed.json"] = BODY
        yield made


def fetcher(**options: Any) -> Fetcher:
    options.setdefault("sleep", lambda _seconds: None)
    return Fetcher(user_agent="feedd/test", **options)


def names(*hosts: str) -> Callable[[str, int], list[str]]:
    """A resolver that knows those hosts, all of them on loopback."""

    def resolve(host: str, _port: int) -> list[str]:
        assert host in (*hosts, "127.0.0.1"), host
        return ["127.0.0.1"]

    return resolve


def fetch(
    url: str,
    folder: Path,
    *,
    using: Fetcher | None = None,
    stop: threading.Event | None = None,
    **options: Any,
) -> Fetched:
    options.setdefault("allow_private", LOOPBACK)
    options.setdefault("timeout_s", 5.0)
    options.setdefault("total_s", 10.0)
    return (using or fetcher()).fetch(FetchRequest(url=url, **options), folder, stop=stop)


def failure(url: str, folder: Path, **options: Any) -> FetchError:
    """The error of a fetch that fails: it leaves nothing behind, and tells no secret."""
    with pytest.raises(FetchError) as raised:
        fetch(url, folder, **options)
    assert list(folder.iterdir()) == []
    assert not [secret for secret in SECRETS if secret in str(raised.value)]
    assert len(str(raised.value)) < 500
    return raised.value


def body_of(fetched: Fetched) -> bytes:
    assert fetched.path is not None
    return fetched.path.read_bytes()


def test_a_feed_is_fetched_to_a_private_file(server: FeedServer, tmp_path: Path):
    fetched = fetch(server.url("/feed.json"), tmp_path)
    assert body_of(fetched) == BODY
    assert (fetched.status, fetched.size, fetched.owned) == (200, len(BODY), True)
    assert fetched.digest == hashlib.sha256(BODY).digest()
    assert fetched.final_url == server.url("/feed.json")
    assert fetched.path is not None
    assert fetched.path.stat().st_mode & 0o777 == 0o600


def test_the_request_says_who_asks_and_what_it_takes(server: FeedServer, tmp_path: Path):
    fetch(server.url("/feed.json"), tmp_path)
    ((_, headers),) = server.requests
    assert headers["User-Agent"] == "feedd/test"
    assert headers["Accept-Encoding"] == "gzip, br, zstd"
    assert not {"Authorization", "Cookie", "If-None-Match", "If-Modified-Since"} & set(headers)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"auth": ("me", "pä:ss")}, {"Authorization": "Basic bWU6cMOkOnNz"}),
        ({"auth": "tok"}, {"Authorization": "Bearer tok"}),
        ({"headers": (("X-Key", "k"),)}, {"X-Key": "k"}),
        ({"headers": (("user-agent", "shop"),)}, {"User-Agent": "shop"}),
    ],
)
def test_auth_and_headers_are_sent(
    server: FeedServer, tmp_path: Path, options: dict[str, Any], expected: dict[str, str]
):
    fetch(server.url("/feed.json"), tmp_path, **options)
    ((_, headers),) = server.requests
    sent = {name.lower(): value for name, value in headers.items()}
    assert {name: sent.get(name.lower()) for name in expected} == expected


def test_progress_is_told_with_the_total_where_it_is_known(tmp_path: Path):
    told: list[tuple[int, int | None]] = []
    packed = gzip.compress(BODY)
    with raw_server(good(), good(packed, "Content-Encoding: gzip")) as server:
        for _ in range(2):
            fetcher().fetch(
                FetchRequest(url=server.url(), allow_private=LOOPBACK),
                tmp_path,
                on_progress=lambda done, total: told.append((done, total)),
            )
    assert told == [(len(BODY), len(BODY)), (len(BODY), None)]


@pytest.mark.parametrize(
    ("header", "kind", "charset"),
    [
        ("application/xml; charset=UTF-8", "application/xml", "utf-8"),
        ('text/csv;charset="iso-8859-1"', "text/csv", "iso-8859-1"),
        ("application/json", "application/json", None),
        ("", None, None),
        ("junk; charset", "text/plain", None),
    ],
)
def test_the_content_type_is_handed_on(
    server: FeedServer, tmp_path: Path, header: str, kind: str | None, charset: str | None
):
    server.answers["/feed.json"] = (200, {"Content-Type": header}, BODY)
    fetched = fetch(server.url("/feed.json"), tmp_path)
    assert (fetched.content_type, fetched.charset) == (kind, charset)


# conditional requests


def test_a_feed_that_has_not_changed_is_not_sent_again(server: FeedServer, tmp_path: Path):
    first = fetch(server.url("/feed.json"), tmp_path)
    again = fetch(server.url("/feed.json"), tmp_path, etag=first.etag)
    assert (again.status, again.path, again.digest, again.etag) == (304, None, None, first.etag)
    server.bodies["/feed.json"] = b"[]"
    assert body_of(fetch(server.url("/feed.json"), tmp_path, etag=first.etag)) == b"[]"


def test_validators_are_sent_as_they_came(tmp_path: Path):
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    with raw_server(good(BODY, 'ETag: W/"a b"', f"Last-Modified: {date}"), status(304)) as server:
        first = fetch(server.url(), tmp_path)
        assert (first.etag, first.last_modified) == ('W/"a b"', date)
        again = fetch(server.url(), tmp_path, etag=first.etag, last_modified=first.last_modified)
    assert again.status == 304
    assert b'if-none-match: w/"a b"\r\n' in server.requests[1].lower()
    assert f"if-modified-since: {date}\r\n".lower().encode() in server.requests[1].lower()


@pytest.mark.parametrize("value", ["a" * 2000, "tab\there", "\xe9t\xe9"])
def test_a_validator_that_could_not_be_sent_back_is_not_kept(tmp_path: Path, value: str):
    with raw_server(good(BODY, f"ETag: {value}")) as server:
        assert fetch(server.url(), tmp_path).etag is None


def test_not_modified_counts_only_where_it_was_asked_for(tmp_path: Path):
    with raw_server(status(304)) as server:
        assert failure(server.url(), tmp_path).code == "not_modified_unasked"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Cache-Control: max-age=60"], 60.0),
        (['Cache-Control: public, MAX-AGE="60"', "Age: 20"], 40.0),
        (["Cache-Control: max-age=10", "Age: 20"], 0.0),
        (["Cache-Control: max-age=99999999999999"], 604_800.0),
        (["Cache-Control: max-age=60, no-cache"], None),
        (["Cache-Control: no-store, max-age=60"], None),
        (["Cache-Control: max-age=soon"], None),
        ([], None),
    ],
)
def test_freshness_is_read_from_the_answer(
    tmp_path: Path, lines: list[str], expected: float | None
):
    with raw_server(good(BODY, *lines)) as server:
        assert fetch(server.url(), tmp_path).max_age_s == expected


# statuses, Retry-After and retries


@pytest.mark.parametrize("code", [201, 203, 204, 206, 300, 305, 400, 401, 403, 404, 408, 410, 429])
def test_only_200_is_a_feed_and_the_rest_is_not_asked_for_again(tmp_path: Path, code: int):
    with raw_server(status(code)) as server:
        error = failure(server.url("/?token=qu3ry"), tmp_path)
        assert len(server.requests) == 1
    assert (error.code, error.status) == ("http_status", code)
    assert str(code) in error.message
    assert error.hint


@pytest.mark.parametrize("code", [500, 502, 503, 504, 520])
def test_a_server_in_trouble_is_asked_again(tmp_path: Path, code: int):
    with raw_server(status(code)) as server:
        error = failure(server.url(), tmp_path)
        assert len(server.requests) == 3
    assert (error.code, error.status) == ("http_status", code)


@pytest.mark.parametrize(
    "trouble",
    [
        status(503),
        reset(b""),
        reset(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome"),
        answer("HTTP/1.1 200 OK\nContent-Length: 1000", b"some"),
    ],
)
def test_a_passing_fault_is_no_failure(tmp_path: Path, trouble: Script):
    with raw_server(trouble, trouble, good()) as server:
        assert body_of(fetch(server.url(), tmp_path)) == BODY
    assert len(list(tmp_path.iterdir())) == 1


def test_attempts_stand_further_and_further_apart_by_chance(tmp_path: Path):
    pauses: list[float] = []
    random.seed(7)
    with raw_server(status(500)) as server:
        for _ in range(5):
            failure(server.url(), tmp_path, using=fetcher(sleep=pauses.append), attempts=5)
    assert len(set(pauses)) == 20
    for number, longest in enumerate((1.0, 2.0, 4.0, 8.0)):
        assert all(0.25 <= pause <= longest for pause in pauses[number::4])


def test_no_attempt_is_made_that_would_begin_after_the_end(tmp_path: Path):
    with raw_server(status(500)) as server:
        failure(server.url(), tmp_path, total_s=0.25)
        assert len(server.requests) == 1


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (["Retry-After: 120"], 120.0),
        (["Retry-After: 99999999999999999999"], 604_800.0),
        (
            [
                "Date: Sun, 06 Nov 1994 08:49:37 GMT",
                "Retry-After: Sun, 06 Nov 1994 08:51:37 GMT",
            ],
            120.0,
        ),
        (["Date: Sun Nov  6 08:49:37 1994", "Retry-After: Sunday, 06-Nov-94 08:51:37 GMT"], 120.0),
        (["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun Nov  6 08:51:37 1994"], 120.0),
        (["Retry-After: Sun, 06 Nov 2094 08:51:37 GMT"], 604_800.0),
    ],
)
def test_a_long_wait_that_the_server_asks_for_is_handed_on(
    tmp_path: Path, code: int, lines: list[str], seconds: float
):
    with raw_server(status(code, *lines)) as server:
        error = failure(server.url(), tmp_path)
        assert len(server.requests) == 1
    assert (error.status, error.retry_after_s) == (code, seconds)


@pytest.mark.parametrize("code", [429, 503])
def test_a_short_wait_that_the_server_asks_for_is_waited_for(tmp_path: Path, code: int):
    pauses: list[float] = []
    with raw_server(status(code, "Retry-After: 3"), good()) as server:
        fetch(server.url(), tmp_path, using=fetcher(sleep=pauses.append))
    assert pauses == [3.0]


@pytest.mark.parametrize(
    "value", ["soon", "", "-5", "1.5", "Sun, 06 Nov 1994 08:49:37 +99999999999999", "9" * 5000]
)
def test_a_senseless_retry_after_is_no_crash(tmp_path: Path, value: str):
    with raw_server(status(429, f"Retry-After: {value}")) as server:
        assert failure(server.url(), tmp_path).status == 429


def test_retry_after_counts_only_with_429_and_503(tmp_path: Path):
    with raw_server(status(404, "Retry-After: 120")) as server:
        assert failure(server.url(), tmp_path).retry_after_s is None


# redirects


def to(location: str, code: int = 302) -> Script:
    return status(code, f"Location: {location}", "Set-Cookie: session=abc")


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/other", "other", "?page=2", "//127.0.0.1:{port}/other"])
def test_a_redirect_is_followed(server: FeedServer, tmp_path: Path, code: int, location: str):
    port = server.url("").rpartition(":")[2]
    server.answers["/start"] = (code, {"Location": location.replace("{port}", port)}, b"")
    server.bodies["/other"] = BODY
    if location.startswith("?"):
        server.answers["/start"] = (code, {"Location": "/other" + location}, b"")
    assert body_of(fetch(server.url("/start"), tmp_path)) == BODY


@pytest.mark.parametrize(("hops", "arrives"), [(5, True), (6, False)])
def test_five_redirects_are_followed_and_no_more(
    server: FeedServer, tmp_path: Path, hops: int, arrives: bool
):
    for number in range(hops):
        server.answers[f"/{number}"] = (302, {"Location": f"/{number + 1}"}, b"")
    server.bodies[f"/{hops}"] = BODY
    if arrives:
        assert fetch(server.url("/0"), tmp_path).final_url == server.url(f"/{hops}")
    else:
        assert failure(server.url("/0"), tmp_path).code == "too_many_redirects"
    assert len(server.requests) == 6


def test_a_circle_is_noticed(server: FeedServer, tmp_path: Path):
    server.answers["/a"] = (302, {"Location": "/b"}, b"")
    server.answers["/b"] = (302, {"Location": "/a"}, b"")
    assert failure(server.url("/a"), tmp_path).code == "too_many_redirects"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "ftp://127.0.0.1/feed",
        "javascript:alert(1)",
        "http://[::1",
        "//[bad/feed?token=qu3ry",
        "http://0177.0.0.1/?token=qu3ry",
        "http://user:s3cr3t/x@127.0.0.1/",
        "http://127.0.0.1:1/",
        "http://127.0.0.1:22/?token=qu3ry",
        "http://127.0.0.1:99999/",
    ],
)
def test_a_redirect_to_elsewhere_is_refused(server: FeedServer, tmp_path: Path, location: str):
    server.answers["/start"] = (302, {"Location": location}, b"")
    assert failure(server.url("/start"), tmp_path).code == "redirect_refused"
    assert len(server.requests) == 1


def test_a_redirect_without_a_place_is_a_status(tmp_path: Path):
    with raw_server(status(302)) as server:
        error = failure(server.url(), tmp_path)
    assert (error.code, error.status) == ("http_status", 302)


def test_a_redirect_to_a_private_address_is_refused(tmp_path: Path):
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1" if host == "shop.example" else "169.254.169.254"]

    with raw_server(to("http://meta.example/latest")) as server:
        error = failure(server.url(host="shop.example"), tmp_path, using=fetcher(resolve=resolve))
    assert error.code == "blocked_address"
    assert asked == ["shop.example", "meta.example"]


SECRET_OPTIONS: dict[str, Any] = {
    "headers": (("X-Key", "s3cr3t"),),
    "etag": '"mark"',
    "last_modified": "Sun, 06 Nov 1994 08:49:37 GMT",
}


@pytest.mark.parametrize("auth", ["s3cr3t", ("me", "s3cr3t"), None])
def test_another_origin_is_shown_nothing_that_belongs_to_the_shop(tmp_path: Path, auth: Any):
    with raw_server(silence) as server:
        server.scripts = (to(server.url("/x", host="cdn.example")), good(BODY, 'ETag: "other"'))
        fetched = fetch(
            server.url("/?a", host="me:s3cr3t@shop.example" if auth is None else "shop.example"),
            tmp_path,
            using=fetcher(resolve=names("shop.example", "cdn.example")),
            auth=auth,
            **SECRET_OPTIONS,
        )
    first, second = (request.lower() for request in server.requests)
    assert body_of(fetched) == BODY
    for name in (b"authorization:", b"x-key:", b"if-none-match:", b"if-modified-since:"):
        assert name in first
        assert name not in second
    assert b"cookie:" not in second
    assert (fetched.etag, fetched.last_modified) == (None, None)


def test_the_same_origin_is_shown_it_again(tmp_path: Path):
    with raw_server(silence) as server:
        server.scripts = (to(server.url("/x")), good())
        fetch(server.url(host="me:s3cr3t@127.0.0.1"), tmp_path, **SECRET_OPTIONS)
    first, second = (request.lower() for request in server.requests)
    for name in (b"authorization: basic", b"x-key:", b"if-none-match:", b"if-modified-since:"):
        assert name in first
        assert name in second
    assert b"cookie:" not in second


def test_another_origin_cannot_say_that_nothing_has_changed(tmp_path: Path):
    with raw_server(silence) as server:
        server.scripts = (to(server.url("/x", host="cdn.example")), status(304))
        error = failure(
            server.url(host="shop.example"),
            tmp_path,
            using=fetcher(resolve=names("shop.example", "cdn.example")),
            etag='"mark"',
        )
    assert error.code == "not_modified_unasked"


# URLs


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/k%C3%B6ln.json?q=%20%2B", "/k%C3%B6ln.json?q=%20%2B"),
        ("/köln.json?größe=ä", "/k%C3%B6ln.json?gr%C3%B6%C3%9Fe=%C3%A4"),
        ("/a b.json", "/a%20b.json"),
        ("/a.json#part", "/a.json"),
        ("", "/"),
    ],
)
def test_urls_are_sent_as_they_mean(server: FeedServer, tmp_path: Path, path: str, asked: str):
    server.answers[asked.partition("?")[0]] = (200, {}, BODY)
    fetch(server.url(path), tmp_path)
    assert server.requests[0][0] == asked


@pytest.mark.parametrize("host", ["bücher.example", "xn--bcher-kva.example", "BÜCHER.example"])
def test_a_name_in_any_script_is_asked_for_in_ascii(server: FeedServer, tmp_path: Path, host: str):
    port = server.url("").rpartition(":")[2]
    fetch(
        f"http://{host}:{port}/feed.json",
        tmp_path,
        using=fetcher(resolve=names("xn--bcher-kva.example")),
    )
    assert server.requests[0][1]["Host"] == f"xn--bcher-kva.example:{port}"


def test_user_and_password_of_the_url_are_sent_and_not_kept(server: FeedServer, tmp_path: Path):
    port = server.url("").rpartition(":")[2]
    fetched = fetch(f"http://m%2541:p%40ss@127.0.0.1:{port}/feed.json", tmp_path)
    assert server.requests[0][1]["Authorization"] == "Basic bSU0MTpwQHNz"
    assert fetched.final_url == server.url("/feed.json")


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1/?token=qu3ry",
        "http://user:s3cr3t/x@shop.example/",
        "http://0177.0.0.1/",
        "http://①②⑦.⓪.⓪.①/",
        "http://ex℀mple.com/",
        "http://shop.example:99999/?token=qu3ry",
        "http://shop.example/\n?token=qu3ry",
        "http:///feed.json?token=qu3ry",
        "http:me:s3cr3t@shop.example",
        "ftp://me:s3cr3t@shop.example/",
        "shop.example/feed",
        "",
    ],
)
def test_what_is_no_http_url_is_said_without_showing_it(tmp_path: Path, url: str):
    assert failure(url, tmp_path).code == "bad_url"


@pytest.mark.parametrize("header", [("X-Key", "s3cr3t\nX: y"), ("X-Key", "s3cr3té"), ("a b", "c")])
def test_a_header_that_cannot_be_sent_is_said_without_showing_it(
    server: FeedServer, tmp_path: Path, header: tuple[str, str]
):
    assert failure(server.url("/feed.json"), tmp_path, headers=(header,)).code == "bad_header"
    assert server.requests == []


# addresses and names


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0",
        "localhost",
        "127。0。0。1",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ],
)
def test_loopback_is_refused_however_it_is_spelled(server: FeedServer, tmp_path: Path, host: str):
    port = server.url("").rpartition(":")[2]
    error = failure(f"http://{host}:{port}/feed.json", tmp_path, allow_private=())
    assert error.code == "blocked_address"
    assert server.requests == []


@pytest.mark.parametrize(
    "found",
    [["127.0.0.1", "93.184.216.34"], ["93.184.216.34", "127.0.0.1"], ["2606:4700::1111", "::1"]],
)
def test_a_name_with_one_private_address_is_refused_whole(tmp_path: Path, found: list[str]):
    with raw_server(good()) as server:
        error = failure(
            server.url(host="shop.example"),
            tmp_path,
            using=fetcher(resolve=lambda _host, _port: found),
            allow_private=(),
        )
        assert server.requests == []
    assert error.code == "blocked_address"
    assert "shop.example" in error.message


def test_a_name_is_resolved_once_for_a_connection(tmp_path: Path):
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    with raw_server(good()) as server:
        fetch(
            server.url(host="shop.example"),
            tmp_path,
            using=fetcher(resolve=lambda _host, _port: next(answers)),
        )
        assert len(server.requests) == 1


def test_the_next_address_is_tried_when_one_does_not_answer(tmp_path: Path):
    with raw_server(good()) as server:
        fetched = fetch(
            server.url(host="shop.example"),
            tmp_path,
            using=fetcher(resolve=lambda _host, _port: ["127.0.0.9", "127.0.0.1"]),
        )
    assert body_of(fetched) == BODY


def test_proxies_and_netrc_of_the_environment_are_not_used(
    server: FeedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password s3cr3t")
    spool_dir = tmp_path / "spool"
    spool_dir.mkdir()
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    assert body_of(fetch(server.url("/feed.json"), spool_dir)) == BODY
    assert "Authorization" not in server.requests[0][1]


def test_an_unknown_name_is_an_error_of_the_feed(tmp_path: Path):
    error = failure("http://nothing.invalid/?token=qu3ry", tmp_path)
    assert error.code == "dns"
    assert "nothing.invalid" in error.message


def test_a_resolver_that_hangs_is_waited_for_no_longer_than_the_deadline(tmp_path: Path):
    answered = threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        answered.wait(20)
        return ["127.0.0.1"]

    try:
        error = failure(
            "http://shop.example/",
            tmp_path,
            using=fetcher(resolve=resolve),
            timeout_s=0.1,
            attempts=1,
        )
    finally:
        answered.set()
    assert error.code == "timeout"


# servers that misbehave


def test_a_server_that_is_not_there_is_tried_again(tmp_path: Path):
    pauses: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    error = failure(
        f"http://127.0.0.1:{port}/?token=qu3ry", tmp_path, using=fetcher(sleep=pauses.append)
    )
    assert error.code == "connect"
    assert "refused" in error.message
    assert len(pauses) == 2


@pytest.mark.parametrize(
    "script",
    [
        answer("HTTP/1.1 200 OK\nContent-Length: 1000", b"[]"),
        answer("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"5\r\nhello\r\n"),
        answer("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"5\r\nhel"),
        answer("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"zz\r\nhello\r\n0\r\n\r\n"),
        answer("HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked", b"0\r\n\r\n"),
        answer("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 3", b"[] "),
        answer("HTTP/1.1 200 OK\nContent-Length: -1", b"[]"),
        answer("HTTP/1.1 200 OK\nbroken s3cr3t line", b"[]"),
        answer("HTTP/1.1 200 OK\nX: " + "x" * 200_000, b"[]"),
        answer("\n".join(["HTTP/1.1 200 OK", *["X: x"] * 50_000]), b"[]"),
        answer("<html>s3cr3t</html>"),
        answer("SSH-2.0-OpenSSH_9.6"),
        answer("HTTP/1.1 20 OK"),
        reset(b""),
        reset(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome"),
    ],
)
def test_a_broken_answer_is_an_error(tmp_path: Path, script: Script):
    with raw_server(script) as server:
        error = failure(server.url("/?token=qu3ry"), tmp_path, attempts=1)
    assert error.code == "cut_short"


def test_a_body_that_ends_with_its_connection_is_taken(tmp_path: Path):
    with raw_server(answer("HTTP/1.0 200 OK", BODY)) as server:
        assert body_of(fetch(server.url(), tmp_path)) == BODY


def test_what_follows_the_body_is_left_alone(tmp_path: Path):
    with raw_server(
        answer(f"HTTP/1.1 200 OK\nContent-Length: {len(BODY)}", BODY + b"more")
    ) as server:
        assert body_of(fetch(server.url(), tmp_path)) == BODY


FIRST = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n"


@pytest.mark.parametrize(
    "script",
    [
        silence,
        deaf_after_request,
        drip(b"HTTP/1.1 200 OK\r\n", b"x"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n"),
        drip(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    ],
)
def test_the_first_byte_of_a_body_must_come_in_time(tmp_path: Path, script: Script):
    with raw_server(script) as server:
        assert failure(server.url(), tmp_path, timeout_s=0.2, attempts=1).code == "timeout"


@pytest.mark.parametrize(
    "script",
    [
        drip(FIRST, b""),
        drip(FIRST, b"1\r\n \r\n"),
        drip(FIRST, b"0"),
    ],
)
def test_a_body_must_come_at_the_least_rate(tmp_path: Path, script: Script):
    with raw_server(script) as server:
        error = failure(server.url(), tmp_path, min_rate=(1000, 0.3))
        assert len(server.requests) == 1
    assert error.code == "too_slow"


def test_the_end_is_the_end_however_steadily_bytes_come(tmp_path: Path):
    with raw_server(drip(FIRST, b"1\r\n \r\n")) as server:
        error = failure(server.url(), tmp_path, total_s=0.4, min_rate=(1, 0.3))
    assert error.code == "timeout"


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port whose connections are neither taken nor refused: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listener.getsockname()[1]
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


def test_a_connection_that_nobody_takes_ends_with_the_deadline(tmp_path: Path):
    with black_hole() as port:
        error = failure(f"http://127.0.0.1:{port}/", tmp_path, timeout_s=0.2, attempts=1)
    assert error.code == "timeout"


# stopping


def stopped_while(url: str, folder: Path, using: Fetcher | None = None) -> None:
    """Fetch, stop after a moment, and see that it ends soon."""
    stop = threading.Event()
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    began = time.monotonic()
    try:
        assert (
            failure(url, folder, using=using, stop=stop, timeout_s=20, total_s=20).code == "stopped"
        )
        assert time.monotonic() - began < 5
    finally:
        timer.join()


@pytest.mark.parametrize("script", [silence, drip(FIRST, b""), drip(FIRST, b"1\r\n \r\n")])
def test_a_stop_ends_a_fetch_soon(tmp_path: Path, script: Script):
    with raw_server(script) as server:
        stopped_while(server.url(), tmp_path)


def test_a_stop_ends_a_handshake_soon(tmp_path: Path):
    with raw_server(silence) as server:
        stopped_while(server.url().replace("http:", "https:"), tmp_path)


def test_a_stop_ends_a_connection_attempt_soon(tmp_path: Path):
    with black_hole() as port:
        stopped_while(f"http://127.0.0.1:{port}/", tmp_path)


def test_a_stop_ends_the_wait_between_attempts(tmp_path: Path):
    with raw_server(status(503, "Retry-After: 9")) as server:
        stopped_while(server.url(), tmp_path, using=fetcher(sleep=None))


def test_a_stop_ends_the_wait_for_a_turn(server: FeedServer, tmp_path: Path):
    one = fetcher(per_host=1)
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    server.delay.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(fetch, server.url("/feed.json"), folders[0], using=one)
        while not server.requests:
            time.sleep(0.005)
        stopped_while(server.url("/feed.json"), folders[1], using=one)
        server.delay.set()
        assert first.result().size == len(BODY)


# many at once


def test_a_host_is_never_asked_for_more_than_a_few_feeds_at_once(tmp_path: Path):
    running, most = 0, 0
    lock = threading.Lock()

    def counted(server: RawServer, connected: socket.socket) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        server.heard(connected)
        time.sleep(0.05)
        with lock:
            running -= 1
        connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")

    shared = fetcher(per_host=2, resolve=names("shop.example"))
    with raw_server(counted) as server, ThreadPoolExecutor(6) as pool:
        urls = [server.url(host=name) for name in ("shop.example", "SHOP.example")] * 3
        fetches = [pool.submit(fetch, url, tmp_path, using=shared) for url in urls]
        assert [each.result().size for each in fetches] == [2] * 6
    assert most == 2


def test_a_slow_host_delays_no_other(server: FeedServer, tmp_path: Path):
    shared = fetcher(per_host=1, resolve=names("slow.example"))
    with raw_server(silence) as slow, ThreadPoolExecutor(3) as pool:
        stop = threading.Event()
        waiting = [
            pool.submit(fetch, slow.url(host="slow.example"), tmp_path, using=shared, stop=stop)
            for _ in range(3)
        ]
        assert body_of(fetch(server.url("/feed.json"), tmp_path, using=shared)) == BODY
        stop.set()
        for each in waiting:
            with pytest.raises(FetchError):
                each.result()


def test_a_place_is_given_back_after_a_failure(tmp_path: Path):
    shared = fetcher(per_host=1)
    with raw_server(status(404), status(404), good()) as server:
        for _ in range(2):
            failure(server.url(), tmp_path, using=shared)
        assert body_of(fetch(server.url(), tmp_path, using=shared)) == BODY


def test_the_wait_for_a_turn_is_not_held_against_the_server(tmp_path: Path):
    """Between two attempts another feed takes the place, and keeps it for longer than the first byte may take."""

    def slow(server: RawServer, connected: socket.socket) -> None:
        server.heard(connected)
        time.sleep(0.6)
        connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

    with raw_server(deaf_after_request, slow, good()) as server, ThreadPoolExecutor(1) as pool:

        def pause(_seconds: float) -> None:
            pool.submit(fetch, server.url(), tmp_path, using=shared)
            while len(server.requests) < 2:
                time.sleep(0.005)

        shared = fetcher(per_host=1, sleep=pause)
        fetched = fetch(server.url(), tmp_path, using=shared, timeout_s=0.4)
    assert body_of(fetched) == BODY


# encodings and limits


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("br", brotli.compress(BODY)),
        ("zstd", zstandard.compress(BODY)),
        ("identity", BODY),
    ],
)
def test_an_encoded_body_is_decoded(tmp_path: Path, name: str, body: bytes):
    with raw_server(good(body, f"Content-Encoding: {name}")) as server:
        fetched = fetch(server.url(), tmp_path)
    assert body_of(fetched) == BODY
    assert (fetched.size, fetched.digest) == (len(BODY), hashlib.sha256(BODY).digest())


@pytest.mark.parametrize(
    ("lines", "body", "code"),
    [
        (["Content-Encoding: gzip, br"], b"x", "bad_encoding"),
        (["Content-Encoding: gzip", "Content-Encoding: gzip"], b"x", "bad_encoding"),
        (["Content-Encoding: gzip"], BODY, "bad_encoding"),
        (["Content-Encoding: gzip"], gzip.compress(BODY, mtime=0)[:-9], "cut_short"),
        (["Content-Encoding: br"], brotli.compress(BODY)[:-3], "cut_short"),
        (["Content-Encoding: zstd"], zstandard.compress(BODY)[:-3], "cut_short"),
    ],
)
def test_a_wrongly_encoded_body_is_an_error(
    tmp_path: Path, lines: list[str], body: bytes, code: str
):
    with raw_server(good(body, *lines)) as server:
        assert failure(server.url(), tmp_path, attempts=1).code == code


@pytest.mark.parametrize("encoding", [None, "gzip", "br", "zstd"])
def test_the_limit_is_one_of_decoded_bytes(tmp_path: Path, encoding: str | None):
    encode: dict[str | None, Callable[[bytes], bytes]] = {
        None: bytes,
        "gzip": gzip.compress,
        "br": brotli.compress,
        "zstd": zstandard.compress,
    }
    body = encode[encoding](bytes(3_000_000))
    lines = [] if encoding is None else [f"Content-Encoding: {encoding}"]
    with raw_server(good(body, *lines)) as server:
        assert failure(server.url(), tmp_path, max_bytes=2_999_999).code == "too_large"
        assert len(server.requests) == 1
        assert fetch(server.url(), tmp_path, max_bytes=3_000_000).size == 3_000_000


def test_a_full_disk_is_said_and_nothing_is_left(tmp_path: Path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with raw_server(good(bytes(1_000_000))) as server:
            error = failure(server.url(), tmp_path)
            assert len(server.requests) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.code == "disk_full"
    assert str(tmp_path) in error.message


def test_a_spool_that_is_broken_off_leaves_nothing(tmp_path: Path):
    def pieces() -> Iterator[bytes]:
        yield b"some"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spool(pieces(), tmp_path, max_bytes=100)
    assert list(tmp_path.iterdir()) == []


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for shop.example, with its key."""
    folder = tmp_path_factory.mktemp("tls")
    openssl = shutil.which("openssl")
    assert openssl, "the openssl command makes the certificate of these tests"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=shop.example",
         "-addext", "subjectAltName=DNS:shop.example", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


@pytest.fixture
def trusting(certificate: Path) -> Fetcher:
    """A fetcher that trusts the certificate."""
    return fetcher(
        verify=ssl.create_default_context(cafile=str(certificate / "cert.pem")),
        resolve=names("shop.example", "other.example"),
    )


def test_a_feed_is_fetched_over_tls(tmp_path: Path, server_tls: ssl.SSLContext, trusting: Fetcher):
    body = bytes(1_000_000)
    with raw_server(good(body), tls=server_tls) as server:
        fetched = fetch(server.url(host="shop.example"), tmp_path, using=trusting)
    assert body_of(fetched) == body
    assert f"Host: shop.example:{server.port}".lower().encode() in server.requests[0].lower()


def test_a_certificate_for_another_name_is_refused(
    tmp_path: Path, server_tls: ssl.SSLContext, trusting: Fetcher
):
    with raw_server(good(), tls=server_tls) as server:
        error = failure(server.url(host="other.example"), tmp_path, using=trusting)
        assert server.requests == []
    assert error.code == "tls"
    assert "other.example" in error.message


def test_a_certificate_that_nobody_vouches_for_is_refused(
    tmp_path: Path, server_tls: ssl.SSLContext
):
    with raw_server(good(), tls=server_tls) as server:
        error = failure(
            server.url("/?token=qu3ry", host="shop.example"),
            tmp_path,
            using=fetcher(resolve=names("shop.example")),
        )
        assert server.requests == []
    assert error.code == "tls"
    assert "certificate" in error.hint


def speaks_plainly(server: RawServer, connected: socket.socket) -> None:
    connected.recv(10)
    connected.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def hangs_up(server: RawServer, connected: socket.socket) -> None:
    connected.recv(65_536)
    connected.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("script", "code"), [(speaks_plainly, "tls"), (silence, "timeout"), (hangs_up, "connect")]
)
def test_a_handshake_that_fails_is_an_error(tmp_path: Path, script: Script, code: str):
    with raw_server(script) as server:
        url = server.url().replace("http:", "https:")
        assert failure(url, tmp_path, timeout_s=0.3, attempts=1).code == code


def test_a_server_that_drips_over_tls_ends_with_the_deadline(
    tmp_path: Path, server_tls: ssl.SSLContext, trusting: Fetcher
):
    with raw_server(drip(b"HTTP/1.1 200 OK\r\n", b"X"), tls=server_tls) as server:
        url = server.url(host="shop.example")
        error = failure(url, tmp_path, using=trusting, timeout_s=0.3, attempts=1)
    assert error.code == "timeout"


def test_a_redirect_from_https_to_http_is_refused(
    tmp_path: Path, server_tls: ssl.SSLContext, trusting: Fetcher
):
    with raw_server(to("http://shop.example/feed?token=qu3ry"), tls=server_tls) as server:
        error = failure(server.url(host="shop.example"), tmp_path, using=trusting)
        assert len(server.requests) == 1
    assert error.code == "redirect_refused"
    assert "https to http" in error.message


def test_a_next_page_is_asked_for_as_safely_as_the_first(
    tmp_path: Path, server_tls: ssl.SSLContext, trusting: Fetcher
):
    """Behind a proxy a shop thinks that it speaks plain http; elsewhere that is a way down, and refused."""
    first = b'{"products": [{"id": 1}], "next": "http://%b/feed?page=2"}'
    last = good(b'{"products": [{"id": 2}], "next": null}')
    options: dict[str, Any] = {
        "pages": Pages(by="next", path=("next",)),
        "layout": Layout(items=("products",)),
    }
    with raw_server(good(first % b"shop.example"), last, tls=server_tls) as server:
        fetched = fetch(server.url(host="shop.example"), tmp_path, using=trusting, **options)
    assert json.loads(body_of(fetched).decode("utf-8-sig")) == [{"id": 1}, {"id": 2}]
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    with raw_server(good(first % b"other.example"), last, tls=server_tls) as server:
        error = failure(server.url(host="shop.example"), tmp_path, using=trusting, **options)
        assert len(server.requests) == 1
    assert (error.code, "page 1: " in error.message) == ("redirect_refused", True)


# the deadline by itself


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def deadline_of(clock: Clock) -> Deadline:
    made = Deadline(total_s=100, first_byte_s=10, min_rate=(50, 5), monotonic=clock)
    made.begin_attempt()
    return made


def code_of(act: Callable[[], object]) -> str | None:
    try:
        act()
    except FetchError as error:
        return error.code
    return None


def test_a_wait_is_never_longer_than_what_is_left():
    clock = Clock()
    deadline = deadline_of(clock)
    assert deadline.remaining() == 10
    clock.now += 9
    assert deadline.remaining() == 1
    deadline.received(1)
    assert deadline.remaining() == 5
    clock.now += 4
    assert deadline.remaining() == 1


@pytest.mark.parametrize(("sent", "code"), [(49, "too_slow"), (50, None)])
def test_the_rate_is_measured_window_by_window(sent: int, code: str | None):
    clock = Clock()
    deadline = deadline_of(clock)
    deadline.received(1000)
    clock.now += 5
    deadline.received(0)
    clock.now += 4
    deadline.received(sent)
    clock.now += 1
    assert code_of(deadline.remaining) == code


def test_a_new_attempt_begins_without_the_faults_of_the_last():
    clock = Clock()
    deadline = deadline_of(clock)
    deadline.received(1)
    clock.now += 60
    assert code_of(deadline.remaining) == "too_slow"
    assert code_of(deadline.check) is None
    deadline.begin_attempt()
    assert deadline.remaining() == 10


def test_all_attempts_together_end_with_the_deadline():
    clock = Clock()
    deadline = deadline_of(clock)
    clock.now += 95
    deadline.begin_attempt()
    assert deadline.remaining() == 5
    clock.now += 5
    assert code_of(deadline.remaining) == "timeout"
    assert code_of(deadline.check) == "timeout"

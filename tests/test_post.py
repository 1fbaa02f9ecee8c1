"""Sending to webhooks: where it may go, how long it may take, and what of the answer counts."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from receivers import Receiver, receiver

from feedd.errors import FetchError
from feedd.fetch.post import Answer, Post, post

LOOPBACK = ("127.0.0.0/8",)
HEADERS = (("Content-Type", "application/json"), ("X-Api-Key", "canary-1"))


def send(url: str, **more: Any) -> Answer:
    options = {name: more.pop(name) for name in ("resolve", "stop") if name in more}
    values: dict[str, Any] = {
        "url": url,
        "headers": HEADERS,
        "body": b"{}",
        "timeout_s": 5.0,
        "allow_private": LOOPBACK,
    }
    return post(Post(**(values | more)), user_agent="feedd/test", **options)


@pytest.fixture
def sink() -> Iterator[Receiver]:
    made = Receiver("whsec_" + "c2VjcmV0" * 4)
    yield made
    made.close()


def refused(url: str, **more: Any) -> FetchError:
    with pytest.raises(FetchError) as caught:
        send(url, **more)
    assert "canary" not in str(caught.value)
    return caught.value


@contextmanager
def raw_server(answer: bytes, *, endless: bytes = b"") -> Iterator[str]:
    """Answers one connection with these bytes, then goes on with others for as long as somebody reads."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with closing(connection):
                connection.recv(65_536)
                try:
                    connection.sendall(answer)
                    while endless:
                        connection.sendall(endless)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:9/",
        "https://127.1:9/",
        "https://[::1]:9/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_private_addresses_are_refused_where_they_are_dialled(url: str) -> None:
    assert refused(url, allow_private=()).code == "blocked_address"


def test_a_name_is_refused_for_where_it_leads() -> None:
    error = refused(
        "https://shop.example/?canary", allow_private=(), resolve=lambda _h, _p: ["127.0.0.1"]
    )
    assert error.code == "blocked_address"


def test_plain_http_does_not_leave_ones_own_networks() -> None:
    error = refused("http://shop.example/", resolve=lambda _h, _p: ["93.184.216.34"])
    assert error.code == "blocked_address"
    assert "http:// does not leave" in error.message


@pytest.mark.parametrize("status", [200, 204, 301, 302, 404, 410, 500])
def test_any_answer_is_an_answer(sink: Receiver, status: int) -> None:
    with raw_server(
        f"HTTP/1.1 {status} X\r\nLocation: {sink.url()}\r\nContent-Length: 0\r\n\r\n".encode()
    ) as url:
        assert send(url).status == status
    assert sink.received == []  # no redirect is followed


def test_the_body_of_an_answer_is_not_read() -> None:
    began = time.monotonic()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw_server(head, endless=b"10000\r\n" + b"x" * 65_536 + b"\r\n") as url:
        assert send(url).status == 200
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("header", "expected"),
    [("Retry-After: 120", 120.0), ("Retry-After: soon", None), ("X: y", None)],
)
def test_what_the_receiver_asks_for_is_told(header: str, expected: float | None) -> None:
    with raw_server(f"HTTP/1.1 503 X\r\n{header}\r\nContent-Length: 0\r\n\r\n".encode()) as url:
        assert send(url).retry_after_s == expected


@pytest.mark.parametrize(
    ("answer", "endless", "codes"),
    [
        (b"", b"", {"cut_short", "connect"}),
        (b"nonsense\r\n\r\n", b"", {"cut_short"}),
        (b"HTTP/1.1 200 OK\r\n", b"X-More: y\r\n", {"cut_short", "connect"}),
    ],
    ids=["silence", "nonsense", "endless headers"],
)
def test_no_answer_is_a_failure(answer: bytes, endless: bytes, codes: set[str]) -> None:
    with raw_server(answer, endless=endless) as url:
        assert refused(url).code in codes


def test_a_receiver_that_hangs_has_its_time(sink: Receiver) -> None:
    sink.go.clear()
    began = time.monotonic()
    assert refused(sink.url(), timeout_s=1.0).code == "timeout"
    assert time.monotonic() - began < 5


def test_a_stop_breaks_it_off(sink: Receiver) -> None:
    sink.go.clear()
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    assert refused(sink.url(), timeout_s=30.0, stop=stop).code == "stopped"


def test_nobody_listening_is_said() -> None:
    assert refused("http://127.0.0.1:9/canary").code == "connect"


def test_the_headers_are_sent() -> None:
    with receiver() as sink:
        send(sink.url())
        assert sink.headers[0]["X-Api-Key"] == "canary-1"
        assert sink.headers[0]["User-Agent"] == "feedd/test"
        sink.errors.clear()  # it bears no signature

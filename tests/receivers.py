"""A webhook's receiver on loopback: it checks signatures with an independent library, and keeps a ledger."""

import base64
import contextlib
import http.server
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class Receiver:
    """Answers what `answer(path, message)` says: a status, or a status and headers.

    `received` has every request as (webhook-id, status that was answered, message); `accepted` the messages that were
    answered 2xx, in order. A request whose signature is wrong raises in `errors`.
    """

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.received: list[tuple[str, int, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.errors: list[str] = []
        self.answer: Callable[[str, Any], int | tuple[int, dict[str, str]]] = lambda _p, _m: 204
        self.go = threading.Event()
        self.go.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                return

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                body = self.rfile.read(size)
                if len(body) < size:  # the sender was killed in the middle of it
                    self.close_connection = True
                    return
                with contextlib.suppress(OSError):  # the sender may be gone
                    outer.take(self, body)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def take(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        self.go.wait(30)
        headers = dict(request.headers)
        message = None
        try:
            message = Webhook(self.secret).verify(body, headers)
        except (WebhookVerificationError, ValueError) as error:
            self.errors.append(repr(error))
        said = self.answer(request.path, message) if message else 400
        status, more = said if isinstance(said, tuple) else (said, {})
        self.headers.append(headers)
        self.bodies.append(body)
        self.received.append((headers.get("webhook-id", ""), status, message))
        request.send_response(status)
        for name, value in more.items():
            request.send_header(name, value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    @property
    def accepted(self) -> list[Any]:
        return [message for _, status, message in list(self.received) if 200 <= status < 300]

    def told(self, kind: str) -> list[Any]:
        """The data of the accepted messages of a type."""
        return [message["data"] for message in self.accepted if message["type"] == kind]

    def seqs(self) -> list[int]:
        """The numbers of all changes that were accepted, in order, repeats too."""
        return [c["seq"] for data in self.told("catalog.changes") for c in data["changes"]]

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def receiver(secret: str | None = None) -> Iterator[Receiver]:
    made = Receiver(secret or new_secret())
    try:
        yield made
    finally:
        made.close()
    assert made.errors == []


def hook(receiver: Receiver, **more: Any) -> dict[str, Any]:
    """The configuration of a webhook to a receiver; its secret is in the environment of the test."""
    return {
        "url": receiver.url(),
        "secret": {"env": "HOOK_SECRET"},
        "allow_private": ["127.0.0.0/8"],
    } | more

"""A feed server on loopback that a test can change, break and mend."""

import contextlib
import hashlib
import http.server
import threading
from collections.abc import Iterator
from typing import Any


class FeedServer:
    """Serves `bodies[path]`; `answers[path]` (status, headers, body) goes before it, with a query even more so.

    `requests` records what came, `posted` the bodies of POST requests.
    """

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.posted: list[bytes] = []
        self.delay = threading.Event()
        self.delay.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                return

            def do_POST(self) -> None:
                outer.posted.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                self.do_GET()

            def do_GET(self) -> None:
                outer.requests.append((self.path, dict(self.headers)))
                outer.delay.wait(20)
                mark = self.headers.get("If-None-Match")
                status, headers, body = outer.answer(self.path, mark)
                with contextlib.suppress(OSError):  # the client may be gone
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    if "Content-Length" not in headers:
                        self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def answer(self, path: str, etag: str | None) -> tuple[int, dict[str, str], bytes]:
        if path in self.answers:
            return self.answers[path]
        path = path.partition("?")[0]
        if path in self.answers:
            return self.answers[path]
        body = self.bodies.get(path)
        if body is None:
            return 404, {}, b"not here"
        current = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if etag == current:
            return 304, {"ETag": current}, b""
        return 200, {"ETag": current, "Content-Type": "application/octet-stream"}, body

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def close(self) -> None:
        self.delay.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def feed_server() -> Iterator[FeedServer]:
    server = FeedServer()
    try:
        yield server
    finally:
        server.close()

"""Serves the files below a folder over loopback HTTP; prints its port. A process of its own, as a shop's server is.

The ETag of `shop.xml` is what stands in `shop.etag`.

    python serve.py FOLDER
"""

import contextlib
import http.server
import os
import sys
from pathlib import Path
from typing import Any

ETAG_SUFFIX = ".etag"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = Path()

    def log_message(self, *_: Any) -> None:
        return

    def do_GET(self) -> None:
        path = self.folder / self.path.lstrip("/")
        try:
            stream = path.open("rb")
        except OSError:
            self.send_error(404)
            return
        with stream, contextlib.suppress(OSError):  # the client may be gone
            etag = path.with_suffix(ETAG_SUFFIX).read_text()
            same = self.headers.get("If-None-Match") == etag
            self.send_response(304 if same else 200)
            self.send_header("ETag", etag)
            if not same:
                self.send_header("Content-Length", str(os.fstat(stream.fileno()).st_size))
            self.end_headers()
            if not same:
                self.connection.sendfile(stream)


def main() -> None:
    Handler.folder = Path(sys.argv[1])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

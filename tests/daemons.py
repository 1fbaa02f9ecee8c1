"""Starts the real daemon as a process, and talks to it over its unix socket."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from forked import Forked, forker
from servers import FeedServer

from feedd.state import socket_address


def write_config(folder: Path, feeds: dict[str, dict[str, Any]], **main: Any) -> Path:
    """A feedd.toml with those feeds; values are TOML as JSON writes it."""
    lines = [
        f"{key} = {json.dumps(value)}"
        for key, value in ({"state_dir": "state", "listen": ""} | main).items()
    ]
    for name, values in feeds.items():
        lines.append(f"[feeds.{name}]")
        lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
    path = folder / "feedd.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{k} = {_toml(v)}' for k, v in value.items())} }}"
    return json.dumps(value)


def shop(server: FeedServer, path: str = "/shop.json", **more: Any) -> dict[str, Any]:
    """The configuration of a feed on the test's server."""
    return {"url": server.url(path), "allow_private": ["127.0.0.0/8"], "every": "1h"} | more


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("feedd", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        with socket_address(self._path) as address:
            self.sock.connect(address)


class Running:
    """A daemon that was started on a configuration file; with another command than `feedd`, if one is given."""

    def __init__(self, config: Path, *, command: list[str] | None = None, **environ: str) -> None:
        self.config = config
        self.command = command
        self.environ = environ
        self.socket = config.parent / "state" / "feedd.sock"
        self.log_path = config.parent / "daemon.log"
        self.start()

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            lines = len(self.log())
            words = ["--config", str(self.config), "run"]
            env = os.environ | {"PYTHONWARNINGS": "error"} | self.environ
            self.process: Forked | subprocess.Popen[bytes] = (
                forker().start(words, env, log, log)
                if self.command is None
                else subprocess.Popen([*self.command, *words], stdout=log, stderr=log, env=env)
            )
        wait_for(lambda: self._ready(lines) or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended: {self.log_path.read_text()}")

    def _ready(self, lines: int) -> bool:
        return any(line["event"] == "daemon.ready" for line in self.log()[lines:])

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        kind = response.headers.get("content-type", "")
        return response.status, json.loads(text) if "json" in kind else text.decode()

    def get(self, path: str) -> Any:
        status, document = self.request("GET", path)
        assert status == 200, document
        return document

    def feed(self, name: str = "shop") -> dict[str, Any]:
        attributes: dict[str, Any] = self.get(f"/api/feeds/{name}")["data"]["attributes"]
        return attributes

    def ids(self) -> set[str]:
        return {
            r["attributes"]["external_id"]
            for r in self.get("/api/catalog-items?page[size]=1000")["data"]
        }

    def changes(self, **filters: str) -> list[dict[str, Any]]:
        terms = ",".join(f'equals({field},"{value}")' for field, value in filters.items())
        query = f"&filter={quote(terms)}" if terms else ""
        page = self.get(f"/api/catalog-changes?page[size]=1000{query}")
        return [resource["attributes"] for resource in page["data"]]

    def resync(self, name: str = "shop", **options: Any) -> dict[str, Any]:
        """Resync, and wait for its end."""
        feed = {"data": {"type": "feed", "id": name}}
        body = {
            "data": {"type": "feed-sync", "attributes": options, "relationships": {"feed": feed}}
        }
        status, document = self.request("POST", "/api/feed-syncs", body)
        assert status == 202, document
        path = f"/api/feed-syncs/{document['data']['id']}"
        wait_for(lambda: self.get(path)["data"]["attributes"]["status"] != "running")
        found = self.get(path)["data"]
        return {"id": found["id"], **found["attributes"]}

    def log(self) -> list[dict[str, Any]]:
        lines = self.log_path.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        if self.process.poll() is None:
            self.send(number)
        return self.process.wait(15)


@contextlib.contextmanager
def running(config: Path, **environ: str) -> Iterator[Running]:
    daemon = Running(config, **environ)
    try:
        yield daemon
    finally:
        daemon.stop(signal.SIGKILL)


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something holds, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)

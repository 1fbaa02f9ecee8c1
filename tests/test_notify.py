"""What the daemon tells the service manager, over the real socket of one: sd_notify(3), systemd.service(5)."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from daemons import running, shop, wait_for, write_config
from servers import FeedServer, feed_server

from feedd.notify import Notifier, take_notifier

Message = dict[str, str]


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1) if address[0] == "@" else address)

    def next(self, timeout_s: float = 20) -> Message:
        self._socket.settimeout(timeout_s)
        text = self._socket.recv(4096).decode()
        return dict(line.split("=", 1) for line in text.split("\n"))

    def until(self, key: str, timeout_s: float = 20) -> Message:
        """The next message that has this key."""
        deadline = time.monotonic() + timeout_s
        while key not in (message := self.next(deadline - time.monotonic())):
            continue
        return message

    def hears_nothing(self, seconds: float) -> bool:
        try:
            self.next(seconds)
        except TimeoutError:
            return True
        return False

    def drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            while True:
                self.next(0.01)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = f"@feedd-test-{os.getpid()}-{tmp_path.name}"
    made = Manager(str(tmp_path / "notify") if request.param == "path" else name)
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/shop.json"] = b'[{"id": "1", "title": "Mug"}]'
        yield made


def now_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000


def test_the_daemon_tells_of_its_life(manager: Manager, server: FeedServer, tmp_path: Path) -> None:
    config = write_config(tmp_path, {"shop": shop(server)})
    with running(config, NOTIFY_SOCKET=manager.address) as daemon:
        assert int(manager.next()["EXTEND_TIMEOUT_USEC"]) > 60e6  # the databases are made
        ready = manager.next()
        assert ready == {"READY": "1", "STATUS": f"1 feed; answering on {daemon.socket}"}
        assert daemon.get("/readyz") == "ok\n"

        before = now_us()
        daemon.send(signal.SIGHUP)
        reloading = manager.next()
        assert set(reloading) == {"RELOADING", "MONOTONIC_USEC"}
        assert before <= int(reloading["MONOTONIC_USEC"]) <= now_us()
        assert manager.next() == ready

        config.write_text(config.read_text() + "nonsense = 1\n")
        daemon.send(signal.SIGHUP)
        assert manager.next()["RELOADING"] == "1"
        refused = manager.next()
        assert refused["READY"] == "1"
        assert "refused" in refused["STATUS"]

        assert daemon.stop() == 0
        assert manager.next()["STOPPING"] == "1"
    config.write_text(config.read_text().replace("nonsense = 1\n", ""))
    with running(config, NOTIFY_SOCKET=manager.address):
        assert manager.next()["READY"] == "1"  # nothing is to be upgraded, so no extension


def test_sockets_answer_once_it_is_ready(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    config = write_config(tmp_path, {})
    daemon = subprocess.Popen(
        [sys.executable, "-m", "feedd", "--config", str(config), "run"],
        env=os.environ | {"NOTIFY_SOCKET": manager.address},
        stderr=subprocess.DEVNULL,
    )
    try:
        manager.until("READY")
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(tmp_path / "state" / "feedd.sock"))
        client.close()
    finally:
        daemon.kill()
        daemon.wait()
        manager.close()


def test_children_are_not_told_of_the_manager(server: FeedServer, tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    config = write_config(tmp_path, {"shop": shop(server)})
    with running(config, NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="9000000") as daemon:
        daemon.resync()
        children = psutil.Process(daemon.process.pid).children(recursive=True)
        assert children  # the fork server at least
        for child in children:
            assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & child.environ().keys()
    manager.close()


def test_the_watchdog_is_fed_at_half_of_its_interval(server: FeedServer, tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    config = write_config(tmp_path, {"shop": shop(server)})
    with running(config, NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="2000000"):
        manager.until("WATCHDOG")
        begun = time.monotonic()
        for _ in range(3):
            manager.until("WATCHDOG")
        assert 2.5 < time.monotonic() - begun < 4.5
    manager.close()


@pytest.mark.parametrize(
    "more", [{}, {"WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "x"}]
)
def test_the_watchdog_is_not_fed_unasked(more: dict[str, str], tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    with running(write_config(tmp_path, {}), NOTIFY_SOCKET=manager.address, **more):
        manager.until("READY")
        assert manager.hears_nothing(1)
    manager.close()


BLOCKED = """
import os, sys, threading, time
from pathlib import Path
from feedd import daemon
from feedd.settings import load

def block_later(running):
    def wait():
        while not Path(sys.argv[2]).exists():
            time.sleep(0.02)
        running.http._server.loop.call_soon_threadsafe(time.sleep, 4)
    threading.Thread(target=wait, daemon=True).start()

config = Path(sys.argv[1])
sys.exit(daemon.run(lambda: load(config, environ=os.environ, cwd=Path.cwd()), on_ready=block_later))
"""


def test_the_watchdog_is_not_fed_while_the_event_loop_is_blocked(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    script = tmp_path / "blocked.py"
    script.write_text(
        f"if __name__ == '__main__':\n    {BLOCKED.strip().replace(chr(10), chr(10) + '    ')}"
    )
    block = tmp_path / "block"
    daemon = subprocess.Popen(
        [sys.executable, str(script), str(write_config(tmp_path, {})), str(block)],
        env=os.environ | {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"},
        stderr=subprocess.DEVNULL,
    )
    try:
        manager.until("WATCHDOG")
        block.touch()
        time.sleep(0.7)
        manager.drain()
        assert manager.hears_nothing(2)
        manager.until("WATCHDOG")  # it turns again
    finally:
        daemon.kill()
        daemon.wait()
        manager.close()


def test_the_watchdog_is_not_fed_while_the_database_does_not_answer(
    postgres_template: str, tmp_path: Path
) -> None:
    with psycopg.connect(postgres_template, autocommit=True) as connection:
        connection.execute("CREATE DATABASE feedd_watchdog TEMPLATE template_feedd")
    url = postgres_template.replace("/postgres?", "/feedd_watchdog?")
    manager = Manager(str(tmp_path / "notify"))
    config = write_config(tmp_path, {})
    config.write_text(f'database = {{ env = "FEEDD_DATABASE" }}\n{config.read_text()}')
    environ = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000", "FEEDD_DATABASE": url}
    with running(config, **environ) as daemon:
        manager.until("WATCHDOG")
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE people.alembic_version IN ACCESS EXCLUSIVE MODE")
            time.sleep(0.5)
            manager.drain()
            assert manager.hears_nothing(2)  # it hangs
        manager.until("WATCHDOG")
        with psycopg.connect(postgres_template, autocommit=True) as connection:
            connection.execute("ALTER DATABASE feedd_watchdog ALLOW_CONNECTIONS false")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'feedd_watchdog'"
            )
            time.sleep(0.5)
            manager.drain()
            assert manager.hears_nothing(2)  # it refuses
            wait_for(lambda: any(line["event"] == "daemon.unwell" for line in daemon.log()))
            connection.execute("ALTER DATABASE feedd_watchdog ALLOW_CONNECTIONS true")
        manager.until("WATCHDOG")
    manager.close()


def test_a_manager_that_is_gone_hurts_nobody(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    with running(write_config(tmp_path, {}), NOTIFY_SOCKET=gone, WATCHDOG_USEC="200000") as daemon:
        daemon.send(signal.SIGHUP)
        wait_for(lambda: any(line["event"] == "config.reloaded" for line in daemon.log()))
        assert daemon.stop() == 0


def test_a_manager_that_does_not_listen_is_not_waited_for_long(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    notifier = Notifier(manager.address)
    for _ in range(200):  # more than the socket holds
        before = time.monotonic()
        notifier.alive()
        if (waited := time.monotonic() - before) > 1:
            break
    assert 1 < waited < 10
    manager.close()


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_what_is_no_socket_of_this_machine_is_left_alone(address: str) -> None:
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000", "PATH": "/bin"}
    assert take_notifier(environ).watchdog_s is None
    assert environ == {"PATH": "/bin"}

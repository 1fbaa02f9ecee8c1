"""feedd lives within the unit's rules for system calls: whatever it does, none of them is broken."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from daemons import Running, shop, wait_for, write_config
from servers import FeedServer, feed_server

from feedd.resources import shipped

CONFINED = Path(__file__).with_name("confined.py")
UNIT = shipped("systemd") / "feedd.service"


def _can_confine() -> bool:
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return False
    return shutil.which("systemd-analyze") is not None


pytestmark = pytest.mark.skipif(
    not _can_confine(), reason="needs systemd-analyze, which lists the calls, and libseccomp"
)


def confined(*program: str) -> list[str]:
    return [sys.executable, str(CONFINED), str(UNIT), *program]


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/shop.json"] = b'[{"id": "1", "title": "Mug", "price": "5.00 EUR"}]'
        made.bodies["/shop.xml"] = (
            b'<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>1</g:id>'
            b"<title>Mug</title><g:price>5.00 EUR</g:price></item></channel></rss>"
        )
        yield made


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.chown('/tmp', 0, 0)",
        "import os; os.sched_setaffinity(0, {0})",
        "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)",
    ],
)
def test_what_the_unit_forbids_is_death(code: str) -> None:
    done = subprocess.run(confined(sys.executable, "-c", code), capture_output=True)
    assert done.returncode == -signal.SIGSYS


def test_a_family_that_the_unit_does_not_name_is_refused() -> None:
    code = "import socket; socket.socket(socket.AF_NETLINK)"
    done = subprocess.run(confined(sys.executable, "-c", code), capture_output=True, text=True)
    assert "Address family not supported" in done.stderr


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_feedd_lives_within_the_units_rules(
    kind: str, server: FeedServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database = {}
    if kind == "postgresql":
        template = request.getfixturevalue("postgres_template")
        with psycopg.connect(template, autocommit=True) as connection:
            connection.execute("CREATE DATABASE feedd_confined TEMPLATE template_feedd")
        database = {"FEEDD_DATABASE": template.replace("/postgres?", "/feedd_confined?")}
    feeds = {
        "shop": shop(server),
        "products": shop(server, "/shop.xml", schema="google-product"),
        "nowhere": {"url": "http://nowhere.invalid/feed"},  # names are asked for
    }
    config = write_config(tmp_path, feeds, listen="127.0.0.1:0")
    if database:
        config.write_text(f'database = {{ env = "FEEDD_DATABASE" }}\n{config.read_text()}')
    daemon = Running(config, command=confined(sys.executable, "-m", "feedd"), **database)
    try:
        for feed, status in (("shop", "applied"), ("products", "applied")):
            wait_for(lambda feed=feed: daemon.feed(feed)["last_applied"])
            assert daemon.feed(feed)["status"] == status
        wait_for(lambda: daemon.feed("nowhere")["error"])
        assert daemon.feed("nowhere")["error"]["code"] not in ("crashed", "bug")
        server.bodies["/shop.json"] = b'[{"id": "1", "title": "Cup"}]'
        assert daemon.resync()["status"] == "applied"
        assert daemon.get("/readyz") == "ok\n"
        daemon.send(signal.SIGHUP)
        wait_for(lambda: any(line["event"] == "config.reloaded" for line in daemon.log()))
        command = confined(sys.executable, "-m", "feedd", "--config", str(config))
        for words in (["feeds"], ["changes"], ["key", "create", "--private", "--name", "x"]):
            subprocess.run(
                [*command, *words], check=True, capture_output=True, env=os.environ | database
            )
        assert daemon.stop() == 0
        assert not [
            line for line in daemon.log() if line["event"] in ("sync.error", "daemon.unwell")
        ]
    finally:
        daemon.stop(signal.SIGKILL)

"""The command line feels quick: a command imports what it needs, when it needs it.

What is asserted is what is imported, which is most of a short command's time and the same on every machine;
`tests/benchmarks/commands.py` prints the time.
"""

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import running, shop, write_config
from servers import FeedServer, feed_server

from feedd.cli.commands import COMMANDS, GROUPS

# what costs from a twentieth of a second on
HEAVY = {
    "alembic",
    "apscheduler",
    "cryptography",
    "email_validator",
    "fastapi",
    "feedd.api",
    "feedd.daemon",
    "feedd.dispatch",
    "feedd.fetch",
    "feedd.formats",
    "feedd.ingest",
    "feedd.intake",
    "feedd.normalize",
    "feedd.schema",
    "httpx",
    "jsonschema",
    "jsonschema_rs",
    "lxml",
    "multiprocessing",
    "numpy",
    "phonenumbers",
    "psycopg",
    "sqlalchemy.orm",
    "sqlmodel",
    "structlog",
    "uvicorn",
}
STORE = {"sqlalchemy", "sqlite3", "feedd.app", "feedd.store"}

PROGRAM = """
import json, sys
from feedd.cli import main
sys.argv = ["feedd", *json.loads(sys.argv[1])]
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def imported_by(*arguments: str, code: str = PROGRAM) -> set[str]:
    """The modules that a command has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/shop.json"] = b'[{"id": "sku-1", "title": "Mug"}]'
        yield made


def test_help_imports_no_command() -> None:
    modules = imported_by("--help")
    assert not modules & (HEAVY | STORE | {"feedd.settings", "http.client"})
    assert {m for m in modules if m.startswith("feedd.cli.")} == {
        f"feedd.cli.{name}" for name in ("commands", "exits", "main", "options", "show")
    }


def test_loading_every_command_imports_nothing_heavy() -> None:
    modules = imported_by(
        code="""
import json, sys
from feedd.cli.commands import COMMANDS
for command in COMMANDS:
    command.load()
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
    )
    assert not modules & (HEAVY | STORE | {"rich.table"})


def test_a_command_that_looks_opens_the_databases_and_no_more(
    tmp_path: Path, server: FeedServer
) -> None:
    config = write_config(tmp_path, {"shop": shop(server)})
    subprocess.run(
        [sys.executable, "-m", "feedd", "--config", config, "resync", "shop"], check=True
    )
    subprocess.run(
        [sys.executable, "-m", "feedd", "--config", config, "identify", "jane.doe@example.com"],
        check=True,
    )
    for command in (
        ["feeds"],
        ["feeds", "--json"],
        ["changes"],
        ["item", "sku-1"],
        ["key", "list"],
        ["metrics"],
        ["metrics", "timeline"],
        ["profile", "show", "jane.doe@example.com"],
        ["profile", "export", "-"],
    ):
        modules = imported_by("--config", str(config), *command)
        assert modules >= STORE, command
        assert not modules & (HEAVY | {"sqlalchemy.dialects.postgresql"}), command


def test_a_resync_of_an_unchanged_file_imports_nothing_that_reads_it(tmp_path: Path) -> None:
    (tmp_path / "shop.json").write_bytes(b'[{"id": "sku-1", "title": "Mug"}]')
    feed = {"url": f"file://{tmp_path}/shop.json", "schema": "google-product"}
    config = write_config(tmp_path, {"shop": feed}, file_roots=[str(tmp_path)])
    command = ["--config", str(config), "resync", "shop"]
    assert imported_by(*command) >= {"numpy", "feedd.intake", "feedd.formats"}
    modules = imported_by(*command)
    sync = {
        "feedd.dispatch",
        "feedd.fetch",
        "feedd.ingest",
        "feedd.normalize",
        "feedd.schema",
        "jsonschema_rs",
    }
    assert not modules & ((HEAVY - sync) | {"rich.console", "http.client", "feedd.guess"})


@pytest.mark.parametrize(("size", "reads"), [(5, False), (6, True)])
def test_what_reads_a_body_is_imported_while_a_new_one_comes(size: int, reads: bool) -> None:
    program = f"""
import json, sys, threading
from feedd.fetch import Known
from feedd.ingest import _getting_ready
told = []
_getting_ready(lambda *each: told.append(each), Known(b"", 5))(1, {size})
for thread in threading.enumerate()[1:]:
    thread.join()
assert told == [(1, {size})]
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
    assert ("feedd.intake" in imported_by(code=program)) is reads


def test_a_command_that_asks_the_daemon_opens_nothing(tmp_path: Path, server: FeedServer) -> None:
    with running(write_config(tmp_path, {"shop": shop(server)})) as daemon:
        for command in (
            ["feeds"],
            ["changes"],
            ["rejects", "--warnings"],
            ["track", "Placed Order", "jane.doe@example.com"],
            ["profile", "show", "jane.doe@example.com"],
            ["metrics", "chart", "Placed Order"],
            ["templates"],
        ):
            modules = imported_by("--config", str(daemon.config), *command)
            assert not modules & (HEAVY | STORE | {"feedd.cli.local"}), command


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_commands_line_in_help_is_the_first_of_its_docstring(command) -> None:
    callback = command.load().callback
    assert callback is not None
    assert (inspect.getdoc(callback) or "").partition("\n\n")[0] == command.help


def test_every_group_is_named() -> None:
    groups = {command.name.rpartition(" ")[0] for command in COMMANDS} - {""}
    assert groups == set(GROUPS)

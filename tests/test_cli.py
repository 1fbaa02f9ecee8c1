"""The command line as people type it: real processes, with a running daemon and without one."""

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import resource
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemons import Running, running, shop, wait_for, write_config
from forked import forker
from rich.console import Console
from servers import FeedServer, feed_server

from feedd.cli.commands import COMMANDS
from feedd.cli.exits import EXIT_CODES, exit_code
from feedd.cli.progress import Bars
from feedd.cli.show import size
from feedd.errors import ConfigError, FeeddError, FormatError, NotFound, StateInUse
from feedd.model import Progress

DOCS = Path(__file__).parent.parent / "docs" / "cli.md"
RESYNC = [
    "feed", "status", "added", "updated", "removed", "restored", "unchanged",
    "rejected", "warnings", "duplicates", "held_removals", "duration_s", "error",
]  # fmt: skip
FEEDS = [
    "feed", "status", "items", "last_sync", "last_applied", "next_due", "error", "held_removals", "warnings",
]  # fmt: skip


class Shell:
    """Types feedd commands on one configuration."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.env = os.environ | {"NO_COLOR": "1", "PYTHONWARNINGS": "error"}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "feedd", "--config", str(self.config), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return forker().run(["--config", str(self.config), *words], self.env)

    def __call__(self, *words: str) -> str:
        """The output of a command that succeeds."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def lines(self, *words: str) -> list[Any]:
        return [json.loads(line) for line in self(*words, "--json").splitlines()]

    def failing(self, code: int, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr + done.stdout


def body(*records: dict[str, Any]) -> bytes:
    return json.dumps([{"title": "Mug"} | record for record in records]).encode()


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/shop.json"] = body(
            {"id": "a", "price": "9.50 EUR"}, {"id": "b"}, {"price": 3}
        )
        yield made


@pytest.fixture(params=["daemon", "alone"])
def shell(request: pytest.FixtureRequest, server: FeedServer, tmp_path: Path) -> Iterator[Shell]:
    """A shell beside a running daemon, or with none: the commands say the same."""
    feeds = {"shop": shop(server), "outlet": shop(server, "/outlet.json", enabled=False)}
    made = Shell(write_config(tmp_path, feeds))
    if request.param == "alone":
        made("resync", "shop")
        yield made
        return
    with running(made.config) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "applied")
        yield made


def test_a_new_users_walk(shell: Shell, server: FeedServer) -> None:
    server.bodies["/shop.json"] = body({"id": "a", "price": "8.50 EUR"}, {"id": "c"})
    assert "shop applied" in shell("resync", "shop")
    assert "price 9.5 -> 8.5" in shell("changes", "shop")
    assert "removed" in shell("changes")
    assert "8.5" in shell("item", "a")
    assert "applied" in shell("feeds")
    for broken, says in (
        ((500, {}, b"down"), "the server answered 500"),
        ((200, {}, b'[{"id": "a", "title": "Mug"}, {"id'), "cut short"),
        ((200, {}, b""), "empty body"),
        ((200, {}, b"<!doctype html><html><title>Log in</title></html>"), "web page"),
    ):
        server.answers["/shop.json"] = broken
        assert says in shell.failing(1, "resync", "shop")
        assert says in shell("feeds")
        assert "8.5" in shell("item", "a")
    del server.answers["/shop.json"]
    assert "shop unchanged" in shell("resync", "shop")
    assert "500" not in shell("feeds")


def test_json_is_what_the_documentation_says(shell: Shell) -> None:
    (outcome,) = shell.lines("resync", "shop")
    assert list(outcome) == RESYNC
    assert (outcome["status"], outcome["unchanged"], outcome["rejected"]) == ("unchanged", 2, 1)
    feeds = shell.lines("feeds")
    assert [list(feed) for feed in feeds] == [FEEDS, FEEDS]
    assert [(feed["feed"], feed["items"]) for feed in feeds] == [("shop", 2), ("outlet", 0)]
    assert feeds[1]["next_due"] is None
    changes = shell.lines("changes")
    assert [change["seq"] for change in changes] == [1, 2]
    assert changes[0] == {
        "seq": 1,
        "feed": "shop",
        "item": "a",
        "kind": "added",
        "fields": {},
        "sync": 1,
        "at": changes[0]["at"],
    }
    (found,) = shell.lines("item", "a")
    assert found == {
        "feed": "shop",
        "id": "a",
        "item": {"currency": "EUR", "id": "a", "price": 9.5, "title": "Mug"},
        "removed_at": None,
        "changed_at": changes[0]["at"],
    }
    (reject,) = shell.lines("rejects", "shop")
    assert list(reject) == [
        "feed",
        "sync",
        "item",
        "position",
        "pointer",
        "rule",
        "value",
        "hint",
        "passes",
    ]
    assert (reject["position"], reject["rule"], reject["item"]) == (3, "id_missing", None)
    documented = DOCS.read_text()
    for line in (outcome, feeds[0], changes[0], found, reject):
        for name in line:
            assert f'"{name}"' in documented, f"docs/cli.md does not name {name}"


def test_a_failed_resync_says_so_to_programs(shell: Shell, server: FeedServer) -> None:
    server.answers["/shop.json"] = (500, {}, b"down")
    done = shell.run("resync", "shop", "--json")
    outcome = json.loads(done.stdout)
    assert (done.returncode, outcome["status"]) == (1, "failed")
    assert "500" in outcome["error"]
    assert "500" in shell.lines("feeds")[0]["error"]


def test_held_removals_wait_for_a_person(shell: Shell, server: FeedServer) -> None:
    server.bodies["/shop.json"] = body(*({"id": str(n)} for n in range(20)))
    shell("resync", "shop", "--accept-removals")
    shell("resync", "shop", "--accept-removals")
    server.bodies["/shop.json"] = body(*({"id": str(n)} for n in range(5)))
    assert "resync shop --accept-removals" in shell("resync", "shop")
    assert "15 items are missing" in shell("feeds")
    assert shell.lines("feeds")[0]["held_removals"] == 15
    (outcome,) = shell.lines("resync", "shop", "--accept-removals")
    assert (outcome["status"], outcome["removed"]) == ("applied", 15)
    assert "missing" not in shell("feeds")
    assert "removed" in shell("item", "19")


def test_changes_can_be_read_from_a_place_on(shell: Shell, server: FeedServer) -> None:
    for price in range(1, 4):
        server.bodies["/shop.json"] = body(*({"id": str(n), "price": price} for n in range(700)))
        shell("resync", "shop")
    everything = shell.lines("changes", "--since", "0")
    assert [change["seq"] for change in everything] == list(range(1, len(everything) + 1))
    assert len(everything) > 2_000
    assert shell.lines("changes", "--since", "1000", "--limit", "1500") == everything[1000:2500]
    assert shell.lines("changes", "--limit", "3") == everything[-3:]
    assert len(shell.lines("changes", "shop")) == 50
    assert shell.lines("changes", "outlet") == []


def test_an_items_history_and_what_it_was_are_shown(shell: Shell, server: FeedServer) -> None:
    for price in ("8.50 EUR", "7.50 EUR"):
        server.bodies["/shop.json"] = body({"id": "a", "price": price}, {"id": "b/c"})
        shell("resync", "shop")
    changes = [(c["seq"], c["kind"], c["fields"]) for c in shell.lines("item", "a", "--history")]
    assert [change[:2] for change in changes] == [(1, "added"), (3, "updated"), (6, "updated")]
    assert changes[-1][2] == {"price": [8.5, 7.5]}
    (was,) = shell.lines("item", "a", "--at", "3", "--feed", "shop")
    assert list(was) == ["feed", "id", "item", "seq", "changed_at"]
    assert (was["item"]["price"], was["seq"]) == (8.5, 3)
    shown = shell("item", "a", "--history")
    assert re.search(r"6 .* updated +price +8\.5 +7\.5", shown)
    assert "no longer kept" not in shown
    assert "9.5" in shell("item", "a", "--at", "2")
    assert "added" in shell("item", "b/c", "--history", "--feed", "shop")
    assert "added by change 1" in shell.failing(2, "item", "a", "--at", "0")
    assert "newest one is" in shell.failing(2, "item", "a", "--at", "99")
    shell.failing(2, "item", "a", "--at", "1", "--history")
    shell.failing(2, "item", "nope", "--history")


def test_changes_are_chosen_by_kind_and_field(shell: Shell, server: FeedServer) -> None:
    server.bodies["/shop.json"] = body({"id": "a", "price": "8.50 EUR"}, {"id": "b", "brand": "X"})
    shell("resync", "shop")
    assert [c["seq"] for c in shell.lines("changes", "--kind", "updated")] == [3, 4]
    assert [c["seq"] for c in shell.lines("changes", "--field", "price")] == [3]
    both = ("--field", "price", "--field", "brand", "--kind", "updated", "--since", "0")
    assert [c["item"] for c in shell.lines("changes", *both)] == ["a", "b"]
    assert shell.lines("changes", "shop", "--kind", "removed", "--kind", "restored") == []
    assert "updated" in shell.failing(2, "changes", "--kind", "gone")


def test_closed_rejects_are_shown(shell: Shell, server: FeedServer) -> None:
    assert "No closed rejects" in shell("rejects", "--closed")
    server.bodies["/shop.json"] = body({"id": "a", "price": "9.50 EUR"}, {"id": "b"})
    shell("resync", "shop")
    assert "No rejects" in shell("rejects")
    (closed,) = shell.lines("rejects", "shop", "--closed")
    assert closed["closed_at"]
    assert (closed["position"], closed["rule"]) == (3, "id_missing")
    shell.failing(2, "rejects", "--closed", "--warnings")


def test_a_consumer_behind_retention_is_told_where_to_go_on(
    shell: Shell, server: FeedServer
) -> None:
    server.bodies["/shop.json"] = body({"id": "a", "price": "8.50 EUR"}, {"id": "b"})
    shell("resync", "shop")
    database = sqlite3.connect(shell.config.parent / "state" / "catalog.db")
    with contextlib.closing(database), database:
        database.execute("UPDATE stream SET oldest_seq = 3")
        database.execute("DELETE FROM changes WHERE sync_id = 1")
    told = shell.failing(2, "changes", "--since", "1")
    assert "oldest change that is kept is 3" in told
    assert "go on after 2" in told
    assert [c["seq"] for c in shell.lines("changes", "--since", "0")] == [3]
    assert "oldest change that is kept is 3" in shell.failing(2, "changes", "-f", "--since", "1")


def test_warnings_and_every_problem_of_a_reject_are_told(shell: Shell, server: FeedServer) -> None:
    server.bodies["/shop.json"] = json.dumps(
        [{"id": "w", "title": "Mug", "price": "a lot"}, {"price": 4}]
    ).encode()
    shell("resync", "shop")
    (warning,) = shell.lines("rejects", "shop", "--warnings")
    assert (warning["item"], warning["pointer"], warning["value"]) == ("w", "/price", "a lot")
    (reject,) = shell.lines("rejects")
    assert "/title" in reject["hint"]
    assert "a lot" in shell("rejects", "--warnings")
    assert "id_missing" in shell("rejects")
    server.bodies["/shop.json"] = json.dumps([{"title": f"Mug {n}"} for n in range(130)]).encode()
    assert "none of its 130 records could be used" in shell("resync", "shop")
    assert shell("rejects").count("id_missing") == 100
    assert "And more" in shell("rejects")
    assert shell("rejects", "--limit", "130").count("id_missing") == 130
    assert len(shell.lines("rejects")) == 130
    assert len(shell.lines("rejects", "--limit", "7")) == 7


def test_what_is_not_there_is_told_with_what_is(shell: Shell) -> None:
    assert "Configured feeds: shop, outlet" in shell.failing(2, "resync", "shpo")
    assert "Configured feeds" in shell.failing(2, "changes", "shpo")
    assert "Configured feeds" in shell.failing(2, "rejects", "shpo")
    assert "no item 'zzz'" in shell.failing(2, "item", "zzz")
    assert "no item 'zzz'" in shell.failing(2, "item", "zzz", "--feed", "shop")
    assert "--all" in shell.failing(2, "resync")
    assert "--all" in shell.failing(2, "resync", "shop", "--all")
    shell.failing(2, "changes", "--since", "-1")
    shell.failing(2, "nonsense")
    assert [line["feed"] for line in shell.lines("resync", "--all")] == ["shop"]


def test_keys_are_made_listed_and_revoked(shell: Shell) -> None:
    (made,) = shell.lines("key", "create", "--private", "--name", "site")
    assert list(made) == ["key", "name", "kind", "scopes"]
    assert made["key"].startswith("pk_")
    assert (made["name"], made["kind"], made["scopes"]) == ("site", "private", ["read", "write"])
    (public,) = shell.lines("key", "create", "--public", "--name", "page")
    assert re.fullmatch(r"[A-Za-z0-9]{6}", public["key"])
    (reading,) = shell.lines("key", "create", "--private", "--read-only", "--name", "report")
    assert reading["scopes"] == ["read"]
    assert made["key"] not in shell("key", "list")
    assert "site" in shell("key", "list")
    shell("key", "revoke", made["key"][:11])
    assert [bool(key["revoked_at"]) for key in shell.lines("key", "list")] == [True, False, False]
    assert not any("id" in key for key in shell.lines("key", "list"))
    assert "no key in use" in shell.failing(2, "key", "revoke", made["key"][:11])
    assert "--public" in shell.failing(2, "key", "create", "--name", "both")


def test_a_key_has_the_scopes_that_it_was_given(shell: Shell) -> None:
    words = ("key", "create", "--private", "--name", "erp")
    (made,) = shell.lines(*words, "--scope", "profiles:read", "--scope", "events:write")
    assert made["scopes"] == ["events:write", "profiles:read"]
    assert "profiles:read" in shell("key", "list")
    assert "RESOURCE:read" in shell.failing(2, *words, "--scope", "people:read")
    assert "--read-only" in shell.failing(2, *words, "--scope", "read", "--read-only")
    assert "--scope" in shell.failing(
        2, "key", "create", "--public", "--name", "p", "--scope", "read"
    )


def test_a_key_is_replaced_and_the_old_one_goes_on_for_a_while(shell: Shell) -> None:
    (made,) = shell.lines("key", "create", "--private", "--name", "erp", "--scope", "events:write")
    start = made["key"][:11]
    (fresh,) = shell.lines("key", "rotate", start, "--keep", "24h")
    assert fresh["key"] != made["key"]
    assert (fresh["name"], fresh["kind"], fresh["scopes"]) == ("erp", "private", ["events:write"])
    assert fresh["old"]["prefix"] == start
    assert fresh["old"]["expires_at"]
    assert "works no more" in shell.run("key", "rotate", fresh["key"][:11]).stderr
    ends = [
        (bool(key["expires_at"]), bool(key["revoked_at"])) for key in shell.lines("key", "list")
    ]
    assert ends == [(True, False), (False, True), (False, False)]
    assert "24h" in shell.failing(2, "key", "rotate", start, "--keep", "soon")
    assert "a year" in shell.failing(2, "key", "rotate", start, "--keep", "400d")
    assert "no key in use" in shell.failing(2, "key", "rotate", fresh["key"][:11])


def test_an_id_may_hold_any_sign(shell: Shell, server: FeedServer) -> None:
    ids = ['a"b\\c', "ü/x?y#z&w", "a, b)", "$custom", "כד-1"]
    server.bodies["/shop.json"] = body(*({"id": each} for each in ids), {"id": "a"}, {"id": "b"})
    shell("resync", "shop")
    for each in ids:
        assert shell.lines("item", each)[0]["id"] == each
        assert shell.lines("item", each, "--feed", "shop")[0]["id"] == each


def test_nothing_in_a_feed_commands_the_terminal(shell: Shell, server: FeedServer) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe [red]x[/red]"
    server.bodies["/shop.json"] = body(
        {"id": "e", "title": evil, "price": f"\x1b[2J{evil}", "\x1b[31mkey": 1},
        {"id": "x\x1b[31m", "title": evil},
    )
    shell("resync", "shop", "--accept-removals")
    for words in (["changes"], ["item", "e"], ["rejects", "--warnings"], ["rejects"]):
        shown = shell.run(*words).stdout
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "[red]x[/red]" in shell("item", "e")


def test_following_shows_changes_over_a_restart_of_the_daemon(
    server: FeedServer, tmp_path: Path
) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    with running(shell.config) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "applied")
        with _following(shell, "--since", "0") as seen:
            wait_for(lambda: len(seen()) == 2)
            daemon.stop()
            daemon.start()
            server.bodies["/shop.json"] = body({"id": "a", "price": "1 EUR"}, {"id": "b"})
            shell("resync", "shop")
            wait_for(lambda: len(seen()) == 3)
            assert seen()[-1]["fields"] == {"price": [9.5, 1]}


def test_following_is_filtered_and_ends_well_at_ctrl_c(shell: Shell, server: FeedServer) -> None:
    with _following(shell, "shop", "--field", "price", "--since", "0") as seen:
        time.sleep(1.0)
        server.bodies["/shop.json"] = body({"id": "a", "price": "1 EUR"}, {"id": "b"})
        shell("resync", "shop")
        wait_for(lambda: len(seen()) == 1)
        assert seen()[0]["seq"] == 3


@contextlib.contextmanager
def _following(shell: Shell, *words: str) -> Iterator[Any]:
    path = shell.config.parent / "followed.jsonl"
    with path.open("w") as out:
        process = subprocess.Popen(
            shell.command("changes", "--follow", "--json", *words), stdout=out, env=shell.env
        )
    try:
        yield lambda: [json.loads(line) for line in path.read_text().splitlines()]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_following_needs_no_daemon(server: FeedServer, tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    shell("resync", "shop")
    with _following(shell) as seen:
        wait_for(lambda: len(seen()) == 2)
        server.bodies["/shop.json"] = body({"id": "a", "price": "1 EUR"}, {"id": "b"})
        shell("resync", "shop")
        wait_for(lambda: len(seen()) == 3)


def test_check_names_every_problem_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "feedd.toml"
    config.write_text(
        '[feeds.shop]\nurl = "shop.example/x"\nevry = "15m"\nschema = "googel-product"\n'
    )
    shell = Shell(config)
    told = shell.failing(2, "check")
    for place, hint in ((":2:", "https://"), (":3:", "every"), (":4:", "google-product")):
        assert any(place in line for line in told.splitlines()), told
        assert hint in told
    assert "3 problems" in told
    for command in ("run", "feeds", "resync"):
        assert ":3:" in shell.failing(2, command, *(["shop"] if command == "resync" else []))
    config.write_text('[feeds.shop]\nurl = "https://shop.example/x"\n')
    assert "1 feed, no problems" in shell("check")


def test_check_looks_for_the_directory_of_templates(tmp_path: Path) -> None:
    config = tmp_path / "feedd.toml"
    shell = Shell(config)
    config.write_text('[templates]\ndirectory = "mails"\n')
    told = shell.failing(2, "check")
    assert f"{config}:2: templates.directory: {tmp_path}/mails is not a directory" in told
    (tmp_path / "mails").mkdir()
    assert "no problems" in shell("check")


def test_secrets_are_needed_only_where_they_are_used(server: FeedServer, tmp_path: Path) -> None:
    feed = shop(server, auth={"token": {"env": "FEEDD_TEST_TOKEN"}})
    shell = Shell(write_config(tmp_path, {"shop": feed}))
    assert "FEEDD_TEST_TOKEN is not set" in shell.failing(2, "check")
    os.environ["FEEDD_TEST_TOKEN"] = "secret-canary"
    try:
        with running(shell.config) as daemon:
            wait_for(lambda: daemon.feed()["status"] == "applied")
            del os.environ["FEEDD_TEST_TOKEN"]
            assert shell.lines("feeds")[0]["items"] == 2  # the shell has not the service's secrets
            assert shell.lines("resync", "shop")[0]["status"] == "unchanged"
        assert shell.lines("feeds")[0]["items"] == 2  # nor does reading need them
        assert "FEEDD_TEST_TOKEN is not set" in shell.failing(2, "resync", "shop")
    finally:
        os.environ.pop("FEEDD_TEST_TOKEN", None)


def test_a_held_state_directory_is_told_with_its_holder(server: FeedServer, tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}, socket=str(tmp_path / "a.sock")))
    daemon = subprocess.Popen(shell.command("run"), stderr=subprocess.DEVNULL, env=shell.env)
    try:
        wait_for((tmp_path / "a.sock").exists)
        told = shell.failing(75, "run")
        assert f"process {daemon.pid}" in told
        os.environ["FEEDD_STATE_DIR"] = str(tmp_path / "state")
        other = Shell(tmp_path / "other.toml")
        other.config.write_text(
            shell.config.read_text().replace("a.sock", "b.sock")  # looks for the daemon elsewhere
        )
        assert f"process {daemon.pid}" in other.failing(75, "resync", "shop")
        assert other.lines("feeds")[0]["feed"] == "shop"  # reading holds nothing
        assert shell.lines("feeds")[0]["feed"] == "shop"  # the daemon goes on
    finally:
        os.environ.pop("FEEDD_STATE_DIR", None)
        daemon.terminate()
        daemon.wait(15)


def test_any_script_is_shown_whatever_the_locale(server: FeedServer, tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    server.bodies["/shop.json"] = body({"id": "כד", "title": "كوب"})
    shell("resync", "shop")
    shell.env |= {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C"}
    shown, told = (
        subprocess.check_output(shell.command("item", "כד", *more), env=shell.env)
        for more in ([], ["--json"])
    )
    assert b"\\u0643" in shown
    assert json.loads(told)["item"]["title"] == "كوب"


def test_a_reader_that_has_gone_is_no_failure(shell: Shell, server: FeedServer) -> None:
    server.bodies["/shop.json"] = body(*({"id": f"{n:0>200}"} for n in range(2_000)))
    shell("resync", "shop")
    for options in ([], ["--json"]):
        words = shell.command("changes", "--since", "0", *options)
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=shell.env
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == ""
            assert process.wait(30) == 0


def test_output_that_cannot_be_written_is_told(shell: Shell) -> None:
    command = subprocess.list2cmdline(shell.command("changes", "--json"))
    done = subprocess.run(f"{command} > /dev/full", shell=True, capture_output=True, text=True)
    told = "feedd: cannot write the output: No space left on device. Make room on its disk, and try again.\n"
    assert (done.returncode, done.stderr) == (1, told)
    assert subprocess.run(f"{command} >&-", shell=True, capture_output=True).returncode == 0


def test_what_cannot_be_stored_fails_its_feed_alone(server: FeedServer, tmp_path: Path) -> None:
    feeds = {"large": shop(server, "/large.json"), "small": shop(server)}
    server.bodies["/large.json"] = body(*({"id": str(n)} for n in range(12_000)))
    shell = Shell(write_config(tmp_path, feeds))
    shell("resync", "small")

    def full_disk() -> None:
        most = 1_000_000  # more than the body, less than its items
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    def resync(*options: str) -> str:
        done = subprocess.run(
            shell.command("resync", "--all", *options),
            capture_output=True,
            text=True,
            env=shell.env,
            preexec_fn=full_disk,
        )
        assert (done.returncode, done.stderr) == (1, "")
        return done.stdout

    outcomes = {each["feed"]: each for each in map(json.loads, resync("--json").splitlines())}
    assert {name: each["status"] for name, each in outcomes.items()} == {
        "large": "failed",
        "small": "unchanged",
    }
    assert "the catalog database: " in outcomes["large"]["error"]
    told = resync()
    assert "small unchanged" in told
    assert "large failed" in told
    assert "the catalog database: " in told
    (large, small) = shell.lines("feeds")
    assert (large["items"], small["items"]) == (0, 2)
    assert large["error"] == outcomes["large"]["error"]


def test_a_sync_that_was_killed_is_told_as_interrupted(server: FeedServer, tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    server.delay.clear()
    killed = subprocess.Popen(shell.command("resync", "shop"), env=shell.env)
    wait_for(lambda: server.requests)
    (running_one,) = shell("feeds").splitlines()[1:]
    assert "running" in running_one
    killed.kill()
    killed.wait(30)
    server.delay.set()
    assert [feed["status"] for feed in shell.lines("feeds")] == ["interrupted"]
    assert "was killed and nothing of it was stored" in shell("feeds")
    shell("resync", "shop")
    assert [feed["status"] for feed in shell.lines("feeds")] == ["applied"]


def test_a_lease_that_has_run_out_is_no_running_sync(server: FeedServer, tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    shell("resync", "shop")
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "catalog.db")) as database:
        database.execute("UPDATE feeds SET lease_holder = 'elsewhere', lease_until = last_sync_at")
        database.commit()
    assert [feed["status"] for feed in shell.lines("feeds")] == ["interrupted"]


def test_a_table_in_a_pipe_is_not_padded(shell: Shell, server: FeedServer) -> None:
    server.bodies["/shop.json"] = body({"id": "a", "description": "long " * 80}, {"id": "b"})
    shell("resync", "shop")
    for words in (["item", "a"], ["feeds"], ["changes"]):
        lines = shell(*words).splitlines()
        assert lines == [line.rstrip() for line in lines]
    assert "title        Mug" in shell("item", "a")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 B"),
        (26, "26 B"),
        (1_000, "1.0 kB"),
        (999_900, "999.9 kB"),
        (1_000_000, "1.0 MB"),
        (139_195_800, "139.2 MB"),
    ],
)
def test_sizes_are_told_as_the_progress_bar_does(number: int, shown: str) -> None:
    assert size(number) == shown


def test_what_a_feed_says_is_shown_as_it_is(shell: Shell, server: FeedServer) -> None:
    server.bodies["/shop.json"] = body({"id": "x:smile:", "title": ":heart: [b]t[/b] :x:"})
    shell("resync", "shop")
    shell("resync", "shop", "--accept-removals")
    for words in (["changes"], ["item", "x:smile:"]):
        assert "x:smile:" in shell(*words)
    assert ":heart: [b]t[/b] :x:" in shell("item", "x:smile:")


def test_looking_makes_no_state_directory(tmp_path: Path) -> None:
    config = tmp_path / "feedd.toml"
    config.write_text('[feeds.shop]\nurl = "https://shop.example/x"\n')
    shell = Shell(config)
    shell.env |= {"FEEDD_STATE_DIR": str(tmp_path / "nothing")}
    for words in (["feeds"], ["changes"], ["item", "a"], ["rejects"], ["key", "list"]):
        assert "nothing is stored" in shell.failing(2, *words)
    assert not (tmp_path / "nothing").exists()


def test_a_daemon_can_be_asked_although_its_configuration_broke(
    server: FeedServer, tmp_path: Path
) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    with running(shell.config) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "applied")
        shell.config.write_text(shell.config.read_text().replace("[feeds", "oops = 1\n[feeds", 1))
        done = shell.run("feeds")
        assert done.returncode == 0
        assert "1 problem (feedd check)" in done.stderr
        assert "applied" in done.stdout
        assert "unchanged" in shell("resync", "shop")


def test_arguments_that_make_no_sense_are_refused(shell: Shell) -> None:
    shell.failing(2, "rejects", "--limit", "9" * 20)
    shell.failing(2, "changes", "--since", "9" * 30)
    shell.failing(2, "changes", "--limit", "0")
    shell.failing(2, "changes", "")
    for command in ("item", "changes", "rejects", "resync"):
        done = subprocess.run(
            [*(word.encode() for word in shell.command(command)), b"\xff\xfe"], capture_output=True
        )
        assert done.returncode == 2
        assert b"Traceback" not in done.stderr


def test_every_error_has_an_exit_code() -> None:
    assert exit_code(ConfigError([])) == 2
    assert exit_code(NotFound("x")) == 2
    assert exit_code(FormatError("x", "y")) == 1
    assert exit_code(StateInUse("x", "y")) == 75
    assert {
        kind for kind in FeeddError.__subclasses__() if kind.__module__ == "feedd.errors"
    } == set(EXIT_CODES)


def test_help_names_every_command_and_the_documentation_describes_it() -> None:
    program = Shell(Path("/nowhere"))
    told = program("--help")
    documented = DOCS.read_text()
    commands = re.findall(r"^│ ([a-z][a-z-]*) ", told, re.MULTILINE)
    assert {command.name.partition(" ")[0] for command in COMMANDS} == set(commands)
    for command in (*commands, *(command.name for command in COMMANDS)):
        assert f"feedd {command}" in documented
        options = program(*command.split(), "--help")
        for option in re.findall(r"^│ \*? *(--[a-z-]+)", options, re.MULTILINE):
            assert option in documented, f"docs/cli.md does not name {option} of {command}"


class Terminal:
    """A command in a terminal of 40 lines and 100 columns; `shown` is all that it has printed."""

    def __init__(self, command: list[str], **env: str) -> None:
        self.shown = b""
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, os.environ | {"TERM": "xterm-256color"} | env)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))

    def read_until(self, text: bytes) -> None:
        deadline = time.monotonic() + 40
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown.decode()
            assert self._read(1.0), self.shown.decode()

    def type(self, text: bytes) -> None:
        os.write(self._terminal, text)

    def end(self, number: int | None = None) -> int:
        """Send a signal, read to the end; the exit code."""
        if number is not None:
            os.kill(self.pid, number)
        while self._read(40.0):
            pass
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self, timeout_s: float) -> bool:
        """Read what is there; False when the other side has closed, which Linux calls an I/O error."""
        if not select.select([self._terminal], [], [], timeout_s)[0]:
            return True
        try:
            more = os.read(self._terminal, 65536)
        except OSError:
            return False
        self.shown += more
        return bool(more)


def test_the_demo_shows_syncs_and_changes_and_ends_at_ctrl_c() -> None:
    with tempfile.TemporaryDirectory() as folder:  # a short path: there is a socket in it
        _show_the_demo(Path(folder))


def _show_the_demo(folder: Path) -> None:
    terminal = Terminal([sys.executable, "-m", "feedd", "demo"], TMPDIR=str(folder))
    terminal.read_until(b"price")
    terminal.read_until(b"Placed Order")
    address = re.search(r"a template makes: *(http://[0-9.:]+/)", terminal.shown.decode())
    assert address is not None
    with urllib.request.urlopen(address[1], timeout=30) as answer:
        page = answer.read().decode()
    assert "What just changed" in page
    assert "The cheapest of the kitchen" in page
    assert "€" in page
    (template,) = folder.glob("feedd-demo-*/templates/*.html")
    template.unlink()
    until = time.monotonic() + 30
    while "What just changed" in page and time.monotonic() < until:
        time.sleep(0.1)
        with urllib.request.urlopen(address[1], timeout=30) as answer:
            page = answer.read().decode()
    assert '<meta http-equiv="refresh"' in page
    assert f"{template}\nis not there any more" in page
    code = terminal.end(signal.SIGINT)
    text = terminal.shown.decode()
    assert code == 0, text
    for expected in (
        "second terminal",
        "applied",
        "+150 added",
        "price",
        "->",
        "people",
        "shopper1@example.com",
        "has ended",
    ):
        assert expected in text
    assert "Traceback" not in text
    assert "\x1b[3" in text  # there is colour
    assert not list(folder.iterdir()), "the demo left something behind"


def test_a_folder_for_temporary_files_whose_path_is_too_long_is_named(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "feedd", "demo"],
        env=os.environ | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "TMPDIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_long_resync_shows_its_progress(server: FeedServer, tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    server.bodies["/shop.json"] = body(
        *({"id": str(n), "description": "x" * 100} for n in range(150_000))
    )
    terminal = Terminal(shell.command("resync", "shop"))
    assert terminal.end() == 0
    assert b"records" in terminal.shown
    assert b"+150,000 added" in terminal.shown
    after_the_bar = terminal.shown.rpartition(b"\x1b[2K")[2]  # the line was erased
    assert re.match(rb"(\x1b\[[0-9;]*m)*shop ", after_the_bar)


def test_the_clock_of_a_sync_goes_on_through_its_stages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen, now_s = io.StringIO(), 100.0
    made = Console(file=screen, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr("feedd.cli.progress.console", lambda *, stderr: made)
    monkeypatch.setattr("feedd.cli.progress.is_plain", lambda *, stderr: False)
    with Bars(lambda: now_s) as bars:
        bars.show("shop", Progress(stage="fetch", done_bytes=0, total_bytes=9))
        for stage, later_s in (("fetch", 101.0), ("read", 163.0)):
            now_s = later_s
            bars.show("shop", Progress(stage=stage, done_bytes=9, total_bytes=9))
    assert "0:01:03" in screen.getvalue()


def test_resync_beside_a_running_one_waits_for_its_turn(server: FeedServer, tmp_path: Path) -> None:
    config = write_config(tmp_path, {"shop": shop(server)})
    with running(config) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "applied")
        _resync_while_one_runs(daemon, Shell(config), server)


def _resync_while_one_runs(daemon: Running, shell: Shell, server: FeedServer) -> None:
    server.delay.clear()
    first = subprocess.Popen(shell.command("resync", "shop", "--json"), stdout=subprocess.PIPE)
    wait_for(lambda: len(server.requests) == 2)
    second = subprocess.Popen(shell.command("resync", "shop", "--json"), stdout=subprocess.PIPE)
    time.sleep(6.5)  # longer than the daemon lets a request wait for its turn
    server.delay.set()
    for process in (first, second):
        out, _ = process.communicate(timeout=30)
        assert json.loads(out)["status"] == "unchanged"
    assert len(server.requests) == 3
    assert len(daemon.get("/api/feed-syncs")["data"]) == 3


def test_a_stored_body_is_read_again_by_hand(shell: Shell, server: FeedServer) -> None:
    server.answers["/shop.json"] = (500, {}, b"down")
    requests = len(server.requests)
    (outcome,) = shell.lines("resync", "shop", "--replay")
    assert list(outcome) == RESYNC
    assert (outcome["status"], outcome["unchanged"], outcome["rejected"]) == ("applied", 2, 1)
    assert len(server.requests) == requests
    assert "no body of feed outlet is kept" in shell.failing(1, "resync", "outlet", "--replay")


def test_a_dry_run_tells_what_a_resync_would_do(shell: Shell, server: FeedServer) -> None:
    server.bodies["/shop.json"] = body(
        {"id": "a", "price": "8.50 EUR"}, {"id": "c", "title": "Bowl \x1b[31m"}, {"price": 3}
    )
    *changes, outcome = shell.lines("resync", "shop", "--dry-run")
    assert [list(change) for change in changes] == [
        ["seq", "feed", "item", "kind", "fields", "sync", "at"]
    ] * 3
    assert [(c["seq"], c["item"], c["kind"]) for c in changes] == [
        (None, "a", "updated"), (None, "c", "added"), (None, "b", "removed"),
    ]  # fmt: skip
    assert changes[0]["fields"] == {"price": [9.5, 8.5]}
    assert list(outcome) == RESYNC
    assert (outcome["status"], outcome["rejected"]) == ("applied", 1)
    told = shell("resync", "shop", "--dry-run")
    assert "shop would be applied" in told
    assert "price 9.5 -> 8.5" in told
    assert "id_missing" in told
    assert "nothing was stored" in told
    assert "\x1b" not in told
    assert "would be unchanged" not in told
    assert shell.lines("changes", "--since", "0")[-1]["seq"] == 2
    assert "2 unchanged" in shell("resync", "shop", "--dry-run", "--replay")
    assert "no body of feed outlet" in shell.failing(1, "resync", "outlet", "--dry-run", "--replay")
    assert "outlet would fail" in shell.failing(1, "resync", "outlet", "--dry-run")
    assert "--limit is for --dry-run" in shell.failing(2, "resync", "shop", "--limit", "3")
    assert shell.lines("resync", "shop")[0]["added"] == 1


def test_a_dry_run_before_the_first_sync_stores_no_feed(server: FeedServer, tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    told = shell("resync", "--all", "--dry-run", "--limit", "1")
    assert "+2 added" in told
    assert "and 1 more" in told
    (feed,) = shell.lines("feeds")
    assert (feed["status"], feed["last_sync"]) == ("new", None)
    assert not list((tmp_path / "state" / "spool").iterdir())


def test_a_configuration_is_tried_before_the_daemon_reads_it(
    server: FeedServer, tmp_path: Path
) -> None:
    rows = [{"id": "a", "label": "Mug"}, {"id": "b", "title": "Cup"}]
    server.bodies["/shop.json"] = json.dumps(rows).encode()
    feed = shop(server, schema="item", items="")
    shell = Shell(config := write_config(tmp_path, {"shop": feed}))
    with running(config) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "applied")
        assert [r["passes"] for r in shell.lines("rejects")] == [False]
        write_config(tmp_path, {"shop": feed | {"fields": {"title": ["label"]}}})
        assert [r["passes"] for r in shell.lines("rejects")] == [True]
        assert "reload the daemon" in shell("rejects", "shop")
        *changes, outcome = shell.lines("resync", "shop", "--dry-run", "--replay")
        assert [(c["item"], c["kind"]) for c in changes] == [("a", "added")]
        assert outcome["rejected"] == 1
        secret = {"auth": {"token": {"env": "FEEDD_TEST_NOBODY_SET_THIS"}}}
        write_config(tmp_path, {"shop": feed | secret})
        told = shell.run("resync", "shop", "--dry-run", "--replay")
        assert "the daemon answers by what it has read" in told.stderr
        assert "1 unchanged" in told.stdout
        assert daemon.feed()["rejected"] == 1


def test_rejects_say_what_would_pass_under_a_changed_mapping(
    server: FeedServer, tmp_path: Path
) -> None:
    server.bodies["/shop.json"] = json.dumps(
        [
            {"id": "a", "title": "Mug"},
            {"id": "b", "label": "Bowl"},
            {"id": "c"},
            {"id": "a", "title": "x"},
        ]
    ).encode()
    feed = shop(server, schema="item", items="")
    shell = Shell(write_config(tmp_path, {"shop": feed}))
    shell("resync", "shop")
    assert [r["passes"] for r in shell.lines("rejects")] == [False, False, False]
    assert "passes" not in shell("rejects")
    write_config(tmp_path, {"shop": feed | {"fields": {"title": "label"}}})
    found = {r["position"]: r["passes"] for r in shell.lines("rejects")}
    assert found == {2: True, 3: False, 4: None}
    assert "1 of those of shop would be an item" in shell("rejects", "shop")
    assert len(server.requests) == 1
    shell("resync", "shop", "--replay")
    assert all(r["passes"] is False for r in shell.lines("rejects"))
    write_config(tmp_path, {"shop": feed | {"items": "other", "fields": {"title": "label"}}})
    assert {r["passes"] for r in shell.lines("rejects")} == {None}

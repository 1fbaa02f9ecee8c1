"""The command of [alerts]: real programs that behave, misbehave and do not end."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from daemons import wait_for

from feedd.command import CommandFailed, run_command

Script = Callable[[str], list[str]]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    def written(text: str) -> list[str]:
        path = tmp_path / "command"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return [str(path), "one; two $HOME"]

    return written


def run(command: list[str], content: bytes = b"{}", timeout_s: float = 20) -> None:
    run_command(
        command,
        content,
        variables={"FEEDD_FEED": "shop"},
        stop=threading.Event(),
        timeout_s=timeout_s,
    )


def test_it_gets_the_alert_its_arguments_and_little_else(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "canary-1")
    out = tmp_path / "out"
    run(script(f'(echo "$1"; cat; echo; env) > {out}'), b'{"type": "feed.failing"}')
    first, second, *environment = out.read_text().splitlines()
    assert first == "one; two $HOME"  # no shell has read it
    assert second == '{"type": "feed.failing"}'
    assert "FEEDD_FEED=shop" in environment
    assert "canary-1" not in "".join(environment)


def test_a_failure_says_how_and_what_it_wrote(script: Script) -> None:
    with pytest.raises(CommandFailed, match="ended with code 3: no pager here"):
        run(script("echo no pager; echo here >&2; exit 3"))
    with pytest.raises(CommandFailed, match="cannot be started"):
        run(["/nowhere/page-me"])


def test_it_need_not_read(script: Script) -> None:
    run(script("exit 0"), b"x" * 30_000)


def test_one_that_writes_without_end_is_let_write_and_ended(script: Script) -> None:
    began = time.monotonic()
    with pytest.raises(CommandFailed, match="longer than 1 s"):
        run(script("exec yes"), timeout_s=1)
    assert time.monotonic() - began < 10


def test_it_is_ended_with_what_it_has_started(script: Script, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(CommandFailed, match="longer"):
        run(script(f"sleep 300 & echo $! > {pid_file}; wait"), timeout_s=1)
    wait_for(lambda: not alive(int(pid_file.read_text())))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_stop_ends_it(script: Script) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(CommandFailed, match="feedd was stopped"):
        run_command(script("sleep 300"), b"", variables={}, stop=stop)

"""Runs the command of `[alerts]`: no shell, little environment, bounded in time and output, ended with its children."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

TIMEOUT_S = 30.0
MOST_OUTPUT = 2_000
_STEP_S = 0.1
_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ")  # not the feeds' secrets


class CommandFailed(Exception):
    """The command did not end well; says how, and what it wrote."""


def run_command(
    command: Sequence[str],
    content: bytes,
    *,
    variables: Mapping[str, str],
    stop: threading.Event,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Run a command with `content` (at most some kilobytes) on its standard input, and wait for its end.

    Raises:
        CommandFailed: it could not be started, took too long, or ended with another code than 0.
    """
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    try:
        process = subprocess.Popen(  # noqa: S603 what the administrator has configured
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=Path("/"),
            env=environment | dict(variables),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CommandFailed(f"{command[0]} cannot be started: {reason}") from error
    output = _Output(process)
    try:
        with contextlib.suppress(BrokenPipeError):  # it need not read
            _fed(process, content)
        ended = _ended(process, time.monotonic() + timeout_s, stop)
    finally:
        _end(process)
        output.close()
    if not ended:
        why = "feedd was stopped" if stop.is_set() else f"it took longer than {timeout_s:g} s"
        raise CommandFailed(f"{command[0]} was ended: {why}")
    if process.returncode:
        said = f": {output.text}" if output.text else ""
        raise CommandFailed(f"{command[0]} ended with code {process.returncode}{said}")


def _fed(process: "subprocess.Popen[bytes]", content: bytes) -> None:
    assert process.stdin is not None  # noqa: S101
    try:
        process.stdin.write(content)  # less than a pipe holds, so nobody is waited for
    finally:
        process.stdin.close()


def _ended(process: "subprocess.Popen[bytes]", deadline: float, stop: threading.Event) -> bool:
    while time.monotonic() < deadline and not stop.is_set():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STEP_S)
            return True
    return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it and whatever it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Output:
    """Reads what a process writes, keeps the beginning, and lets it write on."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None  # noqa: S101
        self._stream = process.stdout
        self._kept = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            while chunk := os.read(self._stream.fileno(), 65_536):
                self._kept += chunk[: MOST_OUTPUT - len(self._kept)]

    def close(self) -> None:
        self._thread.join(1)  # a grandchild in a session of its own may hold the pipe open

    @property
    def text(self) -> str:
        return " ".join(self._kept.decode(errors="replace").split())

"""Starts feedd without the start of Python: one process imports it, and is forked for every command, daemon and script.

What runs is a process of its own all the same, with its arguments, environment, output, signals and exit code. Only an
import that it forgot would go unnoticed; `python -m feedd` itself is started by `test_quick.py` and others.

    python forked.py DESCRIPTOR      what Forker starts
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

MOST_BYTES = 1 << 20  # of a command and its environment
# what commands import when they are at it
LATE = (
    "alembic.command",
    "apscheduler.schedulers.background",
    "multiprocessing.popen_forkserver",
    "multiprocessing.queues",
    "psycopg",
    "rich.progress",
    "rich.table",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "sqlalchemy.ext.compiler",
    "typer.rich_utils",
    "uvicorn.lifespan.off",
)


class Forked:
    """A process of feedd; of `subprocess.Popen`, what tests use."""

    def __init__(self, told: socket.socket) -> None:
        self._told = told
        self.pid = int(told.recv(100))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("feedd", timeout or 0)
            self.returncode = int(self._told.recv(100))
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Script(Forked):
    """A program of a test's own that uses feedd; it is talked to in lines."""

    def __init__(self, told: socket.socket, stdin: IO[str], stdout: IO[str]) -> None:
        super().__init__(told)
        self.stdin = stdin
        self.stdout = stdout

    def communicate(self, text: str = "") -> str:
        """Say the last to it, and wait for its end; what it has printed since."""
        with self.stdout:
            with contextlib.suppress(BrokenPipeError), self.stdin:
                self.stdin.write(text)
            printed = self.stdout.read()
        self.wait(60)
        return printed


class Forker:
    """The process that has imported feedd; it ends with this one."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=os.environ | {"PYTHONWARNINGS": "error", "OPENBLAS_NUM_THREADS": "1"},
            )
        atexit.register(self.close)

    def close(self) -> None:
        self._control.close()
        self._process.wait(20)

    def start(
        self,
        words: Sequence[str],
        env: dict[str, str],
        out: IO[Any],
        err: IO[Any],
        folder: Path | None = None,
    ) -> Forked:
        """Start `feedd` with those words, in this folder or another one."""
        with Path(os.devnull).open() as nothing:
            return Forked(self._fork([words, env, str(folder or Path.cwd())], nothing, out, err))

    def script(self, text: str, **environ: str) -> Script:
        """Start a program, as `python -c` does."""
        (theirs_in, ours_in), (ours_out, theirs_out) = os.pipe(), os.pipe()
        with os.fdopen(theirs_in) as stdin, os.fdopen(theirs_out, "w") as out:
            words = ["-c", text]
            told = self._fork(
                [words, os.environ | environ, str(Path.cwd())], stdin, out, sys.__stderr__
            )
        return Script(told, os.fdopen(ours_in, "w", buffering=1), os.fdopen(ours_out))

    def _fork(self, what: list[Any], *files: IO[Any]) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            sent = [each.fileno() for each in (theirs, *files)]
            socket.send_fds(self._control, [json.dumps(what).encode()], sent)
        return ours

    def run(
        self, words: Sequence[str], env: dict[str, str], folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Start it, and wait for its end."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = self.start(words, env, out, err, folder)
            try:
                code = process.wait(60)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                raise
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        return subprocess.CompletedProcess(["feedd", *words], code, *texts)


@functools.cache
def forker() -> Forker:
    """The one of this process."""
    return Forker()


def serve(control: socket.socket) -> None:
    """Fork for all that comes; returns in a process that is to run it."""
    import_everything()
    gc.freeze()  # what is shared is not written to
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead leave by themselves
    while True:
        content, files, _, _ = socket.recv_fds(control, MOST_BYTES, 4)
        if not content:
            os._exit(0)
        if os.fork() == 0:
            break
        for each in files:
            os.close(each)
    control.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    told, *streams = files
    if process := os.fork():
        os.write(told, str(process).encode())
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        with contextlib.suppress(OSError):  # nobody waits any more
            os.write(told, str(code).encode())
        os._exit(0)
    os.close(told)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    words, env, folder = json.loads(content)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["feedd", *words]


def import_everything() -> None:
    import feedd

    for module in pkgutil.walk_packages(feedd.__path__, "feedd."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)
    for name in LATE:
        importlib.import_module(name)


def run() -> None:
    """Be `python -m feedd` to its end, save that nothing which was imported is freed."""
    code: Any = 0
    try:
        if sys.argv[1:2] == ["-c"]:
            exec(sys.argv[2], {"__name__": "__main__"})
        else:
            runpy.run_module("feedd", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code or 0
    except BaseException as error:  # noqa: BLE001 as the interpreter does
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))
    serve(socket.socket(fileno=int(sys.argv[1])))
    run()

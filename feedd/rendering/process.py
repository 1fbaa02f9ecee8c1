"""One worker process: started, spoken to within bounds, and ended. Used by one thread at a time."""

import contextlib
import json
import signal
import socket
import struct
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import msgspec

from feedd.errors import Unavailable
from feedd.templates.wire import (
    Account,
    Begin,
    Done,
    Failed,
    FromWorker,
    Limits,
    Position,
    ToWorker,
    decode_from_worker,
    encode,
)

if TYPE_CHECKING:
    from feedd.shelf.view import Basis

START_S = 60.0  # on a machine that is busy, imports can take a while
# -I: no environment, no user's packages; where modules are is told instead
_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from feedd.templates.worker import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]))"
)


_NO_START = "the process that renders templates does not start: {}"


def _started(*ends: int) -> subprocess.Popen[bytes]:
    """The process, with those ends of sockets and nothing else. Raises OSError."""
    return subprocess.Popen(  # noqa: S603 our own program
        [sys.executable, "-I", "-c", _BOOT, json.dumps(sys.path), *map(str, ends)],
        pass_fds=ends,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"LANG": "C.UTF-8"},
        cwd="/",
    )


class WorkerDied(Exception):
    """The process is gone; `signal_number` is what ended it, where something did."""

    def __init__(self, signal_number: int | None) -> None:
        super().__init__(f"the process that rendered it died (signal {signal_number})")
        self.signal_number = signal_number


class WorkerHung(Exception):
    """The process did not answer in time, and was ended."""


class WorkerProcess:
    """A process that renders, with a pipe to it.

    Raises:
        Unavailable: it cannot be started; says why.
    """

    def __init__(self, account: Account, limits: Limits) -> None:
        try:
            ours, theirs = socket.socketpair()
            answers, asking = socket.socketpair()  # apart: work can be sent ahead of an answer
        except OSError as error:
            raise Unavailable(_NO_START.format(error)) from error
        seconds, rest = divmod(limits.wall_s, 1)
        patience = struct.pack("@ll", int(seconds), int(rest * 1e6))
        for end in (ours, answers):  # it may stop in the middle of a frame
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
        with theirs, asking:
            try:
                self._process = _started(theirs.fileno(), asking.fileno())
            except OSError as error:
                ours.close()
                answers.close()
                raise Unavailable(_NO_START.format(error)) from error
        self._pipe = Connection(ours.detach())
        self._answers = Connection(answers.detach())
        self.pid = self._process.pid
        self.templates: dict[
            str, None
        ] = {}  # those that it has been told, the least recently used first
        self.messages = 0  # that it has done
        self.position: Position | None = None  # where its answers stand
        self.basis: Basis | None = None  # and what they rest on
        self.feeds: dict[str, str] = {}  # web feeds it has been told of, and in which version
        try:
            self.send(Begin(account, limits))
            ready = self.receive(time.monotonic() + START_S)
        except (WorkerDied, WorkerHung) as error:
            self.kill()
            raise Unavailable(_NO_START.format(error)) from error
        if not isinstance(ready, Done):
            self.kill()
            why = ready.message if isinstance(ready, Failed) else "it is another version"
            raise Unavailable(_NO_START.format(why))

    def send(self, told: ToWorker) -> int:
        """Tell it something; how many bytes that took. Raises WorkerDied, or WorkerHung: it does not listen."""
        frame = encode(told)
        self._send(self._pipe, frame)
        return len(frame)

    def answer(self, json: bytes) -> None:
        """Answer its question. Raises WorkerDied, or WorkerHung: it does not listen."""
        self._send(self._answers, json)

    def _send(self, pipe: Connection, frame: bytes) -> None:
        try:
            pipe.send_bytes(frame)
        except BlockingIOError as error:
            self.kill()
            raise WorkerHung("it did not listen") from error
        except OSError as error:
            raise self._death() from error

    def receive(self, deadline: float) -> FromWorker:
        """What it says next.

        Raises:
            WorkerDied: it is gone.
            WorkerHung: it has said nothing by then (in `time.monotonic`); it is ended.
        """
        try:
            if not self._pipe.poll(max(0.0, deadline - time.monotonic())):
                self.kill()
                raise WorkerHung("it did not answer in time")
            said: FromWorker = decode_from_worker(self._pipe.recv_bytes())
        except BlockingIOError as error:
            self.kill()
            raise WorkerHung("it stopped in the middle of an answer") from error
        except (EOFError, OSError, msgspec.DecodeError) as error:  # the last: it was interrupted
            raise self._death() from error
        return said

    def kill(self) -> None:
        """End it now."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._pipe.close()
        self._answers.close()

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def signal_number(self) -> int | None:
        """What ended it, where something did."""
        code = self._process.poll()
        return -code if code is not None and code < 0 else None

    def _death(self) -> WorkerDied:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        signal_number = self.signal_number
        self.kill()
        return WorkerDied(signal_number)


def was_out_of_time(signal_number: int | None) -> bool:
    """Whether a process was ended for the processor time that it took."""
    return signal_number == signal.SIGXCPU


def was_out_of_memory(error: WorkerDied | WorkerHung) -> bool:
    """Whether a process may have ended for want of memory: code that is not Python's fails in its own way."""
    return isinstance(error, WorkerDied) and error.signal_number in (signal.SIGABRT, signal.SIGSEGV)

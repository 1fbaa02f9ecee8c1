"""Reads bodies in child processes, so that a crash in a C library costs one sync and the HTTP side stays quick.

A child comes from a fork server that has imported everything but holds no connection. It dies with its parent: the
pipe between them closes, and it ends itself. One that reads a large body is given helpers from the same fork server,
which end when it does. All of them leave the processors to the daemon where both want them.
"""

import contextlib
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from feedd import ingest, intake
from feedd.errors import FeedError, FormatError, StoreError, SyncStopped, UsageError
from feedd.model import Progress
from feedd.spread import (
    calm_collector,
    give_way,
    help_out,
    helpers_for,
    leave_interrupts,
    start_helpers,
)

_ERRORS: dict[str, type[FeedError]] = {
    cls.__name__: cls for cls in (FeedError, FormatError, SyncStopped)
}
_encode = msgspec.json.encode
STOP_NOTICED_S = 0.1
NICENESS = 10


class Workers:
    """A bounded number of child processes, each reading one body."""

    def __init__(self, place: intake.Place, *, most: int | None = None) -> None:
        self._place = place
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["feedd.workers"])
        self.most = most or os.cpu_count() or 1
        self._free = threading.BoundedSemaphore(self.most)
        self._running: set[Any] = set()
        self._helping = 0
        self._lock = threading.Lock()
        self._stopping = False

    def start(self) -> None:
        """Have the fork server import what children need, before the first of them is needed.

        Raises:
            UsageError: the folder for temporary files has too long a path for a socket.
        """
        try:
            forkserver.ensure_running()
        except OSError as error:
            if "too long" not in str(error):
                raise
            raise UsageError(
                f"the path of the folder for temporary files is too long for a socket: {tempfile.gettempdir()}",
                hint="Set TMPDIR to a folder with a short path.",
            ) from error

    def read_body(self, job: intake.Job, on_progress: intake.OnProgress, stop: ingest.Stop) -> None:
        """Read a body into the catalog in a child process.

        Raises:
            FeedError: as `intake.read_body`; or (`crashed`) the child died; or (`stopped`) `stop` was set:
                the child is killed, and what it had not committed is gone.
        """
        with self._place_for(stop):
            ours, theirs = self._context.Pipe()
            with self._lock:
                if self._stopping or stop.is_set():
                    raise _stopped()
                helpers = self._helpers(job.body.size_bytes)
                process = self._context.Process(
                    target=_child,
                    args=(theirs, self._place, job, helpers),
                    name=f"feedd-{job.lease.feed}",
                )
                process.start()
                self._running.add(process)
                self._helping += len(helpers)
            for pipe in (theirs, *helpers):
                pipe.close()
            try:
                _follow(ours, on_progress, process, stop)
            except EOFError:
                process.join(5)
                if self._stopping or stop.is_set():
                    raise _stopped() from None
                raise FeedError(
                    "crashed",
                    f"the process that read this feed died (exit {process.exitcode})",
                    hint="The catalog stands. If it happens again, the feed may be too large for the memory there is.",
                ) from None
            finally:
                ours.close()
                process.join(5)
                with self._lock:
                    self._running.discard(process)
                    self._helping -= len(helpers)

    def _helpers(self, size_bytes: int) -> list[Connection]:
        """Helpers for the child that reads a body of that size: all children together have one for each processor.

        A child does without where there are no more, or no more processes.
        """
        count = min(helpers_for(size_bytes), len(os.sched_getaffinity(0)) - self._helping)
        try:
            return start_helpers(self._context, count, target=_helper)
        except OSError:
            return []

    @property
    def busy(self) -> int:
        """How many children read now."""
        return len(self._running)

    @contextlib.contextmanager
    def _place_for(self, stop: ingest.Stop) -> Iterator[None]:
        """A place among the few that read at once. Raises SyncStopped when `stop` is set before there is one."""
        while not self._free.acquire(timeout=STOP_NOTICED_S):
            if stop.is_set():
                raise _stopped()
        try:
            yield
        finally:
            self._free.release()

    def stop(self) -> None:
        """End every child now; what it had not committed is gone, and comes again with the next sync."""
        with self._lock:
            self._stopping = True
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()


def _stopped() -> SyncStopped:
    return SyncStopped("stopped", "feedd was stopped in the middle of this sync")


def _follow(
    pipe: Connection, on_progress: intake.OnProgress, process: Any, stop: ingest.Stop
) -> None:
    """Pass on what the child tells, until it is done; end it when that is wanted. Raises EOFError once it is gone."""
    while True:
        while not pipe.poll(STOP_NOTICED_S):
            _end(process, stop)
        _end(process, stop)
        kind, payload = msgspec.json.decode(pipe.recv_bytes())
        if kind == "progress":
            on_progress(msgspec.convert(payload, Progress))
        elif kind == "done":
            return
        elif kind == "store_error":
            raise StoreError(payload)
        elif kind == "bug":
            raise RuntimeError(payload)
        else:
            raise _ERRORS[kind](payload["code"], payload["message"], hint=payload["hint"])


def _end(process: Any, stop: ingest.Stop) -> None:
    if stop.is_set() and process.is_alive():
        process.kill()


def _helper(pipe: Connection) -> None:
    give_way(NICENESS)
    help_out(pipe)


def _child(
    pipe: Connection, place: intake.Place, job: intake.Job, helpers: list[Connection]
) -> None:
    leave_interrupts()
    give_way(NICENESS)
    calm_collector()
    watcher = threading.Thread(target=die_with_parent, args=(pipe,), daemon=True)
    watcher.start()
    catalog = place.open_catalog()
    try:
        intake.read_body(
            job,
            catalog,
            lambda progress: pipe.send_bytes(_encode(["progress", progress])),
            lambda: helpers,
        )
        answer: list[Any] = ["done", None]
    except FeedError as error:
        kind = type(error).__name__ if type(error).__name__ in _ERRORS else "FeedError"
        answer = [kind, error.info]
    except StoreError as error:
        answer = ["store_error", str(error)]
    except Exception:  # noqa: BLE001 a bug must reach the parent's log, not end as a silent death
        import traceback

        answer = ["bug", traceback.format_exc()]
    finally:
        catalog.close()
    pipe.send_bytes(_encode(answer))


def die_with_parent(pipe: Connection) -> None:
    """End this process when the other end of its pipe closes; run it in a thread."""
    with contextlib.suppress(EOFError, OSError):
        pipe.recv_bytes()
    os._exit(1)

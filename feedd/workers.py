"""Reads bodies in child processes, so that a crash in a C library costs one sync and the HTTP side stays quick.

A child comes from a fork server that has imported everything but holds no connection. It dies with its parent: the
pipe between them closes, and it ends itself.
"""

import contextlib
import multiprocessing
import os
import threading
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from feedd import ingest
from feedd.errors import FeedError, FormatError, StoreError, SyncStopped
from feedd.model import Progress

_ERRORS: dict[str, type[FeedError]] = {
    cls.__name__: cls for cls in (FeedError, FormatError, SyncStopped)
}
_encode = msgspec.json.encode


class Workers:
    """A bounded number of child processes, each reading one body."""

    def __init__(self, place: ingest.Place, *, most: int | None = None) -> None:
        self._place = place
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["feedd.workers"])
        self._free = threading.BoundedSemaphore(most or os.cpu_count() or 1)
        self._running: set[Any] = set()
        self._lock = threading.Lock()
        self._stopping = False

    def start(self) -> None:
        """Have the fork server import what children need, before the first of them is needed."""
        forkserver.ensure_running()

    def read_body(self, job: ingest.Job, on_progress: ingest.OnProgress) -> None:
        """Read a body into the catalog in a child process.

        Raises:
            FeedError: as `ingest.read_body`; or (`crashed`) the child died; or (`stopped`) feedd is stopping.
        """
        with self._free:
            ours, theirs = self._context.Pipe()
            process = self._context.Process(
                target=_child, args=(theirs, self._place, job), name=f"feedd-{job.lease.feed}"
            )
            with self._lock:
                if self._stopping:
                    raise _stopped()
                process.start()
                self._running.add(process)
            theirs.close()
            try:
                _follow(ours, on_progress)
            except EOFError:
                process.join(5)
                if self._stopping:
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

    def stop(self) -> None:
        """End every child now; what it had not committed is gone, and comes again with the next sync."""
        with self._lock:
            self._stopping = True
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()


def _stopped() -> SyncStopped:
    return SyncStopped("stopped", "feedd was stopped in the middle of this sync")


def _follow(pipe: Connection, on_progress: ingest.OnProgress) -> None:
    while True:
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


def _child(pipe: Connection, place: ingest.Place, job: ingest.Job) -> None:
    watcher = threading.Thread(target=_die_with_parent, args=(pipe,), daemon=True)
    watcher.start()
    catalog = place.open_catalog()
    try:
        ingest.read_body(
            job, catalog, lambda progress: pipe.send_bytes(_encode(["progress", progress]))
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


def _die_with_parent(pipe: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        pipe.recv_bytes()
    os._exit(1)

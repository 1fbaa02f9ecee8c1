"""Packs the columns of events in the background, so that they can be counted quickly.

A thread looks whether a stretch is full, and starts a child process that packs all that are. A thread could not do it: reading
and decoding events takes the interpreter from those who answer requests, and is kept waiting by them.
"""

import contextlib
import multiprocessing
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from feedd import intake, logs
from feedd.errors import StoreError
from feedd.spread import calm_collector, give_way, leave_interrupts
from feedd.store.chunks import next_full
from feedd.store.database import Database, open_database
from feedd.workers import NICENESS, die_with_parent

LOOK_EVERY_S = 5.0
TROUBLE_S = 60.0
STOP_WITHIN_S = 2.0

log = logs.get_logger("feedd")


class Packer:
    """Packs what is full, again and again, until it is stopped. The children come from the fork server of `workers`."""

    def __init__(
        self, people: Database, place: intake.Place, *, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self._people = people
        self._place = place
        self._look_every_s = look_every_s
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._child: Any = None
        self._thread = threading.Thread(target=self._run, name="packing", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Leave off; what was packed halfway is packed by the next start."""
        self._stop.set()
        with self._lock:
            if self._child is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._child.kill()
        with contextlib.suppress(RuntimeError):  # it was never started
            self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        while not self._stop.wait(self._look_every_s):
            try:
                with self._people.connect() as connection:
                    is_full = next_full(connection) is not None
                trouble = self.pack() if is_full else None
            except (StoreError, OSError) as error:  # no process, or no pipe, is to be had
                trouble = str(error)
            if trouble is not None and not self._stop.is_set():
                log.error(logs.PACKING_ERROR, error=trouble)
                self._stop.wait(TROUBLE_S)

    def pack(self) -> str | None:
        """Have a child pack all that is full; what went wrong, if anything did."""
        context = multiprocessing.get_context("forkserver")
        ours, theirs = context.Pipe()
        with ours, theirs:
            with self._lock:
                if self._stop.is_set():
                    return None
                self._child = context.Process(
                    target=_child, args=(theirs, self._place), name="feedd-packing"
                )
                self._child.start()
            theirs.close()
            try:
                told: str | None = ours.recv()
            except EOFError:
                told = "the process that packs columns of events died"
            self._child.join()
        return told


def _child(pipe: Connection, place: intake.Place) -> None:
    leave_interrupts()
    give_way(NICENESS)
    calm_collector()
    threading.Thread(target=die_with_parent, args=(pipe,), daemon=True).start()
    pipe.send(_packed(place))


def _packed(place: intake.Place) -> str | None:
    """Pack all that is full; what went wrong, if anything did."""
    from feedd.store.packing import pack_next

    people = open_database("people", state_dir=Path(place.state_dir), url=place.url)
    try:
        while pack_next(people):
            pass
    except StoreError as error:
        return str(error)
    except Exception:  # noqa: BLE001 a bug must reach the parent's log, not end as a silent death
        return traceback.format_exc()
    finally:
        people.close()
    return None

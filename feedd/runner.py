"""The thread that does jobs: woken when one was asked for, and looking for itself every few seconds.

What a part is, and that it is done once, is `jobs`'s. Between two parts it rests as long as one took, for those who record single
events want in.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from feedd import logs
from feedd.errors import Overloaded, StoreError, SyncStopped
from feedd.jobs import Jobs, Progress

POLL_S = 5.0  # what other processes have left is noticed within this
BUSY_S = 0.2  # while others fill the queue of the recorder
TROUBLE_S = 15.0
SWEEP_EVERY_S = 3_600.0
REST_S = 0.002  # at least, between two transactions
STOP_WITHIN_S = 3.0

log = logs.get_logger("feedd")


class Runner:
    """Does one part after the other, as one thing to start and stop; `on_progress` is told of each."""

    def __init__(
        self,
        jobs: Jobs,
        *,
        on_progress: Callable[[Progress], None] = lambda _: None,
        poll_s: float = POLL_S,
    ) -> None:
        self._jobs = jobs
        self._on_progress = on_progress
        self._poll_s = poll_s
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._swept_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        self._jobs.on_asked = self.wake
        self._thread.start()

    def wake(self) -> None:
        """There may be a job."""
        self._wake.set()

    def stop(self) -> None:
        """End after the part that is under way; others go on from there."""
        self._stop.set()
        self.wake()
        with contextlib.suppress(RuntimeError):  # it was never started
            self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        has_lease = False
        while not self._stop.is_set():
            self._wake.clear()
            began = time.monotonic()
            try:
                self._sweep()
                progress = self._jobs.turn(_now())
            except Overloaded:
                pause = BUSY_S
            except SyncStopped:
                return
            except StoreError as error:
                log.error(logs.STORE_ERROR, error=str(error))
                pause = TROUBLE_S
            except Exception:  # the next turn may go better
                log.exception(logs.JOB_ERROR)
                pause = TROUBLE_S
            else:
                if progress is None:
                    self._wake.wait(self._poll_s)
                    continue
                self._tell(progress)
                has_lease = not progress.is_end
                pause = max(time.monotonic() - began, REST_S)
            self._stop.wait(pause)
        if has_lease:
            with contextlib.suppress(StoreError):  # it runs out by itself
                self._jobs.release()

    def _tell(self, progress: Progress) -> None:
        self._on_progress(progress)
        job = progress.job
        if progress.is_end:
            began = job.started_at or job.created_at
            log.info(
                logs.JOB_DONE,
                job=job.id,
                kind=job.kind.value,
                completed=job.completed,
                failed=job.failed,
                waited_s=round((began - job.created_at).total_seconds(), 3),
                duration_s=round(((job.completed_at or began) - began).total_seconds(), 3),
            )

    def _sweep(self) -> None:
        if time.monotonic() < self._swept_at + SWEEP_EVERY_S:
            return
        self._swept_at = time.monotonic()
        self._jobs.sweep(_now(), rest=lambda seconds: self._stop.wait(max(seconds, REST_S)))


def _now() -> datetime:
    return datetime.now(UTC)

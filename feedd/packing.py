"""Packs the columns of events in the background, so that they can be counted quickly.

A thread of the daemon. It works a few milliseconds at a time and rests for longer, because requests wait for whoever has the
interpreter: packing never is in a hurry, counting only takes longer until it is done.
"""

import threading
from contextlib import suppress

from feedd import logs
from feedd.app import App
from feedd.errors import StoreError

LOOK_EVERY_S = 5.0
REST_S = 0.004  # at least, after each few milliseconds of work
REST_SHARE = 2.0  # of the time that the work took
STOP_WITHIN_S = 2.0
TROUBLE_S = 60.0

log = logs.get_logger("feedd")


class Packer:
    """Packs what is full, again and again, until it is stopped."""

    def __init__(self, app: App, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._app = app
        self._look_every_s = look_every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="packing", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Leave off; what was packed halfway is packed by the next start."""
        self._stop.set()
        with suppress(RuntimeError):  # it was never started
            self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        from feedd.store.packing import pack_next

        while not self._stop.wait(self._look_every_s):
            try:
                while pack_next(self._app.people, rest=self._rest):
                    log.debug(logs.EVENTS_PACKED)
            except StoreError as error:
                log.error(logs.STORE_ERROR, error=str(error))
            except Exception:  # a bug must not end it unnoticed: counting would take ever longer
                log.exception(logs.STORE_ERROR)
                self._stop.wait(TROUBLE_S)

    def _rest(self, worked_s: float) -> bool:
        return self._stop.wait(max(worked_s * REST_SHARE, REST_S))

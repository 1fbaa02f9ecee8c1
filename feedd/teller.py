"""The thread that tells people of items that changed: woken when a sync has ended, and looking for itself every few seconds.

What is told, and that it is told once, is `telling`'s. Between two transactions it rests as long as one took, for those who
record events want in.
"""

import contextlib
import threading
import time

from feedd import logs
from feedd.app import App
from feedd.errors import StoreError
from feedd.settings import RuleSettings
from feedd.store.cursors import Moved

POLL_S = 5.0  # what other processes have changed is noticed within this
FORGET_EVERY_S = 86_400.0
REST_S = 0.005  # at least, between two transactions
STOP_WITHIN_S = 3.0

log = logs.get_logger("feedd")


class Teller:
    """Reads on in the change stream for every rule, as one thing to start and stop."""

    def __init__(self, app: App, *, poll_s: float = POLL_S) -> None:
        self._app = app
        self._poll_s = poll_s
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._registered = False
        self._forgot: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="teller", daemon=True)

    def start(self) -> None:
        """Register what is new, before any sync adds to the stream, and begin. Raises StoreError."""
        self._register()
        self._thread.start()

    def reload(self) -> None:
        """Take over another configuration."""
        self._registered = False
        self.wake()

    def wake(self) -> None:
        """There may be changes to tell of."""
        self._wake.set()

    def stop(self) -> None:
        """End after the transaction that is under way; what was not told yet is told after the next start."""
        self._stop.set()
        self.wake()
        with contextlib.suppress(RuntimeError):  # it was never started
            self._thread.join(STOP_WITHIN_S)

    def _register(self) -> None:
        self._app.telling.register()
        self._registered = True

    def _run(self) -> None:
        while not self._stop.is_set():
            again = False
            try:
                if not self._registered:
                    self._register()
                for rule in self._app.telling.rules():
                    again |= not self._stop.is_set() and self._turn(rule)
            except StoreError as error:
                log.error(logs.STORE_ERROR, error=str(error))
            except Exception:  # the next turn may go better
                log.exception(logs.TELLING_ERROR)
            if not again:
                self._wake.wait(self._poll_s)
            self._wake.clear()

    def _turn(self, rule: RuleSettings) -> bool:
        """One turn of one rule; whether there may be more to do at once."""
        try:
            if not self._app.telling.settle(rule, self._rest):
                return False
            if not rule.enabled:
                return False
            if self._app.telling.read_on(rule, self._rest):
                return True
        except Moved:
            return True
        if time.monotonic() >= self._forgot.get(rule.name, float("-inf")) + FORGET_EVERY_S:
            self._app.telling.forget_old(rule, self._rest)
            self._forgot[rule.name] = time.monotonic()
        return False

    def _rest(self, seconds: float) -> bool:
        return self._stop.wait(max(seconds, REST_S))

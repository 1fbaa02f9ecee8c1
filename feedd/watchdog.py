"""Feeds the service manager's watchdog, and only while feedd does its work: the event loop turns and the databases answer.

A daemon that hangs is then ended and started again; what it had committed is there, what it had not comes again.
"""

import threading
from collections.abc import Callable

from feedd import logs
from feedd.notify import Notifier

AGAIN_S = (
    1.0  # after a check that failed, so that trouble that passes in time is no reason to restart
)

log = logs.get_logger("feedd")


class Watchdog:
    """Runs the checks, each of which returns what is wrong, at half of the interval that the manager set.

    A check that does not return feeds nothing either.
    """

    def __init__(self, notifier: Notifier, checks: tuple[Callable[[], str | None], ...]) -> None:
        self._notifier = notifier
        self._checks = checks
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin, if somebody listens."""
        if self._notifier.watchdog_s is not None:
            self._thread.start()

    def stop(self) -> None:
        """Feed no more; the manager has its own limit for stopping."""
        self._stop.set()

    def _run(self) -> None:
        interval_s = (self._notifier.watchdog_s or 0) / 2
        well, wait_s = True, 0.0
        while not self._stop.wait(wait_s):
            wrong = next(filter(None, (check() for check in self._checks)), None)
            if wrong is None:
                self._notifier.alive()
            elif well:
                log.warning(logs.DAEMON_UNWELL, reason=wrong)
            well = wrong is None
            wait_s = interval_s if well else min(AGAIN_S, interval_s)

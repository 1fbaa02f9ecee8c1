"""Tells those who follow the change stream that it has grown: one question a second for all of them together.

A sync of this daemon is told of at once (`wake`); on a shared PostgreSQL other daemons commit too, so the database is
asked as well, but only while somebody follows.
"""

import threading
from collections.abc import Callable

from feedd import logs
from feedd.errors import STOPPED, StoreError, SyncStopped, UsageError
from feedd.model import StreamState

POLL_S = 1.0
MOST_FOLLOWERS = 64

Listener = Callable[[], None]

log = logs.get_logger("feedd")


class Tail:
    """The end of the change stream; `read` gives its state, `stopped` says that following is over."""

    def __init__(self, read: Callable[[], StreamState]) -> None:
        self._read = read
        self._seen: StreamState | None = None
        self._listeners: set[Listener] = set()
        self._change = threading.Condition()
        self._woken = False
        self._thread: threading.Thread | None = None
        self.stopped = False

    def add(self, listener: Listener) -> None:
        """Have `listener` called, in a thread of its own kind, whenever there may be something new.

        Raises:
            UsageError: (`too_many_streams`) as many follow already as may.
            SyncStopped: feedd is stopping.
        """
        with self._change:
            if self.stopped:
                raise SyncStopped(STOPPED, "feedd is stopping")
            if len(self._listeners) >= MOST_FOLLOWERS:
                raise UsageError(
                    f"{MOST_FOLLOWERS} streams are open, which is as many as there may be",
                    code="too_many_streams",
                    hint="Close one, or read GET /api/catalog-changes now and then instead.",
                )
            self._listeners.add(listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="tail", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def discard(self, listener: Listener) -> None:
        """Call `listener` no more."""
        with self._change:
            self._listeners.discard(listener)

    def wake(self) -> None:
        """Look now: a sync has just ended."""
        with self._change:
            self._woken = True
            self._change.notify_all()

    def stop(self) -> None:
        """Have everybody who follows end."""
        with self._change:
            self.stopped = True
            self._change.notify_all()
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def _watch(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._woken or self.stopped, POLL_S)
                self._change.wait_for(lambda: self._listeners or self.stopped)
                if self.stopped:
                    return
                self._woken = False
                listeners = list(self._listeners)
            try:
                state = self._read()
            except StoreError:  # whoever reads is told; who only waits may see it come back
                continue
            except Exception:  # a bug must not leave all who follow with nothing but heartbeats
                log.exception(logs.STORE_ERROR)
                continue
            if state != self._seen:
                self._seen = state
                for listener in listeners:
                    listener()

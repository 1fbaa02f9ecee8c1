"""Reads stored bodies again when the configuration that they are read with has changed: one after the other.

One at a time, so that a new normalizer under a thousand feeds leaves the machine to the fetches that are due.
"""

import queue
import threading
from collections.abc import Set as AbstractSet

from feedd import logs
from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.errors import FeeddError

PATIENCE_S = 60  # a feed whose server is slow does not keep the others from theirs

log = logs.get_logger("feedd")


class Replays:
    """A thread that looks through the feeds after the start and after each reload."""

    def __init__(self, app: App, dispatcher: Dispatcher) -> None:
        self._app = app
        self._dispatcher = dispatcher
        self._asked: queue.SimpleQueue[AbstractSet[str] | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replays", daemon=True)

    def start(self) -> None:
        """Look through all feeds, and then whenever `look` says so."""
        self._asked.put(frozenset())
        self._thread.start()

    def look(self, mended: AbstractSet[str] = frozenset()) -> None:
        """Look through all feeds again; of the `mended` ones those that cannot be replayed are fetched."""
        self._asked.put(mended)

    def stop(self) -> None:
        """Submit no more."""
        self._stop.set()
        self._asked.put(None)

    def _run(self) -> None:
        while (mended := self._asked.get()) is not None:
            names = [name for name, feed in self._app.settings.feeds.items() if feed.enabled]
            for name in sorted(names, key=lambda n: n not in mended):  # a person waits for these
                if self._stop.is_set():
                    return
                try:
                    self._bring_in_step(name, mended=name in mended)
                except FeeddError as error:  # it left the configuration, or the database is away
                    log.warning(logs.SYNC_ERROR, feed=name, error=str(error))

    def _bring_in_step(self, name: str, *, mended: bool) -> None:
        way = self._app.outdated(name)
        if way == "replay":
            self._dispatcher.submit(name, trigger="replay", replay=True).done.wait(PATIENCE_S)
        elif mended:
            self._dispatcher.submit(name, trigger="reload")

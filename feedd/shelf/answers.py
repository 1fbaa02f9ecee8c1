"""Answers that took a while, kept as long as they hold and as there is room."""

import threading
from collections import OrderedDict
from collections.abc import Hashable

MOST_BYTES = 32 * 1024**2


class Answers:
    """The answers that were asked for last, of one configuration. May be used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._size = 0
        self._of: object = None

    def find(self, of: object, key: Hashable) -> bytes | None:
        """An answer, if it is kept; those of another configuration than `of` are dropped."""
        with self._lock:
            if self._of is not of:
                self._of, self._size = of, 0
                self._kept.clear()
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, of: object, key: Hashable, answer: bytes) -> None:
        """Keep an answer, and drop those that were not asked for the longest where they are too much."""
        with self._lock:
            if self._of is not of or key in self._kept:
                return
            self._kept[key] = answer
            self._size += len(answer)
            while self._size > MOST_BYTES:
                _, dropped = self._kept.popitem(last=False)
                self._size -= len(dropped)

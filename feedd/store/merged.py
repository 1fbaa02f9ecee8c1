"""Who is who by now: the profiles that were merged into others, for columns that were packed before that."""

import threading
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from feedd.store.people_tables import MERGES

Numbers = np.ndarray[Any, np.dtype[np.int64]]


class Merged:
    """The table of merges in memory, in four or eight bytes a profile; it reads what is new of it. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._into = np.zeros(0, dtype=np.int64)
        self._sources = np.zeros(0, dtype=np.int64)

    def read(self, connection: Connection) -> Numbers | None:
        """The profile that each number is by now, for all numbers below the length; None if no two were ever merged.

        Later merges may be in it than the connection's snapshot has: who has been merged is so in any case.
        """
        query = select(MERGES.c.id, MERGES.c.from_id, MERGES.c.into_id).order_by(MERGES.c.id)
        with self._lock:
            rows = connection.execute(query.where(MERGES.c.id > self._last)).all()
            if rows:
                self._add(np.array([tuple(row) for row in rows], dtype=np.int64))
            return self._into if self._last else None

    def _add(self, rows: Numbers) -> None:
        sources = np.concatenate([self._sources, rows[:, 1]])
        into = np.arange(max(len(self._into), int(rows[:, 1].max()) + 1), dtype=np.int64)
        into[: len(self._into)] = self._into
        into[rows[:, 1]] = rows[:, 2]
        while True:  # a chain of merges takes as many rounds as its length has bits
            target = into[sources]
            further = np.where(target < len(into), into[np.minimum(target, len(into) - 1)], target)
            if (further == target).all():
                break
            into[sources] = further
        self._into, self._sources, self._last = into, sources, int(rows[-1, 0])


def mapped(into: Numbers | None, profiles: Numbers) -> Numbers:
    """The profiles that these are by now."""
    if into is None:
        return profiles
    known = np.minimum(profiles, len(into) - 1)
    return np.where(profiles < len(into), into[known], profiles)

"""Keeps SQLite's write-ahead log short while somebody writes all the time.

The log begins anew only when all of it is in the file and nothing has come to it meanwhile. Where there is always somebody who writes,
that never happens by itself: the log grows by gigabytes, and every page that is read is looked for in all of it. So what is in
it is moved by a thread all along, and once it has become long, the writer itself moves the rest: little, by then.
"""

import contextlib
import threading

from sqlalchemy.exc import SQLAlchemyError

from feedd.errors import StoreError
from feedd.store.database import Database

MOVE_AFTER = 1_000  # actions
LONG = 16_000  # pages, of 4 KB
_MOVE = "PRAGMA wal_checkpoint(PASSIVE)"


class LogKeeper:
    """For one writer of a database, who says after each transaction how much it was."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._written = 0
        self._pages = 0
        self._thread: threading.Thread | None = None

    def wrote(self, count: int) -> None:
        """So many actions are committed, and no transaction is open here."""
        self._written += count
        if not self._database.sqlite or self._written < MOVE_AFTER:
            return
        if self._thread is not None and self._thread.is_alive():
            return
        self._written = 0
        if self._pages > LONG:
            self._move()
            self._pages = 0
        self._thread = threading.Thread(target=self._move, name="log", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is being moved."""
        if self._thread is not None:
            self._thread.join()

    def _move(self) -> None:
        # what is wrong with the disk, the transactions tell
        with (
            contextlib.suppress(SQLAlchemyError, StoreError),
            self._database.connect() as connection,
        ):
            _, self._pages, _ = connection.exec_driver_sql(_MOVE).one()

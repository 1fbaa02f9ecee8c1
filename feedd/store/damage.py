"""Whether a SQLite file can be trusted, asked before it is used: damage is told with what to do, not found out by a sync."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from feedd.errors import StoreError

CHECK_WITHIN_S = 2.0  # some hundred MB; of a larger file the beginning is checked
_STEPS = 20_000  # of SQLite's machine, between looks at the clock
WHAT_TO_DO = (
    "stop feedd, keep the file, and put a backup back (feedd restore FILE). Without one, move it away: the next start makes "
    "a new one, and feeds come again in full"
)


def refuse_lone_log(path: Path) -> None:
    """Refuse a write-ahead log without its database: opening that would begin an empty one and drop the log."""
    log = Path(f"{path}-wal")
    if not path.exists() and log.exists() and log.stat().st_size:
        raise StoreError(
            f"{log} is there, and {path.name}, which it belongs to, is not: it was copied or deleted by itself. "
            f"Bring {path.name} back, or move the log away to begin anew"
        )


def refuse_damage(path: Path, *, within_s: float = CHECK_WITHIN_S) -> None:
    """Refuse a damaged database file, as far as can be found in a bounded time.

    Raises:
        StoreError: it is damaged; says what to do.
    """
    if not path.exists():
        return
    end = time.monotonic() + within_s
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError:  # interrupted when its time was over, or locked
        return
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        said = " ".join(str(found).split())
        raise StoreError(f"{path} is damaged ({said}): {WHAT_TO_DO}")

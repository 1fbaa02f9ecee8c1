"""What the figures were measured on and with."""

import contextlib
import importlib.metadata
import os
import platform
import sqlite3
from collections.abc import Iterator
from pathlib import Path

LOAD = "load average at the start"


def machine() -> dict[str, str]:
    """CPU, cores, memory, kernel, and the versions of what feedd's speed hangs on."""
    packages = ("msgspec", "lxml", "xxhash", "numpy", "jsonschema_rs", "sqlalchemy", "psycopg")
    return {
        "CPU": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        LOAD: f"{os.getloadavg()[0]:.1f}",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        **dict(_versions(packages)),
    }


def _versions(packages: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def cpu_s(pid: int) -> float:
    """The CPU seconds that a process, its children and those of them that have ended have used."""
    children = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        children[int(entry.parent.name)] = (int(fields[1]), sum(map(int, fields[11:15])))
    ticks = children[pid][1] + sum(used for parent, used in children.values() if parent == pid)
    return ticks / os.sysconf("SC_CLK_TCK")

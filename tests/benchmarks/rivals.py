"""Rivals on the same data, in the same run, in an environment of their own: feedd depends on none of them."""

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

from databases import Databases
from dataset import Feed, expected
from measure import Cost, measure
from results import CHANGED, FIRST, Result, Run

HERE = Path(__file__).parent
PACKAGES = (
    "dlt[postgres,sqlalchemy]",
    "adbc-driver-manager",
    "adbc-driver-postgresql",
    "duckdb",
    "ijson",
    "lxml",
    "orjson",
    "pandas",
    "pyarrow",
)


class Rival(NamedTuple):
    """`databases`: beside which of feedd's its figures stand. `most_items`: more than that takes too long, or more memory than machines have."""

    name: str
    script: str
    way: str
    databases: tuple[str, ...]
    most_items: int


RIVALS = (
    Rival("dlt", "rival_dlt.py", "pages", ("SQLite", "PostgreSQL"), 100_000),
    Rival("dlt, Arrow", "rival_dlt.py", "arrow", ("SQLite", "PostgreSQL"), 1_000_000),
    Rival("DuckDB script", "rival_scripts.py", "duckdb", ("SQLite",), 1_000_000),
    Rival("pandas script", "rival_scripts.py", "pandas", ("SQLite",), 100_000),
)


def environment(folder: Path) -> str:
    """The Python of the rivals' environment in a folder, made when it is not there."""
    python = folder / "bin" / "python"
    mark = folder / "complete"
    if not mark.exists():
        print(f"making the rivals' environment in {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        mark.touch()
    return str(python)


def versions(python: str) -> dict[str, str]:
    """Of the packages that matter."""
    program = (
        "import importlib.metadata as m, json, sys;"
        "print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    )
    names = [name.partition("[")[0] for name in PACKAGES]
    told = subprocess.run([python, "-c", program, *names], check=True, capture_output=True)
    found: dict[str, str] = json.loads(told.stdout)
    return found


def rival_results(
    rival: Rival,
    python: str,
    folder: Path,
    old: Feed,
    new: Feed,
    *,
    runs: int,
    databases: Databases,
) -> list[Result]:
    """First load, and 1 % changed."""
    kept: dict[str, list[Run]] = {FIRST: [], CHANGED: []}

    def load(home: Path, database: str, feed: Feed, case: str) -> None:
        used_s = databases.server_cpu_s()
        cost = _run(rival, python, home, database, feed)
        kept[case].append(Run.of(cost, databases.server_cpu_s() - used_s))
        _check(rival, feed, case, json.loads(cost.output.splitlines()[-1]))

    for _ in range(runs):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        url = databases.fresh()
        database = str(folder / "shop.db") if url is None else _over_localhost(url)
        load(folder, database, old, FIRST)
    for run in range(runs):
        load(folder, database, old if run % 2 else new, CHANGED)
    shutil.rmtree(folder)
    return [
        Result(
            who=rival.name,
            case=case,
            format=old.format,
            items=old.items,
            size_bytes=old.size_bytes,
            database="DuckDB" if rival.way == "duckdb" else databases.name,
            runs=some,
        )
        for case, some in kept.items()
    ]


def _run(rival: Rival, python: str, home: Path, database: str, feed: Feed) -> Cost:
    if rival.script == "rival_dlt.py":
        url = database if "://" in database else f"sqlite:///{database}"
        arguments = [feed.format, str(feed.path), url, str(home / "pipelines"), rival.way]
    else:
        arguments = [rival.way, feed.format, str(feed.path), database]
    # dlt looks for its configuration where it is started
    return measure([python, str(HERE / rival.script), *arguments], folder=home)


def _check(rival: Rival, feed: Feed, case: str, told: dict[str, int]) -> None:
    counts = expected(feed.items)
    again = case == CHANGED
    if "stored" in told:  # what is gone stays: dlt does not look for it
        right = told["stored"] == feed.items + (counts["added"] if again else 0)
    else:
        right = told["updated"] == (counts["updated"] if again else 0)
    if not right:
        raise AssertionError(f"{rival.name}, {case}: {told} after {feed.path.name}")


def _over_localhost(url: str) -> str:
    """The URL of a database behind a unix socket in a form that dlt takes: with a host and a password."""
    return url.replace("postgresql://postgres:@/", "postgresql://postgres:none@localhost/", 1)

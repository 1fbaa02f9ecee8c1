"""How quick feedd is, beside what no ingestion can be quicker than, and beside its rivals: one command, one run.

    python tests/benchmarks/ingest.py --items 10000,100000,1000000 --postgres

Prints Markdown tables with medians, ratios and whether each bar is passed, and writes `results.json` (all runs),
`results.md` to the output folder. `report.py` puts them into docs/performance.md. `--help` tells the rest.

Rivals and HTTP are measured at 100,000 items and at the largest size, PostgreSQL at 100,000, floors and feedd on SQLite at
every size.

The data is made from a seed and kept in a cache folder. The rivals get an environment of their own there, made with pip
by the first run, unless `--rivals` names a Python that has them, or is `none`.
"""

import argparse
import contextlib
import itertools
import sys
import tempfile
from pathlib import Path
from typing import Any

# the daemon's tests know how to start one
sys.path.insert(0, str(Path(__file__).parent.parent))

import dataset
from databases import Databases, PostgreSQL, postgres
from dataset import Feed, feed
from floors import FLOORS
from latency import OTHER_ITEMS, latencies
from machine import machine
from measure import measure
from ours import UrlOf, file_server, not_modified_in_the_daemon, sync_results
from report import markdown
from results import Result, Results, Run
from rivals import RIVALS, environment, rival_results, versions

HERE = Path(__file__).parent
COMPARED_ITEMS = 100_000
PARTS = ("floors", "feedd", "http", "daemon", "rivals", "latency")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--items", type=_numbers, default=[100_000], help="sizes, with commas between (100000)")
    add(
        "--formats",
        type=_names(dataset.FORMATS),
        default=list(dataset.FORMATS),
        help=",".join(dataset.FORMATS),
    )
    add("--parts", type=_names(PARTS), default=list(PARTS), help=",".join(PARTS))
    add("--runs", type=int, default=3, help="runs of each case; medians are shown (3)")
    add("--rival-runs", type=int, default=3, help="at most so many runs of a rival (3)")
    add("--postgres", action="store_true", help="on PostgreSQL as well as on SQLite")
    add(
        "--rivals",
        default="make",
        metavar="PYTHON",
        help="a Python that has the rivals, make, or none",
    )
    add(
        "--cache",
        type=Path,
        help="where data and the rivals' environment are kept (a temporary folder)",
    )
    add("--work", type=Path, help="where databases are made and dropped (a temporary folder)")
    add("--out", type=Path, default=Path(), help="where results are written (here)")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _names(known: tuple[str, ...]) -> Any:
    def names(text: str) -> list[str]:
        wrong = set(text.split(",")) - set(known)
        if wrong:
            raise argparse.ArgumentTypeError(f"{', '.join(wrong)} is none of {', '.join(known)}")
        return text.split(",")

    return names


class Bench:
    """One run of the benchmark: what was asked for, where it happens, and what has been measured."""

    def __init__(self, asked: argparse.Namespace, work: Path, databases: list[Databases]) -> None:
        self.asked = asked
        self.work = work
        self.cache = asked.cache or work
        self.databases = databases
        self.results = Results(machine=machine())
        self.numbers = itertools.count(1)
        for each in databases:
            if isinstance(each, PostgreSQL):
                self.results.machine[each.name] = each.version()
        self.python: str | None = None
        if "rivals" in asked.parts and asked.rivals != "none":
            making = asked.rivals == "make"
            self.python = environment(self.cache / "rivals") if making else asked.rivals
            self.results.machine |= versions(self.python)

    def feeds(self, form: str, items: int) -> tuple[Feed, Feed]:
        old, new = (feed(self.cache, form, items, version) for version in dataset.VERSIONS)
        return old, new

    def folder(self) -> Path:
        return self.work / str(next(self.numbers))

    def keep(self, some: list[Result]) -> None:
        for each in some:
            line = f"{each.items:>9,} {each.format:5} {each.who}: {each.case} {each.database} {each.via}"
            print(f"{line:70} {each.wall_s:8.3f} s", file=sys.stderr, flush=True)
        self.results.results += some

    def size(self, form: str, items: int) -> None:
        """All cases of one format and size. What else there is than feedd on SQLite is measured at some sizes only."""
        old, new = self.feeds(form, items)
        if "floors" in self.asked.parts:
            self.keep([floor(name, new, self.asked.runs) for name in FLOORS])
        is_compared = items in (COMPARED_ITEMS, max(self.asked.items))
        for databases in self.databases if items == COMPARED_ITEMS else self.databases[:1]:
            if "feedd" in self.asked.parts:
                self.keep(self.ours(old, new, databases, server=None))
            if "http" in self.asked.parts and databases.name == "SQLite" and is_compared:
                with file_server(self.work) as server:
                    self.keep(self.ours(old, new, databases, server=server))
            if self.python is not None and is_compared:
                self.theirs(self.python, old, new, databases)

    def ours(
        self, old: Feed, new: Feed, databases: Databases, server: UrlOf | None
    ) -> list[Result]:
        return sync_results(
            self.folder(), old, new, runs=self.asked.runs, databases=databases, server=server
        )

    def theirs(self, python: str, old: Feed, new: Feed, databases: Databases) -> None:
        for rival in RIVALS:
            if databases.name in rival.databases and old.items <= rival.most_items:
                self.keep(
                    rival_results(
                        rival,
                        python,
                        self.folder(),
                        old,
                        new,
                        runs=min(self.asked.runs, self.asked.rival_runs),
                        databases=databases,
                    )
                )

    def daemon(self) -> None:
        """What happens inside the daemon, at the largest size."""
        items = max(self.asked.items)
        old, _ = self.feeds(self.asked.formats[0], items)
        if "daemon" in self.asked.parts:
            self.keep([not_modified_in_the_daemon(self.folder(), old, runs=20)])
        if "latency" in self.asked.parts:
            other, _ = self.feeds(self.asked.formats[0], min(items, OTHER_ITEMS))
            for databases in self.databases:
                seen, took_s = latencies(self.folder(), old, other, database=databases.fresh())
                print(f"first load in the daemon, being asked: {took_s:.1f} s", file=sys.stderr)
                self.results.latencies += seen


def floor(name: str, of: Feed, runs: int) -> Result:
    took = []
    for _ in range(runs):
        cost = measure([sys.executable, str(HERE / "floors.py"), name, of.format, str(of.path)])
        records, wall_s, cpu_s = map(float, cost.output.split())
        assert records in (0, of.records)
        took.append(
            Run(
                wall_s=wall_s,
                cpu_s=cpu_s,
                peak_bytes=cost.peak_bytes,
                largest_bytes=cost.largest_bytes,
            )
        )
    return Result(
        who="floor",
        case=name,
        format=of.format,
        items=of.items,
        size_bytes=of.size_bytes,
        runs=took,
    )


def main() -> None:
    asked = options()
    asked.out.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=asked.work)))
        databases = [Databases()]
        if asked.postgres:
            databases.append(stack.enter_context(postgres(work)))
        bench = Bench(asked, work, databases)
        for items in asked.items:
            for form in asked.formats:
                bench.size(form, items)
                bench.results.save(asked.out / "results.json")  # what there is, if it is ended
        bench.daemon()
    bench.results.save(asked.out / "results.json")
    text = markdown(bench.results)
    (asked.out / "results.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()

"""What the parts of the benchmark hand each other and the report: results, plain enough for JSON."""

import statistics
from pathlib import Path
from typing import Any

import msgspec
from measure import Cost
from msgspec import Struct

FIRST = "first load"
CHANGED = "1 % changed"
IDENTICAL = "identical body"
NOT_MODIFIED = "304"


class Run(Struct, frozen=True, kw_only=True):
    """One run. What was not measured is 0.

    `peak_bytes` is the PSS of all processes together, `largest_bytes` the RSS of the largest; a database server counts in
    neither, and its CPU time is in `server_cpu_s` alone.
    """

    wall_s: float
    cpu_s: float = 0.0
    peak_bytes: int = 0
    largest_bytes: int = 0
    server_cpu_s: float = 0.0

    @classmethod
    def of(cls, cost: Cost, server_cpu_s: float = 0.0) -> "Run":
        return cls(
            wall_s=cost.wall_s,
            cpu_s=cost.cpu_s,
            peak_bytes=cost.peak_bytes,
            largest_bytes=cost.largest_bytes,
            server_cpu_s=server_cpu_s,
        )


class Result(Struct, frozen=True, kw_only=True):
    """The runs of one case. `who` is feedd, a rival or a floor; `via` how the feed came (file, http, daemon)."""

    who: str
    case: str
    format: str
    items: int
    size_bytes: int
    runs: list[Run]
    database: str = ""
    via: str = "file"

    def median(self, field: str) -> float:
        return float(statistics.median(getattr(run, field) for run in self.runs))

    @property
    def wall_s(self) -> float:
        return self.median("wall_s")

    @property
    def cpu_s(self) -> float:
        """Of the program and of its database server together."""
        return self.median("cpu_s") + self.median("server_cpu_s")

    @property
    def items_per_s(self) -> float:
        return self.items / self.wall_s

    @property
    def peak_bytes(self) -> int:
        """The highest of all runs: a bound has to hold for each."""
        return max(run.peak_bytes for run in self.runs)


class Latency(Struct, frozen=True, kw_only=True):
    """Answer times of one kind of request, in milliseconds."""

    request: str
    during: str
    requests: int
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Results(Struct, kw_only=True):
    """All of one run of the benchmark."""

    machine: dict[str, str]
    results: list[Result] = []
    latencies: list[Latency] = []

    def find(self, **wanted: Any) -> list[Result]:
        return [
            each
            for each in self.results
            if all(getattr(each, name) == value for name, value in wanted.items())
        ]

    def one(self, **wanted: Any) -> Result | None:
        return next(iter(self.find(**wanted)), None)

    def save(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def load(path: Path) -> Results:
    return msgspec.json.decode(path.read_bytes(), type=Results)

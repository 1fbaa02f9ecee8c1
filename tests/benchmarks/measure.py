"""What one command costs: seconds, CPU seconds and the peak memory of all its processes together."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

WATCH = Path(__file__).with_name("watch.py")


class Cost(NamedTuple):
    """One run of a command. `peak_bytes` is the PSS of its processes together, `largest_bytes` the RSS of the largest."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    largest_bytes: int
    looks: int
    exit_code: int
    output: str


class CommandFailed(Exception):
    """A measured command has failed; the message is what it said."""


def measure(command: list[str], *, folder: Path | None = None, timeout_s: float = 3600) -> Cost:
    """Run a command to its end. The last 100 KB of what it prints are kept.

    Raises:
        CommandFailed: its exit code is not 0, or it took too long.
    """
    os.sync()  # what earlier runs have written is not written out on this one's time
    with tempfile.TemporaryDirectory() as kept:
        report = Path(kept, "report.json")
        subprocess.run(
            [sys.executable, "-S", WATCH, report, str(timeout_s), *command],
            cwd=folder,
            check=True,
        )
        cost = Cost(**json.loads(report.read_text()))
    if cost.exit_code:
        raise CommandFailed(
            f"{' '.join(command)} ended with {cost.exit_code}: {cost.output[-3000:]}"
        )
    return cost

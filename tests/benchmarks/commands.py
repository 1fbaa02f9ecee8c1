"""What short commands cost: CPU seconds (user and system) of the whole process, with a daemon and without.

    .venv/bin/python tests/benchmarks/commands.py [RUNS]

The least of the runs is what a command costs; the median tells how noisy the machine is. The first line is Python itself.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from daemons import running, shop, write_config
from servers import feed_server


def cpu_s(command: list[str], runs: int) -> list[float]:
    """The CPU time of each run."""
    taken = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return taken


def show(what: str, command: list[str], runs: int) -> None:
    taken = cpu_s(command, runs)
    print(f"{what:<40} {min(taken):6.3f} s  median {statistics.median(taken):6.3f} s")


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with tempfile.TemporaryDirectory() as folder, feed_server() as server:
        server.bodies["/shop.json"] = b'[{"id": "sku-1", "title": "Mug"}]'
        config = write_config(Path(folder), {"shop": shop(server)})
        feedd = [sys.executable, "-m", "feedd", "--config", str(config)]
        show("python -c pass", [sys.executable, "-c", "pass"], runs)
        show("feedd --help", [*feedd, "--help"], runs)
        with running(config) as daemon:
            daemon.resync()
            for command in ("feeds", "changes"):
                show(f"feedd {command}, with a daemon", [*feedd, command], runs)
            daemon.stop()
        for command in ("feeds", "changes"):
            show(f"feedd {command}, without one", [*feedd, command], runs)


if __name__ == "__main__":
    main()

"""Runs a command and writes what it cost to a file: a process of its own, with the standard library alone.

    python -S watch.py REPORT TIMEOUT_S COMMAND...

It adopts orphans, so that the CPU time of every descendant counts, and its own memory counts nowhere. `measure.py` starts it.

Memory is PSS, the sum over the process tree where a page that n processes share counts 1/n in each: the only figure that is
right for forked helpers. The kernel walks all pages of a process to tell it, so it is asked only while the sum of the
resident sizes (never less than the PSS, and cheap) is above the highest PSS so far, and for a twentieth of the time at most.
"""

# ruff: noqa: PTH123, PTH208 (this runs many times a second beside what it measures)

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36
LEAST_PAUSE_S = 0.02
SHARE_OF_TIME = 20
KEPT_OUTPUT = 100_000
PAGE_BYTES = resource.getpagesize()


def tree(root: int) -> list[int]:
    """A process and its descendants."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with (
                    contextlib.suppress(OSError),
                    open(f"/proc/{pid}/task/{task}/children") as text,
                ):
                    todo += map(int, text.read().split())
    return found


def resident_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as text:
            return int(text.read().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0  # it has ended


def proportional_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as text:
            for line in text:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # it has ended
    return 0


class Peak:
    """The highest memory of the descendants of a process."""

    def __init__(self) -> None:
        self.bytes = 0
        self.looks = 0

    def look(self, root: int) -> float:
        """Look once; how many seconds to pause."""
        began = time.perf_counter()
        # the first one is this process
        pids = tree(root)[1:]
        if sum(map(resident_bytes, pids)) > self.bytes:
            self.bytes = max(self.bytes, sum(map(proportional_bytes, pids)))
            self.looks += 1
        return max(LEAST_PAUSE_S, SHARE_OF_TIME * (time.perf_counter() - began))


def run(command: list[str], timeout_s: float) -> dict[str, object]:
    peak = Peak()
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        ended = select.poll()
        ended.register(os.pidfd_open(process.pid), select.POLLIN)
        pause_s = 0.0
        while not ended.poll(pause_s * 1000):
            if time.perf_counter() - began > timeout_s:
                for pid in tree(os.getpid())[1:]:
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
            pause_s = peak.look(os.getpid())
        wall_s = time.perf_counter() - began
        exit_code = process.wait()
        _reap(5)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        output.seek(max(0, output.seek(0, os.SEEK_END) - KEPT_OUTPUT))
        said = output.read().decode(errors="replace")
    return {
        "wall_s": wall_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_bytes": peak.bytes,
        "largest_bytes": used.ru_maxrss * 1024,
        "looks": peak.looks,
        "exit_code": exit_code,
        "output": said,
    }


def _reap(seconds: float) -> None:
    """Wait for the orphans, so that their time is counted."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        except ChildProcessError:
            return


def main() -> None:
    report, timeout_s, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    cost = run(command, float(timeout_s))
    with open(report, "w") as out:
        json.dump(cost, out)


if __name__ == "__main__":
    main()

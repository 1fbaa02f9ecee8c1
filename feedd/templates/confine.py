"""The walls of the worker: what the kernel lets it have. Set once everything is imported, and never widened.

After `confine` the process opens no file, no socket and no pipe beyond those it has, starts no process, writes no file, and has
`memory_bytes` more than it has now. Processor time is granted message by message.
"""

import contextlib
import math
import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from feedd.templates.failures import TooSlow

_GRACE_S = 1.0  # between the signal that ends a message and the one that ends the process
_AGAIN_S = 0.05  # what swallows the first is asked again


def confine(memory_bytes: int) -> None:
    """Give up everything that rendering does not need."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * os.sysconf("SC_PAGESIZE") + memory_bytes
    free = os.open(
        os.devnull, os.O_RDONLY
    )  # the lowest number that is free: no file can have a higher one
    os.close(free)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, free))
    for nothing in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(nothing, (0, 0))
    signal.signal(signal.SIGPROF, _too_slow)


def _too_slow(_number: int, _frame: object) -> None:
    raise TooSlow


@contextlib.contextmanager
def granted(cpu_s: float) -> Iterator[None]:
    """Let what is inside take that much processor time.

    A signal interrupts Python that takes longer. Where that is not heard, in a C function, another one ends the process.

    Raises:
        TooSlow: the time is used up.
    """
    last = math.ceil(time.process_time() + cpu_s + _GRACE_S)
    resource.setrlimit(resource.RLIMIT_CPU, (last, resource.RLIM_INFINITY))
    try:
        signal.setitimer(signal.ITIMER_PROF, cpu_s, _AGAIN_S)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)

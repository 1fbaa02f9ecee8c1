"""Runs a program under the unit's rules for system calls, as systemd sets them, and kills it at the first that is refused.

    python confined.py UNIT PROGRAM ARGUMENTS...

The rules are SystemCallFilter, MemoryDenyWriteExecute and RestrictAddressFamilies (systemd.exec(5)); the filter is made by
libseccomp, whose library systemd itself uses. Where systemd would have a call fail, the program dies by SIGSYS instead, so
that a call that is outside the filter and whose failure would be overlooked is seen.
"""

import ctypes
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ALLOW, KILL = 0x7FFF0000, 0x80000000
UNKNOWN_FAMILY = (
    0x00050000 | 97
)  # fails with EAFNOSUPPORT, as under systemd: glibc asks for netlink and lives without
NOT_PERMITTED = 0x00050000 | 1
# refused as by systemd, and done without: OpenBLAS (in numpy) asks for near memory and takes what it gets; SQLite gives its
# files away when it runs as root, which the service does not
HINTS = ("mbind", "fchown", "setpriority")
EQUAL, MASKED, GREATER = 4, 7, 6
WRITE, EXECUTE = 2, 4
BY_RULE = ("mmap", "mprotect", "pkey_mprotect", "socket")


class Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


def allowed_calls(unit: str) -> set[str]:
    """The names that the SystemCallFilter lines of a unit leave."""
    names: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        found = set().union(*(members(word) for word in line.removeprefix("~").split()))
        names = names - found if line.startswith("~") else names | found
    return names | members("@default")


@cache
def members(name: str) -> frozenset[str]:
    """The calls of a group, as systemd-analyze lists them."""
    if not name.startswith("@"):
        return frozenset({name})
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout
    words = [w for w in map(str.strip, listed.splitlines()[1:]) if w and not w.startswith("#")]
    return frozenset().union(*map(members, words))


def confine(calls: set[str], families: list[int]) -> None:
    """Set the filter on this process and all that it starts."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    context = ctypes.c_void_p(library.seccomp_init(KILL))

    def rule(action: int, name: str, *comparisons: tuple[int, int, int, int]) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == -1:  # of another machine
            return
        values = (Comparison * len(comparisons))(*(Comparison(*each) for each in comparisons))
        done = library.seccomp_rule_add_array(
            context, ctypes.c_uint32(action), number, ctypes.c_uint(len(comparisons)), values
        )
        if done < 0:
            raise OSError(-done, f"{name}: {os.strerror(-done)}")

    for name in calls - {*BY_RULE, *HINTS}:
        rule(ALLOW, name)
    for name in HINTS:
        rule(NOT_PERMITTED, name)
    for bit in (WRITE, EXECUTE):
        rule(ALLOW, "mmap", (2, MASKED, bit, 0))
    for name in ("mprotect", "pkey_mprotect"):
        rule(ALLOW, name, (2, MASKED, EXECUTE, 0))
    for family in range(50):
        rule(ALLOW if family in families else UNKNOWN_FAMILY, "socket", (0, EQUAL, family, 0))
    rule(UNKNOWN_FAMILY, "socket", (0, GREATER, 49, 0))
    if library.seccomp_load(context) < 0:
        raise OSError("the filter was not taken")


def main() -> None:
    unit = Path(sys.argv[1]).read_text()
    named = re.search(r"^RestrictAddressFamilies=(.*)$", unit, re.MULTILINE)
    assert named is not None
    import socket

    families = [int(getattr(socket, name)) for name in named[1].split()]
    calls = allowed_calls(unit)
    confine(calls, families)
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()

"""Which file this is, and in which state: to tell later that it is still the one that was looked at."""

import os
from pathlib import Path

from feedd.errors import FetchError

# device, inode, bytes, and when its content and its inode were changed last, in nanoseconds
Identity = tuple[int, int, int, int, int]


def identity_of(descriptor: int) -> Identity:
    """The identity of an open file. Whatever writes to it gives it another one, and nobody can set it back."""
    state = os.fstat(descriptor)
    return (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def file_changed(path: Path) -> FetchError:
    """The error for a file that is no longer the one that was looked at."""
    return FetchError(
        "file_changed",
        f"{path} was written while it was read",
        hint="Write the feed to another name and rename it into place.",
    )

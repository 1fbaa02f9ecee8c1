"""Which file this is, and in which state: to tell later that it is still the one that was looked at."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from feedd.errors import FetchError

_PIECE_BYTES = 2 * 1024 * 1024  # large, so that who takes a digest seldom asks for the interpreter
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


@contextlib.contextmanager
def digest_beside(descriptor: int) -> Iterator[Callable[[], bytes]]:
    """The SHA-256 of an open file, taken in a thread while it is read for something else; what is given waits for it.

    Raises:
        OSError: when it is called: the file could not be read.
    """
    taken: list[bytes | OSError] = []
    unwanted = threading.Event()

    def take() -> None:
        digest, piece, at = hashlib.sha256(), memoryview(bytearray(_PIECE_BYTES)), 0
        try:
            while not unwanted.is_set() and (size := os.preadv(descriptor, [piece], at)):
                digest.update(piece[:size])
                at += size
            taken.append(digest.digest())
        except OSError as error:
            taken.append(error)

    def wait() -> bytes:
        thread.join()
        if isinstance(taken[0], OSError):
            raise taken[0]
        return taken[0]

    thread = threading.Thread(target=take, name="digest", daemon=True)
    thread.start()
    try:
        yield wait
    finally:
        unwanted.set()
        thread.join()

"""The state directory: made, owned, and held by one feedd at a time; the socket in it, however deep it lies."""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from feedd.errors import StateInUse, UsageError

ASKING_S = 0.05
MAX_SOCKET_BYTES = 107  # sun_path has 108, one of them for the end


class StateLock:
    """An exclusive hold on a state directory, gone with the process whatever ends it.

    `free_since_ns` is when its last holder has let go of it, None where that one has died with it.
    """

    def __init__(self, state_dir: Path, purpose: str) -> None:
        """Take the hold.

        Raises:
            StateInUse: another process has it; names it.
        """
        path = state_dir / "lock"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(self._fd)
        except BlockingIOError:
            holder = os.pread(self._fd, 200, 0).decode(errors="replace").strip()
            os.close(self._fd)
            raise StateInUse(str(state_dir), holder or "another feedd") from None
        found = os.fstat(self._fd)
        self.free_since_ns = None if found.st_size else found.st_mtime_ns
        name = f"feedd {purpose} (process {os.getpid()})".encode()
        os.pwrite(self._fd, name, 0)  # first: who dies in between must not leave an empty file
        os.ftruncate(self._fd, len(name))

    def release(self) -> None:
        """Let others have it, who see by the empty file that it was not death that let go."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(ASKING_S)  # it may be held by `is_free`
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_free(state_dir: Path) -> bool:
    """Whether no process holds a state directory at this moment: what was running in it is gone."""
    try:
        descriptor = os.open(state_dir / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False  # nobody ever has, or it cannot be known
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def prepare(state_dir: Path) -> None:
    """Make the state directory where it is missing, and become its owner.

    Root drops to the owner, so that no file of root's is left where the service cannot write it. What is made from now
    on is for its owner alone.

    Raises:
        UsageError: it belongs to somebody else, or cannot be made.
    """
    os.umask(0o077)
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = state_dir.stat()
    except OSError as error:
        raise UsageError(
            f"the state directory {state_dir} cannot be used: {error.strerror}",
            hint="Name another one with --state-dir or FEEDD_STATE_DIR.",
        ) from error
    if os.geteuid() == owner.st_uid:
        return
    if os.geteuid() != 0:
        raise UsageError(
            f"the state directory {state_dir} belongs to another user",
            hint="Run the command as that user (sudo -u …), or name another directory with --state-dir.",
        )
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
    os.environ["HOME"] = str(state_dir)


@contextlib.contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """What to bind or connect a unix socket to: the path, or a shorter way to it where it is too long (unix(7))."""
    if len(os.fsencode(path)) <= MAX_SOCKET_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def instance_id(state_dir: Path) -> str:
    """A name for this state directory's feedd that survives restarts: who holds its leases.

    A copy of the directory on another machine has another name, so that the two do not take each other's leases.
    """
    return f"{os.uname().nodename}:{_token(state_dir)}"


def _token(state_dir: Path) -> str:
    path = state_dir / "instance"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    fresh = secrets.token_hex(8)
    temporary = state_dir / f"instance.{os.getpid()}"
    temporary.write_text(fresh)
    try:
        os.link(temporary, path)  # the first of several wins
    except FileExistsError:
        return path.read_text().strip()
    finally:
        temporary.unlink()
    return fresh

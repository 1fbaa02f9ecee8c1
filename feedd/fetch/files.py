"""file:// feeds: regular files below the configured roots, reached without following a link out of them."""

import errno
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from feedd.errors import FetchError
from feedd.fetch.clock import Deadline
from feedd.fetch.request import Fetched, FetchRequest, Known, OnProgress
from feedd.fetch.spool import too_large
from feedd.fetch.unpack import OnBytes, spool_unpacked
from feedd.identity import file_changed, identity_of

_CHUNK = 256 * 1024  # stays in the processor's cache between reading, hashing and writing
IN_PLACE_BYTES = 64 * 1024 * 1024  # a copy of a smaller file costs nothing that is worth a rule
SETTLED_S = 2.0  # longer than the clock of any file system takes to tick
_PLAIN = re.compile(rb"(?:\xef\xbb\xbf)?\s*[<{\[]")  # no archive begins like that
_SAMPLES = 64
_SAMPLE_BYTES = 64 * 1024


def fetch_file(
    request: FetchRequest, folder: Path, deadline: Deadline, *, on_progress: OnProgress
) -> Fetched:
    """A copy of the file in `folder`: what was checked is what is read later, whatever becomes of the file.

    One that is the `known` body is hashed where it lies and not copied. Nor is a large one that may be read `in_place`: who
    reads it sees by its identity whether it is still what was hashed. One whose size says that it is not the known body
    has no digest yet: who reads it takes that meanwhile.

    Raises:
        FetchError: (`file_refused`, `file_missing`, `file_changed`, `too_large`, `disk_full`, …)
    """
    path = _path_of(request.url)
    root = _root_of(path, request.file_roots)
    descriptor = _open_below(root, path)
    try:
        size = os.fstat(descriptor).st_size
        if size > request.max_bytes:
            raise too_large(request.max_bytes)

        def on_bytes(done: int, as_it_came: bool) -> None:
            deadline.check()
            on_progress(done, size if as_it_came else None)

        in_place = request.in_place and _is_settled(descriptor)
        identity = identity_of(descriptor)
        size = identity[2]
        if in_place and (request.known is None or request.known.size != size):
            return Fetched(
                status=200, size=size, final_url=request.url, path=path, identity=identity
            )
        if in_place or (request.known is not None and _may_be(request.known, descriptor, size)):
            digest = _digest(_unchanged(descriptor, path), on_bytes)
            found = Fetched(status=200, digest=digest, size=size, final_url=request.url)
            if request.known is not None and digest == request.known.digest:
                return found
            if in_place:
                return msgspec.structs.replace(found, path=path, identity=identity)
            os.lseek(descriptor, 0, os.SEEK_SET)
        body, name = spool_unpacked(
            _unchanged(descriptor, path),
            folder,
            max_bytes=request.max_bytes,
            member=request.member,
            on_bytes=on_bytes,
        )
    finally:
        os.close(descriptor)
    return Fetched(
        status=200,
        path=body.path,
        owned=True,
        digest=body.digest,
        size=body.size,
        name=name,
        final_url=request.url,
    )


def _may_be(known: Known, descriptor: int, size: int) -> bool:
    """Whether it is worth a digest to see if a file is the known body: so it is unless their sizes, or samples, differ.

    Nothing is decided by that but the quicker way. What is packed has another size, or another digest.
    """
    if size != known.size:
        return False
    if known.path is None:
        return True
    try:
        with known.path.open("rb", buffering=0) as file:
            return all(
                os.pread(descriptor, _SAMPLE_BYTES, at)
                == os.pread(file.fileno(), _SAMPLE_BYTES, at)
                for at in range(0, size, max(size // _SAMPLES, _SAMPLE_BYTES))
            )
    except OSError:
        return True


def _is_settled(descriptor: int) -> bool:
    """Whether a file is large, plain, and not being written: its times would tell of a change that comes now."""
    state = os.fstat(descriptor)
    if state.st_size < IN_PLACE_BYTES or time.time() - state.st_mtime < SETTLED_S:
        return False
    return _PLAIN.match(os.pread(descriptor, _SAMPLE_BYTES, 0)) is not None


def _digest(pieces: Iterator[bytes], on_bytes: OnBytes) -> bytes:
    digest = hashlib.sha256()
    done = 0
    for piece in pieces:
        digest.update(piece)
        done += len(piece)
        on_bytes(done, True)
    return digest.digest()


def _unchanged(descriptor: int, path: Path) -> Iterator[bytes]:
    """The file's bytes. Raises FetchError in the end if they were written to meanwhile."""
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        raise _refused(f"{path} is not a regular file")
    size = 0
    while chunk := _read(descriptor, path):
        size += len(chunk)
        if size > before.st_size:
            break
        yield chunk
    after = os.fstat(descriptor)
    if (size, before.st_mtime_ns) != (before.st_size, after.st_mtime_ns):
        raise file_changed(path)


def _read(descriptor: int, path: Path) -> bytes:
    try:
        return os.read(descriptor, _CHUNK)
    except OSError as error:
        raise _unreadable(path, error) from error


def _path_of(url: str) -> Path:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _refused("the file:// URL cannot be read") from error
    if parts.netloc not in ("", "localhost"):
        raise _refused("a file:// URL names no other host")
    text = unquote(parts.path)
    if not text.startswith("/") or "\0" in text:
        raise _refused("a file:// URL names an absolute path")
    return Path(os.path.normpath(text))


def _root_of(path: Path, roots: tuple[str, ...]) -> Path:
    for root in roots:
        for form in (Path(os.path.normpath(root)), Path(os.path.realpath(root))):
            if path != form and path.is_relative_to(form):
                return form
    listed = ", ".join(roots) or "there are none"
    raise _refused(f"{path} is outside the file roots ({listed})")


def _open_below(root: Path, path: Path) -> int:
    """Open a file one folder at a time from its root, so that no link on the way leads elsewhere."""
    *folders, name = path.relative_to(root).parts
    directory = -1
    try:
        directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for folder in folders:
            deeper = os.open(
                folder,
                os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                dir_fd=directory,
            )
            os.close(directory)
            directory = deeper
        # a FIFO would block without O_NONBLOCK; it is refused once it is open
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(name, flags, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise _refused(f"{path} is, or lies behind, a symbolic link") from error
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise FetchError(
                "file_missing", f"there is no file {path}", hint="Check the path in the URL."
            ) from error
        raise _unreadable(path, error) from error
    finally:
        if directory >= 0:
            os.close(directory)


def _unreadable(path: Path, error: OSError) -> FetchError:
    return FetchError(
        "file_refused",
        f"{path} cannot be read: {error.strerror}",
        hint="feedd's user needs to read it, and to enter the folders above it.",
    )


def _refused(message: str) -> FetchError:
    return FetchError(
        "file_refused", message, hint="file:// feeds are regular files below `file_roots`."
    )

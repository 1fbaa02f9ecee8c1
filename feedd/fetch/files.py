"""file:// feeds: regular files below the configured roots, reached without following a link out of them."""

import errno
import hashlib
import os
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

from feedd.errors import FetchError
from feedd.fetch.clock import Deadline
from feedd.fetch.request import Fetched, FetchRequest
from feedd.fetch.spool import too_large

_CHUNK = 1024 * 1024


def fetch_file(request: FetchRequest, deadline: Deadline) -> Fetched:
    """The file, read once for its digest; it stays where it is (`owned` is false).

    Raises:
        FetchError: (`file_refused`, `file_missing`, `file_changed`, `too_large`, …)
    """
    path = _path_of(request.url)
    root = _root_of(path, request.file_roots)
    descriptor = _open_below(root, path)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise _refused(f"{path} is not a regular file")
        if before.st_size > request.max_bytes:
            raise too_large(request.max_bytes)
        digest = hashlib.sha256()
        size = 0
        while chunk := file.read(_CHUNK):
            deadline.remaining()
            digest.update(chunk)
            size += len(chunk)
        after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (
        after.st_size,
        after.st_mtime_ns,
    ) or size != after.st_size:
        raise FetchError(
            "file_changed",
            f"{path} was written while it was read",
            hint="Write the feed to another name and rename it into place.",
        )
    return Fetched(status=200, path=path, digest=digest.digest(), size=size, final_url=request.url)


def _path_of(url: str) -> Path:
    parts = urlsplit(url)
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
        raise FetchError(
            "file_refused",
            f"{path} cannot be read: {error.strerror}",
            hint="feedd's user needs to read it, and to enter the folders above it.",
        ) from error
    finally:
        if directory >= 0:
            os.close(directory)


def _refused(message: str) -> FetchError:
    return FetchError(
        "file_refused", message, hint="file:// feeds are regular files below `file_roots`."
    )

"""Bodies on disk: written once while their digest is taken, within the feed's limit of bytes."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from feedd.errors import FetchError


class Spooled(NamedTuple):
    """A body that was written: where, its SHA-256, its bytes."""

    path: Path
    digest: bytes
    size: int


def spool(
    pieces: Iterable[bytes],
    folder: Path,
    *,
    max_bytes: int,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> Spooled:
    """Write a body to a new file that only its owner can read; nothing is left when it fails.

    Raises:
        FetchError: (`too_large`, `disk_full`), or what reading the pieces raises.
    """
    digest = hashlib.sha256()
    size = 0
    try:
        descriptor, name = tempfile.mkstemp(dir=folder, prefix="body-")
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for piece in pieces:
                    size += len(piece)
                    if size > max_bytes:
                        raise too_large(max_bytes)
                    digest.update(piece)
                    file.write(piece)
                    on_bytes(size)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise FetchError(
            "disk_full",
            f"the disk that holds {folder} is full",
            hint="Make room; nothing was changed, and the feed comes again with its next sync.",
        ) from error
    return Spooled(path, digest.digest(), size)


def too_large(max_bytes: int) -> FetchError:
    """The error for a body over the limit."""
    return FetchError(
        "too_large",
        f"the body is larger than max_bytes, {max_bytes} bytes",
        hint="If that is right for this feed, raise its `max_bytes`.",
    )

"""The stored bodies: of each feed the body that its catalog was read from, so that it can be read again without fetching.

A body lies at `FOLDER/FEED/SHA-256`, moved there before it is read; the digest in the feed's row, which the commit
writes, says which of them is the stored one. So whenever feedd ends, the old one or the new one is there and fits.
"""

import contextlib
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path


class Bodies:
    """The stored bodies below one directory of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, feed: str, digest: bytes | None) -> Path | None:
        """Where the body of that digest lies; None when it is not here."""
        path = None if digest is None else self._path(feed, digest)
        return path if path is not None and path.is_file() else None

    def find_whole(self, feed: str, digest: bytes | None) -> Path | None:
        """As `find`, once the body is read through: one that a failing disk has damaged is removed."""
        if digest is None:
            return None
        path = self._path(feed, digest)
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").digest() == digest:
                    return path
        except FileNotFoundError:
            return None
        path.unlink(missing_ok=True)
        return None

    def keep(self, feed: str, digest: bytes, spooled: Path) -> Path:
        """Move a spooled body to where it is kept, beside the one that is stored; gives where it lies now.

        It stays where it is when the directory cannot be written: a body less is no reason to fail a sync.
        """
        target = self._path(feed, digest)
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            spooled.replace(target)
        except OSError:
            return spooled
        return target

    def settle(self, feed: str, digest: bytes | None) -> None:
        """Remove every body of a feed but the one of that digest."""
        kept = None if digest is None else self._path(feed, digest).name
        folder = self._folder / feed
        with contextlib.suppress(FileNotFoundError):
            for path in folder.iterdir():
                if path.name != kept:
                    path.unlink(missing_ok=True)
            if kept is None:
                folder.rmdir()

    def sweep(self, digests: Mapping[str, bytes | None]) -> None:
        """Remove what is left of feeds that are not among these, and all but the one body of each."""
        with contextlib.suppress(FileNotFoundError):
            for folder in self._folder.iterdir():
                if folder.name in digests:
                    self.settle(folder.name, digests[folder.name])
                else:
                    shutil.rmtree(folder, ignore_errors=True)

    def _path(self, feed: str, digest: bytes) -> Path:
        return self._folder / feed / digest.hex()

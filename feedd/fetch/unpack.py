"""Feeds that are published as .gz and .zip files, told by their first bytes and unpacked to disk within the feed's limit.

What a server calls a body plays no part: many send `application/xml` with a gzip file, and `application/gzip` with
what is no longer one once its Content-Encoding is undone. A zip is written to disk first, since its directory stands at
its end; the names in it choose the feed and never become paths.
"""

import errno
import io
import itertools
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from feedd.errors import FetchError
from feedd.fetch.decoders import PIECE, gunzipped
from feedd.fetch.spool import Spooled, spool

MOST_DIRECTORY_BYTES = (
    2**20
)  # of a zip: some ten thousand entries, each of which costs half a kilobyte of memory
_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # with entries, and without any
_MAGIC_BYTES = 4
_PACKED = {_GZIP: "a gzip file", **dict.fromkeys(_ZIP, "a zip file")}
_TAR = b"ustar"
_TAR_AT = 257
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_NOT_FEEDS = ("thumbs.db", "desktop.ini")
_SHOWN = 5
_ENCRYPTED = 0x1

OnBytes = Callable[[int, bool], None]


class Unpacked(NamedTuple):
    """A body as the feed itself: where it is, and the name it had in its archive."""

    body: Spooled
    name: str | None


def spool_unpacked(
    pieces: Iterable[bytes],
    folder: Path,
    *,
    max_bytes: int,
    member: str | None = None,
    on_bytes: OnBytes = lambda _size, _as_it_came: None,
) -> Unpacked:
    """Write a body to disk, out of its archive if it comes in one. `member` names the feed in a zip of several files.

    `on_bytes` is told how many bytes were written, and whether they are the body's as it came.

    Raises:
        FetchError: (`bad_archive`, `archive_member`, `cut_short`, `too_large`, `disk_full`), or what reading raises.
    """
    start, pieces = _peeked(pieces, _MAGIC_BYTES)
    if start.startswith(_GZIP):
        unpacked = _feed_itself(gunzipped(pieces))
        return Unpacked(
            spool(
                unpacked, folder, max_bytes=max_bytes, on_bytes=lambda size: on_bytes(size, False)
            ),
            None,
        )
    body = spool(pieces, folder, max_bytes=max_bytes, on_bytes=lambda size: on_bytes(size, True))
    if not start.startswith(_ZIP):
        return Unpacked(body, None)
    try:
        return _unzipped(body.path, folder, max_bytes, member, on_bytes)
    finally:
        body.path.unlink(missing_ok=True)


def _unzipped(
    path: Path, folder: Path, max_bytes: int, member: str | None, on_bytes: OnBytes
) -> Unpacked:
    with _Guarded(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except zipfile.BadZipFile as error:
            raise _blamed(error, _cut_short()) from error
        except (OSError, ValueError, NotImplementedError) as error:
            raise _blamed(error, _damaged()) from error
        chosen = _chosen(archive.infolist(), member)
        body = spool(
            _feed_itself(_contents(archive, chosen)),
            folder,
            max_bytes=max_bytes,
            on_bytes=lambda size: on_bytes(size, False),
        )
    return Unpacked(body, chosen.filename)


class _Guarded(io.FileIO):
    """A file of which nothing large is read at once: a zip says itself how long its directory is."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            here = self.tell()
            size = self.seek(0, io.SEEK_END) - here
            self.seek(here)
        if size > MOST_DIRECTORY_BYTES:
            raise _refused(
                f"the zip file's directory is larger than {MOST_DIRECTORY_BYTES} bytes",
                "Publish a zip file with the feed in it and nothing else.",
            )
        return super().read(size)


def _chosen(entries: list[zipfile.ZipInfo], member: str | None) -> zipfile.ZipInfo:
    """The entry that is the feed."""
    files = [entry for entry in entries if _is_file(entry)]
    found = files
    if member is not None:
        found = [entry for entry in files if entry.filename == member]
        found = found or [entry for entry in files if fnmatchcase(entry.filename, member)]
    if len(found) == 1:
        return found[0]
    if not files:
        message, hint = "there is no file in the zip file", "Look at what makes the feed."
    elif not found:
        message = f"there is no {member!r} in the zip file; it holds {_listed(files)}"
        hint = "Set `member` to one of them."
    else:
        fits = "" if member is None else f" that are {member!r}"
        message = f"the zip file holds {len(found)} files{fits}: {_listed(found)}"
        hint = "Set `member` of this feed to the one that is the feed."
    raise FetchError("archive_member", message, hint=hint)


def _is_file(entry: zipfile.ZipInfo) -> bool:
    *folders, name = entry.filename.split("/")
    ours = name and not name.startswith(".") and name.lower() not in _NOT_FEEDS
    return bool(ours) and "__MACOSX" not in folders


def _listed(entries: list[zipfile.ZipInfo]) -> str:
    shown = ", ".join(_printable(entry.filename) for entry in entries[:_SHOWN])
    return f"{shown}, …" if len(entries) > _SHOWN else shown


def _printable(name: str) -> str:
    """A name out of an archive, which may hold anything, for a message."""
    plain = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in name)
    return repr(plain if len(plain) <= 60 else f"{plain[:59]}…")


def _contents(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """What an entry holds, in pieces of bounded size; its checksum is verified at the end."""
    name = _printable(entry.filename)
    if entry.flag_bits & _ENCRYPTED:
        raise _refused(
            f"{name} in the zip file is encrypted",
            "Publish the feed without a password of its own; `auth` protects its URL.",
        )
    if entry.compress_type not in _METHODS:
        raise _refused(
            f"{name} in the zip file is compressed by method {entry.compress_type}, which feedd does not take",
            "Make the zip file with the usual method, deflate; or publish a .gz file.",
        )
    try:
        with archive.open(entry) as stream:
            while piece := stream.read(PIECE):
                yield piece
    except EOFError as error:
        raise _cut_short() from error
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, OSError) as error:
        raise _blamed(error, _damaged()) from error


def _blamed(error: Exception, archive: FetchError) -> Exception:
    """What to raise for an error of reading a zip: that of the archive, unless it is the disk that cannot be read.

    A place that is in no file is an OSError too, and `zipfile` says of some of them that the file is no zip.
    """
    for each in (error, error.__context__):
        if isinstance(each, OSError) and each.errno not in (None, errno.EINVAL):
            return each
    return archive


def _feed_itself(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces, unless they are an archive again."""
    start, pieces = _peeked(pieces, _TAR_AT + len(_TAR))
    inner = next((name for magic, name in _PACKED.items() if start.startswith(magic)), None)
    if start[_TAR_AT:] == _TAR:
        inner = "a tar archive"
    if inner is not None:
        raise _refused(
            f"inside the archive is {inner}, not a feed",
            "Pack the feed once: one file, as .gz or in a .zip.",
        )
    yield from pieces


def _peeked(pieces: Iterable[bytes], size: int) -> tuple[bytes, Iterable[bytes]]:
    """The first bytes, and all the pieces."""
    pieces = iter(pieces)
    start = b""
    while len(start) < size and (piece := next(pieces, None)) is not None:
        start += piece
    return start[:size], itertools.chain([start] if start else [], pieces)


def _refused(message: str, hint: str) -> FetchError:
    return FetchError("bad_archive", message, hint=hint)


def _damaged() -> FetchError:
    return _refused("the zip file is damaged", "Look at what makes it; nothing was changed.")


def _cut_short() -> FetchError:
    return FetchError(
        "cut_short",
        "the zip file ends before its end",
        hint="The transfer broke off, or half a file was published; nothing was changed. It is tried again at the next sync.",
    )

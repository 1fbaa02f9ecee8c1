"""The file of a backup: a tar of a header, parts of tables and a manifest, compressed with zstd; `tar --zstd -t` lists it.

The manifest comes last and holds the SHA-256 of everything before it, so a file can be written to a pipe, and one that
was cut short or changed is known before anything of it is used.
"""

import io
import re
import tarfile
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec
import zstandard

from feedd import __version__
from feedd.errors import UsageError
from feedd.store.snapshot import Part, Snapshot

FORMAT = 1
HEADER, MANIFEST = "feedd-backup.json", "manifest.json"
_PART = re.compile(r"(catalog|people)/[a-z_]+/[0-9]+\.msgpack")
MOST_BYTES = 256 * 1024 * 1024  # of a member; a part is a few MB, or one large row
Kind = TypeVar("Kind", bound=msgspec.Struct)
_READ_BYTES = 4 * 1024  # so little at a time that a hostile file cannot fill the memory


class Header(msgspec.Struct, kw_only=True):
    """What a backup is of. `databases` maps their names to the revisions of their schemas."""

    format: int
    feedd: str
    made_at: datetime
    stream_id: str
    last_seq: int
    databases: dict[str, str]


class Manifest(msgspec.Struct, kw_only=True):
    """What a whole backup consists of: the SHA-256 of each member, the rows of each table."""

    sha256: dict[str, str]
    rows: dict[str, int]


class BackupError(UsageError):
    """The file is no backup, or not a whole one."""

    def __init__(self, path: Path, message: str, hint: str = "") -> None:
        super().__init__(f"{path}: {message}", code="backup", hint=hint)


def write(out: BinaryIO, taken: Snapshot, now: datetime) -> Manifest:
    """Write a backup of a snapshot."""
    header = Header(
        format=FORMAT,
        feedd=__version__,
        made_at=now,
        stream_id=taken.stream_id,
        last_seq=taken.last_seq,
        databases=taken.revisions,
    )
    manifest = Manifest(sha256={}, rows={})
    compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
    with (
        compressor.stream_writer(out, closefd=False) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):

        def add(name: str, content: bytes) -> None:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(now.timestamp())
            tar.addfile(entry, io.BytesIO(content))
            manifest.sha256[name] = sha256(content).hexdigest()

        add(HEADER, _json(header))
        for number, part in enumerate(taken.parts()):
            table = f"{part.database}/{part.table}"
            manifest.rows[table] = manifest.rows.get(table, 0) + part.rows
            add(f"{table}/{number:06}.msgpack", part.content)
        add(MANIFEST, _json(manifest))
    return manifest


def verify(path: Path) -> tuple[Header, Manifest]:
    """Read a backup from end to end, and give what it is once all of it is known to be right.

    Raises:
        BackupError: it is no backup, or not a whole one, or one of a newer kind.
    """
    header = manifest = None
    found: dict[str, str] = {}
    for name, content in _members(path):
        if not found:
            header = _header(path, name, content)
        if name == MANIFEST:
            manifest = _decoded(path, content, Manifest)
        elif name == HEADER or _PART.fullmatch(name):
            found[name] = sha256(content).hexdigest()
        else:
            raise _damaged(path)
    if header is None or manifest is None:
        raise _cut_short(path)
    if found != manifest.sha256:
        raise _damaged(path)
    return header, manifest


def parts(path: Path) -> Iterator[Part]:
    """The parts of tables in a backup that was verified, in their order."""
    for name, content in _members(path):
        if name not in (HEADER, MANIFEST):
            database, table, _ = name.split("/")
            yield Part(database, table, 0, content)


def _json(value: Header | Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _header(path: Path, name: str, content: bytes) -> Header:
    if name != HEADER:
        raise _no_backup(path)
    found = msgspec.json.decode(content)
    if isinstance(found, dict) and found.get("format", FORMAT) != FORMAT:
        raise BackupError(
            path,
            f"it was made by feedd {found.get('feedd')}, in a form that this one does not know",
            hint="Restore it with that feedd, or a newer one.",
        )
    return _decoded(path, content, Header)


def _decoded(path: Path, content: bytes, kind: type[Kind]) -> Kind:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        raise _damaged(path) from error


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with path.open("rb") as file:
            reader = _Reader(path, file)
            with tarfile.open(fileobj=reader, mode="r|") as tar:  # type: ignore[call-overload]
                for entry in tar:
                    if not entry.isfile() or entry.size > MOST_BYTES:
                        raise _no_backup(path)
                    member = tar.extractfile(entry)
                    yield entry.name, b"" if member is None else member.read()
            reader.finish()
    except tarfile.TarError as error:
        raise _damaged(path) from error
    except PermissionError as error:
        raise BackupError(
            path,
            "cannot be read by the owner of the state directory, whom feedd works as",
            hint="Give it to that user (chown), in a directory that it can enter.",
        ) from error
    except OSError as error:
        raise BackupError(path, f"cannot be read: {error.strerror or error}") from error


class _Reader:
    """The decompressed bytes of a file, that has one whole frame and nothing else."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._frame = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024).decompressobj()
        self._ready = bytearray()

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end only."""
        while len(self._ready) < size and self._more():
            pass
        taken = bytes(self._ready[:size])
        del self._ready[:size]
        return taken

    def finish(self) -> None:
        """Raise BackupError unless the file ends where the frame does."""
        while self._more():
            self._ready.clear()

    def _more(self) -> bool:
        chunk = self._file.read(_READ_BYTES)
        if self._frame.eof:
            if chunk or self._frame.unused_data:
                raise _damaged(self._path)
            return False
        if not chunk:
            raise _cut_short(self._path)
        try:
            self._ready += self._frame.decompress(chunk)
        except zstandard.ZstdError as error:
            raise (
                _no_backup(self._path) if self._file.tell() <= _READ_BYTES else _damaged(self._path)
            ) from error
        return True


def _no_backup(path: Path) -> BackupError:
    return BackupError(path, "this is no backup of feedd's", hint="`feedd backup FILE` makes one.")


def _damaged(path: Path) -> BackupError:
    return BackupError(
        path, "the backup is damaged: it is not what was written", hint="Use another backup."
    )


def _cut_short(path: Path) -> BackupError:
    return BackupError(
        path, "the backup is cut short: its end is missing", hint="Copy it again, or use another."
    )

"""Feeds in .gz and .zip files: unpacked once, within limits, or refused with a reason."""

import contextlib
import errno
import gzip
import hashlib
import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import FeedServer, feed_server

from feedd.errors import FetchError
from feedd.fetch import Fetched, Fetcher, FetchRequest
from feedd.fetch.unpack import Unpacked, _Guarded, spool_unpacked

MIB = 2**20
BODY = b'[{"id":"1","title":"A thing"}]'
LONG = b"".join(b'{"id":"%d","title":"A thing"}\n' % n for n in range(20_000))


def gzipped(data: bytes) -> bytes:
    """The same bytes at any time: they name tests, and each process must come to the same names."""
    return gzip.compress(data, mtime=0)


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in files:
            member = zipfile.ZipInfo(name)
            member.compress_type = method
            archive.writestr(member, content)
    return made.getvalue()


def streamed_zip(name: str, content: bytes) -> bytes:
    """As programs write that cannot seek: sizes and checksum stand behind the data."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.written = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object, /) -> int:
            piece = bytes(data)  # type: ignore[call-overload]
            self.written += piece
            return len(piece)

    pipe = Pipe()
    member = zipfile.ZipInfo(name)
    member.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(pipe, "w") as archive, archive.open(member, "w") as f:  # type: ignore[arg-type]
        f.write(content)
    return pipe.written


def tarred(content: bytes) -> bytes:
    import tarfile

    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        entry = tarfile.TarInfo("feed.json")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def unpack(
    body: bytes, folder: Path, *, size: int = 65_536, member: str | None = None, most: int = 10**9
) -> Unpacked:
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return spool_unpacked(pieces, folder, max_bytes=most, member=member)


def refused(
    body: bytes, folder: Path, *, member: str | None = None, most: int = 10**9
) -> FetchError:
    with pytest.raises(FetchError) as caught:
        unpack(body, folder, member=member, most=most)
    assert list(folder.iterdir()) == []
    assert caught.value.hint
    assert str(caught.value).isprintable()
    return caught.value


@pytest.mark.parametrize("size", [1, 3, 1000, 10**9])
@pytest.mark.parametrize(
    "body",
    [
        LONG,
        gzipped(LONG),
        gzipped(LONG[:1000]) + gzipped(LONG[1000:]),
        gzipped(LONG) + bytes(300),
        zipped(("feed.jsonl", LONG)),
        zipped(("feed.jsonl", LONG), method=zipfile.ZIP_STORED),
        streamed_zip("feed.jsonl", LONG),
    ],
    ids=["plain", "gzip", "members", "padded", "zip", "stored", "streamed"],
)
def test_the_feed_comes_out_whole(tmp_path: Path, body: bytes, size: int) -> None:
    found = unpack(body, tmp_path, size=size)
    assert found.body.path.read_bytes() == LONG
    assert found.body.digest == hashlib.sha256(LONG).digest()
    assert list(tmp_path.iterdir()) == [found.body.path]
    assert found.body.path.stat().st_mode & 0o777 == 0o600


def test_what_is_no_feed_in_a_zip_does_not_count(tmp_path: Path) -> None:
    body = zipped(
        ("out/", b""),
        ("__MACOSX/out/._feed.json", b"x"),
        ("out/.DS_Store", b"x"),
        ("Thumbs.db", b"x"),
        ("out/feed.json", BODY),
    )
    found = unpack(body, tmp_path)
    assert (found.body.path.read_bytes(), found.name) == (BODY, "out/feed.json")


def test_a_name_in_a_zip_is_no_path(tmp_path: Path) -> None:
    spool = tmp_path / "a" / "spool"
    spool.mkdir(parents=True)
    found = unpack(zipped(("../../evil.json", BODY)), spool)
    assert found.body.path.parent == spool
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [found.body.path]


@pytest.mark.parametrize(
    ("member", "content"),
    [("b.json", b"[2]"), ("de/*.json", b"[3]"), ("*b.json", None), ("c.json", None), (None, None)],
)
def test_one_of_several_is_chosen_by_name_or_pattern(
    tmp_path: Path, member: str | None, content: bytes | None
) -> None:
    body = zipped(("a.json", b"[1]"), ("b.json", b"[2]"), ("de/b.json", b"[3]"))
    if content is not None:
        assert unpack(body, tmp_path, member=member).body.path.read_bytes() == content
        return
    error = refused(body, tmp_path, member=member)
    assert error.code == "archive_member"
    assert "'b.json'" in error.message
    assert "`member`" in error.hint


def test_many_and_strange_names_make_a_short_message(tmp_path: Path) -> None:
    body = zipped(*((f"\x1b[31m{n}{'x' * 500}", BODY) for n in range(300)))
    error = refused(body, tmp_path)
    assert error.message.startswith("the zip file holds 300 files: ")
    assert len(error.message) < 500


def with_flag(body: bytes, flag: int) -> bytes:
    """A zip of one file with a flag set in both of its headers."""
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = body.index(magic) + at
        (flags,) = struct.unpack_from("<H", body, place)
        body = body[:place] + struct.pack("<H", flags | flag) + body[place + 2 :]
    return body


def with_bytes(body: bytes, at: int, data: bytes) -> bytes:
    return body[:at] + data + body[at + len(data) :]


ONE = zipped(("feed.jsonl", LONG))


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (gzipped(LONG)[:-1], "cut_short", "gzip"),
        (gzipped(LONG)[:5000], "cut_short", "gzip"),
        (with_bytes(gzipped(LONG), 3000, b"\0" * 50), "bad_archive", "damaged"),
        (with_bytes(gzipped(LONG), len(gzipped(LONG)) - 8, b"\0\0"), "bad_archive", "damaged"),
        (gzipped(LONG) + b"rubbish", "bad_archive", "damaged"),
        (ONE[:-1], "cut_short", "before its end"),
        (ONE[:5000], "cut_short", "before its end"),
        (with_bytes(ONE, 3000, b"\0" * 50), "bad_archive", "damaged"),
        (with_bytes(ONE, 30, b"other.json"), "bad_archive", "damaged"),
        (with_flag(ONE, 0x1), "bad_archive", "encrypted"),
        (with_flag(ONE, 0x20), "bad_archive", "damaged"),
        (zipped(("feed.jsonl", LONG), method=zipfile.ZIP_BZIP2), "bad_archive", "method 12"),
        (zipped(("feed.jsonl", LONG), method=zipfile.ZIP_LZMA), "bad_archive", "method 14"),
        (zipped(), "archive_member", "no file"),
        (zipped((".hidden", b"x")), "archive_member", "no file"),
        (gzipped(gzipped(LONG)), "bad_archive", "a gzip file"),
        (gzipped(ONE), "bad_archive", "a zip file"),
        (zipped(("feed.jsonl.gz", gzipped(LONG))), "bad_archive", "a gzip file"),
        (zipped(("inner.zip", ONE)), "bad_archive", "a zip file"),
        (gzipped(tarred(LONG)), "bad_archive", "a tar archive"),
    ],
)  # fmt: skip
def test_what_cannot_be_unpacked_is_refused(
    tmp_path: Path, body: bytes, code: str, says: str
) -> None:
    error = refused(body, tmp_path)
    assert (error.code, says in error.message) == (code, True)


def test_a_directory_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    body = zipped(*((f"{n:060}.json", b"") for n in range(12_000)))
    assert refused(body, tmp_path).code == "bad_archive"


def test_a_disk_that_cannot_be_read_is_no_damaged_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, real = [-1], _Guarded.read

    def failing(self: _Guarded, size: int | None = -1, /) -> bytes:
        if not left[0]:
            raise OSError(errno.EIO, "Input/output error")
        left[0] -= 1
        return real(self, size)

    monkeypatch.setattr(_Guarded, "read", failing)
    unpack(ONE, tmp_path).body.path.unlink()
    reads = -1 - left[0]
    assert reads > 4
    for number in range(reads):
        left[0] = number
        with pytest.raises(OSError, match="Input/output error"):
            unpack(ONE, tmp_path)
        assert list(tmp_path.iterdir()) == []


def bomb(mib: int) -> bytes:
    deflater = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    return b"".join([*(deflater.compress(bytes(MIB)) for _ in range(mib)), deflater.flush()])


@pytest.mark.parametrize(
    "make", [bomb, lambda mib: zipped(("b", bytes(mib * MIB)))], ids=["gz", "zip"]
)
def test_a_bomb_costs_neither_memory_nor_more_disk_than_allowed(
    tmp_path: Path, make: Callable[[int], bytes]
) -> None:
    body = make(64)
    assert len(body) < 100_000
    tracemalloc.start()
    try:
        error = refused(body, tmp_path, most=32 * MIB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.code == "too_large"
    assert peak < 4 * MIB
    assert unpack(body, tmp_path, most=64 * MIB).body.size == 64 * MIB


@pytest.mark.parametrize("body", [gzipped(BODY), zipped(("feed.json", BODY))])
@given(at=st.integers(0, 200), junk=st.binary(max_size=6), cut=st.integers(0, 200))
def test_any_damage_gives_the_body_or_an_error(
    tmp_path: Path, body: bytes, at: int, junk: bytes, cut: int
) -> None:
    damaged = with_bytes(body, min(at, len(body)), junk)[: len(body) - cut if cut < 100 else None]
    with contextlib.suppress(FetchError):
        unpack(damaged, tmp_path).body.path.unlink()
    assert list(tmp_path.iterdir()) == []


# through the fetcher


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        yield made


def fetch(url: str, folder: Path, **options: object) -> Fetched:
    request = FetchRequest(url=url, allow_private=("127.0.0.0/8",), **options)  # type: ignore[arg-type]
    return Fetcher(user_agent="feedd", sleep=lambda _: None).fetch(request, folder)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "application/gzip"}, gzipped(BODY)),
        ({"Content-Type": "application/xml"}, gzipped(BODY)),
        ({"Content-Type": "application/gzip", "Content-Encoding": "gzip"}, gzipped(BODY)),
        (
            {"Content-Type": "application/gzip", "Content-Encoding": "gzip"},
            gzipped(gzipped(BODY)),
        ),
        ({"Content-Type": "application/octet-stream"}, zipped(("feed.json", BODY))),
        ({"Content-Encoding": "gzip"}, gzipped(zipped(("feed.json", BODY)))),
    ],
)
def test_the_bytes_say_what_is_packed(
    server: FeedServer, tmp_path: Path, headers: dict[str, str], body: bytes
) -> None:
    server.answers["/feed"] = (200, headers, body)
    fetched = fetch(server.url("/feed"), tmp_path)
    assert fetched.path is not None
    assert fetched.path.read_bytes() == BODY
    assert fetched.digest == hashlib.sha256(BODY).digest()
    assert fetched.size == len(BODY)


def test_the_digest_is_of_the_feed_however_it_was_packed(
    server: FeedServer, tmp_path: Path
) -> None:
    digests = set()
    for packed in (
        BODY,
        gzip.compress(BODY, 1, mtime=1),
        gzip.compress(BODY, 9, mtime=2),
        zipped(("f", BODY)),
    ):
        server.bodies["/feed"] = packed
        digests.add(fetch(server.url("/feed"), tmp_path).digest)
    assert len(digests) == 1


def test_progress_of_a_packed_body_has_no_total(server: FeedServer, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    server.bodies["/feed"] = gzipped(LONG)
    Fetcher(user_agent="feedd").fetch(
        FetchRequest(url=server.url("/feed"), allow_private=("127.0.0.0/8",)),
        tmp_path,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (len(LONG), None)


@pytest.mark.parametrize("packed", [gzipped(BODY), zipped(("a", BODY), ("b", b"[]"))])
def test_files_are_unpacked_as_well(tmp_path: Path, packed: bytes) -> None:
    root = tmp_path / "feeds"
    spool = tmp_path / "spool"
    root.mkdir()
    spool.mkdir()
    (root / "feed.json").write_bytes(packed)
    fetched = fetch(f"file://{root}/feed.json", spool, file_roots=(str(root),), member="a")
    assert fetched.path is not None
    assert fetched.path.read_bytes() == BODY
    assert list(spool.iterdir()) == [fetched.path]

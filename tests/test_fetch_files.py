"""file:// feeds: regular files below the roots and nothing else, copied so that what was checked is what is read."""

import gzip
import hashlib
import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from feedd.errors import FetchError
from feedd.fetch import Fetched, Fetcher, FetchRequest, Known, files
from feedd.fetch.request import OnProgress
from feedd.identity import identity_of

BODY = b'[{"id":"1","title":"A thing"}]'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "feeds"
    made.mkdir()
    return made


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    made = tmp_path / "spool"
    made.mkdir()
    return made


def fetch(
    url: str,
    spool_dir: Path,
    *roots: Path,
    max_bytes: int = 10_000,
    on_progress: OnProgress = lambda _done, _total: None,
    known: Known | None = None,
    in_place: bool = False,
) -> Fetched:
    roots_as_text = tuple(str(each) for each in roots)
    request = FetchRequest(
        url=url, file_roots=roots_as_text, max_bytes=max_bytes, known=known, in_place=in_place
    )
    return Fetcher(user_agent="feedd").fetch(request, spool_dir, on_progress=on_progress)


def failure(url: str, spool_dir: Path, *roots: Path, max_bytes: int = 10_000) -> FetchError:
    with pytest.raises(FetchError) as raised:
        fetch(url, spool_dir, *roots, max_bytes=max_bytes)
    assert list(spool_dir.iterdir()) == []
    return raised.value


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("shop.json", "shop.json"),
        ("a b.json", "a%20b.json"),
        ("köln.json", "k%C3%B6ln.json"),
        ("köln.json", "köln.json"),
        ("deep/er/shop.json", "deep/er/shop.json"),
        ("shop.json", "deep/../shop.json"),
        ("100%.json", "100%25.json"),
    ],
)
def test_a_file_below_a_root_is_fetched(root: Path, spool_dir: Path, name: str, spelled: str):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(BODY)
    fetched = fetch(f"file://{root}/{spelled}", spool_dir, root)
    assert fetched.path is not None
    assert fetched.path.read_bytes() == BODY
    assert (fetched.status, fetched.size) == (200, len(BODY))
    assert fetched.digest == hashlib.sha256(BODY).digest()


@pytest.mark.parametrize("prefix", ["file://", "file://localhost", "FILE://"])
def test_the_host_of_a_file_is_this_one(root: Path, spool_dir: Path, prefix: str):
    (root / "shop.json").write_bytes(BODY)
    assert fetch(f"{prefix}{root}/shop.json", spool_dir, root).size == len(BODY)


def test_what_is_read_later_is_what_was_checked(root: Path, spool_dir: Path):
    file = root / "shop.json"
    file.write_bytes(BODY)
    fetched = fetch(f"file://{file}", spool_dir, root)
    file.unlink()
    file.symlink_to("/etc/passwd")
    assert fetched.path is not None
    assert fetched.owned
    assert fetched.path.parent == spool_dir
    assert fetched.path.read_bytes() == BODY
    assert stat.S_IMODE(fetched.path.stat().st_mode) == 0o600


def kept(body: bytes, path: Path | None = None) -> Known:
    if path is not None:
        path.write_bytes(body)
    return Known(hashlib.sha256(body).digest(), len(body), path)


def test_a_file_that_holds_the_known_body_is_hashed_where_it_lies(root: Path, spool_dir: Path):
    (root / "shop.json").write_bytes(BODY * 20_000)
    told: list[tuple[int, int | None]] = []
    for known in (kept(BODY * 20_000), kept(BODY * 20_000, root / "kept")):
        fetched = fetch(
            f"file://{root}/shop.json",
            spool_dir,
            root,
            max_bytes=10**7,
            on_progress=lambda done, total: told.append((done, total)),
            known=known,
        )
        assert (fetched.path, fetched.digest, fetched.size) == (None, known.digest, known.size)
    assert told[-1] == (len(BODY) * 20_000, len(BODY) * 20_000)
    assert list(spool_dir.iterdir()) == []


@pytest.mark.parametrize("at", [0, 300_001, 599_999])
@pytest.mark.parametrize("sampled", [True, False])
def test_a_file_of_the_same_size_that_is_not_the_known_body_is_copied(
    root: Path, spool_dir: Path, at: int, sampled: bool
):
    body = bytearray(b"x" * 600_000)
    known = kept(bytes(body), root / "kept" if sampled else None)
    body[at] ^= 1
    (root / "shop.json").write_bytes(body)
    fetched = fetch(f"file://{root}/shop.json", spool_dir, root, max_bytes=10**7, known=known)
    assert fetched.path is not None
    assert fetched.path.read_bytes() == body
    assert fetched.digest == hashlib.sha256(body).digest()


def test_a_kept_body_that_is_gone_is_no_matter(root: Path, spool_dir: Path):
    (root / "shop.json").write_bytes(BODY)
    known = Known(hashlib.sha256(BODY).digest(), len(BODY), root / "gone")
    assert fetch(f"file://{root}/shop.json", spool_dir, root, known=known).path is None


def test_the_known_body_in_a_packed_file_is_unpacked_again(root: Path, spool_dir: Path):
    packed = gzip.compress(BODY)
    (root / "shop.json").write_bytes(packed)
    known = Known(hashlib.sha256(BODY).digest(), len(packed))
    fetched = fetch(f"file://{root}/shop.json", spool_dir, root, known=known)
    assert fetched.path is not None
    assert (fetched.path.read_bytes(), fetched.digest) == (BODY, known.digest)


def test_progress_is_told(root: Path, spool_dir: Path):
    (root / "shop.json").write_bytes(b"x" * 9000)
    told: list[tuple[int, int | None]] = []
    fetch(
        f"file://{root}/shop.json",
        spool_dir,
        root,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(9000, 9000)]


def test_a_root_may_be_a_link_and_feeds_may_name_either(
    tmp_path: Path, root: Path, spool_dir: Path
):
    (root / "shop.json").write_bytes(BODY)
    link = tmp_path / "link"
    link.symlink_to(root)
    for folder in (link, root):
        assert fetch(f"file://{folder}/shop.json", spool_dir, link).size == len(BODY)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "file://{root}/../secret.json",
        "file://{root}/%2e%2e/secret.json",
        "file://{root}/..%2fsecret.json",
        "file://{root}2/shop.json",
        "file://{root}",
        "file://{root}/",
        "file:///{root}/shop.json",
        "file://other.example{root}/shop.json",
        "file://[::1{root}/shop.json",
        "file:shop.json",
        "file://{root}/shop.json%00.xml",
    ],
)
def test_a_url_that_leads_out_of_the_roots_is_refused(root: Path, spool_dir: Path, url: str):
    (root / "shop.json").write_bytes(BODY)
    (root.parent / "secret.json").write_bytes(BODY)
    (root.parent / "feeds2").mkdir()
    (root.parent / "feeds2" / "shop.json").write_bytes(BODY)
    assert failure(url.replace("{root}", str(root)), spool_dir, root).code == "file_refused"


def test_without_roots_no_file_is_read(root: Path, spool_dir: Path):
    (root / "shop.json").write_bytes(BODY)
    assert failure(f"file://{root}/shop.json", spool_dir).code == "file_refused"


def link_to_file(place: Path) -> None:
    target = place.parent.parent / "target.json"
    target.write_bytes(BODY)
    place.symlink_to(target)


def link_within_the_root(place: Path) -> None:
    target = place.parent / "target.json"
    target.write_bytes(BODY)
    place.symlink_to(target)


def dangling_link(place: Path) -> None:
    place.symlink_to(place.parent / "nothing")


def unix_socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(place))


@pytest.mark.parametrize(
    "make", [link_to_file, link_within_the_root, dangling_link, os.mkfifo, Path.mkdir, unix_socket]
)
def test_what_is_not_a_regular_file_is_refused(
    root: Path, spool_dir: Path, make: Callable[[Path], None]
):
    make(root / "shop.json")
    assert failure(f"file://{root}/shop.json", spool_dir, root).code == "file_refused"


def test_a_device_is_refused(spool_dir: Path):
    assert failure("file:///dev/zero", spool_dir, Path("/dev")).code == "file_refused"


def test_a_folder_behind_a_link_is_refused(tmp_path: Path, root: Path, spool_dir: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "shop.json").write_bytes(BODY)
    (root / "folder").symlink_to(outside)
    error = failure(f"file://{root}/folder/shop.json", spool_dir, root)
    assert error.code in ("file_refused", "file_missing")


@pytest.mark.parametrize("name", ["nothing.json", "no/folder.json", "shop.json/below.json"])
def test_a_missing_file_is_told_apart(root: Path, spool_dir: Path, name: str):
    (root / "shop.json").write_bytes(BODY)
    error = failure(f"file://{root}/{name}", spool_dir, root)
    assert error.code == "file_missing"
    assert name in error.message


def append(file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(b"more")


def truncate(file: Path) -> None:
    os.truncate(file, 10)


def rewrite(file: Path) -> None:
    file.write_bytes(b"y" * file.stat().st_size)
    os.utime(file, ns=(0, 0))


@pytest.mark.parametrize("known", [None, kept(b"x" * 3_000_000)])
@pytest.mark.parametrize("change", [append, truncate, rewrite])
def test_a_file_that_is_written_while_it_is_read_is_an_error(
    root: Path, spool_dir: Path, change: Callable[[Path], None], known: Known | None
):
    file = root / "shop.json"
    file.write_bytes(b"x" * 3_000_000)
    with pytest.raises(FetchError) as raised:
        fetch(
            f"file://{file}",
            spool_dir,
            root,
            max_bytes=10_000_000,
            on_progress=lambda done, _total: change(file) if done < 2_000_000 else None,
            known=known,
        )
    assert raised.value.code == "file_changed"
    assert list(spool_dir.iterdir()) == []


def test_a_file_that_is_replaced_while_it_is_read_comes_out_as_it_was(root: Path, spool_dir: Path):
    file = root / "shop.json"
    file.write_bytes(b"x" * 3_000_000)

    def replace(_done: int, _total: int | None) -> None:
        (root / "new").write_bytes(BODY)
        (root / "new").rename(file)

    fetched = fetch(f"file://{file}", spool_dir, root, max_bytes=10**7, on_progress=replace)
    assert fetched.digest == hashlib.sha256(b"x" * 3_000_000).digest()


def test_a_file_over_the_limit_is_refused(root: Path, spool_dir: Path):
    (root / "shop.json").write_bytes(BODY)
    url = f"file://{root}/shop.json"
    assert failure(url, spool_dir, root, max_bytes=len(BODY) - 1).code == "too_large"
    assert fetch(url, spool_dir, root, max_bytes=len(BODY)).size == len(BODY)


def test_no_descriptor_stays_open(root: Path, spool_dir: Path):
    (root / "shop.json").write_bytes(BODY)
    (root / "folder").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    fetch(f"file://{root}/shop.json", spool_dir, root)
    for name in ("folder", "nothing.json", "shop.json/x"):
        with pytest.raises(FetchError):
            fetch(f"file://{root}/{name}", spool_dir, root)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.fixture
def large(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as large, and was written a while ago."""
    monkeypatch.setattr(files, "IN_PLACE_BYTES", len(BODY))
    path = root / "shop.json"
    path.write_bytes(BODY)
    os.utime(path, (time.time() - 60, time.time() - 60))
    return path


def test_a_large_file_may_be_read_where_it_lies(root: Path, spool_dir: Path, large: Path) -> None:
    fetched = fetch(large.as_uri(), spool_dir, root, in_place=True)
    assert (fetched.path, fetched.owned) == (large, False)
    assert fetched.digest is None  # who reads it takes it
    assert list(spool_dir.iterdir()) == []
    with large.open("rb") as stream:
        assert fetched.identity == identity_of(stream.fileno())
    assert fetch(large.as_uri(), spool_dir, root).owned


@pytest.mark.parametrize("more", [0, 1])
def test_a_large_file_is_hashed_first_where_it_may_be_the_known_one(
    root: Path, spool_dir: Path, large: Path, more: int
) -> None:
    digest = hashlib.sha256(BODY).digest()
    other = Known(hashlib.sha256(b"other").digest(), len(BODY) + more, None)
    fetched = fetch(large.as_uri(), spool_dir, root, in_place=True, known=other)
    assert (fetched.path, fetched.digest) == (large, None if more else digest)
    known = Known(digest, len(BODY), None)
    fetched = fetch(large.as_uri(), spool_dir, root, in_place=True, known=known)
    assert (fetched.path, fetched.digest) == (None, digest)


@pytest.mark.parametrize("why", ["small", "just written", "packed"])
def test_what_cannot_be_trusted_to_stay_is_copied(
    root: Path, spool_dir: Path, large: Path, why: str
) -> None:
    if why == "small":
        large.write_bytes(BODY[:-1])
    if why == "packed":
        large.write_bytes(gzip.compress(BODY + b" " * 1000))
    if why != "just written":
        os.utime(large, (time.time() - 60, time.time() - 60))
    else:
        os.utime(large)
    fetched = fetch(large.as_uri(), spool_dir, root, in_place=True)
    assert fetched.owned
    assert fetched.path is not None
    assert fetched.path.parent == spool_dir


@pytest.mark.parametrize("how", ["written", "replaced", "written back"])
def test_a_file_that_changes_has_another_identity(large: Path, how: str) -> None:
    with large.open("rb") as stream:
        before, times = identity_of(stream.fileno()), large.stat()
        if how == "replaced":
            other = large.with_name("other.json")
            other.write_bytes(BODY)
            other.replace(large)
            with large.open("rb") as again:
                assert identity_of(again.fileno()) != before
            return
        large.write_bytes(BODY if how == "written back" else BODY + b" ")
        os.utime(large, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert identity_of(stream.fileno()) != before

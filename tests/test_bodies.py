"""Stored bodies: the one that the catalog was read from, and no other, whenever feedd ended."""

import hashlib
from pathlib import Path

import pytest

from feedd.bodies import Bodies


def spooled(tmp_path: Path, content: bytes) -> tuple[bytes, Path]:
    path = tmp_path / "body-1"
    path.write_bytes(content)
    path.chmod(0o600)
    return hashlib.sha256(content).digest(), path


@pytest.fixture
def bodies(tmp_path: Path) -> Bodies:
    return Bodies(tmp_path / "bodies")


def test_a_body_is_moved_and_found_by_its_digest(bodies: Bodies, tmp_path: Path) -> None:
    digest, path = spooled(tmp_path, b"one")
    kept = bodies.keep("shop", digest, path)
    assert (kept.read_bytes(), path.exists()) == (b"one", False)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert bodies.find("shop", digest) == bodies.find_whole("shop", digest) == kept
    assert bodies.find("shop", b"\0" * 32) is None
    assert bodies.find("shop", None) is None
    assert bodies.find("other", digest) is None


def test_the_old_one_stays_until_it_is_known_which_one_is_stored(
    bodies: Bodies, tmp_path: Path
) -> None:
    old, path = spooled(tmp_path, b"old")
    bodies.keep("shop", old, path)
    new, path = spooled(tmp_path, b"new")
    bodies.keep("shop", new, path)
    assert bodies.find("shop", old) is not None
    assert bodies.find("shop", new) is not None
    bodies.settle("shop", new)
    assert bodies.find("shop", old) is None
    assert bodies.find("shop", new) is not None
    bodies.settle("shop", None)
    assert not list((tmp_path / "bodies").iterdir())
    bodies.settle("shop", None)


def test_a_damaged_body_is_not_used_and_goes(bodies: Bodies, tmp_path: Path) -> None:
    digest, path = spooled(tmp_path, b"whole")
    bodies.keep("shop", digest, path).write_bytes(b"who")
    assert bodies.find_whole("shop", digest) is None
    assert bodies.find("shop", digest) is None


def test_what_belongs_to_no_feed_is_swept(bodies: Bodies, tmp_path: Path) -> None:
    bodies.sweep({})
    digests = {}
    for feed in ("shop", "gone", "moved"):
        digests[feed], path = spooled(tmp_path, feed.encode())
        bodies.keep(feed, digests[feed], path)
    bodies.sweep({"shop": digests["shop"], "moved": b"\1" * 32})
    assert bodies.find("shop", digests["shop"]) is not None
    assert bodies.find("gone", digests["gone"]) is None
    assert bodies.find("moved", digests["moved"]) is None


def test_a_directory_that_cannot_be_written_costs_no_sync(tmp_path: Path) -> None:
    (tmp_path / "bodies").write_text("a file is in the way")
    digest, path = spooled(tmp_path, b"one")
    assert Bodies(tmp_path / "bodies").keep("shop", digest, path) == path
    assert path.exists()

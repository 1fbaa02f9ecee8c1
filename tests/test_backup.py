"""Backups: both databases at one moment in one file, and back from it, whole or not at all."""

import contextlib
import io
import json
import os
import random
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from conftest import Elsewhere
from daemons import running, shop, wait_for, write_config
from feeds import item, live, stream, take_in
from forked import Script, forker
from servers import FeedServer, feed_server
from sqlalchemy import select
from test_cli import Shell, body

from feedd import archive, intake, restore, swap
from feedd.archive import BackupError
from feedd.databases import refuse_damaged
from feedd.errors import StateInUse, StoreError
from feedd.settings import Settings
from feedd.state import StateLock
from feedd.store.damage import refuse_damage
from feedd.store.database import open_database
from feedd.store.feeds import begin_sync, stream_position
from feedd.store.keys import create_key, find_private_key
from feedd.store.migrate import HEADS, METADATA
from feedd.store.read import read_syncs
from feedd.store.refill import refill
from feedd.store.snapshot import Part, snapshot

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def fill(place: intake.Place, folder: Path) -> str:
    """Some of everything; the text of a private key."""
    catalog = place.open_catalog()
    take_in(catalog, folder, [item("a", price=5.5), item("b"), {"id": "c"}, item("d", link="x")])
    take_in(catalog, folder, [item("a", price=6), item("b"), {"id": "c"}, item("é\u2603", "ש")])
    take_in(catalog, folder, [item(str(n)) for n in range(20)], feed="held")
    take_in(catalog, folder, [item("1")], feed="held")
    begin_sync(catalog, "running", trigger="resync", holder="somebody", now=NOW)
    catalog.close()
    people = open_people(place)
    _, key = create_key(people, kind="private", name="n", scopes=("read",), now=NOW)
    create_key(people, kind="public", name="p", scopes=(), now=NOW)
    people.close()
    return key


def open_people(place: intake.Place) -> Any:
    return open_database("people", state_dir=Path(place.state_dir), url=place.url)


def back_up(place: intake.Place, path: Path) -> archive.Manifest:
    catalog, people = place.open_catalog(), open_people(place)
    with path.open("wb") as out, snapshot(catalog, people) as taken:
        manifest = archive.write(out, taken, NOW)
    catalog.close()
    people.close()
    return manifest


def put_back(path: Path, place: intake.Place) -> str | None:
    return restore.restore(path, restore.check(path), place, NOW).kept


def rows(place: intake.Place) -> dict[str, list[tuple[Any, ...]]]:
    """Every row, without what a restore changes on purpose."""
    found = {}
    for name, metadata in METADATA.items():
        database = open_database(name, state_dir=Path(place.state_dir), url=place.url)
        with database.connect() as connection:
            for table in metadata.sorted_tables:
                columns = [
                    c
                    for c in table.columns
                    if c.name not in ("stream_id", "lease_epoch", "lease_holder", "lease_until")
                ]
                query = select(*columns).order_by(*table.primary_key.columns)
                if table.name == "syncs":
                    query = query.where(table.c.holder != "somebody")
                found[f"{name}.{table.name}"] = [tuple(r) for r in connection.execute(query)]
        database.close()
    return found


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_was_stored_is_stored_again(
    place: intake.Place, kind: str, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    key = fill(place, tmp_path)
    path = tmp_path / "backup"
    manifest = back_up(place, path)
    before = rows(place)
    assert manifest.rows["catalog/items"] == len(before["catalog.items"]) == 24
    other = elsewhere(kind)
    put_back(path, other)
    assert rows(other) == before
    old, new = place.open_catalog(), other.open_catalog()
    assert stream_position(old)[0] != stream_position(new)[0]
    assert stream_position(old)[1] == stream_position(new)[1]
    assert read_syncs(new, feeds=["running"])[0].status == "failed"
    begin_sync(new, "running", trigger="resync", holder="other", now=NOW)
    for catalog in (old, new):
        again = take_in(catalog, tmp_path, [item("a", price=6), item("b"), item("z")])
        assert again.counts is not None
        assert (again.counts.unchanged, again.counts.added) == (2, 1)
        take_in(catalog, tmp_path, [item("a")], feed="fresh")
    assert live(old) == live(new)
    assert stream(old) == stream(new)
    people = open_people(other)
    assert find_private_key(people, key, NOW) is not None
    create_key(people, kind="public", name="q", scopes=(), now=NOW)
    for database in (old, new, people):
        database.close()


def test_what_was_there_is_kept(place: intake.Place, tmp_path: Path) -> None:
    fill(place, tmp_path)
    path = tmp_path / "backup"
    back_up(place, path)
    catalog = place.open_catalog()
    take_in(catalog, tmp_path, [item("later")], feed="later")
    catalog.close()
    assert restore.holds_data(place)
    kept = put_back(path, place)
    catalog = place.open_catalog()
    assert live(catalog, "later") == {}
    assert len(live(catalog)) == 3
    if place.url is None:
        assert kept is not None
        old = open_database("catalog", state_dir=Path(kept), url=None)
        assert live(old, "later") != {}
        old.close()
    else:
        with catalog.connect() as connection:
            query = "SELECT COUNT(*) FROM catalog_before_restore_20260301t120000z.feeds"
            assert connection.exec_driver_sql(query).scalar() == 4
    catalog.close()


def test_both_databases_are_of_one_moment_while_others_write(
    place: intake.Place, tmp_path: Path
) -> None:
    """The writer adds a key, then a sync, then a key, and so on: at any moment there are as many, or one key more."""
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        catalog, people = place.open_catalog(), open_people(place)
        while not stop.is_set():
            create_key(people, kind="private", name="n", scopes=("read",), now=NOW)
            take_in(catalog, tmp_path, [item("a", price=written)])
            written += 1
        catalog.close()
        people.close()

    writer = threading.Thread(target=write)
    writer.start()
    catalog, people = place.open_catalog(), open_people(place)
    pairs = []
    try:
        wait_for(lambda: written)
        for _ in range(15):
            with snapshot(catalog, people) as taken:
                time.sleep(0.15)  # the writer goes on, and is not seen
                counts = {"syncs": 0, "api_keys": 0}
                for part in taken.parts():
                    if part.table in counts:
                        counts[part.table] += part.rows
                pairs.append((counts["api_keys"], counts["syncs"], written))
    finally:
        stop.set()
        writer.join()
        catalog.close()
        people.close()
    assert all(key_count - sync_count in (0, 1) for key_count, sync_count, _ in pairs)
    assert len({key_count for key_count, _, _ in pairs}) > 5
    assert any(later > sync_count + 1 for _, sync_count, later in pairs)


def test_a_backup_of_an_older_feedd_is_brought_up_to_date(
    place: intake.Place, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    class Older:
        """A snapshot of a database at its first schema."""

        stream_id, last_seq = "old", 0
        revisions = {"catalog": "catalog0001", "people": "people0001"}  # noqa: RUF012

        def parts(self) -> Iterator[Part]:
            feed = {
                "id": 7, "name": "shop", "failures": 0, "items": 0, "rejected": 0, "warnings": 0,
                "held_removals": 0, "next_item": 9, "next_reject": 1, "lease_epoch": 3,
                "last_sync_at": NOW,
            }  # fmt: skip
            for table, row in (
                ("stream", {"id": 1, "stream_id": "old", "last_seq": 4}),
                ("feeds", feed),
            ):
                content = msgspec.msgpack.encode([list(row), [list(row.values())]])
                yield Part("catalog", table, 1, content)

    path = tmp_path / "backup"
    with path.open("wb") as out:
        archive.write(out, Older(), NOW)  # type: ignore[arg-type]
    other = elsewhere("sqlite" if place.url is None else "postgresql")
    put_back(path, other)
    for name, head in HEADS.items():
        database = open_database(name, state_dir=Path(other.state_dir), url=other.url)
        with database.connect() as connection:
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        assert found == head
        database.close()
    catalog = other.open_catalog()
    assert stream_position(catalog)[1] == 4
    take_in(catalog, tmp_path, [item("a")])
    assert [seq for seq, *_ in stream(catalog)] == [5]
    catalog.close()


# what cannot be restored


@pytest.fixture
def backup(sqlite_template: Path, tmp_path: Path) -> Path:
    """A backup of a few hundred KB."""
    place = intake.Place(state_dir=str(tmp_path / "made"))
    shutil.copytree(sqlite_template, place.state_dir)
    catalog = place.open_catalog()
    noise = random.Random(1)
    take_in(
        catalog,
        tmp_path,
        [item(str(n), noise.randbytes(40).hex(), price=n) for n in range(2_000)],
    )
    catalog.close()
    path = tmp_path / "backup"
    back_up(place, path)
    return path


def test_a_file_that_is_not_whole_is_refused_wherever_it_ends(backup: Path, tmp_path: Path) -> None:
    content = backup.read_bytes()
    cut = tmp_path / "cut"
    for size in [*range(0, len(content), len(content) // 40), len(content) - 1, len(content) - 4]:
        cut.write_bytes(content[:size])
        with pytest.raises(BackupError, match=r"cut short|damaged|no backup"):
            restore.check(cut)
    cut.write_bytes(content + b"\0")
    with pytest.raises(BackupError, match="damaged"):
        restore.check(cut)
    cut.write_bytes(content + content)
    with pytest.raises(BackupError):
        restore.check(cut)


def test_a_bit_that_flipped_is_noticed_wherever_it_is(backup: Path, tmp_path: Path) -> None:
    content = backup.read_bytes()
    flipped = tmp_path / "flipped"
    noise = random.Random(2)
    for _ in range(60):
        changed = bytearray(content)
        changed[noise.randrange(len(content))] ^= 1 << noise.randrange(8)
        flipped.write_bytes(changed)
        with pytest.raises(BackupError):
            restore.check(flipped)


def packed(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return zstandard.compress(buffer.getvalue())


def test_columns_of_a_backup_are_names_and_no_sql(place: intake.Place) -> None:
    catalog = place.open_catalog()
    content = msgspec.msgpack.encode([["id) SELECT 1; --"], [[1]]])
    part = Part("catalog", "feeds", 1, content)
    with (
        pytest.raises(StoreError, match="names columns of feeds"),
        catalog.transaction() as connection,
    ):
        refill(catalog, connection, HEADS["catalog"], [part], NOW)
    catalog.close()


def header(**changes: Any) -> bytes:
    made = archive.Header(
        format=1, feedd="9.9", made_at=NOW, stream_id="x", last_seq=0, databases=dict(HEADS)
    )
    return msgspec.json.encode(msgspec.to_builtins(made) | changes)


def sealed(name: str) -> bytes:
    """A backup with one part, and right in itself."""
    made = {archive.HEADER: header(), name: b"part"}
    manifest = archive.Manifest(sha256={n: sha256(c).hexdigest() for n, c in made.items()}, rows={})
    return packed(*made.items(), (archive.MANIFEST, msgspec.json.encode(manifest)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cut short"),
        (b"SQLite format 3\0", "no backup"),
        (zstandard.compress(b"hello"), "damaged"),
        (packed(("other", b"x")), "no backup"),
        (packed((archive.HEADER, b"{}")), "damaged"),
        (packed((archive.HEADER, header())), "cut short"),
        (packed((archive.HEADER, header(format=2))), "made by feedd 9.9"),
        (
            packed((archive.HEADER, header()), (archive.MANIFEST, b'{"sha256":{},"rows":{}}')),
            "damaged",
        ),
        (sealed("catalog/items; DROP TABLE syncs/000000.msgpack"), "damaged"),
        (sealed("other/items/000000.msgpack"), "damaged"),
        (sealed("catalog"), "damaged"),
    ],
)
def test_another_file_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(BackupError, match=says):
        restore.check(path)


def test_a_newer_schema_is_refused(backup: Path, tmp_path: Path) -> None:
    class Newer:
        stream_id, last_seq = "x", 0
        revisions = {"catalog": "catalog9999", "people": "people0001"}  # noqa: RUF012

        def parts(self) -> Iterator[Part]:
            return iter(())

    path = tmp_path / "newer"
    with path.open("wb") as out:
        archive.write(out, Newer(), NOW)  # type: ignore[arg-type]
    with pytest.raises(BackupError, match="catalog9999"):
        restore.check(path)


def test_somebody_who_is_connected_keeps_a_restore_out(place: intake.Place, tmp_path: Path) -> None:
    fill(place, tmp_path)
    path = tmp_path / "backup"
    back_up(place, path)
    catalog = place.open_catalog()
    with catalog.connect() as connection:
        connection.exec_driver_sql("SELECT COUNT(*) FROM feeds")
        with pytest.raises(StateInUse):
            put_back(path, place)
    assert len(live(catalog)) == 3
    catalog.close()
    put_back(path, place)


# kill -9

CHILD = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from feedd import ingest, intake, restore
seen = 0
def count(event, arguments):
    global seen
    if event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree") or (
        event == "open" and "restore." in str(arguments[0]) and "state" in str(arguments[0])
    ):
        seen += 1
        if seen == {number}:
            os.kill(os.getpid(), signal.SIGKILL)
place = intake.Place(state_dir={state!r}, url={url!r})
path = Path({path!r})
header = restore.check(path)
sys.addaudithook(count)
print("begun", flush=True)
restore.restore(path, header, place, datetime.now(UTC))
print("done", flush=True)
"""


def start(place: intake.Place, path: Path, number: int) -> Script:
    script = CHILD.format(number=number, state=place.state_dir, url=place.url, path=str(path))
    return forker().script(script)


def test_kill_9_in_a_restore_leaves_the_old_or_the_new(tmp_path: Path, backup: Path) -> None:
    saved = tmp_path / "saved"
    made = intake.Place(state_dir=str(tmp_path / "made"))
    catalog = made.open_catalog()
    take_in(catalog, tmp_path, [item("old")])
    catalog.close()
    shutil.copytree(tmp_path / "made", saved)
    outcomes = []
    for number in range(1, 60):
        state = tmp_path / "state"
        shutil.rmtree(state, ignore_errors=True)
        shutil.copytree(saved, state)
        child = start(intake.Place(state_dir=str(state)), backup, number)
        told = child.communicate()
        swap.finish(state)
        assert sorted(p.name for p in state.glob("restore*")) == []
        catalog = open_database("catalog", state_dir=state, url=None)
        found = live(catalog)
        assert len(found) == (2_001 if "old" in found else 2_000)
        outcomes.append("old" not in found)
        catalog.close()
        refuse_damage(state / "catalog.db")
        people = open_database("people", state_dir=state, url=None)
        people.ping()
        people.close()
        if "done" in told:
            break
    assert "done" in told
    assert (outcomes[0], outcomes[-1]) == (False, True)
    assert len(outcomes) > 8
    assert outcomes == sorted(outcomes)


def test_kill_9_in_a_restore_into_postgresql(
    backup: Path, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    other = elsewhere("postgresql")
    catalog = other.open_catalog()
    take_in(catalog, tmp_path, [item("old")])
    catalog.close()
    for pause_s in (0.05, 0.2, 0.4, None):
        child = start(other, backup, 0)
        assert child.stdout.readline() == "begun\n"
        if pause_s is not None:
            time.sleep(pause_s)
            child.kill()
        done = "done" in child.communicate()
        wait_for(lambda: gone(other))
        catalog = other.open_catalog()
        assert len(live(catalog)) in ((1, 2_000) if not done else (2_000,))
        catalog.close()
        if done:
            break
    assert done


def gone(place: intake.Place) -> bool:
    """Whether the server has noticed that the killed child is no more."""
    catalog = place.open_catalog()
    try:
        with catalog.connect() as connection:
            query = (
                "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid()"
            )
            return connection.exec_driver_sql(query).scalar() == 0
    finally:
        catalog.close()


# the commands


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/shop.json"] = body({"id": "a"}, {"id": "b"})
        yield made


def test_a_drill(server: FeedServer, tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    path = tmp_path / "today.backup"
    with running(shell.config) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "applied")
        page = daemon.get("/api/catalog-changes?page[size]=1")
        assert "2 items" in shell("backup", str(path))
        (told,) = shell.lines("backup", str(path))
        assert (told["items"], told["stream_seq"], told["size_bytes"]) == (
            2,
            2,
            path.stat().st_size,
        )
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        piped = subprocess.run(
            shell.command("backup", "-"), capture_output=True, env=shell.env, check=True
        )
        (tmp_path / "piped").write_bytes(piped.stdout)
        restore.check(tmp_path / "piped")
        server.bodies["/shop.json"] = body({"id": "a"}, {"id": "b"}, {"id": "later"})
        daemon.resync()
        assert "feedd run" in shell.failing(75, "restore", str(path), "--yes")
        assert daemon.ids() == {"a", "b", "later"}
    assert "--yes" in shell.failing(2, "restore", str(path))
    assert "no backup" in shell.failing(2, "restore", str(shell.config), "--yes")
    assert "cannot be read" in shell.failing(2, "restore", str(tmp_path / "none"), "--yes")
    assert "is kept" in shell("restore", str(path), "--yes")
    (feed,) = shell.lines("feeds")
    assert feed["items"] == 2
    with running(shell.config) as daemon:
        status, document = daemon.request("GET", page["links"]["next"])
        assert (status, document["errors"][0]["code"]) == (410, "stream_changed")
        assert daemon.resync()["counts"]["added"] == 1
    assert not list((tmp_path / "state").glob("restore*"))


def test_a_new_machine(server: FeedServer, tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    shell("resync", "shop")
    path = tmp_path / "backup"
    shell("backup", str(path))
    shutil.rmtree(tmp_path / "state")
    assert "Restored" in shell("restore", str(path))
    assert "unchanged" in shell("resync", "shop")


AS_ANOTHER = """
import os, sys
from pathlib import Path
from feedd import restore
from feedd.databases import refuse_damaged
from feedd.archive import BackupError
os.setuid(65534)
try:
    restore.check(Path(sys.argv[1]))
except BackupError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_root_is_told_what_the_owner_cannot_read(backup: Path) -> None:
    backup.chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER, str(backup)], capture_output=True, text=True
    )
    assert "cannot be read by the owner of the state directory" in done.stdout
    assert "chown" in done.stdout


def test_a_full_disk_leaves_the_last_backup(server: FeedServer, tmp_path: Path) -> None:
    noise = random.Random(3)
    server.bodies["/shop.json"] = json.dumps(
        [item(str(n), noise.randbytes(60).hex()) for n in range(3_000)]
    ).encode()
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    shell("resync", "shop")
    folder = tmp_path / "backups"
    folder.mkdir()
    path = folder / "backup"
    path.write_bytes(b"yesterday's")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        shell.command("backup", str(path)),
        capture_output=True,
        text=True,
        preexec_fn=limit,
        env=shell.env,
    )
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert [p.name for p in folder.iterdir()] == ["backup"]
    assert path.read_bytes() == b"yesterday's"
    assert "cannot write" in shell.failing(2, "backup", str(tmp_path / "none" / "backup"))
    assert "is a directory" in shell.failing(2, "backup", str(folder))
    shell("backup", str(path))
    assert restore.check(path).databases == HEADS


def test_secrets_are_not_in_it(server: FeedServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("swordfish-token")
    (tmp_path / "token").chmod(0o600)
    feeds = {"shop": shop(server, auth={"token": {"file": str(tmp_path / "token")}})}
    shell = Shell(write_config(tmp_path, feeds))
    shell("resync", "shop")
    key = shell("key", "create", "--private", "--name", "site").strip()
    path = tmp_path / "backup"
    shell("backup", str(path))
    content = b"".join(content for _, content in archive._members(path))
    assert b"swordfish" not in content
    assert key.encode() not in content
    assert key[:8].encode() in content


# damage


def test_a_lone_write_ahead_log_is_refused(server: FeedServer, tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    shell("resync", "shop")
    (tmp_path / "state" / "catalog.db").unlink()
    (tmp_path / "state" / "catalog.db-wal").write_bytes(b"x" * 100)
    for command in (("feeds",), ("resync", "shop"), ("run",), ("backup", str(tmp_path / "b"))):
        assert "copied or deleted by itself" in shell.failing(1, *command)
    assert (tmp_path / "state" / "catalog.db-wal").read_bytes() == b"x" * 100
    assert not (tmp_path / "state" / "catalog.db").exists()


@pytest.mark.parametrize("damage", ["header", "middle", "cut"])
def test_a_damaged_database_is_refused_with_what_to_do(
    server: FeedServer, tmp_path: Path, damage: str
) -> None:
    server.bodies["/shop.json"] = body(*[{"id": str(n)} for n in range(2_000)])
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    shell("resync", "shop")
    path = tmp_path / "state" / "catalog.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    content = bytearray(path.read_bytes())
    if damage == "header":
        content[:64] = bytes(64)
    elif damage == "middle":
        for start in range(4096 * 3, len(content), 4096):
            content[start : start + 16] = b"\xff" * 16
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)
    for command in (("run",), ("resync", "shop")):
        told = shell.failing(1, *command)
        assert "feedd restore" in told
        assert "catalog" in told


def test_a_database_is_trusted_until_somebody_else_has_written_it(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(b"no database at all" * 1_000)
    settings = Settings(state_dir=tmp_path, socket=tmp_path / "socket")
    lock = StateLock(tmp_path, "test")
    lock.release()
    lock = StateLock(tmp_path, "test")
    assert lock.free_since_ns is not None
    refuse_damaged(settings, trusted_ns=lock.free_since_ns)
    os.utime(path, ns=(lock.free_since_ns + 1, lock.free_since_ns + 1))
    with pytest.raises(StoreError, match="damaged"):
        refuse_damaged(settings, trusted_ns=lock.free_since_ns)
    later = max(path.stat().st_ctime_ns, lock.free_since_ns)
    time.sleep(0.02)  # a tick of the clock that files are dated by
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(0, 0))
    copy.replace(path)
    with pytest.raises(StoreError, match="damaged"):
        refuse_damaged(settings, trusted_ns=later)
    os.close(lock._fd)  # as death does
    lock = StateLock(tmp_path, "test")
    assert lock.free_since_ns is None
    lock.release()


def test_a_large_database_is_checked_for_a_bounded_time(tmp_path: Path) -> None:
    path = tmp_path / "large.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)").close()
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)"
            " INSERT INTO t SELECT randomblob(100) FROM n"
        ).close()
        connection.commit()
    began = time.monotonic()
    refuse_damage(path, within_s=0.02)
    assert time.monotonic() - began < 1
    refuse_damage(path, within_s=60)
    path.write_bytes(path.read_bytes()[: 4096 * 100])
    with pytest.raises(StoreError, match="damaged"):
        refuse_damage(path, within_s=60)

"""Forgetting a feed: what was stored goes, the change stream says so, everything else stays."""

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daemons import running, shop, wait_for, write_config
from feeds import item, live, open_rejects, stream, take_in
from servers import FeedServer, feed_server
from test_cli import Shell, Terminal, body

from feedd import intake
from feedd.errors import SyncStopped, UsageError
from feedd.model import ItemVersion
from feedd.store import forget
from feedd.store.database import Database
from feedd.store.feeds import begin_sync, read_feed
from feedd.store.forget import find_orphans, forget_feed
from feedd.store.history import Absence, read_versions
from feedd.store.read import read_items, read_syncs

MANY = [item(str(n), f"Mug {n}") for n in range(50)]


@pytest.fixture
def catalog(place: intake.Place) -> Iterator[Database]:
    database = place.open_catalog()
    yield database
    database.close()


def forgotten(catalog: Database, feed: str = "shop", stopped: bool = False) -> tuple[int, int, int]:
    done = forget_feed(catalog, feed, holder="test", stopped=lambda: stopped)
    return done.items, done.removed, done.rejects


def test_its_items_are_told_as_removed_and_the_rest_is_gone(
    catalog: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "BATCH", 7)
    take_in(catalog, tmp_path, [item("other")], feed="other")
    take_in(catalog, tmp_path, [*MANY, item("gone"), {"id": "bad"}])
    take_in(catalog, tmp_path, [*MANY, {"id": "bad"}])
    take_in(catalog, tmp_path, [*MANY, {"id": "bad"}])
    before = stream(catalog)
    assert forgotten(catalog) == (51, 50, 1)
    after = stream(catalog)
    assert after[: len(before)] == before
    told = after[len(before) :]
    assert [(kind, fields) for _, _, kind, fields in told] == [("removed", {})] * 50
    assert {name for _, name, _, _ in told} == {record["id"] for record in MANY}
    assert [seq for seq, *_ in after] == list(range(1, len(after) + 1))
    assert live(catalog) == {}
    assert open_rejects(catalog) == []
    assert list(live(catalog, "other")) == ["other"]
    left = read_items(catalog, feeds=["shop"], removed=None, limit=100)
    assert {each.id: each.fields for each in left} == {each.id: {} for each in left}
    kept = read_syncs(catalog, feeds=["shop"])
    assert [record.trigger for record in kept] == ["forget", "resync", "resync"]
    state = read_feed(catalog, "shop")
    assert (state.status, state.last_sync_at, state.items, state.body_digest) == (
        None,
        None,
        0,
        None,
    )
    assert state.lease_holder is None
    assert find_orphans(catalog, {"other"}) == []


def test_a_feed_that_comes_back_begins_anew(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, [item("a", price=1), item("b"), {"id": "bad"}])
    forgotten(catalog)
    record = take_in(catalog, tmp_path, [item("a", price=1), item("c"), {"id": "bad"}])
    assert record.counts is not None
    assert (record.counts.added, record.counts.restored, record.counts.rejected) == (1, 1, 1)
    assert live(catalog) == {"a": item("a", price=1), "c": item("c")}
    assert (
        stream(catalog)[-2:]
        == [
            (5, "a", "restored", {"id": (None, "a"), "price": (None, 1), "title": (None, "Mug")}),
            (6, "c", "added", {}),
        ]
        or stream(catalog)[-2][2] == "restored"
    )
    assert forgotten(catalog) == (3, 2, 1)
    assert forgotten(catalog) == (3, 0, 0)


def test_what_an_item_was_before_is_not_made_up(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, [item("a", price=1, brand="B")])
    take_in(catalog, tmp_path, [item("a", price=2, brand="B")])
    forgotten(catalog)
    take_in(catalog, tmp_path, [item("a", price=3)])
    for seq in (1, 2):
        (version,) = read_versions(catalog, "a", feeds=["shop"], seq=seq)
        assert isinstance(version, Absence)
        assert "feedd forget" in version.reason
    (version,) = read_versions(catalog, "a", feeds=["shop"], seq=4)
    assert isinstance(version, ItemVersion)
    assert version.fields == item("a", price=3)


def test_it_is_refused_while_the_feed_is_being_synced(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, [item("a")])
    begin_sync(catalog, "shop", trigger="resync", holder="other", now=datetime.now(UTC))
    with pytest.raises(UsageError, match="being synced"):
        forgotten(catalog)
    assert list(live(catalog)) == ["a"]


def test_one_that_was_stopped_leaves_a_feed_that_can_be_synced(
    catalog: Database, tmp_path: Path
) -> None:
    take_in(catalog, tmp_path, [*MANY, {"id": "bad"}])
    with pytest.raises(SyncStopped):
        forgotten(catalog, stopped=True)
    later = datetime.now(UTC) + timedelta(minutes=5)
    begin_sync(catalog, "shop", trigger="schedule", holder="later", now=later)
    assert live(catalog) == {}
    assert len(stream(catalog)) == 100
    assert read_feed(catalog, "shop").rejected == 0


def test_one_that_lost_its_feed_ends(
    catalog: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "BATCH", 7)
    take_in(catalog, tmp_path, MANY)
    calls = iter(range(100))

    def stopped() -> bool:
        if next(calls) == 2:
            later = datetime.now(UTC) + timedelta(minutes=5)
            begin_sync(catalog, "shop", trigger="schedule", holder="other", now=later)
        return False

    with pytest.raises(SyncStopped, match="took over"):
        forget_feed(catalog, "shop", holder="test", stopped=stopped)


def test_others_write_meanwhile(
    place: intake.Place, catalog: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "BATCH", 100)
    take_in(catalog, tmp_path, [item(str(n)) for n in range(2_000)])
    done = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        other = place.open_catalog()
        while not done.is_set():
            take_in(other, tmp_path, [item("a", price=written)], feed="other")
            written += 1
        other.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_for(lambda: written)
        begun = written
        forgotten(catalog)
        ended = written
    finally:
        done.set()
        writer.join()
    assert ended - begun > 1
    numbers = [seq for seq, *_ in stream(catalog)]
    assert numbers == list(range(1, len(numbers) + 1))


# the command


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/shop.json"] = body({"id": "a"}, {"id": "b"}, {"price": 3})
        yield made


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "daemon"])
def test_what_is_stored_of_a_feed_that_left(
    server: FeedServer, tmp_path: Path, alone: bool
) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server), "old": shop(server)}))
    shell("resync", "--all")
    write_config(tmp_path, {"shop": shop(server, enabled=False)})
    if alone:
        check_forgetting(shell)
    else:
        with running(shell.config) as daemon:
            check_forgetting(shell)
            assert len(daemon.changes(kind="removed")) == 2
            server.delay.clear()
            feed = {"data": {"type": "feed", "id": "shop"}}
            asked = {"data": {"type": "feed-sync", "relationships": {"feed": feed}}}
            assert daemon.request("POST", "/api/feed-syncs", asked)[0] == 202
            assert "feedd cancel shop" in shell.failing(2, "forget", "shop", "--yes")
            shell("cancel", "shop")
            server.delay.set()
            assert "begins anew" in shell("forget", "shop", "--yes")
            assert daemon.feed()["status"] == "new"
            assert daemon.resync()["counts"]["restored"] == 2


def check_forgetting(shell: Shell) -> None:
    told = shell.run("feeds")
    assert "old (2 items)" in told.stderr
    assert "feedd forget" in told.stderr
    assert [feed["feed"] for feed in shell.lines("feeds")] == ["shop"]
    assert "--yes" in shell.failing(2, "forget", "old")
    assert "nothing is stored" in shell.failing(2, "forget", "older", "--yes")
    (done,) = shell.lines("forget", "old", "--yes")
    assert done == {"feed": "old", "items": 2, "removed": 2, "rejects": 1}
    assert "old" not in shell.run("feeds").stderr
    assert "nothing is stored" in shell.failing(2, "forget", "old", "--yes")
    assert "a" in shell("item", "a", "--feed", "shop")


def test_a_person_is_asked(server: FeedServer, tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {"shop": shop(server)}))
    shell("resync", "shop")
    terminal = Terminal(shell.command("forget", "shop"))
    terminal.read_until(b"Drop 2 items of shop?")
    os.write(terminal._terminal, b"n\n")
    assert terminal.end() == 1
    (feed,) = shell.lines("feeds")
    assert feed["items"] == 2

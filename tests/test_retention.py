"""What has grown too old goes: at the old end only, in small steps, and never what is needed."""

import json
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daemons import Running, running, shop, wait_for, write_config
from feeds import item, live, stream, take_in
from hypothesis import given
from hypothesis import strategies as st
from servers import feed_server
from test_api import Api
from test_ingest_laws import FEW, folder, fresh  # noqa: F401 a fixture

from feedd import intake
from feedd.errors import TooOld
from feedd.model import Deleted, Retention
from feedd.store import retention
from feedd.store.changes import read_changes
from feedd.store.database import Database
from feedd.store.feeds import begin_sync, break_leases, read_stream
from feedd.store.read import (
    read_closed_rejects,
    read_items,
    read_rejects,
    read_syncs,
)
from feedd.store.retention import retain

DAY_S = 86_400.0


@pytest.fixture
def catalog(place: intake.Place) -> Iterator[Database]:
    made = place.open_catalog()
    yield made
    made.close()


def go_on(_seconds: float) -> bool:
    return False


def age(catalog: Database, days: int, *, what: str = "syncs", column: str = "finished_at") -> None:
    """Have everything happen earlier than it did."""
    by = f"INTERVAL '{days} days'"
    shifted = f"{column} - {by}"
    if catalog.sqlite:
        shifted = f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '-{days} days')"
    with catalog.transaction() as connection:
        connection.exec_driver_sql(f"UPDATE {what} SET {column} = {shifted}")


def kept(**seconds: float | None) -> Retention:
    return Retention(**({"changes_s": None, "syncs_s": None, "rejects_s": None} | seconds))  # type: ignore[arg-type]


def swept(catalog: Database, keep: Retention) -> Deleted:
    return retain(catalog, keep, datetime.now(UTC), rest=go_on)


def three_syncs(catalog: Database, where: Path, count: int = 4) -> None:
    """Two old ones and a young one."""
    take_in(catalog, where, [item(str(n)) for n in range(count)])
    take_in(catalog, where, [item(str(n), price=1) for n in range(count)])
    age(catalog, 10)
    take_in(catalog, where, [item(str(n), price=2) for n in range(count)])


def test_the_stream_is_cut_at_its_old_end(catalog: Database, tmp_path: Path) -> None:
    three_syncs(catalog, tmp_path)
    whole = read_changes(catalog, limit=100)
    assert swept(catalog, kept(changes_s=30 * DAY_S)) == Deleted()
    assert swept(catalog, kept(changes_s=5 * DAY_S)) == Deleted(changes=8)
    assert read_stream(catalog).oldest_seq == 9
    assert read_changes(catalog, limit=100) == whole[8:]
    assert read_changes(catalog, since=8, limit=2) == whole[8:10]
    assert read_changes(catalog, descending=True, limit=100) == whole[8:][::-1]
    assert read_changes(catalog, descending=True, before=11, limit=100) == whole[8:10][::-1]
    assert read_changes(catalog, descending=True, before=9, limit=100) == []
    for since in (1, 7):
        with pytest.raises(TooOld, match="oldest change that is kept is 9") as caught:
            read_changes(catalog, since=since)
        assert caught.value.oldest_seq == 9
    with catalog.connect() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM changes").scalar()
    assert count == 4


def test_all_may_go_and_the_numbers_go_on(catalog: Database, tmp_path: Path) -> None:
    three_syncs(catalog, tmp_path)
    age(catalog, 10)
    assert swept(catalog, kept(changes_s=DAY_S)).changes == 12
    assert read_changes(catalog) == []
    assert read_changes(catalog, since=12) == []
    take_in(catalog, tmp_path, [item(str(n), price=3) for n in range(4)])
    assert [change.seq for change in read_changes(catalog)] == [13, 14, 15, 16]
    assert swept(catalog, kept(changes_s=DAY_S)) == Deleted()


@pytest.mark.parametrize("stop_after", range(1, 6))
def test_cut_short_it_leaves_no_hole_and_goes_on_next_time(
    catalog: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    three_syncs(catalog, tmp_path)
    steps: list[float] = []

    def rest(seconds: float) -> bool:
        steps.append(seconds)
        return len(steps) == stop_after

    first = retain(catalog, kept(changes_s=5 * DAY_S), datetime.now(UTC), rest=rest)
    assert [change.seq for change in read_changes(catalog)] == [9, 10, 11, 12]
    rest_of_it = swept(catalog, kept(changes_s=5 * DAY_S))
    assert first.changes + rest_of_it.changes == 8


def test_readers_and_syncs_go_on_beside_it(
    catalog: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads page by page meanwhile sees every number once, or is told that some are gone."""
    monkeypatch.setattr(retention, "BATCH", 30)
    for price in range(4):
        take_in(catalog, tmp_path, [item(str(n), price=price) for n in range(100)])
    age(catalog, 10)
    take_in(catalog, tmp_path, [item(str(n), price=9) for n in range(100)])
    problems: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            since = 0
            with_some: list[int | None] = []
            try:
                while page := read_changes(catalog, since=since, limit=7):
                    with_some += [change.seq for change in page]
                    since = page[-1].seq or 0
            except TooOld:
                pass
            first = with_some[0] or 0
            if with_some != list(range(first, first + len(with_some))):
                problems.append(str(with_some))

    reader = threading.Thread(target=read)
    reader.start()
    swept(catalog, kept(changes_s=5 * DAY_S))
    take_in(catalog, tmp_path, [item(str(n), price=10) for n in range(100)])
    done.set()
    reader.join()
    assert problems == []
    assert read_stream(catalog).oldest_seq == 401


def test_two_daemons_may_do_it_at_once(place: intake.Place, tmp_path: Path) -> None:
    catalog, other = place.open_catalog(), place.open_catalog()
    three_syncs(catalog, tmp_path, 50)
    done: list[Deleted] = []
    threads = [
        threading.Thread(
            target=lambda each=each: done.append(swept(each, kept(changes_s=DAY_S, syncs_s=DAY_S)))
        )
        for each in (catalog, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each.changes for each in done) == 100
    assert [change.seq for change in read_changes(catalog, limit=1000)] == list(range(101, 151))
    catalog.close()
    other.close()


def test_syncs_go_with_their_changes_but_not_the_last_of_each_outcome(
    catalog: Database, tmp_path: Path
) -> None:
    three_syncs(catalog, tmp_path)
    take_in(catalog, tmp_path, [item(str(n), price=2) for n in range(4)])
    with pytest.raises(Exception, match="JSON"):
        take_in(catalog, tmp_path, b"{]")
    running_sync = begin_sync(
        catalog, "other", trigger="resync", holder="test", now=datetime.now(UTC)
    ).sync_id
    age(catalog, 10)
    age(catalog, 10, column="started_at")
    before = {sync.id: sync.status for sync in read_syncs(catalog)}
    assert swept(catalog, kept(syncs_s=DAY_S)) == Deleted()  # their changes are kept
    done = swept(catalog, kept(syncs_s=DAY_S, changes_s=DAY_S))
    assert (done.changes, done.syncs) == (12, len(before) - len(read_syncs(catalog)))
    after = {sync.id: sync.status for sync in read_syncs(catalog)}
    assert set(after.values()) == set(before.values())
    assert running_sync in after
    last = max(number for number, status in before.items() if status == "applied")
    assert last in after
    assert 1 not in after


def test_a_closed_reject_can_be_read_until_it_is_too_old(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, [item("a"), {"id": "b"}, {"title": "c"}])
    opened = read_rejects(catalog)
    assert [reject.closed_at for reject in opened] == [None, None]
    take_in(catalog, tmp_path, [item("a"), item("b"), {"title": "c"}])
    (closed,) = read_closed_rejects(catalog)
    assert (closed.item_id, closed.key) == ("b", opened[0].key)
    assert closed.closed_at is not None
    assert closed.closed_at > closed.opened_at
    assert closed.problems == opened[0].problems
    assert [reject.key for reject in read_rejects(catalog)] == [opened[1].key]
    age(catalog, 10, what="closed_rejects", column="closed_at")
    age(catalog, 10, what="rejects", column="opened_at")
    assert swept(catalog, kept(rejects_s=20 * DAY_S)) == Deleted()
    assert swept(catalog, kept(rejects_s=5 * DAY_S)) == Deleted(rejects=1)
    assert read_closed_rejects(catalog) == []
    assert [reject.key for reject in read_rejects(catalog)] == [opened[1].key]


def test_closed_rejects_are_bounded_whatever_their_age(
    catalog: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MOST_CLOSED", 3)
    for number in range(6):
        take_in(catalog, tmp_path, [item("a"), {"id": "b", "try": number}])
        time.sleep(0.002)
    assert len(read_closed_rejects(catalog)) == 5
    swept(catalog, kept(rejects_s=100 * DAY_S))
    assert len(read_closed_rejects(catalog)) in (3, 4)


def test_a_sync_that_a_reject_names_stays(catalog: Database, tmp_path: Path) -> None:
    first = take_in(catalog, tmp_path, [item("a"), {"id": "b"}])
    for price in (1, 2):
        take_in(catalog, tmp_path, [item("a", price=price), {"id": "b"}])
    age(catalog, 10)
    age(catalog, 10, column="started_at")
    assert swept(catalog, kept(syncs_s=DAY_S, changes_s=DAY_S)).syncs == 1
    assert first.id in {sync.id for sync in read_syncs(catalog)}


def test_removed_items_go_once_their_changes_have(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, [item(str(n)) for n in range(10)])
    take_in(catalog, tmp_path, [item(str(n)) for n in range(9)])
    age(catalog, 10)
    age(catalog, 10, what="items", column="removed_at")
    assert swept(catalog, kept(removed_items_s=DAY_S)) == Deleted()
    assert swept(catalog, kept(removed_items_s=DAY_S, changes_s=DAY_S)).removed_items == 1
    assert len(read_items(catalog, removed=None)) == 9
    take_in(catalog, tmp_path, [item(str(n)) for n in range(10)])  # it comes as a new one
    assert [(c.item, c.kind) for c in read_changes(catalog)] == [("9", "added")]


def test_a_removed_item_stays_while_its_feed_is_synced(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, [item(str(n)) for n in range(10)])
    take_in(catalog, tmp_path, [item(str(n)) for n in range(9)])
    age(catalog, 10)
    age(catalog, 10, what="items", column="removed_at")
    keep = kept(removed_items_s=DAY_S, changes_s=DAY_S)
    begin_sync(catalog, "shop", trigger="resync", holder="test", now=datetime.now(UTC))
    assert swept(catalog, keep).removed_items == 0
    break_leases(catalog, "test", datetime.now(UTC))
    assert swept(catalog, keep).removed_items == 1


@FEW
@given(
    versions=st.lists(
        st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), min_size=1),
        min_size=2,
        max_size=6,
    ),
    cut=st.integers(0, 5),
)
def test_what_is_kept_is_the_end_of_what_there_was(
    folder: Path,  # noqa: F811
    versions: list[dict[str, int]],
    cut: int,
) -> None:
    whole, swept_one = fresh(folder), fresh(folder)
    for number, version in enumerate(versions):
        body = [item(name, price=price) for name, price in sorted(version.items())]
        for catalog in (whole, swept_one):
            take_in(catalog, folder, body)
        if number == cut:
            age(swept_one, 10)
            keep = kept(changes_s=DAY_S, syncs_s=DAY_S, rejects_s=DAY_S, removed_items_s=None)
            swept(swept_one, keep)
    assert live(whole) == live(swept_one)
    ending = stream(swept_one)
    assert ending == stream(whole)[len(stream(whole)) - len(ending) :]
    assert read_stream(swept_one).last_seq == read_stream(whole).last_seq
    whole.close()
    swept_one.close()


def test_the_api_tells_the_oldest_change(place: intake.Place, tmp_path: Path) -> None:
    api = Api(place, tmp_path)
    three_syncs(api.app.catalog, tmp_path)
    following = api.get("/api/catalog-changes?page[size]=2")["links"]["next"]
    swept(api.app.catalog, kept(changes_s=5 * DAY_S))
    for path in (
        following,
        "/api/catalog-changes?filter=greater-than(seq,3)",
        "/api/catalog-changes/stream?since=3",
    ):
        error = api.refused("GET", path, 410)
        assert error["code"] == "too_old"
        assert error["meta"] == {"oldest_seq": 9}
        assert "go on after 8" in error["detail"]
    page = api.get("/api/catalog-changes?filter=greater-than(seq,8)")
    assert [change["id"] for change in page["data"]] == ["9", "10", "11", "12"]
    assert page["meta"]["oldest_seq"] == 9
    assert api.get("/api/catalog-changes")["data"] == page["data"]
    assert api.pages("/api/catalog-changes?page[size]=3&sort=-seq") == page["data"][::-1]
    api.close()


def test_the_api_lists_closed_rejects(place: intake.Place, tmp_path: Path) -> None:
    api = Api(place, tmp_path)
    api.sync("shop", [item("a"), *({"id": name} for name in "bcd")])
    api.sync("shop", [item("a"), *(item(name) for name in "bcd"), {"id": "e"}])
    api.sync("outlet", [{"id": "f"}, item("g")])
    api.sync("outlet", [item("g")])
    closed = api.pages("/api/feed-rejects?page[size]=2&filter=equals(closed,true)")
    assert [reject["attributes"]["item_id"] for reject in closed] == ["f", "d", "c", "b"]
    assert all(reject["attributes"]["closed_at"] for reject in closed)
    of_shop = api.get('/api/feed-rejects?filter=equals(closed,true),equals(feed,"shop")')["data"]
    assert len(of_shop) == 3
    for query in ("", "?filter=equals(closed,false)"):
        (still_open,) = api.get(f"/api/feed-rejects{query}")["data"]
        assert still_open["attributes"]["item_id"] == "e"
        assert still_open["attributes"]["closed_at"] is None
    api.refused("GET", "/api/feed-rejects?filter=equals(closed,3)", 400)
    api.close()


def test_the_daemon_does_it_when_it_starts(tmp_path: Path) -> None:
    with feed_server() as server:
        server.bodies["/shop.json"] = json.dumps([item("a")]).encode()
        path = write_config(tmp_path, {"shop": shop(server)})
        path.write_text(f'{path.read_text()}[retention]\nchanges = "1s"\nsyncs = "forever"\n')
        with running(path) as daemon:
            wait_for(lambda: daemon.feed()["status"] == "applied")
            daemon.stop()
            time.sleep(1.2)
            daemon.start()
            wait_for(lambda: any(line["event"] == "retention.done" for line in daemon.log()))
            page: Any = daemon.get("/api/catalog-changes")
            assert page["data"] == []
            assert page["meta"]["oldest_seq"] == 2
            assert daemon.feed()["items"] == 1
            assert len(daemon.get("/api/feed-syncs")["data"]) == 1


IMPATIENT = """
from feedd import daemon
from feedd.cli.main import main
daemon.RETAIN_EVERY_S = 0.2
main()
"""


def test_one_that_fails_is_logged_and_not_the_last(tmp_path: Path) -> None:
    with feed_server() as server:
        server.bodies["/shop.json"] = json.dumps([item("a")]).encode()
        path = write_config(tmp_path, {"shop": shop(server)})
        path.write_text(f'{path.read_text()}[retention]\nchanges = "1s"\nsyncs = "1s"\n')
        daemon = Running(path, command=[sys.executable, "-c", IMPATIENT])
        try:
            state = tmp_path / "state" / "catalog.db"
            with closing(sqlite3.connect(state, isolation_level=None)) as other:
                other.execute(
                    "CREATE TRIGGER no BEFORE DELETE ON syncs BEGIN SELECT RAISE(ABORT, 'no'); END"
                )
                for _ in range(3):  # the last of each outcome would stay
                    daemon.resync()
                wait_for(lambda: any(line["event"] == "store.error" for line in daemon.log()))
                other.execute("DROP TRIGGER no")
            wait_for(lambda: len(daemon.get("/api/feed-syncs")["data"]) == 2)
        finally:
            daemon.stop(signal.SIGKILL)


def test_its_steps_let_others_in(catalog: Database, tmp_path: Path) -> None:
    """Between two transactions the daemon waits at least as long as one took."""
    three_syncs(catalog, tmp_path)
    waits: list[float] = []

    def rest(seconds: float) -> bool:
        waits.append(seconds)
        return False

    began = time.monotonic()
    retain(catalog, kept(changes_s=DAY_S), datetime.now(UTC) + timedelta(days=2), rest=rest)
    assert 0 < sum(waits) <= time.monotonic() - began

"""Added items that are written ahead: not there until their sync commits, whatever ends it before."""

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Elsewhere
from feeds import item, live, open_rejects, stream, take_in
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ingest_laws import BODIES, batches_of, body_of, folder, fresh  # noqa: F401 a fixture

from feedd import intake
from feedd.errors import SyncStopped
from feedd.model import Retention
from feedd.store import ahead, retention
from feedd.store.database import Database, open_database
from feedd.store.feeds import begin_sync, break_leases, read_feed
from feedd.store.forget import forget_feed
from feedd.store.history import read_history, read_versions
from feedd.store.read import count_collisions, read_items, read_syncs, read_warned_items
from feedd.store.refill import refill
from feedd.store.retention import retain
from feedd.store.snapshot import snapshot
from feedd.store.stage import open_stage
from feedd.store.tables import NUMBER_BITS

OLD = [item("old"), item("both", link="x")]
NEW = [
    *OLD[1:],
    *[item(f"n{number}", link="x") for number in range(20)],
]  # `x` is no link: warnings
KEEP = Retention(changes_s=0, syncs_s=0, rejects_s=0, removed_items_s=0)


STRAY_IDS = """
SELECT * FROM item_ids WHERE NOT EXISTS (
  SELECT 1 FROM items WHERE id = item AND items.feed_id = item_ids.feed_id AND items.item_id = item_ids.item_id
)
"""
LOST_ITEMS = f"""
SELECT items.id FROM items JOIN feeds ON feeds.id = items.feed_id AND items.id & {(1 << NUMBER_BITS) - 1} < next_item
WHERE NOT EXISTS (
  SELECT 1 FROM item_ids
  WHERE item = items.id AND item_ids.feed_id = items.feed_id AND item_ids.item_id = items.item_id
)
"""


class Killed(Exception):
    """Stands for the end of a process."""


@pytest.fixture
def catalog(place: intake.Place) -> Iterator[Database]:
    made = place.open_catalog()
    yield made
    made.close()


@pytest.fixture
def when(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
    """Have something happen once in a sync, after it has written ahead so many times, five items each."""
    monkeypatch.setattr(ahead, "ROWS", 5)
    monkeypatch.setattr(ahead, "ENTERED", 10)
    write = ahead.Ahead._write

    def plan(times: int, then: Callable[[], object]) -> None:
        done = 0

        def written(self: Any) -> None:
            nonlocal done
            write(self)
            done += 1
            if done == times:
                monkeypatch.setattr(ahead.Ahead, "_write", write)
                then()

        monkeypatch.setattr(ahead.Ahead, "_write", written)

    return plan


def killed() -> None:
    raise Killed


def rows(catalog: Database) -> tuple[int, int]:
    """How many rows of items and changes there are, whether or not they count; ids stand with their items."""
    with catalog.connect() as connection:
        for statement in (STRAY_IDS, LOST_ITEMS):
            assert connection.exec_driver_sql(statement).all() == []
        return tuple(
            connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar_one()
            for table in ("items", "changes")
        )  # type: ignore[return-value]


def seen(catalog: Database) -> list[Any]:
    """All that can be read of the feed's items and changes."""
    last = len(stream(catalog))
    every = read_items(catalog, removed=None, limit=1_000)
    return [
        every,
        read_items(catalog, limit=1_000),
        read_items(catalog, removed=True, limit=1_000),
        read_items(catalog, ids=["old", "both", "n0", "n3"], removed=None),
        read_warned_items(catalog, ["shop", "other"], limit=1_000),
        count_collisions(catalog, "shop", ["other"]),
        count_collisions(catalog, "other", ["shop"]),
        stream(catalog),
        [read_history(catalog, each.key) for each in every],
        read_history(catalog, (every[-1].key if every else 1 << 40) + 1),
        read_versions(catalog, "n0", feeds=["shop"], seq=last),
        open_rejects(catalog),
        read_feed(catalog, "shop").items,
    ]


def left_behind(catalog: Database, folder: Path, when: Any, *, at: int = 3) -> None:  # noqa: F811
    """A sync that has written ahead and then died."""
    when(at, killed)
    with pytest.raises(Killed):
        take_in(catalog, folder, NEW)
    assert rows(catalog)[0] >= 5 * at


def test_what_is_written_ahead_is_not_there_before_its_commit(
    catalog: Database, tmp_path: Path, when: Any
) -> None:
    take_in(catalog, tmp_path, OLD)
    take_in(catalog, tmp_path, [item("n3"), item("both")], feed="other")
    before, during = seen(catalog), []
    when(4, lambda: during.append((rows(catalog), seen(catalog))))
    record = take_in(catalog, tmp_path, NEW)
    assert during == [((4 + 20, 4 + 20), before)]
    assert (record.counts.added, record.counts.removed) == (20, 1)  # type: ignore[union-attr]
    assert live(catalog) == {each["id"]: each for each in NEW}
    told = [(name, kind) for _, name, kind, _ in stream(catalog)[4:]]
    assert told == [*[(f"n{n}", "added") for n in range(20)], ("old", "removed")]


def test_others_write_while_a_sync_writes_ahead(
    catalog: Database, tmp_path: Path, when: Any
) -> None:
    events: list[str] = []

    def other() -> None:
        events.append(take_in(catalog, tmp_path, OLD, feed="other").status)
        events.append(str(sorted(live(catalog, "other"))))

    when(2, other)
    events.append(take_in(catalog, tmp_path, NEW).status)
    assert events == ["applied", "['both', 'old']", "applied"]
    assert [name for _, name, _, _ in stream(catalog)][:3] == ["old", "both", "both"]
    assert [seq for seq, *_ in stream(catalog)] == list(range(1, 24))


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize("removed", [False, None])
def test_pages_of_items_go_on_from_feed_to_feed(
    catalog: Database, tmp_path: Path, when: Any, size: int, removed: bool | None
) -> None:
    take_in(catalog, tmp_path, OLD)
    take_in(catalog, tmp_path, [OLD[0]])
    take_in(catalog, tmp_path, [{"id": "bad"}], feed="none")
    take_in(catalog, tmp_path, [item(str(n)) for n in range(3)], feed="third")
    left_behind(catalog, tmp_path, when)
    found: list[str] = []
    after = 0
    while page := read_items(catalog, removed=removed, after=after, limit=size):
        found += [each.id for each in page]
        after = page[-1].key
        assert len(page) <= size
    assert found == ["old", *["both" for _ in range(removed is None)], "0", "1", "2"]
    thirds = read_items(catalog, feeds=["third"], removed=removed, limit=size)
    assert [each.id for each in thirds] == ["0", "1", "2"][:size]


@pytest.mark.parametrize("first", [True, False])
def test_a_sync_that_died_changes_nothing_and_the_next_one_is_as_if_it_had_not_been(
    catalog: Database, tmp_path: Path, when: Any, first: bool
) -> None:
    if not first:
        take_in(catalog, tmp_path, OLD)
    before = seen(catalog)
    left_behind(catalog, tmp_path, when)
    assert seen(catalog) == before
    take_in(catalog, tmp_path, [*NEW[:4], item("late")])
    expected = {each["id"] for each in NEW[:4]} | {"late"}
    assert set(live(catalog)) == expected
    added = [name for _, name, kind, _ in stream(catalog) if kind == "added"]
    assert added == [*[each["id"] for each in OLD if not first], *[
        each["id"] for each in [*NEW[:4], item("late")] if first or each["id"] != "both"
    ]]  # fmt: skip
    assert rows(catalog) == (len(added), len(stream(catalog)))


def test_a_sync_can_be_stopped_while_it_sweeps(
    catalog: Database, tmp_path: Path, when: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped() -> None:
        raise SyncStopped("stopped", "feedd was stopped")

    monkeypatch.setattr(ahead, "SWEPT", 4)
    left_behind(catalog, tmp_path, when)
    now = datetime.now(UTC)
    lease = begin_sync(catalog, "shop", trigger="resync", holder="test", now=now)
    with pytest.raises(SyncStopped), open_stage(catalog, lease, on_swept=stopped):
        pass
    assert rows(catalog) == (11, 11)
    take_in(catalog, tmp_path, NEW)
    assert rows(catalog) == (21, 21)


def test_a_dry_run_beside_what_was_left_writes_nothing(
    catalog: Database, tmp_path: Path, when: Any
) -> None:
    take_in(catalog, tmp_path, OLD)
    left_behind(catalog, tmp_path, when)
    before = rows(catalog)
    report = tmp_path / "report"
    with pytest.MonkeyPatch.context() as patch:
        job = intake.Job
        patch.setattr(intake, "Job", lambda **values: job(**values, report=str(report)))
        take_in(catalog, tmp_path, NEW)
    assert rows(catalog) == before
    assert report.read_bytes().count(b'"added"') >= 20


CHILD = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from feeds import take_in
from test_ahead import NEW
from feedd import intake
from feedd.store import ahead
ahead.ROWS, ahead.ENTERED = 5, 10
insert, calls = ahead.Ahead.insert, []
def dies(self, at):
    insert(self, at)
    calls.append(1)
    if len(calls) == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
ahead.Ahead.insert = dies
catalog = intake.Place(state_dir={state!r}, url={url!r}).open_catalog()
take_in(catalog, Path({folder!r}), NEW)
"""


@pytest.mark.parametrize("at", [3, 5])
def test_kill_9_while_items_are_written_ahead_and_in_the_commit(
    place: intake.Place, catalog: Database, tmp_path: Path, at: int
) -> None:
    take_in(catalog, tmp_path, OLD)
    before = seen(catalog)
    script = CHILD.format(
        tests=str(Path(__file__).parent),
        at=at,
        state=place.state_dir,
        url=place.url,
        folder=str(tmp_path),
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    assert rows(catalog)[0] == 2 + 5 * (at - 1)
    assert seen(catalog) == before
    assert break_leases(catalog, "test", datetime.now(UTC)) == ["shop"]
    take_in(catalog, tmp_path, NEW)
    assert rows(catalog) == (22, 23)
    assert set(live(catalog)) == {each["id"] for each in NEW}


@settings(max_examples=max(15, settings().max_examples // 4))
@given(
    bodies=BODIES,
    ends=st.lists(st.integers(0, 4), min_size=6, max_size=6),
    rows_at_once=st.integers(1, 4),
    entered_at_once=st.integers(1, 9),
    flush_rows=st.integers(1, 3),
)
def test_a_sync_equals_the_same_sync_in_one_transaction_whatever_died_before(
    folder: Path,  # noqa: F811
    bodies: list[list[str]],
    ends: list[int],
    rows_at_once: int,
    entered_at_once: int,
    flush_rows: int,
) -> None:
    one, other = fresh(folder), fresh(folder)
    whole, written = (ahead.ROWS, ahead.ENTERED), ahead.Ahead._transaction
    left = 0

    @contextlib.contextmanager
    def dies(self: Any) -> Iterator[None]:
        nonlocal left
        with written(self):
            yield
        left -= 1
        if left == 0:
            raise Killed

    ahead.Ahead._transaction = dies  # type: ignore[method-assign]
    try:
        for records, end in zip(bodies, ends, strict=False):
            ahead.ROWS, ahead.ENTERED = rows_at_once, entered_at_once
            with batches_of(3, flush_rows, 2):
                left = end
                try:
                    took = take_in(one, folder, body_of(records))
                except Killed:
                    left = 0
                    took = take_in(one, folder, body_of(records))
            ahead.ROWS, ahead.ENTERED = whole
            assert took.counts == take_in(other, folder, body_of(records)).counts
            assert stream(one) == stream(other)
            assert rows(one) == rows(other)
            items = [read_items(each, removed=None, limit=1_000) for each in (one, other)]
            assert [(i.key, i.id, i.fields, i.warnings) for i in items[0]] == [
                (i.key, i.id, i.fields, i.warnings) for i in items[1]
            ]
            assert sorted(open_rejects(one), key=str) == sorted(open_rejects(other), key=str)
    finally:
        ahead.ROWS, ahead.ENTERED = whole
        ahead.Ahead._transaction = written  # type: ignore[method-assign]
        one.close()
        other.close()


@pytest.mark.parametrize("how", ["taken", "broken"])
def test_a_sync_that_lost_its_lease_writes_nothing_more(
    catalog: Database, tmp_path: Path, when: Any, how: str
) -> None:
    def lose() -> None:
        if how == "taken":
            later = datetime.now(UTC) + timedelta(minutes=5)
            begin_sync(catalog, "shop", trigger="resync", holder="other", now=later)
        else:
            break_leases(catalog, "test", datetime.now(UTC))

    when(2, lose)
    with pytest.raises(SyncStopped, match="another worker"):
        take_in(catalog, tmp_path, NEW)
    assert rows(catalog) == (10, 10)
    assert seen(catalog)[0] == []


def test_nobody_takes_a_lease_while_items_are_written_under_it(
    catalog: Database, tmp_path: Path, when: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    insert = ahead.Ahead.insert
    later = datetime.now(UTC) + timedelta(minutes=5)

    def take_over() -> None:
        begin_sync(catalog, "shop", trigger="resync", holder="other", now=later)
        events.append("taken over")

    thread = threading.Thread(target=take_over)

    def slowly(self: Any, at: datetime) -> None:
        insert(self, at)
        if not thread.ident:
            thread.start()
            thread.join(0.2)
            events.append("written")

    monkeypatch.setattr(ahead.Ahead, "insert", slowly)
    when(1, thread.join)
    with pytest.raises(SyncStopped):
        take_in(catalog, tmp_path, NEW)
    assert events == ["written", "taken over"]


def test_retention_sweeps_what_was_left_once_nobody_syncs_the_feed(
    catalog: Database, tmp_path: Path, when: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "SWEPT", 4)
    take_in(catalog, tmp_path, OLD)
    left_behind(catalog, tmp_path, when)
    later = datetime.now(UTC) + timedelta(days=1)
    retain(catalog, KEEP, later, rest=lambda _: False)
    assert rows(catalog) == (17, 15)  # its own changes went, which were too old
    assert len(read_syncs(catalog)) == 2
    break_leases(catalog, "test", datetime.now(UTC))
    rests = []
    retain(catalog, KEEP, later, rest=lambda seconds: bool(rests.append(seconds)))
    assert rows(catalog) == (2, 0)
    assert len(rests) > 15 / 4
    assert set(live(catalog)) == {"old", "both"}
    left_behind(catalog, tmp_path, when)
    break_leases(catalog, "test", datetime.now(UTC))
    retention_rests = iter([False, True])
    retain(catalog, KEEP, later, rest=lambda _: next(retention_rests))
    assert rows(catalog) == (2 + 15 - 8, 15 - 8)


def test_a_sync_is_kept_for_as_long_as_its_changes_are_left(
    catalog: Database, tmp_path: Path, when: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(catalog, tmp_path, OLD)
    left_behind(catalog, tmp_path, when)
    break_leases(catalog, "test", datetime.now(UTC))
    monkeypatch.setattr(retention, "_leftovers", lambda _: iter(()))
    later = datetime.now(UTC) + timedelta(days=1)
    retain(catalog, KEEP, later, rest=lambda _: False)
    assert rows(catalog)[1] == 15


def test_forgetting_a_feed_forgets_what_was_left(
    catalog: Database, tmp_path: Path, when: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "SWEPT", 4)
    take_in(catalog, tmp_path, OLD)
    left_behind(catalog, tmp_path, when)
    break_leases(catalog, "test", datetime.now(UTC))
    done = forget_feed(catalog, "shop", holder="test", stopped=lambda: False)
    assert (done.items, done.removed) == (2, 2)
    assert [(name, kind) for _, name, kind, _ in stream(catalog)[2:]] == [
        ("old", "removed"),
        ("both", "removed"),
    ]
    assert rows(catalog) == (2, 4)


def test_a_backup_in_the_middle_holds_what_was_committed(
    place: intake.Place,
    catalog: Database,
    tmp_path: Path,
    when: Any,
    elsewhere: Elsewhere,
) -> None:
    take_in(catalog, tmp_path, OLD)
    before = seen(catalog)
    people = open_database("people", state_dir=Path(place.state_dir), url=place.url)
    parts: list[Any] = []

    def back_up() -> None:
        with snapshot(catalog, people) as taken:
            parts.extend(taken.parts())

    when(3, back_up)
    take_in(catalog, tmp_path, NEW)
    people.close()
    again = elsewhere("sqlite" if place.url is None else "postgresql")
    restored = again.open_catalog()
    if again.url is not None:
        with restored.connect() as connection:
            connection.exec_driver_sql("DROP SCHEMA catalog CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA catalog")
    with restored.transaction() as connection:
        chosen = [part for part in parts if part.database == "catalog"]
        refill(restored, connection, "head", chosen, datetime.now(UTC))
    assert seen(restored) == before
    assert rows(restored) == (2, 2)
    take_in(restored, tmp_path, NEW)
    assert live(restored) == live(catalog)
    restored.close()


@pytest.mark.parametrize("is_moved", [True, False])
def test_the_log_of_a_large_sync_is_moved_on_the_way(
    place: intake.Place,
    catalog: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_moved: bool,
) -> None:
    if place.url is not None:
        return  # the server does that
    log, write = Path(place.state_dir) / "catalog.db-wal", ahead.Ahead._write
    sizes = list[int]()

    def written(self: Any) -> None:
        write(self)
        sizes.append(log.stat().st_size)

    monkeypatch.setattr(ahead.Ahead, "_write", written)
    monkeypatch.setattr(ahead, "ROWS", 100)
    monkeypatch.setattr(ahead, "WHOLE_CHECKPOINT_EVERY", 8)
    if not is_moved:
        monkeypatch.setattr(ahead, "CHECKPOINT_EVERY", 1_000)
    take_in(catalog, tmp_path, [item(str(n), description="x" * 2_000) for n in range(4_000)])
    assert rows(catalog) == (4_000, 4_000)
    assert (max(sizes) < 6_000_000) is is_moved

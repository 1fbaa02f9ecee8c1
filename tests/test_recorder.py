"""Group commit: many callers, few commits, and each is told the truth."""

import asyncio
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from feedd import intake, recording
from feedd.errors import Overloaded, StoreError, SyncStopped, UsageError
from feedd.people.values import Action, Identifiers, NewEvent
from feedd.recording import LARGE_BYTES, Recorder
from feedd.store import log_keeper
from feedd.store.database import Database, open_database
from feedd.store.recording import writing

AT = int(datetime(2026, 5, 4, tzinfo=UTC).timestamp())


def people_of(place: intake.Place) -> Database:
    return open_database("people", state_dir=Path(place.state_dir), url=place.url)


@pytest.fixture
def people(place: intake.Place) -> Iterator[Database]:
    database = people_of(place)
    yield database
    database.close()


@pytest.fixture
def recorder(people: Database) -> Iterator[Recorder]:
    made = Recorder(people)
    made.start()
    yield made
    made.stop()


def viewed(number: int, who: str = "jane.doe@example.com", metric: str = "Viewed") -> Action:
    seen = NewEvent(metric=metric, at=AT, properties=b"{}", unique_id=f"v-{number}")
    return Action(who=Identifiers(email=who), event=seen)


def count(people: Database) -> int:
    with people.connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one())


def commits(people: Database) -> list[int]:
    """How many transactions end from now on, in a list that grows."""
    seen: list[int] = []

    def look(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement == "COMMIT":
            seen.append(1)

    event.listen(people.engine, "before_cursor_execute", look)
    return seen


def hold(people: Database) -> "tuple[threading.Event, threading.Thread]":
    """Keep every other writer waiting until the event is set."""
    holding, release = threading.Event(), threading.Event()

    def keep() -> None:
        with writing(people):
            holding.set()
            release.wait()

    thread = threading.Thread(target=keep)
    thread.start()
    assert holding.wait(10)
    return release, thread


def test_who_comes_during_a_commit_shares_the_next(people: Database, recorder: Recorder) -> None:
    recorder.record([viewed(0)])
    release, thread = hold(people)
    seen = commits(people)

    async def many() -> list[int | None]:
        asked = [asyncio.create_task(recorder.recorded([viewed(1)]))]
        await asyncio.sleep(0)
        while recorder.waiting():  # noqa: ASYNC110 the first one is taken, and kept from writing
            await asyncio.sleep(0.01)
        asked += [asyncio.create_task(recorder.recorded([viewed(n)])) for n in range(2, 101)]
        while recorder.waiting() < 99:  # noqa: ASYNC110 nothing tells
            await asyncio.sleep(0.01)
        release.set()
        return [outcome.event for (outcome,) in await asyncio.gather(*asked)]

    numbers = asyncio.run(many())
    thread.join()
    assert sorted(filter(None, numbers)) == list(range(2, 102))
    assert count(people) == 101
    assert len(seen) == 3  # the one that held, the first, and all others


def test_threads_are_told_after_the_commit(
    place: intake.Place, people: Database, recorder: Recorder
) -> None:
    beside = people_of(place)
    (outcome,) = recorder.record([viewed(1)])
    assert outcome.event == 1
    assert count(beside) == 1
    beside.close()


def test_without_a_thread_each_caller_writes_its_own(people: Database) -> None:
    alone = Recorder(people)
    assert [each.duplicate for each in alone.record([viewed(1), viewed(1)])] == [False, True]
    assert count(people) == 1
    asyncio.run(alone.recorded([viewed(2)]))
    assert count(people) == 2


def test_a_full_queue_takes_no_more_and_loses_nothing(people: Database) -> None:
    recorder = Recorder(people, most_waiting=5)
    recorder.start()
    release, thread = hold(people)
    done: list[int] = []

    def ask(number: int) -> None:
        recorder.record([viewed(number)])
        done.append(number)

    first = threading.Thread(target=ask, args=(0,))
    first.start()
    while recorder.waiting():  # taken, and kept from writing
        time.sleep(0.01)
    callers = [threading.Thread(target=ask, args=(number,)) for number in range(1, 6)]
    for each in callers:
        each.start()
    while recorder.waiting() < 5:
        time.sleep(0.01)
    with pytest.raises(Overloaded):
        recorder.record([viewed(9)])
    release.set()
    for each in (first, *callers, thread):
        each.join()
    assert sorted(done) == [0, 1, 2, 3, 4, 5]
    assert count(people) == 6
    recorder.record([viewed(9)])
    recorder.stop()


def test_more_than_the_queue_holds_is_taken_when_nothing_waits(people: Database) -> None:
    recorder = Recorder(people, most_waiting=5)
    recorder.start()
    assert len(recorder.record([viewed(number) for number in range(20)])) == 20
    recorder.stop()


def test_a_database_that_fails_is_told_to_all_and_works_again(
    people: Database, recorder: Recorder
) -> None:
    recorder.record([viewed(0)])
    with people.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE event_keys RENAME TO gone")
    with pytest.raises(Exception, match="event_keys"):
        recorder.record([viewed(1, metric="Other")])
    with people.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO event_keys")
    # the metric that the failed one made is not remembered
    (outcome,) = recorder.record([viewed(1, metric="Other")])
    assert outcome.event == 2
    with people.connect() as connection:
        names = connection.exec_driver_sql("SELECT name FROM metrics ORDER BY id").scalars().all()
    assert list(names) == ["Viewed", "Other"]


def test_one_that_meets_a_bug_is_not_the_others_trouble(
    people: Database, recorder: Recorder
) -> None:
    broken = viewed(1, who="nul\0@example.com", metric="nul\0")
    if people.sqlite:  # which stores a NUL
        broken = Action(who=broken.who, event=NewEvent(metric="x", at=2**70, properties=b"{}"))
    release, thread = hold(people)

    async def both() -> list[object]:
        asked = [recorder.recorded([each]) for each in (viewed(0), broken, viewed(2))]
        gathered = asyncio.gather(*asked, return_exceptions=True)
        await asyncio.sleep(0.1)
        release.set()
        return list(await gathered)

    first, second, third = asyncio.run(both())
    thread.join()
    assert isinstance(second, Exception)
    assert isinstance(first, list)
    assert isinstance(third, list)
    assert count(people) == 2


def test_a_stopped_recorder_writes_what_waits_and_takes_no_more(people: Database) -> None:
    recorder = Recorder(people)
    recorder.start()
    release, thread = hold(people)
    asked = threading.Thread(target=recorder.record, args=([viewed(1)],))
    asked.start()
    stopping = threading.Thread(target=recorder.stop)
    stopping.start()
    release.set()
    for each in (stopping, asked, thread):
        each.join()
    assert count(people) == 1
    with pytest.raises(SyncStopped):
        recorder.record([viewed(2)])


def test_whoever_waits_no_more_is_recorded_all_the_same(
    people: Database, recorder: Recorder
) -> None:
    async def leave() -> None:
        release, thread = hold(people)
        asked = asyncio.create_task(recorder.recorded([viewed(1)]))
        await asyncio.sleep(0.05)
        asked.cancel()
        release.set()
        await asyncio.to_thread(thread.join)
        await recorder.recorded([viewed(2)])

    asyncio.run(leave())
    assert count(people) == 2


def test_a_full_disk_is_told_and_nothing_of_the_batch_is_there(people: Database) -> None:
    if not people.sqlite:
        pytest.skip("only SQLite can be told how large it may become")
    recorder = Recorder(people)
    recorder.record([viewed(1)])
    with people.connect() as connection:  # the pool has this one alone
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    properties = b'{"x":"' + b"y" * 90_000 + b'"}'
    much = NewEvent(metric="Viewed", at=AT, properties=properties)
    with pytest.raises(StoreError, match="make room"):
        recorder.record([Action(who=Identifiers(external_id=str(n)), event=much) for n in range(9)])
    assert count(people) == 1
    with people.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    recorder.record([viewed(2)])
    assert count(people) == 2


def test_what_a_bug_leaves_in_the_log_names_nobody(people: Database) -> None:
    with people.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE identifiers RENAME TO lost")
    with pytest.raises((DBAPIError, StoreError)) as caught:
        Recorder(people).record([viewed(1)])
    logged = "".join(traceback.format_exception(caught.value))
    assert "identifiers" in logged
    assert "jane.doe" not in logged


def test_a_writer_that_is_suspended_does_not_keep_out_others(
    people: Database, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    if people.sqlite:
        pytest.skip("its lock is let go of by who has it alone")
    monkeypatch.setattr("feedd.store.recording.IDLE_MS", 100)

    def suspended() -> None:
        with ThreadPoolExecutor(1) as pool, writing(people) as connection:
            other = pool.submit(recorder.record, [viewed(1)])
            assert other.result(10)[0].event == 1
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(StoreError):
        suspended()
    assert count(people) == 1


def test_what_is_large_does_not_keep_the_event_loop(people: Database) -> None:
    threads: list[threading.Thread] = []

    def prepare(actions: Sequence[Action]) -> Sequence[Action]:
        threads.append(threading.current_thread())
        return actions

    recorder = Recorder(people, prepare=prepare)
    recorder.start()
    seen = NewEvent(metric="Viewed", at=AT, properties=b'{"a": "%s"}' % (b"x" * LARGE_BYTES))
    large = Action(who=Identifiers(email="jane.doe@example.com"), event=seen)

    async def ask() -> None:
        await recorder.recorded([viewed(1)])
        await recorder.recorded([large])

    asyncio.run(ask())
    recorder.stop()
    assert [each is threading.current_thread() for each in threads] == [True, False]
    assert count(people) == 2


def test_a_database_that_only_stands_by_is_told_as_one_that_fails(
    people: Database, recorder: Recorder
) -> None:
    seen = NewEvent(
        metric="Viewed", at=AT, properties=b"{}"
    )  # which is written by nothing but a COPY
    recorder.record([Action(who=Identifiers(email="jane.doe@example.com"), event=seen)])
    only = "PRAGMA query_only = " if people.sqlite else "SET default_transaction_read_only = "

    def stand_by(connection: Any, *_rest: object) -> None:
        connection.execute(only + standing).close()

    event.listen(people.engine, "checkout", stand_by)
    later = Action(who=Identifiers(email="jane.doe@example.com"), event=replace(seen, at=AT + 1))
    standing = "on"
    with pytest.raises(StoreError, match=r"read-?only"):
        recorder.record([later])
    standing = "off"
    assert recorder.record([later])[0].event is not None
    assert count(people) == 2


def test_the_log_stays_short_under_a_writer_that_never_rests(
    place: intake.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place.url is not None:
        pytest.skip("PostgreSQL looks after its log itself")
    sizes = []
    for move_after in (1 << 60, 200):
        monkeypatch.setattr(log_keeper, "MOVE_AFTER", move_after)
        monkeypatch.setattr(log_keeper, "LONG", 300)
        people = people_of(place)
        recorder = Recorder(people)
        log = Path(place.state_dir) / "people.db-wal"
        for start in range(0, 10_000, 100):
            many = [
                viewed(move_after % 7 * 10_000 + n, f"u{n % 900}@example.com")
                for n in range(start, start + 100)
            ]
            assert all(each.event for each in recorder.record(many))
        recorder.stop()
        sizes.append(log.stat().st_size)
        people.checkpoint()
        people.close()
    assert sizes[1] < sizes[0] / 2


@pytest.fixture(params=["with a thread", "without"])
def either(people: Database, request: pytest.FixtureRequest) -> Iterator[Recorder]:
    """A recorder that writes for others, and one whose callers write themselves."""
    made = Recorder(people)
    if request.param == "with a thread":
        made.start()
    yield made
    made.stop()


def test_what_is_recorded_lazily_is_there_after_the_next_that_is_not(
    place: intake.Place, people: Database, either: Recorder
) -> None:
    seen = commits(people)
    for number in range(20):
        (outcome,) = either.record([viewed(number)], lazily=True)
        assert outcome.event == number + 1
    either.record([viewed(20)])
    assert count(people) == 21
    assert len(seen) < 10


def test_what_is_recorded_lazily_is_committed_when_nobody_comes(
    people: Database, recorder: Recorder
) -> None:
    recorder.record([viewed(1)], lazily=True)
    deadline = time.monotonic() + 10
    while not count(people):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_stopping_commits_what_was_recorded_lazily(people: Database, either: Recorder) -> None:
    either.record([viewed(1)], lazily=True)
    either.stop()
    assert count(people) == 1


def test_a_part_that_is_refused_takes_no_other_with_it(people: Database, either: Recorder) -> None:
    def refuse(_connection: object, _outcomes: object) -> None:
        raise UsageError("not this one")

    either.record([viewed(1, metric="A")], lazily=True)
    with pytest.raises(UsageError):
        either.record([viewed(2, metric="B", who="john.doe@example.com")], refuse, lazily=True)
    either.record([viewed(3, metric="B")], lazily=True)
    either.record([viewed(4, metric="A")])
    assert count(people) == 3
    with people.connect() as connection:
        profiles = connection.exec_driver_sql("SELECT email FROM profiles").scalars().all()
        metrics = connection.exec_driver_sql("SELECT name FROM metrics ORDER BY name").scalars()
        assert list(profiles) == ["jane.doe@example.com"]
        assert list(metrics) == ["A", "B"]


def test_a_part_that_fails_undoes_all_that_is_not_committed_and_the_next_goes_on(
    people: Database, either: Recorder
) -> None:
    broken = Action(who=viewed(0).who, event=NewEvent(metric="x", at=2**70, properties=b"{}"))
    either.record([viewed(1)])
    either.record([viewed(2, metric="Fresh")], lazily=True)
    with pytest.raises(Exception, match=r".") as told:
        either.record([broken], lazily=True)
    assert not isinstance(told.value, UsageError)
    (outcome,) = either.record([viewed(2, metric="Fresh")])
    assert not outcome.duplicate
    assert count(people) == 2


def test_who_recorded_lazily_is_told_when_it_could_not_be_committed(
    people: Database, either: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(opened: recording._Open) -> None:
        opened.roll_back(RuntimeError())
        raise StoreError("no room")

    either.record([viewed(1)])
    monkeypatch.setattr(recording, "IDLE_S", 60)
    either.record([viewed(2)], of="a file", lazily=True)
    with monkeypatch.context() as patch:
        patch.setattr(recording._Open, "commit", fail)
        either.record([viewed(3)])
    either.record([viewed(4)], of="another")  # which has lost nothing
    with pytest.raises(StoreError, match="no room"):
        either.record([viewed(5)], of="a file")
    either.record([viewed(5)], of="a file")
    assert count(people) == 4

"""Stretches are packed when they are full, one packer at a time, and never as they were before a change."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from daemons import wait_for
from people_rows import NOW, Row, add_events, fill, open_people, profile_row
from sqlalchemy import insert, select, update

from feedd.intake import Place
from feedd.packing import Packer
from feedd.people.aggregation import Interval, Measure, Question
from feedd.store import merging, packing
from feedd.store.aggregates import Aggregates
from feedd.store.chunks import STRETCH, drop_chunks, next_event_number, ready_chunks
from feedd.store.database import Database
from feedd.store.packing import pack_next
from feedd.store.people_tables import EVENT_CHUNKS, EVENT_COLUMNS, EVENTS, PROFILES
from feedd.store.recording import writing
from feedd.workers import Workers

QUESTION = Question(metric=1, measures=(Measure.COUNT, Measure.SUM))


@pytest.fixture
def people(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(packing, "BYTES_AT_ONCE", 1)
    monkeypatch.setattr(packing, "ROWS_AT_ONCE", 7)
    database = open_people(place)
    rows = [Row(n, 1, 1, 1_700_000_000 + n, 1.0, {"n": n}) for n in range(1, 31)]
    fill(database, rows, profiles=1, metrics=2)
    yield database
    database.close()


def seal(people: Database, number: int = STRETCH) -> None:
    add_events(people, [Row(number, 1, 2, 1_700_000_000)])


def ready(people: Database) -> list[int]:
    with people.connect() as connection:
        return ready_chunks(connection)


def change(people: Database, number: int) -> None:
    with people.transaction() as connection:
        connection.execute(EVENTS.update().where(EVENTS.c.id == number).values(value=5.0))
        drop_chunks(connection, [number])


def counted(people: Database) -> tuple[float, float]:
    totals = Aggregates(people).answer(QUESTION).totals
    return totals[Measure.COUNT], totals[Measure.SUM]


def test_only_full_stretches_are_packed(people: Database) -> None:
    assert not pack_next(people)
    seal(people, STRETCH - 1)
    assert pack_next(people)
    assert ready(people) == [0]
    assert not pack_next(people)
    seal(people, 3 * STRETCH + 5)
    while pack_next(people):
        pass
    assert ready(people) == [0, STRETCH, 2 * STRETCH]
    assert counted(people) == (30, 30)


def test_a_stretch_that_changes_while_it_is_packed_is_packed_again(people: Database) -> None:
    seal(people)
    for number, when in (
        (2, 1),
        (3, 4),
        (4, 7),
    ):  # while events are read, while columns are written
        steps = itertools.count(1)

        def change_late() -> None:
            if next(steps) == when:  # noqa: B023
                change(people, number)  # noqa: B023

        assert pack_next(people, between=change_late)
        assert ready(people) == []
        assert counted(people) == (30, 30 + 4 * (number - 1))
    assert pack_next(people)
    assert ready(people) == [0]
    assert counted(people) == (30, 42)


def test_a_change_that_is_not_committed_yet_is_waited_for(people: Database) -> None:
    seal(people)
    with ThreadPoolExecutor(1) as pool:
        with writing(people) as connection:
            connection.execute(EVENTS.update().where(EVENTS.c.id == 3).values(value=5.0))
            drop_chunks(connection, [3])
            packed = pool.submit(pack_next, people)
            wait([packed], timeout=0.3)
        assert packed.result()
    assert ready(people) == [0]
    assert counted(people) == (30, 34)


class Ended(Exception):
    pass


def test_packing_that_is_broken_off_leaves_nothing_that_counts(people: Database) -> None:
    seal(people)
    for last in (1, 3, 6, 8):
        steps = itertools.count(1)

        def end() -> None:
            if next(steps) == last:  # noqa: B023
                raise Ended

        with pytest.raises(Ended):
            pack_next(people, between=end)
        assert ready(people) == []
    assert pack_next(people)
    with people.connect() as connection:
        names = connection.execute(select(EVENT_COLUMNS.c.metric_id, EVENT_COLUMNS.c.name)).all()
    assert sorted(map(tuple, names)) == [(1, ".n"), (1, "at"), (1, "profile"), (1, "value")]


def test_counts_are_the_same_all_the_while(people: Database) -> None:
    seal(people)
    seen: list[tuple[float, float]] = []
    assert pack_next(people, between=lambda: seen.append(counted(people)))
    assert len(seen) > 8
    assert {*seen, counted(people)} == {(30, 30)}


def test_one_packs_at_a_time(people: Database) -> None:
    seal(people)
    others: list[bool] = []

    def meanwhile() -> None:
        if not others and not people.sqlite:  # where a file has one daemon
            others.append(pack_next(people))

    assert pack_next(people, between=meanwhile)
    assert others == ([] if people.sqlite else [False])
    assert ready(people) == [0]


def test_a_packed_stretch_gets_no_more_events(people: Database) -> None:
    seal(people)
    assert pack_next(people)
    with people.transaction() as connection:
        assert next_event_number(connection) == STRETCH + 1
        connection.execute(EVENTS.delete().where(EVENTS.c.id > 20))
        assert next_event_number(connection) == STRETCH
        connection.execute(EVENT_CHUNKS.delete())
        assert next_event_number(connection) == 21
        connection.execute(EVENTS.delete())
        assert next_event_number(connection) == 1


def test_a_daemon_packs_what_is_full(people: Database, place: Place) -> None:
    seal(people)
    workers = Workers(place)
    workers.start()
    packer = Packer(people, place, look_every_s=0.01)
    packer.start()
    wait_for(lambda: ready(people) == [0])
    seal(people, 2 * STRETCH)
    wait_for(lambda: ready(people) == [0, STRETCH])
    packer.stop()
    workers.stop()


def test_what_goes_wrong_in_the_child_is_told(
    people: Database, place: Place, tmp_path: Path
) -> None:
    workers = Workers(place)
    workers.start()
    lost = Place(state_dir=str(tmp_path / "missing"))
    assert Packer(people, place).pack() is None
    assert "unable to open database file" in str(Packer(people, lost).pack())
    workers.stop()


def test_merged_and_redacted_people_count_as_they_are_now(people: Database) -> None:
    with people.transaction() as connection:
        connection.execute(insert(PROFILES), [profile_row(2), profile_row(3)])
    same_second = 1_700_000_001
    add_events(
        people,
        [
            Row(31, 2, 1, same_second, 100.0, {"mail": "jane.doe@example.com"}),  # as profile 1 has
            Row(32, 2, 1, same_second + 100, 1.0, {"mail": "jane.doe@example.com"}),
            Row(33, 3, 1, same_second + 101, 1.0),
        ],
    )
    seal(people)
    assert pack_next(people)
    asked = Question(metric=1, measures=tuple(Measure), interval=Interval.ALL, by=("mail",))
    aggregates = Aggregates(people)
    assert aggregates.answer(asked).totals == {"count": 33, "unique": 3, "sum": 132}
    with writing(people) as connection:
        merging.merge(connection, 2, 1, NOW)
    with people.connect() as connection:
        assert ready_chunks(connection) == [], "a repeated event has gone"
    assert aggregates.answer(asked).totals == {"count": 32, "unique": 2, "sum": 32}
    assert pack_next(people)
    with writing(people) as connection:
        merging.merge(connection, 3, 1, NOW)
    assert ready(people) == [0], "nothing is packed again for a profile's number"
    answer = aggregates.answer(asked)
    assert answer.totals == {"count": 32, "unique": 1, "sum": 32}
    assert {group.dimensions for group in answer.groups} == {("",), ("jane.doe@example.com",)}
    with people.transaction() as connection:
        connection.execute(update(PROFILES).values(email="jane.doe@example.com"))
    with writing(people) as connection:
        merging.redact(connection, 1, NOW)
    with people.connect() as connection:
        assert connection.execute(select(EVENT_COLUMNS.c.first_id)).all() == []
    again = aggregates.answer(asked)
    assert again.totals == answer.totals
    assert {group.dimensions for group in again.groups} == {("",), ("redacted",)}

"""Stretches are packed when they are full, one packer at a time, and never as they were before a change."""

from collections.abc import Iterator

import pytest
from people_rows import Row, add_events, fill, open_people
from sqlalchemy import select

from feedd.intake import Place
from feedd.people.aggregation import Measure, Question
from feedd.store import chunks
from feedd.store.aggregates import Aggregates
from feedd.store.chunks import STRETCH, drop_chunks, next_event_number, pack_next, ready_chunks
from feedd.store.database import Database
from feedd.store.people_tables import EVENT_CHUNKS, EVENT_COLUMNS, EVENTS

QUESTION = Question(metric=1, measures=(Measure.COUNT, Measure.SUM))


@pytest.fixture
def people(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(chunks, "BUSY_S", 0.0)  # so that there is a rest after every step
    monkeypatch.setattr(chunks, "BYTES_AT_ONCE", 1)
    monkeypatch.setattr(chunks, "ROWS_AT_ONCE", 7)
    database = open_people(place)
    rows = [Row(n, 1, 1, 1_700_000_000 + n, 1.0, {"n": n}) for n in range(1, 31)]
    fill(database, rows, profiles=1, metrics=2)
    yield database
    database.close()


def seal(people: Database, number: int = STRETCH) -> None:
    add_events(people, [Row(number, 1, 2, 1_700_000_000)])


def go_on(_seconds: float) -> bool:
    return False


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
    assert not pack_next(people, rest=go_on)
    seal(people, STRETCH - 1)
    assert pack_next(people, rest=go_on)
    assert ready(people) == [0]
    assert not pack_next(people, rest=go_on)
    seal(people, 3 * STRETCH + 5)
    while pack_next(people, rest=go_on):
        pass
    assert ready(people) == [0, STRETCH, 2 * STRETCH]
    assert counted(people) == (30, 30)


def test_a_stretch_that_changes_while_it_is_packed_is_packed_again(people: Database) -> None:
    seal(people)
    rests = iter(range(1_000_000))

    def change_late(_seconds: float) -> bool:
        if next(rests) == 12:
            change(people, 2)  # which has been read by now
        return False

    assert pack_next(people, rest=change_late)
    assert ready(people) == []
    assert counted(people) == (30, 34)
    assert pack_next(people, rest=go_on)
    assert ready(people) == [0]
    assert counted(people) == (30, 34)


def test_packing_that_is_stopped_leaves_nothing_that_counts(people: Database) -> None:
    seal(people)
    for steps in (0, 5, 20, 31):
        rests = iter(range(1_000_000))
        assert not pack_next(people, rest=lambda _: next(rests) == steps)  # noqa: B023
        assert ready(people) == []
    assert pack_next(people, rest=go_on)
    with people.connect() as connection:
        names = connection.execute(select(EVENT_COLUMNS.c.metric_id, EVENT_COLUMNS.c.name)).all()
    assert sorted(map(tuple, names)) == [(1, ".n"), (1, "at"), (1, "profile"), (1, "value")]


def test_one_packs_at_a_time(people: Database) -> None:
    seal(people)
    others: list[bool] = []

    def meanwhile(_seconds: float) -> bool:
        if not others and not people.sqlite:  # where a file has one daemon
            others.append(pack_next(people, rest=go_on))
        return False

    assert pack_next(people, rest=meanwhile)
    assert others == ([] if people.sqlite else [False])
    assert ready(people) == [0]


def test_a_packed_stretch_gets_no_more_events(people: Database) -> None:
    seal(people)
    assert pack_next(people, rest=go_on)
    with people.transaction() as connection:
        assert next_event_number(connection) == STRETCH + 1
        connection.execute(EVENTS.delete().where(EVENTS.c.id > 20))
        assert next_event_number(connection) == STRETCH
        connection.execute(EVENT_CHUNKS.delete())
        assert next_event_number(connection) == 21
        connection.execute(EVENTS.delete())
        assert next_event_number(connection) == 1

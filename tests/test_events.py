"""Timelines and single events."""

import itertools
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people_rows import Row, fill, open_people

from feedd.intake import Place
from feedd.people.values import Event, Source
from feedd.store import events
from feedd.store.database import Database
from feedd.store.events import (
    Page,
    Position,
    position_of_uuid,
    read_event,
    read_event_by_uuid,
    read_last_event_at,
    read_timeline,
    uuid_of,
)
from feedd.store.people_metrics import find_metric, read_metrics

# 150 metrics, so that a timeline of everything takes two statements; many events in the same seconds
ROWS = [
    Row(
        number=2 * n + 1,
        profile=1 + n * n % 5,
        metric=1 + n % 150 if n % 2 else 1,
        at=1_700_000_000 + n * 7 % 11,
        value=n / 4 if n % 3 else None,
        properties={"n": n, "Items": [{"sku": "a"}]},
    )
    for n in range(400)
]
SINCE, BEFORE = 1_700_000_003, 1_700_000_009


@pytest.fixture
def people(place: Place) -> Iterator[Database]:
    database = open_people(place)
    fill(database, ROWS, profiles=7, metrics=150)
    yield database
    database.close()


def expected(
    profile: int | None,
    metric: int | Sequence[int] | None,
    since: int | None,
    before: int | None,
    oldest_first: bool,
) -> list[int]:
    chosen = [
        row
        for row in ROWS
        if (profile is None or row.profile == profile)
        and (metric is None or row.metric in ([metric] if isinstance(metric, int) else metric))
        and (since is None or row.at >= since)
        and (before is None or row.at < before)
    ]
    chosen.sort(key=lambda row: (row.at, row.number), reverse=not oldest_first)
    return [row.number for row in chosen]


def test_pages_add_up_to_the_timeline(people: Database) -> None:
    for since, before, oldest_first in itertools.product(
        (None, SINCE), (None, BEFORE), (False, True)
    ):
        for profile, metric, limit in (
            (2, None, 17),
            (None, 1, 60),
            (2, 1, 9),
            (None, None, 150),
            (6, None, 5),
            (None, (1, 3, 50), 30),
            (2, (1, 5, 7), 9),
            (2, (), 9),
            (None, (), 9),
        ):
            found: list[int] = []
            after: Position | None = None
            while True:
                page = read_timeline(
                    people,
                    profile=profile,
                    metric=metric,
                    since=since,
                    before=before,
                    after=after,
                    oldest_first=oldest_first,
                    limit=limit,
                )
                found += [event.number for event in page.events]
                assert len(page.events) == limit or page.next is None
                if (after := page.next) is None:
                    break
            assert found == expected(profile, metric, since, before, oldest_first)


@pytest.mark.parametrize("most_bytes", [1, 300, 800])
def test_pages_of_large_events_are_short_and_add_up(
    people: Database, monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    whole = read_timeline(people, limit=60)
    monkeypatch.setattr(events, "MOST_BYTES", most_bytes)
    found: list[Event] = []
    page = read_timeline(people, limit=60)
    while len(found) + len(page.events) < 60:
        assert page.next is not None
        assert 0 < len(page.events) < 60
        found += page.events
        page = read_timeline(people, after=page.next, limit=60 - len(found))
    assert (*found, *page.events) == (*whole.events,)


def test_an_event_is_told_whole(people: Database) -> None:
    event = read_event(people, 3)
    row = ROWS[1]
    assert event is not None
    assert (event.number, event.profile, event.metric, event.metric_id) == (
        3,
        "P2",
        "Metric 2",
        "M00002",
    )
    assert event.at == datetime.fromtimestamp(row.at, UTC)
    assert (event.value, event.properties, event.source) == (0.25, row.properties, Source.SERVER)
    assert read_event_by_uuid(people, event.uuid) == event


def test_what_is_not_there_is_none(people: Database) -> None:
    assert read_event(people, 2) is None
    assert read_event_by_uuid(people, "nonsense") is None
    assert read_event_by_uuid(people, str(uuid.uuid1())) is None
    # an event has this number, but happened at another time
    assert read_event_by_uuid(people, uuid_of(Position(ROWS[1].at + 1, 3))) is None


def test_a_database_without_metrics_has_no_events(place: Place) -> None:
    people = open_people(place)
    assert read_timeline(people) == Page(events=[])
    people.close()


@given(at=st.integers(631_152_000, 2**33), number=st.integers(1, 2**53))
def test_a_uuid_is_one_of_version_1_and_says_which_event_it_is_of(at: int, number: int) -> None:
    made = uuid_of(Position(at, number))
    read = uuid.UUID(made)
    assert read.version == 1
    assert read.variant == uuid.RFC_4122
    assert read.node >> 40 & 1, "the multicast bit tells it from a network card's"
    assert position_of_uuid(made) == Position(at, number)
    assert position_of_uuid(made.upper()) == Position(at, number)


def test_who_did_something_last_when(people: Database) -> None:
    found = read_last_event_at(people, [1, 2, 7, 99])
    assert {number: int(at.timestamp()) for number, at in found.items()} == {
        number: max(row.at for row in ROWS if row.profile == number) for number in (1, 2)
    }


def test_metrics_are_found_by_id_before_name(people: Database) -> None:
    assert [metric.name for metric in read_metrics(people)][:2] == ["Metric 1", "Metric 2"]
    found = find_metric(people, "Metric 3")
    assert found is not None
    assert found == find_metric(people, found.id)
    assert find_metric(people, "metric 3") is None

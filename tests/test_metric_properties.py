"""Which properties the events of a metric have: what a plain scan of them says."""

from collections.abc import Iterator

import pytest
from people_rows import Row, add_events, fill, open_people

from feedd.intake import Place
from feedd.people.inference import Kind, Seen
from feedd.store import metric_properties
from feedd.store.chunks import STRETCH
from feedd.store.database import Database
from feedd.store.metric_properties import metric_of, property_id, read_properties
from feedd.store.packing import pack_next

ROWS = [
    Row(
        n,
        1,
        1 + n % 2,
        1_700_000_000 - n,
        properties={
            "Brand": f"B{n % 30}",
            "price": n / 2 if n % 3 else n,
            "on": n % 4 < 2,
            f"rare {n % 40 // 2}": n,
            "Tags": [f"t{n % 5}", "x"],
            "since": f"2026-01-{1 + n % 28:02}",
            "Items": {"n": n},
            "mixed": n if n % 4 < 2 else str(n),
        },
    )
    for n in range(1, 121)
]


@pytest.fixture
def people(place: Place) -> Iterator[Database]:
    database = open_people(place)
    fill(database, ROWS, profiles=1, metrics=3)
    yield database
    database.close()


def scanned(metric: int) -> Seen:
    found = Seen(1_000)
    for row in sorted(ROWS, key=lambda row: -row.at):
        if row.metric == metric:
            found.add(row.properties or {})
    return found


@pytest.mark.parametrize("metric", [1, 2])
def test_the_newest_events_tell_what_all_do_where_they_are_all(people: Database, metric: int) -> None:  # fmt: skip
    assert read_properties(people, metric) == scanned(metric).properties()


def test_packed_columns_tell_of_properties_that_are_rarer(
    people: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_events(people, [Row(STRETCH, 1, 3, 1_700_000_000)])  # the stretch before is full with it
    monkeypatch.setattr(metric_properties, "NEWEST", 3)
    few = {each.name for each in read_properties(people, 1)}
    assert pack_next(people)
    found = {each.name: each for each in read_properties(people, 1)}
    plain = {each.name: each for each in scanned(1).properties()}
    assert few < found.keys() == plain.keys()
    assert all(found[name].kind is Kind.NUMBER for name in found if name.startswith("rare"))
    assert found["rare 4"].samples == (8, 48, 88)
    monkeypatch.setattr(metric_properties, "NEWEST", 0)
    kinds = {each.name: each.kind for each in read_properties(people, 1)}
    # that `mixed` has texts and numbers cannot be seen in its column
    assert kinds == {name: each.kind for name, each in plain.items()} | {"mixed": Kind.NUMBER}


def test_large_events_are_not_all_read(people: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_properties, "MOST_BYTES", 300)
    (price,) = (each for each in read_properties(people, 1) if each.name == "price")
    assert 1 < len(price.samples) < 10


def test_a_metric_without_events_has_no_properties(people: Database) -> None:
    assert read_properties(people, 3) == []


def test_an_id_says_which_metric_it_is_of() -> None:
    assert metric_of(property_id("AbC123", "Größe")) == "AbC123"
    assert property_id("AbC123", "a") != property_id("AbC123", "b")
    assert property_id("AbC123", "\ud800")  # as old clients may have sent it
    assert metric_of("short") == ""

"""Items by their ids: an older database is brought to it, and an id costs the same however many items there are."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from feeds import item, live, stream, take_in
from test_ahead import NEW, OLD, left_behind, rows, seen, when  # noqa: F401 a fixture
from test_changes import looked_at

from feedd import intake
from feedd.store.database import Database
from feedd.store.history import read_versions
from feedd.store.migrate import migrate
from feedd.store.read import count_collisions, read_items
from feedd.store.stage import DatabaseStage

OLDER = (
    "ALTER TABLE stream DROP COLUMN erasures",
    "DROP TABLE web_feed_bodies",
    "DROP TABLE web_feeds",
    "DROP TABLE item_ids",
    "CREATE UNIQUE INDEX ux_items_feed_item ON items (feed_id, item_id)",
    "UPDATE alembic_version SET version_num = 'catalog0004'",
)


@pytest.fixture
def catalog(place: intake.Place) -> Iterator[Database]:
    made = place.open_catalog()
    yield made
    made.close()


def test_items_of_an_older_database_are_found_by_their_ids(
    catalog: Database,
    tmp_path: Path,
    when: Callable[[int, Callable[[], object]], None],  # noqa: F811
) -> None:
    take_in(catalog, tmp_path, OLD)
    take_in(catalog, tmp_path, [*OLD, item("n3")], feed="other")
    take_in(catalog, tmp_path, OLD[1:], feed="other")
    left_behind(catalog, tmp_path, when)
    before, count = seen(catalog), rows(catalog)
    with catalog.transaction() as connection:
        for statement in OLDER:
            connection.exec_driver_sql(statement)
    migrate(catalog)
    assert (seen(catalog), rows(catalog)) == (before, count)
    take_in(catalog, tmp_path, NEW)
    assert live(catalog) == {each["id"]: each for each in NEW}
    assert rows(catalog) == (22 + 3, len(stream(catalog)))


def test_an_item_is_found_by_its_id_without_a_look_at_others(
    catalog: Database, tmp_path: Path
) -> None:
    take_in(catalog, tmp_path, [item(str(n)) for n in range(2_000)])
    last = len(stream(catalog))
    take_in(catalog, tmp_path, [item("77")], feed="other")

    def staged(*ids: str) -> list[int]:
        with catalog.connect() as connection:
            connection.detach()
            stage = DatabaseStage(connection, 1)
            return [*stage.stored_keys(ids), *[each.item for each in stage.stored(ids).values()]]

    keys = [each.key for each in read_items(catalog, ids=["77"], feeds=["shop"])]
    assert staged("77", "none") == keys * 2
    assert [each.feed for each in read_items(catalog, ids=["77"])] == ["shop", "other"]
    assert count_collisions(catalog, "other", ["shop"]) == 1
    asks: list[Callable[[], object]] = [
        partial(read_items, catalog, ids=["77", "none"], feeds=["shop", "other"], removed=None),
        partial(read_versions, catalog, "77", feeds=["shop"], seq=last),
        partial(count_collisions, catalog, "other", ["shop"]),
        partial(staged, "77", "none"),
    ]
    for ask in asks:
        assert looked_at(catalog, ask) <= 50, ask

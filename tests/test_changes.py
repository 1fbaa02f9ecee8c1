"""A page of the change stream holds what it should, however the stream is made up, and costs no more than what it shows."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from feeds import item, take_in
from sqlalchemy import event, insert, text, update

from feedd import intake
from feedd.model import Change, ChangeKind
from feedd.store.changes import read_changes
from feedd.store.database import Database
from feedd.store.feeds import begin_sync
from feedd.store.item_ids import enter_all_ids
from feedd.store.read import read_items
from feedd.store.tables import CHANGES, FEEDS, ITEMS, KINDS, NUMBER_BITS, STREAM, SYNCS

AT = datetime(2025, 5, 1, tzinfo=UTC)
FEEDS_OF = ("one", "two", "three")
# (feed, changes) of the syncs in the order of their commits; their numbers are in another order
LAYOUT = (
    ("one", 1),
    ("two", 9),
    ("one", 2),
    ("three", 1),
    ("one", 7),
    ("one", 0),
    ("two", 1),
    ("one", 1),
    ("two", 4),
)


@pytest.fixture
def catalog(place: intake.Place) -> Iterator[Database]:
    made = place.open_catalog()
    yield made
    made.close()


def fill(catalog: Database) -> list[Change]:
    """A stream of that layout: seven items a feed, kinds and touched fields in turn."""
    changes: list[Change] = []
    with catalog.transaction() as connection:
        for number, name in enumerate(FEEDS_OF, 1):
            connection.execute(insert(FEEDS).values(id=number, name=name, next_item=8))
            for key in range(1, 8):
                values = {
                    "id": number << NUMBER_BITS | key,
                    "feed_id": number,
                    "item_id": f"i{key}",
                }
                values |= {"fields": "{}", "digest": b"", "created_at": AT, "changed_at": AT}
                connection.execute(insert(ITEMS).values(**values))
        enter_all_ids(connection)
        for place, (feed, count) in enumerate(LAYOUT):
            _sync(connection, changes, len(LAYOUT) - place, feed, count)
        connection.execute(update(STREAM).values(last_seq=len(changes)))
    return changes


def _sync(connection: Any, changes: list[Change], sync: int, feed: str, count: int) -> None:
    feed_id, at, first = FEEDS_OF.index(feed) + 1, AT + timedelta(hours=sync), len(changes) + 1
    values = {
        "id": sync,
        "feed_id": feed_id,
        "trigger": "resync",
        "status": "applied",
        "holder": "x",
    }
    values |= {"started_at": at, "finished_at": at, "change_count": count}
    connection.execute(insert(SYNCS).values(**values, first_seq=first if count else None))
    for ordinal in range(count):
        seq = first + ordinal
        key, kind = seq % 7 + 1, tuple(ChangeKind)[seq % len(ChangeKind)]
        fields: dict[str, Any] = {"price": (seq, None)} if seq % 3 == 0 else {}
        written = f'{{"price":[{seq},null]}}' if fields else "{}"
        values = {"sync_id": sync, "ordinal": ordinal, "item": feed_id << NUMBER_BITS | key}
        values |= {"kind": KINDS.index(kind), "fields": written}
        connection.execute(insert(CHANGES).values(**values))
        made = Change(
            seq=seq, feed=feed, item=f"i{key}", kind=kind, fields=fields, sync=sync, at=at
        )
        changes.append(made)


QUESTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"feeds": ["one"]},
    {"feeds": ["three", "two"]},
    {"feeds": []},
    {"feeds": ["nobody"]},
    {"sync": 8},
    {"sync": 99},
    {"kinds": [ChangeKind.ADDED]},
    {"kinds": []},
    {"fields": ["price", "title"]},
    {"fields": ["title"]},
    {"feeds": ["one"], "kinds": [ChangeKind.UPDATED, ChangeKind.REMOVED], "fields": ["price"]},
    {"items": ["i3", "i4"]},
    {"items": ["i3"], "feeds": ["two"], "kinds": [ChangeKind.REMOVED], "fields": ["price"]},
)


def asked(
    changes: list[Change],
    feeds: list[str] | None = None,
    sync: int | None = None,
    kinds: list[ChangeKind] | None = None,
    items: list[str] | None = None,
    fields: list[str] | None = None,
) -> list[Change]:
    return [
        change
        for change in changes
        if (feeds is None or change.feed in feeds)
        and (sync is None or change.sync == sync)
        and (kinds is None or change.kind in kinds)
        and (items is None or change.item in items)
        and (fields is None or set(change.fields) & set(fields))
    ]


def test_a_page_is_what_a_reader_of_the_whole_stream_would_pick(catalog: Database) -> None:
    changes = fill(catalog)
    last = len(changes)
    for question in QUESTIONS:
        wanted = asked(changes, **question)
        for since, before, limit in itertools.product((0, 11, last), (None, 12), (1, 3)):
            between = [c for c in wanted if since < (c.seq or 0) < (before or last + 1)]
            read = partial(
                read_changes, catalog, since=since, before=before, limit=limit, **question
            )
            assert read() == between[:limit], (question, since, before)
            assert read(descending=True) == between[::-1][:limit], (question, since, before)


SHOWN = 10
COPY_ITEMS = """
INSERT INTO items (id, feed_id, item_id, fields, digest, warning_count, created_at, changed_at)
SELECT id + :by, feed_id + :feeds, item_id, fields, digest, 0, created_at, changed_at FROM items WHERE feed_id = 1
"""
COPY_CHANGES = """
INSERT INTO changes (sync_id, ordinal, item, kind, fields) SELECT :sync, ordinal, item + :by, kind, fields FROM changes
"""


def looked_at(catalog: Database, ask: Callable[[], object]) -> int:
    """How many rows PostgreSQL touches for the answer, in its busiest step; a hundredth of SQLite's instructions."""
    found = [0]

    def explain(connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.lstrip().startswith("SELECT"):
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values)
                found[0] = max(found[0], _busiest(cursor.fetchone()[0][0]["Plan"]))

    def step() -> None:
        found[0] += 1

    def count(driver: Any, *_: Any) -> None:
        driver.set_progress_handler(step, 100)

    listen = (
        (catalog.engine, "checkout", count)
        if catalog.sqlite
        else (catalog.engine, "before_cursor_execute", explain)
    )
    event.listen(*listen)
    try:
        ask()
    finally:
        event.remove(*listen)
    return found[0]


def _busiest(node: dict[str, Any]) -> int:
    rows = (
        node["Actual Rows"]
        + node.get("Rows Removed by Filter", 0)
        + node.get("Rows Removed by Join Filter", 0)
    )
    return max([int(rows * node["Actual Loops"]), *map(_busiest, node.get("Plans", []))])


@pytest.mark.parametrize("analyzed", [False, True])
def test_a_page_and_an_item_cost_what_they_show(
    catalog: Database, tmp_path: Path, *, analyzed: bool
) -> None:
    """Whatever the database knows of its tables, which is nothing in a first load, and whatever is written ahead."""
    take_in(catalog, tmp_path, [item(str(n)) for n in range(2_000)])
    if analyzed:  # and then the next feed comes
        with catalog.connect() as connection:
            connection.exec_driver_sql("ANALYZE")
    lease = begin_sync(catalog, "next", trigger="resync", holder="test", now=AT)
    by = (lease.feed_id - 1) << NUMBER_BITS
    with catalog.transaction() as connection:
        connection.execute(text(COPY_ITEMS), {"by": by, "feeds": lease.feed_id - 1})
        connection.execute(text(COPY_CHANGES), {"sync": lease.sync_id, "by": by})
        enter_all_ids(connection)
    asks: list[dict[str, Any]] = [
        {},
        {"feeds": ["shop"]},
        {"feeds": ["shop", "next"], "descending": True},
        {"kinds": [ChangeKind.ADDED], "feeds": ["shop"]},
        {"items": ["77"], "feeds": ["shop"]},
    ]
    for ask in asks:
        page = partial(read_changes, catalog, since=50, limit=SHOWN, **ask)
        assert len(page()) == (1 if "items" in ask else SHOWN)
        assert looked_at(catalog, page) <= 5 * SHOWN, ask
    one = partial(read_items, catalog, feeds=["shop", "next"], ids=["77"], removed=None)
    assert [each.feed for each in one()] == ["shop"]
    assert looked_at(catalog, one) <= 5 * SHOWN

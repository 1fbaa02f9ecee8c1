"""What templates see of the catalog: at any position the same as the catalog was then, by whatever way it is found."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from feeds import item, take_in
from hypothesis import given
from hypothesis import strategies as st
from test_ingest_laws import FEW, folder, fresh  # noqa: F401 a fixture
from test_retention import DAY_S, age, kept, swept

from feedd import intake
from feedd.errors import TooOld, UsageError
from feedd.model import CatalogItem, Change, ChangeKind
from feedd.settings import FeedSettings, Settings
from feedd.shelf import answers, columns, differences, shelves, view
from feedd.shelf.conditions import meets
from feedd.shelf.view import MOST_TOUCHED, Shelf
from feedd.store.at import ItemThen
from feedd.store.changes import Touch, read_changes
from feedd.store.database import Database
from feedd.store.feeds import read_stream
from feedd.store.forget import forget_feed
from feedd.store.history import Absence, read_versions
from feedd.store.item_rows import ItemRow
from feedd.store.read import read_items
from feedd.templates.queries import ChangesQuery, ItemsQuery, written
from feedd.templates.wire import AskChanges, AskHistory, AskItem, AskItems

FEEDS = {"shop": "$default", "extra": "$default", "blog": "news"}
TEXTS = st.sampled_from(
    ["Mug", "Bowl", "bowl", "A title that goes on and on: 1", "A title that goes on and on: 2"]
)
FIELDS = st.fixed_dictionaries(
    {"title": TEXTS},
    optional={
        "price": st.sampled_from([1, 2, 2.5, 10]),
        "sale_price": st.sampled_from([1, 2, 3]),
        "availability": st.sampled_from(["in_stock", "out_of_stock", "preorder"]),
        "inventory_quantity": st.sampled_from([-1, 0, 5]),
        "categories": st.sampled_from(
            [["Shoes > Women"], ["shoes"], ["Home > Shoes", "Sale"], ["Women"], []]
        ),
        "brand": st.sampled_from(["Acme", "ACME ", "Other"]),
        "published_at": st.sampled_from(["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]),
    },
)
BODY = st.dictionaries(st.sampled_from("abcdef"), FIELDS, max_size=6)
SYNCS = st.lists(st.tuples(st.sampled_from(["shop", "extra"]), BODY), min_size=1, max_size=5)
CONDITIONS = {
    "category": st.sampled_from([None, "Shoes", "shoes > women", "Women", "Home > Shoes", "Hom"]),
    "brand": st.sampled_from([None, None, "acme", "none"]),
    "min_price": st.sampled_from([None, None, 2, 2.5]),
    "max_price": st.sampled_from([None, None, 2, 2.5]),
    "in_stock": st.sampled_from([None, None, True, False]),
    "on_sale": st.sampled_from([None, None, True, False]),
}
ORDERS = st.sampled_from(
    [None]
    + [
        sign + name
        for sign in ("", "-")
        for name in ("title", "price", "published_at", "changed_at", "created_at")
    ]
)
QUERIES = st.builds(
    ItemsQuery,
    **CONDITIONS,
    order=ORDERS,
    limit=st.sampled_from([1, 2, 12]),
    ids=st.sampled_from([None, None, ("c", "a", "zz", "b")]),
)


def settings_of(feeds: dict[str, str]) -> Settings:
    made = {
        name: FeedSettings(name=name, url="https://shop.example/feed", catalog=catalog, order=n)
        for n, (name, catalog) in enumerate(feeds.items())
    }
    return Settings(feeds=made, state_dir=Path(), socket=Path())


def shelf_of(catalog: Database, feeds: dict[str, str] = FEEDS) -> Shelf:
    settings = settings_of(feeds)
    return Shelf(catalog, lambda: settings)


def asked(shelf: Shelf, question: Any, at: int | None = None) -> Any:
    with shelf.view(at) as opened:
        return json.loads(opened.answer(question))


def items(shelf: Shelf, at: int | None = None, catalog: str = "", **query: Any) -> list[str]:
    """The ids of the items that a query gives."""
    found = asked(shelf, AskItems(catalog, written(ItemsQuery(**query))), at)
    return [each["id"] for each in found]


def changes(shelf: Shelf, at: int | None = None, catalog: str = "", **query: Any) -> list[Any]:
    """(id, kind, old, new) of what a query gives."""
    found = asked(shelf, AskChanges(catalog, written(ChangesQuery(**query))), at)
    return [(each["item"]["id"], each["kind"], each["old"], each["new"]) for each in found]


# the same, found out the long way


def was(
    catalog: Database, seq: int, feeds: list[str]
) -> list[tuple[str, int, dict[str, Any], Any, Any]]:
    """(feed, key, fields, created, changed) of the live items at a position that a look-up finds."""
    found: dict[str, Any] = {}
    for each in read_items(catalog, feeds=feeds, removed=None, limit=1000):
        for version in read_versions(catalog, each.id, feeds=[each.feed], seq=seq):
            if isinstance(version, Absence):
                continue
            place = (feeds.index(each.feed), each.key)
            if each.id not in found or place < found[each.id][0]:
                found[each.id] = (place, version.fields, each.created_at, version.changed_at)
    return [
        (item_id, place, fields, created, changed)
        for item_id, (place, fields, created, changed) in sorted(
            found.items(), key=lambda pair: pair[1][0]
        )
    ]


def expected(rows: list[Any], query: ItemsQuery) -> list[str]:
    def price(fields: dict[str, Any]) -> Any:
        return fields.get("sale_price", fields.get("price"))

    def is_wanted(fields: dict[str, Any]) -> bool:
        names = [
            [name.strip().lower() for name in category.split(">")]
            for category in fields.get("categories", [])
        ]
        asked_for = [name.strip().lower() for name in (query.category or "").split(">")]
        runs = [
            path[start : start + len(asked_for)] for path in names for start in range(len(path))
        ]
        stock = fields.get("availability") == "preorder" or fields.get("inventory_quantity", 1) > 0
        stock = stock and fields.get("availability") != "out_of_stock"
        sale = "price" in fields and "sale_price" in fields
        sale = sale and fields["sale_price"] < fields["price"]
        return (
            (query.category is None or asked_for in runs)
            and (query.brand is None or fields.get("brand", "").strip().lower() == query.brand)
            and (query.min_price is None or (price(fields) or 0) >= query.min_price)
            and (query.max_price is None or (price(fields) or 99) <= query.max_price)
            and (query.in_stock is None or stock == query.in_stock)
            and (query.on_sale is None or sale == query.on_sale)
        )

    chosen = [row for row in rows if is_wanted(row[2])]
    if query.ids is not None:
        chosen = [row for row in chosen if row[0] in query.ids]
        if query.order is None:
            chosen.sort(key=lambda row: query.ids.index(row[0]))  # type: ignore[union-attr]
    if query.order is not None:
        name = query.order.removeprefix("-")

        def value(row: Any) -> Any:
            return {
                "title": row[2]["title"].lower(),
                "price": price(row[2]),
                "published_at": row[2].get("published_at"),
                "created_at": row[3],
                "changed_at": row[4],
            }[name]

        with_one = [row for row in chosen if value(row) is not None]
        with_one.sort(key=value, reverse=query.order.startswith("-"))
        chosen = with_one + [row for row in chosen if value(row) is None]
    return [row[0] for row in chosen[: query.limit]]


def taken_in(catalog: Database, where: Path, syncs: list[Any]) -> None:
    for feed, body in syncs:
        take_in(
            catalog,
            where,
            [item(item_id, **fields) for item_id, fields in body.items()],
            feed=feed,
            accept_removals=True,
        )


@FEW
@given(syncs=SYNCS, query=QUERIES, data=st.data())
def test_items_at_a_position_are_those_of_the_catalog_then(
    folder: Path,  # noqa: F811
    syncs: list[Any],
    query: ItemsQuery,
    data: st.DataObject,
) -> None:
    """Also where the shelf has seen other positions before, and has followed the stream from there."""
    with closing(fresh(folder)) as catalog:
        shelf = shelf_of(catalog)
        for sync in syncs:
            taken_in(catalog, folder, [sync])
            if data.draw(st.booleans()):
                items(shelf, catalog="$default", limit=1)
        end = read_stream(catalog).last_seq
        for seq in [end, *data.draw(st.lists(st.integers(0, end), max_size=3))]:
            rows = was(catalog, seq, ["shop", "extra"])
            found = asked(shelf, AskItems("$default", written(query)), seq)
            assert [each["id"] for each in found] == expected(rows, query)
            fields = {row[0]: row[2] for row in rows}
            for each in found:
                assert each["fields"] == fields[each["id"]]
                assert list(each["fields"]) == sorted(each["fields"])  # as loops show them
                one = asked(shelf, AskItem(each["id"], "$default"), seq)
                assert one == each
                assert not one["removed"]


CHANGES = st.builds(
    ChangesQuery,
    **CONDITIONS,
    field=st.sampled_from([None, "price", "title", "inventory_quantity"]),
    direction=st.sampled_from([None, None, "up", "down"]),
    kind=st.sampled_from([None, None, "added", "updated", "removed", "restored"]),
    order=st.sampled_from(["-at", "at", "difference", "-percent", "title"]),
    limit=st.sampled_from([1, 2, 12]),
)


def differing(
    catalog: Database, begins: dict[str, int], seq: int, query: ChangesQuery
) -> list[Any]:
    """(id, kind, old, new, number of the newest change) of what differs, the newest first; `begins` is by feed."""
    feeds = ["shop", "extra"]
    there = {row[0]: row[1] for row in was(catalog, seq, feeds)}
    found = []
    for each in read_items(catalog, feeds=feeds, removed=None, limit=1000):
        told = read_changes(catalog, items=[each.id], feeds=[each.feed], limit=1000)
        since = min(begins[each.feed], seq)
        told = [change for change in told if since < (change.seq or 0) <= seq]
        (now,) = read_versions(catalog, each.id, feeds=[each.feed], seq=seq)
        (then,) = read_versions(catalog, each.id, feeds=[each.feed], seq=since)
        is_live, was_live = not isinstance(now, Absence), not isinstance(then, Absence)
        if each.id in there and there[each.id] != (feeds.index(each.feed), each.key):
            continue
        if is_live and not was_live:
            kind = str(told[0].kind)
        elif is_live:
            kind = "updated"
        else:  # also what came and went in between
            kind = "removed"
        if not told or query.kind not in (None, kind):
            continue
        last = told[-1] if is_live else next(c for c in told[::-1] if c.kind == "removed")
        fields = now.fields if not isinstance(now, Absence) else before_removal(catalog, each, last)
        before = dict(fields)
        for change in told[::-1]:
            before |= {name: old for name, (old, _) in change.fields.items()}
        field = query.field or ("price" if query.direction else None)
        old = new = None
        if field is None:
            if kind == "updated" and all(before[name] == fields.get(name) for name in before):
                continue
            told = [c for c in told if query.kind in (None, c.kind)]
        else:
            old, new = (value_of(some, field) for some in (before, fields))
            told = [
                c
                for c in told
                if {field, "sale_price" if field == "price" else field} & set(c.fields)
            ]
            if not is_live or old == new or not told:
                continue
            if query.direction is not None and (
                not isinstance(old, int | float)
                or not isinstance(new, int | float)
                or (new > old) != (query.direction == "up")
            ):
                continue
        plain = ItemsQuery(**{name: getattr(query, name) for name in CONDITIONS})
        if expected([(each.id, None, fields, None, None)], plain):
            found.append((each.id, kind, old, new, told[-1].seq, fields["title"]))
    return sorted(found, key=lambda row: -row[4])


def end_of(catalog: Database, seq: int) -> float:
    """When what ends with a change was committed, in seconds since 1970."""
    told = read_changes(catalog, since=seq - 1, limit=1) if seq else []
    return told[0].at.timestamp() if told else 0


def before_removal(catalog: Database, each: CatalogItem, removal: Change) -> dict[str, Any]:
    (version,) = read_versions(catalog, each.id, feeds=[each.feed], seq=(removal.seq or 0) - 1)
    assert not isinstance(version, Absence)
    return version.fields


def value_of(fields: dict[str, Any], field: str) -> Any:
    if field != "price":
        return fields.get(field)
    return fields["sale_price"] if fields.get("sale_price") is not None else fields.get("price")


@FEW
@given(syncs=SYNCS, query=CHANGES, data=st.data())
def test_changes_are_what_differs_between_two_positions(
    folder: Path,  # noqa: F811
    syncs: list[Any],
    query: ChangesQuery,
    data: st.DataObject,
) -> None:
    with closing(fresh(folder)) as catalog, pytest.MonkeyPatch.context() as patched:
        patched.setattr(differences, "_AT_ONCE", 2)
        ends = [0]
        firsts: dict[str, int] = {}
        for feed, body in syncs:
            taken_in(catalog, folder, [(feed, body)])
            ends.append(read_stream(catalog).last_seq)
            if body:
                firsts.setdefault(feed, ends[-1])
        seq = data.draw(st.integers(0, ends[-1]))
        if data.draw(st.booleans()):
            since = data.draw(st.integers(0, seq))
            asking = msgspec.structs.replace(query, since_seq=since)
            firsts = {}
        else:  # of time: what was the first of a feed was there before
            since = data.draw(st.sampled_from(ends))
            asking = msgspec.structs.replace(query, since_at=end_of(catalog, since))
        begins = {feed: max(since, firsts.get(feed, 0)) for feed in ("shop", "extra")}
        told = asked(shelf_of(catalog), AskChanges("$default", written(asking)), seq)
        rows = [(t["item"]["id"], t["kind"], t["old"], t["new"], t["seq"]) for t in told]
        right = differing(catalog, begins, seq, query)
        if query.order == "-at":
            assert rows == [row[:5] for row in right[: query.limit]]
            return

        def place(row: Any) -> Any:
            old, new = row[2], row[3]
            numbers = isinstance(old, int | float) and isinstance(new, int | float)
            value = {
                "at": row[4],
                "title": row[5].lower(),
                "difference": new - old if numbers else None,
                "-percent": -round((new - old) / abs(old) * 100, 2) if numbers and old else None,
            }[query.order]
            return value is None, value, -row[4]

        right.sort(key=place)
        assert rows == [row[:5] for row in right[: query.limit]]


# on both databases


@pytest.fixture
def catalog(place: intake.Place) -> Iterator[Database]:
    made = place.open_catalog()
    yield made
    made.close()


def test_what_a_shelf_answers(catalog: Database, tmp_path: Path) -> None:
    """One look at everything, on both databases: the laws above run on SQLite."""
    shelf = shelf_of(catalog)
    with shelf.view() as empty:
        assert (empty.seq, empty.committed_at) == (0, None)
        assert empty.answer(AskItem("a")) == b"null"
        assert empty.answer(AskItems("", "{}")) == b"[]"
    a, b = item("a", price=5, categories=["X > Y"]), item("b", price=1)
    began = datetime.now(UTC)
    take_in(catalog, tmp_path, [a, b])
    take_in(catalog, tmp_path, [a | {"price": 4}, item("c", "Große Tasse")])
    take_in(catalog, tmp_path, [item("a", "Other", price=9), item("d")], feed="extra")
    take_in(catalog, tmp_path, [item("a", "Post")], feed="blog")
    take_in(catalog, tmp_path, [b, item("c", "Große Tasse")], accept_removals=True)
    assert items(shelf) == ["b", "c", "a", "d"]
    assert items(shelf, order="-price") == ["a", "b", "c", "d"]
    assert items(shelf, order="title") == ["c", "b", "d", "a"]
    assert items(shelf, at=5) == ["a", "c"]
    assert items(shelf, at=5, category="y") == ["a"]
    assert items(shelf, catalog="extra") == ["a", "d"]
    assert items(shelf, catalog="news") == ["a"]
    assert items(shelf, ids=("d", "b")) == ["d", "b"]
    assert changes(shelf, since_seq=2, at=5) == [
        ("b", "removed", None, None),
        ("c", "added", None, None),
        ("a", "updated", None, None),
    ]
    assert changes(shelf, since_seq=2, at=5, field="price") == [("a", "updated", 5, 4)]
    assert changes(shelf, since_seq=5, kind="restored") == [("b", "restored", None, None)]
    assert changes(shelf, since_seq=0, at=5, kind="removed") == [("b", "removed", None, None)]
    # what the first sync of a feed brought was there before
    assert changes(shelf, since_at=began.timestamp() - 60) == [("c", "added", None, None)]
    assert changes(shelf, since_at=0, at=5) == changes(shelf, since_seq=2, at=5)
    assert changes(shelf, since_at=0, at=1) == []
    assert changes(shelf, since_at=began.timestamp() + 600) == []
    found = asked(shelf, AskItem("a"))
    assert (found["feed"], found["fields"]["title"], found["version"], found["removed"]) == (
        "extra",
        "Other",
        6,
        False,
    )
    found = asked(shelf, AskItem("a", "shop"))
    assert (found["fields"]["price"], found["version"], found["removed"]) == (4, 10, True)
    assert asked(shelf, AskItem("a", "news"))["fields"]["title"] == "Post"
    any_of = asked(shelf, AskItem("a", "no such thing"))
    assert any_of["problem"] == (
        "more than one catalog has it (of the feeds extra, blog), and there is no catalog and no feed 'no such thing'"
    )
    assert 'catalog_id="extra"' in any_of["hint"]
    assert asked(shelf, AskItem("b", "no such thing"))["feed"] == "shop"
    assert asked(shelf, AskItem("no such item", "no such thing")) is None
    assert "no such thing" in asked(shelf, AskItem("b", "no such thing", only=True))["problem"]
    assert asked(shelf, AskItem("b", "$default", only=True))["feed"] == "shop"
    no_default = shelf_of(catalog, {"shop": "one", "extra": "two"})
    assert asked(no_default, AskItem("d", "$default", only=True))["feed"] == "extra"
    assert asked(no_default, AskItem("a", "$default"))["feed"] == "extra"  # shop has it no longer
    assert asked(shelf, AskItem("d", "news")) is None
    assert asked(shelf, AskItem("a\0")) is None
    assert "shop" in asked(shelf, AskItems("no such thing", "{}"))["hint"]
    history = asked(shelf, AskHistory("shop", "a"))
    assert [(each["seq"], each["kind"], each["fields"]) for each in history] == [
        (10, "removed", {}),
        (3, "updated", {"price": {"old": 5, "new": 4}}),
        (1, "added", {}),
    ]
    assert [each["seq"] for each in asked(shelf, AskHistory("shop", "a"), at=4)] == [3, 1]
    assert asked(shelf, AskHistory("shop", "no such thing")) == []
    times = []
    for seq in (0, 2, 3, 10):
        with shelf.view(seq) as then:
            assert then.committed_at is not None
            times.append(then.committed_at)
    assert times[0] == times[1]  # nothing was before it
    assert began < times[1] < times[2] < times[3] < datetime.now(UTC)
    with pytest.raises(UsageError, match="no change 99 yet"), shelf.view(99):
        pass


def test_what_is_no_longer_kept_is_not_told(catalog: Database, tmp_path: Path) -> None:
    shelf = shelf_of(catalog)
    take_in(catalog, tmp_path, [item("a", price=5), item("b", price=5)])
    take_in(catalog, tmp_path, [item("a", price=4), item("b", price=5)])
    age(catalog, 10)
    take_in(catalog, tmp_path, [item("a", price=3), item("b", price=6)])
    added = [("a", "added", 5, 3), ("b", "added", 5, 6)]
    assert changes(shelf, field="price", order="at") == added
    since_first = changes(shelf, field="price", order="at", since_at=0)
    assert since_first == [("a", "updated", 5, 3), ("b", "updated", 5, 6)]
    swept(catalog, kept(changes_s=DAY_S))
    assert read_stream(catalog).oldest_seq == 4
    assert changes(shelf, field="price", order="at") == [
        ("a", "updated", 4, 3),
        ("b", "updated", 5, 6),
    ]
    assert changes(shelf, field="price", since_at=0) == changes(shelf, field="price", since_seq=1)
    assert items(shelf, at=3, max_price=4) == ["a"]
    was = asked(shelf, AskItem("a"), at=3)
    assert (was["fields"]["price"], was["version"], was["changed_at"]) == (4, None, None)
    assert [each["seq"] for each in asked(shelf, AskHistory("shop", "a"))] == [4]
    with pytest.raises(TooOld, match="The earliest position is 3"), shelf.view(2):
        pass


def test_what_is_forgotten_is_not_there(catalog: Database, tmp_path: Path) -> None:
    shelf = shelf_of(catalog)
    take_in(catalog, tmp_path, [item("a", price=5), item("b")])
    take_in(catalog, tmp_path, [item("a", price=5)], feed="extra")
    assert items(shelf) == ["a", "b"]
    forget_feed(catalog, "shop", holder="test", stopped=lambda: False)
    assert items(shelf) == ["a"]
    assert items(shelf, at=2) == []
    assert asked(shelf, AskItem("a"))["feed"] == "extra"
    assert asked(shelf, AskItem("b")) is None
    assert [each[:2] for each in changes(shelf)] == [("a", "added")]
    take_in(catalog, tmp_path, [item("b", "Again")])
    assert items(shelf) == ["b", "a"]
    assert items(shelf, at=5) == ["a"]


def test_what_has_changed_between_positions_is_told(catalog: Database, tmp_path: Path) -> None:
    shelf = shelf_of(catalog)
    take_in(catalog, tmp_path, [item("a"), item("b")])
    take_in(catalog, tmp_path, [item("a", price=1), item("b")])
    take_in(catalog, tmp_path, [item("a", price=2), item("c")], feed="extra")
    assert shelf.touched(2, 5) == [("shop", "a"), ("extra", "a"), ("extra", "c")]
    assert shelf.touched(3, 4) == [("extra", "a")]
    assert shelf.touched(5, 5) == []
    assert shelf.touched(5, 3) is None
    assert shelf.touched(0, 5) is None
    take_in(catalog, tmp_path, [item(str(n)) for n in range(MOST_TOUCHED + 1)], feed="blog")
    assert shelf.touched(5, read_stream(catalog).last_seq) is None
    age(catalog, 10)
    swept(catalog, kept(changes_s=DAY_S))
    assert shelf.touched(2, 5) is None


def test_answers_hang_on_the_order_of_the_configuration(catalog: Database, tmp_path: Path) -> None:
    settings = settings_of(FEEDS)
    shelf = Shelf(catalog, lambda: settings)
    take_in(catalog, tmp_path, [item("a", "Shop's")])
    take_in(catalog, tmp_path, [item("a", "Extra")], feed="extra")
    question = AskItems("$default", "{}")
    assert asked(shelf, question)[0]["fields"]["title"] == "Shop's"
    settings = settings_of({"extra": "$default", "shop": "$default"})
    assert asked(shelf, question)[0]["fields"]["title"] == "Extra"
    settings = settings_of({"extra": "one", "shop": "two"})
    assert "problem" in asked(shelf, question)
    assert [each["catalog"] for each in asked(shelf, AskItems("", "{}"))] == ["one"]


def test_a_view_answers_by_the_configuration_that_it_was_opened_with(
    catalog: Database, tmp_path: Path
) -> None:
    """One that was opened before a reload keeps nothing for those after it."""
    one, two = settings_of(FEEDS), settings_of(FEEDS | {"extra": "other"})
    settings = one
    shelf = Shelf(catalog, lambda: settings)
    take_in(catalog, tmp_path, [item("a")])
    take_in(catalog, tmp_path, [item("b")], feed="extra")
    question = AskItems("", "{}")
    with shelf.view() as before:
        settings = two
        with shelf.view() as after:
            assert (before.settings, after.settings) == (one, two)
            found = [before.answer(question), after.answer(question), before.answer(question)]
    ids = [[each["id"] for each in json.loads(answer)] for answer in found]
    assert ids == [["a", "b"], ["a"], ["a", "b"]]
    assert items(shelf) == ["a"]


def test_an_answer_is_not_larger_than_it_may_be(
    catalog: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = shelf_of(catalog)
    for text in ("x" * 300, "y" * 300):
        take_in(catalog, tmp_path, [item("a", description=text), item("b", description=text)])
    with shelf.view() as whole:
        history = len(whole.answer(AskHistory("shop", "b")))
    monkeypatch.setattr(view, "MOST_BYTES", history - 1)
    assert items(shelf, limit=1) == ["a"]
    assert asked(shelf, AskItems("", "{}"))["problem"] == "these 2 items have more than 0 MB"
    assert [each["seq"] for each in asked(shelf, AskHistory("shop", "b"))] == [4]


def test_answers_are_dropped_where_they_are_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_BYTES", 10)
    found, one, other = answers.Answers(), object(), object()
    for n in range(4):
        assert found.find(one, n) is None
        found.keep(one, n, b"1234")
        assert found.find(one, 0 if n < 2 else n) == b"1234"
    assert [found.find(one, n) for n in range(4)] == [None, None, b"1234", b"1234"]
    assert found.find(other, 3) is None
    found.keep(one, 3, b"1234")  # it came too late
    assert found.find(other, 3) is None
    assert found.find(one, 3) is None


def test_texts_that_nothing_has_any_more_are_forgotten(
    folder: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shelves, "SPARE_WORDS", 0)
    with closing(fresh(folder)) as catalog:
        shelf = shelf_of(catalog)
        for n in range(16):
            take_in(catalog, folder, [item("a", brand=f"Brand {n}"), item("b", brand="Other")])
            assert items(shelf, brand=f"brand {n}") == ["a"]
            assert items(shelf, brand=f"brand {n - 1}") == []
            assert items(shelf, brand="other") == ["b"]
        assert len(shelf.shelves._words.all) < 15


LONG = "A title that goes on and on, and then differs: "


@pytest.mark.parametrize(
    ("query", "expected_ids"),
    [
        ({"order": "title"}, "b a c d"),
        ({"order": "-title"}, "d c a b"),
        ({"order": "changed_at"}, "c d a b"),
        ({"order": "-changed_at"}, "b a c d"),
        ({"order": "-created_at"}, "a b c d"),
        ({"order": "price"}, "b a c d"),
        ({"ids": ("d", "c", "b", "a"), "order": "price"}, "b a c d"),
        ({"ids": ("d", "c", "b", "a"), "order": "-title"}, "d c a b"),
        ({"ids": ("d", "c", "b", "a"), "order": "-changed_at"}, "b a c d"),
        ({"ids": ("d", "c", "b", "a"), "order": "published_at"}, "c a b d"),
        ({"order": "published_at", "limit": 1}, "c"),
    ],
)
def test_lists_have_an_order_at_an_earlier_position(
    folder: Path,  # noqa: F811
    query: dict[str, Any],
    expected_ids: str,
) -> None:
    first = [
        item("a", LONG + "2", price=2),
        item("b", LONG + "1", price=1),
        item("c", LONG + "3", published_at="2026-01-01"),
        item("d", "Z"),
    ]
    with closing(fresh(folder)) as catalog:
        shelf = shelf_of(catalog)
        take_in(catalog, folder, first)
        take_in(catalog, folder, [{**first[0], "brand": "x"}, *first[1:]])
        take_in(
            catalog, folder, [{**first[0], "brand": "x"}, {**first[1], "brand": "x"}, *first[2:]]
        )
        now = items(shelf, **query)
        later = [item(each["id"], "Other", price=9 - n) for n, each in enumerate(first)]
        take_in(catalog, folder, later[::-1])
        assert now == items(shelf, at=6, **query) == expected_ids.split()


def test_values_that_only_a_schema_of_ones_own_lets_through_do_no_harm() -> None:
    """The columns and the conditions agree on them."""
    odd = [
        {
            "price": "5",
            "sale_price": True,
            "published_at": "soon",
            "brand": 5,
            "categories": "Shoes",
        },
        {"price": 10**400, "inventory_quantity": "many", "categories": [1, "Shoes"], "title": 7},
        {"price": -1, "published_at": 5, "availability": ["in_stock"], "categories": [{"a": 1}]},
        {"published_at": "0001-01-01T00:00:00+14:00", "brand": None, "categories": {}},
    ]
    made = columns.Columns(columns.Words(), len(odd) + 1)
    made.fill(
        [
            ItemRow(n, json.dumps({"id": str(n)} | fields), True, 0.0, 0.0)
            for n, fields in enumerate(odd, 1)
        ]
    )
    for wanted in (
        {}, {"category": "shoes"}, {"brand": "5"}, {"brand": ""}, {"min_price": 0}, {"max_price": 5}, {"in_stock": True},
        {"in_stock": False}, {"on_sale": True}, {"on_sale": False},
    ):  # fmt: skip
        query = ItemsQuery(**wanted)  # type: ignore[arg-type]
        assert made.chosen(query).tolist() == [
            n for n, fields in enumerate(odd, 1) if meets(fields, query)
        ]


@pytest.mark.parametrize(
    ("old", "new", "difference", "percent"),
    [
        (10, 8, -2, -20.0), (9.99, 7.99, -2.0, -20.02), (0, 5, 5, None), (-4, -2, 2, 50.0), (3, 10, 7, 233.33),
        (5, 10**400, 10**400 - 5, None), (-1e308, 1e308, None, None), ("5", 6, None, None), (True, 6, None, None),
    ],
)  # fmt: skip
def test_a_difference_is_one_of_numbers(old: Any, new: Any, difference: Any, percent: Any) -> None:
    now = datetime.now(UTC)
    each = ItemThen(1, 1, "a", b"{}", True, None, now, None)
    last = Touch(1, 1, ChangeKind.UPDATED, "{}", now)
    found = differences.ItemDifference(each, ChangeKind.UPDATED, "x", old, new, {}, last, "")
    assert (found.difference, found.percent) == (difference, percent)

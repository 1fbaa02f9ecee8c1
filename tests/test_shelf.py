"""What templates see of the catalog: at any position the same as the catalog was then, by whatever way it is found."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from feeds import item, take_in
from hypothesis import given
from hypothesis import strategies as st
from test_ingest_laws import FEW, folder, fresh  # noqa: F401 a fixture

from feedd.settings import FeedSettings, Settings
from feedd.shelf.view import Shelf
from feedd.store.database import Database
from feedd.store.feeds import read_stream
from feedd.store.history import Absence, read_versions
from feedd.store.read import read_items
from feedd.templates.queries import ChangesQuery, ItemsQuery, written
from feedd.templates.wire import AskChanges, AskItem, AskItems

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
    with shelf.view(at) as view:
        return json.loads(view.answer(question))


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
                one = asked(shelf, AskItem(each["id"], "$default"), seq)
                assert one == each
                assert not one["removed"]

"""Which items an event names, and which changes are price drops or comebacks."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.model import Change, ChangeKind
from feedd.offers import is_to_be_had
from feedd.people.interest import (
    MOST_ITEMS,
    is_back,
    item_names,
    may_matter,
    named_items,
    namings,
    price_drop,
    told_properties,
)
from feedd.settings.rule_keys import BACK_IN_STOCK, PRICE_DROP, Drop, RuleSettings

KNOWN = namings([PRICE_DROP, BACK_IN_STOCK])
AT = datetime(2026, 5, 4, 10, tzinfo=UTC)


def named(metric: str, properties: Any, known: Any = KNOWN) -> list[tuple[str, str]]:
    return sorted(named_items(metric, json.dumps(properties).encode(), known))


def ids(properties: Any) -> list[str]:
    return [item for _, item in named("Viewed Product", properties)]


# what shops' plugins send, cut down to what counts
@pytest.mark.parametrize(
    ("metric", "properties", "expected"),
    [
        (
            "Viewed Product",
            {"Name": "Mug", "ProductID": 6610887671941, "Price": "$9.00"},
            ["6610887671941"],
        ),
        ("Viewed Product", {"ProductID": " M-1 ", "SKU": "M-1-RED"}, ["M-1", "M-1-RED"]),
        ("Added To Cart", {"AddedItemProductID": 7, "AddedItemSKU": "RED"}, ["7", "RED"]),
        (
            "Added to Cart",
            {"AddedItemProductID": "7", "Items": [{"ProductID": "7"}, {"ProductID": "8"}]},
            ["7", "8"],
        ),
        (
            "Started Checkout",
            {"$extra": {"Items": [{"ProductID": 7, "VariantID": 71}, {"ProductID": 8}]}},
            ["7", "71", "8"],
        ),
        (
            "Checkout Started",
            {"Items": ["Mug"], "$extra": {"line_items": [{"product_id": 7, "sku": None}]}},
            ["7"],
        ),
        ("Viewed Product", {"ProductID": "gid://shopify/Product/42"}, ["42", "gid://shopify/Product/42"]),
        ("Viewed Product", {"ProductID": "$custom:::$default:::42"}, ["$custom:::$default:::42"]),
        ("Viewed Product", {"ProductID": "$shopify:::$default:::42"}, ["42"]),
    ],
)  # fmt: skip
def test_an_event_of_a_shop_names_its_items(
    metric: str, properties: Any, expected: list[str]
) -> None:
    assert named(metric, properties) == [("price_drop", item) for item in expected]


def test_each_metric_is_looked_at_for_the_rules_that_want_it() -> None:
    item = {"ProductID": 1}
    assert named("Subscribed to Back in Stock", item) == [("back_in_stock", "1")]
    assert named("Placed Order", item) == [("price_drop.until", "1")]
    assert named("Opened Email", item) == []
    own = {"ProductID": "1", "CatalogItemID": "$custom:::a:::1"}
    assert named("Back in Stock", own) == [("back_in_stock.until", "$custom:::a:::1")]


def test_one_metric_may_serve_several_rules() -> None:
    also = RuleSettings(name="back_in_stock", metric="Back", metrics=("Viewed Product",))
    assert named("Viewed Product", {"SKU": "a"}, namings([PRICE_DROP, also])) == [
        ("back_in_stock", "a"),
        ("price_drop", "a"),
    ]


def test_a_rule_that_is_off_wants_nothing() -> None:
    off = RuleSettings(name="price_drop", metric="Price Drop", metrics=("Viewed",), enabled=False)
    assert namings([off]) == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, ["5"]),
        (5.0, ["5"]),
        (5.5, []),
        (-3, ["-3"]),
        (2**70, [str(2**70)]),
        (True, []),
        (None, []),
        ("", []),
        (" \t", []),
        ("a\0b", []),
        ("x" * 351, []),
        ({"id": 1}, []),
        (["a", 2, ["b"]], ["2", "a"]),
    ],
)
def test_ids_are_texts_and_whole_numbers(value: Any, expected: list[str]) -> None:
    assert ids({"ProductID": value}) == expected


def test_what_is_no_json_object_names_nothing() -> None:
    for text in (b"", b"[1]", b"1", b'{"ProductID": "\\ud800"}', b'{"ProductID": 1e999}', b"\xff"):
        assert named_items("Viewed Product", text, KNOWN) == ()
    huge = b'{"ProductID": ' + b"9" * 5000 + b"}"
    assert named_items("Viewed Product", huge, KNOWN) == ()


def test_an_event_names_so_many_items_at_most() -> None:
    assert len(ids({"Items": [{"SKU": n} for n in range(5 * MOST_ITEMS)]})) == MOST_ITEMS


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ProductID", "Items", "$extra", "SKU", "x"]), inner, max_size=4
        )
    ),
)


@given(_JSON)
def test_any_json_names_items_or_nothing(value: Any) -> None:
    for kept_as, item in named_items("Viewed Product", json.dumps(value), KNOWN):
        assert kept_as == "price_drop"
        assert item == item.strip() != ""


# prices


ANY = Drop(Decimal(0))


def drop(before: Any, after: Any, least: Drop = ANY) -> float | None:
    found = price_drop(before, after, least)
    return None if found is None else float(found.difference)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"price": 10}, {"price": 8.5}, 1.5),
        ({"price": 10}, {"price": 12}, None),
        ({"price": 10}, {"price": 10.0}, None),
        ({"price": 10}, {"price": 10, "sale_price": 7}, 3),
        ({"price": 10, "sale_price": 7}, {"price": 10}, None),
        ({"price": 10, "sale_price": 7}, {"price": 6}, 1),
        ({"price": 10, "sale_price": 7}, {"price": 5, "sale_price": 7}, None),
        ({"price": 10, "currency": "EUR"}, {"price": 8, "currency": "EUR"}, 2),
        ({"price": 10, "currency": "EUR"}, {"price": 8, "currency": "USD"}, None),
        ({"price": 10}, {"price": 8, "currency": "USD"}, None),
        ({}, {"price": 8}, None),
        ({"price": 8}, {}, None),
        ({"price": 0}, {"price": 0}, None),
        ({"price": 10}, {"price": 0}, 10),
        ({"price": "10"}, {"price": 8}, None),
        ({"price": 0.3}, {"price": 0.1}, 0.2),
    ],
)
def test_the_price_that_is_to_be_paid_goes_down(
    before: Any, after: Any, expected: float | None
) -> None:
    assert drop(before, after) == expected


@pytest.mark.parametrize(
    ("after", "least", "is_told"),
    [
        (19, "5%", True),
        (19.01, "5%", False),
        (18.99, "5%", True),
        (19, "1", True),
        (19, "1.01", False),
        (0, "100%", True),
        (0.01, "100%", False),
    ],
)
def test_the_least_drop_is_compared_exactly(after: float, least: str, is_told: bool) -> None:
    wanted = Drop(Decimal(least.rstrip("%")), percent=least.endswith("%"))
    assert (drop({"price": 20}, {"price": after}, wanted) is not None) == is_told


_CENTS = st.integers(0, 10_000).map(lambda cents: cents / 100)


@given(_CENTS, _CENTS, st.integers(0, 100))
def test_percentages_are_those_of_exact_cents(before: float, after: float, percent: int) -> None:
    was, now = round(before * 100), round(after * 100)
    expected = now < was and (was - now) * 100 >= percent * was
    found = price_drop({"price": before}, {"price": after}, Drop(Decimal(percent), percent=True))
    assert (found is not None) == expected


# stock


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"availability": "in_stock"}, True),
        ({"availability": "out_of_stock"}, False),
        ({"availability": "preorder", "inventory_quantity": 0}, True),
        ({"availability": "backorder", "inventory_quantity": -2}, True),
        ({"inventory_quantity": 1}, True),
        ({"inventory_quantity": 0}, False),
        ({"inventory_quantity": -1}, False),
        ({"availability": "in_stock", "inventory_quantity": 0}, False),
        ({"availability": "out_of_stock", "inventory_quantity": 5}, False),
        ({"inventory_quantity": "0"}, True),
    ],
)
def test_what_is_to_be_had(fields: Any, expected: bool) -> None:
    assert is_to_be_had(fields) == expected


def change(kind: ChangeKind, **fields: Any) -> Change:
    return Change(seq=7, feed="shop", item="42", kind=kind, fields=fields, sync=1, at=AT)


NONE, SOME = {"inventory_quantity": 0}, {"inventory_quantity": 3}


@pytest.mark.parametrize(
    ("kind", "before", "after", "expected"),
    [
        (ChangeKind.UPDATED, NONE, SOME, True),
        (ChangeKind.UPDATED, SOME, SOME, False),
        (ChangeKind.UPDATED, SOME, NONE, False),
        (ChangeKind.RESTORED, SOME, SOME, True),
        (ChangeKind.RESTORED, NONE, SOME, True),
        (ChangeKind.RESTORED, SOME, NONE, False),
    ],
)
def test_what_is_back(kind: ChangeKind, before: Any, after: Any, expected: bool) -> None:
    assert is_back(change(kind), before, after) == expected


def test_a_change_that_cannot_matter_is_passed_over() -> None:
    updated, restored = ChangeKind.UPDATED, ChangeKind.RESTORED
    assert may_matter(PRICE_DROP, change(updated, price=(2, 1)))
    assert may_matter(PRICE_DROP, change(restored, sale_price=(2, 1)))
    assert not may_matter(PRICE_DROP, change(updated, title=("a", "b")))
    assert may_matter(BACK_IN_STOCK, change(restored))
    assert may_matter(BACK_IN_STOCK, change(updated, inventory_quantity=(0, 1)))
    assert not may_matter(BACK_IN_STOCK, change(updated, price=(2, 1)))
    for rule in (PRICE_DROP, BACK_IN_STOCK):
        assert not may_matter(rule, change(ChangeKind.ADDED, price=(None, 1)))
        assert not may_matter(rule, change(ChangeKind.REMOVED))


def test_what_is_told_holds_no_nulls() -> None:
    told = told_properties(
        change(ChangeKind.UPDATED), {"title": "Mug", "price": 3, "sale_price": 2}
    )
    assert told == {
        "ProductID": "42",
        "ProductName": "Mug",
        "Price": 2,
        "Feed": "shop",
        "ChangeSeq": 7,
    }
    assert item_names("42", "$default") == ("42", "$custom:::$default:::42")

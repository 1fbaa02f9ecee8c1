"""Records become items or rejects: a table of what happens to which, and the laws that hold for all."""

import functools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from feedd.model import Item, Reject
from feedd.normalize import Plan, compile_plan
from feedd.normalize.mapping import read_fields
from feedd.schema import load_schema, shipped_schemas

A, B, C, D = (f"https://shop.example/{name}.jpg" for name in "abcd")


@functools.cache
def document(name: str) -> dict[str, Any]:
    return load_schema(name, base_dir=None).document


def plan(schema: str = "item", **options: Any) -> Plan:
    return compile_plan(document(schema), **options)


def normalized(record: Any, schema: str = "item", **options: Any) -> Item | Reject:
    return plan(schema, **options).normalize(1, record)


def made(record: dict[str, Any], **options: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The fields of an item beside its id and title, and its warnings as (pointer, rule)."""
    item = normalized({"id": 1, "title": "Mug", **record}, **options)
    assert isinstance(item, Item), item
    fields = {name: value for name, value in item.fields.items() if name not in ("id", "title")}
    return fields, [(w.pointer, w.rule) for w in item.warnings]


ITEMS: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = {
    # -- prices and their currency
    "a price brings its currency": ({"price": "19.99 USD"}, {"price": 19.99, "currency": "USD"}, []),
    "a stated currency": ({"price": "5", "currency": "eur"}, {"price": 5, "currency": "EUR"}, []),
    "the sale price's currency, if nothing else has one": (
        {"price": 5, "sale_price": "4 USD"},
        {"price": 5, "sale_price": 4, "currency": "USD"},
        [],
    ),
    "the price's own currency counts": (
        {"price": "5 EUR", "currency": "USD"},
        {"price": 5, "currency": "EUR"},
        [("/currency", "currency_mismatch")],
    ),
    "an amount in another currency is left out": (
        {"price": "5 EUR", "sale_price": "4 USD"},
        {"price": 5, "currency": "EUR"},
        [("/sale_price", "currency_mismatch")],
    ),
    "a shared sign names no currency": ({"price": "$5"}, {"price": 5}, [("/currency", "currency_ambiguous")]),
    "a shared sign beside a code": ({"price": "$5", "currency": "CAD"}, {"price": 5, "currency": "CAD"}, []),
    "an unknown currency is said once": (
        {"price": "$5", "currency": "dollars"},
        {"price": 5},
        [("/currency", "currency_unknown")],
    ),
    "a price that is a word": ({"price": "free"}, {}, [("/price", "price_not_understood")]),
    "an empty price is absent": ({"price": "", "sale_price": None}, {}, []),
    "a price of null in an object is absent": ({"price": {"amount": None, "currency": "EUR"}}, {}, []),
    # -- images
    "images beside the main one": (
        {"image_link": [A, B, A, C]},
        {"image_link": A, "additional_image_links": [B, C]},
        [],
    ),
    "the gallery never repeats the main image": (
        {"image_link": A, "additional_image_links": [A, B, B]},
        {"image_link": A, "additional_image_links": [B]},
        [],
    ),
    "a gallery of the main image only": (
        {"image_link": A, "additional_image_links": [A]},
        {"image_link": A},
        [],
    ),
    "images that no gallery has room for": (
        {"image_link": [A, B], "additional_image_links": [C]},
        {"image_link": A, "additional_image_links": [C]},
        [("/image_link", "repeated_field")],
    ),
    "the first image that is one": (
        {"image_link": ["javascript:x", A]},
        {"image_link": A},
        [("/image_link/0", "url_scheme")],
    ),
    "alike warnings of a list are gathered": (
        {"image_link": ["a.jpg", "b.jpg", "c.jpg"]},
        {"image_link": "a.jpg", "additional_image_links": ["b.jpg", "c.jpg"]},
        [("/image_link/0", "relative_link")],
    ),
    "an alternative that is another image is kept": (
        {"image_link": A, "image": B},
        {"image_link": A, "image": B},
        [],
    ),
    "an alternative that repeats what was taken is not": ({"image_link": A, "image": A, "image_url": ""}, {"image_link": A}, []),
    "an alternative stands in": ({"image_link": "ftp://shop.example/a", "image": A}, {"image_link": A}, []),
    # -- lists where one value is expected
    "a list of one": ({"brand": ["Example"]}, {"brand": "Example"}, []),
    "a list of equal values": ({"brand": ["Example", " Example "]}, {"brand": "Example"}, []),
    "a list of several": ({"size": ["", None, 38, 39]}, {"size": "38"}, [("/size", "repeated_field")]),
    "an empty list": ({"brand": [], "size": {}}, {}, []),
    # -- other fields
    "other fields keep their shapes": (
        {"weight": "1.5", "nested": {"a": [1, "2", {"b": True}]}, "a.b": 1, "sku": ""},
        {"weight": "1.5", "nested": {"a": [1, "2", {"b": True}]}, "a.b": 1, "sku": ""},
        [],
    ),
    "nulls are absent at any depth": (
        {"color": None, "a": None, "b": [None, {"c": None, "d": [None]}]},
        {"b": [{"d": []}]},
        [],
    ),
    "control characters are taken out": (
        {"description": "a\x00b\nc", "x\x07": "y\x1b[0m"},
        {"description": "ab\nc", "x": "y[0m"},
        [],
    ),
    "what cannot be stored is left out and said": (
        {"x": float("inf"), "a": {"b": float("nan")}},
        {},
        [("/a", "not_finite"), ("/x", "not_finite")],
    ),
    "what a field was read from is not kept twice": (
        {"title": None, "name": "Mug", "url": A},
        {"link": A},
        [],
    ),
    "a refused value is not kept under its name": (
        {"image": "data:image/png;base64,AA"},
        {},
        [("/image_link", "url_scheme")],
    ),
    "a large number stays exact": ({"serial": 2**70}, {"serial": 2**70}, []),
    "a date with its zone": (
        {"published_at": "2026-03-31T18:00:00+02:00"},
        {"published_at": "2026-03-31T16:00:00Z"},
        [],
    ),
    "quantities": (
        {"inventory_quantity": "-3", "inventory_policy": "deny"},
        {"inventory_quantity": -3, "inventory_policy": 1},
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("record", "fields", "warnings"), list(ITEMS.values()), ids=[name.replace(" ", "-") for name in ITEMS]
)  # fmt: skip
def test_a_record_becomes_an_item(
    record: dict[str, Any], fields: dict[str, Any], warnings: list[tuple[str, str]]
) -> None:
    assert made(record) == (fields, warnings)


@pytest.mark.parametrize(
    ("record", "item_id", "problems"),
    [
        ({"title": "Mug"}, None, [("/id", "id_missing")]),
        ({"id": None, "title": "Mug"}, None, [("/id", "id_missing")]),
        ({"id": "", "title": "Mug"}, None, [("/id", "id_empty")]),
        ({"id": "  ", "title": "Mug"}, None, [("/id", "id_empty")]),
        ({"id": 1.0, "title": "Mug"}, None, [("/id", "id_not_text")]),
        ({"id": True, "title": "Mug"}, None, [("/id", "id_not_text")]),
        ({"id": {"a": 1}, "title": "Mug"}, None, [("/id", "id_not_text")]),
        ({"id": "x" * 256, "title": "Mug"}, None, [("/id", "id_too_long")]),
        ({"id": "a\nb", "title": "Mug"}, None, [("/id", "id_control_characters")]),
        ({"id": 1}, "1", [("/title", "title_missing")]),
        ({"id": 1, "title": " \n "}, "1", [("/title", "title_missing")]),
        ({"id": 1, "title": {"en": "Mug"}}, "1", [("/title", "title_missing")]),
        ({}, None, [("/id", "id_missing"), ("/title", "title_missing")]),
        ([], None, [("", "not_an_object")]),
        ("text", None, [("", "not_an_object")]),
        (None, None, [("", "not_an_object")]),
    ],
)
def test_a_record_without_id_or_title_is_a_reject(
    record: Any, item_id: str | None, problems: list[tuple[str, str]]
) -> None:
    reject = normalized(record)
    assert isinstance(reject, Reject)
    assert (reject.position, reject.item_id) == (1, item_id)
    assert [(p.pointer, p.rule) for p in reject.problems] == problems
    assert all(p.hint.endswith(".") for p in reject.problems)


def test_a_reject_names_the_places_that_were_looked_at() -> None:
    reject = normalized({"sku": 5}, schema="google-product", fields={"title": ["a.b", "c"]})
    assert isinstance(reject, Reject)
    assert "it was looked for at g:id or id." in reject.problems[0].hint
    assert "it was looked for at a.b.c." in reject.problems[1].hint


def test_an_id_is_the_same_however_it_is_written() -> None:
    ids = [normalized({"id": each, "title": "Mug"}) for each in (12, "12", " 12 ", ["12"])]
    assert {item.id for item in ids if isinstance(item, Item)} == {"12"}
    big = normalized({"id": 2**53 + 1, "title": "Mug"})
    assert isinstance(big, Item)
    assert big.id == "9007199254740993"


def test_what_a_schema_recommends_is_missed_unless_its_refusal_is_said() -> None:
    fields, warnings = made({"g:price": "free", "g:link": A}, schema="google-product")
    assert fields == {"link": A}
    assert warnings == [
        ("/price", "price_not_understood"),
        ("/image_link", "missing_field"),
        ("/availability", "missing_field"),
    ]


def test_a_declared_prefix_is_taken_off_where_no_names_meet() -> None:
    google = {
        "g:link": A,
        "g:image_link": B,
        "g:price": "5 EUR",
        "g:availability": "in stock",
        "g:shipping": {"g:price": "4 EUR", "g:country": "DE"},
        "g:tax": {"g:rate": 1, "rate": 2},
        "g:label": "x",
        "label": "y",
        "c:label": "z",
    }
    assert made(google, schema="google-product") == (
        {
            "link": A,
            "image_link": B,
            "price": 5,
            "currency": "EUR",
            "availability": "in_stock",
            "shipping": {"price": "4 EUR", "country": "DE"},
            "tax": {"g:rate": 1, "rate": 2},
            "g:label": "x",
            "label": "y",
            "c:label": "z",
        },
        [],
    )


@pytest.mark.parametrize(
    ("fields", "record", "expected"),
    [
        ({"price": "cost"}, {"cost": "5 EUR"}, {"price": 5, "currency": "EUR"}),
        # a nested source leaves the object that it was read from
        (
            {"price": "offer.amount"},
            {"offer": {"amount": 5, "tax": None}},
            {"price": 5, "offer": {"amount": 5}},
        ),
        ({"price": ["a.b", "c"]}, {"a.b": {"c": 5}}, {"price": 5, "a.b": {"c": 5}}),
        (
            {"image_link": "images.0.src", "additional_image_links": "images.*.src"},
            {"images": [{"src": A}, {"src": B}]},
            {
                "image_link": A,
                "additional_image_links": [B],
                "images": [{"src": A}, {"src": B}],
            },
        ),
        ({"image_link": "images"}, {"images": [A, B]}, {"image_link": A, "additional_image_links": [B]}),
        # a field that the schema does not know is kept as it is
        ({"weight": "box.weight"}, {"weight": 9, "box": {"weight": "5"}}, {"weight": "5", "box": {"weight": "5"}}),
        # the names of the schema belong to the schema
        ({"brand": "maker"}, {"maker": "Example", "brand": "other"}, {"brand": "Example"}),
        ({"brand": "maker"}, {"brand": "other"}, {}),
    ],
)  # fmt: skip
def test_a_persons_own_fields_say_where_to_look(
    fields: dict[str, Any], record: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert made(record, fields=fields) == (expected, [])


def test_the_feeds_currency_is_for_prices_that_name_none() -> None:
    euros = {"default_currency": "€"}
    assert made({"price": 5}, **euros)[0] == {"price": 5, "currency": "EUR"}
    assert made({"price": "5 USD"}, **euros)[0]["currency"] == "USD"
    assert made({"price": 5, "currency": "GBP"}, **euros)[0]["currency"] == "GBP"
    assert made({"price": "free"}, **euros)[0] == {}
    assert made({}, **euros)[0] == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"default_currency": "$"}, "'\\$' is not a currency; write its ISO 4217 code"),
        ({"default_currency": "XYZ"}, "is not a currency"),
        ({"fields": {"id": "a..b"}}, "is not a path"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(**options)


def test_the_digest_stands_for_all_that_decides() -> None:
    base = plan().digest
    assert plan("item", fields={}, default_currency=None).digest == base
    others = [
        plan("google-product"),
        plan(items="a"),
        plan(default_currency="EUR"),
        plan(fields={"price": "cost"}),
        plan(fields={"price": "price"}),
    ]
    assert len({base, *(each.digest for each in others)}) == 6
    one, other = {"price": "a", "title": "b"}, {"title": ("b",), "price": ["a"]}
    assert plan(fields=one).digest == plan(fields=other).digest
    assert plan(default_currency="eur").digest == plan(default_currency="€").digest


def test_a_configured_path_replaces_those_of_the_schema() -> None:
    assert plan(items="a.b").layout.items == ("a.b",)
    assert plan(items="a.b").layout.configured
    assert not plan().layout.configured
    assert plan("google-product").layout.namespaces == {"g": "http://base.google.com/ns/1.0"}


# -- laws

text = st.text(max_size=12) | st.sampled_from(
    ["", " ", "a\x00b", "\ud800", "A &amp; B", "A > B", A, "b.jpg", "5 EUR", "$4", "1.299", "in stock", "2026-03-31"]
)  # fmt: skip
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["#text", "@rel", "value", "currency", "name"]) | text, inner, max_size=4)
    ),
    max_leaves=8,
)  # fmt: skip
KEYS = sorted(
    {source[0] for name in shipped_schemas() for field in read_fields(document(name), {}).fields for source in field.sources}
    | {"@id", "offer", "g:x", "x", "c:x", "x\x00"}
)  # fmt: skip
records = st.dictionaries(st.sampled_from(KEYS) | text, values, max_size=10).flatmap(
    lambda record: st.sampled_from([{}, {"id": 7}, {"id": "7", "title": "Mug"}]).map(
        lambda identity: {**record, **identity}
    )
)
plans = st.sampled_from(
    [
        *(plan(name) for name in shipped_schemas()),
        plan(default_currency="EUR"),
        plan("google-product", fields={"id": "@id", "price": "offer.value", "x": "offer.0"}),
    ]
)


def reordered(data: st.DataObject, value: Any) -> Any:
    """The value with the members of its objects in another order."""
    if isinstance(value, dict):
        return {key: reordered(data, value[key]) for key in data.draw(st.permutations(list(value)))}
    return [reordered(data, each) for each in value] if isinstance(value, list) else value


def nulls(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(nulls, value.values()))
    return sum(map(nulls, value)) if isinstance(value, list) else int(value is None)


@given(plans, values | records)
def test_any_value_becomes_an_item_or_a_reject(plan: Plan, record: Any) -> None:
    outcome = plan.normalize(3, record)
    if isinstance(outcome, Reject):
        assert outcome.position == 3
        assert outcome.problems
    problems = outcome.problems if isinstance(outcome, Reject) else outcome.warnings
    for problem in problems:
        assert problem.rule
        assert problem.hint
        assert problem.value is None or problem.value.isprintable()
    msgspec.json.encode(outcome)


@given(plans, records, st.data())
def test_key_order_never_matters(plan: Plan, record: dict[str, Any], data: st.DataObject) -> None:
    assert plan.normalize(1, reordered(data, record)) == plan.normalize(1, record)


@given(st.sampled_from(shipped_schemas()), records)
def test_an_item_fits_its_schema_in_another_validators_eyes(
    schema: str, record: dict[str, Any]
) -> None:
    outcome = plan(schema).normalize(1, record)
    if isinstance(outcome, Item):
        assert outcome.fields["id"] == outcome.id
        assert nulls(outcome.fields) == 0
        assert "\x00" not in "".join(outcome.fields)
        validator = Draft202012Validator(document(schema))
        assert list(validator.iter_errors(json.loads(json.dumps(outcome.fields)))) == []


@given(records)
def test_an_item_that_comes_in_as_a_record_stays_as_it_is(record: dict[str, Any]) -> None:
    once = plan().normalize(1, record)
    if isinstance(once, Item):
        again = plan().normalize(1, once.fields)
        assert isinstance(again, Item)
        assert again.fields == once.fields

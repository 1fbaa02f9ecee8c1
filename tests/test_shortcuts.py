"""Shortcuts of the normalizer decide nothing: what is remembered is what would be made, and there is a bound to it."""

import copy
import functools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedd.coerce import COERCIONS, MANY, REPEATING, Noted, Refused
from feedd.coerce.links import are_plain_links, url
from feedd.coerce.memo import LONGEST, MOST, Memo, remembering
from feedd.coerce.text import are_plain_lines, clean, line
from feedd.diff import canonical
from feedd.model import Item, Reject
from feedd.normalize import Plan, compile_plan
from feedd.normalize.names import Names
from feedd.normalize.shapes import MOST_SHAPES
from feedd.normalize.straight import MET_BEFORE, MOST_WAYS, CloserLook
from feedd.schema import load_schema

SCHEMAS = ["google-product", "item", "shopify-product"]


@functools.cache
def document(schema: str) -> dict[str, Any]:
    return load_schema(schema, base_dir=None).document


def plan(schema: str) -> Plan:
    made = compile_plan(document(schema), default_currency="USD")
    return made.within([[] for _ in made.wanted], base="https://shop.example/feed.xml")


texts = st.sampled_from(
    ["", "in stock", "Mug", "19.99 USD", "A > B", "a  b", " a", "x\x00", "https://shop.example/a", "http:///", "/a.jpg",
     "<p>x</p>", "&amp;", "true", "2026-03-31", "https://a.example/1,https://a.example/2", "https://a.example/?a=1&amp;b=2"]
) | st.text(max_size=6)  # fmt: skip
scalars = texts | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
names = st.sampled_from(["a", "g:a", "x:g:a", "b", "g:b", "b\x00", "c:", "#text", "@lang"])
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
keys = st.sampled_from(
    ["title", "name", "price", "g:price", "sale_price", "image_link", "image", "link", "g:link", "availability", "tags",
     "product_type", "categories", "currency", "variants", "images", "a", "g:a", "b\x00", "additional_image_links"]
)  # fmt: skip
records = st.lists(
    st.dictionaries(keys, trees, max_size=8).map(
        lambda fields: {"id": "1", "title": "Mug"} | fields
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("schema", SCHEMAS)
@given(many=records)
@settings(max_examples=25, deadline=None)
def test_the_records_before_one_decide_nothing(schema: str, many: list[dict[str, Any]]) -> None:
    used = plan(schema)
    before = copy.deepcopy(many)
    outcomes = [used.normalize(1, record) for record in many]
    assert many == before
    for record, outcome in reversed(list(zip(many, outcomes, strict=True))):
        assert used.normalize(1, record) == outcome
        assert plan(schema).normalize(1, record) == outcome
        # the same text at other places in memory, in an order that a dict of other history would have
        assert used.normalize(1, json.loads(json.dumps(record))) == outcome


STRICT = {
    "title": {"type": "string", "maxLength": 4},
    "brand": {"type": "string", "pattern": "^[A-Z]"},
    "price": {"type": "number", "minimum": 1, "x-coerce": "price"},
    "sale_price": {"type": "number", "maximum": 9, "x-coerce": "price"},
    "currency": {"enum": ["EUR", "SEK"], "x-coerce": "currency"},
    "availability": {"enum": ["in_stock"], "x-coerce": "availability"},
    "image_link": {"type": "string", "format": "uri", "x-coerce": "url"},
    "additional_image_links": {"type": "array", "maxItems": 1, "x-coerce": "urls"},
    "quantity": {"type": "integer", "maximum": 5},
    "description": {"type": "string", "x-coerce": "text"},
    "description_html": {"type": "string", "x-coerce": "any", "x-source": "html"},
    "categories": {"type": "array", "items": {"type": "string", "maxLength": 3}, "x-coerce": "category_path"},
    "on_sale": {"type": "boolean"},
}  # fmt: skip
USUAL: dict[str, list[Any]] = {
    "id": ["1", 7, "x" * 255, "x" * 256],
    "title": ["Mug", "M&S", "B\N{LATIN SMALL LETTER A WITH DIAERESIS}r"],
    "description": ["A mug", "<p>A <b>mug</b></p>", "5 < 6 & 7; 8", "two\nlines", "&amp;lt;"],
    "price": ["19.99 USD", "5 EUR", "5", 5, 0, 1.5, {"value": 5, "currency": "EUR"}],
    "sale_price": ["4.99 EUR", "5.00 USD", "5", "", None],
    "currency": ["EUR", "USD", "$", ""],
    "availability": ["in stock", "in_stock", "out of stock", True, ""],
    "link": ["https://shop.example/a?b=1&c=2", "/a"],
    "image_link": ["https://shop.example/a.jpg", "https://shop.example/b.jpg"],
    "additional_image_links": [["https://shop.example/a.jpg"], ["https://shop.example/c.jpg"] * 2, []],
    "brand": ["Acme", "acme", None, 7],
    "gtin": ["4006381333931", 4006381333931],
    "categories": ["Shoes > Women", ["a", "b"]],
    "quantity": [1, "5", 5.5],
    "on_sale": [True, "yes"],
    "material": ["wool", None, "", ["a", None], {"b": None, "c": {"d": 1}}, float("inf")],
}  # fmt: skip


@functools.cache
def strict_plan() -> Plan:
    properties = {"id": {"type": "string", "maxLength": 9}} | STRICT
    return compile_plan({"type": "object", "properties": properties}, default_currency="SEK")


@st.composite
def many_alike(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Records with the same keys in the same order, most of them with nothing unusual in them."""
    names = draw(st.lists(st.sampled_from(sorted(USUAL)), min_size=3, max_size=14, unique=True))
    record = st.fixed_dictionaries(
        {name: st.sampled_from(USUAL[name]) for name in ["id", "title", *names]}
    )
    unusual = st.tuples(record, st.sampled_from(names), trees).map(lambda r: r[0] | {r[1]: r[2]})
    return draw(st.lists(record | record | unusual, min_size=1, max_size=8))


def straight(used: Plan, record: dict[str, Any]) -> Item | None:
    """The item that the straight way gives once there is one, None where it gives none."""
    used._ways._met[tuple(record)] = MET_BEFORE
    way = used._ways[tuple(record)]
    try:
        return None if way is None else way(record)
    except CloserLook:
        return None


@pytest.mark.parametrize("schema", ["google-product", "item", "strict"])
@given(many=many_alike())
@settings(max_examples=80, deadline=None)
def test_the_straight_way_leads_to_the_same_item(schema: str, many: list[dict[str, Any]]) -> None:
    used = strict_plan() if schema == "strict" else plan(schema)
    before = copy.deepcopy(many)
    used._ways = used._ways_of()
    for record in many:
        item = straight(used, record)
        if item is not None:
            other = used._looked_at(1, record)
            assert isinstance(other, Item)
            assert item == other
            assert canonical(item.fields) == canonical(other.fields)
    assert repr(many) == repr(before)


@pytest.mark.parametrize("schema", SCHEMAS[:2])
def test_most_records_go_the_straight_way(schema: str) -> None:
    used = plan(schema)
    for record in (
        {"id": "1", "title": "Mug", "price": "19.99 USD", "availability": "in stock", "link": "https://a.example/1",
         "image_link": "https://a.example/1.jpg", "material": "wool"},
        {"id": 1, "title": "A  B", "price": 5, "sale_price": None, "availability": True, "link": "https://a.example/\u00e4",
         "image_link": "https://a.example/1.jpg", "brand": "", "description": "<p>x</p>", "x": {"a": [1, None]}},
    ):  # fmt: skip
        assert used._ways[tuple(record)] is None
        for _ in range(MET_BEFORE):
            used.normalize(1, record)
        way = used._ways[tuple(record)]
        assert way is not None
        assert way(record) == used._looked_at(1, record)


@pytest.mark.parametrize(
    "more",
    [
        {"name": "Jug"},  # another source of the title, which is kept if it says something else
        {"description": "<p>x</p>", "description_html": "y"},
        {"additional_image_links": ["https://a.example/1.jpg"], "image_link": "https://a.example/1.jpg"},
        {"price": "5 EUR", "sale_price": "4 USD"},
        {"price": "5 EUR", "currency": "USD"},
        {"price": "5", "sale_price": "4 EUR", "currency": "USD"},
        {"a": 1, "a\x00": 2},
        {"id": "x" * 256},
    ],
)  # fmt: skip
def test_what_several_values_decide_needs_a_closer_look(more: dict[str, Any]) -> None:
    assert straight(plan("item"), {"id": "1", "title": "Mug"} | more) is None


NAMED = [
    {"$ref": "#few", "$defs": {"a": {"$anchor": "few", "properties": {"title": {"maxLength": 4}}}}},
    {"$dynamicRef": "#/$defs/a", "$defs": {"a": {"properties": {"title": {"maxLength": 4}}}}},
    {
        "allOf": [
            {
                "$id": "urn:x",
                "$ref": "#/$defs/a",
                "$defs": {"a": {"properties": {"title": {"maxLength": 4}}}},
            }
        ],
        "$defs": {"a": {"properties": {"title": {"minLength": 1}}}},
    },
]


@pytest.mark.parametrize("schema", NAMED)
def test_what_a_schema_finds_by_a_name_is_not_overlooked(schema: dict[str, Any]) -> None:
    made = compile_plan(schema | {"properties": {"title": {"type": "string"}}})
    assert straight(made, {"id": "1", "title": "Teapot"}) is None
    assert isinstance(made._looked_at(1, {"id": "1", "title": "Teapot"}), Reject)


def test_any_id_has_a_longest_length() -> None:
    made = compile_plan({"properties": {"title": {}, "group": {"x-coerce": "id"}}})
    assert straight(made, {"id": "1", "title": "Mug", "group": "x" * 255}) is not None
    assert straight(made, {"id": "1", "title": "Mug", "group": "x" * 256}) is None


def test_a_currency_that_a_price_gives_is_not_missing() -> None:
    made = compile_plan(document("item") | {"x-recommended": ["currency"]})
    assert straight(made, {"id": "1", "title": "Mug", "price": "5 EUR"}) is None
    without = straight(made, {"id": "1", "title": "Mug", "brand": "Acme"})
    assert without is not None
    assert [problem.rule for problem in without.warnings] == ["missing_field"]


@pytest.mark.parametrize(
    "name", ["'): raise SystemExit #", 'a"\n\\', "item", "raise", "\ud800", "{0}", "r0"]
)
def test_names_of_a_feed_are_no_part_of_what_is_written(name: str) -> None:
    record = {"id": "1", "title": "Mug", name: name}
    item = straight(plan("item"), record)
    assert item is not None
    assert item == plan("item")._looked_at(1, record)
    assert item.fields == {"id": "1", "title": "Mug", clean(name): clean(name)}


def test_straight_ways_are_bounded_whatever_a_feed_holds() -> None:
    used = plan("item")
    for number in range(2 * MOST_WAYS):
        straight(used, {"id": "1", "title": "Mug", f"a{number}": 1})
    assert sum(way is not None for way in used._ways.values()) == MOST_WAYS


@given(st.lists(texts | trees, max_size=3))
def test_values_that_are_plain_together_are_plain_each(values: list[Any]) -> None:
    if are_plain_lines(values):
        assert [line(value) for value in values] == values
    if are_plain_links(values):
        assert [url(value) for value in values] == values


def test_most_values_are_plain() -> None:
    assert are_plain_lines(["Mug", "M&S", "B\u00e4r; 5"])
    assert are_plain_links(["https://shop.example/a?b=1&c=2", "http://a"])
    for values in (["a", ""], [""], ["a "], ["a", " b"], ["a\n"], ["a  b"], ["&amp;"], [1], [None]):
        assert not are_plain_lines(values)
        assert not are_plain_links(values)
    for link in ("http://", "https:///a", "https://a https://b", "https://a?b=1&amp;c=2", "/a"):
        assert not are_plain_links(["https://a.example", link])


@given(trees)
def test_trees_are_kept_as_a_closer_look_keeps_them(tree: Any) -> None:
    for found in (Names(frozenset()), Names(frozenset({"g", "x"}))):
        for _ in range(2):
            usual = found.usual(tree)
            closer = COERCIONS["any"](found.tree(tree))
            assert usual is None or repr(usual) == repr(closer)


def test_most_trees_need_no_closer_look() -> None:
    found = Names(frozenset({"g"}))
    tree = {"g:a": [1, {"g:b": "x", "c": None}], "d": 0.5, "e": "two\nlines\x00"}
    assert found.usual(tree) == {"a": [1, {"b": "x"}], "d": 0.5, "e": "two\nlines"}
    for unusual in ({"x": float("nan")}, {"g:a": {"b": float("inf")}}, {"a\x00": 1}, {1: 2}):
        assert found.usual(unusual) is None
    for _ in range(40):
        tree = {"a": tree}
    assert found.usual(tree) is None


@pytest.mark.parametrize("name", sorted(REPEATING))
@given(value=trees)
@settings(max_examples=40, deadline=None)
def test_what_is_remembered_is_what_would_be_made(name: str, value: Any) -> None:
    remembered = remembering(COERCIONS[name])
    assert remembered(value) == remembered(value) == COERCIONS[name](value)


@pytest.mark.parametrize("name", sorted(COERCIONS.keys() - MANY))
@given(value=st.lists(trees, max_size=3))
@settings(max_examples=25, deadline=None)
def test_a_coercion_of_one_value_makes_nothing_of_a_list(name: str, value: list[Any]) -> None:
    result = COERCIONS[name](value)
    assert result is None or isinstance(result, Refused)


@pytest.mark.parametrize("name", ["line", "text", "url", "urls", "price", "availability", "id"])
@given(value=texts.filter(lambda text: not text.startswith("/")))
def test_white_space_around_a_text_decides_nothing(name: str, value: str) -> None:
    """A text with white space around it is not read the short way."""
    result, other = COERCIONS[name](value), COERCIONS[name](f"\n{value} ")
    if isinstance(result, Noted) and result.notes:  # which may say what stood there
        result, other = result.value, other.value
    assert result == other


@given(st.text(max_size=20) | st.text(alphabet="ab \t\n\r\x00\x0b\x1f\x7f"))
def test_ascii_is_read_as_all_text_is(value: str) -> None:
    dash = "\N{EM DASH}"  # is not ASCII, and stays
    assert clean(value) + dash == clean(value + dash)
    long = f"x{value.translate({ord('<'): '', ord('&'): ''}) * 100}x"
    assert COERCIONS["text"](long) + dash == COERCIONS["text"](long + dash)


def test_what_is_remembered_is_bounded_whatever_a_feed_holds() -> None:
    memo = Memo(lambda key: key)
    for number in range(2 * MOST):
        assert memo[f"key {number}"] == f"key {number}"
    assert len(memo) == MOST
    memo = Memo(lambda key: key)
    for key in (
        "x" * (LONGEST + 1),
        ("x",) * LONGEST,
        ("x" * LONGEST, "y"),
        (1, "a"),
        (True, "a"),
        1,
        None,
    ):
        assert memo[key] is key
    assert len(memo) == 0


def test_records_that_never_repeat_their_names_are_not_remembered_for_ever() -> None:
    made = plan("item")
    for number in range(3_000):
        record = {"id": "1", "title": "Mug", f"a{number}": {f"b{number}": number}}
        outcome = made.normalize(1, record)
        assert outcome.fields == record
    assert len(made._shapes) == len(made._ways._met) == MOST_SHAPES
    assert len(made._names._usual_names) <= MOST
    made.normalize(1, {"id": "1", "title": "Mug", "x" * 1_000_000: 1})
    assert sum(len(key) for keys in made._shapes for key in keys) < 1_000_000

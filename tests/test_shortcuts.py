"""Shortcuts of the normalizer decide nothing: what is remembered is what would be made, and there is a bound to it."""

import copy
import functools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedd.coerce import COERCIONS, MANY, REPEATING, Noted, Refused
from feedd.coerce.memo import LONGEST, MOST, Memo, remembering
from feedd.coerce.text import clean
from feedd.normalize import Plan, compile_plan
from feedd.normalize.names import Names
from feedd.normalize.shapes import MOST_SHAPES
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
    assert len(made._shapes) == MOST_SHAPES
    assert len(made._names._usual_names) <= MOST
    made.normalize(1, {"id": "1", "title": "Mug", "x" * 1_000_000: 1})
    assert sum(len(key) for keys in made._shapes for key in keys) < 1_000_000

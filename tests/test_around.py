"""What stands around the records: found by the formats, read into values, bounded."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.formats import FORMATS
from feedd.formats.limits import MAX_VALUE_BYTES, MAX_VALUES
from feedd.model import Item, Layout, Wanted
from feedd.normalize import compile_plan
from feedd.normalize.around import (
    MAX_IDS,
    MAX_LEVELS,
    MAX_PATH_LENGTH,
    Tree,
    keys_of,
    read_around,
    read_places,
)
from feedd.schema import load_schema

XML = Layout(items=("yml.offers.offer", "rss.channel.item", "*.*"), namespaces={"g": "urn:g"})
JSON = Layout(items=("", "products", "*"))
CATEGORY = Wanted(("yml", "categories", "category"), anywhere=True)
LINK = Wanted(("rss", "channel", "link"))


def around(body: bytes, *wanted: Wanted, form: str = "xml") -> list[list[Any]]:
    layout = XML if form == "xml" else JSON
    return FORMATS[form].around(io.BytesIO(body), layout, None, wanted)


def categories(count: int, name: str = "n") -> bytes:
    rows = "".join(f'<category id="{i}">{name}</category>' for i in range(count))
    return f"<categories>{rows}</categories>".encode()


OFFERS = b"<offers>" + b"<offer id='1'><name>a</name></offer>" * 3 + b"</offers>"


def test_elements_before_and_behind_the_records_are_found() -> None:
    row = {"@id": "0", "#text": "n"}
    for body in (categories(1) + OFFERS, OFFERS + categories(1)):
        assert around(b"<yml>" + body + b"</yml>", CATEGORY) == [[row]]
    both = b"<yml>" + categories(2) + OFFERS + categories(1) + b"</yml>"
    assert around(both, CATEGORY) == [[row, {"@id": "1", "#text": "n"}, row]]


def test_values_count_only_before_the_first_record() -> None:
    item = b"<item><link>/in-the-item</link></item>"
    before, behind = (
        b"<link>https://a.example/?a=1&amp;b=2</link>",
        b"<link>https://late.example</link>",
    )
    body = b"<rss><channel>" + before + item * 2 + behind + b"</channel></rss>"
    assert around(body, LINK) == [[{"#text": "https://a.example/?a=1&b=2"}]]
    tree_too = around(body, LINK, Wanted(("rss", "channel", "none"), anywhere=True))
    assert tree_too == [[{"#text": "https://a.example/?a=1&b=2"}], []]


def test_attributes_are_read_off_elements_that_hold_the_records() -> None:
    body = b'<rss xml:base="https://a.example/x/"><channel a="&lt;1"><item><a>1</a></item></channel></rss>'
    found = around(
        body, Wanted(("rss",), attributes=True), Wanted(("rss", "channel"), attributes=True)
    )
    assert found == [[{"@xml:base": "https://a.example/x/"}], [{"@a": "<1"}]]


def test_an_element_that_holds_records_is_no_value() -> None:
    body = b"<rss><channel><link>a</link><item><a>1</a></item></channel></rss>"
    assert around(body, Wanted(("rss", "channel"))) == [[]]


def test_prefixes_are_those_of_the_layout() -> None:
    body = b'<rss xmlns:q="urn:g"><channel><q:link>a</q:link><item><a>1</a></item></channel></rss>'
    assert around(body, Wanted(("rss", "channel", "g:link"))) == [[{"#text": "a"}]]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"<html>", b"<rss><channel><link>a</lin", b"<!DOCTYPE a><a/>", b"<rss><channel></rss>", b"\x1f\x8b"],
)  # fmt: skip
def test_a_document_that_cannot_be_read_has_nothing_around_its_records(body: bytes) -> None:
    assert around(body, LINK, CATEGORY) == [[], []]


def test_a_broken_row_costs_itself() -> None:
    body = b"<yml><categories><category id='1'>a & b</category><category id='2'>c</category></categories>"
    assert around(body + OFFERS + b"</yml>", CATEGORY) == [[{"@id": "2", "#text": "c"}]]


def test_what_is_kept_is_bounded() -> None:
    many = around(b"<yml>" + categories(MAX_VALUES + 5) + OFFERS + b"</yml>", CATEGORY)
    assert len(many[0]) == MAX_VALUES
    long = around(b"<yml>" + categories(3, "x" * MAX_VALUE_BYTES) + OFFERS + b"</yml>", CATEGORY)
    assert long == [[]]
    wide = around(b"<yml>" + categories(300, "x" * 60_000) + OFFERS + b"</yml>", CATEGORY)
    assert 100 < len(wide[0]) < 150


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"url": "a", "products": [{"id": 1}]}', [["a"]]),
        ('{"products": [{"id": 1}], "url": "a"}', [[]]),
        ('{"products": [], "url": "a"}', [["a"]]),
        ('[{"id": 1}]', [[]]),
        ('{"url": {"deep": ["a", 1]}, "products": [1]}', [[{"deep": ["a", 1]}]]),
        ('{"url": null, "products": [1]}', [[]]),
        ('{"url": "a", "products": [{"id": 1}', [[]]),
        ('{"url": "\\ud800", "products": [{"id": 1}]}', [[]]),
        ("<a/>", [[]]),
    ],
)
def test_members_before_the_first_record(body: str, found: Any) -> None:
    assert around(body.encode(), Wanted(("url",)), form="json") == found


def test_members_anywhere_are_found_behind_the_records() -> None:
    body = b'{"products": [{"id": 1}, {"id": 2}], "groups": [{"id": 7, "name": "a"}]}'
    assert around(body, Wanted(("groups",), anywhere=True), form="json") == [
        [[{"id": 7, "name": "a"}]]
    ]
    wide = b'{"products": [{"id": 1}], "groups": [%b0]}' % (b"0," * MAX_VALUES * 9)
    assert around(wide, Wanted(("groups",), anywhere=True), form="json") == [[]]


def test_lines_have_nothing_around_them() -> None:
    assert around(b'{"url": "a"}', Wanted(("url",)), form="jsonl") == [[]]


# -- values


@pytest.mark.parametrize(
    ("found", "own", "base"),
    [
        (["https://a.example/x/"], None, "https://a.example/x/"),
        (["x/"], None, None),
        (["https://a.example/x/?session=1#top"], None, "https://a.example/x/"),
        (["x/"], "https://b.example/feeds/f.xml", "https://b.example/feeds/x/"),
        ([], "https://b.example/f.xml", "https://b.example/f.xml"),
        ([{"@href": "https://self.example/", "@rel": "self"}, {"@href": "https://a.example"}], None, "https://a.example"),
        (["mailto:a", {"#text": "http://a.example"}], None, "http://a.example"),
        (["http://[a"], "https://b.example", "https://b.example"),
        ([5, None, {}, ["x"]], None, None),
    ],
)  # fmt: skip
def test_the_base_is_the_first_usable_address(
    found: Any, own: str | None, base: str | None
) -> None:
    places = read_places({"base": ["shop.url"]})
    assert read_around(places, [found], own).base == base


def tree(*rows: tuple[str, str, str]) -> Tree:
    return Tree(rows)


def test_a_path_leads_from_the_top_down() -> None:
    shop = tree(("3", "Boots", "2"), ("1", "Shoes", ""), ("2", "Women", "1"), ("3", "Again", "1"))
    assert shop.path("3") == "Shoes > Women > Boots"
    assert shop.path("1") == "Shoes"
    assert shop.path("9") is None


def test_parents_that_are_missing_nameless_or_their_own_are_tolerated() -> None:
    shop = tree(
        ("1", "Lost", "99"),
        ("2", "Self", "2"),
        ("3", "A", "4"),
        ("4", "B", "3"),
        ("5", "", "1"),
        ("6", "", "6"),
    )
    assert shop.path("1") == "Lost"
    assert shop.path("2") == "Self"
    assert (shop.path("3"), shop.path("4")) == ("B > A", "A > B")
    assert shop.path("5") == "Lost"
    assert shop.path("6") is None


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["", "x", "y > z"]), st.sampled_from("abcdefgh-")))
)  # fmt: skip
def test_any_tree_is_resolved(rows: list[tuple[str, str, str]]) -> None:
    shop = Tree(rows)
    for row_id in "abcdefgh-":
        path = shop.path(row_id)
        assert path is None or row_id in {row[0] for row in rows}


def test_a_path_is_bounded() -> None:
    chain = Tree([(str(n), f"n{n}", str(n + 1)) for n in range(100_000)])
    path = chain.path("0")
    assert path is not None
    assert len(path.split(" > ")) == MAX_LEVELS
    wide = Tree([(str(n), "x" * 255, str(n + 1)) for n in range(10)])
    path = wide.path("0")
    assert path is not None
    assert len(path) < MAX_PATH_LENGTH


def test_what_a_record_and_a_base_can_grow_to_is_bounded() -> None:
    assert len(keys_of(list(range(100_000)))) == MAX_IDS
    places = read_places({"base": ["shop.url"]})
    assert read_around(places, [["https://a.example/" + "x" * 60_000]], None).base is None


def test_a_document_gives_currency_names_and_base_to_its_items() -> None:
    plan = compile_plan(load_schema("yandex-yml", base_dir=None).document)
    record = {"@id": "1", "name": "Mug", "price": "5", "categoryId": ["2", "9"], "url": "p/1"}
    alone = plan.normalize(1, record)
    assert isinstance(alone, Item)
    assert alone.fields["categoryId"] == ["2", "9"]
    assert "categories" not in alone.fields
    assert "currency" not in alone.fields
    rows = [{"@id": "1", "#text": "Shoes > Boots"}, {"@id": "2", "#text": "Warm", "@parentId": "1"}]
    within = plan.within(
        [["https://a.example"], [{"@id": "EUR", "@rate": "CB"}, {"@id": "UAH", "@rate": "1"}], rows]
    )
    item = within.normalize(1, record)
    assert isinstance(item, Item)
    assert item.fields["categories"] == ["Shoes > Boots > Warm"]
    assert item.fields["currency"] == "UAH"
    assert item.fields["link"] == "https://a.example/p/1"
    assert "categoryId" not in item.fields
    assert ("/categories", "unknown_id", "9") in [
        (w.pointer, w.rule, w.value) for w in item.warnings
    ]
    assert within.seed != plan.within([[], [], rows]).seed


def test_a_configured_currency_stands_before_that_of_the_document() -> None:
    document = load_schema("item", base_dir=None).document
    found: list[list[Any]] = [[] for _ in compile_plan(document).wanted]
    for configured, currency in ((None, "SEK"), ("EUR", "EUR")):
        plan = compile_plan(document, default_currency=configured)
        item = plan.within([*found[:-1], ["SEK"]]).normalize(1, {"id": 1, "title": "a", "price": 5})
        assert isinstance(item, Item)
        assert item.fields["currency"] == currency


def test_whole_documents_give_the_same_in_every_shipped_schema() -> None:
    body = json.dumps({"currency": "SEK", "products": [{"id": 1, "title": "a"}]}).encode()
    plan = compile_plan(load_schema("item", base_dir=None).document)
    found = FORMATS["json"].around(io.BytesIO(body), plan.layout, None, plan.wanted)
    assert found[-1] == ["SEK"]

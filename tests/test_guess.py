"""What a body is, where its configuration does not say."""

import contextlib
import json
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from feeds import take_in
from hypothesis import given
from hypothesis import strategies as st

from feedd import intake
from feedd.errors import FormatError
from feedd.formats import FORMATS
from feedd.formats.places import Place, outline_of, places
from feedd.guess import guess_body
from feedd.model import SyncStatus
from feedd.normalize import compile_plan
from feedd.reading import Reading, digest_of, settled
from feedd.schema import load_schema, shipped_schemas
from feedd.store.database import Database
from feedd.store.feeds import read_feed
from feedd.store.read import read_items

OPEN = Reading()


@pytest.fixture
def catalog(place: intake.Place) -> Iterator[Database]:
    database = place.open_catalog()
    yield database
    database.close()


GOOGLE = """<rss xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title>{}</channel></rss>"""


def products(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"id": n, "title": f"Mug {n}", "price": n, **fields} for n in range(1, count + 1)]


def google(count: int) -> bytes:
    items = "".join(
        f"<item><g:id>{n}</g:id><title>Mug</title><g:price>{n} EUR</g:price></item>"
        for n in range(count)
    )
    return GOOGLE.format(items).encode()


BODIES: dict[str, tuple[Any, str, str | None]] = {
    "a list at the root": (products(3), "item", None),
    "a list somewhere": ({"meta": {}, "answer": {"rows": products(3)}}, "item", "answer.rows"),
    "the fullest list that makes items": (
        {"tags": [{"tag": n} for n in range(9)], "shop": {"mugs": products(3)}},
        "item",
        "shop.mugs",
    ),
    "a list in each element of a list": (
        [{"city": "Bonn", "mugs": products(2)}, {"city": "Ulm", "mugs": products(4)[2:]}],
        "item",
        "mugs",
    ),
    "not what the records hold": (
        products(3, variants=[{"id": n, "title": "x"} for n in range(4)]),
        "item",
        None,
    ),
    "Klaviyo's keys": (
        [{"$id": "1", "$title": "Mug", "$price": 5, "$link": "https://shop.example/1"}],
        "klaviyo-catalog",
        None,
    ),
    "Google in RSS": (google(3), "google-product", None),
    "one product": (google(1), "google-product", None),
    "XML of its own": (
        b"<a><b><c><id>1</id><title>Mug</title></c><c><id>2</id><title>Cup</title></c></b></a>",
        "item",
        "a.b.c",
    ),
    "products with own names, not what is nested in them": (
        {
            "products": [
                {
                    "sku": f"A{n}",
                    "name": f"TV {n}",
                    "categoryPath": [{"id": f"c{n}", "name": "TVs"}],
                }
                for n in range(5)
            ]
        },
        "item",
        "products",
    ),
    "products beside their categories": (
        {
            "categories": [
                {"id": n, "name": f"Kind {n}", "url": "https://x.example"} for n in range(9)
            ],
            "products": products(3),
        },
        "item",
        None,
    ),
    "goods beside a menu": (
        b"<s><menu><e><id>1</id><title>A</title></e><e><id>2</id><title>B</title></e></menu><goods><g><id>1</id><title>M</title></g><g><id>2</id><title>C</title></g></goods></s>",
        "item",
        "s.goods.g",
    ),
    "objects under their ids": (
        {"shop": {f"p{n}": each for n, each in enumerate(products(3))}},
        "item",
        "shop.{}",
    ),
    "objects under their ids, at the root": (
        {f"p{n}": {"name": f"Mug {n}", "cost": n} for n in range(3)},
        "item",
        "{}",
    ),
    "a first record of more than a megabyte": (
        {"shop": {"mugs": [{"id": 0, "title": "Mug", "text": "x" * 1_500_000}, *products(3)]}},
        "item",
        "shop.mugs",
    ),
    "products of a test shop": (
        [{**each, "category": "mugs", "link": "https://x.example"} for each in products(3)],
        "item",
        None,
    ),
    "links and names, in no dialect": (
        [{"name": f"Mug {n}", "url": f"https://x.example/{n}"} for n in range(3)],
        "item",
        "",
    ),
    "Heureka": (
        b"<SHOP><SHOPITEM><ITEM_ID>1</ITEM_ID><PRODUCTNAME>Mug</PRODUCTNAME><PRICE_VAT>9</PRICE_VAT></SHOPITEM></SHOP>",
        "heureka-product",
        None,
    ),
    "Skroutz": (
        b"<mywebstore><products><product><uniqueid>1</uniqueid><name>Mug</name><price_with_vat>9</price_with_vat></product></products></mywebstore>",
        "skroutz-product",
        None,
    ),
    "Ceneo": (
        b'<offers><o id="1" url="https://x.example" price="9" avail="1"><name>Mug</name></o></offers>',
        "ceneo-product",
        None,
    ),
    "JSON Feed": (
        {"items": [{"id": "1", "content_text": "Hello", "date_published": "2026-01-01"}]},
        "json-feed",
        None,
    ),
    "RSS": (
        b"<rss><channel><item><title>News</title><link>https://x.example/1</link></item></channel></rss>",
        "article",
        None,
    ),
    "JSON Lines": (b'{"id": 1, "title": "Mug"}\n{"id": 2, "title": "Cup"}\n', "item", None),
}


def bytes_of(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def form_of(body: bytes) -> str:
    return "xml" if body.startswith(b"<") else "jsonl" if b"}\n{" in body else "json"


@pytest.mark.parametrize(("body", "schema", "items"), BODIES.values(), ids=list(BODIES))
def test_schema_and_place_are_found(body: Any, schema: str, items: str | None) -> None:
    content = bytes_of(body)
    found = guess_body(BytesIO(content), form=form_of(content))
    assert (found.schema, found.items) == (schema, items)
    assert found.evidence


def test_what_is_configured_is_not_guessed() -> None:
    body = bytes_of({"shop": {"mugs": products(3)}, "cups": products(9)})
    found = guess_body(BytesIO(body), form="json", schema="klaviyo-catalog")
    assert (found.schema, found.items) == ("klaviyo-catalog", "cups")
    found = guess_body(BytesIO(body), form="json", items="shop.mugs")
    assert (found.schema, found.items) == ("item", None)
    found = guess_body(
        BytesIO(bytes_of([{"nr": 1, "t": "Mug"}])), form="json", fields={"id": "nr", "title": "t"}
    )
    assert (found.schema, found.evidence[0]) == (
        "item",
        "records in the list at the root, where the schema looks for them: 1 of the 1 tried become items",
    )


def test_records_of_json_lines_are_told_to_come_line_by_line() -> None:
    body = BODIES["JSON Lines"][0]
    found = guess_body(BytesIO(bytes_of(body)), form="jsonl")
    assert found.evidence[0] == "records line by line: 2 of the 2 tried become items"


def test_a_long_body_is_guessed_from_its_start() -> None:
    body = bytes_of({"rows": {"of": products(40_000, text="x" * 50)}})
    assert guess_body(BytesIO(body), form="json").items == "rows.of"


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"details": [{"id": n, "title": "Expired"} for n in range(3)]}},
        {"errors": [{"id": n, "title": "Expired"} for n in range(3)]},
        {"status": 404, "data": {"errors": [{"id": n, "name": "Gone"} for n in range(3)]}},
    ],
)
def test_what_says_why_there_are_no_items_makes_none(body: Any) -> None:
    found = guess_body(BytesIO(bytes_of(body)), form="json")
    assert (found.schema, found.items) == ("item", None)


def test_a_guess_leads_a_sync_to_the_same_items(catalog: Database, tmp_path: Path) -> None:
    body = bytes_of({"shop": {f"p{n}": each for n, each in enumerate(products(3), 1)}})
    found = guess_body(BytesIO(body), form="json")
    guessed = take_in(catalog, tmp_path, body, reading=OPEN)
    pinned = Reading(schema=found.schema, items=found.items)
    named = take_in(catalog, tmp_path, body, feed="pinned", reading=pinned)
    assert guessed.counts is not None
    assert named.counts is not None
    assert guessed.counts.added == named.counts.added == 3


FEEDS = sorted(
    path for path in (Path(__file__).parent / "data" / "feeds").iterdir() if ".expected" not in path.suffixes
)  # fmt: skip


@pytest.mark.parametrize(
    "body", [*FEEDS, *(bytes_of(body) for body, _, _ in BODIES.values())], ids=lambda _: ""
)
def test_reading_is_only_spared_where_it_is_in_vain(body: Path | bytes) -> None:
    content = body.read_bytes() if isinstance(body, Path) else body
    form = form_of(content.lstrip(b"\xef\xbb\xbf \n"))
    layouts = [
        compile_plan(load_schema(n, base_dir=None).document).layout for n in shipped_schemas()
    ]
    outline = outline_of(content, form, {path for layout in layouts for path in layout.items})
    for layout in layouts:
        if outline is None or outline.may_have(layout.items):
            continue
        with contextlib.suppress(FormatError):
            for slices in FORMATS[form].slices(BytesIO(content), layout, None):
                values = FORMATS[form].decode(slices, layout)
                assert not any(isinstance(value, dict) for value in values), layout.items


def test_a_document_of_many_brackets_is_guessed_in_one_look() -> None:
    body = bytes_of({"a": {str(n): [[[n, n]] * 20] for n in range(20_000)}})
    began = time.process_time()
    guess_body(BytesIO(body), form="json")
    assert time.process_time() - began < 10


@given(st.binary(max_size=300), st.sampled_from(["json", "jsonl", "xml"]))
def test_any_bytes_give_a_guess_or_are_no_text(body: bytes, form: str) -> None:
    whole = (b"[{" if form != "xml" else b"<a>") + body.lstrip(b"\xff\xfe\x00")
    try:
        code = guess_body(BytesIO(whole), form=form).format
    except FormatError as error:
        code = error.code
    broken = len(whole) - len(whole.decode("utf-8", "ignore").encode())
    assert code == form or (code == "unknown_encoding" and broken > 15)


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        (b'{"a": [{"b": [{}, {}]}, {"b": []}], "c": [1, 2]}', "json",
         [Place("a", 2, False), Place("a.b", 2, True)]),
        (b'{"a": {"x.y": [{}, {}]}, "s": "[{}, {}]"}', "json", []),
        (b"<a><b x='1'/><b x='2'/><c><d>1</d></c><c><d>1</d></c><e>1</e><e>2</e>", "xml",
         [Place("a.b", 2, False), Place("a.c", 2, False)]),
        (b"<r xmlns:g='u'><g:b><c/></g:b><g:b><c/></g:b></r><broken", "xml", [Place("r.b", 2, False)]),
        (b'{"a": [{}, {}]}', "jsonl", []),
    ],
)  # fmt: skip
def test_places_are_what_is_repeated(text: bytes, form: str, expected: list[Place]) -> None:
    assert places(text, form) == expected


@pytest.mark.parametrize(
    ("text", "form"), [(b'{"a":[' * 150_000, "json"), (b"<a>" * 300_000, "xml")]
)
def test_places_are_found_in_the_time_that_the_text_is_long(text: bytes, form: str) -> None:
    began = time.process_time()
    assert places(text, form) == []
    assert time.process_time() - began < 5


# in a sync


def test_a_feed_needs_nothing_but_its_address(catalog: Database, tmp_path: Path) -> None:
    sync = take_in(catalog, tmp_path, google(3), reading=OPEN)
    assert sync.counts is not None
    assert sync.counts.added == 3
    stored = read_feed(catalog, "shop")
    assert stored.guess is not None
    assert stored.guess.schema == "google-product"
    assert stored.config_digest == digest_of(OPEN, stored.guess)


def test_a_guess_stands_while_it_serves(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, products(3), reading=OPEN)
    first = read_feed(catalog, "shop").guess
    more = products(3, **{"$id": 1, "$title": "Mug", "inventory_policy": 1})
    take_in(catalog, tmp_path, more, reading=OPEN)
    assert read_feed(catalog, "shop").guess == first


def test_a_feed_that_is_built_otherwise_is_guessed_anew(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, bytes_of({"old": {"rows": products(3)}}), reading=OPEN)
    sync = take_in(catalog, tmp_path, bytes_of({"new": {"rows": products(4)}}), reading=OPEN)
    assert sync.counts is not None
    assert (sync.counts.added, sync.counts.unchanged) == (1, 3)
    sync = take_in(catalog, tmp_path, google(5), reading=OPEN)
    assert sync.status is SyncStatus.APPLIED
    guess = read_feed(catalog, "shop").guess
    assert guess is not None
    assert (guess.format, guess.schema) == ("xml", "google-product")


def test_a_guess_is_for_one_configuration(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, products(3), reading=OPEN)
    stored = read_feed(catalog, "shop").guess
    assert settled(OPEN, stored) is not None
    assert settled(Reading(fields={"id": "sku"}), stored) is None
    assert settled(Reading(currency="EUR"), stored) is not None


def test_nothing_is_learned_from_an_empty_list(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, b"[]", reading=OPEN)
    assert read_feed(catalog, "shop").guess is None
    take_in(catalog, tmp_path, BODIES["Klaviyo's keys"][0], reading=OPEN)
    assert [item.id for item in read_items(catalog)] == ["1"]


def test_the_place_is_found_for_a_schema_that_is_configured(
    catalog: Database, tmp_path: Path
) -> None:
    reading = Reading(schema="google-product")
    body = {"export": {"mugs": products(3)}}
    sync = take_in(catalog, tmp_path, bytes_of(body), reading=reading)
    assert sync.counts is not None
    assert sync.counts.added == 3


def test_an_error_answer_is_no_feed(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, bytes_of({"data": products(3)}), reading=OPEN)
    body = {"errors": [{"id": "e1", "title": "Not found"}, {"id": "e2", "title": "Not found"}]}
    with pytest.raises(FormatError, match="no array of records"):
        take_in(catalog, tmp_path, bytes_of(body), reading=OPEN)

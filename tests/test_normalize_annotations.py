"""Annotations that do more than name a place: gathering, reductions, minor units, templates, wrapped and other records."""

import json
from pathlib import Path
from typing import Any

import pytest

from feedd.model import Item, Reject
from feedd.normalize import Plan, compile_plan
from feedd.schema import load_schema

SCHEMA: dict[str, Any] = {
    "$ref": "item",
    "x-unwrap": ["node", "item"],
    "x-only": {"@type": ["Product", "Book"]},
    "properties": {
        "title": {"x-source": ["name", "{brand.name} {model}", "model"]},
        "additional_image_links": {"x-source": ["photo1", "photo2", "more.*"], "x-gather": True},
        "price": {"x-source": ["was", "prices.usual"], "x-minor-units": "prices.digits"},
        "sale_price": {
            "x-source": ["now", "prices.now"],
            "x-minor-units": "prices.digits",
            "x-reduces": "price",
        },
        "deposit": {"type": "number", "x-minor-units": 2, "x-coerce": "price"},
    },
}


def plan_of(folder: Path, schema: dict[str, Any] = SCHEMA, **options: Any) -> Plan:
    (folder / "mine.json").write_text(json.dumps(schema))
    return compile_plan(load_schema("./mine.json", base_dir=folder).document, **options)


def made(plan: Plan, record: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    item = plan.normalize(1, {"id": "1", "name": "Mug", **record})
    assert isinstance(item, Item), item
    fields = {name: value for name, value in item.fields.items() if name not in ("id", "title")}
    return fields, [f"{w.pointer} {w.rule}" for w in item.warnings]


@pytest.mark.parametrize(
    ("record", "fields", "warnings"),
    [
        ({"was": "10", "now": "8"}, {"price": 10, "sale_price": 8}, []),
        ({"was": "8", "now": "10"}, {"price": 10}, []),  # it was never dearer than now
        ({"was": "8", "now": "8"}, {"price": 8}, []),
        ({"was": None, "now": "8 EUR"}, {"price": 8, "currency": "EUR"}, []),
        ({"was": "0", "now": "0"}, {"price": 0}, []),
        ({"was": "8"}, {"price": 8}, []),
        ({"was": "much", "now": "8"}, {"price": 8}, ["/price price_not_understood"]),
        ({"was": "8 EUR", "now": "10 EUR"}, {"price": 10, "currency": "EUR"}, []),
        (
            {"was": "8 EUR", "now": "10 USD"},
            {"price": 8, "currency": "EUR"},
            ["/sale_price currency_mismatch"],
        ),
        (
            {"prices": {"usual": "1999", "now": 999, "digits": 2}},
            {"price": 19.99, "sale_price": 9.99, "prices": {"usual": "1999", "now": 999, "digits": 2}},
            [],
        ),
        (
            {"prices": {"usual": "5", "now": "19.50", "digits": "2"}},
            {"price": 19.5, "prices": {"usual": "5", "now": "19.50", "digits": "2"}},
            [],
        ),
        ({"prices": {"now": 7, "digits": 99}}, {"price": 7, "prices": {"now": 7, "digits": 99}}, []),
        ({"deposit": 250}, {"deposit": 2.5}, []),
        ({"deposit": "2.50"}, {"deposit": 2.5}, []),
        ({"deposit": True}, {}, ["/deposit price_not_understood"]),
    ],
)  # fmt: skip
def test_amounts_are_told_apart(
    tmp_path: Path, record: dict[str, Any], fields: dict[str, Any], warnings: list[str]
) -> None:
    assert made(plan_of(tmp_path), record) == (fields, warnings)


def test_sources_that_are_gathered_make_one_list_and_are_used_up(tmp_path: Path) -> None:
    a, b, c = (f"https://shop.example/{name}.jpg" for name in "abc")
    plan = plan_of(tmp_path)
    record = {"photo2": b, "photo1": a, "more": [c, a, None]}
    assert made(plan, record) == ({"additional_image_links": [a, b, c], "more": [c, a]}, [])
    assert made(plan, {"photo1": "", "photo2": None, "more": []}) == ({"more": []}, [])
    fields, warnings = made(plan, {"photo1": "mailto:x", "photo2": b})
    assert fields == {"additional_image_links": [b]}
    assert warnings == ["/additional_image_links/0 url_scheme"]


@pytest.mark.parametrize(
    ("record", "title"),
    [
        ({"brand": {"name": "HP"}, "model": "D2663"}, "HP D2663"),
        ({"brand": {"name": ""}, "model": "D2663"}, "D2663"),
        ({"name": "Printer", "brand": {"name": "HP"}, "model": "D2663"}, "Printer"),
    ],
)
def test_a_template_gives_way_to_the_next_where_a_part_is_missing(
    tmp_path: Path, record: dict[str, Any], title: str
) -> None:
    item = plan_of(tmp_path).normalize(1, {"id": "1", **record})
    assert isinstance(item, Item)
    assert item.fields["title"] == title


def test_a_person_can_write_templates_too(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, fields={"link": "https://shop.example/p/{handle}", "x": "{a}-{b}"})
    fields, warnings = made(plan, {"handle": "red mug", "a": 1, "b": 2})
    assert fields["link"] == "https://shop.example/p/red%20mug"
    assert fields["x"] == "1-2"
    assert warnings == []


def test_a_persons_own_source_is_read_as_it_stands(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, fields={"price": "cost"})
    assert made(plan, {"cost": "1999", "prices": {"digits": 2}})[0]["price"] == 1999


def test_a_wrapped_record_is_what_lies_inside(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    item = plan.normalize(1, {"cursor": "x", "node": {"id": 1, "name": "Mug"}})
    assert isinstance(item, Item)
    assert item.fields == {"id": "1", "title": "Mug"}
    assert isinstance(plan.normalize(1, {"id": 1, "name": "Mug", "node": "text"}), Item)


@pytest.mark.parametrize(
    ("kind", "is_item"),
    [("Product", True), (None, True), (["Thing", "Book"], True), ("WebSite", False), (["Thing"], False), (5, False)],
)  # fmt: skip
def test_a_record_of_another_kind_is_a_reject(tmp_path: Path, kind: Any, is_item: bool) -> None:
    outcome = plan_of(tmp_path).normalize(4, {"id": 1, "name": "Mug", "@type": kind})
    if is_item:
        assert isinstance(outcome, Item)
    else:
        assert isinstance(outcome, Reject)
        assert (outcome.position, outcome.item_id) == (4, None)
        assert [(p.pointer, p.rule) for p in outcome.problems] == [("/@type", "other_kind")]


def test_the_html_of_a_text_is_kept_beside_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    html = "<p>a</p><p>b</p>"
    assert made(plan, {"description": html}) == (
        {"description": "a\nb", "description_html": html},
        [],
    )
    fields, warnings = made(plan, {"description": [html, "c"], "description_html": "<i>raw</i>"})
    assert fields == {"description": "a\nb", "description_html": html}
    assert warnings == ["/description repeated_field"]
    raw = {"description": "plain", "description_html": "<i>raw</i>"}
    assert made(plan, raw) == (raw, [])
    only_an_image = {"description": "<img src='a.jpg'>"}
    assert made(plan, only_an_image) == (
        {"description_html": "<img src='a.jpg'>"},
        ["/description no_text"],
    )


def test_a_schema_can_name_the_html_itself(tmp_path: Path) -> None:
    schema = SCHEMA | {
        "properties": {
            "description_html": {"type": "string", "x-coerce": "any", "x-source": "rich"}
        }
    }
    plan = plan_of(tmp_path, schema)
    item = plan.normalize(1, {"id": 1, "title": "a", "description": "<p>b</p>", "rich": "<p>c</p>"})
    assert isinstance(item, Item)
    assert item.fields["description"] == "b"
    assert item.fields["description_html"] == "<p>c</p>"

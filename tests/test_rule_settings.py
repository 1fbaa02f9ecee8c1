"""[price_drop] and [back_in_stock] become settings, or every problem with its place and what to write instead."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from feedd.errors import ConfigError
from feedd.settings import Settings, load
from feedd.settings.rule_keys import (
    BACK_IN_STOCK,
    BACK_IN_STOCK_KEYS,
    PRICE_DROP,
    PRICE_DROP_KEYS,
    PROPERTIES,
    Drop,
    RuleSettings,
)

FEED = '[feeds.shop]\nurl = "https://shop.example/feed.xml"\ncatalog = "outlet"\n'
DOCS = Path(__file__).parent.parent / "docs" / "catalog-events.md"


def settings_of(folder: Path, text: str) -> Settings:
    path = folder / "feedd.toml"
    path.write_text(FEED + text)
    return load(path, environ={}, cwd=folder)


def problems_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings_of(folder, text)
    assert all(problem.line for problem in caught.value.problems)
    return [f"{p.key}: {p.message}. {p.hint}" for p in caught.value.problems]


def test_both_rules_are_on_by_themselves(tmp_path: Path) -> None:
    found = settings_of(tmp_path, "")
    assert (found.price_drop, found.back_in_stock) == (PRICE_DROP, BACK_IN_STOCK)
    assert found.price_drop.enabled
    assert found.back_in_stock.enabled


def test_everything_can_be_said(tmp_path: Path) -> None:
    text = """
[price_drop]
enabled = false
metric = "Cheaper"
metrics = ["Liked", "Viewed Product", "Liked"]
properties = ["ProductID", "Items.SKU", ["a.b", "c"]]
until = []
within = "1w"
min_drop = 2.5
catalogs = ["outlet"]
[back_in_stock]
within = "forever"
"""
    found = settings_of(tmp_path, text)
    assert found.price_drop == RuleSettings(
        name="price_drop",
        metric="Cheaper",
        metrics=("Liked", "Viewed Product"),
        enabled=False,
        properties=(("ProductID",), ("Items", "SKU"), ("a.b", "c")),
        until=(),
        within_s=7 * 86_400.0,
        min_drop=Drop(Decimal("2.5")),
        catalogs=("outlet",),
    )
    assert found.back_in_stock == BACK_IN_STOCK


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"5%"', Drop(Decimal(5), percent=True)),
        ('" 12.5 % "', Drop(Decimal("12.5"), percent=True)),
        ("3", Drop(Decimal(3))),
        ("0.1", Drop(Decimal("0.1"))),
        ("0", Drop(Decimal(0))),
    ],
)
def test_the_least_drop_is_a_part_or_an_amount(tmp_path: Path, value: str, expected: Drop) -> None:
    assert (
        settings_of(tmp_path, f"[price_drop]\nmin_drop = {value}").price_drop.min_drop == expected
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("price_drop = 1", "price_drop: is not a table. Write [price_drop]"),
        ("[price_drop]\nmin_drops = 1", "price_drop.min_drops: there is no such key. Did you mean min_drop?"),
        ("[back_in_stock]\nmin_drop = 1", "back_in_stock.min_drop: there is no such key."),
        ('[price_drop]\nmin_drop = "5"', "price_drop.min_drop: '5' is not a percentage."),
        ('[price_drop]\nmin_drop = "101%"', "price_drop.min_drop: '101%' is not a percentage."),
        ("[price_drop]\nmin_drop = -1", "price_drop.min_drop: is no part of a price."),
        ("[price_drop]\nmin_drop = inf", "price_drop.min_drop: is no part of a price."),
        ("[price_drop]\nmin_drop = true", "price_drop.min_drop: is no part of a price."),
        ('[price_drop]\nmetrics = "a"', "price_drop.metrics: is text, not a list."),
        ('[price_drop]\nmetrics = [""]', "price_drop.metrics[0]: is empty."),
        (f'[price_drop]\nmetric = "{"x" * 128}"', "price_drop.metric: is too long for the name of a metric."),
        ('[price_drop]\nproperties = ["a..b"]', "price_drop.properties[0]: is not a path to a property."),
        ("[price_drop]\nproperties = [[]]", "price_drop.properties[0]: is not a path to a property."),
        ('[price_drop]\nwithin = "soon"', "price_drop.within: 'soon' is not a length of time."),
        ('[price_drop]\ncatalogs = ["outlets"]', "price_drop.catalogs[0]: no feed has the catalog 'outlets'. Did you mean outlet?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_is(tmp_path: Path, text: str, problem: str) -> None:
    top = text if text.startswith("[") else ""
    path = tmp_path / "feedd.toml"
    if not top:
        path.write_text(f"{text}\n{FEED}")
        with pytest.raises(ConfigError) as caught:
            load(path, environ={}, cwd=tmp_path)
        (found,) = caught.value.problems
        assert f"{found.key}: {found.message}. {found.hint}".startswith(problem)
        return
    (told,) = problems_of(tmp_path, text)
    assert told.startswith(problem)


def test_the_catalog_of_a_feed_that_cannot_be_used_is_one_all_the_same(tmp_path: Path) -> None:
    text = '[price_drop]\ncatalogs = ["b"]\n[feeds.b]\ncatalog = "b"\n'
    assert [each.split(":")[0] for each in problems_of(tmp_path, text)] == ["feeds.b"]


@pytest.mark.parametrize(
    ("rule", "key"),
    [("price_drop", k) for k in PRICE_DROP_KEYS] + [("back_in_stock", k) for k in BACK_IN_STOCK_KEYS],
    ids=lambda each: getattr(each, "name", each),
)  # fmt: skip
def test_a_documented_default_is_the_default(tmp_path: Path, rule: str, key: Any) -> None:
    if not key.default.startswith("("):
        found = settings_of(tmp_path, f"[{rule}]\n{key.name} = {key.default}")
        assert (found.price_drop, found.back_in_stock) == (PRICE_DROP, BACK_IN_STOCK)


def test_every_field_of_a_rule_has_a_key() -> None:
    fields = set(RuleSettings.__struct_fields__) - {"name", "once"}
    assert {key.field for key in PRICE_DROP_KEYS} == fields
    assert {key.field for key in BACK_IN_STOCK_KEYS} == fields - {"min_drop"}


def test_the_page_lists_the_metrics_and_properties_of_shops() -> None:
    page = DOCS.read_text()
    who = page.split("## Who is told\n")[1].split("\n## ")[0]
    quoted = re.findall(r"`([A-Z][A-Za-z ]+)`", who)
    metrics = (*PRICE_DROP.metrics, *PRICE_DROP.until, *BACK_IN_STOCK.metrics)
    assert set(metrics) <= set(quoted)
    which = page.split("## Which item an event names\n")[1].split("\n## ")[0]
    assert {step for path in PROPERTIES for step in path} <= set(re.findall(r"`([^`]+)`", which))

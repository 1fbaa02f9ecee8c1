"""Where the fields of an item are, in records whose keys no schema knows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.propose import propose
from feedd.propose.names import NAMES, likeness, words_of
from feedd.propose.values import CHECKS, is_gtin, is_image, is_page

ALL = tuple(NAMES)


def places(records: list[dict[str, Any]], missing: tuple[str, ...] = ALL) -> dict[str, str]:
    return {each.field: ".".join(each.path) for each in propose(records, missing=missing)}


def shop(count: int = 4, **same: Any) -> list[dict[str, Any]]:
    return [
        {
            "artikelnummer": f"A-{n}",
            "bezeichnung": f"Tasse Nummer {n}",
            "preis": f"{n},50 EUR",
            "url": f"https://laden.example/t/{n}",
            "bild": f"https://laden.example/t/{n}.jpg",
            "marke": "Porzellan & Co",
            "warengruppe": "Geschirr > Tassen",
            "lagerbestand": n,
        }
        | same
        for n in range(1, count + 1)
    ]


def test_names_in_other_languages_are_known() -> None:
    assert places(shop()) == {
        "id": "artikelnummer", "title": "bezeichnung", "price": "preis", "link": "url", "image_link": "bild",
        "brand": "marke", "categories": "warengruppe", "inventory_quantity": "lagerbestand",
    }  # fmt: skip


def test_only_what_is_missing_is_proposed_and_nothing_that_is_taken() -> None:
    assert places(shop(), ("price", "gtin")) == {"price": "preis"}
    assert propose(shop(), missing=ALL, taken=set(shop()[0])) == []


def test_places_deeper_down_are_found() -> None:
    records = [
        {
            "core": {"sku": f"s{n}", "name": f"Mug {n}"},
            "pricing": {"amount": n},
            "media": [{"src": f"https://x.example/{n}-{i}.png"} for i in range(2)],
        }
        for n in range(3)
    ]
    found = places(records, ("id", "title", "price", "image_link"))
    assert found == {
        "id": "core.sku",
        "title": "core.name",
        "price": "pricing.amount",
        "image_link": "media.*.src",
    }


def test_values_decide_where_names_say_nothing() -> None:
    records = [
        {
            "f1": f"k{n}",
            "f2": f"Long words number {n}",
            "f3": code,
            "f4": f"https://x.example/{n}.webp",
            "f5": f"https://x.example/p/{n}",
        }
        for n, code in enumerate(["4006381333931", "4006381333948", "4006381333955"])
    ]
    assert places(records) == {
        "id": "f1",
        "title": "f2",
        "gtin": "f3",
        "image_link": "f4",
        "link": "f5",
    }


def test_values_that_do_not_fit_outweigh_a_name() -> None:
    records = [
        {"id": "same", "code": f"c{n}", "price": "on request", "status": "live"} for n in range(3)
    ]
    found = places(records, ("id", "price", "availability"))
    assert found == {"id": "code"}


def test_one_place_serves_one_field() -> None:
    found = places([{"label": f"Mug {n}"} for n in range(3)], ("title", "brand"))
    assert found == {"title": "label"}


def test_why_is_told_with_an_example() -> None:
    (price,) = propose(shop(), missing=["price"])
    assert (price.reason, price.example) == ("named like it, and all its values fit", "1,50 EUR")


def test_keys_with_dots_keep_their_steps() -> None:
    (found,) = propose([{"a.b": {"price": n}} for n in range(3)], missing=["price"])
    assert found.path == ("a.b", "price")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mainImage_URL", ("main", "image", "url")),
        ("g:sale-price", ("sale", "price")),
        ("Größe", ("grosse",)),
        ("EANCode", ("ean", "code")),
        ("@id", ("id",)),
        ("", ()),
    ],
)
def test_keys_are_split_into_words(name: str, words: tuple[str, ...]) -> None:
    assert words_of(name) == words


def test_own_names_rank_before_parts_and_depth() -> None:
    assert likeness("price", ("price",)) > likeness("price", ("offer", "price"))
    assert likeness("price", ("offer", "price")) > likeness("price", ("price_old",)) > 0
    assert likeness("price", ("weight",)) == 0


@pytest.mark.parametrize(
    ("value", "right"),
    [("4006381333931", True), (4006381333931, True), ("4006381333932", False), ("00000000", False), ("12", False),
     ("96385074", True), (None, False), ("٤٠٠٦٣٨١٣٣٣٩٣١", False)],
)  # fmt: skip
def test_a_gtin_has_its_check_digit(value: Any, right: bool) -> None:
    assert is_gtin(value) is right


def test_images_and_pages_are_told_apart() -> None:
    assert is_image("https://x.example/a.JPG?v=2")
    assert not is_image("https://x.example/a")
    assert is_page("https://x.example/a")
    assert not is_page("https://x.example/a.png")


def test_every_field_has_names_and_a_check() -> None:
    assert NAMES.keys() == CHECKS.keys()
    for field, names in NAMES.items():
        assert len(set(names)) == len(names), field
        assert all("".join(words_of(name)) == name for name in names), field


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(st.lists(st.dictionaries(st.sampled_from(["id", "name", "x", "price"]), json_values), max_size=6))  # fmt: skip
def test_any_records_give_proposals_or_none(records: list[dict[str, Any]]) -> None:
    found = propose(records, missing=ALL)
    assert len({each.path for each in found}) == len(found)

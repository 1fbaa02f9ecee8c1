"""Where the fields of an item are, in records whose keys no schema knows."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.propose import propose
from feedd.propose.names import NAMES, likeness, words_of
from feedd.propose.values import CHECKS, is_address, is_gtin, is_image, is_page

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


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("Артикул", "Наименование", "Цена", "Картинка", "Производитель", "Остаток"), "Cyrillic"),
        (("κωδικός", "τίτλος", "τιμή", "εικόνα", "κατασκευαστής", "ποσότητα"), "Greek"),
        (("商品编号", "商品名称", "价格", "图片", "品牌", "库存"), "Chinese"),
        (("商品コード", "商品名", "販売価格", "画像", "ブランド", "在庫数"), "Japanese"),
        (("상품번호", "상품명", "가격", "이미지", "브랜드", "재고"), "Korean"),
        (("ProductCode", "ProductName", "PriceGross", "ImageUrl", "Manufacturer", "StockQty"), "Pascal case"),
        (("PRODUCT_CODE", "PRODUCT_NAME", "PRICE_VAT", "IMG_URL", "MANUFACTURER", "STOCK_AMOUNT"), "upper case"),
        (("@id", "@name", "@price", "@img", "@brand", "@stock"), "attributes"),
        (("my_shop_product_id", "web_product_name", "price_eur", "main_image_url", "brand_name", "qty"), "more words"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_names_in_other_scripts_and_spellings_are_known(names: tuple[str, ...], found: str) -> None:
    records = [
        dict(zip(names, (f"K-{n}", f"Mug number {n}", f"{n}.50", f"https://x.example/{n}.jpg", "Acme", n), strict=True))
        for n in range(2, 6)
    ]  # fmt: skip
    fields = ("id", "title", "price", "image_link", "brand", "inventory_quantity")
    assert places(records, fields) == dict(zip(fields, names, strict=True)), found


@pytest.mark.parametrize(
    ("field", "key", "values"),
    [
        ("id", "PRICE_VAT", ["299.00", "159.50", "12.90"]),
        ("id", "lastmod", ["2026-01-01", "2026-01-02", "2026-01-03"]),
        ("id", "position", [1, 2, 3]),
        ("id", "nth", [1, 2, 3]),
        ("title", "country", ["DE", "DE", "AT"]),
        ("title", "reference", ["demo_1", "demo_2", "demo_3"]),
        ("title", "name", ["Same", "Same", "Same"]),
        ("price", "price_in_cents", [1999, 2999, 3999]),
        ("price", "delivery_cost", ["4.90", "5.90", "6.90"]),
        ("price", "old_price", ["4.90", "5.90", "6.90"]),
        ("availability", "sold_out", [True, False, True]),
        ("categories", "@type", ["Product", "Offer", "Product"]),
        ("categories", "type", ["simple", "simple", "simple"]),
        ("categories", "category_id", [7, 8, 9]),
        ("description", "deliveryDescription", ["In two days", "Tomorrow", "Soon"]),
        ("link", "selfLink", [f"https://api.example/{n}" for n in range(3)]),
        ("link", "enclosure", [f"https://x.example/{n}.mp3" for n in range(3)]),
        ("link", "url", ["https://company.example"] * 3),
        ("mpn", "model", ["Trax LT", "Blazer", "Equinox"]),
        ("image_link", "brand_logo", [f"https://x.example/{n}.png" for n in range(3)]),
    ],
)  # fmt: skip
def test_what_only_sounds_or_looks_like_a_field_is_not_proposed(
    field: str, key: str, values: list[Any]
) -> None:
    assert places([{key: value} for value in values], (field,)) == {}


def test_what_belongs_to_something_else_is_not_the_items() -> None:
    records = [
        {
            "seller": {"id": f"s{n}", "name": f"Seller {n}", "url": f"https://s.example/{n}"},
            "brand": {"id": n, "name": f"Brand {n}"},
        }
        for n in range(3)
    ]
    assert places(records, ("id", "title", "link", "brand")) == {"brand": "brand.name"}


def test_a_page_or_a_bar_code_of_its_own_may_be_the_id_too() -> None:
    pages = [{"name": f"Mug {n}", "url": f"https://x.example/{n}"} for n in range(3)]
    assert places(pages, ("id", "title", "link")) == {"id": "url", "title": "name", "link": "url"}
    codes = [
        {"name": f"Mug {n}", "ean": code}
        for n, code in enumerate(["4006381333931", "4006381333948"])
    ]
    assert places(codes, ("id", "title", "gtin")) == {"id": "ean", "title": "name", "gtin": "ean"}


def test_a_short_description_is_the_title_where_there_is_no_other_text() -> None:
    records = [{"code": f"X{n}", "description": f"Steel bolt M{n}"} for n in range(3)]
    assert places(records) == {"id": "code", "title": "description"}


def test_an_id_without_a_title_is_only_proposed_by_its_name() -> None:
    assert places([{"a": f"k{n}", "b": n} for n in range(3)], ("id", "title")) == {}
    assert places([{"sku": f"k{n}", "b": n} for n in range(3)], ("id", "title")) == {"id": "sku"}


def test_only_what_is_missing_is_proposed_and_nothing_that_is_taken() -> None:
    assert places(shop(), ("price", "gtin")) == {"price": "preis"}
    assert propose(shop(), missing=[f for f in ALL if f != "id"], taken=set(shop()[0])) == []


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
    assert (price.reason, price.example) == ("its name", "1,50 EUR")


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
    assert likeness("price", ("offer", "price")) > likeness("price", ("price_eur",)) > 0
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


@pytest.mark.parametrize("value", ["a" + "/" * 60 + " b", ".jpg?" * 20_000 + "\nb", "/a" * 50_000])
def test_a_value_that_is_nearly_an_address_takes_no_long_time(value: str) -> None:
    began = time.process_time()
    assert not is_address(value)
    assert not is_image(value)
    assert time.process_time() - began < 1


def test_every_field_has_names_and_a_check() -> None:
    assert NAMES.keys() == CHECKS.keys()
    for field, names in NAMES.items():
        assert len(set(names)) == len(names), field
        folded = ["".join(words_of(name)) for name in names]
        assert all(folded), field
        assert len(set(folded)) == len(folded), field
        assert all(
            name == word for name, word in zip(names, folded, strict=True) if name.isascii()
        ), field


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(st.lists(st.dictionaries(st.sampled_from(["id", "name", "x", "price"]), json_values), max_size=6))  # fmt: skip
def test_any_records_give_proposals_or_none(records: list[dict[str, Any]]) -> None:
    found = propose(records, missing=ALL)
    assert len({each.path for each in found if each.field != "id"}) == len(
        [e for e in found if e.field != "id"]
    )

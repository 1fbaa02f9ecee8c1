"""Coercions: a table of what each makes of what, and the laws that hold for all."""

from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedd.coerce import COERCIONS, MANY, Noted, Refused, excerpt
from feedd.coerce.links import url, urls

INFINITY = float("inf")
DEEP: Any = []
for _ in range(70):
    DEEP = [DEEP]

# name: what is given, and the value, `None` for nothing there, or the rule of a refusal after "!".
ROWS: dict[str, list[tuple[Any, Any]]] = {
    "any": [
        ("as is ", "as is "),
        ({"a": None, "b": [1, None, {"c": None}]}, {"b": [1, {}]}),
        ("a\x00b\x07", "ab"),
        ({"k\x00": "v\ud800"}, {"k": "v\N{REPLACEMENT CHARACTER}"}),
        (2**80, 2**80),
        (float("nan"), "!not_finite"),
        ([{"x": INFINITY}], "!not_finite"),
        (DEEP, "!too_deep"),
        (object(), "!not_json"),
    ],
    "availability": [
        ("in stock", "in_stock"),
        ("In Stock", "in_stock"),
        ("in_stock", "in_stock"),
        (True, "in_stock"),
        ("true", "in_stock"),
        ("available", "in_stock"),
        ("https://schema.org/InStock", "in_stock"),
        ("http://schema.org/PreOrder", "preorder"),
        ("schema.org/InStock", "in_stock"),
        ({"@code": "1"}, None),
        ("https://schema.org/BackOrder/", "backorder"),
        ("outofstock", "out_of_stock"),
        ("Out of stock.", "out_of_stock"),
        ("sold-out", "out_of_stock"),
        ("discontinued", "out_of_stock"),
        (False, "out_of_stock"),
        ("pre-order", "preorder"),
        ("available for order", "backorder"),
        ("", None),
        ("in 3 weeks", "!availability_unknown"),
        (12, "!availability_unknown"),
        (["in stock"], "!availability_unknown"),
    ],
    "availability_of_any": [
        (["out of stock", "preorder", "nonsense"], "preorder"),
        ([False, True], "in_stock"),
        ("sold out", "out_of_stock"),
        (["nonsense"], "!availability_unknown"),
        ([None, {}], None),
    ],
    "boolean": [
        *[(given, True) for given in (True, 1, 1.0, "1", "true", "TRUE", "t", "yes", "Y ")],
        *[(given, False) for given in (False, 0, "0", "false", "F", "no", "n")],
        ("", None),
        ("on sale", "!not_a_boolean"),
        (2, "!not_a_boolean"),
        ([], "!not_a_boolean"),
    ],
    "category_bars": [
        ("Heureka.cz | Shoes | Women", ["Heureka.cz > Shoes > Women"]),
        (["A | B", "A > B", "C|D"], ["A > B", "C|D"]),
        ([], None),
        ({"x": 1}, "!not_text"),
    ],
    "category_path": [
        ("Home > Garden>Pots", ["Home > Garden > Pots"]),
        ("Home &gt; Pots &amp; Pans", ["Home > Pots & Pans"]),
        ("Shoes » Women › Boots", ["Shoes > Women > Boots"]),
        ("> Shoes > > Women >", ["Shoes > Women"]),
        ("Home, Furniture & DIY", ["Home, Furniture & DIY"]),
        ("Stains / Pigment", ["Stains / Pigment"]),
        (["A>B", "A > B", "", None, "C"], ["A > B", "C"]),
        ([{"id": 3, "name": "Boots"}, {"title": "Hats"}], ["Boots", "Hats"]),
        (7333382, ["7333382"]),
        (["A", {"x": 1}], ["A"]),
        ("بيت > حديقة", ["بيت > حديقة"]),
        (">", None),
        ([], None),
        ({"x": 1}, "!not_text"),
    ],
    "condition": [
        ("New", "new"),
        ("brand new", "new"),
        ("https://schema.org/NewCondition", "new"),
        ("used_like_new", "used"),
        ("Pre-owned", "used"),
        ("renewed", "refurbished"),
        ("broken", "!condition_unknown"),
        (True, "!condition_unknown"),
    ],
    "currency": [
        ("EUR", "EUR"),
        (" usd ", "USD"),
        ("€", "EUR"),
        ("zł", "PLN"),
        ("R$", "BRL"),
        ("ج.م", "EGP"),
        ("RUR", "RUB"),
        ("грн.", "UAH"),
        ("$", "!currency_ambiguous"),
        ("kr", "!currency_ambiguous"),
        ("XYZ", "!currency_unknown"),
        (5, "!currency_unknown"),
        ("", None),
    ],
    "date": [
        ("2014-09-30", "2014-09-30T00:00:00Z"),
        ("2014-09-30 13:34:08", "2014-09-30T13:34:08Z"),
        ("2014-09-30T13:34:08", "2014-09-30T13:34:08Z"),
        ("2014-09-30T13:34:08.25+02:00", "2014-09-30T11:34:08.250000Z"),
        ("2014-09-30 13:34:08 -0500", "2014-09-30T18:34:08Z"),
        ("2014-09-30 13:34:08 UTC", "2014-09-30T13:34:08Z"),
        ("2014-09-30T13:34Z", "2014-09-30T13:34:00Z"),
        ("20140930T133408Z", "2014-09-30T13:34:08Z"),
        ("Tue, 30 Sep 2014 13:34:08 EST", "2014-09-30T18:34:08Z"),
        ("Tue, 30 Sep 2014 13:34:08 PDT", "2014-09-30T20:34:08Z"),
        ("0000-00-00 00:00:00", None),
        ("20140930", "2014-09-30T00:00:00Z"),
        ("Tue, 30 Sep 2014 13:34:08 GMT", "2014-09-30T13:34:08Z"),
        ("Tue, 30 Sep 2014 13:34:08 +0200", "2014-09-30T11:34:08Z"),
        ("30 Sep 2014 13:34:08", "2014-09-30T13:34:08Z"),
        ("Sep 30, 2014", "2014-09-30T00:00:00Z"),
        ("September 30, 2014 1:34 PM", "2014-09-30T13:34:00Z"),
        ("09/30/14 13:34", "2014-09-30T13:34:00Z"),
        ("30/09/2014", "2014-09-30T00:00:00Z"),
        ("05/06/2014", "2014-05-06T00:00:00Z"),
        ("01/02/70", "1970-01-02T00:00:00Z"),
        ("30.09.2014 13:34", "2014-09-30T13:34:00Z"),
        ("2014/09/30", "2014-09-30T00:00:00Z"),
        (1412084048, "2014-09-30T13:34:08Z"),
        ("1412084048", "2014-09-30T13:34:08Z"),
        (1412084048000, "2014-09-30T13:34:08Z"),
        ("", None),
        ("2014-02-30", "!date_not_understood"),
        ("0001-01-01T00:00:00+14:00", "!date_not_understood"),
        ("31 Foo 2014", "!date_not_understood"),
        ("soon", "!date_not_understood"),
        (2014, "!date_not_understood"),
        (True, "!date_not_understood"),
        (INFINITY, "!date_not_understood"),
    ],
    "id": [
        ("A-1", "A-1"),
        (" 0012 ", "0012"),
        (12, "12"),
        (-3, "-3"),
        (2**70, "1180591620717411303424"),
        ("منتج 1", "منتج 1"),
        ({"@type": "sku", "#text": "5"}, "5"),
        ("&amp;", "&amp;"),
        (1.0, "!id_not_text"),
        (True, "!id_not_text"),
        ({"x": 1}, "!id_not_text"),
        ({}, "!id_empty"),
        ({"@xsi:nil": "true"}, "!id_empty"),
        ({"#text": "5", "part": "6"}, "!id_not_text"),
        ("  ", "!id_empty"),
        ("a\x00b", "!id_control_characters"),
        ("a\nb", "!id_control_characters"),
        ("x" * 256, "!id_too_long"),
        (10**5000, "!id_too_long"),
    ],
    "integer": [
        (5, 5),
        (-5, -5),
        (5.0, 5),
        ("5.0", 5),
        ("1,234", 1234),
        ("٤٢", 42),
        ("9007199254740993", 9007199254740993),
        ("9,007,199,254,740,993.00", 9007199254740993),
        ("", None),
        ("5.5", "!not_an_integer"),
        (5.5, "!not_an_integer"),
        (2**63, "!number_too_large"),
        ("1" * 30, "!number_too_large"),
        ("5 pcs", "!not_a_number"),
        (True, "!not_a_number"),
    ],
    "inventory_policy": [
        (1, 1),
        ("2", 2),
        (0, 0),
        ("deny", 1),
        ("continue", 2),
        (3, "!inventory_policy_unknown"),
        (True, "!inventory_policy_unknown"),
    ],
    "line": [
        ("Red shoe", "Red shoe"),
        ("  Red\n\tshoe  ", "Red shoe"),
        ("Red\u00a0shoe", "Red shoe"),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("Tom &amp;amp; Jerry", "Tom & Jerry"),
        ("5&#39;&quot; &lt;b&gt;", "5'\" <b>"),
        ("AT&T &notit; &c", "AT&T &notit; &c"),
        ("a\x00\x1fb", "ab"),
        ("\u200fكتاب\u200f", "\u200fكتاب\u200f"),
        (42, "42"),
        (42.0, "42"),
        (4.5, "4.5"),
        ({"@lang": "en", "#text": "Boot"}, "Boot"),
        ({"@lang": "en"}, None),
        ({"#text": "Boot", "b": "red"}, "!not_text"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        (" \x00 ", None),
        (True, "!not_text"),
        (INFINITY, "!not_text"),
        ({"a": "b"}, "!not_text"),
        (10**5000, "!not_text"),
    ],
    "number": [
        (5, 5),
        (5.5, 5.5),
        (5.0, 5),
        ("-5,5", -5.5),
        ("1e3", 1000),
        ("1,234.50", 1234.5),
        ("1.299", 1.299),
        ("", None),
        ("1e400", "!not_finite"),
        ("NaN", "!not_a_number"),
        (float("nan"), "!not_finite"),
        ("5 kg", "!not_a_number"),
        (False, "!not_a_number"),
        ([], "!not_a_number"),
    ],
    "pairs": [
        ([{"@name": "Size", "@unit": "cm", "#text": " 36 "}], {"Size": "36 cm"}),
        ({"@name": "Size", "#text": "36"}, {"Size": "36"}),
        (
            [{"name": "a", "value": 1}, {"name": "a", "value": 2}, {"name": "a", "value": 1}],
            {"a": [1, 2]},
        ),
        ([{"name": "Color", "options": ["Red", "Blue"]}], {"Color": ["Red", "Blue"]}),
        ([{"name": "Color", "terms": [{"id": 1, "name": "Red"}]}], {"Color": ["Red"]}),
        (
            [
                {"attribute_code": "x", "value": ""},
                None,
                {"key": "y", "value": {"z": None, "w": 1}},
            ],
            {"y": {"w": 1}},
        ),
        ([{"name": "@type", "value": "x"}], {"type": "x"}),
        ({"name": "a", "n": None}, {"name": "a"}),
        (["a"], "!not_pairs"),
        ("a", "!not_pairs"),
        ([{"name": "a", "value": float("nan")}], "!not_finite"),
        ([], None),
    ],
    "price": [
        (19.99, 19.99),
        (20.0, 20),
        (0, 0),
        (-0.0, 0),
        ("", None),
        (True, "!price_not_understood"),
        (-1, "!price_negative"),
        ("-5.00 USD", "!price_negative"),
        ("-$5", "!price_negative"),
        (float("nan"), "!price_not_understood"),
        (INFINITY, "!price_too_large"),
        ("1e400", "!price_not_understood"),
        ("NaN", "!price_not_understood"),
        (10**20, "!price_too_large"),
        ("9" * 16, "!price_too_large"),
        ("9" * 200, "!price_not_understood"),
        ("10-20", "!price_range"),
        ("10 USD – 20 USD", "!price_range"),
        ("10 to 20", "!price_range"),
        ("call us", "!price_not_understood"),
        ("from 10", "!price_not_understood"),
        ("1,2,3", "!price_not_understood"),
        ("1.'00", "!price_not_understood"),
        ("1. 00 EUR", "!price_not_understood"),
        ("10 20", "!price_not_understood"),
        ("EUR 5 USD", "!price_not_understood"),
        ("5 pcs", "!price_not_understood"),
        ({"value": {"x": 1}}, "!price_not_understood"),
        ({"value": None, "currency": "EUR"}, None),
        ({"@currency": "EUR"}, None),
        ({"min": 1}, "!price_not_understood"),
        ([1], "!price_not_understood"),
    ],
    "strings": [
        ("apparel, t-shirt,,new ", ["apparel", "t-shirt", "new"]),
        (["a, b", "c", "c", None, ""], ["a, b", "c"]),
        (5, ["5"]),
        (",", None),
        ({"a": 1}, "!not_text"),
    ],
    "text": [
        ("  two\r\nlines\r ", "two\nlines"),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("&lt;p&gt;Tom &amp;amp; Jerry&lt;/p&gt;", "Tom & Jerry"),
        ("<p>5 &lt; 6</p>", "5 < 6"),
        ("5 < 6 & 7 > 3, <3, <you>", "5 < 6 & 7 > 3, <3, <you>"),
        ("a <b and c > d", "a <b and c > d"),
        ("<p>Use &lt;b&gt; for bold</p>", "Use for bold"),
        ("<img src='a.jpg'>", None),
        ("<p>a&#13;b</p>", "a b"),
        ("x&#13;y", "x\ny"),
        ("&amp;lt;p&amp;gt;twice&amp;lt;/p&amp;gt;", "twice"),
        ("a  b\x00", "a  b"),
        ("   ", None),
        (7, "7"),
        ({"#text": "after", "p": "lost"}, "!not_text"),
        (["a"], "!not_text"),
    ],
    "total": [
        ([3, "4", None, "many"], 7),
        ([-3, 2.0], -1),
        (5, 5),
        (["many"], "!not_a_number"),
        ([2**62, 2**62], "!number_too_large"),
        ([], None),
    ],
    "url": [
        ("https://shop.example/a", "https://shop.example/a"),
        (" http://shop.example/a b.jpg\n", "http://shop.example/a%20b.jpg"),
        ("https://shop.example/?a=1&amp;b=2", "https://shop.example/?a=1&b=2"),
        ("https://shop.example/منتج", "https://shop.example/منتج"),
        ('https://shop.example/"><script>', "https://shop.example/%22%3E%3Cscript%3E"),
        ("HTTPS://shop.example/", "HTTPS://shop.example/"),
        ("//cdn.shop.example/a.jpg", "https://cdn.shop.example/a.jpg"),
        ("images/a b.webp", "images/a%20b.webp"),
        ({"@href": "https://shop.example/"}, "https://shop.example/"),
        ({"src": "https://shop.example/a.jpg"}, "https://shop.example/a.jpg"),
        ({"@src": "https://shop.example/a.jpg"}, "https://shop.example/a.jpg"),
        ({"@rel": "alternate", "@href": "https://shop.example/"}, "https://shop.example/"),
        ({"@rel": "self", "@href": "https://shop.example/feed"}, None),
        ("", None),
        ("java\nscript:alert(1)", "!url_scheme"),
        ("ftp://shop.example/", "!url_scheme"),
        ("data:image/png;base64,AAAA", "!url_scheme"),
        ("https://", "!url_no_host"),
        ("https:///path", "!url_no_host"),
        ("http:shop", "!url_no_host"),
        (5, "!url_not_text"),
        ({"x": "y"}, "!url_not_text"),
    ],
    "urls": [
        (
            "https://a.example/1.jpg, https://a.example/2.jpg",
            ["https://a.example/1.jpg", "https://a.example/2.jpg"],
        ),
        ("https://a.example/1,2.jpg", ["https://a.example/1,2.jpg"]),
        (["https://a.example/1", None, "", "https://a.example/1"], ["https://a.example/1"]),
        ([{"url": "https://a.example/1"}, "javascript:x"], ["https://a.example/1"]),
        (
            ["https://a.example/1,https://a.example/2", "https://a.example/3"],
            ["https://a.example/1", "https://a.example/2", "https://a.example/3"],
        ),
        ([], None),
    ],
}

PRICES = [
    ("19.99 USD", 19.99, "USD"),
    ("USD 19.99", 19.99, "USD"),
    ("19.99 usd", 19.99, "USD"),
    ("19.99USD", 19.99, "USD"),
    ("$1,299.00", 1299, ""),
    ("$ 5 CAD", 5, "CAD"),
    ("US$5", 5, "USD"),
    ("1.299,00 €", 1299, "EUR"),
    ("EUR €5", 5, "EUR"),
    ("1 299,00 zł", 1299, "PLN"),
    ("1\u00a0299,00\u202fzł", 1299, "PLN"),
    ("1'299.00 CHF", 1299, "CHF"),
    ("1’299.00 CHF", 1299, "CHF"),
    ("₪ 99.90", 99.9, "ILS"),
    ("50 NIS", 50, "ILS"),
    ("EGP 6,250.00", 6250, "EGP"),
    ("6250.00 EGP", 6250, "EGP"),
    ("٦٢٥٠ ج.م", 6250, "EGP"),
    ("٦٬٢٥٠٫٥٠ ج.م.", 6250.5, "EGP"),
    ("R$ 10,50", 10.5, "BRL"),
    ("Rs. 1,999", 1999, ""),
    ("Rs.1999", 1999, ""),
    ("1,23,45,678.90 INR", 12345678.9, "INR"),
    ("S/.10", 10, "PEN"),
    ("$.99", 0.99, ""),
    ("12.- CHF", 12, "CHF"),
    ("EUR 12,–", 12, "EUR"),
    ("1.299,- kr", 1299, ""),
    ("1.299,-", 1299, None),
    ("SEK 1 299:-", 1299, "SEK"),
    ("５,０００円", 5000, "JPY"),
    ("100 руб.", 100, "RUB"),
    ("₫1.299.000", 1299000, "VND"),
    ("0 EGP", 0, "EGP"),
    ("1.500 KWD", 1.5, "KWD"),
    ({"value": "19.99", "currency": "USD"}, 19.99, "USD"),
    ({"#text": "5", "@currency": "EUR"}, 5, "EUR"),
    ("10,50", 10.5, None),
    ("12,-", 12, None),
    ("1,299", 1299, None),
    ("0.125", 0.125, None),
    ("0,500", 0.5, None),
    (".99", 0.99, None),
    ("-0.00", 0, None),
    ("1.234.567", 1234567, None),
]

AMBIGUOUS = [
    ("1.299", 1.299),
    ("12.345 USD", 12.345),
    ("1.299 €", 1299),
    ("$1.299", 1299),
    ("12,500 KWD", 12500),
]

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=6) | st.just("#text"), inner, max_size=4)
    ),
    max_leaves=8,
)
spelled = st.from_regex(r"\A(\$|EUR |€|Rs\.)?-?[0-9 .,']{1,12}( ?USD|zł| kr)?\Z") | st.from_regex(
    r"\A(&(amp;|lt;|#38;|b)){1,4}[<>a-z/ ]{0,6}\Z"
)


def plain(result: Any) -> Any:
    return result.value if isinstance(result, Noted) else result


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        pytest.param(name, raw, want, id=f"{name}-{row}")  # pytest cannot write out a huge integer
        for name, rows in ROWS.items()
        for row, (raw, want) in enumerate(rows)
    ],
)
def test_a_coercion_gives(name: str, raw: Any, expected: Any) -> None:
    result = COERCIONS[name](raw)
    if isinstance(expected, str) and expected.startswith("!"):
        assert isinstance(result, Refused)
        assert result.rule == expected[1:]
        assert result.hint.endswith(".")
    else:
        assert plain(result) == expected
        assert type(plain(result)) is type(expected)


@pytest.mark.parametrize(("raw", "amount", "currency"), PRICES)
def test_a_price_names_its_amount_and_currency(raw: Any, amount: Any, currency: Any) -> None:
    result = COERCIONS["price"](raw)
    assert (plain(result), type(plain(result))) == (amount, type(amount))
    assert (result.currency if isinstance(result, Noted) else None) == currency
    assert not (isinstance(result, Noted) and result.notes)


@pytest.mark.parametrize(("raw", "amount"), AMBIGUOUS)
def test_an_ambiguous_price_is_read_and_said(raw: str, amount: float) -> None:
    result = COERCIONS["price"](raw)
    assert result.value == amount
    assert [note.rule for note in result.notes] == ["ambiguous_price"]


def test_an_ambiguous_date_is_said() -> None:
    assert [note.rule for note in COERCIONS["date"]("05/06/2014").notes] == ["ambiguous_date"]


def test_what_is_dropped_from_a_list_is_said_with_its_place() -> None:
    notes = COERCIONS["urls"](["https://a.example/", "javascript:x", "b.jpg"]).notes
    assert [(note.index, note.rule) for note in notes] == [(1, "url_scheme"), (2, "relative_link")]
    assert COERCIONS["strings"](["a", {"b": 1}]).notes[0].index == 1


def test_every_coercion_has_rows_here_and_a_line_in_the_docs() -> None:
    docs = (Path(__file__).parent.parent / "docs/schemas.md").read_text()
    table = docs[docs.index("## Coercions") :]
    assert set(ROWS) == set(COERCIONS)
    for name in COERCIONS:
        assert f"\n| `{name}` |" in table, name
    assert set(COERCIONS) >= MANY


@pytest.mark.parametrize("name", COERCIONS)
def test_a_long_text_takes_no_more_than_its_length(name: str) -> None:
    started = perf_counter()
    for part in (" ", ",", "&", "&amp;", " >", "1", ".", "-", "<", "http://", "https://a,", "\n"):
        COERCIONS[name](f"a{part * 100_000}b")
    assert perf_counter() - started < 10


def test_an_excerpt_is_short_and_printable() -> None:
    assert excerpt("x" * 500) == "x" * 119 + "…"
    assert excerpt("a\x00\ud800") == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
    assert excerpt({"b": 1.0, "a": 1e3}) == "{a: 1000.0, b: 1.0}"
    assert excerpt({"a": [1, None, True], "b": {"c": {}}}) == "{a: [1, null, true], b: {c: {…}}}"
    assert excerpt(10**5000) == "a int"


@pytest.mark.parametrize("name", sorted(COERCIONS))
@given(raw=json_like | spelled)
@settings(max_examples=120, deadline=None)
def test_coercing_twice_is_coercing_once(name: str, raw: Any) -> None:
    once = COERCIONS[name](raw)
    value = plain(once)
    if value is None or isinstance(once, Refused):
        return
    assert plain(COERCIONS[name](value)) == value


@given(
    amount=st.integers(0, 10**9), style=st.sampled_from(["{:,.2f} USD", "{:.2f}", "EUR {:,.2f}"])
)
@settings(max_examples=100, deadline=None)
def test_a_price_survives_its_spellings(amount: int, style: str) -> None:
    written = style.format(amount / 100)
    for spelling in (written, written.replace(".", "@").replace(",", ".").replace("@", ",")):
        assert plain(COERCIONS["price"](spelling)) == amount / 100


@pytest.mark.parametrize(
    "text", ["&" + "amp;" * 50_000, "1 " * 50_000, "<" * 50_000, "&&#97;mp;" * 9]
)
def test_a_hostile_text_takes_no_long_time(text: str) -> None:
    for coerce in COERCIONS.values():
        value = plain(coerce(text))
        assert value is None or isinstance(value, Refused) or plain(coerce(value)) == value


@pytest.mark.parametrize(
    ("raw", "base", "link"),
    [
        ("a b.html", "https://shop.example/feeds/f.xml", "https://shop.example/feeds/a%20b.html"),
        ("/i/1.jpg", "https://shop.example/feeds/f.xml", "https://shop.example/i/1.jpg"),
        ("../x?y=1&amp;z=2", "https://shop.example/a/b/", "https://shop.example/a/x?y=1&z=2"),
        ("?id=5", "https://shop.example/a/b", "https://shop.example/a/b?id=5"),
        ("//cdn.example/a", "http://shop.example/", "https://cdn.example/a"),
        ("https://a.example/x", "http://shop.example/", "https://a.example/x"),
        ({"@href": "p/1"}, "https://shop.example", "https://shop.example/p/1"),
    ],
)
def test_a_relative_link_builds_on_the_base(raw: Any, base: str, link: str) -> None:
    assert url(raw, base) == link
    assert urls([raw], base) == [link]


@pytest.mark.parametrize(
    ("raw", "base"), [("www.shop.example/a", "https://a.example"), ("a", "http://[x"), ("a", None)]
)
def test_a_link_that_cannot_be_resolved_stays_with_a_note(raw: str, base: str | None) -> None:
    result = url(raw, base)
    assert isinstance(result, Noted)
    assert result.value == raw
    assert [note.rule for note in result.notes] == ["relative_link"]


def test_many_pairs_of_one_name_take_no_long_time() -> None:
    started = perf_counter()
    many = [{"name": "a", "value": [f"{n}-{m}" for m in range(100)]} for n in range(1_000)]
    assert len(COERCIONS["pairs"](many)["a"]) <= 1_100
    assert len(COERCIONS["pairs"]([{"name": "a", "value": n} for n in range(5_000)])["a"]) == 1_000
    assert perf_counter() - started < 5

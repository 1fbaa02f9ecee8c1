"""What a schema says about reading records: paths, sources, coercions, inheritance."""

from typing import Any

import pytest

from feedd.normalize.mapping import coercion_of, read_fields, sources_of
from feedd.normalize.paths import Template, filled, parse_path, parse_source, reach

VALUE = {
    "price": {"#text": "5", "@currency": "EUR"},
    "images": [{"src": "a"}, {"src": "b"}, {"alt": "no source"}],
    "image": {"src": "one"},
    "a.b": {"c": 1},
    "3": "by name",
    "empty": [],
    "offers": [
        {"sku": "a", "price": "9,50", "tags": "red"},
        {"sku": "b", "price": 5, "tags": ["blue"]},
        {"sku": "c", "price": "5 EUR", "tags": ["red", "green"]},
        {"sku": "d", "price": "much"},
        "e",
    ],
}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("id", ("id",)),
        ("images.0.src", ("images", "0", "src")),
        ("link.@href", ("link", "@href")),
        (["a.b", "c"], ("a.b", "c")),
        (("a.b",), ("a.b",)),
    ],
)
def test_a_path_has_steps(text: Any, path: tuple[str, ...]) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["", "a..b", ".a", [], [""], ["a", 0]])
def test_what_is_no_path_is_refused_with_an_example(text: Any) -> None:
    with pytest.raises(ValueError, match=r"is not a path; write one such as images\.0\.src"):
        parse_path(text)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("price.#text", "5"),
        ("price.@currency", "EUR"),
        ("price.amount", None),
        ("images.0.src", "a"),
        ("images.1.src", "b"),
        ("images.2.src", None),
        ("images.3.src", None),
        ("images.99999999999.src", None),
        ("images.*.src", ["a", "b"]),
        ("images.src", None),
        ("image.0.src", "one"),  # one element stands for a list of one
        ("image.1.src", None),
        ("image.*.src", ["one"]),
        (["a.b", "c"], 1),
        ("3", "by name"),
        ("empty.0", None),
        ("empty.*", []),
        ("missing", None),
        ("offers.[lowest price].sku", "b"),
        ("offers.[lowest weight].sku", "a"),
        ("empty.[lowest price].sku", None),
        ("price.[lowest #text].@currency", "EUR"),
        ("offers.[sku=c].price", ["5 EUR"]),
        ("offers.[tags=red].sku", ["a", "c"]),
        ("offers.[tags=bl*].sku", ["b"]),
        ("offers.[tags=red].[sku=c].price", ["5 EUR"]),
        ("offers.[sku=none].price", []),
        ("offers.*.tags.*", ["red", "blue", "red", "green"]),
        ("price.[@currency=EUR].#text", ["5"]),
        ("offers.[nonsense].sku", None),
    ],
)
def test_a_path_leads_to(path: Any, found: Any) -> None:
    assert reach(VALUE, parse_path(path)) == found


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{image.src} {3}", "one by name"),
        ("/p/{image.src}", "/p/one"),
        ("{price}", "5"),
        ("{image.src} {missing}", None),
        ("{image}", None),
        ("{empty}", None),
        ("cdn/{images.*.src}.jpg", ["cdn/a.jpg", "cdn/b.jpg"]),
        ("{images.*.src}-{image.src}", ["a-one", "b-one"]),
    ],
)
def test_a_template_is_filled_or_gives_nothing(text: str, made: Any) -> None:
    template = parse_source(text)
    assert isinstance(template, Template)
    assert filled(template, lambda path: reach(VALUE, path)) == made


@pytest.mark.parametrize("text", ["{", "{a", "{a}}", "{}", "a{{b}}", "{a..b}"])
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a "):
        parse_source(text)


@pytest.mark.parametrize(
    ("prop", "sources"),
    [
        ({}, (("price", ()),)),
        ({"x-source": "offer.price"}, (("offer", ("price",)),)),
        ({"x-source": ["g:price", "offer.price"]}, (("g:price", ()), ("offer", ("price",)))),
        ({"x-source": [["a.b", "c"], "d"]}, (("a.b", ("c",)), ("d", ()))),
    ],
)
def test_sources_are_a_path_or_alternatives(prop: dict[str, Any], sources: Any) -> None:
    assert sources_of(prop, "price") == sources


@pytest.mark.parametrize(
    ("prop", "name", "coercion"),
    [
        ({"type": "string"}, "x", "line"),
        ({"type": ["string", "null"]}, "x", "line"),
        ({"type": ["string", "number"]}, "x", "any"),
        ({"type": "string", "format": "date-time"}, "x", "date"),
        ({"type": "string", "format": "email"}, "x", "line"),
        *[({"type": "string", "format": f}, "x", "url") for f in ("uri", "iri", "uri-reference")],
        ({"type": "number"}, "x", "number"),
        ({"type": "integer"}, "x", "integer"),
        ({"type": "boolean"}, "x", "boolean"),
        ({"type": "array", "items": {"type": "string"}}, "x", "strings"),
        ({"type": "array", "items": {"type": "string", "format": "uri"}}, "x", "urls"),
        ({"type": "array", "items": {"type": "number"}}, "x", "any"),
        ({"type": "array"}, "x", "any"),
        ({"type": "object"}, "x", "any"),
        ({"enum": ["a"]}, "x", "any"),
        ({"type": "string", "x-coerce": "price"}, "x", "price"),
        ({}, "title", "line"),
        ({"x-coerce": "line"}, "id", "id"),  # an id is always read as one
    ],
)
def test_a_property_names_its_coercion_or_implies_it(
    prop: dict[str, Any], name: str, coercion: str
) -> None:
    assert coercion_of(prop, name) == coercion


BASE: dict[str, Any] = {
    "x-items": ["products"],
    "x-namespaces": {"g": "http://base.google.com/ns/1.0"},
    "properties": {
        "id": {"x-source": "sku"},
        "price": {"type": "number", "x-coerce": "price", "x-source": "cost"},
    },
}


def test_annotations_are_inherited_one_by_one_and_the_nearest_wins() -> None:
    fields = read_fields(
        {
            "$ref": "#/$defs/base",
            "x-items": ["goods"],
            "properties": {"price": {"x-source": "amount"}, "weight": {"type": "number"}},
            "$defs": {"base": BASE},
        },
        {},
    )
    assert fields.items == ("goods",)
    assert fields.namespaces == BASE["x-namespaces"]
    assert {f.name: (f.sources, f.coercion) for f in fields.fields} == {
        "id": ((("sku", ()),), "id"),
        "title": ((("title", ()),), "line"),
        "price": ((("amount", ()),), "price"),
        "weight": ((("weight", ()),), "number"),
    }


@pytest.mark.parametrize(
    "document",
    [
        {"allOf": [BASE]},
        {"allOf": [{"$ref": "#/$defs/a~1b"}], "$defs": {"a/b": BASE}},
        {"$ref": "#/allOf/0", "allOf": [BASE]},
        {"$ref": "other", "$defs": {"other": {"$id": "other", **BASE}}},
        {
            "$ref": "other",
            "$defs": {"other": {"$id": "other", "$ref": "#/$defs/in", "$defs": {"in": BASE}}},
        },
        {
            "properties": {"id": {"$ref": "#/$defs/sku"}, "price": {"allOf": [{"$ref": "#/$defs/p"}]}},
            "$defs": {"sku": BASE["properties"]["id"], "p": BASE["properties"]["price"]},
        },
        {"$ref": "#", **BASE},
    ],
)  # fmt: skip
def test_a_schema_is_read_through_what_it_builds_on(document: dict[str, Any]) -> None:
    fields = {f.name: f for f in read_fields(document, {}).fields}
    assert fields["id"].sources == (("sku", ()),)
    assert (fields["price"].sources, fields["price"].coercion) == ((("cost", ()),), "price")


def test_a_reference_that_leads_nowhere_is_refused() -> None:
    for reference in ("#/$defs/none", "none", "#/properties/none/x"):
        with pytest.raises(ValueError, match="leads nowhere"):
            read_fields({"$ref": reference}, {})


def test_a_persons_own_sources_replace_those_of_the_schema() -> None:
    fields = {f.name: f for f in read_fields(BASE, {"price": ("a", "b"), "mine": ("x",)}).fields}
    assert (fields["price"].sources, fields["price"].coercion) == ((("a", ("b",)),), "price")
    assert (fields["mine"].sources, fields["mine"].coercion) == ((("x", ()),), "any")
    assert fields["id"].sources == (("sku", ()),)

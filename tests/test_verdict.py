"""What a schema refuses is left out and said, or makes the record a reject."""

from typing import Any

import pytest

from feedd.model import Problem
from feedd.normalize.judging import Judge
from feedd.normalize.verdict import compiled, gathered, pointer, settle

ITEM: dict[str, Any] = {"type": "object", "required": ["id", "title"]}


def settled(schema: dict[str, Any], **fields: Any) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """The fields that are left, the warnings and the problems, each as (pointer, rule, value)."""
    given = {"id": "1", "title": "Mug", **fields}
    warnings: list[Problem] = []
    problems = settle(compiled({**ITEM, **schema}), given, warnings)
    left = {name: value for name, value in given.items() if name not in ("id", "title")}
    return (
        left,
        [(w.pointer, w.rule, w.value) for w in warnings],
        [(p.pointer, p.rule, p.value) for p in problems],
    )


@pytest.mark.parametrize(
    ("prop", "value", "rule", "hint"),
    [
        ({"type": "number"}, "5", "type", "Write this as number."),
        ({"type": ["string", "boolean"]}, 5, "type", "Write this as boolean, string."),
        ({"enum": ["a", "b"]}, "c", "enum", 'Write one of: a, b.'),
        ({"const": "a"}, "c", "const", "Write exactly a."),
        ({"minimum": 1}, 0, "minimum", "Write a number of at least 1."),
        ({"maximum": 1}, 2, "maximum", "Write a number of at most 1."),
        ({"exclusiveMinimum": 0}, 0, "exclusiveMinimum", "Write a number above 0."),
        ({"exclusiveMaximum": 1}, 1, "exclusiveMaximum", "Write a number below 1."),
        ({"multipleOf": 5}, 7, "multipleOf", "Write a multiple of 5."),
        ({"minLength": 3}, "ab", "minLength", "Write at least 3 characters."),
        ({"maxLength": 1}, "ab", "maxLength", "Shorten this to at most 1 characters."),
        ({"pattern": "^[A-Z]+$"}, "ab", "pattern", "Write it in the form that the schema asks for: ^[A-Z]+$"),
        ({"format": "email"}, "x", "format", "Write a valid email."),
        ({"minItems": 2}, ["a"], "minItems", "List at least 2 of them."),
        ({"maxItems": 1}, ["a", "b"], "maxItems", "List at most 1 of them."),
        ({"uniqueItems": True}, ["a", "a"], "uniqueItems", "List every value once."),
        ({"required": ["w"]}, {"h": 1}, "required", "Add w to the feed; the schema requires it."),
    ],
)  # fmt: skip
def test_a_field_that_breaks_its_schema_is_left_out_with_a_hint(
    prop: dict[str, Any], value: Any, rule: str, hint: str
) -> None:
    fields: dict[str, Any] = {"id": "1", "title": "Mug", "x": value, "y": 1}
    warnings: list[Problem] = []
    assert settle(compiled({**ITEM, "properties": {"x": prop}}), fields, warnings) == []
    assert fields == {"id": "1", "title": "Mug", "y": 1}
    assert [(w.pointer, w.rule, w.hint) for w in warnings] == [("/x", rule, hint)]


def test_any_other_rule_is_said_in_the_words_of_the_validator() -> None:
    prop = {"anyOf": [{"type": "number"}, {"enum": ["none"]}]}
    left, warnings, problems = settled({"properties": {"x": prop}}, x="y")
    assert (left, warnings, problems) == ({}, [("/x", "anyOf", "y")], [])


def test_of_a_list_only_the_element_is_left_out_and_alike_ones_are_said_once() -> None:
    schema = {"properties": {"tags": {"items": {"type": "string"}}}}
    left, warnings, _ = settled(schema, tags=["a", 1, "b", {"c": 2}])
    assert left == {"tags": ["a", "b"]}
    assert warnings == [("/tags/1", "type", "1")]
    assert settled(schema, tags=[1])[0] == {}


def test_what_is_inside_a_field_goes_with_the_field_and_inside_an_element_with_the_element() -> (
    None
):
    size = {"properties": {"w": {"type": "number"}}}
    schema = {"properties": {"size": size, "sizes": {"items": size}}}
    left, warnings, _ = settled(schema, size={"w": "x"}, sizes=[{"w": "x"}, {"w": 1}])
    assert left == {"sizes": [{"w": 1}]}
    assert [place for place, _, _ in warnings] == ["/size", "/sizes/0"]


@pytest.mark.parametrize("keyword", ["additionalProperties", "unevaluatedProperties"])
def test_fields_that_a_schema_forbids_are_left_out(keyword: str) -> None:
    schema = {"properties": {"id": {}, "title": {}, "x": {}}, keyword: False}
    left, warnings, problems = settled(schema, x=1, y=2, z=3)
    assert (left, problems) == ({"x": 1}, [])
    assert {(place, value) for place, _, value in warnings} == {("/y", "2"), ("/z", "3")}


def test_leaving_out_goes_on_until_the_schema_is_content() -> None:
    schema = {"properties": {"a": {"type": "number"}}, "dependentRequired": {"b": ["a"]}}
    left, warnings, problems = settled(schema, a="x")
    assert (left, len(warnings), problems) == ({}, 1, [])
    assert settled(schema, a="x", b=1)[2] != []


@pytest.mark.parametrize(
    ("schema", "fields", "problem"),
    [
        ({"required": ["brand"]}, {}, ("/brand", "required", None)),
        ({"properties": {"id": {"pattern": "^[A-Z]"}}}, {}, ("/id", "pattern", "1")),
        ({"properties": {"title": {"minLength": 5}}}, {}, ("/title", "minLength", "Mug")),
        ({"minProperties": 5}, {}, ("", "minProperties", None)),
        ({"not": {"required": ["x"]}}, {"x": 1}, ("", "not", None)),
    ],
)
def test_what_cannot_be_left_out_makes_a_reject(
    schema: dict[str, Any], fields: dict[str, Any], problem: Any
) -> None:
    assert settled(schema, **fields)[2] == [problem]


def test_nothing_is_fetched_while_a_schema_is_compiled() -> None:
    for uri in ("https://schemas.example/x.json", "file:///etc/passwd"):
        with pytest.raises(ValueError, match="nothing is fetched"):
            compiled({"$ref": uri})


def test_a_pointer_escapes_its_steps() -> None:
    assert pointer() == ""
    assert pointer("a/b~c", 3) == "/a~1b~0c/3"


def test_problems_of_one_kind_in_one_list_are_gathered() -> None:
    def problem(place: str, rule: str = "url_scheme") -> Problem:
        return Problem(pointer=place, rule=rule, value=place, hint="Write it.")

    first, other, field = problem("/links/0"), problem("/links/1", "other"), problem("/5")
    alike = [first, other, problem("/links/2"), problem("/links/7"), field, problem("/6")]
    told = gathered(alike)
    assert [(p.pointer, p.rule) for p in told] == [
        ("/links/0", "url_scheme"),
        ("/links/1", "other"),
        ("/5", "url_scheme"),
        ("/6", "url_scheme"),
    ]
    assert told[0].hint == "Write it. (2 more in this list.)"
    assert told[1:] == [other, field, problem("/6")]


LINES = {"type": "array", "items": {"type": "string", "minLength": 1, "description": "A line."}}


@pytest.mark.parametrize(
    ("coercion", "prop", "fits"),
    [
        ("line", {"type": "string", "x-source": ["a"], "title": "A"}, True),
        ("line", {"minLength": 1}, True),
        ("line", {}, True),
        ("line", True, True),
        ("line", False, False),
        ("line", {"minLength": 2}, False),
        ("line", {"maxLength": 1000}, False),
        ("line", {"type": ["string", "null"]}, False),
        ("line", {"type": "number"}, False),
        ("line", {"format": "email"}, False),
        ("line", {"$ref": "#/$defs/x"}, False),
        ("id", {"type": "string", "minLength": 1, "maxLength": 255}, True),
        ("id", {"maxLength": 254}, False),
        ("price", {"type": "number", "minimum": 0}, True),
        ("price", {"minimum": 1}, False),
        ("price", {"type": "integer"}, False),
        ("integer", {"type": "number"}, True),
        ("integer", {"minimum": 0}, False),
        ("strings", LINES | {"minItems": 1}, True),
        ("strings", LINES | {"minItems": 2}, False),
        ("strings", {"items": {"minLength": 2}}, False),
        ("strings", {"items": False}, False),
        ("date", {"type": "string"}, False),
    ],
)
def test_what_a_coercion_makes_is_known_to_fit(coercion: str, prop: Any, fits: bool) -> None:
    document = {"properties": {"a": prop}, "$defs": {"x": {"minLength": 5}}}
    assert Judge(document, compiled(document)).always_fits("a", coercion) == fits
    assert Judge({}, compiled({})).always_fits("a", coercion) == (coercion != "date")


@pytest.mark.parametrize(
    ("document", "is_fair"),
    [
        ({"type": "object", "required": ["id", "title"], "properties": {}}, True),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"allOf": [{"properties": {"a": False}}]}}}, True),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"minProperties": 1}}}, False),
        ({"allOf": [True]}, False),
        ({"required": ["a"]}, False),
        ({"additionalProperties": False}, False),
        ({"dependentRequired": {"a": ["b"]}}, False),
        ({"properties": {"title": {"minLength": 3}}}, False),
        ({"type": ["object", "null"]}, False),
    ],
)
def test_a_schema_that_says_more_of_an_item_than_of_its_fields_is_asked(
    document: dict[str, Any], is_fair: bool
) -> None:
    judge = Judge(document, compiled(document))
    assert judge.is_fair == is_fair
    assert judge.fits("a", "x") == (is_fair and "$defs" not in document)

"""Schema files are found, checked and bundled; what is wrong with one is said with its place."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from feedd.normalize import compile_plan
from feedd.resources import shipped
from feedd.schema import MAX_SCHEMA_BYTES, SchemaError, load_schema, shipped_schemas

SHIPPED = shipped("schemas")
DOCS = (Path(__file__).parent.parent / "docs/schemas.md").read_text()


def own(folder: Path, content: Any, name: str = "mine.json") -> str:
    """Write a schema of one's own; gives the path to load it by."""
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")
    return f"./{name}"


def refused(folder: Path, content: Any) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        load_schema(own(folder, content), base_dir=folder)
    return caught.value


@pytest.mark.parametrize("name", shipped_schemas())
def test_a_shipped_schema_is_one_makes_a_plan_and_is_in_the_docs(name: str, tmp_path: Path) -> None:
    schema = load_schema(name, base_dir=None)
    checked = load_schema(own(tmp_path, (SHIPPED / f"{name}.json").read_text()), base_dir=tmp_path)
    assert checked.document == schema.document
    plan = compile_plan(schema.document)
    assert plan.layout.items
    assert f"\n| `{name}` |" in DOCS


def test_every_field_of_the_canonical_item_is_in_the_docs() -> None:
    table = DOCS[DOCS.index("## The canonical item") : DOCS.index("## Annotations")]
    documented = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
                  for name in re.findall(r"`(\w+)`", row)}  # fmt: skip
    assert documented == set(load_schema("item", base_dir=None).document["properties"])


def test_the_example_of_the_docs_works(tmp_path: Path) -> None:
    start = DOCS.index("    {\n", DOCS.index("Your own schema builds on"))
    example = DOCS[start : DOCS.index("\n    }\n", start) + 7]
    plan = compile_plan(load_schema(own(tmp_path, example), base_dir=tmp_path).document)
    assert plan.layout.items == ("shop.shoes.shoe",)
    record = {
        "@number": "7",
        "name": "Boot",
        "brand": "Example",
        "offer": {"price": "19.99 EUR"},
        "heel_height_mm": "300",
        "released": "2026-03-31",
    }
    made = plan.normalize(1, record)
    assert made.fields == {  # type: ignore[union-attr]
        "id": "7",
        "title": "Boot",
        "brand": "Example",
        "price": 19.99,
        "currency": "EUR",
        "released": "2026-03-31T00:00:00Z",
        "offer": {"price": "19.99 EUR"},
    }
    assert [(w.pointer, w.rule) for w in made.warnings] == [  # type: ignore[union-attr]
        ("/link", "missing_field"),
        ("/heel_height_mm", "maximum"),
    ]


def test_a_schema_is_found_beside_the_configuration_or_by_its_whole_path(tmp_path: Path) -> None:
    path = own(tmp_path, {"$ref": "item"})
    beside = load_schema(path, base_dir=tmp_path)
    whole = load_schema(str(tmp_path / "mine.json"), base_dir=None)
    assert beside.document == whole.document
    assert beside.digest == whole.digest


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    load_schema(own(tmp_path, '\ufeff{"$ref": "item"}'), base_dir=tmp_path)


def test_the_digest_is_that_of_all_files(tmp_path: Path) -> None:
    digests = {
        load_schema(own(tmp_path, content), base_dir=tmp_path).digest
        for content in ({"$ref": "item"}, {"$ref": "google-product"}, {"$ref": "item", "title": "x"})
    }  # fmt: skip
    assert len(digests) == 3


def test_a_bundled_schema_needs_nothing_else(tmp_path: Path) -> None:
    content = {"$ref": "google-product", "properties": {"sole": {"$ref": "item#/properties/color"}}}
    document = load_schema(own(tmp_path, content), base_dir=tmp_path).document
    names = {"urn:feedd:schema:item", "urn:feedd:schema:google-product"}
    assert set(document["$defs"]) == names
    made = compile_plan(document).normalize(1, {"g:id": "1", "title": "A", "sole": " red  brown "})
    assert made.fields["sole"] == "red brown"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "where", "message", "hint"),
    [
        ("{\n\n]", "mine.json:3", "not JSON", "Mend the JSON in this line."),
        ("[]", "mine.json", "a schema is a JSON object", 'Begin with {"$ref": "item"}.'),
        ('{"a": 1, "a": 2}', "mine.json", "'a' stands twice", "plain JSON"),
        ("[" * 100_000, "mine.json", "not usable JSON", "plain JSON"),
        ('{"$comment": "' + "x" * MAX_SCHEMA_BYTES + '"}', "mine.json", "larger than 1 MiB", "path"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "#/$schema", "not the draft", "2020-12"),
        ({"type": "strin"}, "#/type", "not a JSON Schema", "docs/schemas.md"),
        ({"properties": {"a": {"minimum": "1"}}}, "#/properties/a/minimum", "not a JSON Schema", ""),
        ({"x-item": ["a"]}, "#", "unknown annotation x-item", "Did you mean x-items?"),
        ({"x-colour": 1}, "#", "unknown annotation x-colour", "Known are x-coerce"),
        ({"x-source": "a"}, "#", "x-source has no effect here", "where it stands"),
        ({"properties": {"a": {"x-items": ["b"]}}}, "#/properties/a", "no effect here", ""),
        ({"properties": {"a": {"properties": {"b": {"x-source": "c"}}}}}, "#/properties/a/properties/b",
         "no effect here", ""),
        ({"properties": {"a/b": {"x-coerce": "prize"}}}, "#/properties/a~1b/x-coerce", "cannot be",
         "Did you mean price?"),
        ({"properties": {"a": {"x-coerce": "zzz"}}}, "/x-coerce", "cannot be", "Write one of: any, "),
        ({"properties": {"a": {"x-coerce": ["price"]}}}, "/x-coerce", "cannot be", ""),
        ({"properties": {"a": {"x-source": "b..c"}}}, "/x-source", "cannot be", "g:price"),
        ({"properties": {"a": {"x-source": []}}}, "/x-source", "cannot be", "g:price"),
        ({"properties": {"a": {"x-source": 5}}}, "/x-source", "cannot be", "g:price"),
        ({"x-items": "products"}, "#/x-items", "cannot be", "dotted paths"),
        ({"x-recommended": "price"}, "#/x-recommended", "cannot be", "list of strings"),
        ({"x-namespaces": ["g"]}, "#/x-namespaces", "cannot be", "prefixes"),
        ({"$ref": "item", "x-recommended": ["colour"]}, "mine.json", "x-recommended names 'colour'",
         "Did you mean color?"),
        ({"$ref": "itme"}, "#/$ref", "'itme' is not fetched", "Did you mean item?"),
        ({"$ref": "https://schemas.example/item.json"}, "#/$ref", "is not fetched", "Refer to"),
        ({"$ref": "file:///etc/passwd"}, "#/$ref", "is not fetched", "Refer to"),
        ({"properties": {"a": {"$ref": "other.json"}}}, "#/properties/a/$ref", "is not fetched", ""),
        ({"$ref": "#/$defs/none"}, "mine.json", "", "feedd check"),
        ({"$ref": "#shoe", "$defs": {"a": {"$anchor": "shoe"}}}, "", "cannot be", "by its place"),
        ({"properties": {"a": {"$ref": "item#shoe"}}}, "#/properties/a/$ref", 'cannot be "item#shoe"', "by its place"),
        ({"$dynamicRef": "#/$defs/a", "$defs": {"a": {}}}, "#/$dynamicRef", "cannot be", "by its place"),
        ({"$defs": {"a": {"$dynamicAnchor": "shoe"}}}, "#/$defs/a/$dynamicAnchor", "cannot be", "by its place"),
        ({"allOf": [{"$id": "urn:x"}]}, "#/allOf/0/$id", "cannot be", "only a whole schema"),
        ({"$ref": "item", "$id": "urn:feedd:schema:item"}, "#/$id", "cannot be", "only a whole schema"),
        ({"properties": {"a": {"pattern": "("}}}, "#/properties/a/pattern", "not a JSON Schema", ""),
        ({"$schema": 5}, "#/$schema", "not the draft", ""),
        ({"properties": {"a": {"x-source": {"b": 1}}}}, "/x-source", "cannot be", "g:price"),
        ({"x-items": ["a..b"]}, "#/x-items", "cannot be", "dotted paths"),
        ({"properties": {"a": {"x-source": "{b"}}}, "/x-source", "cannot be", "template"),
        ({"properties": {"a": {"x-gather": 1}}}, "/x-gather", "cannot be", "true or false"),
        ({"properties": {"a": {"x-minor-units": 7}}}, "/x-minor-units", "cannot be", "at most 6"),
        ({"properties": {"a": {"x-minor-units": None}}}, "/x-minor-units", "cannot be", "at most 6"),
        ({"properties": {"a": {"x-reduces": []}}}, "/x-reduces", "cannot be", "one name"),
        ({"$ref": "item", "properties": {"sale_price": {"x-reduces": "prize"}}}, "mine.json",
         "x-reduces names 'prize'", "Did you mean price?"),
        ({"properties": {"a": {"x-lookup": 5}}}, "/x-lookup", "cannot be", "one name"),
        ({"properties": {"a": {"x-lookup": "colours"}}, "x-document": {"colors": {"rows": "a", "id": "b", "name": "c"}}},
         "mine.json", "x-lookup names 'colours'", "Did you mean colors?"),
        ({"x-document": {"colors": {"rows": "a", "id": "b"}}}, "#/x-document", "cannot be", "tables"),
        ({"x-document": {"colors": {"rows": "a", "id": "b", "name": "c", "x": "d"}}}, "#/x-document", "cannot be", ""),
        ({"x-document": {"base": 5}}, "#/x-document", "cannot be", "shop.url"),
        ({"x-document": ["base"]}, "#/x-document", "cannot be", "shop.url"),
        ({"x-unwrap": "node"}, "#/x-unwrap", "cannot be", "list of strings"),
        ({"x-only": ["@type"]}, "#/x-only", "cannot be", "paths with the texts"),
        ({"x-only": {"a..b": ["c"]}}, "#/x-only", "cannot be", "paths with the texts"),
        ({"x-only": {"a": "c"}}, "#/x-only", "cannot be", "paths with the texts"),
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_used_says_where_what_and_what_instead(
    tmp_path: Path, content: Any, where: str, message: str, hint: str
) -> None:
    error = refused(tmp_path, content)
    assert error.where.endswith(where)
    assert message in error.message
    assert hint in error.hint
    assert str(error).startswith(f"{error.where}: {error.message}")


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("itme", "no shipped schema of this name", "Did you mean item?"),
        ("zzz", "no shipped schema of this name", "Shipped are article, ceneo-product, "),
        ("./none.json", "there is no such schema file", "relative to the configuration"),
        ("none.json", "there is no such schema file", "relative to the configuration"),
    ],
)
def test_a_schema_that_is_not_there_is_said(
    tmp_path: Path, name: str, message: str, hint: str
) -> None:
    with pytest.raises(SchemaError) as caught:
        load_schema(name, base_dir=tmp_path)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_schema_that_is_not_utf8_is_said(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_bytes(b'{"title": "\xff"}')
    with pytest.raises(SchemaError, match="not usable JSON"):
        load_schema("./mine.json", base_dir=tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"properties": {"id": {"$ref": "#/$defs/sku"}}, "$defs": {"sku": {"x-source": "sku"}}},
        {"allOf": [{"$ref": "item.json"}, {"properties": {"a": {"x-source": [["a.b", "c"], "d"]}}}]},
        {"$ref": "item", "if": {"required": ["price"]}, "then": {"required": ["currency"]}},
        {"$id": "https://shop.example/shoe", "$ref": "#/$defs/a", "$defs": {"a": {"$ref": "item"}}},
    ],
)  # fmt: skip
def test_a_schema_may_be_built_in_many_ways(tmp_path: Path, content: Any) -> None:
    compile_plan(load_schema(own(tmp_path, content), base_dir=tmp_path).document)

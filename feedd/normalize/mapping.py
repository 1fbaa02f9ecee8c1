"""From a schema to a flat list of fields: where each comes from, and what it becomes. Pure.

Annotations of `$ref` and `allOf` are inherited keyword by keyword, the nearest one wins. References are looked up in
the document itself; a bundled resource stands under `$defs` by its name.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from feedd.normalize.around import Places, read_places
from feedd.normalize.paths import Path, Template, parse_path, parse_source

Source = tuple[str, Path]
Document = dict[str, Any]

BUNDLED = "urn:feedd:schema:"  # what the id of a bundled resource begins with

SCHEMA_WORDS = frozenset(
    {"x-document", "x-items", "x-marks", "x-namespaces", "x-only", "x-recommended", "x-unwrap"}
)
FIELD_WORDS = frozenset(
    {"x-coerce", "x-gather", "x-lookup", "x-minor-units", "x-reduces", "x-source"}
)

MOST_MINOR_UNITS = 6

_TYPE_COERCIONS = {
    "string": "line",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
}
_FORMAT_COERCIONS = {
    "date-time": "date",
    "uri": "url",
    "iri": "url",
    "uri-reference": "url",
    "iri-reference": "url",
}


class Field(NamedTuple):
    """One field of an item: its sources, best first, each the record's key and the steps below it, or a template.

    `gathers`: the values of all sources make one list. `reduces` names the field that this amount may be a reduction
    of. `minor_units` says how many decimals an amount is written without, or where that stands. `lookup`: what the
    sources give are ids in a table of that name, outside the records.
    """

    name: str
    sources: tuple[Source | Template, ...]
    coercion: str
    gathers: bool = False
    reduces: str | None = None
    minor_units: int | Path = 0
    lookup: str | None = None


class Fields(NamedTuple):
    """What a schema says about reading records."""

    fields: tuple[Field, ...]
    items: tuple[str, ...]
    namespaces: dict[str, str]
    recommended: tuple[str, ...]
    unwraps: tuple[str, ...] = ()
    only: tuple[tuple[Path, frozenset[str]], ...] = ()
    marks: tuple[Path, ...] = ()
    places: Places = Places()


def read_fields(document: Document, overrides: Mapping[str, Path | Template]) -> Fields:
    """The fields of a schema, `id` and `title` always among them, with a person's own sources in place of its own.

    Raises:
        ValueError: a source is not a path, or a reference leads nowhere.
    """
    layers = list(layers_of(document))
    properties: dict[str, Document] = {"id": {}, "title": {}}
    words: Document = {"x-document": {}}
    for layer, home in layers:
        outside = {**words.get("x-document", {}), **layer.get("x-document", {})}
        words |= {word: layer[word] for word in SCHEMA_WORDS if word in layer}
        words["x-document"] = outside
        for name, prop in layer.get("properties", {}).items():
            expanded = _expanded(prop, home, document)
            properties[name] = properties.get(name, {}) | expanded
    fields = [_field(name, prop, overrides.get(name)) for name, prop in properties.items()]
    fields += [
        Field(name, (_source(path),), "any")
        for name, path in overrides.items()
        if name not in properties
    ]
    return Fields(
        tuple(fields),
        tuple(words.get("x-items", ())),
        dict(words.get("x-namespaces", {})),
        tuple(words.get("x-recommended", ())),
        tuple(words.get("x-unwrap", ())),
        tuple(
            (parse_path(path), frozenset(values))
            for path, values in words.get("x-only", {}).items()
        ),
        tuple(parse_path(mark) for mark in words.get("x-marks", ())),
        read_places(words["x-document"]),
    )


def layers_of(document: Document) -> Iterator[tuple[Document, Document]]:
    """A schema and those that it builds on, the farthest first, each with the resource that it stands in.

    Raises:
        ValueError: a reference leads nowhere.
    """
    return _layers(document, document, document, ())


def sources_of(prop: Document, name: str) -> tuple[Source | Template, ...]:
    """The places that `x-source` names, one or a list of alternatives; the field's own name without it.

    Raises:
        ValueError: one of them is neither a path nor a template.
    """
    found = prop.get("x-source", [[name]])
    return tuple(
        _source(parse_source(each)) for each in ([found] if isinstance(found, str) else found)
    )


def is_pointer(reference: str) -> bool:
    """Whether a `$ref` says where something stands, not what it is called by `$anchor`: only the first is followed here."""
    return reference.partition("#")[2][:1] in ("", "/")


def minor_units_of(value: Any) -> int | Path:
    """How many decimals amounts are written without, or the path to that number.

    Raises:
        ValueError: it is neither.
    """
    if type(value) is int and 0 <= value <= MOST_MINOR_UNITS:
        return value
    if isinstance(value, str | list):
        return parse_path(value)
    raise ValueError(f"{value!r} is neither a number of decimals nor a path")


def coercion_of(prop: Document, name: str) -> str:
    """The coercion that a property names, or the one that fits its type and format."""
    if name == "id":
        return "id"
    if "x-coerce" in prop:
        return str(prop["x-coerce"])
    kind = _kind(prop)
    if kind == "string":
        return _FORMAT_COERCIONS.get(prop.get("format", ""), "line")
    if kind == "array":
        items = prop.get("items")
        inner = coercion_of(items, "") if isinstance(items, dict) else "any"
        return {"line": "strings", "url": "urls"}.get(inner, "any")
    return _TYPE_COERCIONS.get(kind, "line" if name == "title" else "any")


def _kind(prop: Document) -> str:
    kinds = prop.get("type", "")
    named = [kinds] if isinstance(kinds, str) else [kind for kind in kinds if kind != "null"]
    return named[0] if len(named) == 1 else ""


def _source(found: Path | Template) -> Source | Template:
    return found if isinstance(found, Template) else (found[0], found[1:])


def _field(name: str, prop: Document, override: Path | Template | None) -> Field:
    """A property as a field. A person's own source is read as it stands, whatever the schema's own need done to them."""
    field = Field(name, sources_of(prop, name), coercion_of(prop, name))
    if override is not None:
        return field._replace(sources=(_source(override),), reduces=prop.get("x-reduces"))
    return field._replace(
        gathers=prop.get("x-gather", False),
        reduces=prop.get("x-reduces"),
        minor_units=minor_units_of(prop.get("x-minor-units", 0)),
        lookup=prop.get("x-lookup"),
    )


def _layers(
    schema: Any, home: Document, document: Document, seen: tuple[str, ...]
) -> Iterator[tuple[Document, Document]]:
    """A schema and those that it builds on, the farthest first, each with the resource that it stands in."""
    if not isinstance(schema, dict):
        return
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        target, resource = _resolved(reference, home, document)
        yield from _layers(target, resource, document, (*seen, reference))
    for part in schema.get("allOf", ()):
        yield from _layers(part, home, document, seen)
    yield schema, home


def _expanded(prop: Any, home: Document, document: Document) -> Document:
    merged: Document = {}
    for layer, _ in _layers(prop, home, document, ()):
        merged |= layer
    return merged


def _resolved(reference: str, home: Document, document: Document) -> tuple[Any, Document]:
    resource, _, pointer = reference.partition("#")
    if resource:
        home = document.get("$defs", {}).get(resource)
    target: Any = home
    for step in unquote(pointer).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        target = target[int(name)] if isinstance(target, list) else (target or {}).get(name)
    if target is None:
        raise ValueError(f"$ref {reference!r} leads nowhere")
    return target, home

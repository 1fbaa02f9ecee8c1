"""From a schema to a flat list of fields: where each comes from, and what it becomes. Pure.

Annotations of `$ref` and `allOf` are inherited keyword by keyword, the nearest one wins. References are looked up in
the document itself; a bundled resource stands under `$defs` by its name.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

Path = tuple[str, ...]
Source = tuple[str, Path]
Document = dict[str, Any]

SCHEMA_WORDS = frozenset({"x-items", "x-namespaces", "x-recommended"})
FIELD_WORDS = frozenset({"x-coerce", "x-source"})

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
    """One field of an item: its sources, best first, each the record's key and the steps below it."""

    name: str
    sources: tuple[Source, ...]
    coercion: str


class Fields(NamedTuple):
    """What a schema says about reading records."""

    fields: tuple[Field, ...]
    items: tuple[str, ...]
    namespaces: dict[str, str]
    recommended: tuple[str, ...]


def parse_path(text: str | Sequence[str]) -> Path:
    """The steps of a dotted path; a list holds them as they are, for keys that contain dots.

    `0` is the first element of a list, `*` every element, `@name` an XML attribute, `#text` an element's own text.

    Raises:
        ValueError: the path or one of its steps is empty.
    """
    path = tuple(text.split(".")) if isinstance(text, str) else tuple(text)
    if not path or not all(isinstance(step, str) and step for step in path):
        raise ValueError(f"{text!r} is not a path; write one such as images.0.src")
    return path


def reach(value: Any, steps: Path) -> Any:
    """What stands below a value, or None. One element stands for a list of one, as XML writes it."""
    for index, step in enumerate(steps):
        if type(value) is dict and step in value:
            value = value[step]
        elif step == "*":
            found = [
                reach(each, steps[index + 1 :])
                for each in (value if type(value) is list else [value])
            ]
            return [each for each in found if each is not None]
        elif type(value) is list and step.isdecimal():
            value = value[int(step)] if len(step) < 10 and int(step) < len(value) else None
        elif step != "0":
            return None
    return value


def read_fields(document: Document, overrides: Mapping[str, Path]) -> Fields:
    """The fields of a schema, `id` and `title` always among them, with a person's own sources in place of its own.

    Raises:
        ValueError: a source is not a path, or a reference leads nowhere.
    """
    layers = list(_layers(document, document, document, ()))
    properties: dict[str, Document] = {"id": {}, "title": {}}
    words: Document = {}
    for layer, home in layers:
        words |= {word: layer[word] for word in SCHEMA_WORDS if word in layer}
        for name, prop in layer.get("properties", {}).items():
            expanded = _expanded(prop, home, document)
            properties[name] = properties.get(name, {}) | expanded
    fields = [_field(name, prop, overrides.get(name)) for name, prop in properties.items()]
    fields += [
        Field(name, ((path[0], path[1:]),), "any")
        for name, path in overrides.items()
        if name not in properties
    ]
    return Fields(
        tuple(fields),
        tuple(words.get("x-items", ())),
        dict(words.get("x-namespaces", {})),
        tuple(words.get("x-recommended", ())),
    )


def sources_of(prop: Document, name: str) -> tuple[Source, ...]:
    """The places that `x-source` names, a path or a list of alternatives; the field's own name without it.

    Raises:
        ValueError: one of them is not a path.
    """
    found = prop.get("x-source", [[name]])
    paths = [parse_path(each) for each in ([found] if isinstance(found, str) else found)]
    return tuple((path[0], path[1:]) for path in paths)


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


def _field(name: str, prop: Document, override: Path | None) -> Field:
    sources = sources_of(prop, name) if override is None else ((override[0], override[1:]),)
    return Field(name, sources, coercion_of(prop, name))


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

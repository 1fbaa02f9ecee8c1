"""Which fields a schema can be known to take without being asked about the whole item. Pure.

A schema that says of an item only what its fields are, one by one, takes an item if it takes each of its fields. What a
coercion makes is taken where the property asks for no more than that; a value that comes again is asked about once.
"""

from typing import Any

from jsonschema_rs import Draft202012Validator

from feedd.normalize.mapping import BUNDLED, Document, is_pointer, layers_of

_SAYS_NOTHING = frozenset({"$comment", "default", "deprecated", "description", "examples", "title"})
_OF_ITEMS = frozenset(
    {"$defs", "$id", "$ref", "$schema", "allOf", "properties", "required", "type"}
)
_NAMING = frozenset({"$anchor", "$dynamicAnchor", "$dynamicRef", "$id"})
_IDENTITY = {"id": "1", "title": "1"}

_LINE: Document = {"type": "string", "minLength": 1}
_LINES: Document = {"type": "array", "items": _LINE, "minItems": 1}
# What a coercion makes, if it makes a plain value: all that can be said of it by the few words that are understood here.
_MADE: dict[str, Document] = {
    "boolean": {"type": "boolean"},
    "category_bars": _LINES,
    "category_path": _LINES,
    "id": {**_LINE, "maxLength": 255},
    "integer": {"type": "integer"},
    "line": _LINE,
    "price": {"type": "number", "minimum": 0},
    "strings": _LINES,
    "text": _LINE,
    "url": _LINE,
    "urls": _LINES,
}


class Judge:
    """What a schema thinks of single fields. `is_fair`: it takes an item of which it takes each field."""

    def __init__(self, document: Document, validator: Draft202012Validator) -> None:
        self.is_valid = validator.is_valid
        self._properties: dict[str, list[Any]] = {}
        self.is_fair = validator.is_valid(_IDENTITY) and not _has_names(document)
        for layer, _ in layers_of(document):
            self.is_fair = self.is_fair and _is_about_fields(layer)
            for name, prop in layer.get("properties", {}).items():
                self._properties.setdefault(name, []).append(prop)

    def fits(self, name: str, value: Any) -> bool:
        """Whether the schema takes this value in an item of which it takes the rest."""
        return self.is_fair and self.is_valid(_IDENTITY | {name: value})

    def always_fits(self, name: str, coercion: str) -> bool:
        """Whether the schema takes whatever a coercion makes of a value for that field."""
        made = _MADE.get(coercion)
        asked = self._properties.get(name, [])
        return (
            self.is_fair and made is not None and all(_asks_no_more(each, made) for each in asked)
        )


def _has_names(document: Document) -> bool:
    """Whether a part of a schema is found by a name, which `layers_of` does not know: it would look at another part."""
    waiting: list[Any] = [{**document, "$defs": _without_ids(document.get("$defs", {}))}]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if any(isinstance(part.get(word), str) for word in _NAMING):
                return True
            reference = part.get("$ref")
            if isinstance(reference, str) and not is_pointer(reference):
                return True
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return False


def _without_ids(parts: Document) -> Document:
    """The parts of a schema, the bundled ones without their ids, which `layers_of` knows too."""
    return {
        name: {**part, "$id": None}
        if name.startswith(BUNDLED) and part.get("$id") == name
        else part
        for name, part in parts.items()
    }


def _is_about_fields(layer: Document) -> bool:
    """Whether a part of a schema says nothing of an item but what its fields are, and that it has an id and a title."""
    return (
        _words(layer) <= _OF_ITEMS
        and layer.get("type", "object") == "object"
        and _IDENTITY.keys() >= set(layer.get("required", ()))
        and all(isinstance(part, dict) for part in layer.get("allOf", ()))
    )


def _asks_no_more(prop: Any, made: Document) -> bool:
    if not isinstance(prop, dict) or not _words(prop) <= made.keys():
        return prop is True
    return all(_implies(word, made[word], prop[word]) for word in _words(prop))


def _implies(word: str, made: Any, asked: Any) -> bool:
    if word == "items":
        return _asks_no_more(asked, made)
    if word == "type":
        return asked == made or (made, asked) == ("integer", "number")
    if not isinstance(asked, int | float):
        return False
    return bool(asked >= made if word.startswith("max") else asked <= made)


def _words(schema: Document) -> set[str]:
    """The words of a schema that mean something to a validator."""
    return {word for word in schema if word not in _SAYS_NOTHING and not word.startswith("x-")}

"""Schema files: found, checked and bundled into one document that needs nothing else.

A schema is JSON Schema, draft 2020-12, of the normalized item, with the annotations that `docs/schemas.md` describes.
It may refer to itself and to shipped schemas by name; nothing is ever fetched.
"""

import json
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from feedd.coerce import COERCIONS
from feedd.errors import FeeddError
from feedd.normalize.around import read_places
from feedd.normalize.mapping import (
    BUNDLED,
    FIELD_WORDS,
    MOST_MINOR_UNITS,
    SCHEMA_WORDS,
    is_pointer,
    minor_units_of,
    read_fields,
    sources_of,
)
from feedd.normalize.paths import parse_path
from feedd.normalize.verdict import compiled, pointer
from feedd.resources import shipped

MAX_SCHEMA_BYTES = 1024 * 1024
DIALECT = "https://json-schema.org/draft/2020-12/schema"

PLAIN = "item"  # the schema that fits anything

# Where JSON Schema keeps further schemas: one, a list of them, or one under each name.
_ONE = frozenset(
    {
        "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then",
        "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED = frozenset({"$defs", "dependentSchemas", "patternProperties", "properties"})


class SchemaError(FeeddError):
    """A schema cannot be used: where, what is wrong, what to write instead."""

    def __init__(self, where: str, message: str, hint: str = "") -> None:
        self.where = where
        self.message = message
        self.hint = hint
        super().__init__(f"{where}: {message}. {hint}" if hint else f"{where}: {message}")


class Schema(Struct, frozen=True):
    """A checked schema. `document` is bundled: it refers to nothing outside itself. `digest` covers all its files."""

    name: str
    document: dict[str, Any]
    digest: bytes


class _Place(NamedTuple):
    """A schema inside a schema, and which annotations mean something there."""

    pointer: str
    schema: dict[str, Any]
    words: frozenset[str]


def shipped_schemas() -> list[str]:
    """The names of the schemas that come with feedd."""
    return sorted(path.stem for path in shipped("schemas").glob("*.json"))


def load_schema(name_or_path: str, *, base_dir: Path | None) -> Schema:
    """A shipped schema by its name, or a person's own by its path, relative to `base_dir`.

    Raises:
        SchemaError: it does not exist, or cannot be used.
    """
    if name_or_path in shipped_schemas():
        return _shipped(name_or_path)
    path = _find(name_or_path, base_dir)
    document, content = _read(path, str(path))
    _check(document, str(path))
    return _whole(name_or_path, document, content, str(path))


@cache
def _shipped(name: str) -> Schema:
    """A shipped schema; that each of them is one is what the tests see to, and takes longer than a short command."""
    where = f"schema {name}"
    return _whole(name, *_read(shipped("schemas") / f"{name}.json", where), where)


def _whole(name: str, document: dict[str, Any], content: bytes, where: str) -> Schema:
    """A schema with all that it refers to, once its annotations fit together. Raises SchemaError."""
    bundled, digests = _bundle(document, where)
    try:
        compiled(bundled)
        fields = read_fields(bundled, {})
    except ValueError as error:
        raise SchemaError(
            where, _first_line(error), "Mend the schema, then run `feedd check`."
        ) from error
    known = [field.name for field in fields.fields]
    named = [("x-recommended", name) for name in fields.recommended]
    tables = {name for name, _ in fields.places.tables}
    for field in fields.fields:
        if field.lookup and field.lookup not in tables:
            raise SchemaError(
                where,
                f"x-lookup names {field.lookup!r}, which is no table of x-document",
                _did_you_mean(field.lookup, sorted(tables)),
            )
    named += [("x-reduces", field.reduces) for field in fields.fields if field.reduces]
    for word, name in named:
        if name not in known:
            hint = _did_you_mean(name, known)
            raise SchemaError(
                where, f"{word} names {name!r}, which is no property of the schema", hint
            )
    digest = sha256(sha256(content).digest() + b"".join(digests)).digest()
    return Schema(name, bundled, digest)


def _find(name_or_path: str, base_dir: Path | None) -> Path:
    names = shipped_schemas()
    path = (base_dir or Path()) / name_or_path
    if path.is_file():
        return path
    if "/" in name_or_path or name_or_path.endswith(".json"):
        raise SchemaError(
            str(path),
            "there is no such schema file",
            "Give its path, relative to the configuration.",
        )
    hint = (
        _did_you_mean(name_or_path, names)
        or f"Shipped are {', '.join(names)}; your own is a path such as ./mine.json."
    )
    raise SchemaError(f"schema {name_or_path}", "there is no shipped schema of this name", hint)


def _read(path: Path, where: str) -> tuple[dict[str, Any], bytes]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SCHEMA_BYTES + 1)
        if len(content) > MAX_SCHEMA_BYTES:
            raise SchemaError(
                where, "the schema is larger than 1 MiB", "Give the path of a JSON Schema."
            )
        document = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_once_each)
    except OSError as error:
        raise SchemaError(
            where, f"cannot be read: {error.strerror}", "Check the file and its permissions."
        ) from error
    except json.JSONDecodeError as error:
        raise SchemaError(
            f"{where}:{error.lineno}", f"not JSON: {error.msg}", "Mend the JSON in this line."
        ) from error
    except (ValueError, RecursionError) as error:
        raise SchemaError(
            where, f"not usable JSON: {_first_line(error)}", "Write plain JSON in UTF-8."
        ) from error
    if type(document) is not dict:
        raise SchemaError(where, "a schema is a JSON object", 'Begin with {"$ref": "item"}.')
    return document, content


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(
            f"{next(n for n in names if names.count(n) > 1)!r} stands twice in one object"
        )
    return members


def _check(document: dict[str, Any], where: str) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError as InvalidSchema

    if document.get("$schema", DIALECT) not in (DIALECT, f"{DIALECT}#"):
        raise SchemaError(
            f"{where}#/$schema", "not the draft that feedd reads", f'Write "$schema": "{DIALECT}".'
        )
    try:
        Draft202012Validator.check_schema(document)
    except InvalidSchema as error:
        at = f"{where}#{pointer(*error.path)}"
        raise SchemaError(
            at, f"not a JSON Schema: {error.message}", "See docs/schemas.md for what stands here."
        ) from error
    except RecursionError as error:
        raise SchemaError(where, "nested too deep", "Write a flatter schema.") from error
    for place in _places(document):
        _check_words(place, where)
        _check_names(place, where)


def _check_words(place: _Place, where: str) -> None:
    at = f"{where}#{place.pointer}"
    for word in place.schema:
        if word.startswith("x-") and word not in place.words:
            if word in SCHEMA_WORDS | FIELD_WORDS:
                raise SchemaError(
                    at, f"{word} has no effect here", "See docs/schemas.md for where it stands."
                )
            hint = (
                _did_you_mean(word, sorted(place.words))
                or f"Known are {', '.join(sorted(SCHEMA_WORDS | FIELD_WORDS))}."
            )
            raise SchemaError(at, f"unknown annotation {word}", hint)
    for word, wrong in _WRONG.items():
        if word in place.schema and (hint := wrong(place.schema[word])):
            raise SchemaError(
                f"{at}/{word}", f"{word} cannot be {json.dumps(place.schema[word])[:80]}", hint
            )


def _check_names(place: _Place, where: str) -> None:
    """Refuse what gives a part a name of its own, or refers to it by that: fields are read by places alone."""
    words = ["$anchor", "$dynamicAnchor", "$dynamicRef"]
    if place.pointer or str(place.schema.get("$id", "")).startswith(BUNDLED):
        words.append("$id")
    if not is_pointer(place.schema.get("$ref", "")):
        words.append("$ref")
    for word in words:
        if word in place.schema:
            raise SchemaError(
                f"{where}#{place.pointer}/{word}",
                f"{word} cannot be {json.dumps(place.schema[word])[:80]}",
                'Refer to a part by its place, such as "$ref": "#/$defs/…"; only a whole schema has an $id.',
            )


def _wrong_source(value: Any) -> str:
    try:
        if value and isinstance(value, str | list) and sources_of({"x-source": value}, ""):
            return ""
    except (ValueError, TypeError):
        pass
    return 'Write a path such as "g:price", a template such as "{vendor} {model}", or a list of alternatives.'


def _wrong_coercion(value: Any) -> str:
    if isinstance(value, str) and value in COERCIONS:
        return ""
    return (
        _did_you_mean(str(value), sorted(COERCIONS))
        or f"Write one of: {', '.join(sorted(COERCIONS))}."
    )


def _wrong_items(value: Any) -> str:
    if not _wrong_names(value) and all(path in ("", ".") or all(path.split(".")) for path in value):
        return ""
    return 'Write a list of dotted paths, such as ["rss.channel.item", "products"].'


def _wrong_marks(value: Any) -> str:
    try:
        if value and isinstance(value, list) and all(parse_path(each) for each in value):
            return ""
    except (ValueError, TypeError):
        pass
    return (
        'Write a list of paths that only this dialect has, such as ["variants.0.inventory_policy"].'
    )


def _wrong_names(value: Any) -> str:
    right = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return "" if right else "Write a list of strings."


def _wrong_namespaces(value: Any) -> str:
    right = isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    return (
        ""
        if right
        else 'Write prefixes with their addresses, such as {"g": "http://base.google.com/ns/1.0"}.'
    )


def _wrong_minor_units(value: Any) -> str:
    try:
        minor_units_of(value)
    except ValueError:
        return f"Write the number of decimals, at most {MOST_MINOR_UNITS}, or the path where it stands."
    return ""


def _wrong_name(value: Any) -> str:
    return "" if isinstance(value, str) else "Write one name."


def _wrong_document(value: Any) -> str:
    try:
        if isinstance(value, dict):
            read_places(value)
            return ""
    except ValueError:
        pass
    return 'Write names with paths, such as {"base": ["shop.url"]}, or with tables: {"rows": …, "id": …, "name": …, "parent": …}.'


def _wrong_only(value: Any) -> str:
    try:
        if isinstance(value, dict) and not any(map(_wrong_names, value.values())):
            return "" if all(map(parse_path, value)) else _ONLY_HINT
    except ValueError:
        pass
    return _ONLY_HINT


_ONLY_HINT = 'Write paths with the texts that may stand there, such as {"@type": ["Product"]}.'
_WRONG: dict[str, Callable[[Any], str]] = {
    "x-coerce": _wrong_coercion,
    "x-document": _wrong_document,
    "x-gather": lambda value: "" if type(value) is bool else "Write true or false.",
    "x-items": _wrong_items,
    "x-lookup": _wrong_name,
    "x-marks": _wrong_marks,
    "x-minor-units": _wrong_minor_units,
    "x-namespaces": _wrong_namespaces,
    "x-only": _wrong_only,
    "x-recommended": _wrong_names,
    "x-reduces": _wrong_name,
    "x-source": _wrong_source,
    "x-unwrap": _wrong_names,
}


def _places(document: dict[str, Any]) -> Iterator[_Place]:
    """Every schema in a document. Annotations of fields count on the properties of an item, at any `allOf` or `$defs`."""
    waiting = [_Place("", document, SCHEMA_WORDS)]
    while waiting:
        place = waiting.pop()
        yield place
        is_item = place.words >= SCHEMA_WORDS
        for word, value in place.schema.items():
            at = f"{place.pointer}{pointer(word)}"
            if word in _ONE:
                inner = [(at, value, frozenset[str]())]
            elif word in _LISTS and isinstance(value, list):
                inherited = place.words if word == "allOf" else frozenset[str]()
                inner = [(f"{at}/{index}", each, inherited) for index, each in enumerate(value)]
            elif word in _NAMED and isinstance(value, dict):
                here = SCHEMA_WORDS | FIELD_WORDS if word == "$defs" else frozenset[str]()
                here = FIELD_WORDS if word == "properties" and is_item else here
                inner = [(at + pointer(name), each, here) for name, each in value.items()]
            else:
                continue
            waiting += [
                _Place(where, each, words) for where, each, words in inner if isinstance(each, dict)
            ]


def _bundle(document: dict[str, Any], where: str) -> tuple[dict[str, Any], list[bytes]]:
    """The document with the shipped schemas that it refers to, directly or not, under `$defs`; and their digests."""
    bundled: dict[str, Any] = json.loads(json.dumps(document))
    wanted = _relink(bundled, where)
    parts: dict[str, Any] = {}
    digests: list[bytes] = []
    while wanted:
        name = wanted.pop()
        if BUNDLED + name in parts:
            continue
        part, content = _read(shipped("schemas") / f"{name}.json", f"schema {name}")
        wanted |= _relink(part, f"schema {name}")
        parts[BUNDLED + name] = {"$id": BUNDLED + name, **part}
        digests.append(sha256(name.encode() + b"\0" + content).digest())
    if parts:
        bundled["$defs"] = {**bundled.get("$defs", {}), **parts}
    return bundled, sorted(digests)


def _relink(document: dict[str, Any], where: str) -> set[str]:
    """Point references to shipped schemas at where they are bundled; their names."""
    names = shipped_schemas()
    found: set[str] = set()
    for place in _places(document):
        reference = place.schema.get("$ref")
        if not isinstance(reference, str) or reference.startswith("#"):
            continue
        target, hash_sign, fragment = reference.partition("#")
        name = target.removesuffix(".json")
        if name not in names:
            hint = (
                _did_you_mean(name, names)
                or f'Refer to "#/$defs/…" or to one of: {", ".join(names)}.'
            )
            raise SchemaError(
                f"{where}#{place.pointer}/$ref", f"{reference!r} is not fetched", hint
            )
        place.schema["$ref"] = f"{BUNDLED}{name}{hash_sign}{fragment}"
        found.add(name)
    return found


def _did_you_mean(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f"Did you mean {close[0]}?" if close else ""


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]

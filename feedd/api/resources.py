"""Kinds of resources, and their objects in JSON:API documents (https://jsonapi.org/format/1.1/#document-resource-objects).

A kind is declared once, as a `ResourceType`: what it is called, its attributes as a struct class, and what it is related to. What
serializes, what `fields[…]` can choose and what OpenAPI says of it all come from that.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from inspect import cleandoc
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Raw, Struct

Tree = Mapping[str, Any]  # chosen names, each with the tree of those below it; an empty tree is all
Schema = dict[str, Any]


class Relation(Struct, frozen=True):
    """What a resource is related to: one resource of a type, or many; null where there may be none.

    Where not `has_linkage`, their identifiers cannot be asked for alone, so there is no link to that; where not `has_related`, they
    themselves cannot either, so there are no links at all.
    """

    type: str
    many: bool = False
    has_linkage: bool = True
    has_related: bool = True


class ResourceType(Struct, frozen=True, kw_only=True):
    """A kind of resource.

    `attributes` is a struct class; of a resource itself they are one, or a mapping with its fields. `additional` are attributes that
    are given only when `additional-fields[name]` or `fields[name]` asks for them. Where not `has_page`, no resource can be asked for by
    itself, so none has a link. `scope` is what a key must be allowed to read to have such resources included.
    """

    name: str
    attributes: type[Struct]
    scope: str
    path: str = ""
    relationships: Mapping[str, Relation] = {}
    additional: tuple[str, ...] = ()
    has_page: bool = True

    def url(self, base: str, id_: str) -> str:
        """Where a resource of this kind is, below the `base` of the API's addresses."""
        return f"{base}/api/{self.path or self.name + 's'}/{quote(id_, safe='')}"


class Resource(Struct, frozen=True):
    """One resource: its kind, its id, its attributes, and the ids of what it is related to as far as they are told."""

    type: ResourceType
    id: str
    attributes: Any
    related: Mapping[str, str | Sequence[str] | None] = {}


class Choice(Struct, frozen=True):
    """Which attributes a request wants: by the names of types, `fields` and `additional`."""

    fields: Mapping[str, Tree] = {}
    additional: Mapping[str, frozenset[str]] = {}


def like(name: str, struct: type[Struct], *, but: Sequence[str] = (), **more: Any) -> type[Struct]:
    """A struct class of the attributes that a value of the model has, `but` some, and `more` by name and type."""
    hints = {field.name: field.type for field in msgspec.structs.fields(struct)}
    fields = [*((name, hint) for name, hint in hints.items() if name not in but), *more.items()]
    return msgspec.defstruct(name, fields, kw_only=True)


def attributes_of(struct: Struct, *, but: Sequence[str]) -> dict[str, Any]:
    """The fields of a struct without those that are no attributes."""
    return {name: getattr(struct, name) for name in struct.__struct_fields__ if name not in but}


def document(resource: Resource, choice: Choice, base: str) -> dict[str, Any]:
    """The resource object."""
    kind = resource.type
    made = {"type": kind.name, "id": resource.id, "attributes": _chosen(resource, choice)}
    url = kind.url(base, resource.id)
    if kind.relationships:
        made["relationships"] = {
            name: _relationship(relation, resource.related.get(name, UNSET), f"{url}/{{}}{name}")
            for name, relation in kind.relationships.items()
        }
    if kind.has_page:
        made["links"] = {"self": url}
    return made


def identifier(type_name: str, id_: str) -> dict[str, str]:
    """A resource identifier object."""
    return {"type": type_name, "id": id_}


def _relationship(relation: Relation, ids: Any, url: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if isinstance(ids, str):
        made["data"] = identifier(relation.type, ids)
    elif ids is None:
        made["data"] = None
    elif ids is not UNSET:
        made["data"] = [identifier(relation.type, each) for each in ids]
    if not relation.has_related:
        return made
    links = {"self": url.format("relationships/"), "related": url.format("")}
    made["links"] = links if relation.has_linkage else {"related": links["related"]}
    return made


def _chosen(resource: Resource, choice: Choice) -> Any:
    kind = resource.type
    tree = choice.fields.get(kind.name)
    wanted = choice.additional.get(kind.name, frozenset())
    if tree is None and wanted.issuperset(kind.additional):
        return resource.attributes
    if tree is None:
        left_out = frozenset(kind.additional) - wanted
        return {k: v for k, v in _items(resource.attributes) if k not in left_out}
    return _picked(resource.attributes, {**(tree or {}), **{name: {} for name in wanted}})


def _picked(value: Any, tree: Tree) -> Any:
    """Of a struct or mapping what the tree names; of a list that of each of its members. Raw JSON stays the text that it is."""
    if isinstance(value, Raw):
        value = _OPENED.get(bytes(value)[:1], _closed)(value)
    if isinstance(value, list | tuple):
        return [_picked(each, tree) for each in value]
    if not isinstance(value, Struct | Mapping):
        return value
    return {
        name: _picked(member, tree[name]) if tree[name] else member
        for name, member in _items(value)
        if name in tree
    }


def _closed(value: Raw) -> Raw:
    return value


_OPENED: Mapping[bytes, Callable[[Raw], Any]] = {
    b"{": msgspec.json.Decoder(dict[str, Raw]).decode,
    b"[": msgspec.json.Decoder(list[Raw]).decode,
}


def _items(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Struct):
        return [
            (encoded, member)
            for name, encoded in _names(type(value))
            if (member := getattr(value, name)) is not UNSET
        ]
    return list(value.items())


@lru_cache(maxsize=500)
def _names(struct: type[Struct]) -> tuple[tuple[str, str], ...]:
    """The fields of a struct class, each with the name that it has in JSON."""
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(struct))


# what OpenAPI says


@lru_cache(maxsize=500)
def names_of(attributes: type[Struct]) -> Mapping[str, bool]:
    """What `fields[…]` can choose: a name, or a path of names with dots; whether any name below it can be chosen too."""
    found = {"id": False}
    _collect(schema_of(attributes), "", found)
    return found


def _collect(schema: Schema, before: str, found: dict[str, bool]) -> None:
    for name, member in schema.get("properties", {}).items():
        path = f"{before}{name}"
        branches = [member, *member.get("anyOf", ())]
        found[path] = (
            any(
                branch.get("type") == "object" and "properties" not in branch for branch in branches
            )
            or not member
        )
        for branch in branches:
            _collect(branch, f"{path}.", found)


def schema_of(struct: Any) -> Schema:
    """The JSON Schema of a type's JSON, whole in itself."""
    (schema,), parts = msgspec.json.schema_components([struct], ref_template="#/x/{name}")
    inlined: Schema = _inlined(schema, parts)
    return inlined


def resource_schema(kind: ResourceType) -> Schema:
    """The JSON Schema of a resource object: any attribute may be left out by the choice of the request."""
    attributes = _optional(schema_of(kind.attributes))
    properties: dict[str, Any] = {
        "type": {"const": kind.name},
        "id": {"type": "string"},
        "attributes": attributes,
    }
    if kind.relationships:
        properties["relationships"] = {
            "type": "object",
            "properties": {
                name: _relation_schema(each) for name, each in kind.relationships.items()
            },
        }
    if kind.has_page:
        properties["links"] = links_schema("self")
    return {"type": "object", "required": list(properties), "properties": properties}


def identifier_schema(type_name: str) -> Schema:
    """The JSON Schema of a resource identifier object."""
    properties = {"type": {"const": type_name}, "id": {"type": "string"}}
    return {"type": "object", "required": ["type", "id"], "properties": properties}


def links_schema(*names: str, nullable: Sequence[str] = ()) -> Schema:
    """The JSON Schema of links, each an absolute URI, or null where it may be."""
    uri = {"type": "string", "format": "uri"}
    or_null = {"anyOf": [uri, {"type": "null"}]}
    properties = {name: or_null if name in nullable else uri for name in names}
    return {"type": "object", "required": list(names), "properties": properties}


def _relation_schema(relation: Relation) -> Schema:
    one = identifier_schema(relation.type)
    data = {"type": "array", "items": one} if relation.many else {"anyOf": [one, {"type": "null"}]}
    if not relation.has_related:
        return {"type": "object", "properties": {"data": data}}
    links = links_schema("self", "related") if relation.has_linkage else links_schema("related")
    properties = {"data": data, "links": links}
    return {"type": "object", "required": ["links"], "properties": properties}


def _optional(schema: Any) -> Any:
    """The schema with no member of an object required: a request may have chosen others."""
    if isinstance(schema, list):
        return [_optional(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    is_schema = "properties" in schema
    return {k: _optional(v) for k, v in schema.items() if not (is_schema and k == "required")}


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:
    """A schema with what it refers to in place of the references."""
    if isinstance(schema, list):
        return [_inlined(each, parts) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(parts[schema["$ref"].removeprefix("#/x/")], parts)
    if not any(
        schema.get("prefixItems", [True])
    ):  # a tuple of anything: readers of old schemas know no prefixItems
        schema = {k: v for k, v in schema.items() if k not in ("prefixItems", "items")}
    made = {key: _inlined(value, parts) for key, value in schema.items()}
    if isinstance(made.get("title"), str):
        made["title"] = made["title"].lstrip("_")
    if isinstance(made.get("description"), str):
        made["description"] = cleandoc(made["description"])
    return made

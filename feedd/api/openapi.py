"""What OpenAPI says of an operation, from what it declares."""

from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from fastapi import Response

from feedd.api.documents import MEDIA_TYPE, JsonApiResponse
from feedd.api.filters import described
from feedd.api.resources import (
    Schema,
    identifier_schema,
    links_schema,
    names_of,
    resource_schema,
    schema_of,
)

if TYPE_CHECKING:
    from feedd.api.asking import Asking

_ERROR_PROPERTIES: Schema = {
    "id": {"type": "string"},
    "status": {"type": "integer"},
    "code": {"type": "string"},
    "title": {"type": "string"},
    "detail": {"type": "string"},
    "source": {
        "type": "object",
        "properties": {"pointer": {"type": "string"}, "parameter": {"type": "string"}},
    },
    "meta": {"type": "object"},
}
_ERRORS: Schema = {
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["id", "status", "code", "title", "detail"],
                "properties": _ERROR_PROPERTIES,
            },
        }
    },
}


class Shape(Enum):
    """What an answer holds."""

    NOTHING = auto()
    ONE = auto()
    PAGE = auto()
    LINKAGE = auto()
    LINKAGES = auto()


def route(
    asking: "Asking", *, status: int, body: tuple[type[Any], Any] | None, shape: Shape
) -> dict[str, Any]:
    """The keywords of FastAPI's route decorators for an operation."""
    extra: dict[str, Any] = {"parameters": [] if shape is Shape.NOTHING else _parameters(asking)}
    if body is not None:
        extra |= request_body(*body)
    return {
        "status_code": status,
        "response_class": Response if shape is Shape.NOTHING else JsonApiResponse,
        "responses": {status: _answer(asking, shape), **error_answers()},
        "openapi_extra": extra,
    }


def request_body(model: type[Any], example: Any) -> dict[str, Any]:
    """What OpenAPI says of a body: the schema of its struct, and an example of it."""
    content = {"schema": schema_of(model), "example": example}
    return {"requestBody": {"required": True, "content": {MEDIA_TYPE: content}}}


def error_answers() -> dict[int | str, dict[str, Any]]:
    """The answers for errors."""
    content = {MEDIA_TYPE: {"schema": _ERRORS}}
    return {
        "4XX": {"description": "The request cannot be done as it stands", "content": content},
        "5XX": {"description": "feedd cannot do it now", "content": content},
    }


def meta_answer(struct: type[Any]) -> dict[str, Any]:
    """An answer that is a document with nothing but `meta`, which is such a struct."""
    schema = {"type": "object", "required": ["meta"], "properties": {"meta": schema_of(struct)}}
    return {"description": "Done", "content": {MEDIA_TYPE: {"schema": schema}}}


def _answer(asking: "Asking", shape: Shape) -> dict[str, Any]:
    if shape is Shape.NOTHING:
        return {"description": "Taken; there is no body", "content": {}}
    schema = _document(asking, shape)
    return {"description": "Done", "content": {MEDIA_TYPE: {"schema": schema}}}


def _document(asking: "Asking", shape: Shape) -> Schema:
    one = (
        identifier_schema(asking.kind.name)
        if shape in (Shape.LINKAGE, Shape.LINKAGES)
        else _any_of([resource_schema(kind) for kind in asking.answers])
    )
    data: Schema = one
    links = links_schema("self")
    if shape in (Shape.PAGE, Shape.LINKAGES):
        data = {"type": "array", "items": one}
        links = links_schema("self", "next", "prev", nullable=("next", "prev"))
    elif shape is Shape.LINKAGE:
        data = {"anyOf": [one, {"type": "null"}]}
    properties: Schema = {"data": data, "links": links, "meta": {"type": "object"}}
    if asking.include:
        kinds = {kind.name: kind for kind in asking.include.values()}
        items = _any_of([resource_schema(kind) for kind in kinds.values()])
        properties["included"] = {"type": "array", "items": items}
    return {"type": "object", "required": ["data", "links"], "properties": properties}


def _any_of(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _parameters(asking: "Asking") -> list[Schema]:
    default, most = asking.pages or (0, 0)
    sizes = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    told: dict[str, tuple[Schema, str]] = {
        "filter": (
            {"type": "string"},
            f"Conditions joined by commas, all of which hold: {described(asking.filters)}.",
        ),
        "sort": (
            {"type": "string", "enum": list(asking.sorts)},
            "With `-` in the other direction.",
        ),
        "include": _words(
            asking.include, "What is related, in `included`; a key has to be allowed to read it."
        ),
        "page[size]": (sizes, "How many at most."),
        "page[cursor]": ({"type": "string"}, "From `links.next` of the page before."),
    }
    for kind in asking.kinds.values():
        told[f"fields[{kind.name}]"] = _words(names_of(kind.attributes), "")
        told[f"additional-fields[{kind.name}]"] = _words(kind.additional, "")
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": told[name][0],
            "description": told[name][1],
            # a list is one value with commas
            **({"explode": False} if told[name][0]["type"] == "array" else {}),
        }
        for name in asking.names()
        if name not in asking.also
    ]


def _words(names: Any, what: str) -> tuple[Schema, str]:
    return {"type": "array", "items": {"type": "string", "enum": list(names)}}, what

"""What OpenAPI says of the track and identify calls, which are no routes of FastAPI's. Pure."""

import json
from base64 import b64encode
from typing import Any

from feedd.api.openapi import error_answers

EXAMPLES: dict[str, dict[str, Any]] = {
    "track": {
        "token": "Ab12Cd",
        "event": "Placed Order",
        "customer_properties": {"$email": "jane.doe@example.com", "$first_name": "Jane"},
        "properties": {"$event_id": "order-1042", "$value": 29.9, "ItemNames": ["Mug"]},
        "time": 1767225600,
    },
    "identify": {
        "token": "Ab12Cd",
        "properties": {"$email": "jane.doe@example.com", "$city": "Oslo", "Plan": "gold"},
    },
}
_SUMMARIES = {
    "track": "Record that somebody did something",
    "identify": "Say who somebody is, and what is known of them",
}
_SCOPES = {"track": "events:write", "identify": "profiles:write"}
_MEMBERS: dict[str, dict[str, Any]] = {
    "token": {"type": "string", "description": "The public key; not needed by trusted callers."},
    "event": {"type": "string", "description": "The name of what was done."},
    "customer_properties": {"type": "object", "description": "Who did it: identifiers and more."},
    "properties": {"type": "object"},
    "time": {
        "description": "When: Unix seconds, or a date; now where it is absent.",
        "oneOf": [{"type": "number"}, {"type": "string"}],
    },
}
_PARAMETERS = {
    "test": "1: say whether the payload can be used, and store nothing.",
    "i": "1: answer a picture of one pixel, whatever happened.",
    "callback": "A function of the page that is called with the answer (JSONP).",
}
_SECURITY: list[dict[str, list[str]]] = [{}, {"private key": []}]
_ANSWERS: dict[str, Any] = {
    "text/html": {"schema": {"type": "string", "enum": ["0", "1"]}},
    "application/javascript": {"schema": {"type": "string"}},
    "image/gif": {"schema": {"type": "string", "format": "binary"}},
}
_RESPONSES = {
    "200": {
        "description": "`1`: taken, and recorded; `0`: neither JSON nor base64 of it; as text, a call of a function, or a picture.",
        "content": _ANSWERS,
    },
    **error_answers(),
}


def _parameter(name: str, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "description": text,
        "required": False,
        "schema": {"type": "string"},
    }


def _operations(call: str) -> dict[str, Any]:
    example = EXAMPLES[call]
    text = json.dumps(example)
    packed = b64encode(text.encode()).decode()
    options = [_parameter(name, about) for name, about in _PARAMETERS.items()]
    data = _parameter("data", "The payload: base64 of its JSON.")
    data |= {"required": True, "example": packed}
    member = {"type": "string", "description": "The payload: JSON, or base64 of it."}
    properties = {"data": {**member, "example": text}}
    form = {"type": "object", "properties": properties, "required": ["data"]}
    payload = {"type": "object", "properties": {name: _MEMBERS[name] for name in example}}
    content = {
        "application/x-www-form-urlencoded": {"schema": form, "example": {"data": text}},
        "multipart/form-data": {"schema": form, "example": {"data": text}},
        "application/json": {"schema": payload, "example": example},
    }
    about = {
        "tags": ["track and identify"],
        "summary": _SUMMARIES[call],
        "description": f"With a public key in `token`, or a private one that has `{_SCOPES[call]}`.",
        "x-scopes": [_SCOPES[call]],
        "security": _SECURITY,
        "responses": _RESPONSES,
    }
    body = {"required": True, "content": content}
    return {
        "get": about | {"operationId": f"{call}_get", "parameters": [data, *options]},
        "post": about | {"operationId": f"{call}_post", "parameters": options, "requestBody": body},
    }


TRACK_PATHS = {f"/api/{call}": _operations(call) for call in EXAMPLES}

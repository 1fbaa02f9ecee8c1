"""Request bodies: read with a limit, decoded into structs."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import msgspec
from fastapi import Request

from feedd.errors import UsageError

MAX_BODY_BYTES = 5 * 1024 * 1024
Model = TypeVar("Model")


class BodyError(UsageError):
    """The body is too large, not JSON, or not of the form that the operation takes."""

    source = {"pointer": "/data"}  # noqa: RUF012 never changed


def described(model: type[Any], example: Any) -> dict[str, Any]:
    """What OpenAPI says of an operation's body: the schema of the model, and an example of it."""
    (schema,), parts = msgspec.json.schema_components([model], ref_template="#/x/{name}")
    content = {"schema": _inlined(schema, parts), "example": example}
    media = {"application/vnd.api+json": content}
    return {"requestBody": {"required": True, "content": media}}


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:
    """A schema with what it refers to in place of the references."""
    if isinstance(schema, list):
        return [_inlined(each, parts) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(parts[schema["$ref"].removeprefix("#/x/")], parts)
    return {key: _inlined(value, parts) for key, value in schema.items()}


async def limited_body(request: Request, most_bytes: int) -> bytes:
    """The body of a request. Raises BodyError where it is larger."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise BodyError(f"the body is larger than {most_bytes} bytes", code="payload_too_large")
    return bytes(body)


@contextlib.contextmanager
def usable() -> Iterator[None]:
    """Have what is wrong with a body that is decoded inside be a BodyError."""
    try:
        yield
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BodyError(f"the body cannot be used: {error}") from error


def json_body(model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """A dependency that gives the request's JSON body as a `model`. Raises BodyError."""
    decoder = msgspec.json.Decoder(model)

    async def read(request: Request) -> Model:
        body = await limited_body(request, MAX_BODY_BYTES)
        with usable():
            return decoder.decode(body)

    return read

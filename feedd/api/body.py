"""Request bodies: read with a limit, decoded into structs."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio.to_thread
import msgspec
from fastapi import Request

from feedd.errors import UsageError
from feedd.people.decoding import read

MAX_BODY_BYTES = 5 * 1024 * 1024
LARGE_BYTES = 64 * 1024
Model = TypeVar("Model")
Made = TypeVar("Made")


class BodyError(UsageError):
    """The body is too large or compressed, or an attribute cannot be used; `pointer` (RFC 6901) is where."""

    def __init__(
        self, message: str, *, code: str = "invalid", hint: str = "", pointer: str = ""
    ) -> None:
        self.source = {"pointer": pointer}
        super().__init__(message, code=code, hint=hint)


async def limited_body(request: Request, most_bytes: int) -> bytes:
    """The body of a request. Raises BodyError where it is larger, or compressed."""
    _check_encoding(request)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise BodyError(f"the body is larger than {most_bytes} bytes", code="payload_too_large")
    return bytes(body)


async def apart(decode: Callable[[], Made], body: bytes) -> Made:
    """What is made of a body; in a thread where that is large, so that nobody waits for it."""
    return await anyio.to_thread.run_sync(decode) if len(body) > LARGE_BYTES else decode()


def _check_encoding(request: Request) -> None:
    """Raise BodyError where a body is sent compressed: it would be read as what it is not."""
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise BodyError(
            f"the body is sent with Content-Encoding: {encoding[:40]}, which is not understood here",
            code="unsupported_encoding",
            hint="Send it uncompressed, without that header.",
        )


def json_body(model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """A dependency that gives the request's JSON body as a `model`. Raises BodyError, PayloadProblem."""
    decoder = msgspec.json.Decoder(model)

    async def body_of(request: Request) -> Model:
        body = await limited_body(request, MAX_BODY_BYTES)
        found: Model = await apart(lambda: read(decoder, body), body)
        return found

    return body_of

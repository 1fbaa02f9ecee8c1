"""Request bodies: read with a limit, decoded into structs."""

import contextlib
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import anyio.to_thread
import msgspec
from fastapi import Request

from feedd.errors import UsageError
from feedd.people.payloads import read_json

MAX_BODY_BYTES = 5 * 1024 * 1024
LARGE_BYTES = 64 * 1024
Model = TypeVar("Model")
Made = TypeVar("Made")


_PLACE = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


class BodyError(UsageError):
    """The body is too large, not JSON, or not of the form that the operation takes; `pointer` (RFC 6901) is where."""

    def __init__(
        self, message: str, *, code: str = "invalid", hint: str = "", pointer: str = "/data"
    ) -> None:
        self.source = {"pointer": pointer}
        super().__init__(message, code=code, hint=hint)


async def limited_body(request: Request, most_bytes: int) -> bytes:
    """The body of a request. Raises BodyError where it is larger."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise BodyError(f"the body is larger than {most_bytes} bytes", code="payload_too_large")
    return bytes(body)


async def apart(decode: Callable[[], Made], body: bytes) -> Made:
    """What is made of a body; in a thread where that is large, so that nobody waits for it."""
    return await anyio.to_thread.run_sync(decode) if len(body) > LARGE_BYTES else decode()


@contextlib.contextmanager
def usable() -> Iterator[None]:
    """Have what is wrong with a body that is decoded inside be a BodyError."""
    try:
        yield
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unusable(error) from error


def _unusable(error: Exception) -> BodyError:
    """The error for what a decoder says, which ends with the place: `` - at `$.data[2].type` ``."""
    said = str(error)
    place = _PLACE.search(said)
    if place is None:
        return BodyError(f"the body cannot be used: {said}")
    steps = [name or number for name, number in _STEP.findall(place[1])]
    pointer = "".join(f"/{step}" for step in steps if step != "...")
    return BodyError(f"the body cannot be used: {said}", pointer=pointer or "/data")


def json_body(model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """A dependency that gives the request's JSON body as a `model`. Raises BodyError."""
    decoder = msgspec.json.Decoder(model)

    async def read(request: Request) -> Model:
        body = await limited_body(request, MAX_BODY_BYTES)
        with usable():
            found: Model = (await apart(lambda: read_json(decoder, body), body))[0]
            return found

    return read

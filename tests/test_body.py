"""Bodies of requests."""

import threading

import anyio
import pytest
from fastapi import Request
from msgspec import Struct
from starlette.types import Message

from feedd.api import body as module
from feedd.api.body import LARGE_BYTES, json_body


class Named(Struct):
    name: str


@pytest.mark.parametrize("size", [10, LARGE_BYTES])
def test_what_is_large_is_decoded_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    decoded_by: list[threading.Thread] = []
    real = module.read_json

    def spied(decoder: object, body: bytes) -> object:
        decoded_by.append(threading.current_thread())
        return real(decoder, body)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "read_json", spied)

    async def receive() -> Message:
        return {"type": "http.request", "body": b'{"name":"%s"}' % (b"x" * size)}

    async def read() -> Named:
        return await json_body(Named)(Request({"type": "http"}, receive))

    assert anyio.run(read).name == "x" * size
    assert [each is threading.current_thread() for each in decoded_by] == [size < LARGE_BYTES]

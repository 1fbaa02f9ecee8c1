"""Asks an ASGI application without a server."""

import anyio
import httpx
from starlette.types import ASGIApp


def ask(app: ASGIApp, method: str, url: str, **headers: str) -> httpx.Response:
    """Its answer to a request."""

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
            return await client.request(method, url, headers=headers)

    return anyio.run(request)

"""HEAD for every GET: the same headers, and no body (RFC 9110, 9.3.2)."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Hands a HEAD request on as a GET, and keeps the body of the answer to itself.

    A client that waits for no body is gone as soon as it has the headers; so a stream without an end is told that it is.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        answered = False

        async def ask() -> Message:
            return {"type": "http.disconnect"} if answered else await receive()

        async def tell(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                await send(message)
            elif message["type"] == "http.response.body" and not answered:
                answered = True
                end: dict[str, Any] = {"type": "http.response.body", "body": b""}
                await send(end)

        inner = {**scope, "method": "GET"}
        try:
            await self._app(inner, ask, tell)
        finally:  # for who tells of it
            scope["path_params"] = inner.get("path_params", {})

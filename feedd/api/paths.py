"""Requests as other servers take them: paths with and without a trailing slash or a second one before them, absolute targets, calls from pages of any origin."""

from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feedd.api.documents import failure
from feedd.api.origins import Headers, for_pages, preflight

_SLASHED = ("/api/", "/client/")
_LEGACY = ("/api/v1/", "/api/v2/")  # errors have another form there
FOR_PAGES = "/client/"


class Paths:
    """ASGI middleware: one path for each resource, and what browsers ask of calls under /client/."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = _plain(scope)
        if "\0" in scope["path"] and not scope["path"].startswith(_LEGACY):
            nothing = failure(404, "not_found", "Not found.", "a NUL character is in no name")
            await nothing(scope, receive, send)
        elif not scope["path"].startswith(FOR_PAGES):
            await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            headers = preflight(scope["headers"], b"POST, OPTIONS")
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, _opened(send, for_pages(scope["headers"])))


def _plain(scope: Scope) -> Scope:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    plain = raw
    if plain.startswith((b"http://", b"https://")):  # RFC 9112, 3.2.2
        plain = b"/" + plain.split(b"/", 3)[3] if plain.count(b"/") > 2 else b"/"
    if plain.startswith(b"//"):  # who puts an address with a slash at its end before a path
        plain = b"/" + plain.lstrip(b"/")
    if plain.endswith(b"/") and plain.startswith(tuple(each.encode() for each in _SLASHED)):
        plain = plain.rstrip(b"/")
    if plain == raw:
        return scope
    return {**scope, "raw_path": plain, "path": unquote(plain.decode("latin-1"))}


def _opened(send: Send, headers: Headers) -> Send:
    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *headers]}
        await send(message)

    return tell

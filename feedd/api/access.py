"""Who may call: the unix socket's file mode says who may use it; over TCP a private key does.

What waits for nothing is async: FastAPI would have a thread do it, which costs more than all that it does.
"""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader

from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.errors import UsageError
from feedd.tail import Tail


def is_local(request: Request) -> bool:
    """Whether the request came over the unix socket."""
    server = request.scope.get("server")
    return server is not None and server[1] is None


async def the_app(request: Request) -> App:
    """The App behind this API."""
    app: App = request.app.state.feedd
    return app


async def the_dispatcher(request: Request) -> Dispatcher:
    """The dispatcher behind this API."""
    dispatcher: Dispatcher = request.app.state.dispatcher
    return dispatcher


async def the_tail(request: Request) -> Tail:
    """The end of the change stream, for those who follow it."""
    tail: Tail = request.app.state.tail
    return tail


TheApp = Annotated[App, Depends(the_app)]
TheTail = Annotated[Tail, Depends(the_tail)]
TheDispatcher = Annotated[Dispatcher, Depends(the_dispatcher)]


KEY_HEADER = APIKeyHeader(
    name="Authorization",
    scheme_name="private key",
    description="Klaviyo-API-Key pk_…, as `feedd key create --private` makes it. Not needed over the unix socket.",
    auto_error=False,
)


def authorize(request: Request, app: TheApp) -> None:
    """Let the request pass, or raise UsageError (`not_authenticated`, `forbidden`).

    Over TCP: `Authorization: Klaviyo-API-Key pk_…` or `Bearer pk_…`, with scope `read` for GET and `write` otherwise.
    """
    if is_local(request):
        return
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    text = text.strip()
    known = scheme.lower() in ("klaviyo-api-key", "bearer") and text.startswith("pk_")
    key = app.private_key(text) if known else None
    if key is None:
        raise UsageError(
            "a private API key is needed",
            code="not_authenticated",
            hint="Send Authorization: Klaviyo-API-Key pk_…; `feedd key create --private` makes one.",
        )
    scope = "read" if request.method in ("GET", "HEAD") else "write"
    if scope not in key.scopes:
        raise UsageError(f"this key has no {scope} scope", code="forbidden")


async def local_only(request: Request) -> None:
    """Let only the unix socket pass."""
    if not is_local(request):
        raise UsageError(
            "API keys are managed over the unix socket only",
            code="forbidden",
            hint="Use `feedd key` on the machine that feedd runs on.",
        )

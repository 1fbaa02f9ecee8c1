"""Bodies of requests that are on their way, or not answered yet: bounded together, so that many at once do not take all memory.

Here it is also noticed, for whoever reads a body, that no more of it comes.
"""

from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feedd import logs
from feedd.api.access import is_local
from feedd.errors import Overloaded, UsageError

MOST_HELD_BYTES = 64 * 1024 * 1024
SMALL_BYTES = 64 * 1024
LATE = "late"  # in the state of a request whose body has not come in time

log = logs.get_logger("feedd")


class TooSlow(UsageError):
    """A body has not come whole in time."""

    def __init__(self) -> None:
        super().__init__("the body has not come whole in time", code="too_slow")


class Bodies:
    """ASGI middleware: who reads a body gets Overloaded where too much is held already, and TooSlow where it does not come.

    Who hangs up before the end has said nothing, and is not answered.

    A few clients that send large bodies slowly must not keep out all others: small ones are read whatever is held. Who may use the unix
    socket is trusted, and sends imports there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_trusted = is_local(HTTPConnection(scope))
        mine = 0

        async def counted() -> Message:
            nonlocal mine
            message = await receive()
            if message.get("more_body") and scope.get("state", {}).get(LATE):
                raise TooSlow
            size = 0 if is_trusted else len(message.get("body", b""))
            mine += size
            self._held_bytes += size
            if self._held_bytes > MOST_HELD_BYTES and mine > SMALL_BYTES:
                raise Overloaded
            return message

        try:
            await self._app(scope, counted, send)
        except ClientDisconnect:
            log.debug(logs.REQUEST_LEFT, method=scope["method"], path=scope["path"])
        finally:
            self._held_bytes -= mine

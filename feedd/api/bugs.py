"""Whatever goes wrong by a mistake of feedd's own: answered, and logged under the id that the answer has."""

import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feedd import logs
from feedd.api import legacy
from feedd.api.documents import failure
from feedd.api.legacy.calls import failed

log = logs.get_logger("feedd")


class Bugs:
    """ASGI middleware: an error that nobody expects is 500, in the form that errors have there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def tell(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, tell)
        except Exception as error:
            id_ = str(uuid.uuid4())
            where = {"id": id_, "method": scope.get("method", ""), "path": _path_of(scope)}
            log.error(logs.REQUEST_ERROR, **where, exc_info=error)
            if started:  # the HTTP server has to break off what it sends
                raise
            answer = _answer(scope["path"], id_)
            await answer(scope, receive, send)


def _path_of(scope: Scope) -> str:
    """The path, with the names of its parameters in place of what the caller has written there: that may say who somebody is."""
    path: str = scope["path"]
    for name, value in scope.get("path_params", {}).items():
        path = path.replace(f"/{value}", f"/{{{name}}}")
    return path


def _answer(path: str, id_: str) -> ASGIApp:
    detail = "feedd has a bug here; its log has the details"
    if legacy.is_legacy(path):
        return failed(500, f"{detail}, by the id {id_}.")
    return failure(500, "internal", "Internal error.", f"{detail}, by this id", id_=id_)

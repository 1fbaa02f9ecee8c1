"""A v1 or v2 call: who makes it, what it brings, and the forms of its answers and errors.

The forms are those of Klaviyo's v1 and v2 APIs, so that their old clients work. A private key stands in the query, in the body, or in a header.
Whoever calls over the unix socket needs none.
"""

import contextlib
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from fastapi import Request, Response
from fastapi.routing import APIRoute
from msgspec import Struct
from msgspec.structs import replace

from feedd.api.access import Gate, Scoped, check_scope, is_local
from feedd.api.body import apart, limited_body
from feedd.api.documents import failure_of
from feedd.api.legacy.parameters import Parameters, body_parameters, query_texts
from feedd.app import App
from feedd.errors import FeeddError, UsageError
from feedd.model import ApiKey
from feedd.scopes import allows

Row = TypeVar("Row")
API_KEY = "api_key"
KEY_HEADER = "api-key"
MAX_BODY_BYTES = 1024 * 1024
NO_PROFILE = "There is no profile matching the given parameters."
_ERROR = {
    "type": "object",
    "required": ["status", "message", "detail"],
    "properties": {
        "status": {"type": "integer"},
        "message": {"type": "string"},
        "detail": {"type": "string"},
    },
}
_NO_KEY = "You must specify an API key to make requests."
_WRONG_KEY = "The API key specified is invalid."


class Call(Struct, frozen=True):
    """A call that may be made. `scopes` are those of its key; null over the unix socket, which may do everything."""

    app: App
    parameters: Parameters
    scopes: tuple[str, ...] | None

    def may_read(self, resource: str) -> bool:
        """Whether the caller may read a resource beside that of the operation."""
        return self.scopes is None or allows(self.scopes, resource, "read")

    def text(self, name: str) -> str | None:
        """A parameter; None where it is not given, or is empty."""
        return self.parameters.text(name)

    def count(self, name: str, *, default: int, most: int, least: int = 1) -> int:
        """A parameter that is a whole number. Raises UsageError."""
        text = self.text(name)
        if text is None:
            return default
        # eighteen digits: what has more is beyond any bound
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else -1
        if not least <= number <= most:
            raise UsageError(
                f"{name} must be a whole number from {least} to {most}",
                hint=f"It is {default} where it is left out.",
            )
        return number

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """A parameter that is one of these; the first of them where it is left out. Raises UsageError."""
        text = self.text(name) or choices[0]
        if text not in choices:
            raise UsageError(f"{name} must be one of {', '.join(choices)}")
        return text

    def one_of(self, names: Sequence[str]) -> tuple[str, str]:
        """The one of these parameters that is given, and its text. Raises UsageError where none is, or several are."""
        given = [(name, text) for name in names if (text := self.text(name)) is not None]
        if not given and len(names) == 1:
            raise UsageError(f"{names[0]} is missing")
        if len(given) != 1:
            raise UsageError(
                f"{len(given) or 'none'} of {', '.join(names)} {'are' if given else 'is'} given",
                hint="Send exactly one of them.",
            )
        return given[0]


def caller(resource: str, action: str) -> Scoped[Call]:
    """A dependency that gives the call, if its key may do that to a resource.

    Raises:
        UsageError: it may not, or what the call brings cannot be read.
        TooManyAttempts: too many wrong keys have come from there.
        StoreError: the key cannot be looked up now.
    """

    async def made(request: Request) -> Call:
        app: App = request.app.state.feedd
        parameters = Parameters(texts=query_texts(request.scope["query_string"]))
        local = is_local(request)
        key = None if local else await _key_of(request, parameters)
        # a key that stands before the body was looked at by now: no body is read for a wrong one
        body = await limited_body(request, MAX_BODY_BYTES)
        kind = request.headers.get("content-type", "")
        sent = await apart(lambda: body_parameters(body, kind), body)
        if not local and key is None:
            key = await _key_in(request, sent)
        if key is not None:
            check_scope(key, resource, action)
        texts = {**parameters.texts, **sent.texts}
        parameters = replace(sent, texts=texts)
        return Call(app, parameters, None if key is None else key.scopes)

    return Scoped(made, (f"{resource}:{action}",))


async def _key_of(request: Request, parameters: Parameters) -> ApiKey | None:
    """The key in a header or in the query, if there is one. Raises UsageError where it is wrong."""
    gate: Gate = request.app.state.gate
    with _refusing():
        found = await gate.key_of(request)
    if found is not None:
        return found
    text = request.headers.get(KEY_HEADER, "").strip() or parameters.text(API_KEY)
    if text is None:
        return None
    with _refusing():
        return await gate.look_up(request, text)


async def _key_in(request: Request, parameters: Parameters) -> ApiKey:
    """The key in a body. Raises UsageError where there is none, or it is wrong."""
    gate: Gate = request.app.state.gate
    text = parameters.text(API_KEY)
    if text is None:
        raise UsageError(_NO_KEY.rstrip("."), code="forbidden")
    with _refusing():
        return await gate.look_up(request, text)


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Have a wrong key be told in the words of v1, with its status."""
    try:
        yield
    except UsageError as error:
        if error.code == "not_authenticated":
            raise UsageError(_WRONG_KEY.rstrip("."), code="forbidden") from error
        raise


class LegacyRoute(APIRoute):
    """A route whose errors have the form of v1 and v2."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except FeeddError as error:
                return refusal(error)

        return answered


def refusal(error: FeeddError) -> Response:
    """The answer for an error, with the status that it has everywhere."""
    usual = failure_of(error)
    message = str(error) if str(error).endswith((".", "…")) else f"{error}."
    wait = usual.headers.get("retry-after")
    headers = {} if wait is None else {"Retry-After": wait}
    if usual.status_code == 429:  # PHP's library takes the last number for the seconds to wait
        message += f" Request was throttled. Expected available in {wait} seconds."
    return failed(usual.status_code, message, headers)


def failed(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error. Clients of v1 look for `message`, those of v2 for `detail`."""
    return answer({"status": status, "message": message, "detail": message}, status, headers)


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A document as an answer. As a key in a query says to no cache that it is somebody's, this does."""
    return Response(
        msgspec.json.encode(document),
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type="application/json",
    )


def page_of(
    found: Sequence[Row],
    show: Callable[[Sequence[Row]], list[dict[str, Any]]],
    *,
    page: int,
    size: int,
) -> Response:
    """A page of a list that is all there; `start` and `end` are the places of its first and last element."""
    shown = show(found[page * size : (page + 1) * size])
    return answer(
        {
            "object": "$list",
            "start": page * size,
            "end": page * size + len(shown) - 1,
            "page": page,
            "page_size": size,
            "total": len(found),
            "data": shown,
        }
    )


def written(moment: datetime) -> str:
    """A time as v1 writes it, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def told(*parameters: tuple[str, str, str], body: bool = False) -> dict[str, Any]:
    """The keywords of a route for what OpenAPI says of it.

    Parameters are a name, a JSON type, and what it is; `body`: where they usually stand in one.
    """
    properties = {name: {"type": kind, "description": what} for name, kind, what in parameters}
    extra: dict[str, Any] = {}
    if body:
        content = {"schema": {"type": "object", "properties": properties}}
        kinds = ("application/json", "application/x-www-form-urlencoded")
        extra = {"requestBody": {"content": dict.fromkeys(kinds, content)}}
    elif parameters:
        extra["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": kind}, "description": what}
            for name, kind, what in parameters
        ]
    return {
        "response_class": Response,
        "responses": {
            200: _described("Done", {"type": "object"}),
            "4XX": _described("The request cannot be done as it stands", _ERROR),
            "5XX": _described("feedd cannot do it now", _ERROR),
        },
        "openapi_extra": extra,
    }


def _described(what: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": what, "content": {"application/json": {"schema": dict(schema)}}}

"""`/api/track` and `/api/identify`: how shops' pages and servers say who somebody is and what they did.

The forms are those of Klaviyo's legacy API, so that its old client libraries work. Thousands of calls a second come here, so this is
plain ASGI in front of the other routes: no dependencies, no thread unless a payload is large or a key is not at hand.
"""

import re
import time
from collections import Counter
from typing import Any

import anyio.to_thread
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from feedd import logs
from feedd.api.access import Gate, check_scope, is_local
from feedd.api.body import LARGE_BYTES
from feedd.api.documents import failure, failure_of
from feedd.api.origins import Headers, for_pages, preflight
from feedd.api.track_body import Fields, body_fields, fields_of, json_of
from feedd.app import App
from feedd.errors import FeeddError, UsageError
from feedd.metrics import Metrics
from feedd.people.limits import (
    MAX_EVENT_BYTES,
    MAX_PUBLIC_METRICS,
    MAX_STORED_BYTES,
    PayloadProblem,
)
from feedd.people.payloads import NotJson, Payload, identify_payload, track_payload
from feedd.people.values import Refusal

CALLS = {path: call for call in ("track", "identify") for path in (f"/api/{call}", f"/api/{call}/")}
_RESOURCES = {"track": "events", "identify": "profiles"}
MAX_BODY_BYTES = (
    3 * MAX_EVENT_BYTES
)  # percent-encoded, what is not ASCII takes three times its size
_LOG_EVERY_S = 60.0

_TRUE = (b"1", b"true")
_CALLBACK = re.compile(rb"[A-Za-z_$][A-Za-z0-9_$]*(?:\.[A-Za-z_$][A-Za-z0-9_$]*)*")
_PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_KEPT_NOWHERE = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]

log = logs.get_logger("feedd")


class _Gone(Exception):
    """The client has gone before its body was whole."""


class Tracking:
    """ASGI middleware that answers track and identify calls itself, and hands on all others."""

    def __init__(self, app: ASGIApp, *, feedd: App, gate: Gate, metrics: Metrics) -> None:
        self._app = app
        self._feedd = feedd
        self._gate = gate
        self._metrics = metrics
        self._unsaid: Counter[str] = Counter()  # calls since the log told of their like
        self._said_at: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = CALLS.get(scope["path"]) if scope["type"] == "http" else None
        if call is None:
            await self._app(scope, receive, send)
        elif scope["method"] in ("GET", "POST"):
            await self._answer(call, scope, receive, send)
        elif scope["method"] == "OPTIONS":
            headers = preflight(scope["headers"], b"GET, POST, OPTIONS")
            await _send(send, 204, b"", [*headers, *_KEPT_NOWHERE])
        else:
            refused = failure(
                405,
                "method_not_allowed",
                "Method Not Allowed",
                f"{scope['method']} is not for {scope['path']}",
                headers={"Allow": "GET, POST, OPTIONS"},
            )
            await refused(scope, receive, send)

    async def _answer(self, call: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*for_pages(scope["headers"]), *_KEPT_NOWHERE]
        fields: dict[bytes, bytes] = fields_of(scope["query_string"])
        body = bytearray()
        outcome = "failed"
        try:
            if scope["method"] == "POST":
                await self._read(body, receive)
                fields |= await _run(len(body), body_fields, bytes(body), _type_of(scope))
            outcome = await self._done(call, scope, fields)
            if outcome == "not_json":
                self._say(logs.TRACK_REFUSED, call=call, reason="neither JSON nor base64 of JSON")
        except _Gone:
            return
        except FeeddError as error:
            if isinstance(error, UsageError):
                outcome = "refused"
                self._say(logs.TRACK_REFUSED, call=call, reason=str(error))
            if fields.get(b"i") not in _TRUE:
                refused = failure_of(error)
                refused.raw_headers += headers
                await refused(scope, receive, send)
                return
        finally:
            self._metrics.count_call(call, outcome)
        await _say(send, b"0" if outcome == "not_json" else b"1", fields, headers)

    async def _read(self, body: bytearray, receive: Receive) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            more = message.get("more_body", False)
            body += message.get("body", b"")
            if len(body) > MAX_BODY_BYTES:
                raise _too_large()

    async def _done(self, call: str, scope: Scope, fields: Fields) -> str:
        """Do what is asked; gives the outcome, one of `metrics.OUTCOMES`."""
        _check_callback(fields)
        trusted = await self._is_trusted(call, HTTPConnection(scope))
        data = fields.get(b"data", b"")
        try:
            payload: Payload = await _run(len(data), _decoded, call, data, trusted)
        except NotJson:
            return "not_json"
        if not trusted and not await self._is_known(payload.token):
            self._say_dropped(payload.token)
            return "unknown_key"
        if fields.get(b"test") in _TRUE:
            return "tested"
        (became,) = await self._feedd.recorder.recorded([payload.action])
        if became.refused is not None and became.event is None and not became.duplicate:
            raise _refused(became.refused)
        return "duplicate" if became.duplicate else "recorded"

    async def _is_trusted(self, call: str, request: HTTPConnection) -> bool:
        """Whether the caller may change identifiers: over the unix socket, or with a private key. Raises UsageError."""
        if is_local(request):
            return True
        key = await self._gate.key_of(request)
        if key is not None:
            check_scope(key, _RESOURCES[call], "write")
        return key is not None

    async def _is_known(self, token: str | None) -> bool:
        if token is None:
            raise PayloadProblem(
                "/token",
                "is missing",
                hint="It is your public key; `feedd key create --name NAME --public` makes one.",
            )
        keyring = self._feedd.keyring
        known = keyring.knows_public(token)
        if known is None:
            known = await anyio.to_thread.run_sync(keyring.is_public, token)
        return known

    def _say_dropped(self, token: str | None) -> None:
        # a private key in its place is not to be read in a log
        shown = token if token is not None and len(token) <= 8 else "(longer than a public key)"
        self._say(logs.TRACK_DROPPED, public_key=shown)

    def _say(self, event: str, **what: str) -> None:
        """Say what is not recorded, of each kind at most once a minute: old clients do not look at their answers."""
        self._unsaid[event] += 1
        now = time.monotonic()
        if now - self._said_at.get(event, float("-inf")) >= _LOG_EVERY_S:
            log.warning(event, calls=self._unsaid.pop(event), **what)
            self._said_at[event] = now


def _type_of(scope: Scope) -> bytes:
    return next((value for name, value in scope["headers"] if name == b"content-type"), b"")


def _decoded(call: str, data: bytes, trusted: bool) -> Payload:
    body = json_of(data)
    if body is None:
        raise NotJson("neither JSON nor base64")
    if call == "track":
        return track_payload(body, time.time(), trusted=trusted, lenient=True)
    return identify_payload(body, trusted=trusted, lenient=True)


async def _run(size_bytes: int, function: Any, *arguments: Any) -> Any:
    """What a function gives; in a thread, where its work is large."""
    if size_bytes > LARGE_BYTES:
        return await anyio.to_thread.run_sync(function, *arguments)
    return function(*arguments)


def _too_large() -> UsageError:
    return PayloadProblem(
        "", f"is larger than {MAX_EVENT_BYTES // 10**6} MB", code="payload_too_large"
    )


def _refused(refusal: Refusal) -> UsageError:
    if refusal is Refusal.TOO_MANY_METRICS:
        return PayloadProblem(
            "/event",
            f"is new, and there are {MAX_PUBLIC_METRICS:,} metrics",
            code=refusal,
            hint="Say what differs in a property; more metrics are made with a private key only.",
        )
    return PayloadProblem(
        "/properties",
        f"would bring those of the profile to more than {MAX_STORED_BYTES // 1024} KB",
        code=refusal,
        hint="Unset some, or take some out of its lists.",
    )


def _check_callback(fields: Fields) -> None:
    callback = fields.get(b"callback")
    if callback and (len(callback) > 100 or not _CALLBACK.fullmatch(callback)):
        raise UsageError(
            "callback is not the name of a function", hint="Letters, digits, _, $ and dots."
        )


async def _say(send: Send, answer: bytes, fields: Fields, headers: Headers) -> None:
    """`1` or `0`, as text, as a call of a function of the page, or as a picture that says nothing."""
    if fields.get(b"i") in _TRUE:
        await _send(send, 200, _PIXEL, headers, b"image/gif")
    elif callback := fields.get(b"callback"):
        script = b"/**/%s(%s);" % (callback, answer)
        await _send(send, 200, script, headers, b"application/javascript; charset=utf-8")
    else:
        await _send(send, 200, answer, headers, b"text/html; charset=utf-8")


async def _send(
    send: Send,
    status: int,
    body: bytes,
    headers: Headers,
    content_type: bytes = b"",
) -> None:
    lines = [*headers]
    if status != 204:
        lines += [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})

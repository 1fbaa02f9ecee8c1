"""The change stream as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

An open stream holds one page of changes at most: the next one is read once the client has taken the last. Its id is
`STREAM:SEQ`, so that one of another history is recognized.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import anyio
import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from feedd.api.access import TheApp, TheTail, authorize
from feedd.api.asking import ParameterError, values_of
from feedd.api.catalog import CHANGE_FILTERS, kinds_of
from feedd.api.cursors import CursorError
from feedd.api.filters import described, parse_filter
from feedd.api.openapi import error_answers
from feedd.app import App
from feedd.errors import FeeddError, TooOld
from feedd.tail import Tail

router = APIRouter(tags=["catalog"])
HEARTBEAT_S = 15.0
RETRY_MS = 2_000
PAGE = 100
WINDOW = 20_000  # numbers that one question looks at, however few of them match
READERS = (
    4  # so many streams read at a time: the others wait, and the API has its threads to itself
)
_PARAMETERS = ("filter", "since")
_EVENTS: dict[str, Any] = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
_PLACE = re.compile(r"(?:([0-9A-Za-z_-]{1,64}):)?([0-9]{1,18})")


class Place(msgspec.Struct, frozen=True):
    """A place in the change stream: right after the change `seq`."""

    stream_id: str
    seq: int

    def __str__(self) -> str:
        return f"{self.stream_id}:{self.seq}"


class EventStream(StreamingResponse):
    """A response of `text/event-stream`; `on_end` is called however it ends."""

    def __init__(self, events: AsyncIterator[bytes], on_end: Callable[[], None]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


@router.get(
    "/catalog-changes/stream",
    summary="What changes, as it comes (server-sent events)",
    response_class=StreamingResponse,
    responses={200: _EVENTS, **error_answers()},
)
async def stream_changes(
    request: Request,
    app: TheApp,
    tail: TheTail,
    filter_: Annotated[
        str | None, Query(alias="filter", description=described(CHANGE_FILTERS))
    ] = None,
    since: Annotated[str | None, Query(max_length=100)] = None,
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
) -> Response:
    """Goes on after `Last-Event-ID`, else after `since` (`STREAM:SEQ` or a number), else with what comes from now on."""
    for name in request.query_params:
        if name not in _PARAMETERS:
            raise ParameterError(
                name, "is not supported here", f"Supported: {', '.join(_PARAMETERS)}."
            )
    conditions = parse_filter(filter_, CHANGE_FILTERS)
    wanted = {
        "feeds": values_of(conditions, "feed"),
        "items": values_of(conditions, "item"),
        "kinds": kinds_of(conditions),
        "fields": values_of(conditions, "field"),
    }
    readers = _readers(request)
    asked = last_event_id or since
    place = await anyio.to_thread.run_sync(_place_of, app, asked, limiter=readers)
    loop, news = asyncio.get_running_loop(), asyncio.Event()

    def listener() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(news.set)

    tail.add(listener)
    events = _events(request, app, tail, place, wanted, news, readers)
    return EventStream(events, lambda: tail.discard(listener))


async def _events(
    request: Request,
    app: App,
    tail: Tail,
    place: Place,
    wanted: dict[str, Any],
    news: asyncio.Event,
    readers: anyio.CapacityLimiter,
) -> AsyncIterator[bytes]:
    yield f"retry: {RETRY_MS}\nid: {place}\n\n".encode()
    check_at = time.monotonic() + HEARTBEAT_S
    try:
        while not tail.stopped:
            news.clear()
            more = True
            while more and not tail.stopped:
                if time.monotonic() >= check_at:  # a key may have been revoked meanwhile
                    await authorize(request, "catalogs")
                    check_at = time.monotonic() + HEARTBEAT_S
                page, place, more = await anyio.to_thread.run_sync(
                    _page_after, app, place, wanted, limiter=readers
                )
                if page:
                    yield page
            if not tail.stopped:
                try:
                    await asyncio.wait_for(news.wait(), HEARTBEAT_S)
                except TimeoutError:
                    yield b": heartbeat\n\n"
    except FeeddError as error:  # asked again, it gets the status for it
        yield f": {' '.join(str(error).split())}\n\n".encode()


def _page_after(app: App, place: Place, wanted: dict[str, Any]) -> tuple[bytes, Place, bool]:
    """The next events, the place behind them, and whether there may be more."""
    state = app.stream()
    if state.stream_id != place.stream_id:
        raise _other_history()
    if place.seq >= state.last_seq:
        return b"", place, False
    first = place.seq or state.oldest_seq - 1
    end = min(state.last_seq, first + WINDOW)
    changes = app.changes(since=first, before=end + 1, limit=PAGE, **wanted)
    full = len(changes) == PAGE
    events = [
        f"id: {place.stream_id}:{change.seq}\ndata: {msgspec.json.encode(change).decode()}\n\n"
        for change in changes
    ]
    behind = Place(place.stream_id, (changes[-1].seq or end) if full else end)
    if not changes or changes[-1].seq != behind.seq:
        events.append(f"id: {behind}\n\n")  # an event of nothing, which moves the client's place on
    return "".join(events).encode(), behind, full or end < state.last_seq


def _place_of(app: App, asked: str | None) -> Place:
    """Where to begin.

    Raises:
        CursorError: that is no place in the stream, or (`stream_changed`) one of another history.
        TooOld: the changes after it are no longer kept.
    """
    state = app.stream()
    if not asked:
        return Place(state.stream_id, state.last_seq)
    found = _PLACE.fullmatch(asked)
    if found is None:
        raise CursorError(
            f"{asked!r} is not a place in the change stream",
            hint="Send the id of the last event (STREAM:SEQ), or the seq of the last change.",
        )
    if found[1] not in (None, state.stream_id):
        raise _other_history()
    place = Place(state.stream_id, int(found[2]))
    if 0 < place.seq < state.oldest_seq - 1:
        raise TooOld(f"changes after {place.seq}", state.oldest_seq)
    return place


def _other_history() -> CursorError:
    return CursorError(
        "this place belongs to another history of the catalog",
        code="stream_changed",
        hint="The catalog was restored or made anew; read it again from the start.",
    )


def _readers(request: Request) -> anyio.CapacityLimiter:
    """The threads that all streams of this API share."""
    state = request.app.state
    if not hasattr(state, "stream_readers"):
        state.stream_readers = anyio.CapacityLimiter(READERS)
    limiter: anyio.CapacityLimiter = state.stream_readers
    return limiter

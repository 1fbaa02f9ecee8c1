"""Feeds, their syncs, and what they could not use."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.responses import StreamingResponse
from msgspec import Struct

from feedd.api.access import TheApp, TheDispatcher
from feedd.api.asking import PAGES, Asked, Asking, Number
from feedd.api.body import json_body
from feedd.api.catalog import ItemAttributes, item_attributes
from feedd.api.filters import choices, flags, texts
from feedd.api.openapi import Shape, error_answers, request_body
from feedd.api.resources import Resource, ResourceType, attributes_of, like
from feedd.errors import UsageError
from feedd.model import CatalogItem, FeedView, OpenReject, Progress, SyncRecord, SyncStatus

router = APIRouter(tags=["feeds"])
START_WITHIN_S = 5.0


class _FeedData(Struct):
    id: str
    type: Literal["feed"] = "feed"


class _FeedRelation(Struct):
    data: _FeedData


class _Relationships(Struct):
    feed: _FeedRelation


class _SyncOptions(Struct, forbid_unknown_fields=True):
    accept_removals: bool = False
    replay: bool = False


class _SyncData(Struct):
    relationships: _Relationships
    type: Literal["feed-sync"] = "feed-sync"
    attributes: _SyncOptions = msgspec.field(default_factory=_SyncOptions)


class SyncRequest(Struct):
    """`{"data": {"type": "feed-sync", "attributes": {…}, "relationships": {"feed": {"data": {"id": …}}}}}`"""

    data: _SyncData


class _DryRunData(Struct):
    relationships: _Relationships
    type: Literal["feed-dry-run"] = "feed-dry-run"
    attributes: _SyncOptions = msgspec.field(default_factory=_SyncOptions)


class DryRunRequest(Struct):
    """As `SyncRequest`, with the type feed-dry-run."""

    data: _DryRunData


SYNC_EXAMPLE = {
    "data": {
        "type": "feed-sync",
        "attributes": {"accept_removals": False, "replay": False},
        "relationships": {"feed": {"data": {"type": "feed", "id": "shop"}}},
    }
}


_LINES: dict[str, Any] = {
    "description": "Lines of JSON",
    "content": {"application/jsonl": {"schema": {"type": "string"}}},
}
DRY_RUN_EXAMPLE = {"data": SYNC_EXAMPLE["data"] | {"type": "feed-dry-run"}}

FEED = ResourceType(name="feed", attributes=FeedView, scope="feeds")
FEED_SYNC = ResourceType(
    name="feed-sync",
    attributes=like("FeedSyncAttributes", SyncRecord, but=("id",), progress=Progress | None),
    scope="feeds",
)
FEED_REJECT = ResourceType(
    name="feed-reject",
    attributes=like("FeedRejectAttributes", OpenReject, but=("key",)),
    scope="feeds",
    has_page=False,
)
FEED_WARNING = ResourceType(
    name="feed-warning", attributes=ItemAttributes, scope="feeds", has_page=False
)

ONE_FEED = Asking(FEED)
FEEDS = Asking(FEED, filters={"id": texts("equals", "any")}, pages=PAGES)
ONE_SYNC = Asking(FEED_SYNC)
SYNCS = Asking(
    FEED_SYNC,
    filters={
        "feed": texts("equals", "any"),
        "status": choices(tuple(SyncStatus), "equals"),
    },
    pages=PAGES,
)
REJECTS = Asking(
    FEED_REJECT,
    filters={"feed": texts("equals", "any"), "closed": flags("equals")},
    pages=PAGES,
    also=("passes",),
)
WARNINGS = Asking(FEED_WARNING, filters={"feed": texts("equals", "any")}, pages=PAGES)


@router.get(
    "/feeds", summary="The configured feeds with their state", **FEEDS.route(shape=Shape.PAGE)
)
def list_feeds(app: TheApp, asked: Annotated[Asked, Depends(FEEDS)]) -> Response:
    names = asked.values("id")
    after = asked.position(tuple[str])
    feeds = [feed for feed in app.feeds() if names is None or feed.name in names]
    if after is not None:
        order = [feed.name for feed in feeds]
        feeds = feeds[order.index(after[0]) + 1 if after[0] in order else len(feeds) :]
    return asked.page(
        feeds,
        resource=feed_resource,
        position=lambda feed: [feed.name],
        meta={"orphans": app.orphans()},
    )


@router.get("/feeds/{name}", summary="One feed", **ONE_FEED.route())
def get_feed(app: TheApp, name: str, asked: Annotated[Asked, Depends(ONE_FEED)]) -> Response:
    return asked.one(feed_resource(app.feed(name)))


@router.get("/feed-syncs", summary="Syncs, the newest first", **SYNCS.route(shape=Shape.PAGE))
def list_syncs(
    app: TheApp, dispatcher: TheDispatcher, asked: Annotated[Asked, Depends(SYNCS)]
) -> Response:
    statuses = asked.values("status")
    position = asked.position(tuple[Number])
    if statuses == []:  # more than one at a time
        return asked.page([], resource=feed_resource, position=list)
    rows = app.syncs(
        feeds=asked.values("feed"),
        status=SyncStatus(statuses[0]) if statuses else None,
        before=None if position is None else int(position[0]),
        limit=asked.size + 1,
    )
    return asked.page(
        rows,
        resource=lambda record: sync_resource(record, dispatcher),
        position=lambda record: [record.id],
    )


@router.get(
    "/feed-syncs/{sync_id}",
    summary="One sync, with its progress while it runs",
    **ONE_SYNC.route(),
)
def get_sync(
    app: TheApp,
    dispatcher: TheDispatcher,
    sync_id: Annotated[int, Path(ge=0, lt=2**62)],
    asked: Annotated[Asked, Depends(ONE_SYNC)],
) -> Response:
    return asked.one(sync_resource(app.sync_record(sync_id), dispatcher))


@router.post(
    "/feed-syncs",
    summary="Resync a feed now",
    **ONE_SYNC.route(status=202, body=(SyncRequest, SYNC_EXAMPLE)),
)
def create_sync(
    app: TheApp,
    dispatcher: TheDispatcher,
    request: Annotated[SyncRequest, Depends(json_body(SyncRequest))],
    asked: Annotated[Asked, Depends(ONE_SYNC)],
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> Response:
    """Answers once the sync has started; follow it with `GET /api/feed-syncs/{id}`.

    With `replay` the feed's stored body is read again, and nothing is fetched; 409 `no_body` where none is kept.

    A running sync of the same feed is waited for first: what this one is about may have happened after it fetched.
    After some seconds of that the answer is 409, and this one runs all the same; sent again with the same
    `Idempotency-Key` (any text of the caller's), the request waits for the same sync.
    """
    data = request.data
    ticket = dispatcher.submit(
        data.relationships.feed.data.id,
        trigger="replay" if data.attributes.replay else "resync",
        replay=data.attributes.replay,
        accept_removals=data.attributes.accept_removals,
        request_id=idempotency_key,
    )
    if not ticket.started.wait(START_WITHIN_S):
        raise UsageError(
            f"feed {ticket.feed} is being synced and this resync waits for that",
            code="busy",
            hint="It will run; send this again with its Idempotency-Key, or look at GET /api/feed-syncs.",
        )
    if ticket.sync_id is None:
        raise ticket.error or UsageError("the sync could not start", code="busy")
    return asked.one(sync_resource(app.sync_record(ticket.sync_id), dispatcher), status=202)


@router.post(
    "/feed-dry-runs",
    summary="What a sync of a feed would do, with nothing stored",
    openapi_extra=request_body(DryRunRequest, DRY_RUN_EXAMPLE),
    responses={200: _LINES, **error_answers()},
    response_class=StreamingResponse,
)
def create_dry_run(
    dispatcher: TheDispatcher,
    request: Annotated[DryRunRequest, Depends(json_body(DryRunRequest))],
) -> StreamingResponse:
    """Answers with lines of JSON as it goes on: `progress`, each `change`, each `reject`, in the end the `sync`.

    It goes on for as long as it is listened to. Real syncs of the feed go on beside it.
    """
    data = request.data
    lines = dispatcher.dry_run(
        data.relationships.feed.data.id,
        replay=data.attributes.replay,
        accept_removals=data.attributes.accept_removals,
    )
    return StreamingResponse(lines, media_type="application/jsonl")


@router.get(
    "/feed-rejects",
    summary="Records that could not become items",
    **REJECTS.route(shape=Shape.PAGE),
)
def list_rejects(
    app: TheApp,
    asked: Annotated[Asked, Depends(REJECTS)],
    *,
    passes: Annotated[bool, Query()] = False,
) -> Response:
    """Open ones; `equals(closed,true)` gives those whose record has changed or gone, the last opened first.

    `passes=true` tells of each open one whether its record would be an item under the configuration of now.
    """
    feeds = asked.values("feed")
    if asked.values("closed") == [True]:
        last = asked.position(tuple[Number])
        rows = app.closed_rejects(
            feeds=feeds, after=None if last is None else int(last[0]), limit=asked.size + 1
        )
        return asked.page(rows, resource=reject_resource, position=lambda reject: [reject.key])
    position = asked.position(tuple[Number, Number])
    rows = app.rejects(
        feeds=feeds,
        after=None if position is None else (int(position[0]), int(position[1])),
        limit=asked.size + 1,
    )
    return asked.page(
        app.judged(rows) if passes else rows,
        resource=reject_resource,
        position=lambda reject: [reject.key, reject.position],
    )


@router.get(
    "/feed-warnings",
    summary="Live items with fields that could not be used",
    **WARNINGS.route(shape=Shape.PAGE),
)
def list_warnings(app: TheApp, asked: Annotated[Asked, Depends(WARNINGS)]) -> Response:
    position = asked.position(tuple[Number])
    feeds = asked.values("feed")
    rows = app.warned_items(
        feeds=list(app.settings.feeds) if feeds is None else feeds,
        after=0 if position is None else int(position[0]),
        limit=asked.size + 1,
    )
    return asked.page(rows, resource=warning_resource, position=lambda item: [item.key])


def feed_resource(feed: FeedView) -> Resource:
    """A feed as a resource."""
    return Resource(FEED, feed.name, feed)


def sync_resource(record: SyncRecord, dispatcher: TheDispatcher) -> Resource:
    """A sync as a resource."""
    attributes = attributes_of(record, but=("id",))
    attributes["progress"] = dispatcher.progress_of(record.id)
    return Resource(FEED_SYNC, str(record.id), attributes)


def reject_resource(reject: OpenReject) -> Resource:
    """A reject as a resource."""
    return Resource(FEED_REJECT, str(reject.key), attributes_of(reject, but=("key",)))


def warning_resource(item: CatalogItem) -> Resource:
    """An item with warnings as a resource."""
    return Resource(FEED_WARNING, str(item.key), item_attributes(item))

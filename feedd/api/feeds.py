"""Feeds, their syncs, and what they could not use."""

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.responses import StreamingResponse
from msgspec import Struct

from feedd.api.access import TheApp, TheDispatcher
from feedd.api.body import described, json_body
from feedd.api.catalog import item_attributes
from feedd.api.documents import Resource, attributes_of, one
from feedd.api.filters import Condition, FilterError
from feedd.api.listing import List, Number, texts_of, values_of
from feedd.errors import UsageError
from feedd.model import CatalogItem, FeedView, OpenReject, SyncRecord, SyncStatus

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


DRY_RUN_EXAMPLE = {"data": SYNC_EXAMPLE["data"] | {"type": "feed-dry-run"}}


@router.get("/feeds", summary="The configured feeds with their state")
def list_feeds(app: TheApp, listing: List) -> Response:
    names = texts_of(listing.conditions({"id": ("equals", "any")}), "id")
    after = listing.position("feed", tuple[str])
    feeds = [feed for feed in app.feeds() if names is None or feed.name in names]
    if after is not None:
        order = [feed.name for feed in feeds]
        feeds = feeds[order.index(after[0]) + 1 if after[0] in order else len(feeds) :]
    response: Response = listing.page(
        "feed",
        feeds,
        resource=feed_resource,
        position=lambda feed: [feed.name],
        meta={"orphans": app.orphans()},
    )
    return response


@router.get("/feeds/{name}", summary="One feed")
def get_feed(app: TheApp, name: str) -> Response:
    return one(feed_resource(app.feed(name)))


@router.get("/feed-syncs", summary="Syncs, the newest first")
def list_syncs(app: TheApp, dispatcher: TheDispatcher, listing: List) -> Response:
    conditions = listing.conditions({"feed": ("equals", "any"), "status": ("equals",)})
    statuses = texts_of(conditions, "status")
    position = listing.position("feed-sync", tuple[Number])
    rows = app.syncs(
        feeds=texts_of(conditions, "feed"),
        status=_status(statuses[0]) if statuses else None,
        before=None if position is None else int(position[0]),
        limit=listing.size + 1,
    )
    response: Response = listing.page(
        "feed-sync",
        rows,
        resource=lambda record: sync_resource(record, dispatcher),
        position=lambda record: [record.id],
    )
    return response


@router.get("/feed-syncs/{sync_id}", summary="One sync, with its progress while it runs")
def get_sync(
    app: TheApp, dispatcher: TheDispatcher, sync_id: Annotated[int, Path(ge=0, lt=2**62)]
) -> Response:
    return one(sync_resource(app.sync_record(sync_id), dispatcher))


@router.post(
    "/feed-syncs",
    summary="Resync a feed now",
    status_code=202,
    openapi_extra=described(SyncRequest, SYNC_EXAMPLE),
)
def create_sync(
    app: TheApp,
    dispatcher: TheDispatcher,
    request: Annotated[SyncRequest, Depends(json_body(SyncRequest))],
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
    return one(sync_resource(app.sync_record(ticket.sync_id), dispatcher), status=202)


@router.post(
    "/feed-dry-runs",
    summary="What a sync of a feed would do, with nothing stored",
    openapi_extra=described(DryRunRequest, DRY_RUN_EXAMPLE),
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


@router.get("/feed-rejects", summary="Records that could not become items")
def list_rejects(
    app: TheApp, listing: List, *, passes: Annotated[bool, Query()] = False
) -> Response:
    """Open ones; `equals(closed,true)` gives those whose record has changed or gone, the last opened first.

    `passes=true` tells of each open one whether its record would be an item under the configuration of now.
    """
    supported = {"feed": ("equals", "any"), "closed": ("equals",)}
    conditions = listing.conditions(supported, also=("passes",))
    feeds = texts_of(conditions, "feed")
    if _closed(conditions):
        last = listing.position("closed-reject", tuple[Number])
        closed: Response = listing.page(
            "closed-reject",
            app.closed_rejects(
                feeds=feeds, after=None if last is None else int(last[0]), limit=listing.size + 1
            ),
            resource=reject_resource,
            position=lambda reject: [reject.key],
        )
        return closed
    position = listing.position("feed-reject", tuple[Number, Number])
    rows = app.rejects(
        feeds=feeds,
        after=None if position is None else (int(position[0]), int(position[1])),
        limit=listing.size + 1,
    )
    if passes:
        rows = app.judged(rows)
    response: Response = listing.page(
        "feed-reject",
        rows,
        resource=reject_resource,
        position=lambda reject: [reject.key, reject.position],
    )
    return response


@router.get("/feed-warnings", summary="Live items with fields that could not be used")
def list_warnings(app: TheApp, listing: List) -> Response:
    conditions = listing.conditions({"feed": ("equals", "any")})
    position = listing.position("feed-warning", tuple[Number])
    feeds = texts_of(conditions, "feed")
    rows = app.warned_items(
        feeds=list(app.settings.feeds) if feeds is None else feeds,
        after=0 if position is None else int(position[0]),
        limit=listing.size + 1,
    )
    response: Response = listing.page(
        "feed-warning", rows, resource=warning_resource, position=lambda item: [item.key]
    )
    return response


def feed_resource(feed: FeedView) -> Resource:
    """A feed as a resource."""
    return Resource("feed", feed.name, feed)


def sync_resource(record: SyncRecord, dispatcher: TheDispatcher) -> Resource:
    """A sync as a resource."""
    attributes = attributes_of(record, but=("id",))
    attributes["progress"] = dispatcher.progress_of(record.id)
    return Resource("feed-sync", str(record.id), attributes)


def reject_resource(reject: OpenReject) -> Resource:
    """A reject as a resource."""
    return Resource(
        "feed-reject", str(reject.key), attributes_of(reject, but=("key",)), has_page=False
    )


def warning_resource(item: CatalogItem) -> Resource:
    """An item with warnings as a resource."""
    return Resource("feed-warning", str(item.key), item_attributes(item), has_page=False)


def _closed(conditions: list[Condition]) -> bool:
    wanted = values_of(conditions, "closed")
    if wanted is not None and wanted not in ([True], [False]):
        raise FilterError("closed is true or false", hint="Write equals(closed,true).")
    return wanted == [True]


def _status(text: str) -> SyncStatus:
    try:
        return SyncStatus(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a status", hint=f"One of {', '.join(SyncStatus)}."
        ) from None

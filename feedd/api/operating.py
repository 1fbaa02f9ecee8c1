"""What an administrator does to feeds beyond resyncing them: cancelling a sync, forgetting a feed."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Response
from msgspec import Struct

from feedd.api.access import TheApp, TheDispatcher
from feedd.api.asking import Asked
from feedd.api.body import json_body
from feedd.api.documents import JsonApiResponse, respond
from feedd.api.feeds import ONE_FEED, ONE_SYNC, feed_resource, sync_resource
from feedd.api.openapi import error_answers, meta_answer
from feedd.dispatch import Ticket
from feedd.errors import CANCELLED, SyncStopped, UsageError
from feedd.model import Forgotten, SyncStatus

router = APIRouter(tags=["feeds"])
END_WITHIN_S = 10.0


class _Action(Struct, forbid_unknown_fields=True):
    action: Literal["cancel"]


class _Patch(Struct):
    attributes: _Action


class ActionRequest(Struct):
    """`{"data": {"attributes": {"action": "cancel"}}}`"""

    data: _Patch


def _example(kind: str, resource_id: str) -> dict[str, object]:
    return {"data": {"type": kind, "id": resource_id, "attributes": {"action": "cancel"}}}


Action = Annotated[ActionRequest, Depends(json_body(ActionRequest))]


@router.patch(
    "/feed-syncs/{sync_id}",
    summary="Cancel a running sync",
    **ONE_SYNC.route(body=(ActionRequest, _example("feed-sync", "12"))),
)
def cancel_sync(
    app: TheApp,
    dispatcher: TheDispatcher,
    sync_id: Annotated[int, Path(ge=0, lt=2**62)],
    _request: Action,
    asked: Annotated[Asked, Depends(ONE_SYNC)],
) -> Response:
    """The catalog stays as it was, unless the sync has just been committed; its record says which."""
    record = app.sync_record(sync_id)
    tickets = dispatcher.cancel(record.feed, sync_id=sync_id)
    if not tickets:
        record = app.sync_record(sync_id)
        if record.status == SyncStatus.RUNNING:
            raise _runs_elsewhere(record.feed)
        raise UsageError(f"sync {sync_id} has ended already ({record.status})", code="ended")
    _wait_for(tickets)
    return asked.one(sync_resource(app.sync_record(sync_id), dispatcher))


@router.patch(
    "/feeds/{name}",
    summary="Cancel what runs and what waits of a feed",
    **ONE_FEED.route(body=(ActionRequest, _example("feed", "shop"))),
)
def cancel_feed(
    app: TheApp,
    dispatcher: TheDispatcher,
    name: str,
    _request: Action,
    asked: Annotated[Asked, Depends(ONE_FEED)],
) -> Response:
    """`meta` counts the syncs that were cancelled, and those that were committed before they could be."""
    app.feed_settings(name)
    tickets = dispatcher.cancel(name)
    if not tickets and app.feed(name).running:
        raise _runs_elsewhere(name)
    _wait_for(tickets)
    cancelled = sum(_was_cancelled(ticket) for ticket in tickets)
    meta = {"cancelled": cancelled, "committed": len(tickets) - cancelled}
    return asked.one(feed_resource(app.feed(name)), meta=meta)


@router.delete(
    "/feeds/{name}",
    summary="Forget a feed: drop what is stored of it",
    response_class=JsonApiResponse,
    responses={200: meta_answer(Forgotten), **error_answers()},
)
def forget_feed(dispatcher: TheDispatcher, name: str) -> Response:
    """Its live items are told as removed; the configuration stays, so a configured feed begins anew.

    Answers when it is done, which takes minutes for a million items.
    """
    return respond({"meta": dispatcher.forget(name)})


def _wait_for(tickets: list[Ticket]) -> None:
    for ticket in tickets:
        if not ticket.done.wait(END_WITHIN_S):
            raise UsageError(
                f"the sync of {ticket.feed} was told to end, and has not yet",
                code="busy",
                hint="Look again in a moment.",
            )


def _was_cancelled(ticket: Ticket) -> bool:
    if ticket.record is None:
        return isinstance(ticket.error, SyncStopped)
    return ticket.record.error is not None and ticket.record.error.code == CANCELLED


def _runs_elsewhere(feed: str) -> UsageError:
    return UsageError(
        f"another feedd on the same database syncs {feed}",
        code="busy",
        hint="Cancel it there.",
    )

"""Webhooks, and the messages to them that wait or were never delivered."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Response
from msgspec import Meta, Struct

from feedd.api.access import TheApp
from feedd.api.body import described, json_body
from feedd.api.documents import Resource, attributes_of, one
from feedd.api.listing import List, Number, texts_of
from feedd.errors import UsageError
from feedd.model import Delivery, WebhookView

router = APIRouter(tags=["webhooks"])
STATUSES = ("waiting", "dead")


class _Replay(Struct, forbid_unknown_fields=True):
    webhook: str
    since: Annotated[int, Meta(ge=0, lt=2**62)] | None = None
    dead: bool = False
    delivery: Annotated[int, Meta(ge=0, lt=2**31)] | None = None


class _ReplayData(Struct):
    attributes: _Replay
    type: Literal["webhook-replay"] = "webhook-replay"


class ReplayRequest(Struct):
    """`{"data": {"type": "webhook-replay", "attributes": {"webhook": "erp", "since": 41}}}`"""

    data: _ReplayData


class _Test(Struct, forbid_unknown_fields=True):
    webhook: str


class _TestData(Struct):
    attributes: _Test
    type: Literal["webhook-test"] = "webhook-test"


class TestRequest(Struct):
    """`{"data": {"type": "webhook-test", "attributes": {"webhook": "erp"}}}`"""

    data: _TestData


REPLAY_EXAMPLE = {
    "data": {"type": "webhook-replay", "attributes": {"webhook": "erp", "dead": True}}
}
TEST_EXAMPLE = {"data": {"type": "webhook-test", "attributes": {"webhook": "erp"}}}


@router.get("/webhooks", summary="The configured webhooks with their state")
def list_webhooks(app: TheApp, listing: List) -> Response:
    names = texts_of(listing.conditions({"id": ("equals", "any")}), "id")
    after = listing.position("webhook", tuple[str])
    views = [view for view in app.webhooks.views() if names is None or view.name in names]
    if after is not None:
        order = [view.name for view in views]
        views = views[order.index(after[0]) + 1 if after[0] in order else len(views) :]
    response: Response = listing.page(
        "webhook", views, resource=webhook_resource, position=lambda view: [view.name]
    )
    return response


@router.get("/webhooks/{name}", summary="One webhook")
def get_webhook(app: TheApp, name: str) -> Response:
    return one(webhook_resource(app.webhooks.view(name)))


@router.get("/webhook-deliveries", summary="Messages that wait, or were never delivered")
def list_deliveries(app: TheApp, listing: List) -> Response:
    """`waiting` ones are tried again; `dead` ones only when a person asks for it."""
    conditions = listing.conditions({"webhook": ("equals", "any"), "status": ("equals",)})
    statuses = texts_of(conditions, "status")
    if statuses and statuses[0] not in STATUSES:
        raise UsageError(f"{statuses[0]!r} is not a status", hint=f"One of {', '.join(STATUSES)}.")
    position = listing.position("webhook-delivery", tuple[Number])
    rows = app.webhooks.deliveries(
        names=texts_of(conditions, "webhook"),
        status=statuses[0] if statuses else None,
        after=0 if position is None else int(position[0]),
        limit=listing.size + 1,
    )
    response: Response = listing.page(
        "webhook-delivery",
        rows,
        resource=delivery_resource,
        position=lambda delivery: [delivery.id],
    )
    return response


@router.delete("/webhook-deliveries/{delivery}", summary="Give up a message")
def drop_delivery(app: TheApp, delivery: Annotated[int, Path(ge=0, lt=2**31)]) -> Response:
    """One that waits is dead from now on, a dead one is deleted; answers with what it was."""
    return one(delivery_resource(app.webhooks.drop(delivery)))


@router.post(
    "/webhook-replays",
    summary="Tell a webhook again",
    status_code=202,
    openapi_extra=described(ReplayRequest, REPLAY_EXAMPLE),
)
def create_replay(
    app: TheApp, request: Annotated[ReplayRequest, Depends(json_body(ReplayRequest))]
) -> Response:
    """The changes after `since`, all `dead` messages, or one `delivery` of them. Enables a disabled webhook."""
    wanted = request.data.attributes
    number = app.webhooks.replay(
        wanted.webhook, since=wanted.since, dead=wanted.dead, delivery=wanted.delivery
    )
    attributes = {"webhook": wanted.webhook, "again": number}
    return one(Resource("webhook-replay", wanted.webhook, attributes, has_page=False), status=202)


@router.post(
    "/webhook-tests",
    summary="Send a test message now",
    status_code=201,
    openapi_extra=described(TestRequest, TEST_EXAMPLE),
)
def create_test(
    app: TheApp, request: Annotated[TestRequest, Depends(json_body(TestRequest))]
) -> Response:
    """Answers once the receiver has, or its time is over. One that arrives enables a disabled webhook."""
    name = request.data.attributes.webhook
    trial = app.webhooks.test(name)
    attributes = {"webhook": name, **attributes_of(trial, but=("retry_after_s",))}
    return one(Resource("webhook-test", name, attributes, has_page=False), status=201)


def webhook_resource(view: WebhookView) -> Resource:
    """A webhook as a resource."""
    return Resource("webhook", view.name, view)


def delivery_resource(delivery: Delivery) -> Resource:
    """A message as a resource."""
    return Resource(
        "webhook-delivery", str(delivery.id), attributes_of(delivery, but=("id",)), has_page=False
    )

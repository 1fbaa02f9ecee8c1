"""Webhooks, and the messages to them that wait or were never delivered."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Response
from msgspec import Meta, Struct

from feedd.api.access import TheApp
from feedd.api.asking import PAGES, Asked, Asking, Number
from feedd.api.body import json_body
from feedd.api.filters import choices, texts
from feedd.api.openapi import Shape
from feedd.api.resources import Resource, ResourceType, attributes_of, like
from feedd.model import Delivery, Trial, WebhookView

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


class ReplayAttributes(Struct):
    """What a replay came to: `again` messages are sent once more."""

    webhook: str
    again: int


WEBHOOK = ResourceType(name="webhook", attributes=WebhookView, scope="webhooks")
DELIVERY = ResourceType(
    name="webhook-delivery",
    path="webhook-deliveries",
    attributes=like("DeliveryAttributes", Delivery, but=("id",)),
    scope="webhooks",
    has_page=False,
)
REPLAY = ResourceType(
    name="webhook-replay", attributes=ReplayAttributes, scope="webhooks", has_page=False
)
TEST = ResourceType(
    name="webhook-test",
    attributes=like("TestAttributes", Trial, but=("retry_after_s",), webhook=str),
    scope="webhooks",
    has_page=False,
)
ONE_WEBHOOK = Asking(WEBHOOK)
WEBHOOKS = Asking(WEBHOOK, filters={"id": texts("equals", "any")}, pages=PAGES)
ONE_DELIVERY = Asking(DELIVERY)
DELIVERIES = Asking(
    DELIVERY,
    filters={"webhook": texts("equals", "any"), "status": choices(STATUSES, "equals")},
    pages=PAGES,
)
ONE_REPLAY = Asking(REPLAY)
ONE_TEST = Asking(TEST)


@router.get(
    "/webhooks",
    summary="The configured webhooks with their state",
    **WEBHOOKS.route(shape=Shape.PAGE),
)
def list_webhooks(app: TheApp, asked: Annotated[Asked, Depends(WEBHOOKS)]) -> Response:
    names = asked.values("id")
    after = asked.position(tuple[str])
    views = [view for view in app.webhooks.views() if names is None or view.name in names]
    if after is not None:
        order = [view.name for view in views]
        views = views[order.index(after[0]) + 1 if after[0] in order else len(views) :]
    return asked.page(views, resource=webhook_resource, position=lambda view: [view.name])


@router.get("/webhooks/{name}", summary="One webhook", **ONE_WEBHOOK.route())
def get_webhook(app: TheApp, name: str, asked: Annotated[Asked, Depends(ONE_WEBHOOK)]) -> Response:
    return asked.one(webhook_resource(app.webhooks.view(name)))


@router.get(
    "/webhook-deliveries",
    summary="Messages that wait, or were never delivered",
    **DELIVERIES.route(shape=Shape.PAGE),
)
def list_deliveries(app: TheApp, asked: Annotated[Asked, Depends(DELIVERIES)]) -> Response:
    """`waiting` ones are tried again; `dead` ones only when a person asks for it."""
    statuses = asked.values("status")
    position = asked.position(tuple[Number])
    rows = app.webhooks.deliveries(
        names=[] if statuses == [] else asked.values("webhook"),
        status=statuses[0] if statuses else None,
        after=0 if position is None else int(position[0]),
        limit=asked.size + 1,
    )
    return asked.page(rows, resource=delivery_resource, position=lambda delivery: [delivery.id])


@router.delete(
    "/webhook-deliveries/{delivery}", summary="Give up a message", **ONE_DELIVERY.route()
)
def drop_delivery(
    app: TheApp,
    delivery: Annotated[int, Path(ge=0, lt=2**31)],
    asked: Annotated[Asked, Depends(ONE_DELIVERY)],
) -> Response:
    """One that waits is dead from now on, a dead one is deleted; answers with what it was."""
    return asked.one(delivery_resource(app.webhooks.drop(delivery)))


@router.post(
    "/webhook-replays",
    summary="Tell a webhook again",
    **ONE_REPLAY.route(status=202, body=(ReplayRequest, REPLAY_EXAMPLE)),
)
def create_replay(
    app: TheApp,
    request: Annotated[ReplayRequest, Depends(json_body(ReplayRequest))],
    asked: Annotated[Asked, Depends(ONE_REPLAY)],
) -> Response:
    """The changes after `since`, all `dead` messages, or one `delivery` of them. Enables a disabled webhook."""
    wanted = request.data.attributes
    number = app.webhooks.replay(
        wanted.webhook, since=wanted.since, dead=wanted.dead, delivery=wanted.delivery
    )
    attributes = ReplayAttributes(webhook=wanted.webhook, again=number)
    return asked.one(Resource(REPLAY, wanted.webhook, attributes), status=202)


@router.post(
    "/webhook-tests",
    summary="Send a test message now",
    **ONE_TEST.route(status=201, body=(TestRequest, TEST_EXAMPLE)),
)
def create_test(
    app: TheApp,
    request: Annotated[TestRequest, Depends(json_body(TestRequest))],
    asked: Annotated[Asked, Depends(ONE_TEST)],
) -> Response:
    """Answers once the receiver has, or its time is over. One that arrives enables a disabled webhook."""
    name = request.data.attributes.webhook
    trial = app.webhooks.test(name)
    attributes = {"webhook": name, **attributes_of(trial, but=("retry_after_s",))}
    return asked.one(Resource(TEST, name, attributes), status=201)


def webhook_resource(view: WebhookView) -> Resource:
    """A webhook as a resource."""
    return Resource(WEBHOOK, view.name, view)


def delivery_resource(delivery: Delivery) -> Resource:
    """A message as a resource."""
    return Resource(DELIVERY, str(delivery.id), attributes_of(delivery, but=("id",)))

"""Web feeds: what templates see as `feeds.NAME`, in the shape of Klaviyo's API. The configuration says which there are."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from msgspec import Meta, Struct

from feedd.api.access import TheApp
from feedd.api.asking import Asked, Asking
from feedd.api.body import json_body
from feedd.api.documents import failure
from feedd.api.filters import Condition, texts, times
from feedd.api.openapi import Shape
from feedd.api.resources import Resource, ResourceType
from feedd.model import Refresh, WebFeedView

router = APIRouter(tags=["web feeds"])
_Moment = Annotated[datetime, Meta(tz=True)]
_TIMES = ("greater-than", "greater-or-equal", "less-than", "less-or-equal")
_MEETS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda found, wanted: found == wanted,
    "any": lambda found, wanted: found in wanted,
    "contains": lambda found, wanted: wanted in found,
    "greater-than": lambda found, wanted: found > wanted,
    "greater-or-equal": lambda found, wanted: found >= wanted,
    "less-than": lambda found, wanted: found < wanted,
    "less-or-equal": lambda found, wanted: found <= wanted,
}


class _Refresh(Struct, forbid_unknown_fields=True):
    web_feed: str


class _RefreshData(Struct):
    attributes: _Refresh
    type: Literal["web-feed-refresh"] = "web-feed-refresh"


class RefreshRequest(Struct):
    """`{"data": {"type": "web-feed-refresh", "attributes": {"web_feed": "blog"}}}`"""

    data: _RefreshData


REFRESH_EXAMPLE = {"data": {"type": "web-feed-refresh", "attributes": {"web_feed": "blog"}}}
WEB_FEED = ResourceType(name="web-feed", attributes=WebFeedView, scope="web-feeds")
REFRESH = ResourceType(
    name="web-feed-refresh", attributes=Refresh, scope="web-feeds", has_page=False
)
ONE_WEB_FEED = Asking(WEB_FEED)
WEB_FEEDS = Asking(
    WEB_FEED,
    filters={
        "name": texts("any", "contains", "equals"),
        "created": times(*_TIMES),
        "updated": times(*_TIMES),
    },
    sorts=("created", "-created", "name", "-name", "updated", "-updated"),
    pages=(5, 100),
)
ONE_REFRESH = Asking(REFRESH)


@router.get("/web-feeds", summary="The configured web feeds", **WEB_FEEDS.route(shape=Shape.PAGE))
def list_web_feeds(app: TheApp, asked: Annotated[Asked, Depends(WEB_FEEDS)]) -> Response:
    """With how the last refresh of each went. By name, unless `sort` says otherwise."""
    sort = asked.sort or "name"
    field, down = sort.removeprefix("-"), sort.startswith("-")

    def key(view: WebFeedView) -> tuple[datetime | str, str]:
        return getattr(view, field), view.name

    found = [view for view in app.web_feeds.views() if _meets(view, asked.conditions)]
    found.sort(key=key, reverse=down)
    after = asked.position(tuple[str, str] if field == "name" else tuple[_Moment, str])
    if after is not None:
        found = [view for view in found if (key(view) < after if down else key(view) > after)]
    return asked.page(found, resource=web_feed_resource, position=lambda view: list(key(view)))


@router.get("/web-feeds/{name}", summary="One web feed", **ONE_WEB_FEED.route())
def get_web_feed(
    app: TheApp, name: str, asked: Annotated[Asked, Depends(ONE_WEB_FEED)]
) -> Response:
    """Its id is its name."""
    return asked.one(web_feed_resource(app.web_feeds.view(name)))


@router.post("/web-feeds", include_in_schema=False)
@router.patch("/web-feeds/{name}", include_in_schema=False)
@router.delete("/web-feeds/{name}", include_in_schema=False)
def refuse_to_write() -> Response:
    return failure(
        405,
        "method_not_allowed",
        "Method Not Allowed",
        "web feeds are configured in the file. Write [web_feeds.NAME] there, and reload feedd (SIGHUP).",
        headers={"Allow": "GET"},
    )


@router.post(
    "/web-feed-refreshes",
    summary="Refresh a web feed now",
    **ONE_REFRESH.route(status=201, body=(RefreshRequest, REFRESH_EXAMPLE)),
)
def create_refresh(
    app: TheApp,
    request: Annotated[RefreshRequest, Depends(json_body(RefreshRequest))],
    asked: Annotated[Asked, Depends(ONE_REFRESH)],
) -> Response:
    """Answers once it is done, or its time is over: two and a half minutes at most. A failure is an answer too: see `outcome`."""
    name = request.data.attributes.web_feed
    return asked.one(Resource(REFRESH, name, app.web_feeds.on_asked(name)), status=201)


def web_feed_resource(view: WebFeedView) -> Resource:
    """A web feed as a resource."""
    return Resource(WEB_FEED, view.name, view)


def _meets(view: WebFeedView, conditions: list[Condition]) -> bool:
    return all(_MEETS[each.operator](getattr(view, each.field), each.value) for each in conditions)

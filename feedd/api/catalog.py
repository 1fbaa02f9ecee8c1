"""Catalog items and the stream of their changes."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from feedd.api.access import TheApp
from feedd.api.asking import PAGES, Asked, Asking, Number, values_of
from feedd.api.cursors import CursorError
from feedd.api.filters import Condition, choices, flags, texts, wholes
from feedd.api.openapi import Shape
from feedd.api.resources import Resource, ResourceType, attributes_of, like
from feedd.app import App
from feedd.errors import NotFound
from feedd.model import CatalogItem, Change, ChangeKind, ItemVersion, StreamState

router = APIRouter(tags=["catalog"])
_START = "$custom:::"
_HISTORY = "/history"

ItemAttributes = like(
    "ItemAttributes", CatalogItem, but=("id", "key"), external_id=str, catalog=str
)
ITEM = ResourceType(name="catalog-item", attributes=ItemAttributes, scope="catalogs")
ITEM_VERSION = ResourceType(
    name="catalog-item-version",
    attributes=like(
        "ItemVersionAttributes", ItemVersion, but=("id",), external_id=str, catalog=str
    ),
    scope="catalogs",
    has_page=False,
)
CHANGE = ResourceType(name="catalog-change", attributes=Change, scope="catalogs", has_page=False)
CHANGE_FILTERS = {
    "feed": texts("equals", "any"),
    "item": texts("equals", "any"),
    "kind": choices(tuple(ChangeKind), "equals", "any"),
    "field": texts("equals", "any"),
}
ITEMS = Asking(
    ITEM,
    filters={
        "id": texts("equals", "any"),
        "feed": texts("equals", "any"),
        "catalog": texts("equals"),
        "removed": flags("equals", "any"),
    },
    pages=PAGES,
)
ONE_ITEM = Asking(ITEM, others=(ITEM_VERSION,), also=("at", "feed"))
CHANGES = Asking(
    CHANGE,
    filters=CHANGE_FILTERS | {"seq": wholes("greater-than")},
    sorts=("seq", "-seq"),
    pages=PAGES,
)
HISTORY = Asking(CHANGE, filters={"feed": texts("equals")}, sorts=("seq", "-seq"), pages=PAGES)


@router.get("/catalog-items", summary="Items of the catalogs", **ITEMS.route(shape=Shape.PAGE))
def list_items(app: TheApp, asked: Annotated[Asked, Depends(ITEMS)]) -> Response:
    """Live items, in a stable order; `equals(removed,true)` gives the removed ones, `any(removed,[true,false])` all."""
    position = asked.position(tuple[Number])
    rows = app.items(
        feeds=_feeds(app, asked),
        ids=_item_ids(asked),
        removed=_removed(asked),
        after=0 if position is None else int(position[0]),
        limit=asked.size + 1,
    )
    return asked.page(
        rows,
        resource=lambda item: item_resource(app, item),
        position=lambda item: [item.key],
    )


async def _item_or_history(request: Request) -> Asked:
    """What is asked of an item's history; of the item itself, where `%2Fhistory` is the end of its id."""
    is_history = request.scope["raw_path"].endswith(_HISTORY.encode())
    return await (HISTORY if is_history else ONE_ITEM)(request)


@router.get(
    "/catalog-items/{item_id:path}/history",
    summary="What happened to one item",
    **HISTORY.route(shape=Shape.PAGE),
)
def get_history(
    app: TheApp,
    item_id: str,
    asked: Annotated[Asked, Depends(_item_or_history)],
    at: Annotated[int | None, Query(ge=0, lt=2**62, include_in_schema=False)] = None,
    feed: Annotated[str | None, Query(include_in_schema=False)] = None,
) -> Response:
    """Its changes, in the order of the stream, as far as they are kept; `sort=-seq` for the newest first."""
    if asked.asking is ONE_ITEM:
        return get_item(app, f"{item_id}{_HISTORY}", asked, at, feed)
    feeds = asked.values("feed")
    catalog, external_id = split_id(item_id)
    item = app.find_item(external_id, catalog=catalog, feed=feeds[0] if feeds else None)
    stream = app.stream()
    position = _position(asked, stream)
    descending = asked.sort == "-seq"
    rows = app.history(
        item,
        since=0 if position is None or descending else position,
        before=position if descending else None,
        limit=asked.size + 1,
        descending=descending,
    )
    return _page_of_changes(asked, rows, stream)


@router.get("/catalog-items/{item_id:path}", summary="One item", **ONE_ITEM.route())
def get_item(
    app: TheApp,
    item_id: str,
    asked: Annotated[Asked, Depends(ONE_ITEM)],
    at: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
    feed: Annotated[str | None, Query()] = None,
) -> Response:
    """By `$custom:::CATALOG:::ID`; where two feeds of a catalog have the id, the first of the configuration.

    `at=SEQ` gives it as it was right after that change, `feed=NAME` that of one feed.
    """
    catalog, external_id = split_id(item_id)
    if at is not None:
        version = app.item_at(external_id, seq=at, feed=feed, catalog=catalog)
        return asked.one(version_resource(app, version))
    return asked.one(item_resource(app, app.find_item(external_id, feed=feed, catalog=catalog)))


@router.get(
    "/catalog-changes",
    summary="What changed, in the order of the stream",
    **CHANGES.route(shape=Shape.PAGE),
)
def list_changes(app: TheApp, asked: Annotated[Asked, Depends(CHANGES)]) -> Response:
    """`equals(field,"price")` gives the changes that touch the price: `added` and `removed` name no fields."""
    stream = app.stream()
    descending = asked.sort == "-seq"
    position = _position(asked, stream)
    since, before = _since(asked), None
    if position is not None:
        since, before = (since, position) if descending else (position, None)
    rows = app.changes(
        since=since,
        before=before,
        limit=asked.size + 1,
        feeds=asked.values("feed"),
        kinds=kinds_of(asked.conditions),
        items=asked.values("item"),
        fields=asked.values("field"),
        descending=descending,
    )
    return _page_of_changes(asked, rows, stream)


def _page_of_changes(asked: Asked, rows: Sequence[Change], stream: StreamState) -> Response:
    return asked.page(
        rows,
        resource=change_resource,
        position=lambda change: [stream.stream_id, change.seq],
        meta=stream_meta(stream),
    )


def split_id(item_id: str) -> tuple[str | None, str]:
    """`$custom:::CATALOG:::ID` as (catalog, id); a bare id is looked for in every catalog."""
    if not item_id.startswith(_START):
        return None, item_id
    catalog, separator, external_id = item_id.removeprefix(_START).partition(":::")
    if not separator:
        raise NotFound(
            f"{item_id!r} is not an item id", hint="Write it as $custom:::$default:::ID."
        )
    return catalog, external_id


def _position(asked: Asked, stream: StreamState) -> int | None:
    """The number of the last change of the page before; None on the first page."""
    position = asked.position(tuple[str, Number])
    if position is None:
        return None
    if position[0] != stream.stream_id:
        raise CursorError(
            "this cursor belongs to another history of the catalog",
            code="stream_changed",
            hint="The catalog was restored or made anew; read it again from the start.",
        )
    return int(position[1])


def _catalog_of(app: App, feed_name: str) -> str:
    feed = app.settings.feeds.get(feed_name)
    return feed.catalog if feed is not None else "$default"


def version_resource(app: App, version: ItemVersion) -> Resource:
    """An item as it was, as a resource."""
    catalog = _catalog_of(app, version.feed)
    attributes = {"external_id": version.id} | attributes_of(version, but=("id",))
    return Resource(
        ITEM_VERSION, f"{_START}{catalog}:::{version.id}", attributes | {"catalog": catalog}
    )


def item_resource(app: App, item: CatalogItem) -> Resource:
    """An item as a resource."""
    catalog = _catalog_of(app, item.feed)
    attributes = item_attributes(item) | {"catalog": catalog}
    return Resource(ITEM, f"{_START}{catalog}:::{item.id}", attributes)


def item_attributes(item: CatalogItem) -> dict[str, Any]:
    """What is told of an item. JSON:API keeps the name `id` for the resource's own."""
    return {"external_id": item.id} | attributes_of(item, but=("id", "key"))


def change_resource(change: Change) -> Resource:
    """A change as a resource."""
    return Resource(CHANGE, str(change.seq), change)


def _feeds(app: App, asked: Asked) -> list[str] | None:
    names = asked.values("feed")
    for catalog in asked.values("catalog") or []:
        of_catalog = app.feeds_of(catalog)
        names = of_catalog if names is None else [name for name in names if name in of_catalog]
    return names


def _item_ids(asked: Asked) -> list[str] | None:
    ids = asked.values("id")
    return None if ids is None else [split_id(item_id)[1] for item_id in ids]


def _removed(asked: Asked) -> bool | None:
    """Which items: removed ones, live ones, or None for both."""
    wanted = asked.values("removed")
    if not wanted:
        return False
    return None if len(set(wanted)) == 2 else bool(wanted[0])


def stream_meta(stream: StreamState) -> dict[str, Any]:
    """What a list of changes tells of the whole stream."""
    return {
        "stream_id": stream.stream_id,
        "last_seq": stream.last_seq,
        "oldest_seq": stream.oldest_seq,
    }


def kinds_of(conditions: list[Condition]) -> list[ChangeKind] | None:
    """The kinds of changes that the conditions leave; None when nothing is asked of them."""
    kinds = values_of(conditions, "kind")
    return None if kinds is None else [ChangeKind(kind) for kind in kinds]


def _since(asked: Asked) -> int:
    return max([0, *(int(each.value) for each in asked.conditions if each.field == "seq")])

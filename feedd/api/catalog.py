"""Catalog items and the stream of their changes."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from feedd.api.access import TheApp
from feedd.api.documents import Resource, attributes_of, one
from feedd.api.filters import Condition, FilterError
from feedd.api.listing import CursorError, List, Listing, Number, texts_of, values_of
from feedd.app import App
from feedd.errors import NotFound
from feedd.model import CatalogItem, Change, ChangeKind, ItemVersion, StreamState

router = APIRouter(tags=["catalog"])
_START = "$custom:::"
_HISTORY = "/history"
CHANGE_FIELDS = dict.fromkeys(("feed", "item", "kind", "field"), ("equals", "any"))


@router.get("/catalog-items", summary="Items of the catalogs")
def list_items(app: TheApp, listing: List) -> Response:
    """Live items, in a stable order; `equals(removed,true)` gives the removed ones, `any(removed,[true,false])` all."""
    conditions = listing.conditions(
        {
            "id": ("equals", "any"),
            "feed": ("equals", "any"),
            "catalog": ("equals",),
            "removed": ("equals", "any"),
        }
    )
    position = listing.position("catalog-item", tuple[Number])
    rows = app.items(
        feeds=_feeds(app, conditions),
        ids=_item_ids(conditions),
        removed=_removed(conditions),
        after=0 if position is None else int(position[0]),
        limit=listing.size + 1,
    )
    response: Response = listing.page(
        "catalog-item",
        rows,
        resource=lambda item: item_resource(app, item),
        position=lambda item: [item.key],
    )
    return response


@router.get("/catalog-items/{item_id:path}/history", summary="What happened to one item")
def get_history(
    app: TheApp,
    listing: List,
    request: Request,
    item_id: str,
    at: Annotated[int | None, Query(ge=0, lt=2**62, include_in_schema=False)] = None,
    feed: Annotated[str | None, Query(include_in_schema=False)] = None,
) -> Response:
    """Its changes, in the order of the stream, as far as they are kept; `sort=-seq` for the newest first."""
    if not request.scope["raw_path"].endswith(_HISTORY.encode()):  # %2Fhistory ends an id
        return get_item(app, f"{item_id}{_HISTORY}", at, feed)
    conditions = listing.conditions({"feed": ("equals",)}, sorts=("seq", "-seq"))
    feeds = texts_of(conditions, "feed")
    catalog, external_id = split_id(item_id)
    item = app.find_item(external_id, catalog=catalog, feed=feeds[0] if feeds else None)
    stream = app.stream()
    position = _position(listing, "item-change", stream)
    descending = listing.sort == "-seq"
    rows = app.history(
        item,
        since=0 if position is None or descending else position,
        before=position if descending else None,
        limit=listing.size + 1,
        descending=descending,
    )
    response: Response = listing.page(
        "item-change",
        rows,
        resource=change_resource,
        position=lambda change: [stream.stream_id, change.seq],
        meta=stream_meta(stream),
    )
    return response


@router.get("/catalog-items/{item_id:path}", summary="One item")
def get_item(
    app: TheApp,
    item_id: str,
    at: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
    feed: Annotated[str | None, Query()] = None,
) -> Response:
    """By `$custom:::CATALOG:::ID`; where two feeds of a catalog have the id, the first of the configuration.

    `at=SEQ` gives it as it was right after that change, `feed=NAME` that of one feed.
    """
    catalog, external_id = split_id(item_id)
    if at is not None:
        return one(
            version_resource(app, app.item_at(external_id, seq=at, feed=feed, catalog=catalog))
        )
    return one(item_resource(app, app.find_item(external_id, feed=feed, catalog=catalog)))


@router.get("/catalog-changes", summary="What changed, in the order of the stream")
def list_changes(app: TheApp, listing: List) -> Response:
    """`equals(field,"price")` gives the changes that touch the price: `added` and `removed` name no fields."""
    conditions = listing.conditions(
        CHANGE_FIELDS | {"seq": ("greater-than",)}, sorts=("seq", "-seq")
    )
    stream = app.stream()
    descending = listing.sort == "-seq"
    position = _position(listing, "catalog-change", stream)
    since, before = _since(conditions), None
    if position is not None:
        since, before = (since, position) if descending else (position, None)
    rows = app.changes(
        since=since,
        before=before,
        limit=listing.size + 1,
        feeds=texts_of(conditions, "feed"),
        kinds=kinds_of(conditions),
        items=texts_of(conditions, "item"),
        fields=texts_of(conditions, "field"),
        descending=descending,
    )
    response: Response = listing.page(
        "catalog-change",
        rows,
        resource=change_resource,
        position=lambda change: [stream.stream_id, change.seq],
        meta=stream_meta(stream),
    )
    return response


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


def _position(listing: Listing, kind: str, stream: StreamState) -> int | None:
    """The number of the last change of the page before; None on the first page."""
    position = listing.position(kind, tuple[str, Number])
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
        "catalog-item-version",
        f"{_START}{catalog}:::{version.id}",
        attributes | {"catalog": catalog},
        has_page=False,
    )


def item_resource(app: App, item: CatalogItem) -> Resource:
    """An item as a resource."""
    catalog = _catalog_of(app, item.feed)
    attributes = item_attributes(item) | {"catalog": catalog}
    return Resource("catalog-item", f"{_START}{catalog}:::{item.id}", attributes)


def item_attributes(item: CatalogItem) -> dict[str, Any]:
    """What is told of an item. JSON:API keeps the name `id` for the resource's own."""
    return {"external_id": item.id} | attributes_of(item, but=("id", "key"))


def change_resource(change: Change) -> Resource:
    """A change as a resource."""
    return Resource("catalog-change", str(change.seq), change, has_page=False)


def _feeds(app: App, conditions: list[Condition]) -> list[str] | None:
    names = texts_of(conditions, "feed")
    for catalog in texts_of(conditions, "catalog") or []:
        of_catalog = app.feeds_of(catalog)
        names = of_catalog if names is None else [name for name in names if name in of_catalog]
    return names


def _item_ids(conditions: list[Condition]) -> list[str] | None:
    ids = texts_of(conditions, "id")
    return None if ids is None else [split_id(item_id)[1] for item_id in ids]


def _removed(conditions: list[Condition]) -> bool | None:
    """Which items: removed ones, live ones, or None for both."""
    wanted = values_of(conditions, "removed")
    if wanted is None:
        return False
    if not wanted or not all(isinstance(each, bool) for each in wanted):
        raise FilterError("removed is true or false", hint="Write equals(removed,true).")
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
    kinds = texts_of(conditions, "kind")
    try:
        return None if kinds is None else [ChangeKind(kind) for kind in kinds]
    except ValueError:
        raise FilterError(
            "the filter names a kind that there is not", hint=f"One of {', '.join(ChangeKind)}."
        ) from None


def _since(conditions: list[Condition]) -> int:
    numbers = [c.value for c in conditions if c.field == "seq"]
    if not all(type(n) is int and abs(n) < 2**62 for n in numbers):
        raise FilterError("greater-than(seq,…) takes a whole number, as changes have them")
    return int(max([0, *numbers]))

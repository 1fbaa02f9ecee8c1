"""The tags that look into the catalog: `{% catalog %}`, `{% items %}` and `{% changes %}`.

A catalog's or a feed's name says where to look. Everything is as of the position of the message.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.template import Library, Node
from django.template.base import NodeList

from feedd.templates import arguments as reading
from feedd.templates import queries
from feedd.templates.arguments import Arguments, Mistake, NotUnderstood, Read, arguments, check
from feedd.templates.failures import LookupFailed
from feedd.templates.items import Item, item_of, row_of
from feedd.templates.message import Message
from feedd.templates.variables import Expression
from feedd.templates.wire import AskChanges, AskItem, AskItems, Question

register = Library()

SKIPPED = "catalog_item_unavailable"
_COMPOSITE = "$custom"
_GLOBAL = "gid://"  # Shopify's global ids, whose last part is the id in its feeds
_CANCEL = reading.one_of(("cancel",))
_CATALOG: dict[str, Read] = {
    "unpublished": _CANCEL,
    "out_of_stock": _CANCEL,
    "catalog_id": reading.text,
    "integration": reading.text,
    "language": reading.text,
    "region": reading.text,
}
_CONDITIONS: dict[str, Read] = {
    "category": reading.text,
    "brand": reading.text,
    "min_price": reading.number,
    "max_price": reading.number,
    "in_stock": reading.truth,
    "on_sale": reading.truth,
}
_ITEMS: dict[str, Read] = {
    **_CONDITIONS,
    "ids": reading.ids,
    "order": reading.one_of(queries.ITEM_ORDERS, either_way=True),
    "limit": reading.count(queries.MOST),
}
_CHANGES: dict[str, Read] = {
    "since": reading.since,
    "field": reading.text,
    "direction": reading.one_of(queries.DIRECTIONS),
    "kind": reading.one_of(queries.KINDS),
    **_CONDITIONS,
    "order": reading.one_of(queries.CHANGE_ORDERS, either_way=True),
    "limit": reading.count(queries.MOST),
}
_WINDOW_DAYS = 7
_LIST_COST = 20  # lookups: a list may take the daemon a second


@register.tag
def catalog(parser: Any, token: Any) -> Node:
    """`{% catalog ID [unpublished="cancel"] [catalog_id="…"] %}…{% endcatalog %}`: what is inside, with `catalog_item`.

    `out_of_stock="cancel"` is feedd's own. `language` and `region` are taken and mean nothing: items have one language.
    """
    found = arguments(parser, token.split_contents()[1:], tag="catalog", names=list(_CATALOG))
    if len(found.values) != 1:
        raise Mistake(
            "the tag 'catalog' takes the id of one item",
            'Such as {% catalog event.ProductID %}, or {% catalog "SKU-1" unpublished="cancel" %}.',
        )
    check("catalog", found.named, _CATALOG)
    nodes = parser.parse(("endcatalog",))
    parser.delete_first_token()
    return CatalogNode(found, nodes)


@register.tag
def items(parser: Any, token: Any) -> Node:
    """`{% items "CATALOG" category=… max_price=… order=… limit=… as xs %}`: sets a list of items."""
    return _query(parser, token, "items")


@register.tag
def changes(parser: Any, token: Any) -> Node:
    """`{% changes "CATALOG" since="7d" field="price" direction="down" as drops %}`: sets a list of what differs."""
    return _query(parser, token, "changes")


def _query(parser: Any, token: Any, tag: str) -> Node:
    reads = QUERIES[tag].reads
    bits = token.split_contents()[1:]
    found = arguments(
        parser, bits, tag=tag, names=list(reads), sets="xs" if tag == "items" else "drops"
    )
    if len(found.values) > 1:
        raise Mistake(
            f"the tag '{tag}' takes the name of one catalog or feed",
            f'Such as {{% {tag} "shop" limit=6 as xs %}}; leave it out for the default catalog.',
        )
    check(tag, found.named, reads)
    return QueryNode(QUERIES[tag], found)


class CatalogNode(Node):
    """Renders its inside with an item; without one there is no message for this recipient."""

    def __init__(self, found: Arguments, nodelist: NodeList) -> None:
        self.item = found.values[0]
        self.named = found.named
        self.nodelist = nodelist

    def render(self, context: Any) -> str:
        """The inside.

        Raises:
            LookupFailed: there is no such item, or it is not to be shown.
        """
        message = context.message
        named = {name: reading.word_or_value(each, context) for name, each in self.named.items()}
        name = named.get("catalog_id") or named.get("integration")
        item = find(message, self.item.resolve(context), reading.text(name), self.item)
        if named.get("unpublished") == "cancel" and not item["published"]:
            raise LookupFailed(SKIPPED, f"Item ({item['id']}) is not published and unavailable.")
        if named.get("out_of_stock") == "cancel" and not item["in_stock"]:
            raise LookupFailed(SKIPPED, f"Item ({item['id']}) is out of stock.")
        with context.push(catalog_item=item, catalog_id=item["catalog"]):
            return str(self.nodelist.render(context))


def find(message: Message, value: Any, name: str | None, written: Expression) -> Item:
    """The item that a value is the id of. Raises LookupFailed."""
    item_id = reading.item_id(value)
    if not item_id:
        raise LookupFailed(SKIPPED, f"Unable to find an item: {written.token} is no item's id.")
    why, hint = "It may have been deleted.", None
    for question in _spellings(item_id, name):
        answer = message.ask(question)
        if answer is not None and "problem" not in answer:
            return item_of(answer, message)
        if answer is not None and hint is None:
            why, hint = f"{_sentence(answer['problem'])}.", answer["hint"]
    raise LookupFailed(SKIPPED, f"Unable to find item with code: {item_id}. {why}", hint=hint)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _spellings(item_id: str, name: str | None) -> list[AskItem]:
    """What an id may mean, the most literal first."""
    whole = AskItem(item_id, name)
    parts = item_id.split(":::", 2)
    if item_id.startswith("$") and len(parts) == 3:
        # of an integration that is not ours, the catalog is not ours either
        is_ours = parts[0] == _COMPOSITE
        return [AskItem(parts[2], parts[1] if is_ours else name, is_ours), whole]
    if item_id.startswith(_GLOBAL) and not item_id.endswith("/"):
        return [whole, AskItem(item_id.rpartition("/")[2], name)]
    return [whole]


def _name(written: Expression, context: Any) -> str:
    """The name of a catalog. Raises Mistake where there is none after all."""
    value = written.resolve(context)
    if not isinstance(value, str) or not value:
        raise Mistake(
            f"{written.token} is not the name of a catalog",
            f'A name stands in quotes: "{written.token}".',
        )
    return reading.plain(value)


class Query(NamedTuple):
    """A tag that sets a variable to a list: its arguments, the question that they make, and what is seen of an answer."""

    reads: Mapping[str, Read]
    question: Callable[[Message, str, dict[str, Any]], Question]
    view: Callable[[dict[str, Any], Message], dict[str, Any]]


def _about_items(_message: Message, catalog: str, given: dict[str, Any]) -> Question:
    return AskItems(catalog, queries.written(queries.ItemsQuery(**given)))


def _about_changes(message: Message, catalog: str, given: dict[str, Any]) -> Question:
    window = given.pop("since", None) or reading.ago(message, _WINDOW_DAYS)
    query = queries.ChangesQuery(since_seq=window.seq, since_at=window.at, **given)
    return AskChanges(catalog, queries.written(query))


QUERIES = {
    "items": Query(_ITEMS, _about_items, item_of),
    "changes": Query(_CHANGES, _about_changes, row_of),
}


class QueryNode(Node):
    """Sets a variable to a list."""

    def __init__(self, query: Query, found: Arguments) -> None:
        self.query = query
        self.catalog = found.values[0] if found.values else None
        self.named = found.named
        self.variable = found.variable

    def render(self, context: Any) -> str:
        """Nothing."""
        message = context.message
        name = "" if self.catalog is None else _name(self.catalog, context)
        try:
            given = {
                key: reading.given(self.query.reads[key], each, context)
                for key, each in self.named.items()
            }
            known = {key: value for key, value in given.items() if value is not None}
            answer = message.ask(self.query.question(message, name, known), cost=_LIST_COST)
        except NotUnderstood:  # a value of this recipient
            answer = []
        if isinstance(answer, dict):
            raise Mistake(answer["problem"], answer["hint"])
        context[self.variable] = [self.query.view(each, message) for each in answer or ()]
        return ""

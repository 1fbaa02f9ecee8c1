"""A catalog item as templates see it: under the names of its feed, and under those that Klaviyo's templates use."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from babel import UnknownLocaleError
from babel.numbers import get_currency_symbol

from feedd.offers import effective_price, is_on_sale, is_to_be_had
from feedd.templates.message import Message
from feedd.templates.moments import Moment
from feedd.templates.wire import Account, AskHistory, Used

MOST_BUILT = 2_000
_TIMES = ("published_at", "updated_at")
# what has been made of answers, which are the same objects for as long as they hold
_built: dict[int, tuple[Any, Account, dict[str, Any], Used]] = {}


class Item(dict[str, Any]):
    """An item. Its `history` is asked for when it is used: the newest changes, each with at, seq, kind and fields."""

    __slots__ = ("_message", "_used")

    def __init__(self, values: dict[str, Any], used: Used, message: Message) -> None:
        super().__init__(values)
        self._used = used
        self._message = message

    def __missing__(self, name: str) -> Any:
        if name != "history":
            raise KeyError(name)
        told = self._message.ask(AskHistory(self._used.feed, self._used.item)) or []
        found = self["history"] = [each | {"at": moment(each["at"])} for each in told]
        return found


class Metadata(dict[str, Any]):
    """The fields of an item, also under the names that Klaviyo's feeds give them: `$price` is `price`."""

    __slots__ = ()

    def __missing__(self, name: str) -> Any:
        if isinstance(name, str) and name.startswith("$"):
            return self[name[1:]]
        raise KeyError(name)


def item_of(answer: dict[str, Any], message: Message) -> Item:
    """The item that an answer tells of; the message has used it from now on."""
    known = _built.get(id(answer))
    if known is None or known[0] is not answer or known[1] is not message.account:
        if len(_built) >= MOST_BUILT:
            _built.clear()
        used = Used(answer["catalog"], answer["feed"], answer["id"], answer["version"])
        known = answer, message.account, _values(answer, message.account), used
        _built[id(answer)] = known
    _, _, values, used = known
    message.items[used] = None
    return Item(values, used, message)


def row_of(answer: dict[str, Any], message: Message) -> dict[str, Any]:
    """How an item differs from what it was: the item's own values, and those of the difference."""
    item = item_of(answer["item"], message)
    row = item_of(answer["item"], message)
    row.update(answer, item=item, at=moment(answer["at"]))
    return row


def moment(text: Any) -> Moment | None:
    """The moment that a text says, aware; None where it says none."""
    if not isinstance(text, str):
        return None
    try:
        found = Moment.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def currency_symbol(code: Any, locale: str) -> str:
    """What stands for a currency where a language is written; its code where nothing is known."""
    try:
        return str(get_currency_symbol(code, locale.replace("-", "_")))
    except (UnknownLocaleError, ValueError):
        return str(code)


def _values(answer: dict[str, Any], account: Account) -> dict[str, Any]:
    fields: dict[str, Any] = answer["fields"]
    price = effective_price(fields)
    code = fields.get("currency") or account.currency
    own = {
        "url": fields.get("link", fields.get("url")),
        "categories": fields.get("categories") or [],
        "current_price": price,
        "on_sale": is_on_sale(fields),
        "in_stock": is_to_be_had(fields),
        "published": not answer["removed"] and fields.get("published") is not False,
        "removed": answer["removed"],
        "currency_code": code,
        "currency_symbol": currency_symbol(code, account.locale),
        "featured_image": _image(fields.get("image_link")),
        "images": _images(fields),
        "metadata": Metadata(fields),
        "feed": answer["feed"],
        "catalog": answer["catalog"],
        "version": answer["version"],
        "created_at": moment(answer["created_at"]),
        "changed_at": moment(answer["changed_at"]),
    }
    times = {name: moment(fields[name]) or fields[name] for name in _TIMES if name in fields}
    values = fields | times | own
    # each variant is an item of its own here; what Klaviyo's templates show of one is what is to be paid for it
    variant = ("id", "title", "url", "featured_image", "images", "metadata", "inventory_quantity")
    values["variant"] = {name: values[name] for name in variant if name in values}
    values["variant"] |= {"price": price, "sku": fields.get("sku", fields["id"])}
    return values


def _image(link: Any) -> dict[str, dict[str, Any]]:
    return {"full": {"src": link or ""}, "thumbnail": {"src": link or ""}}


def _images(fields: dict[str, Any]) -> Sequence[dict[str, Any]]:
    others = fields.get("additional_image_links")
    links = [fields.get("image_link"), *(others if isinstance(others, list) else [])]
    return [_image(link) | {"src": link} for link in links if link]

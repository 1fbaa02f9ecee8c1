"""The keys of a webhook, `[webhooks.NAME]`, and of `[alerts]`: how each is read and checked.

To add a key: one row in `WEBHOOK_KEYS` or `ALERT_KEYS`, its field in `WebhookSettings` or `AlertSettings`, its row in
`docs/configuration.md`, and its cases in `tests/test_hook_settings.py`.
"""

import re
from collections.abc import Callable, Collection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from msgspec import Struct

from feedd.messages import BadSecret, secret_key
from feedd.settings.feed_keys import read_headers, read_url
from feedd.settings.file import Node
from feedd.settings.secret import Secret
from feedd.settings.values import (
    Key,
    WrongValueError,
    choice,
    duration,
    each,
    expect,
    flag,
    network,
    read_keys,
    secret,
    text,
)

EVENTS = ("changes", "syncs", "unchanged", "alerts")
KINDS = ("added", "updated", "removed", "restored")
MOST_WEBHOOKS = 100

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_URL_EXAMPLE = 'url = "https://shop.example/hooks/feedd"'
_EXAMPLE = 'secret = { env = "SHOP_WEBHOOK_SECRET" }'
_MAKE_ONE = 'Make one: echo "whsec_$(openssl rand -base64 32)"'
_COMMAND_EXAMPLE = 'command = ["/usr/local/bin/page-me", "--urgent"]'
_YEAR_S = 366 * 86_400


class WebhookSettings(Struct, frozen=True, kw_only=True):
    """One endpoint; what each value means is in `WEBHOOK_KEYS`. Empty `feeds`, `kinds` and `fields` mean all."""

    name: str
    url: str | Secret
    secrets: tuple[Secret, ...]
    enabled: bool = True
    events: tuple[str, ...] = ("changes", "syncs", "alerts")
    feeds: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    headers: tuple[tuple[str, str | Secret], ...] = ()
    timeout_s: float = 20.0
    since: int | None = None
    allow_private: tuple[str, ...] = ()


class Patience(NamedTuple):
    """For how long a feed may fail: so many syncs in a row, or for so long."""

    failures: int | None = None
    seconds: float | None = None


class AlertSettings(Struct, frozen=True, kw_only=True):
    """When alerts are raised and who is called; what each value means is in `ALERT_KEYS`."""

    after: Patience = Patience(failures=3)
    stale_after_s: float | None = None
    repeat_s: float = 86_400.0
    command: tuple[str, ...] = ()


CheckAddress = Callable[[str, tuple[str, ...]], tuple[str, str] | None]


def read_webhooks(
    top: Node, feeds: Collection[str], check_address: CheckAddress | None
) -> dict[str, WebhookSettings]:
    """The webhooks of the main file; `feeds` are the names that there are."""
    if "webhooks" not in top.value:
        return {}
    table = top.child("webhooks")
    if type(table.value) is not dict:
        table.problem("is not a table of webhooks", "Write [webhooks.NAME] above the keys of each.")
        return {}
    if len(table.value) > MOST_WEBHOOKS:
        table.problem(
            f"holds more than {MOST_WEBHOOKS} webhooks", "Have one receiver pass them on."
        )
    found: dict[str, WebhookSettings] = {}
    for name in table.value:
        webhook = _read_webhook(name, table.child(name), feeds, check_address)
        if webhook is not None:
            found[name] = webhook
    return found


def read_alerts(top: Node) -> AlertSettings:
    """The `[alerts]` of the main file."""
    if "alerts" not in top.value:
        return AlertSettings()
    node = top.child("alerts")
    if type(node.value) is not dict:
        node.problem("is not a table", "Write [alerts], and its keys below it.")
        return AlertSettings()
    return AlertSettings(**read_keys(node, ALERT_KEYS))


def _read_webhook(
    name: str, node: Node, feeds: Collection[str], check_address: CheckAddress | None
) -> WebhookSettings | None:
    before = len(node.place.problems)
    if not _NAME.fullmatch(name):
        node.problem(
            f"{name!r} cannot be the name of a webhook",
            "A name is a to z, 0 to 9, - and _, at most 64 characters, the first a letter or digit.",
        )
    if type(node.value) is not dict:
        node.problem("is not a table", f"Write [webhooks.{name}], and {_URL_EXAMPLE} below it.")
        return None
    values = read_keys(node, WEBHOOK_KEYS)
    if "url" not in node.value:
        node.problem("has no url", f"Write {_URL_EXAMPLE} below it.")
    if "secret" not in node.value:
        node.problem("has no secret", f"Write {_EXAMPLE} below it. {_MAKE_ONE}")
    for index, feed in enumerate(values.get("feeds", ())):
        if feed not in feeds:
            known = ", ".join(feeds) or "none"
            node.child("feeds").child(index).problem(
                f"there is no feed {feed!r}", f"Configured feeds: {known}."
            )
    _check_address(node, values, check_address)
    if len(node.place.problems) > before:
        return None
    return WebhookSettings(name=name, **values)


def _check_address(node: Node, values: dict[str, Any], check: CheckAddress | None) -> None:
    url = values.get("url")
    address = url.reveal() if isinstance(url, Secret) and url.is_resolved else url
    if not isinstance(address, str):
        return
    private = values.get("allow_private", ())
    if urlsplit(address).scheme.lower() == "http" and not private:
        node.child("url").problem(
            "is http://, which anybody on the way can read",
            "Write https://; http:// is for networks of your own, which allow_private lists.",
        )
    elif check is not None and (refused := check(address, private)) is not None:
        node.child("url").problem(*refused)


def _url(node: Node) -> str | Secret:
    found = read_url(node)
    address = found.reveal() if isinstance(found, Secret) and found.is_resolved else found
    if isinstance(address, str) and address.lower().startswith("file:"):
        raise WrongValueError("is no address that can be sent to", f"Write it so: {_URL_EXAMPLE}")
    return found


def _secrets(node: Node) -> tuple[Secret, ...]:
    """One secret, or a list of them: each message is signed with all, so that a receiver can change over."""
    if type(node.value) is not list:
        return (_secret(node),)
    if not node.value:
        raise WrongValueError("is an empty list", f"Write {_EXAMPLE}. {_MAKE_ONE}")
    return tuple(each(_secret, _EXAMPLE)(node))


def _secret(node: Node) -> Secret:
    found = secret(node)
    if found.is_resolved:
        try:
            secret_key(found.reveal())
        except BadSecret as error:
            raise WrongValueError(f"the secret at {found.reference} {error}", _MAKE_ONE) from None
    return found


def _headers(node: Node) -> tuple[tuple[str, str | Secret], ...]:
    headers = read_headers(node)
    for name, _ in headers:
        if name.lower().startswith("webhook-") or name.lower() == "user-agent":
            node.child(name).problem("feedd sets this header itself", "Leave it out.")
    return headers


def _since(node: Node) -> int:
    expect(node.value, int, "since = 0")
    if not 0 <= node.value < 2**62:
        raise WrongValueError("is no number of a change", "Write it so: since = 0")
    return int(node.value)


def _after(node: Node) -> Patience:
    example = 'after = 3, or after = "2h"'
    if type(node.value) is int:
        if not 1 <= node.value <= 1_000_000:
            raise WrongValueError("is not a number of failures", f"Write it so: {example}")
        return Patience(failures=node.value)
    return Patience(seconds=duration(1, _YEAR_S, example)(node))


def _command(node: Node) -> tuple[str, ...]:
    found = tuple(each(text(_COMMAND_EXAMPLE), _COMMAND_EXAMPLE)(node))
    if found and not found[0].startswith("/"):
        raise WrongValueError(
            "does not begin with the whole path of a program", f"Write it so: {_COMMAND_EXAMPLE}"
        )
    return found


def _some(read_one: Callable[[Node], Any], example: str) -> Callable[[Node], tuple[Any, ...]]:
    """A list that is not empty."""

    def read(node: Node) -> tuple[Any, ...]:
        found = each(read_one, example)(node)
        if not node.value:
            raise WrongValueError("is an empty list", f"Leave it out for all, or write {example}")
        return tuple(dict.fromkeys(found))

    return read


WEBHOOK_KEYS = (
    Key("url", "url", _url, "address or secret", "(required)",
        "where messages are sent: `https://`, or `http://` inside `allow_private`"),
    Key("secret", "secrets", _secrets, "secret or list of secrets", "(required)",
        "what messages are signed with, `whsec_…`; several while you change from one to the next"),
    Key("enabled", "enabled", flag, "true or false", "true",
        "`false` pauses the webhook; it goes on later from where it was"),
    Key("events", "events", _some(choice(*EVENTS), 'events = ["changes"]'),
        "list of `changes`, `syncs`, `unchanged`, `alerts`", '["changes", "syncs", "alerts"]',
        "what is told; `unchanged` adds the syncs that found nothing new"),
    Key("feeds", "feeds", _some(text('feeds = ["shop"]'), 'feeds = ["shop"]'), "list of names", "(all)",
        "only what concerns these feeds"),
    Key("kinds", "kinds", _some(choice(*KINDS), 'kinds = ["updated"]'),
        "list of `added`, `updated`, `removed`, `restored`", "(all)", "only changes of these kinds"),
    Key("fields", "fields", _some(text('fields = ["price"]'), 'fields = ["price"]'), "list of names", "(all)",
        "only those updates that touch one of these fields; the other kinds are told all the same"),
    Key("headers", "headers", _headers, "table", "{}", "headers to send besides; the value is text or a secret"),
    Key("timeout", "timeout_s", duration(1, 30, 'timeout = "20s"'), "duration", '"20s"',
        "how long the receiver may take for its answer, at most `30s`"),
    Key("since", "since", _since, "number of a change", "(the newest)",
        "where a webhook that is new begins: after this change; `0` tells everything that is kept"),
    Key("allow_private", "allow_private", each(network, 'allow_private = ["10.1.0.0/16"]'), "list of networks", "[]",
        "private networks that messages may be sent to; all others are refused"),
)  # fmt: skip

ALERT_KEYS = (
    Key("after", "after", _after, "number or duration", "3",
        "a feed is failing after so many failed syncs in a row, or after failing for so long (`\"2h\"`)"),
    Key("stale_after", "stale_after_s", duration(1, _YEAR_S, 'stale_after = "6h"'), "duration",
        "(four of its turns)", "a feed is stale after so long without a successful sync; at least `15m` by default"),
    Key("repeat", "repeat_s", duration(0, _YEAR_S, 'repeat = "24h"'), "duration", '"24h"',
        "how often an alert that goes on is told again; `\"0s\"` for never"),
    Key("command", "command", _command, "list of texts", "[]",
        "a program to run for each alert, and its arguments; it gets the alert as JSON on its standard input"),
)  # fmt: skip

"""The keys of a web feed, `[web_feeds.NAME]`: what templates see as `feeds.NAME`, and how each key is read and checked.

To add a key: one row in `WEB_FEED_KEYS`, its field in `WebFeedSettings`, its row in `docs/configuration.md`, and its cases in
`tests/test_web_feed_settings.py`.
"""

import re
from typing import Any

from msgspec import Struct

from feedd.settings.feed_keys import (
    outside_roots,
    read_auth,
    read_cron,
    read_encoding,
    read_headers,
    read_timezone,
    read_url,
)
from feedd.settings.file import Node
from feedd.settings.hook_keys import CheckAddress
from feedd.settings.secret import Basic, Bearer, Secret
from feedd.settings.values import (
    Key,
    WrongValueError,
    choice,
    duration,
    each,
    flag,
    network,
    read_keys,
    size,
)

MOST_WEB_FEEDS = 100
MOST_BYTES = 16 * 1024 * 1024
EVERY_DEFAULT_S = 900.0

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,63}")
_TAKEN = (
    "items",
    "keys",
    "values",
)  # `feeds.items` is what Django's templates call all pairs of `feeds`
_URL_EXAMPLE = 'url = "https://blog.example/feed.json"'
_YEAR_S = 366 * 86_400


class WebFeedSettings(Struct, frozen=True, kw_only=True):
    """One web feed; what each value means is in `WEB_FEED_KEYS`. One of `every_s` and `cron` is set."""

    name: str
    url: str | Secret
    enabled: bool = True
    method: str = "get"
    format: str | None = None
    every_s: float | None = None
    cron: str | None = None
    timezone: str = "UTC"
    jitter_s: float = 0.0
    headers: tuple[tuple[str, str | Secret], ...] = ()
    auth: Basic | Bearer | None = None
    timeout_s: float = 30.0
    max_bytes: int = 4_000_000
    encoding: str | None = None
    allow_empty: bool = False
    allow_private: tuple[str, ...] = ()


class WebFeedReader:
    """Collects the web feeds of all files; `nodes` says where each name stands."""

    def __init__(self, check_address: CheckAddress | None) -> None:
        self.found: dict[str, WebFeedSettings] = {}
        self._nodes: dict[str, Node] = {}
        self._check_address = check_address

    def read(self, top: Node, roots: tuple[str, ...]) -> None:
        """Take up the web feeds of one file; what is wrong is noted there."""
        if "web_feeds" not in top.value:
            return
        table = top.child("web_feeds")
        if type(table.value) is not dict:
            table.problem(
                "is not a table of web feeds", "Write [web_feeds.NAME] above the keys of each."
            )
            return
        for name in table.value:
            node = table.child(name)
            first = self._nodes.setdefault(name, node)
            if first is not node:
                node.problem(
                    f"this web feed is already defined in {first.place.file.path}:{first.line}",
                    "Give one of the two another name.",
                )
            elif len(self._nodes) == MOST_WEB_FEEDS + 1:
                node.problem(
                    f"there are more than {MOST_WEB_FEEDS} web feeds", "Put some into one document."
                )
            else:
                self._read_one(name, node, roots)

    def _read_one(self, name: str, node: Node, roots: tuple[str, ...]) -> None:
        before = len(node.place.problems)
        _check_name(name, node)
        if type(node.value) is not dict:
            node.problem("is not a table", f"Write [web_feeds.{name}], and {_URL_EXAMPLE} below.")
            return
        values = read_keys(node, WEB_FEED_KEYS)
        self._check_together(node, values, roots)
        if len(node.place.problems) > before:
            return
        if "auth" in values:
            auth = values["auth"]
            values["auth"] = Bearer(**auth) if "token" in auth else Basic(**auth)
        if "cron" not in values:
            values.setdefault("every_s", EVERY_DEFAULT_S)
        self.found[name] = WebFeedSettings(name=name, **values)

    def _check_together(self, node: Node, values: dict[str, Any], roots: tuple[str, ...]) -> None:
        """What one value alone does not tell."""
        if "url" not in node.value:
            node.problem("has no url", f"Write {_URL_EXAMPLE} below it.")
        if "every" in node.value and "cron" in node.value:
            node.child("cron").problem("stands beside every", "Leave one of the two out.")
        pace = values.get("every_s", EVERY_DEFAULT_S)
        if "cron" not in node.value and values.get("jitter_s", 0) > pace:
            node.child("jitter").problem(
                f"is longer than the {pace:g} s from one fetch to the next", "Write a shorter one."
            )
        names = [header.lower() for header, _ in values.get("headers", ())]
        if "auth" in values and "authorization" in names:
            node.child("headers").problem(
                "Authorization stands beside auth", "Leave one of the two out."
            )
        url = values.get("url")
        address = url.reveal() if isinstance(url, Secret) and url.is_resolved else url
        if not isinstance(address, str):
            return
        if address.lower().startswith("file:"):
            if (outside := outside_roots(address, roots)) is not None:
                node.child("url").problem(*outside)
            if values.get("method") == "post":
                node.child("method").problem("is not for files", "Leave it out.")
        elif self._check_address is not None:
            refused = self._check_address(address, values.get("allow_private", ()))
            if refused is not None:
                node.child("url").problem(*refused)


def _check_name(name: str, node: Node) -> None:
    if name in _TAKEN:
        node.problem(
            f"{name!r} cannot be the name of a web feed: in a template it means the members of feeds",
            f"Name it [web_feeds.my_{name}].",
        )
    elif not _NAME.fullmatch(name):
        meant = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:64]
        node.problem(
            f"{name!r} cannot be the name of a web feed, which templates write as feeds.NAME",
            f"{f'Name it [web_feeds.{meant}]: a' if meant else 'A'} name is letters, digits and _, at most 64, "
            "and does not begin with _.",
        )


def _max_bytes(node: Node) -> int:
    found = size(node)
    if found > MOST_BYTES:
        raise WrongValueError(
            f"is more than {MOST_BYTES} bytes",
            'Every message that uses it would have to read that much. Write it so: max_bytes = "4MB"',
        )
    return found


WEB_FEED_KEYS = (
    Key("url", "url", read_url, "address or secret", "(required)",
        "where the document is: `https://`, `http://`, or `file://` below `file_roots`"),
    Key("enabled", "enabled", flag, "true or false", "true",
        "`false` pauses it; templates go on with what was fetched last"),
    Key("method", "method", choice("get", "post"), "`get` or `post`", '"get"',
        "how it is asked for; a POST has no body"),
    Key("format", "format", choice("json", "xml"), "`json` or `xml`", "(recognized)",
        "the format, where it cannot be recognized"),
    Key("every", "every_s", duration(1, _YEAR_S, 'every = "15m"'), "duration", '"15m"',
        "how often it is fetched, at least `1s`"),
    Key("cron", "cron", read_cron, "cron expression", "(none)",
        "when it is fetched, as in crontab; instead of `every`"),
    Key("timezone", "timezone", read_timezone, "time zone name", '"UTC"', "the time zone that `cron` means"),
    Key("jitter", "jitter_s", duration(0, _YEAR_S, 'jitter = "2m"'), "duration", '"0s"',
        "each fetch comes up to this much later"),
    Key("headers", "headers", read_headers, "table", "{}", "headers to send; the value is text or a secret"),
    Key("auth", "auth", read_auth, "table", "(none)",
        "`username` and `password` (basic), or `token` (bearer); password and token are secrets"),
    Key("timeout", "timeout_s", duration(0.1, 120, 'timeout = "30s"'), "duration", '"30s"',
        "how long the server may take until its first byte, at most `2m`"),
    Key("max_bytes", "max_bytes", _max_bytes, "size", '"4MB"',
        "the largest document that is taken, unpacked, at most `16MiB`"),
    Key("encoding", "encoding", read_encoding, "name of an encoding", "(recognized)",
        "its encoding, where that is not UTF-8 and nothing says so"),
    Key("allow_empty", "allow_empty", flag, "true or false", "false",
        "`true` takes an empty document (`[]`, `{}`) for what it is; otherwise what was fetched before it stays"),
    Key("allow_private", "allow_private", each(network, 'allow_private = ["10.1.0.0/16"]'), "list of networks", "[]",
        "private networks that it may be fetched from; all others are refused"),
)  # fmt: skip

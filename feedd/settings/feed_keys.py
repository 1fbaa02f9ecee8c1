"""The keys of a feed, `[feeds.NAME]`, and how each is read and checked.

To add a key: one row in `FEED_KEYS`, its field in `loader.FeedSettings`, its row in `docs/configuration.md`, and
its cases in `tests/test_settings.py`.
"""

import os.path
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from feedd.cron import find_timezone, parse_cron
from feedd.encodings import codec_of
from feedd.model import ONE_PAGE, Pages
from feedd.settings.file import Node, dotted
from feedd.settings.secret import EXAMPLE, Secret
from feedd.settings.values import (
    Key,
    WrongValueError,
    choice,
    did_you_mean,
    duration,
    each,
    expect,
    flag,
    network,
    secret,
    share,
    size,
    text,
)

SCHEMES = ("https", "http", "file")
NAME_RULE = "a to z, 0 to 9, - and _, at most 64 characters, the first a letter or digit"
DEFAULT_CATALOG = "$default"

_BRACED = re.compile(r"\{([^{}]+)\}")
_TEMPLATE = re.compile(r"[^{}]*(?:\{[^{}]+\}[^{}]*)*")
_YEAR_S = 366 * 86_400
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_CATALOG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, token
_SECRET_HEADER = re.compile(r"auth|token|key|secret|passw|cookie|credential", re.IGNORECASE)
_OWN_HEADERS = frozenset(
    {
        "accept-encoding", "connection", "content-length", "content-type", "expect", "host", "if-modified-since",
        "if-none-match", "if-range", "keep-alive", "range", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_URL_EXAMPLE = 'url = "https://shop.example/products.xml"'
_AUTH_EXAMPLE = (
    'auth = { username = "shop", password = { env = "SHOP_PASSWORD" } }'
    ' or auth = { token = { env = "SHOP_TOKEN" } }'
)
_PAGES_EXAMPLE = (
    'pages = "link" or pages = { query = "page", first = 1 } or pages = { offset = "skip", step = 100 }'
    ' or pages = { next = "links.next" } or pages = { cursor = "meta.cursor", query = "cursor" }'
)
_PAGE_FORMS = (
    ({"link"},),
    ({"next"},),
    ({"cursor", "query"},),
    ({"query"}, {"query", "first"}),
    ({"offset", "step"}, {"offset", "step", "first"}),
)


def check_feed_name(node: Node) -> bool:
    """Whether a feed may have this name; a problem is noted when not."""
    name = str(node.path[-1])
    if _NAME.fullmatch(name):
        return True
    meant = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64]
    hint = f"Name it [feeds.{meant}]: {NAME_RULE}." if meant else f"A name is {NAME_RULE}."
    node.problem(f"{name!r} cannot be the name of a feed", hint)
    return False


def read_url(node: Node) -> str | Secret:
    """Where the feed is; a secret when the address itself is one.

    A `file://` address is checked against `file_roots` by `outside_roots`, when those are known.
    """
    if type(node.value) is dict:
        found = secret(node)
        if found.is_resolved:
            try:
                _check_url(found.reveal())
            except WrongValueError as error:
                raise WrongValueError(
                    f"the secret at {found.reference} is no usable address",
                    f"It holds an address such as {_URL_EXAMPLE[6:]}, and nothing else.",
                ) from error
        return found
    url = text(_URL_EXAMPLE)(node)
    _check_url(url)
    return str(url)


def outside_roots(url: str, roots: tuple[str, ...]) -> tuple[str, str] | None:
    """What is wrong with a `file://` address, and what to do; None when it lies below one of the roots."""
    path = os.path.normpath(unquote(urlsplit(url).path))
    for root in roots:
        whole = os.path.normpath(root)
        if path != whole and os.path.commonpath([path, whole]) == whole:
            return None
    folder = path.rpartition("/")[0] or "/"
    if not roots:
        return (
            "file:// feeds are off, because file_roots names no directory",
            f'Add file_roots = ["{folder}"] at the top of the main file.',
        )
    shown = ", ".join(roots)
    return (
        f"{path} lies outside file_roots ({shown})",
        "Move the file below one of them, or add its directory to file_roots.",
    )


def _check_url(url: str) -> None:
    scheme, colon, rest = url.partition(":")
    scheme = scheme.lower()
    if not colon or not rest.startswith("//"):
        hint = f'Did you mean "https://{url}"?' if "." in url.partition("/")[0] else ""
        raise WrongValueError(
            f"{_shown(url)!r} is not an address", hint or f"Write it so: {_URL_EXAMPLE}"
        )
    if scheme not in SCHEMES:
        hint = did_you_mean(scheme, SCHEMES)
        raise WrongValueError(
            f"feedd does not fetch {scheme}:// addresses", hint.replace("keys", "schemes")
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise WrongValueError(
            f"is not an address: {error}", f"Write it so: {_URL_EXAMPLE}"
        ) from error
    if any(sign.isspace() or not sign.isprintable() for sign in url):
        raise WrongValueError(
            "holds a space or a control character", "Write a space in an address as %20."
        )
    if "@" in parts.netloc:
        raise WrongValueError("holds a user name or password", f"Write {_AUTH_EXAMPLE}.")
    if scheme == "file":
        _check_file(parts)
    elif not parts.hostname:
        raise WrongValueError("names no host", f"Write it so: {_URL_EXAMPLE}")
    elif port == 0:
        raise WrongValueError("port 0 is no port", f"Write it so: {_URL_EXAMPLE}")


def _check_file(parts: SplitResult) -> None:
    if parts.netloc not in {"", "localhost"}:
        meant = f"file:///{parts.netloc}{parts.path}"
        raise WrongValueError(
            f"{parts.netloc!r} stands where a host would",
            f'Did you mean "{meant}"? (three slashes)',
        )
    if parts.query or parts.fragment:
        meant = f"file://{quote(parts.path)}"
        raise WrongValueError(
            "holds ? or #, which end the path", f"Write ? as %3F and # as %23, after {meant}"
        )
    if not parts.path.strip("/"):
        raise WrongValueError("names no file", 'Write it so: url = "file:///srv/feeds/shop.xml"')


def _shown(url: str) -> str:
    """An address for a message: what may be secret in it is left out."""
    return url.partition("?")[0].rpartition("@")[2]


def read_cron(node: Node) -> str:
    """A cron expression."""
    expect(node.value, str, 'cron = "*/15 * * * *"')
    _hinted(parse_cron, node.value)
    return str(node.value)


def read_timezone(node: Node) -> str:
    """The name of a time zone."""
    expect(node.value, str, 'timezone = "Europe/Berlin"')
    _hinted(find_timezone, node.value)
    return str(node.value)


def _hinted(check: Callable[[str], object], value: str) -> None:
    """Check a value by a function whose messages are `what is wrong; what to write`."""
    try:
        check(value)
    except ValueError as error:
        message, _, hint = str(error).partition("; ")
        raise WrongValueError(message, hint[:1].upper() + hint[1:]) from error


def _catalog(node: Node) -> str:
    expect(node.value, str, 'catalog = "shoes"')
    if node.value != DEFAULT_CATALOG and not _CATALOG.fullmatch(node.value):
        raise WrongValueError(
            f"{node.value!r} cannot be the name of a catalog",
            f"A name is letters, digits, - and _, at most 64 characters; leave it out for {DEFAULT_CATALOG}.",
        )
    return str(node.value)


def read_currency(node: Node) -> str:
    """The code of a currency, such as `EUR`."""
    expect(node.value, str, 'currency = "EUR"')
    if not re.fullmatch(r"[A-Z]{3}", node.value):
        upper = node.value.strip().upper()
        meant = f'Did you mean "{upper}"?' if re.fullmatch(r"[A-Z]{3}", upper) else ""
        raise WrongValueError(
            f"{node.value!r} is not a currency code",
            meant or 'Write the ISO 4217 code, such as "EUR".',
        )
    return str(node.value)


def _items(node: Node) -> str:
    example = 'items = "data.products"'
    expect(node.value, str, example)
    if node.value and not all(step.strip() for step in node.value.split(".")):
        raise WrongValueError(
            f"{node.value!r} is not a path: a step between two dots is empty",
            f"Write it so: {example}",
        )
    return str(node.value)


def read_encoding(node: Node) -> str:
    """The name of an encoding."""
    example = 'encoding = "windows-1251"'
    expect(node.value, str, example)
    if codec_of(node.value) is None:
        raise WrongValueError(
            f"{node.value!r} is not an encoding that feedd reads",
            f"Write it so: {example}; others are utf-8, iso-8859-2, koi8-r, gbk, big5, shift_jis, euc-kr.",
        )
    return str(node.value)


def _pages(node: Node) -> Pages:
    if node.value in ("link", ONE_PAGE):
        return Pages(by=node.value)
    hint = f"Write {_PAGES_EXAMPLE}."
    if type(node.value) is not dict:
        raise WrongValueError("does not say how the pages are followed", hint)
    found = [names for names in _PAGE_FORMS if set(node.value) - {"most"} in names]
    if not found:
        raise WrongValueError(
            f"{', '.join(node.value) or 'nothing'} does not say how the pages are followed", hint
        )
    most = _whole(node, "most", 10_000, 1)
    if "link" in node.value:
        if node.value["link"] != "next":
            node.child("link").problem('is not "next"', hint)
        return Pages(by="link", most=most)
    if "next" in node.value:
        return Pages(by="next", path=_path(node, "next"), most=most)
    if "cursor" in node.value:
        query = _parameter(node, "query")
        return Pages(by="cursor", path=_path(node, "cursor"), query=query, most=most)
    name = "query" if "query" in node.value else "offset"
    return Pages(
        by="number",
        query=_parameter(node, name),
        first=_whole(node, "first", 1 if name == "query" else 0, 0),
        step=1 if name == "query" else _whole(node, "step", 1, 1),
        most=most,
    )


def _whole(node: Node, name: str, default: int, least: int) -> int:
    value = node.value.get(name, default)
    if type(value) is not int or not least <= value <= 1_000_000_000:
        node.child(name).problem(
            f"is no whole number from {least} on", f"Write it so: {name} = {max(default, 1)}"
        )
        return default
    return value


def _path(node: Node, name: str) -> tuple[str, ...]:
    value = node.value[name]
    steps = value.split(".") if type(value) is str else value
    if type(steps) is not list or not steps or not all(_is_step(step) for step in steps):
        node.child(name).problem(
            "is not a path into the body", f'Write it so: {name} = "meta.{name}"'
        )
        return ()
    return tuple(steps)


def _parameter(node: Node, name: str) -> str:
    value = node.value[name]
    if type(value) is not str or not value.strip() or not value.isprintable():
        node.child(name).problem(
            "is not the name of a query parameter", f'Write it so: {name} = "page"'
        )
        return ""
    return str(value)


def _fields(node: Node) -> dict[str, str | tuple[str, ...]]:
    expect(node.value, dict, 'fields = { id = "sku" }')
    paths: dict[str, str | tuple[str, ...]] = {}
    for name, value in node.value.items():
        child = node.child(name)
        if not name.strip() or not name.isprintable():
            child.problem("is no name for a field", 'Write it so: id = "sku"')
        elif not _is_source(value):
            child.problem(
                "is not a path to where the feed has this field",
                f'Write the keys that lead to it: {dotted([name])} = "images.0.src",'
                ' or ["a.b", "c"] for keys that hold dots; or a text with such paths in braces',
            )
        else:
            paths[name] = value if type(value) is str else tuple(value)
    return paths


def _is_source(value: Any) -> bool:
    """Whether this is a path, the steps of one, or a text with paths in braces."""
    if type(value) is str and "{" in value:
        inner = _BRACED.findall(value)
        return _TEMPLATE.fullmatch(value) is not None and all(_is_source(path) for path in inner)
    steps = value.split(".") if type(value) is str else value
    return type(steps) is list and bool(steps) and all(_is_step(step) for step in steps)


def _is_step(step: Any) -> bool:
    return type(step) is str and bool(step.strip())


def read_headers(node: Node) -> tuple[tuple[str, str | Secret], ...]:
    """Headers to send; one that looks like a secret may not stand in plain text."""
    expect(node.value, dict, 'headers = { Accept-Language = "he" }')
    headers: dict[str, tuple[str, str | Secret]] = {}
    for name in node.value:
        child = node.child(name)
        try:
            value = _header(name, child)
        except WrongValueError as error:
            child.problem(error.message, error.hint)
            continue
        if name.lower() in headers:
            child.problem("stands here twice, in two spellings", "Leave one of them out.")
        headers[name.lower()] = (name, value)
    return tuple(headers.values())


def _header(name: str, node: Node) -> str | Secret:
    if not _HEADER.fullmatch(name):
        raise WrongValueError(
            f"{name!r} is not the name of a header", 'Write it so: Accept-Language = "he"'
        )
    if name.lower() in _OWN_HEADERS:
        raise WrongValueError("feedd sets this header itself", "Leave it out.")
    if type(node.value) is dict:
        found = secret(node)
        if found.is_resolved and not found.reveal().isascii():
            raise WrongValueError(
                f"the secret at {found.reference} holds letters that no header can carry",
                "Put an ASCII text there.",
            )
        return found
    if _SECRET_HEADER.search(name):
        raise WrongValueError("a secret stands here in plain text", f"Write where it is: {EXAMPLE}")
    value = str(text(f'{name} = "…"')(node))
    if not value.isascii():
        raise WrongValueError("holds letters that no header can carry", "Write ASCII text.")
    return value


def read_auth(node: Node) -> dict[str, Any]:
    """`username` and `password`, or `token`."""
    hint = f"Write {_AUTH_EXAMPLE}."
    expect(node.value, dict, _AUTH_EXAMPLE)
    names = set(node.value)
    if names not in ({"username", "password"}, {"token"}):
        raise WrongValueError("needs a username and a password, or a token", hint)
    values: dict[str, Any] = {}
    for name in node.value:
        child = node.child(name)
        try:
            values[name] = text('username = "shop"')(child) if name == "username" else secret(child)
        except WrongValueError as error:
            child.problem(error.message, error.hint)
    if ":" in values.get("username", ""):
        node.child("username").problem("holds a colon, which would end it (RFC 7617)", hint)
    return values


FEED_KEYS = (
    Key("url", "url", read_url, "address or secret", "(required)",
        "where the feed is: `https://`, `http://`, or `file://` below `file_roots`"),
    Key("enabled", "enabled", flag, "true or false", "true", "`false` pauses the feed; its items stay"),
    Key("every", "every_s", duration(1, _YEAR_S, 'every = "15m"'), "duration", '"1h"',
        "how often the feed is fetched, at least `1s`"),
    Key("cron", "cron", read_cron, "cron expression", "(none)",
        "when the feed is fetched, as in crontab; instead of `every`"),
    Key("timezone", "timezone", read_timezone, "time zone name", '"UTC"', "the time zone that `cron` means"),
    Key("jitter", "jitter_s", duration(0, _YEAR_S, 'jitter = "2m"'), "duration", '"0s"',
        "each fetch comes up to this much later, so that many feeds do not come at once"),
    Key("schema", "schema", text('schema = "google-product"'), "name or path", "(guessed)",
        "what the items look like: a shipped schema, or the path of your own, relative to this file"),
    Key("items", "items", _items, "dotted path", "(guessed)",
        "the repeated element of the feed, JSON and XML alike; `\"\"` is a list at the root"),
    Key("format", "format", choice("json", "jsonl", "xml"), "`json`, `jsonl` or `xml`", "(recognized)",
        "the format of the feed, where it cannot be recognized"),
    Key("fields", "fields", _fields, "table", "{}",
        "where a field is, as a dotted path, where the schema does not know it; a list for keys that hold dots, or a text with paths in braces"),
    Key("currency", "currency", read_currency, "ISO 4217 code", "(none)", "the currency of prices that name none"),
    Key("catalog", "catalog", _catalog, "name", '"$default"', "the catalog that the items belong to"),
    Key("headers", "headers", read_headers, "table", "{}", "headers to send; the value is text or a secret"),
    Key("auth", "auth", read_auth, "table", "(none)",
        "`username` and `password` (basic), or `token` (bearer); password and token are secrets"),
    Key("timeout", "timeout_s", duration(0.1, 1800, 'timeout = "60s"'), "duration", '"60s"',
        "how long the server may take until its first byte"),
    Key("encoding", "encoding", read_encoding, "name of an encoding", "(recognized)",
        "the encoding of a feed that is not UTF-8 and does not say what it is, such as `windows-1251`"),
    Key("pages", "pages", _pages, '`"link"`, `"one"` or table', "(none)",
        "how the pages of a JSON source are followed, so that all of them are the feed"),
    Key("member", "member", text('member = "products.xml"'), "name or pattern", "(the only file)",
        "which file of a zip is the feed, where there are several: its name in the zip, or a pattern such as `products-*.xml`"),
    Key("max_bytes", "max_bytes", size, "size", '"2GiB"', "the largest body that is read, unpacked"),
    Key("max_removed", "max_removed", share, "percentage or 0 to 1", '"30%"',
        "a sync that would remove more of the items than this holds its removals until you accept them"),
    Key("allow_private", "allow_private", each(network, 'allow_private = ["10.1.0.0/16"]'), "list of networks", "[]",
        "private networks that this feed may be fetched from; all others are refused"),
    Key("doctype", "doctype", flag, "true or false", "false",
        "`true` takes XML with a DOCTYPE; entities are refused all the same"),
    Key("keep_body", "keep_body", flag, "true or false", "true",
        "`false` keeps no body of this feed, whatever `keep_bodies` says"),
)  # fmt: skip

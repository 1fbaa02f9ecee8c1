"""The keys at the top of the main configuration file, and how each is read and checked.

To add a key: one row in `MAIN_KEYS`, its field in `loader.Settings`, its row in `docs/configuration.md`, and its
cases in `tests/test_settings.py`.
"""

import re
from urllib.parse import parse_qsl, urlsplit

from feedd.settings.account_keys import read_account
from feedd.settings.file import Node
from feedd.settings.retention_keys import read_retention
from feedd.settings.secret import Secret
from feedd.settings.template_keys import read_templates
from feedd.settings.values import (
    Key,
    WrongValueError,
    address,
    choice,
    directory,
    each,
    flag,
    network,
    secret,
    text,
)

_DATABASE_EXAMPLE = 'database = "postgresql://feedd@db.example/feedd"'
_PUBLIC_EXAMPLE = 'public_url = "https://mail.shop.example"'
_NOT_IN_ADDRESS = re.compile(r"[^!-~]|[\"'<>\\^`{|}]")
_DATABASE_HINT = (
    'Write database = { env = "FEEDD_DATABASE" }, and put the whole address there:'
    " postgresql://USER:PASSWORD@HOST/NAME"
)


def read_database(node: Node) -> Secret:
    """The address of a PostgreSQL database; one with a password stands elsewhere."""
    if type(node.value) is dict:
        found = secret(node)
        if found.is_resolved:
            _check_database(found.reveal())
        return found
    url = str(text(_DATABASE_EXAMPLE)(node))
    _check_database(url)
    parts = urlsplit(url)
    if parts.password or "password" in dict(parse_qsl(parts.query)):
        raise WrongValueError("holds a password in plain text", _DATABASE_HINT)
    return Secret(url, "database")


def read_public_url(node: Node) -> str:
    """The address of a website that leads here, without a slash at its end."""
    value = str(text(_PUBLIC_EXAMPLE)(node))
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or _NOT_IN_ADDRESS.search(value):
        raise WrongValueError(f"{value!r} is not an address", f"Write it so: {_PUBLIC_EXAMPLE}")
    if parts.username is not None or parts.query or parts.fragment or value[-1] in "?#":
        raise WrongValueError("has more than a site and a path", f"Write it so: {_PUBLIC_EXAMPLE}")
    return value.rstrip("/")


def _check_database(url: str) -> None:
    if url.startswith("sqlite"):
        raise WrongValueError(
            "SQLite needs no address", "Leave database out: SQLite lies in the state directory."
        )
    try:
        parts = urlsplit(url)
        scheme = re.match(r"postgres(ql)?(\+psycopg)?://", url)
        usable = bool(scheme and parts.path.strip("/")) and parts.port != 0  # no number: ValueError
    except ValueError:
        usable = False
    if not usable:
        raise WrongValueError(
            "is not the address of a PostgreSQL database", f"Write it so: {_DATABASE_EXAMPLE}"
        )


MAIN_KEYS = (
    Key("state_dir", "state_dir", directory('state_dir = "/var/lib/feedd"'), "path",
        "`$STATE_DIRECTORY`, else `$XDG_STATE_HOME/feedd`, else `~/.local/state/feedd`",
        "where feedd keeps its data"),
    Key("socket", "socket", directory('socket = "/run/feedd/feedd.sock"'), "path",
        "`$RUNTIME_DIRECTORY/feedd.sock`, else `feedd.sock` in the state directory",
        "the unix socket that commands talk to the daemon over"),
    Key("listen", "listen", address, "HOST:PORT", '"127.0.0.1:8030"',
        "where the HTTP API listens besides; `\"\"` for nowhere"),
    Key("public_url", "public_url", read_public_url, "address", "(of `listen`)",
        "where people reach this feedd: links in messages to their own pages are below it"),
    Key("trusted_proxies", "trusted_proxies", each(network, 'trusted_proxies = ["10.1.0.0/16"]'), "list of networks", "[]",
        "proxies whose `X-Forwarded-For` says where a request comes from; of all others it is ignored"),
    Key("file_roots", "file_roots", each(directory('file_roots = ["/srv/feeds"]'), 'file_roots = ["/srv/feeds"]'),
        "list of paths", "[]", "`file://` feeds are allowed below these directories only"),
    Key("database", "database", read_database, "address or secret", "(SQLite)",
        "a PostgreSQL database instead of SQLite in the state directory"),
    Key("keep_bodies", "keep_bodies", flag, "true or false", "true",
        "whether the last body of each feed is kept in the state directory, so that it can be read again without fetching"),
    Key("retention", "retention", read_retention, "table", "(below)",
        "for how long changes, syncs and rejects are kept"),
    Key("account", "account", read_account, "table", "(below)", "whose this feedd is"),
    Key("templates", "templates", read_templates, "table", "(below)", "where templates come from, and how they are rendered"),
    Key("log_level", "log_level", choice("debug", "info", "warning", "error"),
        "`debug`, `info`, `warning` or `error`", '"info"', "what is logged: this and what is worse"),
)  # fmt: skip

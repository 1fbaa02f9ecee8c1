"""The text of a feed's part of a configuration, as a person would write it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from feedd.settings.file import dotted

_SECRET_PARAMETER = re.compile(
    r"auth|token|key|secret|sig|passw|pwd|hash|credential", re.IGNORECASE
)


class Stanza(Struct, frozen=True, kw_only=True):
    """What a feed's part says. `pages` is the whole line; `notes` follow as comments."""

    name: str
    url: str
    schema: str | None = None
    items: str | None = None
    format: str | None = None
    currency: str | None = None
    encoding: str | None = None
    member: str | None = None
    doctype: bool = False
    pages: str | None = None
    allow_private: Sequence[str] = ()
    fields: Mapping[str, Any] = {}
    notes: Sequence[str] = ()

    def text(self) -> str:
        """The lines of TOML, with a line break at the end."""
        lines = [f"[feeds.{self.name}]", *_address_lines(self.name, self.url)]
        for key in ("schema", "items", "format", "currency", "encoding", "member"):
            value = getattr(self, key)
            if value is not None:
                lines.append(f"{key} = {written(value)}")
        if self.doctype:
            lines.append("doctype = true")
        if self.pages is not None:
            lines.append(self.pages)
        if self.allow_private:
            lines.append(f"allow_private = {written(list(self.allow_private))}")
        lines += [f"# {note}" for note in self.notes]
        if self.fields:
            lines += ["", f"[feeds.{self.name}.fields]"]
            lines += [f"{dotted([name])} = {written(path)}" for name, path in self.fields.items()]
        return "\n".join(lines) + "\n"


def written(value: str | list[str]) -> str:
    """A string or a list of strings as TOML writes it; JSON's escapes are TOML's too."""
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def path_value(path: Sequence[str]) -> str | list[str]:
    """A path as `fields` takes it: dotted, or a list where a key holds a dot or a brace."""
    if any("." in step or "{" in step or "}" in step for step in path):
        return list(path)
    return ".".join(path)


def feed_name(url: str) -> str:
    """A name for a feed, out of its host, or of its file where the host has no name."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    labels = host.split(".")[:-1]
    while len(labels) > 1 and labels[-1] in _SECOND_LEVEL:
        labels.pop()
    named = labels and not host.replace(".", "").isdecimal() and ":" not in host
    base = labels[-1] if named else parts.path.rpartition("/")[2].partition(".")[0]
    return re.sub(r"[^a-z0-9]+", "-", base.lower()).strip("-")[:64] or "shop"


_SECOND_LEVEL = frozenset({"ac", "co", "com", "gov", "net", "org"})


def page_parameters(url: str) -> list[str]:
    """The parameters of an address that look like the number of a page."""
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    return [
        name
        for name, value in query
        if value.isdecimal() and name.lower() in ("page", "p", "pg", "paged", "page[number]")
    ][:1]


def holds_secret(url: str) -> bool:
    """Whether an address has something in it that is no one else's business."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    return any(_SECRET_PARAMETER.search(name) for name, _ in query)


def _address_lines(name: str, url: str) -> list[str]:
    parts = urlsplit(url)
    variable = re.sub(r"[^A-Z0-9]", "_", name.upper())
    lines = []
    if parts.username is not None or parts.password is not None:
        host = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=host))
        user = written(parts.username or "")
        lines.append(
            f'auth = {{ username = {user}, password = {{ env = "{variable}_PASSWORD" }} }}'
        )
    if holds_secret(url):
        address = f'url = {{ env = "{variable}_URL" }}  # the address holds a secret, so it stands elsewhere'
    else:
        address = f"url = {written(url)}"
    return [address, *lines]

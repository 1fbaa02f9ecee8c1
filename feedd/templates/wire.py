"""What the daemon and a worker say to each other: msgspec structs in MessagePack, one a frame.

The daemon sends `Begin` once, then `Load`, `Move` and `Work`; a worker answers each `Work` and `Check` with `Done`, `Failed` or `Checked`, in
order, and may send `Ask` before that, which is answered by the JSON of what was asked for. Pure.
"""

from typing import Any

import msgspec
from msgspec import Struct

MOST_PROBLEMS = 200  # that are told of a source


class Limits(Struct, frozen=True, kw_only=True):
    """What one message may take."""

    memory_bytes: int = 256 * 1024**2  # beyond what the worker is when it begins
    cpu_s: float = 2.0
    wall_s: float = 5.0
    output_bytes: int = 1024**2
    source_bytes: int = 1024**2
    lookups: int = 1000
    iterations: int = 1_000_000


class Account(Struct, frozen=True, kw_only=True):
    """Whose messages these are. `address` has the keys address1 address2 city region zip country, where known."""

    organization: str = ""
    timezone: str = "UTC"
    currency: str = "USD"
    locale: str = "en-US"
    website: str | None = None
    address: dict[str, str] = {}


class Links(Struct, frozen=True):
    """The addresses of one recipient's own pages."""

    unsubscribe: str = ""
    manage_preferences: str = ""
    web_view: str = ""


class Position(Struct, frozen=True):
    """A place in a change stream."""

    stream: str = ""
    seq: int = 0


class Begin(Struct, tag="begin", frozen=True):
    """The first message to a worker."""

    account: Account
    limits: Limits


class Load(Struct, tag="load", frozen=True):
    """A template, under the name that `Work` knows it by; `drop` are names that are needed no more."""

    name: str
    html: str
    text: str | None = None
    subject: str | None = None
    preview_text: str | None = None
    drop: tuple[str, ...] = ()


class Move(Struct, tag="move", frozen=True):
    """Lookups are answered as of another position from now on: forget these answers, or (None) all of them.

    Answers about the items of `forgets` (feed, item id) are forgotten, and those about the web feeds of `feeds`; lists and changes
    are with every other position.
    """

    position: Position
    forgets: tuple[tuple[str, str], ...] | None = None
    feeds: tuple[str, ...] = ()


class Work(Struct, tag="work", frozen=True, kw_only=True):
    """Render a template once. `values` is a JSON object, `now` seconds since 1970."""

    name: str
    values: bytes
    now: float
    seed: str = ""
    links: Links = Links()
    wants_text: bool = False
    inlines: bool = False


class Known(Struct, frozen=True, kw_only=True):
    """Names that a configuration has: of web feeds, and of catalogs and their feeds; None where no configuration says."""

    web_feeds: tuple[str, ...] | None = None
    catalogs: tuple[str, ...] | None = None


class Check(Struct, tag="check", frozen=True):
    """Tell every problem of a source, at most MOST_PROBLEMS."""

    source: str
    known: Known = Known()


class AskItem(Struct, tag="item", frozen=True):
    """An item by its id. `catalog` is a catalog's or a feed's name; None: the default one, then all others.

    A name that nothing has means all of them, unless it is `only` there that the item may be.
    """

    item: str
    catalog: str | None = None
    only: bool = False


class AskItems(Struct, tag="items", frozen=True):
    """Items that meet conditions. `query` is canonical JSON of the tag's arguments."""

    catalog: str
    query: str


class AskChanges(Struct, tag="changes", frozen=True):
    """Changes of a catalog. `query` is canonical JSON of the tag's arguments."""

    catalog: str
    query: str


class AskHistory(Struct, tag="history", frozen=True):
    """The changes of one item."""

    feed: str
    item: str


class AskFeed(Struct, tag="feed", frozen=True):
    """The last good body of a web feed."""

    name: str


Question = AskItem | AskItems | AskChanges | AskHistory | AskFeed


class Ask(Struct, tag="ask", frozen=True):
    """A worker's question; the answer is a frame of JSON, `null` where there is nothing."""

    question: Question


class Problem(Struct, frozen=True, kw_only=True):
    """What is wrong in a source, at a line and column (both from 1) and for `length` characters."""

    line: int
    column: int
    length: int = 1
    message: str
    hint: str | None = None
    severity: str = "error"
    part: str = "html"


class Used(Struct, frozen=True):
    """An item that a render has used: `version` is the number of its last change, as far as that is kept."""

    catalog: str
    feed: str
    item: str
    version: int | None


class UsedFeed(Struct, frozen=True):
    """A web feed that a render has used."""

    name: str
    digest: str
    fetched_at: str | None


class Done(Struct, tag="done", frozen=True, kw_only=True):
    """A message, rendered. `ends` where the worker has grown so much that it ends itself."""

    html: bytes
    text: str | None = None
    subject: str | None = None
    preview_text: str | None = None
    items: tuple[Used, ...] = ()
    feeds: tuple[UsedFeed, ...] = ()
    ends: bool = False


class Failed(Struct, tag="failed", frozen=True, kw_only=True):
    """A message that could not be rendered. `kind` is syntax, lookup (skip the recipient) or limit.

    `ends` where the worker cannot go on and ends itself.
    """

    kind: str
    code: str
    message: str
    hint: str | None = None
    line: int | None = None
    column: int | None = None
    part: str = "html"
    ends: bool = False


class Checked(Struct, tag="checked", frozen=True):
    """The problems of a source, in its order."""

    problems: tuple[Problem, ...]


ToWorker = Begin | Load | Move | Work | Check
FromWorker = Ask | Done | Failed | Checked

encode = msgspec.msgpack.encode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_from_worker: Any = msgspec.msgpack.Decoder(FromWorker).decode

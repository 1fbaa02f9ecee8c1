"""The values that travel between the stages, from a raw record to a change. Pure.

Every struct is frozen: a stage makes a new value, it never edits the one that it was given.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Raw, Struct


class SyncStatus(StrEnum):
    """How a sync ended, or `running` while it has not."""

    RUNNING = "running"
    APPLIED = "applied"
    UNCHANGED = "unchanged"
    HELD = "held"
    FAILED = "failed"


class ChangeKind(StrEnum):
    """What happened to an item."""

    ADDED = "added"
    UPDATED = "updated"
    REMOVED = "removed"
    RESTORED = "restored"


class Layout(Struct, frozen=True, kw_only=True):
    """Where the records of a document are, and what may be in them.

    `items` holds candidate dotted paths to the repeated element, best first; `""` is an array at the root, `*` is
    any one name. `configured` says that a person chose the path, so that an error can name the setting. `encoding` is what
    a person says that the feed is written in.
    """

    items: tuple[str, ...] = ()
    configured: bool = False
    namespaces: dict[str, str] = {}
    doctype: bool = False
    encoding: str | None = None
    max_record_bytes: int = 10 * 1024 * 1024
    max_record_nodes: int = 100_000
    max_depth: int = 64
    max_skeleton_bytes: int = 16 * 1024 * 1024


ONE_PAGE = "one"


class Pages(Struct, frozen=True, kw_only=True):
    """How one page of a source leads to the next, and after how many pages something is wrong.

    `by` is `link` (the Link header), `next` (`path` leads to the next URL in the body), `cursor` (`path` leads to what
    the parameter `query` takes) or `number` (`query` takes `first`, and `step` more for each page). `ONE_PAGE` says that
    what looks like one page of several is all that is wanted.
    """

    by: str
    path: tuple[str, ...] = ()
    query: str = ""
    first: int = 1
    step: int = 1
    most: int = 10_000


class Guess(Struct, frozen=True, kw_only=True):
    """What a body was found to be where its configuration leaves that open.

    `items` is None where the schema itself knows the place of the records. `basis` stands for what was configured.
    """

    format: str
    schema: str
    items: str | None = None
    evidence: tuple[str, ...] = ()
    basis: str = ""


class Wanted(Struct, frozen=True):
    """A place around the records of a document that somebody wants to read: the names that lead to it from the root.

    `attributes`: of an XML element only the start tag is wanted, so that it may hold records. `anywhere`: also behind
    the first record, which means reading the whole document for it.
    """

    names: tuple[str, ...]
    attributes: bool = False
    anywhere: bool = False


class Slices(Struct, frozen=True):
    """Some consecutive raw records of one document: `raws[i]` is the record at `position + i` (the first is 1).

    `context` is what a slice needs from the rest of its document to be read: for XML the start tags around it,
    with their namespaces. Equal slices under equal contexts decode to equal values.
    """

    position: int
    raws: Sequence[bytes]
    context: bytes = b""


class Problem(Struct, frozen=True, kw_only=True):
    """Why a record or one of its fields could not be used.

    `pointer` is a JSON pointer (RFC 6901) into the item, `""` for the whole record; `rule` a short stable word;
    `value` an excerpt of what was there; `hint` tells a shopkeeper what to write instead.
    """

    pointer: str
    rule: str
    value: str | None = None
    hint: str = ""


class Item(Struct, frozen=True):
    """One normalized catalog item. `fields` includes `id`; nothing in it is None."""

    id: str
    fields: dict[str, Any]
    warnings: tuple[Problem, ...] = ()


class Reject(Struct, frozen=True):
    """A record that could not become an item, with at least one problem, the most telling one first."""

    position: int
    item_id: str | None
    problems: tuple[Problem, ...]


class Change(Struct, frozen=True, kw_only=True):
    """One row of the change stream. `fields` maps a top-level field to `(old, new)`; absent is None."""

    seq: int | None
    feed: str
    item: str
    kind: ChangeKind
    fields: dict[str, tuple[Any, Any]]
    sync: int
    at: datetime


class Counts(Struct, kw_only=True):
    """What a sync did, in records and items. `rejected` and `warnings` count the open ones."""

    added: int = 0
    updated: int = 0
    removed: int = 0
    restored: int = 0
    unchanged: int = 0
    rejected: int = 0
    warnings: int = 0
    duplicates: int = 0
    held_removals: int = 0


class ErrorInfo(Struct, frozen=True, kw_only=True):
    """An error as it is recorded and shown: a stable code, a sentence, and what to do."""

    code: str
    message: str
    hint: str = ""


class Progress(Struct, frozen=True, kw_only=True):
    """How far a running sync is: bytes of its body fetched (`fetch`) or read (`read`), or being stored (`store`)."""

    stage: str
    done_bytes: int = 0
    total_bytes: int | None = None
    records: int = 0


class SyncRecord(Struct, frozen=True, kw_only=True):
    """One run of one feed, as it is recorded; `counts`, `finished_at` and `duration_s` are None while it runs."""

    id: int
    feed: str
    trigger: str
    status: SyncStatus
    started_at: datetime
    finished_at: datetime | None
    duration_s: float | None
    size_bytes: int | None
    counts: Counts | None
    error: ErrorInfo | None


class PlannedChange(Struct, frozen=True, kw_only=True):
    """A change that a sync would make; `fields` as in `Change`, as JSON. `title` only of the first so many."""

    item: str
    kind: ChangeKind
    fields: Raw
    title: str | None = None


class PlannedReject(Struct, frozen=True, kw_only=True):
    """A record that a sync would leave as a reject."""

    position: int
    item_id: str | None
    problems: tuple[Problem, ...]


class DryRunLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a dry run tells: how far it is, a change, a reject, or in the end how the sync would end.

    `rejected_before` stands beside `sync`: how many rejects are open now.
    """

    progress: Progress | None = None
    change: PlannedChange | None = None
    reject: PlannedReject | None = None
    sync: SyncRecord | None = None
    rejected_before: int | None = None


class CatalogItem(Struct, frozen=True, kw_only=True):
    """An item as it is stored; `key` orders items and is what pages go by."""

    key: int
    feed: str
    id: str
    fields: dict[str, Any]
    warnings: tuple[Problem, ...]
    created_at: datetime
    changed_at: datetime
    removed_at: datetime | None


class ItemVersion(Struct, frozen=True, kw_only=True):
    """An item as it was right after the change `seq` of the stream; the item itself need not have changed then.

    `changed_at` is the time of its last change until then, None where that one is no longer kept.
    """

    feed: str
    id: str
    seq: int
    fields: dict[str, Any]
    changed_at: datetime | None


class Retention(Struct, frozen=True, kw_only=True):
    """For how long what is over is kept, in seconds; None is for ever."""

    changes_s: float | None = 90 * 86_400.0
    syncs_s: float | None = 90 * 86_400.0
    rejects_s: float | None = 30 * 86_400.0
    removed_items_s: float | None = None


class Deleted(Struct, kw_only=True):
    """How much has grown too old and was deleted."""

    changes: int = 0
    syncs: int = 0
    rejects: int = 0
    removed_items: int = 0


class StreamState(Struct, frozen=True, kw_only=True):
    """The change stream: its id, the last number given out, and the first one that is still kept.

    `erasures` is how often items were emptied or deleted, which no change tells: what was read before may be gone.
    """

    stream_id: str
    last_seq: int
    oldest_seq: int
    erasures: int = 0


class OpenReject(Struct, frozen=True, kw_only=True):
    """A record that could not become an item; `sync` is the one that first met it as it is.

    `closed_at` is when its record changed or went away, None while it is open. `passes` is whether its record would be
    an item under the configuration of now, where that was asked and can be told.
    """

    key: int
    feed: str
    sync: int
    position: int
    item_id: str | None
    problems: tuple[Problem, ...]
    opened_at: datetime
    closed_at: datetime | None = None
    passes: bool | None = None


INTERRUPTED = "interrupted"  # of a feed whose last sync was killed


class FeedView(Struct, frozen=True, kw_only=True):
    """A configured feed with its stored state. `url` is redacted; `status` is `new` before the first sync, and
    `interrupted` where the process of the last one is gone and nothing has told its end.

    `collisions` counts live items whose id a feed before this one in the same catalog has too: lookups take that one;
    None where counting them would take too long. `schema` is the guessed one where none is configured.
    """

    name: str
    url: str
    catalog: str
    schema: str | None
    enabled: bool
    running: bool
    status: str
    items: int
    rejected: int
    warnings: int
    held_removals: int
    collisions: int | None
    failures: int
    last_sync: datetime | None
    last_applied: datetime | None
    next_due: datetime | None
    error: ErrorInfo | None
    guess: Guess | None = None


class Orphan(Struct, frozen=True, kw_only=True):
    """A feed that something is stored of and that is not configured any more."""

    name: str
    items: int
    rejected: int
    last_sync: datetime | None


class Forgotten(Struct, frozen=True, kw_only=True):
    """What was stored of a feed: items, those of them that were live and are now told as `removed`, and open rejects."""

    feed: str
    items: int
    removed: int
    rejects: int


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key without its secret: of a private one only the first characters (`prefix`) can be shown again."""

    id: int
    name: str
    kind: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class WebhookView(Struct, frozen=True, kw_only=True):
    """A configured webhook with its stored state. `url` is redacted; secrets are not in it.

    `status` is `ok`, `failing` (the last try did), `disabled` (the receiver said that it is gone) or `paused`;
    `seq` is how far it was told, `behind` how many changes of the stream it has not looked at.
    """

    name: str
    url: str
    status: str
    events: tuple[str, ...]
    seq: int | None
    behind: int | None
    waiting: int
    dead: int
    delivered: int
    last_delivered: datetime | None
    next_try: datetime | None
    error: str | None


class WebFeedView(Struct, frozen=True, kw_only=True):
    """A configured web feed with its stored state. `url` is redacted.

    `status` is Klaviyo's word: `ok`, `refreshing`, `disabled` (paused by the configuration), a warning while refreshes fail, None
    before the first one. `fetched_at` is when its body was last had from its address, changed or not, `updated` when that last
    changed, `checked_at` when the last refresh began. `size_bytes` counts the body as JSON.
    """

    name: str
    url: str
    request_method: str
    content_type: str
    status: str | None
    created: datetime
    updated: datetime
    fetched_at: datetime | None
    checked_at: datetime | None
    next_refresh: datetime | None
    size_bytes: int | None
    failures: int
    error: ErrorInfo | None


class Refresh(Struct, frozen=True, kw_only=True):
    """How one refresh of a web feed went: `outcome` is changed, unchanged or failed, `size_bytes` that of its body now."""

    web_feed: str
    outcome: str
    duration_s: float
    size_bytes: int | None
    fetched_at: datetime | None
    error: ErrorInfo | None = None


class Delivery(Struct, frozen=True, kw_only=True):
    """A message that waits to be delivered (`waiting`) or never was (`dead`); `message` is its webhook-id."""

    id: int
    webhook: str
    message: str
    type: str
    status: str
    tries: int
    created_at: datetime
    next_try: datetime | None
    first_seq: int | None
    last_seq: int | None
    http_status: int | None
    reason: str | None


class Trial(Struct, frozen=True, kw_only=True):
    """How one try to deliver a message went: `http_status` is None when there was no answer."""

    delivered: bool
    http_status: int | None = None
    reason: str | None = None
    retry_after_s: float | None = None


class Template(Struct, frozen=True, kw_only=True):
    """A template of messages, with its sources; `text` is None where the plain text is derived from the HTML.

    `file` is its path below the directory of templates where it comes from there; then it is changed there alone. Times are
    whole seconds. `digest` is that of the sources, `verdict` what was found wrong with them (`feedd.template_checks`).
    """

    id: str
    number: int
    name: str
    editor_type: str = "CODE"
    html: str
    text: str | None = None
    amp: str | None = None
    created_at: datetime
    updated_at: datetime
    file: str | None = None
    digest: str
    verdict: str | None = None


class TemplateView(Struct, frozen=True, kw_only=True):
    """What is told of a template without its sources.

    `problem` is what keeps it from being rendered, `warning` what renders and cannot be meant.
    """

    id: str
    name: str
    file: str | None
    updated: datetime
    problem: str | None
    warning: str | None

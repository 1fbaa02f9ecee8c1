"""The running daemon, asked over its unix socket: HTTP by the standard library, so that a command starts quickly."""

import contextlib
import http.client
import json
import secrets
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from feedd.cli.backend import Templates
from feedd.cli.options import Wanted
from feedd.errors import FeedError, NotFound, StoreError, Unavailable, UsageError
from feedd.model import (
    ApiKey,
    CatalogItem,
    Change,
    Delivery,
    DryRunLine,
    FeedView,
    Forgotten,
    ItemVersion,
    OpenReject,
    Orphan,
    Progress,
    Refresh,
    SyncRecord,
    TemplateView,
    Trial,
    WebFeedView,
    WebhookView,
)
from feedd.state import socket_address

if TYPE_CHECKING:
    from feedd.people.operations import Answer, Asking
    from feedd.previews import Preview, Previewed

PAGE = 1_000
TIMEOUT_S = 60.0
FORGET_WITHIN_S = 3_600.0
REFRESH_WITHIN_S = 400.0  # one that runs is waited for first
SMALL_PAGE = 100
TEMPLATES = "/api/templates?" + urlencode(
    {
        "sort": "name",
        "page[size]": SMALL_PAGE,
        "fields[template]": "name,file,updated,problem,warning",
    }
)
Row = TypeVar("Row")


class _SyncAttributes(SyncRecord, frozen=True, kw_only=True):
    progress: Progress | None = None


class _KeyAttributes(ApiKey, frozen=True, kw_only=True):
    key: str


class _Rotation(Struct, frozen=True):
    old: ApiKey
    new: ApiKey
    key: str


class _ReplayAttributes(Struct, frozen=True):
    again: int


class _Resource(Struct, frozen=True):
    id: str
    attributes: dict[str, Any]

    def as_struct(self, kind: type[Row]) -> Row:
        """The struct that the resource was made of, with the numbers that only the daemon needs left at 0."""
        number = int(self.id) if self.id.isdecimal() else 0
        own = {"id": self.attributes.get("external_id", number), "key": number}
        return msgspec.convert(own | self.attributes, kind)


class _Links(Struct, frozen=True):
    next: str | None = None


class _Page(Struct, frozen=True):
    data: list[_Resource]
    links: _Links
    meta: dict[str, Any] = {}


class _One(Struct, frozen=True):
    data: _Resource
    meta: dict[str, Any] = {}


class _ApiError(Struct, frozen=True):
    code: str = "error"
    detail: str = ""


class _Errors(Struct, frozen=True):
    errors: list[_ApiError]


class _Done(Struct, frozen=True):
    meta: Forgotten


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__("feedd", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self._timeout_s)
        with socket_address(self._path) as address:
            self.sock.connect(address)


class Remote:
    """A `Backend` over the daemon that listens on a socket."""

    is_local = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def answers(self) -> bool:
        """Whether a daemon is there.

        Raises:
            UsageError: this user may not talk to it.
        """
        try:
            self._request("GET", "/healthz")
        except _NobodyThereError:
            return False
        return True

    def feeds(self) -> list[FeedView]:
        return list(self._rows("/api/feeds", FeedView))

    def resync(self, feed: str, *, accept_removals: bool, replay: bool) -> "RemoteResync":
        return RemoteResync(self, feed, accept_removals=accept_removals, replay=replay)

    def orphans(self) -> list[Orphan]:
        return msgspec.convert(
            self._page("/api/feeds?page%5Bsize%5D=1").meta["orphans"], list[Orphan]
        )

    def forget(self, feed: str) -> Forgotten:
        path = f"/api/feeds/{quote(feed, safe='')}"
        with self._answer("DELETE", path, timeout_s=FORGET_WITHIN_S) as response:
            return msgspec.json.decode(response.read(), type=_Done).meta

    def cancel(self, feed: str) -> tuple[int, int]:
        """How many syncs of the feed were cancelled, and how many were committed before they could be."""
        self._feed(feed)
        body = {"data": {"type": "feed", "id": feed, "attributes": {"action": "cancel"}}}
        content = self._request("PATCH", f"/api/feeds/{quote(feed, safe='')}", body)
        meta = msgspec.json.decode(content, type=_One).meta
        return int(meta["cancelled"]), int(meta["committed"])

    def dry_run(self, feed: str, *, accept_removals: bool, replay: bool) -> Iterator[DryRunLine]:
        body = _about(feed, "feed-dry-run", accept_removals=accept_removals, replay=replay)
        with self._answer("POST", "/api/feed-dry-runs", body) as response:
            line = None
            for text in response:
                line = msgspec.json.decode(text, type=DryRunLine)
                yield line
            if line is None or line.sync is None:
                raise StoreError(f"the daemon at {self._path} broke off its answer")

    def stream(self) -> tuple[str, int]:
        meta = self._page("/api/catalog-changes?page%5Bsize%5D=1").meta
        return str(meta["stream_id"]), int(meta["last_seq"])

    def changes(self, wanted: Wanted, *, since: int, limit: int) -> list[Change]:
        conditions = (*self._conditions(wanted), f"greater-than(seq,{since})")
        return _decoded(self._page(_list("catalog-changes", *conditions, size=limit)).data, Change)

    def newest_changes(self, wanted: Wanted, *, limit: int) -> list[Change]:
        path = _list("catalog-changes", *self._conditions(wanted), size=limit) + "&sort=-seq"
        return _decoded(self._page(path).data, Change)[::-1]

    def follow(
        self, wanted: Wanted, *, stream: str, since: int
    ) -> Iterator[tuple[int, Change | None]]:
        """Every change as the daemon tells it; ends when the daemon ends the stream. A heartbeat keeps it alive."""
        conditions = ",".join(self._conditions(wanted))
        query = {"since": f"{stream}:{since}"} | ({"filter": conditions} if conditions else {})
        with self._answer("GET", f"/api/catalog-changes/stream?{urlencode(query)}") as response:
            place, data = since, b""
            for line in iter(response.readline, b""):
                name, _, value = line.rstrip(b"\r\n").partition(b": ")
                if name == b"id":
                    place = int(value.rpartition(b":")[2])
                elif name == b"data":
                    data = value
                elif not line.strip():
                    yield place, msgspec.json.decode(data, type=Change) if data else None
                    data = b""

    def find_item(self, item_id: str, *, feed: str | None) -> CatalogItem:
        if feed is None:
            return self.one("GET", f"/api/catalog-items/{quote(item_id, safe='')}", CatalogItem)
        wanted = (self._feed(feed), f"equals(id,{_quoted(item_id)})", "any(removed,[true,false])")
        found = list(self._rows(_list("catalog-items", *wanted), CatalogItem))
        if not found:
            raise NotFound(f"there is no item {item_id!r} in {feed}")
        return found[0]

    def item_at(self, item_id: str, *, feed: str | None, seq: int) -> ItemVersion:
        if feed is not None:
            self._feed(feed)
        query = urlencode({"at": seq} | ({} if feed is None else {"feed": feed}))
        return self.one("GET", f"/api/catalog-items/{quote(item_id, safe='')}?{query}", ItemVersion)

    def history(self, item_id: str, *, feed: str | None) -> Iterator[Change]:
        path = f"catalog-items/{quote(item_id, safe='')}/history"
        return self._rows(_list(path, self._feed(feed)), Change)

    def rejects(self, feed: str | None) -> Iterator[OpenReject]:
        return self._rows(_list("feed-rejects", self._feed(feed)) + "&passes=true", OpenReject)

    def closed_rejects(self, feed: str | None) -> Iterator[OpenReject]:
        path = _list("feed-rejects", self._feed(feed), "equals(closed,true)")
        return self._rows(path, OpenReject)

    def warned_items(self, feed: str | None) -> Iterator[CatalogItem]:
        return self._rows(_list("feed-warnings", self._feed(feed)), CatalogItem)

    def create_key(self, *, kind: str, name: str, scopes: tuple[str, ...]) -> tuple[ApiKey, str]:
        attributes = {"kind": kind, "name": name} | ({"scopes": scopes} if scopes else {})
        body = {"data": {"type": "api-key", "attributes": attributes}}
        made = self.one("POST", "/api/api-keys", _KeyAttributes, body)
        return made, made.key

    def list_keys(self) -> list[ApiKey]:
        return list(self._rows("/api/api-keys", ApiKey))

    def rotate_key(self, prefix: str, *, keep: timedelta) -> tuple[ApiKey, ApiKey, str]:
        attributes = {"key": prefix, "keep_s": keep.total_seconds()}
        body = {"data": {"type": "api-key-rotation", "attributes": attributes}}
        made = self.one("POST", "/api/api-key-rotations", _Rotation, body)
        return made.old, made.new, made.key

    def revoke_key(self, prefix: str) -> ApiKey:
        return self.one("DELETE", f"/api/api-keys/{quote(prefix, safe='')}", ApiKey)

    def templates(self) -> Templates:
        found: list[TemplateView] = []
        meta: dict[str, Any] = {}
        following: str | None = TEMPLATES
        while following is not None:
            page = self._page(following)
            found += [
                msgspec.convert({"id": each.id, **each.attributes}, TemplateView)
                for each in page.data
            ]
            following, meta = page.links.next, page.meta
        directory = meta.get("directory") or {}
        refused = [(each["file"], each["reason"]) for each in meta.get("refused", [])]
        found.sort(key=lambda each: (each.name.casefold(), each.name))
        return Templates(found, refused, directory.get("path"), directory.get("problem"))

    def web_feeds(self) -> list[WebFeedView]:
        return list(self._rows(_list("web-feeds", size=SMALL_PAGE), WebFeedView))

    def refresh_web_feed(self, name: str) -> Refresh:
        body = {"data": {"type": "web-feed-refresh", "attributes": {"web_feed": name}}}
        path = "/api/web-feed-refreshes"
        with self._answer("POST", path, body, timeout_s=REFRESH_WITHIN_S) as response:
            return msgspec.json.decode(response.read(), type=_One).data.as_struct(Refresh)

    def webhooks(self) -> list[WebhookView]:
        return list(self._rows("/api/webhooks", WebhookView))

    def webhook_deliveries(self, name: str | None, status: str) -> Iterator[Delivery]:
        wanted = [f"equals(status,{_quoted(status)})"]
        if name is not None:
            if not name.startswith("$"):  # the command of [alerts] is no webhook
                self.one("GET", f"/api/webhooks/{quote(name, safe='')}", WebhookView)
            wanted.append(f"equals(webhook,{_quoted(name)})")
        return self._rows(_list("webhook-deliveries", *wanted), Delivery)

    def replay_webhook(
        self, name: str, *, since: int | None, dead: bool, delivery: int | None
    ) -> int:
        wanted = {"webhook": name, "since": since, "dead": dead, "delivery": delivery}
        body = {"data": {"type": "webhook-replay", "attributes": wanted}}
        return self.one("POST", "/api/webhook-replays", _ReplayAttributes, body).again

    def test_webhook(self, name: str) -> Trial:
        body = {"data": {"type": "webhook-test", "attributes": {"webhook": name}}}
        return self.one("POST", "/api/webhook-tests", Trial, body)

    def drop_delivery(self, delivery: int) -> Delivery:
        return self.one("DELETE", f"/api/webhook-deliveries/{delivery}", Delivery)

    def people(self, operation: "Asking[Answer]") -> "Answer":
        content = self._request("POST", "/api/people-operations", msgspec.json.encode(operation))
        answered: Answer = msgspec.json.decode(content, type=operation.answer)
        return answered

    def preview(self, preview: "Preview") -> "Previewed":
        from feedd.previews import Previewed

        body = {"data": {"type": "template-preview", "attributes": preview}}
        content = self._request("POST", "/api/template-previews", msgspec.json.encode(body))
        return msgspec.convert(msgspec.json.decode(content, type=_One).data.attributes, Previewed)

    def one(
        self,
        method: str,
        path: str,
        kind: type[Row],
        body: Any = None,
        request_id: str | None = None,
    ) -> Row:
        """The attributes of the one resource that is the answer. Raises what the daemon answered instead.

        A request that is sent again with the same id is carried out once.
        """
        content = self._request(method, path, body, request_id)
        document = msgspec.json.decode(content, type=_One)
        return document.data.as_struct(kind)

    def _conditions(self, wanted: Wanted) -> list[str]:
        conditions = [self._feed(wanted.feed)] if wanted.feed is not None else []
        for field, values in (("kind", wanted.kinds), ("field", wanted.fields)):
            if values:
                conditions.append(f"any({field},[{','.join(map(_quoted, values))}])")
        return conditions

    def _feed(self, name: str | None) -> str:
        """The condition that asks for one feed; the daemon is asked first whether there is one."""
        if name is None:
            return ""
        if not name:
            raise NotFound("a feed's name is not empty", hint="`feedd feeds` shows the names.")
        self.one("GET", f"/api/feeds/{quote(name, safe='')}", FeedView)
        return f"equals(feed,{_quoted(name)})"

    def _rows(self, path: str, kind: type[Row]) -> Iterator[Row]:
        following: str | None = path
        while following is not None:
            page = self._page(following)
            yield from _decoded(page.data, kind)
            following = page.links.next

    def _page(self, path: str) -> _Page:
        return msgspec.json.decode(self._request("GET", path), type=_Page)

    def _request(
        self, method: str, path: str, body: Any = None, request_id: str | None = None
    ) -> bytes:
        with self._answer(method, path, body, request_id) as response:
            return response.read()

    @contextlib.contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        body: Any = None,
        request_id: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer that is no failure, to be read inside."""
        connection = _Connection(self._path, timeout_s)
        headers = {} if request_id is None else {"Idempotency-Key": request_id}
        try:
            encoded = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, encoded, headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise _error_of(response.status, response.read())
            yield response
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
            raise _NobodyThereError("no daemon answers") from error
        except PermissionError as error:
            raise UsageError(
                f"{self._path} is not yours to use",
                code="forbidden",
                hint="Run the command as the user who runs feedd, or as a member of the socket's group.",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise StoreError(f"the daemon at {self._path} broke off its answer: {error}") from error
        finally:
            connection.close()


class RemoteResync:
    """A resync by the daemon; asked for again while the feed's running sync has to end first."""

    def __init__(self, remote: Remote, feed: str, *, accept_removals: bool, replay: bool) -> None:
        self._remote = remote
        self._request_id = secrets.token_hex(16)
        self._body = _about(feed, "feed-sync", accept_removals=accept_removals, replay=replay)
        self._sync_id: int | None = None
        self.progress: Progress | None = None

    def poll(self) -> SyncRecord | None:
        """Its record once it has ended. Raises what kept it from running."""
        try:
            if self._sync_id is None:
                found = self._remote.one(
                    "POST", "/api/feed-syncs", _SyncAttributes, self._body, self._request_id
                )
                self._sync_id = found.id
            else:
                path = f"/api/feed-syncs/{self._sync_id}"
                found = self._remote.one("GET", path, _SyncAttributes)
        except UsageError as error:
            if error.code == "busy":
                return None
            raise
        self.progress = found.progress
        return None if found.finished_at is None else found

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class _NobodyThereError(StoreError):
    """Nothing listens on the socket."""


def _about(feed: str, kind: str, **attributes: bool) -> dict[str, Any]:
    feed_of = {"feed": {"data": {"type": "feed", "id": feed}}}
    return {"data": {"type": kind, "attributes": attributes, "relationships": feed_of}}


def _list(resource: str, *conditions: str, size: int = PAGE) -> str:
    query = {"page[size]": str(min(size, PAGE))}
    wanted = ",".join(condition for condition in conditions if condition)
    return f"/api/{resource}?{urlencode(query | ({'filter': wanted} if wanted else {}))}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _decoded(resources: list[_Resource], kind: type[Row]) -> list[Row]:
    return [resource.as_struct(kind) for resource in resources]


def _error_of(status: int, content: bytes) -> Exception:
    try:
        error = msgspec.json.decode(content, type=_Errors).errors[0]
    except (msgspec.MsgspecError, IndexError):
        error = _ApiError(detail=f"the daemon answered {status}")
    if status == 404:
        return NotFound(error.detail)
    if status == 429:
        return Unavailable(error.detail)
    if status == 502:
        return FeedError(error.code, error.detail)
    if status >= 500:
        return StoreError(error.detail)
    return UsageError(error.detail, code=error.code)

"""Web feeds over the catalog database: one refresh of one, and what people and templates ask about them.

Part of `App`. It can be used with no daemon; the threads that refresh when it is time are the refresher's.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from feedd.configured import WEB_FEED_WITHIN_S, due_of_web_feed, request_of_web_feed, shown_url
from feedd.errors import (
    DISK_FULL,
    STOPPED,
    FeedError,
    FetchError,
    NotFound,
    StoreError,
    SyncStopped,
)
from feedd.model import ErrorInfo, Refresh, WebFeedView
from feedd.settings import Settings, WebFeedSettings
from feedd.store import web_feeds as stored
from feedd.store.database import Database
from feedd.store.web_feeds import Had, WebFeedBody, WebFeedState

if TYPE_CHECKING:
    from feedd.fetch import Fetched, Fetcher, FetchRequest

LEASE = timedelta(seconds=WEB_FEED_WITHIN_S + 60)
FULL_FETCH_EVERY = timedelta(hours=24)
FORGOTTEN_AFTER = timedelta(days=30)  # what left the configuration
INTERNAL = "internal"
LONGEST_RETRY_S = 7 * 86_400.0
# after how long without a success Klaviyo's API has which word for it
_WORSE = (
    (timedelta(days=3), "critical_nightly_refresh_timeout"),
    (timedelta(hours=3), "warning_nightly_refresh_timeout"),
    (timedelta(0), "warning_periodic_refresh_timeout"),
)


class WebFeeds:
    """The web feeds of a configuration, and the last good body of each."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        catalog: Database,
        fetcher: "Callable[[], Fetcher]",
        *,
        spool_dir: Path,
        holder: str,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._fetcher = fetcher
        self._spool_dir = spool_dir
        self._holder = holder
        self._began = datetime.now(UTC)
        self._reading = threading.Lock()  # one document in memory at a time
        self.on_asked: Callable[[str], Refresh] = self.refresh  # a daemon's keeps to its turns

    # what people and templates ask

    def body(self, name: str) -> WebFeedBody | None:
        """What templates see of a web feed; None where it is not configured, or nobody has tried to fetch it."""
        if name not in self._settings().web_feeds:
            return None
        return stored.read_web_feed(self._catalog, name)

    def marks(self) -> dict[str, str]:
        """For each that `body` gives something for, what is otherwise once that is (`WebFeedBody.mark`)."""
        names = self._settings().web_feeds
        return {n: mark for n, mark in stored.read_marks(self._catalog).items() if n in names}

    def views(self, *, all_ended: bool = False) -> list[WebFeedView]:
        """Every configured web feed, in the order of the configuration.

        Where `all_ended`, nothing runs on this state directory, so that a lease of its own tells of a refresh that was killed.
        """
        states = stored.read_web_feeds(self._catalog)
        if all_ended:
            states = {name: self._ended(state) for name, state in states.items()}
        now = datetime.now(UTC)
        return [
            self._view(each, states.get(each.name, WebFeedState(name=each.name)), now)
            for each in list(self._settings().web_feeds.values())
        ]

    def view(self, name: str) -> WebFeedView:
        """One of them. Raises NotFound."""
        return self._view(self.settings_of(name), self._state(name), datetime.now(UTC))

    def settings_of(self, name: str) -> WebFeedSettings:
        """The configuration of a web feed.

        Raises:
            NotFound: none has that name; says which ones there are.
        """
        found = self._settings().web_feeds.get(name)
        if found is None:
            names = ", ".join(self._settings().web_feeds) or "none"
            raise NotFound(f"there is no web feed {name!r}", hint=f"Configured web feeds: {names}.")
        return found

    # what the refresher asks

    def register(self, now: datetime) -> list[str]:
        """Enter the web feeds that are new, and drop those that left the configuration long ago; the names of these."""
        names = list(self._settings().web_feeds)
        stored.register(self._catalog, names, now)
        return stored.prune(self._catalog, names, now - FORGOTTEN_AFTER)

    def recover(self) -> None:
        """After a crash: give up the leases that were held; for the holder of the state directory's lock."""
        stored.break_leases(self._catalog, self._holder)

    def due(self, name: str, now: datetime) -> datetime | None:
        """When a web feed is to be refreshed next; None while it is paused. Raises NotFound."""
        return due_of_web_feed(self.settings_of(name), self._state(name), now)

    def refresh(self, name: str, stop: threading.Event | None = None) -> Refresh:
        """Fetch a web feed now; gives how it went, a failure of its address included. What was had before stays until then.

        Raises:
            NotFound: there is no such web feed.
            UsageError: (`busy`) another daemon is refreshing it.
            SyncStopped: feedd is stopping, or another daemon took over meanwhile.
            StoreError: the database cannot be used.
        """
        settings = self.settings_of(name)
        started, began = time.monotonic(), datetime.now(UTC)
        claimed = stored.claim(self._catalog, name, holder=self._holder, lease=LEASE, now=began)
        error: ErrorInfo | None = None
        try:
            is_new = self._fetch(settings, claimed, began, stop)
        except SyncStopped:
            raise
        except Exception as failed:
            failure = _failure(failed)
            if failure.code == STOPPED:
                stored.release(self._catalog, claimed)
                raise SyncStopped(STOPPED, "feedd was stopped in the middle of it") from failed
            error, is_new = failure.info, False
            retry_at = _retry_at(failure, datetime.now(UTC))
            stored.record_failed(self._catalog, claimed, error, retry_at=retry_at, began=began)
            if failure.code == INTERNAL:
                raise
        state = self._state(name)
        return Refresh(
            web_feed=name,
            outcome="failed" if error else "changed" if is_new else "unchanged",
            duration_s=round(time.monotonic() - started, 3),
            size_bytes=state.size_bytes,
            fetched_at=state.fetched_at,
            error=error,
        )

    def _fetch(
        self,
        settings: WebFeedSettings,
        claimed: WebFeedState,
        began: datetime,
        stop: threading.Event | None,
    ) -> bool:
        """Have the body and store it; whether it says anything new. Raises FeedError."""
        request = request_of_web_feed(settings, self._settings())
        source = _source_digest(settings, request)
        is_same_source = source == claimed.source_digest
        request = _conditional(request, claimed, began, is_same_source=is_same_source)
        fetched = self._fetcher().fetch(request, self._spool_dir, stop=stop)
        try:
            had = _had(fetched, claimed, source, request, datetime.now(UTC))
            if fetched.status == 304 or (is_same_source and fetched.digest == claimed.raw_digest):
                stored.record_unchanged(
                    self._catalog, claimed, had, began=began, now=datetime.now(UTC)
                )
                return False
            with self._reading:
                form, body = _read(settings, fetched)
        finally:
            if fetched.owned and fetched.path is not None:
                fetched.path.unlink(missing_ok=True)
        return stored.record_good(
            self._catalog,
            claimed,
            msgspec.structs.replace(had, format=form),
            body=body,
            digest=sha256(body).digest(),
            began=began,
            now=datetime.now(UTC),
        )

    def _ended(self, state: WebFeedState) -> WebFeedState:
        mine = state.lease_holder == self._holder
        return msgspec.structs.replace(state, lease_until=None) if mine else state

    def _state(self, name: str) -> WebFeedState:
        found = stored.read_web_feeds(self._catalog, [name])
        return found.get(name, WebFeedState(name=name))

    def _view(self, settings: WebFeedSettings, state: WebFeedState, now: datetime) -> WebFeedView:
        created = state.created_at or self._began
        return WebFeedView(
            name=settings.name,
            url=shown_url(settings.url),
            request_method=settings.method,
            content_type=settings.format or state.format or "json",
            status=_status(settings, state, now),
            created=created,
            updated=state.changed_at or created,
            fetched_at=state.fetched_at,
            checked_at=state.checked_at,
            next_refresh=due_of_web_feed(settings, state, now),
            size_bytes=state.size_bytes,
            failures=state.failures,
            error=state.error,
        )


def _source_digest(settings: WebFeedSettings, request: "FetchRequest") -> bytes:
    """What stands for where a body comes from, who asks, and how it is read; passwords and tokens play no part."""
    user = request.auth[0] if isinstance(request.auth, tuple) else None
    reading = [settings.format, settings.encoding, settings.allow_empty]
    source = [request.url, request.method, request.headers, user, *reading]
    return sha256(msgspec.json.encode(source)).digest()


def _conditional(
    request: "FetchRequest", claimed: WebFeedState, now: datetime, *, is_same_source: bool
) -> "FetchRequest":
    """The request with the validators of the stored body, unless that came from elsewhere; once a day without them."""
    due = claimed.full_fetch_at is None or now - claimed.full_fetch_at >= FULL_FETCH_EVERY
    if not is_same_source or due or request.method != "GET":
        return request
    return msgspec.structs.replace(request, etag=claimed.etag, last_modified=claimed.last_modified)


def _had(
    fetched: "Fetched",
    claimed: WebFeedState,
    source: bytes,
    request: "FetchRequest",
    now: datetime,
) -> Had:
    is_same = fetched.status == 304
    max_age = None if fetched.max_age_s is None else timedelta(seconds=fetched.max_age_s)
    is_full = not request.conditional or claimed.full_fetch_at is None
    return Had(
        raw_digest=(claimed.raw_digest if is_same else fetched.digest) or b"",
        source_digest=source,
        format=claimed.format or "",
        etag=fetched.etag or (claimed.etag if is_same else None),
        last_modified=fetched.last_modified or (claimed.last_modified if is_same else None),
        full_fetch_at=now if is_full else claimed.full_fetch_at or now,
        max_age_until=None if max_age is None else now + max_age,
    )


def _read(settings: WebFeedSettings, fetched: "Fetched") -> tuple[str, bytes]:
    """The format and the value of a fetched body, as JSON. Raises FeedError."""
    from feedd.formats.whole import is_empty, read_whole

    assert fetched.path is not None  # noqa: S101 only a 304 has none
    form, value = read_whole(
        fetched.path.read_bytes(),
        form=settings.format,
        content_type=fetched.content_type,
        charset=fetched.charset,
        encoding=settings.encoding,
    )
    if is_empty(value) and not settings.allow_empty:
        raise FeedError(
            "empty_document",
            "the document is empty",
            hint="If it may be: allow_empty = true takes it for what it is.",
        )
    return form, msgspec.json.encode(value)


def _failure(error: Exception) -> FeedError:
    """What is recorded of a refresh that an error has ended."""
    if isinstance(error, FeedError):
        return error
    if isinstance(error, StoreError):
        return FeedError("store", str(error))
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return FeedError(
            "disk_full", f"{error.filename or 'the disk'} cannot be written: {error.strerror}"
        )
    hint = "The last good body stays. The log has the details."
    return FeedError(INTERNAL, f"feedd could not finish it ({type(error).__name__})", hint=hint)


def _retry_at(error: FeedError, now: datetime) -> datetime | None:
    if not isinstance(error, FetchError) or error.retry_after_s is None:
        return None
    return now + timedelta(seconds=min(error.retry_after_s, LONGEST_RETRY_S))


def _status(settings: WebFeedSettings, state: WebFeedState, now: datetime) -> str | None:
    if not settings.enabled:
        return "disabled"
    if state.lease_until is not None and state.lease_until > now:
        return "refreshing"
    if state.error is not None:
        since = state.fetched_at or state.created_at or now
        return next((word for after, word in _WORSE if now - since >= after), _WORSE[-1][1])
    return "ok" if state.fetched_at is not None else None

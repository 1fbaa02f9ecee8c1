"""The commands' work done by this process, on the state directory, when no daemon runs."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from feedd import state, swap
from feedd.app import App
from feedd.cli.backend import Followed, Resync, Templates
from feedd.cli.options import Wanted
from feedd.databases import is_current, refuse_damaged
from feedd.errors import NotFound, Unavailable, UsageError
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
    Trial,
    WebFeedView,
    WebhookView,
)
from feedd.settings import Settings
from feedd.store.database import Database

if TYPE_CHECKING:
    from feedd.dispatch import Dispatcher, Ticket
    from feedd.people.operations import Answer, Asking
    from feedd.previews import Preview, Previewed

PAGE = 1_000
FOLLOW_EVERY_S = 0.5
LOOK_THROUGH_S = 30.0  # what a person may wait until templates have been looked through
Row = TypeVar("Row")


def open_local(settings: Settings, *, to_sync: bool, to_record: bool = False) -> "Local":
    """The state directory of those settings; held until `close` by one that syncs.

    Who only reads does not hold it, so that a daemon can start meanwhile, unless databases must be upgraded first.

    Raises:
        StateInUse: another process holds it.
        UsageError: it is not this user's to use.
        StoreError: a database cannot be used.
        NotFound: there is nothing to read yet.
    """
    if not to_sync and not to_record and not settings.state_dir.exists():
        raise NotFound(
            f"nothing is stored in {settings.state_dir} yet",
            hint="Start the daemon (feedd run) or sync a feed (feedd resync); or is another state directory meant?",
        )
    state.prepare(settings.state_dir)
    lock = None
    if to_sync or swap.is_pending(settings.state_dir) or not is_current(settings):
        lock = state.StateLock(settings.state_dir, "resync" if to_sync else "upgrade")
    try:
        if lock is not None:
            swap.finish(settings.state_dir)
            refuse_damaged(settings, trusted_ns=lock.free_since_ns)
        app = App(settings)
        if to_sync:
            app.recover()
            return Local(app, lock)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(settings.state_dir)  # so that a full disk is told by where it is
        if lock is not None:
            lock.release()
        raise
    if lock is not None:
        lock.release()
    return Local(app)


class LocalResync:
    """A resync in a thread of this process."""

    def __init__(self, ticket: "Ticket") -> None:
        self._ticket = ticket

    @property
    def progress(self) -> Progress | None:
        """How far it is."""
        return self._ticket.progress

    def poll(self) -> SyncRecord | None:
        """Its record once it has ended. Raises what kept it from running."""
        if not self._ticket.done.is_set():
            return None
        if self._ticket.error is not None:
            raise self._ticket.error
        return self._ticket.record

    def wait(self, seconds: float) -> None:
        self._ticket.done.wait(seconds)


class RefusedResync:
    """A resync that could not even be asked for; that is told when its turn comes."""

    progress = None

    def __init__(self, error: UsageError) -> None:
        self._error = error

    def poll(self) -> SyncRecord | None:
        raise self._error

    def wait(self, seconds: float) -> None:
        del seconds  # it has ended before it began


class Local:
    """A `Backend` over an App of this process."""

    is_local = True

    def __init__(self, app: App, lock: state.StateLock | None = None) -> None:
        self._app = app
        self._lock = lock

    @cached_property
    def _dispatcher(self) -> "Dispatcher":
        from feedd.dispatch import Dispatcher

        return Dispatcher(self._app)

    @property
    def databases(self) -> tuple[Database, Database]:
        """The catalog and the people."""
        return self._app.catalog, self._app.people

    def close(self) -> None:
        """Stop what is running, and let go of the state directory."""
        if "_dispatcher" in self.__dict__:  # made for the first sync
            self._dispatcher.stop()
        self._app.close()
        if self._lock is not None:
            self._lock.release()

    def feeds(self) -> list[FeedView]:
        return self._app.feeds(all_ended=self._all_ended())

    def resync(self, feed: str, *, accept_removals: bool, replay: bool) -> Resync:
        try:
            ticket = self._dispatcher.submit(
                feed,
                trigger="replay" if replay else "resync",
                replay=replay,
                accept_removals=accept_removals,
            )
        except UsageError as error:
            return RefusedResync(error)
        return LocalResync(ticket)

    def orphans(self) -> list[Orphan]:
        return self._app.orphans()

    def forget(self, feed: str) -> Forgotten:
        return self._dispatcher.forget(feed)

    def dry_run(self, feed: str, *, accept_removals: bool, replay: bool) -> Iterator[DryRunLine]:
        lines = self._dispatcher.dry_run(feed, accept_removals=accept_removals, replay=replay)
        return (msgspec.json.decode(line, type=DryRunLine) for line in lines)

    def cancel(self, feed: str) -> tuple[int, int]:
        self._app.feed_settings(feed)
        raise Unavailable(
            "no daemon runs here, so there is nothing to cancel",
            hint="A `feedd resync` that does the work itself is ended by Ctrl-C.",
        )

    def stream(self) -> tuple[str, int]:
        return self._app.stream_position()

    def changes(self, wanted: Wanted, *, since: int, limit: int) -> list[Change]:
        return self._app.changes(since=since, limit=limit, **self._conditions(wanted))

    def newest_changes(self, wanted: Wanted, *, limit: int) -> list[Change]:
        return self._app.changes(limit=limit, descending=True, **self._conditions(wanted))[::-1]

    def follow(self, wanted: Wanted, *, stream: str, since: int) -> Iterator[Followed]:
        """With no daemon there is nobody who tells: the database is asked now and then."""
        while True:
            state = self._app.stream()
            if state.stream_id != stream:
                raise UsageError(
                    "the change stream began anew: the catalog was restored or made afresh",
                    code="stream_changed",
                    hint="Read it again from the start with --since 0.",
                )
            page = self.changes(wanted, since=since, limit=PAGE)
            for change in page:
                since = change.seq or since
                yield since, change
            if len(page) < PAGE:
                since = max(since, state.last_seq)
                yield since, None
                time.sleep(FOLLOW_EVERY_S)

    def find_item(self, item_id: str, *, feed: str | None) -> CatalogItem:
        return self._app.find_item(item_id, feed=feed)

    def item_at(self, item_id: str, *, feed: str | None, seq: int) -> ItemVersion:
        return self._app.item_at(item_id, feed=feed, seq=seq)

    def history(self, item_id: str, *, feed: str | None) -> Iterator[Change]:
        found = self._app.find_item(item_id, feed=feed)
        return _pages(
            lambda last: self._app.history(found, since=(last.seq or 0) if last else 0, limit=PAGE)
        )

    def rejects(self, feed: str | None) -> Iterator[OpenReject]:
        feeds = self._feeds(feed)
        return _pages(
            lambda last: self._app.judged(
                self._app.rejects(
                    feeds=feeds, after=(last.key, last.position) if last else None, limit=PAGE
                )
            )
        )

    def closed_rejects(self, feed: str | None) -> Iterator[OpenReject]:
        feeds = self._feeds(feed)
        return _pages(
            lambda last: self._app.closed_rejects(
                feeds=feeds, after=last.key if last else None, limit=PAGE
            )
        )

    def warned_items(self, feed: str | None) -> Iterator[CatalogItem]:
        feeds = self._feeds(feed) or list(self._app.settings.feeds)
        return _pages(
            lambda last: self._app.warned_items(
                feeds=feeds, after=last.key if last else 0, limit=PAGE
            )
        )

    def create_key(self, *, kind: str, name: str, scopes: tuple[str, ...]) -> tuple[ApiKey, str]:
        return self._app.create_key(kind=kind, name=name, scopes=scopes)

    def list_keys(self) -> list[ApiKey]:
        return self._app.list_keys()

    def rotate_key(self, prefix: str, *, keep: timedelta) -> tuple[ApiKey, ApiKey, str]:
        return self._app.rotate_key(prefix, keep=keep)

    def revoke_key(self, prefix: str) -> ApiKey:
        return self._app.revoke_key(prefix)

    def templates(self) -> Templates:
        templates = self._app.templates
        refused = [(each.file, each.reason) for each in templates.refused()]
        return Templates(
            templates.views(LOOK_THROUGH_S), refused, *(templates.directory() or (None, None))
        )

    def web_feeds(self) -> list[WebFeedView]:
        return self._app.web_feeds.views(all_ended=self._all_ended())

    def refresh_web_feed(self, name: str) -> Refresh:
        return self._app.web_feeds.refresh(name)

    def webhooks(self) -> list[WebhookView]:
        return self._app.webhooks.views()

    def webhook_deliveries(self, name: str | None, status: str) -> Iterator[Delivery]:
        names = None if name is None else [self._app.webhooks.checked(name)]
        return _pages(
            lambda last: self._app.webhooks.deliveries(
                names=names, status=status, after=last.id if last else 0, limit=PAGE
            )
        )

    def replay_webhook(
        self, name: str, *, since: int | None, dead: bool, delivery: int | None
    ) -> int:
        return self._app.webhooks.replay(name, since=since, dead=dead, delivery=delivery)

    def test_webhook(self, name: str) -> Trial:
        return self._app.webhooks.test(name)

    def drop_delivery(self, delivery: int) -> Delivery:
        return self._app.webhooks.drop(delivery)

    def people(self, operation: "Asking[Answer]") -> "Answer":
        return self._app.persons.answer(operation)

    def preview(self, preview: "Preview") -> "Previewed":
        return self._app.previews.render(preview)

    def _all_ended(self) -> bool:
        return self._lock is None and state.is_free(self._app.settings.state_dir)

    def _conditions(self, wanted: Wanted) -> dict[str, Any]:
        return {
            "feeds": self._feeds(wanted.feed),
            "kinds": wanted.kinds or None,
            "fields": wanted.fields or None,
        }

    def _feeds(self, feed: str | None) -> list[str] | None:
        return None if feed is None else [self._app.feed_settings(feed).name]


def _pages(page_after: Callable[[Row | None], list[Row]]) -> Iterator[Row]:
    last: Row | None = None
    while page := page_after(last):
        yield from page
        last = page[-1]

"""The one place that knows all parts: settings in, a working feedd out.

`App` is what the doors (command line, HTTP, scheduler) call. It can be used with no daemon: every method does its
work in the calling thread. What only a sync needs (the fetcher, the formats, numpy) is imported when one begins, so that a
command that looks is quick.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from feedd import state
from feedd.configured import due_of, reading_of, request_of, shown_url
from feedd.errors import FeedError, NotFound, StoreError, UsageError
from feedd.model import (
    INTERRUPTED,
    ApiKey,
    CatalogItem,
    Change,
    ChangeKind,
    Deleted,
    FeedView,
    Forgotten,
    ItemVersion,
    OpenReject,
    Orphan,
    Progress,
    StreamState,
    SyncRecord,
    SyncStatus,
)
from feedd.parts import Parts
from feedd.settings import FeedSettings, Settings
from feedd.store import changes, history, keys, read, retention
from feedd.store.database import Database
from feedd.store.feeds import (
    FeedState,
    break_leases,
    read_feeds,
    read_held,
    read_stream,
    stream_position,
)
from feedd.store.forget import find_orphans, forget_feed, is_stored
from feedd.store.own_secrets import LINKS, own_secrets

if TYPE_CHECKING:
    from feedd import ingest, intake

MOST_LOOKUPS = 1_000_000  # to count collisions: about a second
DRY_RUN_PREFIX = "dry-"  # of directories in the spool


class App(Parts):
    """feedd, wired: the databases, the fetcher and the feeds of one configuration."""

    def __init__(self, settings: Settings, *, read_body: "ingest.ReadBody | None" = None) -> None:
        super().__init__(settings)
        self._judged: tuple[object, dict[int, bool]] | None = None  # of the feed asked for last
        self._counted: dict[str, tuple[object, int]] = {}
        self._read_body = read_body or partial(_read_here, self.catalog)

    def recover(self) -> list[str]:
        """After a crash: end the syncs that died with it and drop their files; the feeds' names.

        Only for the holder of the state directory's lock.
        """
        for leftover in self.spool_dir.iterdir():
            if not leftover.is_dir():
                leftover.unlink(missing_ok=True)
            elif leftover.name.startswith(DRY_RUN_PREFIX):
                shutil.rmtree(leftover, ignore_errors=True)
        self._sweep_bodies()
        with contextlib.suppress(StoreError):  # then it is made when it is needed
            own_secrets(self.people, LINKS, datetime.now(UTC))  # while there is room on the disk
        self.web_feeds.recover()
        return break_leases(self.catalog, self.holder, datetime.now(UTC))

    def reload(self, settings: Settings) -> None:
        """Go on with other feeds; what is running ends under the configuration that it began with."""
        self.settings = settings
        if "renderer" in vars(self):
            self.renderer.reload(processes=settings.templates.processes)
        self._sweep_bodies()

    # feeds and syncs

    def feed_settings(self, name: str) -> FeedSettings:
        """The configuration of a feed.

        Raises:
            NotFound: no feed has that name; says which ones there are.
        """
        feed = self.settings.feeds.get(name)
        if feed is None:
            names = ", ".join(self.settings.feeds) or "none"
            raise NotFound(f"there is no feed {name!r}", hint=f"Configured feeds: {names}.")
        return feed

    def feeds(self, *, all_ended: bool = False) -> list[FeedView]:
        """Every configured feed, in the order of the configuration.

        Where `all_ended`, nothing runs on this state directory, so that a lease of its own tells of a sync that was killed.
        """
        states = read_feeds(self.catalog)
        if all_ended:
            states = {name: self._ended(state) for name, state in states.items()}
        now = datetime.now(UTC)
        return [self._view(feed, states, now) for feed in list(self.settings.feeds.values())]

    def feed(self, name: str) -> FeedView:
        """One configured feed."""
        return self._view(self.feed_settings(name), read_feeds(self.catalog), datetime.now(UTC))

    def due(self, name: str, now: datetime) -> datetime | None:
        """When a feed is to be synced next; None when it is paused."""
        stored = read_feeds(self.catalog, [name]).get(name, FeedState(name=name))
        return due_of(self.feed_settings(name), stored, now)

    def held(self, name: str) -> bytes:
        """The removals of a feed that are held now: what a person who accepts them has been shown."""
        return read_held(self.catalog, self.feed_settings(name).name)

    def outdated(self, name: str) -> Literal["replay", "fetch"] | None:
        """What brings a feed's catalog in step with its configuration, when it was read with another one.

        Its stored body is read again. It is fetched when that body is not here or came from elsewhere, and when its
        last sync has failed: whoever mends a feed wants to see that.
        """
        from feedd import ingest
        from feedd.reading import digest_of

        feed = self._feed(self.feed_settings(name))
        stored = read_feeds(self.catalog, [name]).get(name)
        if stored is None or stored.read_config is None:
            return None
        try:
            digest = digest_of(feed.reading, stored.guess)
        except FeedError:  # its schema cannot be used just now; its next sync says so
            return None
        if stored.read_config == digest:
            return None
        if stored.status == SyncStatus.FAILED or not ingest.can_replay(feed, stored, self.bodies):
            return "fetch"
        return "replay"

    def check_body(self, name: str) -> None:
        """Raise UsageError (`no_body`) when a feed has no stored body here to be read again."""
        stored = read_feeds(self.catalog, [name]).get(self.feed_settings(name).name)
        if stored is None or self.bodies.find(name, stored.read_digest) is None:
            from feedd import intake

            missing = intake.no_body(name)
            raise UsageError(missing.message, code=missing.code, hint=missing.hint)

    def sync(
        self,
        name: str,
        *,
        trigger: str,
        replay: bool = False,
        accepted: bytes | None = None,
        on_started: Callable[[int], None] = lambda _: None,
        on_progress: "intake.OnProgress" = lambda _: None,
        stop: "ingest.Stop | None" = None,
    ) -> SyncRecord:
        """Sync one feed now; see `ingest.sync_feed`."""
        from feedd import ingest

        return ingest.sync_feed(
            self._feed(self.feed_settings(name)),
            catalog=self.catalog,
            fetcher=self.fetcher,
            spool_dir=self.spool_dir,
            bodies=self.bodies,
            read=self._read_body,
            trigger=trigger,
            replay=replay,
            holder=self.holder,
            accepted=accepted,
            on_started=on_started,
            on_progress=on_progress,
            stop=stop,
        )

    def dry_run(
        self,
        name: str,
        report: Path,
        *,
        replay: bool = False,
        accepted: bytes | None = None,
        on_progress: "intake.OnProgress" = lambda _: None,
        stop: "ingest.Stop | None" = None,
    ) -> None:
        """Write what a sync of a feed would do to a file; see `dryrun.dry_run`."""
        from feedd.dryrun import dry_run

        dry_run(
            self._feed(self.feed_settings(name)),
            report,
            catalog=self.catalog,
            fetcher=self.fetcher,
            spool_dir=self.spool_dir,
            bodies=self.bodies,
            read=self._read_body,
            replay=replay,
            accepted=accepted,
            on_progress=on_progress,
            stop=stop,
        )

    def syncs(
        self,
        *,
        feeds: Sequence[str] | None = None,
        status: SyncStatus | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[SyncRecord]:
        """Syncs, the newest first."""
        return read.read_syncs(self.catalog, feeds=feeds, status=status, before=before, limit=limit)

    def sync_record(self, sync_id: int) -> SyncRecord:
        """One sync. Raises NotFound."""
        return read.read_sync(self.catalog, sync_id)

    def rejects(
        self,
        *,
        feeds: Sequence[str] | None = None,
        after: tuple[int, int] | None = None,
        limit: int = 100,
    ) -> list[OpenReject]:
        """Open rejects; `after` is the (key, position) of the last one seen."""
        return read.read_rejects(self.catalog, feeds=feeds, after=after, limit=limit)

    def judged(self, rejects: Sequence[OpenReject]) -> list[OpenReject]:
        """The same rejects with whether their records would be items by now, where that can be told.

        Where a feed is read as it was, none would. Otherwise its stored body is gone through once, for all of its rejects.
        """
        verdicts = {name: self._verdicts(name) for name in {each.feed for each in rejects}}
        found = []
        for each in rejects:
            of_feed = verdicts[each.feed]
            passes = False if of_feed is None else of_feed.get(each.key)
            found.append(replace(each, passes=passes))
        return found

    def _verdicts(self, name: str) -> dict[int, bool] | None:
        """What is known of a feed's open rejects; None when it is read as it was."""
        if name not in self.settings.feeds:
            return {}
        from feedd.dryrun import passing
        from feedd.reading import digest_of

        stored = read_feeds(self.catalog, [name])[name]
        feed = self._feed(self.settings.feeds[name])
        try:
            digest = digest_of(feed.reading, stored.guess)
        except FeedError:
            return {}
        if digest == stored.read_config:
            return None
        version = (stored.read_digest, stored.read_config, digest, stored.last_applied_at)
        if self._judged is None or self._judged[0] != (name, version):
            with tempfile.TemporaryDirectory(dir=self.spool_dir, prefix=DRY_RUN_PREFIX) as folder:
                report = Path(folder) / "verdicts"
                found = passing(
                    feed, report, state=stored, bodies=self.bodies, read=self._read_body
                )
            self._judged = ((name, version), found)
        return self._judged[1]

    def closed_rejects(
        self, *, feeds: Sequence[str] | None = None, after: int | None = None, limit: int = 100
    ) -> list[OpenReject]:
        """Closed rejects, those that were opened last first; `after` is the key of the last one seen."""
        return read.read_closed_rejects(self.catalog, feeds=feeds, after=after, limit=limit)

    # the catalog and its changes

    def items(
        self,
        *,
        feeds: Sequence[str] | None = None,
        ids: Sequence[str] | None = None,
        removed: bool | None = False,
        after: int = 0,
        limit: int = 100,
    ) -> list[CatalogItem]:
        """Items in a stable order; `removed` None gives live and removed ones; `after` is the last key seen."""
        return read.read_items(
            self.catalog, feeds=feeds, ids=ids, removed=removed, after=after, limit=limit
        )

    def warned_items(
        self, *, feeds: Sequence[str], after: int = 0, limit: int = 100
    ) -> list[CatalogItem]:
        """Live items with warnings."""
        return read.read_warned_items(self.catalog, feeds, after=after, limit=limit)

    def feeds_of(self, catalog: str) -> list[str]:
        """The feeds of a catalog, in the order of the configuration: lookups take the first that has an id."""
        return [name for name, feed in self.settings.feeds.items() if feed.catalog == catalog]

    def find_item(
        self, item_id: str, *, feed: str | None = None, catalog: str | None = None
    ) -> CatalogItem:
        """The item with an id: of one feed, or of the first feed of the catalog (or of all) that has it live.

        Raises:
            NotFound: nothing has that id.
        """
        names = self._names(feed, catalog)
        found = self.items(feeds=names, ids=[item_id], removed=None, limit=len(names) + 1)
        if not found:
            raise NotFound(f"there is no item {item_id!r} in {feed or catalog or 'any catalog'}")
        return min(found, key=lambda i: (i.removed_at is not None, names.index(i.feed)))

    def item_at(
        self, item_id: str, *, seq: int, feed: str | None = None, catalog: str | None = None
    ) -> ItemVersion:
        """The item with an id as it was right after the change `seq`; of the first feed that had it then.

        Raises:
            NotFound: nothing had that id then; says why.
            TooOld: it cannot be said any more.
        """
        names = self._names(feed, catalog)
        found = history.read_versions(self.catalog, item_id, feeds=names, seq=seq)
        found.sort(key=lambda each: (isinstance(each, history.Absence), names.index(each.feed)))
        if not found:
            raise NotFound(f"there is no item {item_id!r} in {feed or catalog or 'any catalog'}")
        first = found[0]
        if isinstance(first, history.Absence):
            raise NotFound(f"{first.feed} had no item {item_id!r} at change {seq}: {first.reason}")
        return first

    def history(
        self,
        item: CatalogItem,
        *,
        since: int = 0,
        before: int | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> list[Change]:
        """The changes of an item, in the order of the stream; 0 is the beginning of what is kept."""
        return history.read_history(
            self.catalog, item.key, since=since, before=before, limit=limit, descending=descending
        )

    def changes(
        self,
        *,
        since: int = 0,
        limit: int = 100,
        feeds: Sequence[str] | None = None,
        kinds: Sequence[ChangeKind] | None = None,
        items: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
        sync: int | None = None,
        descending: bool = False,
        before: int | None = None,
    ) -> list[Change]:
        """Changes with a number above `since`, in the order of the stream; 0 is its beginning.

        Raises:
            TooOld: changes after `since` are no longer kept.
        """
        return changes.read_changes(
            self.catalog,
            since=since,
            limit=limit,
            feeds=feeds,
            kinds=kinds,
            items=items,
            fields=fields,
            sync=sync,
            descending=descending,
            before=before,
        )

    def stream_position(self) -> tuple[str, int]:
        """The change stream's id and the last number given out."""
        return stream_position(self.catalog)

    def stream(self) -> StreamState:
        """Which part of the change stream there is."""
        return read_stream(self.catalog)

    def retain(self, now: datetime, *, rest: retention.Rest) -> Deleted:
        """Delete what has grown too old; see `retention.retain`."""
        return retention.retain(self.catalog, self.settings.retention, now, rest=rest)

    # keys

    def create_key(
        self, *, kind: str, name: str, scopes: tuple[str, ...] = keys.SCOPES
    ) -> tuple[ApiKey, str]:
        """Make an API key; its text is shown this once."""
        return self.keyring.create(kind=kind, name=name, scopes=scopes)

    def list_keys(self) -> list[ApiKey]:
        """Every API key, revoked ones too."""
        return keys.list_keys(self.people)

    def rotate_key(
        self, prefix: str, *, keep: timedelta = timedelta(0)
    ) -> tuple[ApiKey, ApiKey, str]:
        """Replace an API key: the old one, the new one and its text. Raises NotFound."""
        return self.keyring.rotate(prefix, keep=keep)

    def revoke_key(self, prefix: str) -> ApiKey:
        """Make an API key useless. Raises NotFound."""
        return self.keyring.revoke(prefix)

    def orphans(self) -> list[Orphan]:
        """Feeds that something is stored of and that are not configured any more."""
        return find_orphans(self.catalog, set(self.settings.feeds))

    def forget(self, name: str, stopped: Callable[[], bool]) -> Forgotten:
        """Drop what is stored of a feed, configured or not. Raises NotFound, UsageError (`busy`), SyncStopped."""
        if not is_stored(self.catalog, name):
            raise NotFound(
                f"nothing is stored of a feed {name!r}", hint="`feedd feeds` shows them."
            )
        done = forget_feed(self.catalog, name, holder=self.holder, stopped=stopped)
        self.bodies.settle(name, None)
        return done

    def ping(self) -> None:
        """One round trip to each database. Raises StoreError."""
        for database in (self.catalog, self.people):
            database.ping()

    def _names(self, feed: str | None, catalog: str | None) -> list[str]:
        """The feeds to look for an item in, in the order of the configuration."""
        if feed is not None:
            return [self.feed_settings(feed).name]
        return list(self.settings.feeds) if catalog is None else self.feeds_of(catalog)

    def _collisions(self, feed: FeedSettings, states: dict[str, FeedState]) -> int | None:
        """Counted anew only when one of the feeds has changed, and not at all where it would take seconds."""
        before = [
            n
            for n in takewhile(lambda n: n != feed.name, self.feeds_of(feed.catalog))
            if n in states
        ]
        if not before or feed.name not in states:
            return 0
        if states[feed.name].items * len(before) > MOST_LOOKUPS:
            return None
        version = [(name, states[name].last_applied_at) for name in (*before, feed.name)]
        counted = self._counted.get(feed.name)
        if counted is None or counted[0] != version:
            counted = (version, read.count_collisions(self.catalog, feed.name, before))
            self._counted[feed.name] = counted
        return counted[1]

    def _feed(self, feed: FeedSettings) -> "ingest.Feed":
        from feedd import ingest

        return ingest.Feed(
            name=feed.name,
            request=request_of(feed, self.settings),
            reading=reading_of(feed),
            keep_body=self._keeps_body(feed),
        )

    def _keeps_body(self, feed: FeedSettings) -> bool:
        return self.settings.keep_bodies and feed.keep_body

    def _sweep_bodies(self) -> None:
        kept = {name for name, feed in self.settings.feeds.items() if self._keeps_body(feed)}
        states = read_feeds(self.catalog)
        self.bodies.sweep(
            {name: state.read_digest for name, state in states.items() if name in kept}
        )

    def _ended(self, stored: FeedState) -> FeedState:
        return replace(stored, lease_until=None) if stored.lease_holder == self.holder else stored

    def _view(self, feed: FeedSettings, states: dict[str, FeedState], now: datetime) -> FeedView:
        stored = states.get(feed.name, FeedState(name=feed.name))
        running = stored.lease_until is not None and stored.lease_until > now
        interrupted = stored.lease_holder is not None and not running
        return FeedView(
            name=feed.name,
            url=shown_url(feed.url),
            catalog=feed.catalog,
            schema=feed.schema or (stored.guess.schema if stored.guess else None),
            enabled=feed.enabled,
            running=running,
            status=INTERRUPTED if interrupted else stored.status or "new",
            items=stored.items,
            rejected=stored.rejected,
            warnings=stored.warnings,
            held_removals=stored.held_removals,
            collisions=self._collisions(feed, states),
            failures=stored.failures,
            last_sync=stored.last_sync_at,
            last_applied=stored.last_applied_at,
            next_due=due_of(feed, stored, now),
            error=stored.error,
            guess=stored.guess,
        )


def build(settings: Settings, *, read_body: "ingest.ReadBody | None" = None) -> App:
    """A feedd for those settings: the state directory made and entered, the databases opened and brought up to date.

    `read_body` is how bodies are read into the catalog; in this process when left out.

    Raises:
        UsageError: the state directory cannot be used.
        StoreError: a database cannot be used.
    """
    state.prepare(settings.state_dir)
    return App(settings, read_body=read_body)


def _read_here(
    catalog: Database, job: "intake.Job", on_progress: "intake.OnProgress", stop: "ingest.Stop"
) -> None:
    from feedd import intake

    def progressed(progress: Progress) -> None:
        if stop.is_set():
            raise stop.why
        on_progress(progress)

    intake.read_body(job, catalog, progressed)

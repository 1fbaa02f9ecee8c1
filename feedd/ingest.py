"""A feed's way in: fetch (or take the stored body), parse, skip the unchanged, normalize, diff, store.

`sync_feed` is the sentence; its second half, the CPU work, is `intake.read_body`. What only that takes (numpy, lxml) is imported
when there is something to be read.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from feedd.bodies import Bodies
from feedd.errors import (
    CANCELLED,
    DISK_FULL,
    STOPPED,
    FeedError,
    FetchError,
    StoreError,
    SyncStopped,
)
from feedd.fetch import Fetched, Fetcher, FetchRequest, Known
from feedd.fetch.files import IN_PLACE_BYTES
from feedd.model import ErrorInfo, Pages, Progress, SyncRecord, SyncStatus
from feedd.reading import Reading, digest_of, layout_of, plan_of
from feedd.store.commit import Body, record_failed, record_unchanged
from feedd.store.database import Database
from feedd.store.feeds import LEASE, FeedState, Lease, Origin, begin_sync, read_feed, renew_lease
from feedd.store.read import read_sync

if TYPE_CHECKING:
    from feedd.intake import Job

READER = "feedd.intake"
FULL_FETCH_EVERY = timedelta(hours=24)
INTERNAL = "internal"


class Feed(Struct, frozen=True, kw_only=True):
    """One feed to sync."""

    name: str
    request: FetchRequest
    reading: Reading
    keep_body: bool = True


class Stop(threading.Event):
    """Set to end a sync before its commit; `why` is what will be recorded of it."""

    def __init__(self) -> None:
        super().__init__()
        self.why = SyncStopped(STOPPED, "feedd was stopped in the middle of this sync")

    def cancel(self) -> None:
        """Set it because a person wants so."""
        if not self.is_set():
            self.why = SyncStopped(CANCELLED, "this sync was cancelled")
            self.set()


OnProgress = Callable[[Progress], None]
FetchProgress = Callable[[int, int | None], None]
ReadBody = Callable[["Job", OnProgress, Stop], None]


def fetch_digest(request: FetchRequest) -> bytes:
    """What stands for where a body comes from and who asks for it; passwords and tokens play no part."""
    user = request.auth[0] if isinstance(request.auth, tuple) else None
    source: list[Any] = [request.url, request.headers, user]
    if request.member is not None or request.pages is not None:
        source += [request.member, request.pages]
    return sha256(msgspec.json.encode(source)).digest()


def sync_feed(
    feed: Feed,
    *,
    catalog: Database,
    fetcher: Fetcher,
    spool_dir: Path,
    bodies: Bodies,
    read: ReadBody,
    trigger: str,
    holder: str,
    replay: bool = False,
    accepted: bytes | None = None,
    on_started: Callable[[int], None] = lambda _: None,
    on_progress: OnProgress = lambda _: None,
    stop: Stop | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> SyncRecord:
    """Sync one feed; gives how it went, a failure of the feed included.

    `accepted` are the held removals that a person has agreed to, as `read_held` gives them. A `replay` takes the
    feed's stored body instead of fetching one.

    Raises:
        UsageError: (`busy`) the feed is being synced already.
        SyncStopped: another worker took over the feed meanwhile.
        StoreError: the database cannot be used, so that not even the failure could be recorded.
    """
    started = time.monotonic()
    stop = stop or Stop()
    lease = begin_sync(catalog, feed.name, trigger=trigger, holder=holder, now=now())
    on_started(lease.sync_id)
    with _kept_alive(catalog, lease, now):
        try:
            state = read_feed(catalog, feed.name)
            digest = digest_of(feed.reading, state.guess)
            if replay:
                path, body = stored_body(feed, state, bodies, digest)
                read(job_of(feed, lease, path, body, accepted, state, started), on_progress, stop)
            else:
                request = _conditional(request_of(feed), state, digest, now())
                request = msgspec.structs.replace(
                    request, known=known_body(feed, state, bodies, digest), in_place=True
                )
                told = _getting_ready(fetch_progress(on_progress), request.known)
                fetched = fetcher.fetch(request, spool_dir, on_progress=told, stop=stop)
                body = body_of(feed, fetched, state, request, digest, now())
                with _kept(feed, fetched, bodies, catalog) as fresh:
                    if fresh is None or is_stored(fetched, state, digest):
                        duration = time.monotonic() - started
                        record_unchanged(
                            catalog,
                            lease,
                            body,
                            error=_still(state.error),
                            now=now(),
                            duration_s=duration,
                        )
                    else:
                        job = job_of(feed, lease, fresh, body, accepted, state, started)
                        job = msgspec.structs.replace(job, identity=fetched.identity)
                        read(job, on_progress, stop)
        except Exception as error:
            failure = _failure(error, stop)
            try:
                record_failed(
                    catalog,
                    lease,
                    failure,
                    retry_at=_retry_at(failure, now()),
                    now=now(),
                    duration_s=time.monotonic() - started,
                    replayed=replay,
                )
            except SyncStopped:
                if read_sync(catalog, lease.sync_id).status in (
                    SyncStatus.RUNNING,
                    SyncStatus.FAILED,
                ):
                    raise
                # else it was committed, and what failed came after that
            if failure.code == INTERNAL:
                raise
    return read_sync(catalog, lease.sync_id)


def request_of(feed: Feed) -> FetchRequest:
    """The request of a feed, with where its records are if the fetcher has to find them on each page."""
    if feed.request.pages is None:
        return feed.request
    layout = layout_of(plan_of(feed.reading), feed.reading)
    return msgspec.structs.replace(feed.request, layout=layout)


def _conditional(
    request: FetchRequest, state: FeedState, digest: bytes, now: datetime
) -> FetchRequest:
    """The request with the validators of the stored body, unless it came from elsewhere or was read otherwise.

    Servers can be wrong about their validators, so once a day a feed is fetched without them.
    """
    due = state.full_fetch_at is None or now - state.full_fetch_at >= FULL_FETCH_EVERY
    elsewhere = state.fetch_digest != fetch_digest(request)
    if state.config_digest != digest or elsewhere or due:
        return request
    return msgspec.structs.replace(request, etag=state.etag, last_modified=state.last_modified)


def known_body(feed: Feed, state: FeedState, bodies: Bodies, digest: bytes) -> Known | None:
    """The stored body, where coming by it again as a file would change nothing; None where it has to be read or kept."""
    body, origin = state.body_digest, state.read_from
    if body is None or origin is None or origin.charset or state.config_digest != digest:
        return None
    path = bodies.find(feed.name, body)
    is_file = feed.request.url.partition(":")[0].lower() == "file"
    is_never_kept = is_file and origin.size_bytes >= IN_PLACE_BYTES
    if path is None and feed.keep_body and not is_never_kept:
        return None
    return Known(body, origin.size_bytes, path)


def stored_body(feed: Feed, state: FeedState, bodies: Bodies, digest: bytes) -> tuple[Path, Body]:
    """A feed's stored body, to be read once more; it is as fresh, and its validators are worth, what they were.

    Raises:
        FeedError: (`no_body`) it is not here.
    """
    from feedd.intake import no_body

    path = bodies.find_whole(feed.name, state.read_digest)
    if path is None or state.read_digest is None or state.read_from is None:
        raise no_body(feed.name)
    return path, Body(
        digest=state.read_digest,
        size_bytes=state.read_from.size_bytes,
        config_digest=digest,
        fetch_digest=state.read_from.fetch_digest,
        guess=state.guess,
        etag=state.etag,
        last_modified=state.last_modified,
        max_age_until=state.max_age_until,
        full_fetch_at=state.full_fetch_at,
        origin=state.read_from,
        replayed=True,
    )


def can_replay(feed: Feed, state: FeedState, bodies: Bodies) -> bool:
    """Whether a feed's stored body is here, and came from where the feed is now."""
    origin = state.read_from
    return (
        origin is not None
        and origin.fetch_digest == fetch_digest(feed.request)
        and bodies.find(feed.name, state.read_digest) is not None
    )


@contextmanager
def _kept(feed: Feed, fetched: Fetched, bodies: Bodies, catalog: Database) -> Iterator[Path | None]:
    """Where a fetched body lies while it is read; after that the one that the catalog was read from is left."""
    path = fetched.path
    if path is None:
        yield None
        return
    if feed.keep_body and fetched.owned and fetched.digest is not None:
        path = bodies.keep(feed.name, fetched.digest, path)
    try:
        yield path
    finally:
        if fetched.owned and fetched.path is not None:
            fetched.path.unlink(missing_ok=True)
        stored = read_feed(catalog, feed.name).read_digest if feed.keep_body else None
        bodies.settle(feed.name, stored)


def is_stored(fetched: Fetched, state: FeedState, digest: bytes) -> bool:
    """Whether the catalog is what the fetched body would make of it: these bytes, read in this way, in this encoding."""
    if fetched.status == 304:
        return True
    if state.config_digest != digest or state.body_digest != fetched.digest:
        return False
    return state.read_from is not None and state.read_from.charset == fetched.charset


def body_of(
    feed: Feed,
    fetched: Fetched,
    state: FeedState,
    request: FetchRequest,
    digest: bytes,
    now: datetime,
) -> Body:
    asked = request.etag is not None or request.last_modified is not None
    not_modified = fetched.status == 304
    max_age = None if fetched.max_age_s is None else timedelta(seconds=fetched.max_age_s)
    return Body(
        digest=(state.body_digest if not_modified else fetched.digest) or b"",
        size_bytes=fetched.size,
        config_digest=digest,
        fetch_digest=fetch_digest(request),
        guess=state.guess,
        etag=fetched.etag or (state.etag if not_modified else None),
        last_modified=fetched.last_modified or (state.last_modified if not_modified else None),
        max_age_until=None if max_age is None else now + max_age,
        full_fetch_at=state.full_fetch_at if asked else now,
        origin=None
        if not_modified
        else Origin(
            size_bytes=fetched.size,
            fetch_digest=fetch_digest(request),
            name_hint=fetched.name or feed.request.url.partition("?")[0],
            content_type=fetched.content_type,
            charset=fetched.charset,
            more_pages=_more_pages(fetched),
        ),
    )


def job_of(
    feed: Feed,
    lease: Lease,
    path: Path,
    body: Body,
    accepted: bytes | None,
    state: FeedState,
    began_s: float,
) -> "Job":
    from feedd.intake import ALL_REJECTED, Job

    useless = state.error is not None and state.error.code == ALL_REJECTED
    return Job(
        lease=lease,
        reading=feed.reading,
        path=str(path),
        body=body,
        accepted=accepted,
        guess=None if useless else state.guess,
        began_s=began_s,
    )


def _more_pages(fetched: Fetched) -> Pages | None:
    """How the rest of the source could be followed, where the server says that there is more."""
    if fetched.link is None and fetched.pages is None:
        return None
    from feedd.formats.json_pages import propose_pages

    return propose_pages(fetched.link, None, total=fetched.pages)


def _still(error: ErrorInfo | None) -> ErrorInfo | None:
    """What was wrong with a body, and is for as long as the body is the same."""
    if error is None:
        return None
    from feedd.intake import is_of_the_body

    return error if is_of_the_body(error) else None


def _failure(error: Exception, stop: Stop) -> FeedError:
    """What is recorded of a sync that an error has ended; `INTERNAL` is the code of a bug's."""
    if isinstance(error, FeedError):
        return stop.why if error.code == STOPPED else error
    if isinstance(error, StoreError):  # says what to do
        return FeedError("store", str(error))
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        where = "the disk that feedd writes to" if error.filename is None else error.filename
        return FeedError(
            "disk_full",
            f"{where} cannot be written: {error.strerror}",
            hint="Make room on that disk; the catalog stands.",
        )
    return FeedError(
        INTERNAL,
        f"feedd could not finish this sync ({type(error).__name__})",
        hint="The catalog stands. The log has the details.",
    )


def _retry_at(error: FeedError, now: datetime) -> datetime | None:
    if not isinstance(error, FetchError) or error.retry_after_s is None:
        return None
    return now + timedelta(seconds=min(error.retry_after_s, 7 * 86_400))


@contextmanager
def _kept_alive(catalog: Database, lease: Lease, now: Callable[[], datetime]) -> Iterator[None]:
    """Renew the lease while the sync runs; that it was lost is found out by its commit."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(LEASE.total_seconds() / 3):
            try:
                renew_lease(catalog, lease, now())
            except Exception:  # noqa: BLE001, S112 the commit decides; a passing fault of the database is no news
                continue

    thread = threading.Thread(target=renew, name=f"lease-{lease.feed}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _getting_ready(told: FetchProgress, known: Known | None) -> FetchProgress:
    """The same progress; once a body comes that is not the known one, what reads it is imported beside its coming."""

    def told_too(done: int, total: int | None) -> None:
        is_new = known is None or total != known.size
        if is_new and not ready.is_set():
            ready.set()
            if READER not in sys.modules:
                threading.Thread(target=import_module, args=(READER,), daemon=True).start()
        told(done, total)

    ready = threading.Event()
    return told_too


def fetch_progress(on_progress: OnProgress) -> FetchProgress:
    return lambda done, total: on_progress(
        Progress(stage="fetch", done_bytes=done, total_bytes=total)
    )

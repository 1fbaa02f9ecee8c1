"""A feed's way in: fetch (or take the stored body), parse, skip the unchanged, normalize, diff, store.

`sync_feed` is the sentence; `read_body` is its second half, the CPU work, which a daemon runs in a child process.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from msgspec import Struct

from feedd.bodies import Bodies
from feedd.errors import CANCELLED, STOPPED, FeedError, FetchError, FormatError, SyncStopped
from feedd.fetch import Fetched, Fetcher, FetchRequest
from feedd.formats import FORMATS, recognize
from feedd.formats.json_pages import (
    MOST_BYTES,
    MOST_RECORDS,
    more_pages,
    pages_toml,
    propose_pages,
)
from feedd.guess import PLAIN, guess_body
from feedd.model import ONE_PAGE, ErrorInfo, Guess, Layout, Progress, SyncRecord, SyncStatus
from feedd.normalize import Plan, compile_plan, parse_source
from feedd.normalize.document import plan_in_document
from feedd.recheck import recheck
from feedd.reconcile import Outcome, Reconciler
from feedd.removals import guard_removals
from feedd.schema import SchemaError, load_schema
from feedd.store.commit import Body, commit_sync, record_failed, record_unchanged
from feedd.store.database import Database, open_database
from feedd.store.feeds import LEASE, FeedState, Lease, Origin, begin_sync, read_feed, renew_lease
from feedd.store.read import read_sync
from feedd.store.report import write_report
from feedd.store.stage import open_stage

FULL_FETCH_EVERY = timedelta(hours=24)
HEAD_BYTES = 64 * 1024
PROGRESS_EVERY_S = 0.1
MOSTLY_REJECTED, ALL_REJECTED, MORE_PAGES = _BODY_ERRORS = (
    "mostly_rejected",
    "all_rejected",
    "more_pages",
)

OnProgress = Callable[[Progress], None]


class Reading(Struct, frozen=True, kw_only=True):
    """How the bodies of one feed are read: what its configuration says beyond where to fetch it.

    `base` is the address that relative links build on, unless the body names another.
    `pages` is how the pages of its source are followed, `ONE_PAGE` if one is known to be all, None if nobody has said.
    """

    schema: str | None = None
    base_dir: str | None = None
    items: str | None = None
    fields: dict[str, Any] = {}
    currency: str | None = None
    format: str | None = None
    doctype: bool = False
    max_removed: float = 0.3
    base: str | None = None
    encoding: str | None = None
    pages: str | None = None


class Feed(Struct, frozen=True, kw_only=True):
    """One feed to sync."""

    name: str
    request: FetchRequest
    reading: Reading
    keep_body: bool = True


class Place(Struct, frozen=True, kw_only=True):
    """Where the catalog database is, in values that another process can be given."""

    state_dir: str
    url: str | None = None

    def open_catalog(self) -> Database:
        return open_database("catalog", state_dir=Path(self.state_dir), url=self.url)


class Job(Struct, frozen=True, kw_only=True):
    """A fetched body to be read into the catalog under a lease.

    With a `report` it is read for a dry run: what it comes to is written to that file and not stored. With `recheck`,
    the configuration that it was read with, only its open rejects are looked at.
    """

    lease: Lease
    reading: Reading
    path: str
    body: Body
    accepted: bytes | None
    began_s: float
    guess: Guess | None = None
    report: str | None = None
    recheck: bytes | None = None


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


ReadBody = Callable[[Job, OnProgress, Stop], None]


def settled(reading: Reading, guess: Guess | None) -> Reading | None:
    """The reading with what it leaves open filled in by a guess; None where that takes another guess."""
    if reading.schema is not None and reading.items is not None:
        return reading
    if guess is None or guess.basis != _basis(reading):
        return None
    return _filled(reading, guess)


def _filled(reading: Reading, guess: Guess) -> Reading:
    return msgspec.structs.replace(
        reading,
        schema=reading.schema or guess.schema,
        items=guess.items if reading.items is None else reading.items,
    )


def _basis(reading: Reading) -> str:
    """What stands for all in a reading that a guess hangs on."""
    fields = sorted(reading.fields.items())
    decides = [reading.schema, reading.base_dir, reading.items, fields, reading.format]
    if reading.encoding is not None:
        decides.append(reading.encoding)
    return sha256(msgspec.json.encode(decides)).hexdigest()


def plan_of(reading: Reading) -> Plan:
    """The compiled schema of a settled reading.

    Raises:
        FeedError: (`schema`) the schema cannot be used.
    """
    base_dir = None if reading.base_dir is None else Path(reading.base_dir)
    try:
        return compile_plan(
            load_schema(reading.schema or PLAIN, base_dir=base_dir).document,
            fields={name: parse_source(path) for name, path in reading.fields.items()},
            items=reading.items,
            default_currency=reading.currency,
        )
    except (SchemaError, ValueError) as error:
        raise _schema_error(error) from error


def _schema_error(error: Exception) -> FeedError:
    return FeedError("schema", str(error), hint="`feedd check` says more.")


def config_digest(plan: Plan, reading: Reading) -> bytes:
    """What stands for everything that decides how a body is read, by a settled reading."""
    base = reading.base if plan.reads_links else None
    decides: list[Any] = [reading.format, reading.doctype, base]
    if reading.encoding is not None or reading.pages is not None:
        decides += [reading.encoding, reading.pages]
    return plan.digest + msgspec.json.encode(decides)


def digest_of(reading: Reading, guess: Guess | None) -> bytes:
    """`config_digest` under a stored guess; nothing that ever matches where that does not settle the reading.

    Raises:
        FeedError: (`schema`) the schema cannot be used.
    """
    reading_now = settled(_as_one_body(reading), guess)
    if reading_now is None:
        return b""
    return config_digest(plan_of(reading_now), reading_now)


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
                fetched = fetcher.fetch(
                    request, spool_dir, on_progress=fetch_progress(on_progress), stop=stop
                )
                body = body_of(feed, fetched, state, request, digest, now())
                with _kept(feed, fetched, bodies, catalog) as fresh:
                    if fresh is None or is_stored(fetched, state, digest):
                        duration = time.monotonic() - started
                        still = state.error if _is_of_the_body(state.error) else None
                        record_unchanged(
                            catalog, lease, body, error=still, now=now(), duration_s=duration
                        )
                    else:
                        job = job_of(feed, lease, fresh, body, accepted, state, started)
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
            if not isinstance(error, FeedError):
                raise
    return read_sync(catalog, lease.sync_id)


def read_body(job: Job, catalog: Database, on_progress: OnProgress) -> None:
    """Read a body into the catalog: parse, skip what is unchanged, normalize, diff, store.

    Raises:
        FormatError: the body is not a whole document with records; the catalog is as it was.
        SyncStopped: the lease was lost; the catalog is as it was.
    """
    origin = _origin(job)
    job = msgspec.structs.replace(job, reading=_as_one_body(job.reading))
    with _opened(job) as stream:
        form = job.reading.format or recognize(
            stream.read(HEAD_BYTES),
            content_type=origin.content_type,
            name_hint=origin.name_hint,
            encoding=job.reading.encoding,
        )
        guess = job.guess if job.guess is not None and job.guess.format == form else None
        reading = settled(job.reading, guess)
        try:
            if reading is not None:
                _read(job, reading, guess, form, stream, catalog, on_progress)
                return
        except FormatError as error:
            if error.code != "no_items_found" or reading == job.reading:
                raise
        # there was no guess yet, or the feed is built otherwise now
        guess = _guessed(job, form, stream)
        _read(job, _filled(job.reading, guess), guess, form, stream, catalog, on_progress)


def _opened(job: Job) -> BinaryIO:
    try:
        return Path(job.path).open("rb")
    except FileNotFoundError as error:  # a stored one that a sync beside a dry run has replaced
        raise no_body(job.lease.feed) from error


def _origin(job: Job) -> Origin:
    return job.body.origin or Origin()


def _guessed(job: Job, form: str, stream: BinaryIO) -> Guess:
    stream.seek(0)
    reading = job.reading
    try:
        guess = guess_body(
            stream,
            form=form,
            charset=_origin(job).charset,
            schema=reading.schema,
            base_dir=None if reading.base_dir is None else Path(reading.base_dir),
            items=reading.items,
            fields=reading.fields,
            doctype=reading.doctype,
            encoding=reading.encoding,
        )
    except (SchemaError, ValueError) as error:
        raise _schema_error(error) from error
    return msgspec.structs.replace(guess, basis=_basis(reading))


def _read(
    job: Job,
    reading: Reading,
    guess: Guess | None,
    name: str,
    stream: BinaryIO,
    catalog: Database,
    on_progress: OnProgress,
) -> None:
    """Read a body whose format is known into the catalog, by a settled reading."""
    stream.seek(0)
    plan = plan_of(reading)
    digest = config_digest(plan, reading)
    layout = _layout(plan, reading)
    form = FORMATS[name]
    plan = plan_in_document(plan, form, stream, layout, _origin(job).charset, base=reading.base)
    stream.seek(0)
    with open_stage(catalog, job.lease.feed_id, snapshot=job.report is not None) as stage:
        if job.report is not None and job.recheck is not None:
            verdicts = recheck(
                stage.open_rejects(),
                form.slices(stream, layout, _origin(job).charset),
                read_with=[job.recheck + name.encode() + seed for seed in {b"", plan.seed}],
                decode=lambda slices: form.decode(slices, layout),
                normalize=plan.normalize,
            )
            Path(job.report).write_bytes(msgspec.json.encode(dict(verdicts)))
            return
        known = stage.known()
        next_item, next_reject = stage.numbering()
        reconciler = Reconciler(
            known=known,
            config_digest=digest + name.encode() + plan.seed,
            decode=lambda slices: form.decode(slices, layout),
            salvage=lambda raw, context: form.salvage(raw, context, layout),
            normalize=plan.normalize,
            stage=stage,
            next_item=next_item,
            next_reject=next_reject,
            stored_any=next_item != stage.key(1),
        )
        report = _read_progress(on_progress, job.body.size_bytes)
        for slices in form.slices(stream, layout, _origin(job).charset):
            reconciler.take(slices)
            report(stream.tell(), reconciler.records)
        outcome = reconciler.finish()
        on_progress(Progress(stage="store", records=reconciler.records))
        removed, held = guard_removals(
            outcome.missing,
            live=outcome.live_before,
            max_removed=reading.max_removed,
            shown=None if job.accepted is None else np.frombuffer(job.accepted, dtype=np.int64),
        )
        error = _hardly_usable(outcome, reconciler.records) or _one_of_several(
            job, name, stream, layout, reconciler.records
        )
        if job.report is not None:
            record = _dry_record(job, error)
            write_report(stage, Path(job.report), record, outcome, removed, held)
            return
        commit_sync(
            stage,
            job.lease,
            outcome=outcome,
            removed=removed,
            held=held,
            known=known,
            body=msgspec.structs.replace(
                job.body, config_digest=digest, guess=guess if reconciler.records else None
            ),
            error=error,
            now=datetime.now(UTC),
            elapsed_s=lambda: time.monotonic() - job.began_s,
        )


def _dry_record(job: Job, error: ErrorInfo | None) -> SyncRecord:
    return SyncRecord(
        id=0,
        feed=job.lease.feed,
        trigger="dry-run",
        status=SyncStatus.APPLIED,
        started_at=job.lease.started_at,
        finished_at=None,
        duration_s=time.monotonic() - job.began_s,
        size_bytes=job.body.size_bytes,
        counts=None,
        error=error,
    )


def _hardly_usable(outcome: Outcome, records: int) -> ErrorInfo | None:
    """A feed whose records are mostly rejected is read with the wrong schema, or broken, more often than not."""
    rejected = outcome.counts.rejected
    if rejected * 2 < records or not rejected:
        return None
    if rejected < records:
        said = f"{rejected:,} of its {records:,} records could not be used"
    else:
        said = (
            f"none of its {records:,} records could be used"
            if records > 1
            else "its one record could not be used"
        )
    hint = "See `feedd rejects` for why: the schema or its [fields] may not fit this feed, or the feed is broken. `feedd probe` shows what would fit."
    return ErrorInfo(code=_BODY_ERRORS[0 if rejected < records else 1], message=said, hint=hint)


def _one_of_several(
    job: Job, form: str, stream: BinaryIO, layout: Layout, records: int
) -> ErrorInfo | None:
    """A body that says that it is one page of several is no whole feed, however well it was read.

    It is read once more to see that, unless it is too much for a page.
    """
    if job.reading.pages is not None:
        return None
    proposed = _origin(job).more_pages
    is_small = job.body.size_bytes <= MOST_BYTES and records <= MOST_RECORDS
    if proposed is None and form == "json" and is_small:
        stream.seek(0)
        proposed = more_pages(stream, layout, _origin(job).charset, link=None)
    if proposed is None:
        return None
    if form == "json":
        hint = f'Write {pages_toml(proposed)} for this feed; or pages = "{ONE_PAGE}", if this page is all of it.'
    else:
        hint = "feedd follows pages of JSON only. Publish the feed whole, or as JSON."
    said = "the server says that there are more pages of this feed, and only the first was read"
    return ErrorInfo(code=MORE_PAGES, message=said, hint=hint)


def _as_one_body(reading: Reading) -> Reading:
    """How the body is read that the fetcher makes of all pages of a source: it is the list of their records."""
    if reading.pages in (None, ONE_PAGE):
        return reading
    return msgspec.structs.replace(reading, items="", format="json")


def request_of(feed: Feed) -> FetchRequest:
    """The request of a feed, with where its records are if the fetcher has to find them on each page."""
    if feed.request.pages is None:
        return feed.request
    layout = _layout(plan_of(feed.reading), feed.reading)
    return msgspec.structs.replace(feed.request, layout=layout)


def _layout(plan: Plan, reading: Reading) -> Layout:
    """Where the records of a body are, and how it is written."""
    return msgspec.structs.replace(plan.layout, doctype=reading.doctype, encoding=reading.encoding)


def _is_of_the_body(error: ErrorInfo | None) -> bool:
    """Whether an error is about what a body holds, and so true for as long as the body is the same."""
    return error is not None and error.code in _BODY_ERRORS


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


def stored_body(feed: Feed, state: FeedState, bodies: Bodies, digest: bytes) -> tuple[Path, Body]:
    """A feed's stored body, to be read once more; it is as fresh, and its validators are worth, what they were.

    Raises:
        FeedError: (`no_body`) it is not here.
    """
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


def no_body(feed: str) -> FeedError:
    """The error for a feed that has no stored body on this machine."""
    return FeedError(
        "no_body",
        f"no body of feed {feed} is kept here to be read again",
        hint=f"Fetch it: feedd resync {feed}. Bodies are kept unless keep_bodies or keep_body is false.",
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
            more_pages=propose_pages(fetched.link, None, total=fetched.pages),
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
) -> Job:
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


def _failure(error: Exception, stop: Stop) -> FeedError:
    """What is recorded of a sync that an error has ended."""
    if isinstance(error, FeedError):
        return stop.why if error.code == STOPPED else error
    return FeedError(
        "internal",
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


def fetch_progress(on_progress: OnProgress) -> Callable[[int, int | None], None]:
    return lambda done, total: on_progress(
        Progress(stage="fetch", done_bytes=done, total_bytes=total)
    )


def _read_progress(on_progress: OnProgress, total_bytes: int) -> Callable[[int, int], None]:
    last = 0.0

    def report(done_bytes: int, records: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_EVERY_S:
            last = time.monotonic()
            on_progress(
                Progress(
                    stage="read", done_bytes=done_bytes, total_bytes=total_bytes, records=records
                )
            )

    return report

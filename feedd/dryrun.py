"""A sync that stores nothing: fetch (or take the stored body), read, and write down what would have come of it.

It takes no lease and writes no row, so a real sync of the same feed goes on beside it; what it compares with is the
catalog of one moment. Its rows wait in temporary tables like those of any sync, and go with them.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from feedd import ingest, intake
from feedd.bodies import Bodies
from feedd.errors import FeedError
from feedd.fetch import Fetcher
from feedd.model import Counts, DryRunLine, SyncRecord, SyncStatus
from feedd.reading import digest_of
from feedd.store.database import Database
from feedd.store.feeds import FeedState, Lease, read_feed

TRIGGER = "dry-run"
EPOCH = datetime.fromtimestamp(0, UTC)


def dry_run(
    feed: ingest.Feed,
    report: Path,
    *,
    catalog: Database,
    fetcher: Fetcher,
    spool_dir: Path,
    bodies: Bodies,
    read: ingest.ReadBody,
    replay: bool = False,
    accepted: bytes | None = None,
    on_progress: intake.OnProgress = lambda _: None,
    stop: ingest.Stop | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Write what a sync of the feed would do to `report`: a `DryRunLine` a line, the last of them says how it would end.

    The body is fetched whatever the validators say: a difference to the stored one is what is asked for.
    """
    started, at = time.monotonic(), now()
    stop = stop or ingest.Stop()
    state = read_feed(catalog, feed.name)
    nobody = Lease(
        feed_id=state.id or 0, feed=feed.name, sync_id=0, epoch=-1, holder="", started_at=at
    )
    try:
        digest = digest_of(feed.reading, state.guess)
        if replay:
            path, body = ingest.stored_body(feed, state, bodies, digest)
            job = ingest.job_of(feed, nobody, path, body, accepted, state, started)
            read(msgspec.structs.replace(job, report=str(report)), on_progress, stop)
            return
        known = ingest.known_body(feed, state, bodies, digest)
        request = msgspec.structs.replace(ingest.request_of(feed), known=known, in_place=True)
        fetched = fetcher.fetch(
            request, spool_dir, on_progress=ingest.fetch_progress(on_progress), stop=stop
        )
        try:
            body = ingest.body_of(feed, fetched, state, request, digest, at)
            if fetched.path is None or ingest.is_stored(fetched, state, digest):
                _end(report, _unchanged(feed, state, at, body.size_bytes, started), state)
            else:
                job = ingest.job_of(feed, nobody, fetched.path, body, accepted, state, started)
                job = msgspec.structs.replace(job, report=str(report), identity=fetched.identity)
                read(job, on_progress, stop)
        finally:
            if fetched.owned and fetched.path is not None:
                fetched.path.unlink(missing_ok=True)
    except FeedError as error:
        failed = msgspec.structs.replace(
            _unchanged(feed, state, at, None, started),
            status=SyncStatus.FAILED,
            counts=Counts(rejected=state.rejected, warnings=state.warnings),
            error=(stop.why if stop.is_set() else error).info,
        )
        _end(report, failed, state)


def passing(
    feed: ingest.Feed,
    report: Path,
    *,
    state: FeedState,
    bodies: Bodies,
    read: ingest.ReadBody,
) -> dict[int, bool]:
    """The keys of the open rejects that can be told of, and whether each would be an item by now; none without a body."""
    try:
        path, body = ingest.stored_body(feed, state, bodies, b"")
        nobody = Lease(
            feed_id=state.id or 0, feed=feed.name, sync_id=0, epoch=-1, holder="", started_at=EPOCH
        )
        job = ingest.job_of(feed, nobody, path, body, None, state, time.monotonic())
        job = msgspec.structs.replace(job, report=str(report), recheck=state.read_config)
        read(job, lambda _: None, ingest.Stop())
    except FeedError:  # `feedd resync` says what is wrong
        return {}
    return msgspec.json.decode(report.read_bytes(), type=dict[int, bool])


def _unchanged(
    feed: ingest.Feed, state: FeedState, at: datetime, size_bytes: int | None, started: float
) -> SyncRecord:
    return SyncRecord(
        id=0,
        feed=feed.name,
        trigger=TRIGGER,
        status=SyncStatus.UNCHANGED,
        started_at=at,
        finished_at=None,
        duration_s=time.monotonic() - started,
        size_bytes=size_bytes,
        counts=Counts(unchanged=state.items, rejected=state.rejected, warnings=state.warnings),
        error=None,
    )


def _end(report: Path, record: SyncRecord, state: FeedState) -> None:
    line = DryRunLine(sync=record, rejected_before=state.rejected)
    report.write_bytes(msgspec.json.encode(line) + b"\n")

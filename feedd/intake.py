"""A body on disk becomes part of the catalog: parse, skip the unchanged, normalize, diff, store.

The half of a sync that is CPU work; a daemon runs it in a child process. A dry run is the same without the commit.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct

from feedd.errors import FeedError, FormatError
from feedd.fingerprints import Known
from feedd.formats import FORMATS, Format, recognize
from feedd.formats.json_pages import MOST_BYTES, MOST_RECORDS, more_pages, pages_toml
from feedd.identity import Identity, digest_beside, file_changed, identity_of
from feedd.making import Maker
from feedd.model import (
    ONE_PAGE,
    ErrorInfo,
    Guess,
    Layout,
    Problem,
    Progress,
    Slices,
    SyncRecord,
    SyncStatus,
)
from feedd.normalize import Plan
from feedd.normalize.document import found_around
from feedd.reading import (
    Reading,
    as_one_body,
    compiled,
    config_digest,
    document_of,
    filled,
    guess_of,
    layout_of,
    settled,
)
from feedd.recheck import recheck
from feedd.reconcile import Outcome, Reconciler
from feedd.removals import guard_removals
from feedd.spread import Hire, Recipe, Spread, helpers_for, hire
from feedd.store.commit import Body, commit_sync
from feedd.store.database import Database, open_database
from feedd.store.feeds import Lease, Origin
from feedd.store.report import write_report
from feedd.store.stage import DatabaseStage, open_stage

HEAD_BYTES = 64 * 1024
PROGRESS_EVERY_S = 0.1
BODY_ERRORS = MOSTLY_REJECTED, ALL_REJECTED, MORE_PAGES = (
    "mostly_rejected",
    "all_rejected",
    "more_pages",
)

OnProgress = Callable[[Progress], None]


class Place(Struct, frozen=True, kw_only=True):
    """Where the catalog database is, in values that another process can be given."""

    state_dir: str
    url: str | None = None

    def open_catalog(self) -> Database:
        return open_database("catalog", state_dir=Path(self.state_dir), url=self.url)


class Job(Struct, frozen=True, kw_only=True):
    """A fetched body to be read into the catalog under a lease.

    With a `report` it is read for a dry run: what it comes to is written to that file and not stored. With `recheck`,
    the configuration that it was read with, only its open rejects are looked at. One with an `identity` is a file that is
    somebody else's, and has to be the same one, in the same state, from its digest to the commit.
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
    identity: Identity | None = None


def read_body(
    job: Job, catalog: Database, on_progress: OnProgress, hire_some: Hire | None = None
) -> None:
    """Read a body into the catalog: parse, skip what is unchanged, normalize, diff, store.

    `hire_some` gives the pipes of helpers that make items of many records; helpers of this process when left out.

    Raises:
        FormatError: the body is not a whole document with records; the catalog is as it was.
        FetchError: (`file_changed`) it was written meanwhile; the catalog is as it was.
        SyncStopped: the lease was lost; the catalog is as it was.
    """
    origin = _origin(job)
    job = msgspec.structs.replace(job, reading=as_one_body(job.reading))
    with _opened(job) as stream, _digest(job, stream) as digest:
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
                _read(job, reading, guess, form, stream, digest, catalog, on_progress, hire_some)
                return
        except FormatError as error:
            if error.code != "no_items_found" or reading == job.reading:
                raise
        # there was no guess yet, or the feed is built otherwise now
        stream.seek(0)
        guess = guess_of(job.reading, stream, form, origin.charset)
        reading = filled(job.reading, guess)
        _read(job, reading, guess, form, stream, digest, catalog, on_progress, hire_some)


def _digest(job: Job, stream: BinaryIO) -> contextlib.AbstractContextManager[Callable[[], bytes]]:
    """What gives the body's digest: it is known, or it is taken while the body is read."""
    if job.body.digest or job.report is not None:
        return contextlib.nullcontext(lambda: job.body.digest)
    return digest_beside(stream.fileno())


@contextlib.contextmanager
def _opened(job: Job) -> Iterator[BinaryIO]:
    try:
        stream = open(job.path, "rb", opener=_opened_at_once)  # noqa: SIM115 it is closed below
    except OSError as error:
        if job.identity is not None:
            raise file_changed(Path(job.path)) from error
        if isinstance(error, FileNotFoundError):  # a sync beside a dry run has replaced it
            raise no_body(job.lease.feed) from error
        raise
    with stream:
        _refuse_changed(job, stream)
        try:
            yield stream
        except FormatError:  # half of one version and half of another
            _refuse_changed(job, stream)
            raise


def _opened_at_once(path: str, flags: int) -> int:
    """A descriptor of what is there; a pipe that somebody has put there is not waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _refuse_changed(job: Job, stream: BinaryIO) -> None:
    """Refuse a file that is not, or no longer, the one whose digest was taken."""
    if job.identity is not None and identity_of(stream.fileno()) != job.identity:
        raise file_changed(Path(job.path))


def _origin(job: Job) -> Origin:
    return job.body.origin or Origin()


class _Opened(NamedTuple):
    """A body that can be read: its format and stream, where its records are, and what makes items of them."""

    form: Format
    stream: BinaryIO
    charset: str | None
    layout: Layout
    plan: Plan
    recipe: Recipe
    digest: bytes

    def slices(self) -> Iterator[Slices]:
        """Its records, from the start."""
        self.stream.seek(0)
        return self.form.slices(self.stream, self.layout, self.charset)

    def decode(self, slices: Slices) -> list[dict[str, Any] | Problem]:
        return self.form.decode(slices, self.layout)


def _read(
    job: Job,
    reading: Reading,
    guess: Guess | None,
    name: str,
    stream: BinaryIO,
    body_digest: Callable[[], bytes],
    catalog: Database,
    on_progress: OnProgress,
    hire_some: Hire | None,
) -> None:
    """Read a body whose format is known into the catalog, by a settled reading."""
    stream.seek(0)
    document = document_of(reading)
    plan = compiled(document, reading)
    digest = config_digest(plan, reading)
    layout = layout_of(plan, reading)
    charset = _origin(job).charset
    form = FORMATS[name]
    recipe = Recipe(
        document=document,
        fields=reading.fields,
        items=reading.items,
        currency=reading.currency,
        base=reading.base,
        format=name,
        layout=layout,
        found=found_around(plan, form, stream, layout, charset),
    )
    plan = plan.within(recipe.found, base=recipe.base)
    body = _Opened(form, stream, charset, layout, plan, recipe, digest)
    swept = partial(on_progress, Progress(stage="read", total_bytes=job.body.size_bytes))
    snapshot = job.report is not None
    with open_stage(catalog, job.lease, snapshot=snapshot, on_swept=swept) as stage:
        if job.report is not None and job.recheck is not None:
            _recheck(Path(job.report), job.recheck, body, stage)
            return
        known = stage.known()
        outcome, records = _reconciled(job, body, known, stage, on_progress, hire_some)
        taken = body_digest()
        _refuse_changed(job, stream)
        on_progress(Progress(stage="store", records=records))
        removed, held = guard_removals(
            outcome.missing,
            live=outcome.live_before,
            max_removed=reading.max_removed,
            shown=None if job.accepted is None else np.frombuffer(job.accepted, dtype=np.int64),
        )
        error = _hardly_usable(outcome, records) or _one_of_several(
            job, name, stream, layout, records
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
                job.body,
                digest=taken,
                config_digest=digest,
                guess=guess if records else None,
            ),
            error=error,
            now=datetime.now(UTC),
            elapsed_s=lambda: time.monotonic() - job.began_s,
        )


def _recheck(report: Path, read_with: bytes, body: _Opened, stage: DatabaseStage) -> None:
    """Write down whether the open rejects of a body that was read under another configuration would pass."""
    seeds = {b"", body.plan.seed}
    verdicts = recheck(
        stage.open_rejects(),
        body.slices(),
        read_with=[read_with + body.form.name.encode() + seed for seed in seeds],
        decode=body.decode,
        normalize=body.plan.normalize,
    )
    report.write_bytes(msgspec.json.encode(dict(verdicts)))


def _reconciled(
    job: Job,
    body: _Opened,
    known: Known,
    stage: DatabaseStage,
    on_progress: OnProgress,
    hire_some: Hire | None,
) -> tuple[Outcome, int]:
    """What all records of the body come to, and how many they are."""
    next_item, next_reject = stage.numbering()
    report = _read_progress(on_progress, body.stream, job.body.size_bytes)
    with _maker(job, body, hire_some) as maker:
        reconciler = Reconciler(
            known=known,
            config_digest=body.digest + body.form.name.encode() + body.plan.seed,
            maker=maker,
            stage=stage,
            next_item=next_item,
            next_reject=next_reject,
            stored_any=next_item != stage.key(1),
        )
        for slices in body.slices():
            reconciler.take(slices)
            report(reconciler.records)
        return reconciler.finish(), reconciler.records


@contextlib.contextmanager
def _maker(job: Job, body: _Opened, hire_some: Hire | None) -> Iterator[Maker]:
    """What makes items of a body's records: this process, and helpers if it is large."""
    here = body.recipe.maker(body.plan)
    helpers = helpers_for(job.body.size_bytes)
    if not helpers:
        yield here
        return
    spread = Spread(here, body.recipe, hire_some or partial(hire, helpers))
    try:
        yield spread
    finally:
        spread.close()


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
    return ErrorInfo(code=BODY_ERRORS[0 if rejected < records else 1], message=said, hint=hint)


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


def is_of_the_body(error: ErrorInfo | None) -> bool:
    """Whether an error is about what a body holds, and so true for as long as the body is the same."""
    return error is not None and error.code in BODY_ERRORS


def no_body(feed: str) -> FeedError:
    """The error for a feed that has no stored body on this machine."""
    return FeedError(
        "no_body",
        f"no body of feed {feed} is kept here to be read again",
        hint=f"Fetch it: feedd resync {feed}. Bodies are kept unless keep_bodies or keep_body is false, or they are large local files.",
    )


def _read_progress(
    on_progress: OnProgress, stream: BinaryIO, total_bytes: int
) -> Callable[[int], None]:
    last = 0.0

    def report(records: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_EVERY_S:
            last = time.monotonic()
            on_progress(
                Progress(
                    stage="read",
                    done_bytes=stream.tell(),
                    total_bytes=total_bytes,
                    records=records,
                )
            )

    return report

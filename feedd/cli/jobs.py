"""Commands for jobs: what was sent in bulk over the API, how far it is, what was wrong with it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from feedd.cli.backend import Backend, connect
from feedd.cli.options import AsJson, options_of
from feedd.cli.show import ago, clock, counted, emit, say, table, text, until

if TYPE_CHECKING:
    from feedd.people.jobs import Job, RowError

PAGE = 1_000
MOST = 1_000_000_000
_NAMES = {
    "profile-bulk-import-job": "profiles",
    "event-bulk-create-job": "events",
    "data-privacy-deletion-job": "deletion",
}

JobId = Annotated[str, typer.Argument(metavar="ID", help="As `feedd jobs` shows it.")]


def list_(
    context: typer.Context,
    *,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Those alone that are not done.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, max=MOST, help="At most so many, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """What was sent in bulk over the API, the newest first, and how far it is."""
    with connect(options_of(context)) as backend:
        found = list(_jobs(backend, waiting=waiting, limit=limit))
    if as_json:
        for job in found:
            emit(_object_of(job))
        return
    if not found:
        say("No job waits." if waiting else "Nothing was sent in bulk in the last days.")
        return
    table(
        ("id", "what", "status", ">rows", ">done", ">failed", "sent"),
        [
            (
                job.id,
                _NAMES[job.kind],
                job.status.value,
                f"{job.total:,}",
                f"{job.completed:,}",
                f"{job.failed:,}",
                ago(job.created_at),
            )
            for job in found
        ],
    )


def show(
    context: typer.Context,
    job_id: JobId,
    *,
    limit: Annotated[int, typer.Option(min=0, max=MOST, help="At most so many errors.")] = 50,
    as_json: AsJson = False,
) -> None:
    """How far a job is, and what was wrong with rows of it."""
    from feedd.people.operations import ShowJob

    with connect(options_of(context)) as backend:
        job = backend.people(ShowJob(id=job_id, limit=0)).job
        errors = list(_errors(backend, job.id, limit))
    if as_json:
        emit({**_object_of(job), "errors": [_error_object(each) for each in errors]})
        return
    say(text(f"{job.id}  {_NAMES[job.kind]}", style="bold"))
    say(f"{job.status.value}: {job.completed:,} of {job.total:,} rows done, {job.failed:,} failed")
    say(
        f"sent {clock(job.created_at)}, begun {clock(job.started_at) if job.started_at else 'not yet'}"
    )
    if job.completed_at is not None:
        say(f"ended {clock(job.completed_at)}, to be deleted {until(job.expires_at)}")
    for error in errors:
        say(text(f"{error.pointer}  {error.code}: {_said_of(error)}"))
    if len(errors) == limit and job.failed > limit:
        say(f"The first {counted(limit, 'error')}; --limit shows more.")


def _said_of(error: "RowError") -> str:
    """What is wrong, without the place where the pointer ends."""
    place, _, said = error.detail.partition(": ")
    return said if said and error.pointer.endswith(place.replace(".", "/")) else error.detail


def cancel(context: typer.Context, job_id: JobId, *, as_json: AsJson = False) -> None:
    """Leave off with a job that is not done; what of it is done stays."""
    from feedd.people.operations import CancelJob

    with connect(options_of(context)) as backend:
        job = backend.people(CancelJob(id=job_id))
    if as_json:
        emit(_object_of(job))
        return
    left = job.total - job.completed - job.failed
    say(f"Left off: {counted(left, 'row')} of {job.total:,} will not be done.")


def _jobs(backend: Backend, *, waiting: bool, limit: int) -> "Iterator[Job]":
    from feedd.people.operations import ListJobs

    after = None
    while limit > 0:
        size = min(limit, PAGE)
        page = backend.people(ListJobs(after=after, waiting=waiting, limit=size)).jobs
        yield from page
        if len(page) < size:
            return
        after, limit = page[-1].number, limit - size


def _errors(backend: Backend, job_id: str, limit: int) -> "Iterator[RowError]":
    from feedd.people.operations import ShowJob

    after = -1
    while limit > 0:
        size = min(limit, PAGE)
        page = backend.people(ShowJob(id=job_id, after=after, limit=size)).errors
        yield from (each.error for each in page)
        if len(page) < size:
            return
        after, limit = page[-1].number, limit - size


def _object_of(job: "Job") -> dict[str, Any]:
    """A job as JSON. Its id names it, so its number is left out."""
    return {name: value for name, value in msgspec.structs.asdict(job).items() if name != "number"}


def _error_object(error: "RowError") -> dict[str, Any]:
    row = None if error.payload is None else msgspec.Raw(error.payload)
    return {
        "code": error.code,
        "title": error.title,
        "detail": error.detail,
        "pointer": error.pointer,
        "row": row,
    }

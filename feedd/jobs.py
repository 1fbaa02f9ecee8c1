"""Jobs: takes them, and does the next part of what waits.

A part is done and taken away in one transaction, which the recorder writes among all others. So killed at any point, no row is left
out and none is done twice, however many daemons share the database.
"""

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from feedd import logs
from feedd.errors import FeeddError
from feedd.people.job_rows import (
    Row,
    entries_of,
    pointer_to,
    problem_of,
    row_error,
    rows_of,
    split,
)
from feedd.people.jobs import Done, Job, JobKind, JobStatus, RowError, parts_of
from feedd.people.values import Action, Outcome, Profile
from feedd.store import job_reading, merging
from feedd.store import jobs as stored
from feedd.store.database import Database
from feedd.store.jobs import Rest, Turn
from feedd.store.profiles import owners_of, read_profiles
from feedd.store.recording import writing

if TYPE_CHECKING:
    from feedd.recording import Recorder

log = logs.get_logger("feedd")
_INTERNAL = RowError(
    code="internal",
    title="Internal error.",
    detail="feedd has a bug here; its log has the details",
    pointer="",
)


class Progress(Struct, frozen=True, kw_only=True):
    """A job as it is after a part of it was done, and how many rows of the part were, and were not."""

    job: Job
    completed: int = 0
    failed: int = 0

    @property
    def is_end(self) -> bool:
        """Whether the job has just ended."""
        return self.job.status is JobStatus.COMPLETE


class Jobs:
    """The jobs of a people database. `holder` is who does them here; `on_asked` is called when there is a new one."""

    def __init__(
        self, people: Database, recorder: "Callable[[], Recorder]", *, holder: str
    ) -> None:
        self._people = people
        self._recorder = recorder
        self._holder = holder
        self.on_asked: Callable[[], object] = lambda: None

    def submit(self, kind: JobKind, body: bytes, now: datetime) -> Job:
        """Take the document that asks for a job; it will be done once this returns.

        Raises:
            PayloadProblem, NotFound: the document cannot be used as a whole; says where.
            Overloaded: too much waits already.
            StoreError: the database cannot be used.
        """
        parts = parts_of(entries_of(kind, body))
        with writing(self._people) as connection:
            job = stored.submit(connection, kind, parts, now)
        self.on_asked()
        return job

    def turn(self, now: datetime) -> Progress | None:
        """Do the next part of the oldest job; None where there is nothing to do here.

        Raises:
            Overloaded: others have filled the recorder's queue.
            StoreError: the database cannot be used.
        """
        turn = stored.next_turn(self._people, self._holder, now)
        if turn is None:
            return None
        with contextlib.suppress(stored.Elsewhere):
            return self._do_or_split(turn, now)
        return Progress(job=turn.job)

    def profiles(self, job: Job, *, after: int = 0, limit: int = 100) -> list[tuple[int, Profile]]:
        """Whom an import has touched, as they are by now, each with its place; `after` is that of the last one seen.

        Those who were deleted are left out; who was merged stands for all that became one.
        """
        found: list[tuple[int, Profile]] = []
        seen: set[int] = set()
        while len(found) < limit:
            touched = job_reading.read_profiles(self._people, job, after=after, limit=limit)
            if not touched:
                break
            after = touched[-1][0]
            numbers = list({number for _, number in touched if number is not None})
            with self._people.snapshot() as connection:
                known = {each.number: each for each in read_profiles(connection, numbers=numbers)}
            for place, number in touched:
                if number in known and number not in seen:
                    seen.add(number)
                    found.append((place, known[number]))
        return found[:limit]

    def waiting(self) -> dict[JobKind, stored.Waiting]:
        """How much is to be done, of each kind."""
        return stored.waiting(self._people)

    def sweep(self, now: datetime, *, rest: Rest) -> int:
        """Delete what has expired; see `store.jobs.sweep`."""
        return stored.sweep(self._people, now, rest=rest)

    def release(self) -> None:
        """Let other daemons go on."""
        stored.release(self._people, self._holder)

    def _do_or_split(self, turn: Turn, now: datetime) -> Progress:
        try:
            return self._do(turn, now)
        except FeeddError:
            raise
        except Exception:
            log.exception(logs.JOB_ERROR, job=turn.job.id)
            return self._after_bug(turn, now)

    def _do(self, turn: Turn, now: datetime) -> Progress:
        rows = list(rows_of(turn.job.kind, turn.part, turn.job.created_at.timestamp()))
        actions = [row.found for row in rows if isinstance(row.found, Action)]
        is_deletion = turn.job.kind is JobKind.DELETION
        finished: list[Progress] = []

        def also(connection: Any, outcomes: list[Outcome]) -> None:
            if is_deletion:
                outcomes = [_delete(connection, action, now) for action in actions]
            done = _done(turn.job.kind, rows, outcomes)
            job = stored.finish_part(connection, turn, done, self._holder, now)
            finished.append(Progress(job=job, completed=done.completed, failed=done.failed))

        self._recorder().record([] if is_deletion else actions, also)
        return finished[-1]

    def _after_bug(self, turn: Turn, now: datetime) -> Progress:
        """What to do with a part that a bug of feedd has met: it costs the entry that it meets, and no other."""
        kind, part = turn.job.kind, turn.part
        parts = split(kind, part)
        with writing(self._people) as connection:
            if len(parts) > 1:
                stored.split_part(connection, turn, parts, self._holder, now)
                return Progress(job=turn.job)
            error = replace(
                _INTERNAL,
                pointer=pointer_to(kind, part.first),
                payload=None if kind is JobKind.DELETION else part.payload[1:-1],
                rows=part.rows,
            )
            done = Done(completed=0, errors=(error,))
            job = stored.finish_part(connection, turn, done, self._holder, now)
        return Progress(job=job, failed=part.rows)


def _delete(connection: Any, action: Action, now: datetime) -> Outcome:
    """Delete whoever has an identifier."""
    found = set(owners_of(connection, action.who.given()).values())
    for number in found:
        merging.redact(connection, number, now)
    ignored = () if found else tuple(action.who.given())
    return Outcome(profile=min(found, default=None), ignored=ignored)


def _done(kind: JobKind, rows: Sequence[Row], outcomes: Sequence[Outcome]) -> Done:
    """What became of rows, where `outcomes` are those of the actions among them."""
    errors: list[RowError] = []
    touched: list[int] = []
    completed = 0
    waiting = iter(outcomes)
    last: object = None
    for row in rows:
        problem: Any = row.found
        if isinstance(row.found, Action):
            outcome = next(waiting)
            problem = problem_of(row, outcome)
            if outcome.profile is not None and kind is JobKind.PROFILES:
                touched.append(outcome.profile)
        if problem is None:
            completed += 1
        elif problem is last:  # a profile that is wrong is so for all its events
            errors[-1] = replace(errors[-1], rows=errors[-1].rows + 1)
        else:
            errors.append(row_error(row, problem))
        last = problem
    return Done(completed=completed, errors=tuple(errors), profiles=tuple(touched))

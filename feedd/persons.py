"""People, as the command line asks for them: profiles, what is recorded of them, imports, timelines and numbers.

Every operation of `feedd.people.operations` has one method here. The daemon answers them over its unix socket; with no daemon a command
has them done in its own process.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from feedd.errors import NotFound, Overloaded, UsageError
from feedd.people import operations as op
from feedd.people.aggregation import Interval, Measure, Question
from feedd.people.jobs import UNFINISHED, Job
from feedd.people.limits import PROFILE_FULL
from feedd.people.rows import problem_of
from feedd.people.values import (
    Action,
    Event,
    Identifier,
    Identifiers,
    Kind,
    Metric,
    Outcome,
    Patch,
    Profile,
)
from feedd.store import events, imports, job_reading, jobs, merging, people_metrics, profiles
from feedd.store.database import Database
from feedd.store.recording import writing

if TYPE_CHECKING:
    from feedd.recording import Also, Recorder
    from feedd.store.aggregates import Aggregates

WAIT_S = 0.2  # while the queue of the recorder is full
WAIT_FOR_S = 30.0

KIND_NAMES = {
    Kind.PROFILE: "feedd's id",
    Kind.EMAIL: "email",
    Kind.PHONE: "phone number",
    Kind.EXTERNAL: "external id",
    Kind.ANONYMOUS: "anonymous id",
}


class Persons:
    """Answers operations on one people database; what is written goes through `recorder`, which is made for the first of that."""

    def __init__(self, people: Database, recorder: "Callable[[], Recorder]") -> None:
        self._people = people
        self._recorder = recorder
        self._methods: dict[type, Callable[[Any], Any]] = {
            op.FindProfile: self._find_profile,
            op.SetProfile: self._set_profile,
            op.MergeProfiles: self._merge_profiles,
            op.DeleteProfile: self._delete_profile,
            op.ListProfiles: self._list_profiles,
            op.Record: self._record,
            op.BeginImport: self._begin_import,
            op.TakeRows: self._take_rows,
            op.ReadTimeline: self._read_timeline,
            op.FollowEvents: self._follow_events,
            op.ListMetrics: self._list_metrics,
            op.ChartMetric: self._chart_metric,
            op.ListJobs: self._list_jobs,
            op.ShowJob: self._show_job,
            op.CancelJob: self._cancel_job,
        }

    def answer(self, operation: op.Asking[op.Answer]) -> op.Answer:
        """Do what is asked.

        Raises:
            NotFound: somebody or something that is named is not there.
            UsageError: it cannot be done.
            Overloaded: too much waits to be recorded.
            StoreError: the database cannot be used.
        """
        answered: op.Answer = self._methods[type(operation)](operation)
        return answered

    # profiles

    def find(self, who: Identifiers) -> Profile:
        """The profile of somebody. Raises NotFound."""
        found = profiles.find_profile(self._people, who)
        if found is None:
            raise NotFound(f"there is nobody with {_shown(who.given())}")
        return found

    def _find_profile(self, asked: op.FindProfile) -> Profile:
        return self.find(asked.who)

    def _set_profile(self, asked: op.SetProfile) -> op.Changed:
        action, found = asked.action, profiles.find_profile(self._people, asked.who)
        for values in (action.patch.set, action.patch.append):
            if (problem := problem_of(values)) is not None:
                raise UsageError(problem)
        is_new = False
        if found is None:
            if asked.who.profile is not None:
                raise NotFound(f"there is nobody with {_shown(asked.who.given())}")
            # made first: what it gets may be an identifier of somebody known, who is not to become this one
            (made,) = self._recorder().record([replace(action, who=asked.who, patch=Patch())])
            found, is_new = self._profile_of(made), made.created
        action = replace(action, who=replace(action.who, profile=found.id))
        (outcome,) = self._recorder().record([action])
        outcome = replace(outcome, created=is_new)
        return op.Changed(profile=self._profile_of(outcome), outcome=outcome)

    def _profile_of(self, outcome: Outcome) -> Profile:
        with self._people.snapshot() as connection:
            found = profiles.read_profile(connection, outcome.profile or 0)
        if found is None:
            raise NotFound("the profile was deleted this moment")
        return found

    def _merge_profiles(self, asked: op.MergeProfiles) -> op.Merged:
        with writing(self._people) as connection:
            into = _number(profiles.owners_of(connection, asked.into.given()), asked.into)
            merged = []
            for who in asked.sources:
                source = _number(profiles.owners_of(connection, who.given()), who)
                if source == into:
                    raise UsageError(
                        f"{_shown(who.given())} is the same profile as {_shown(asked.into.given())}"
                    )
                gone = profiles.read_profile(connection, source)
                merging.merge(connection, source, into, datetime.now(UTC))
                merged.append(gone.id if gone else "")
            left = profiles.read_profile(connection, into)
        if left is None:
            raise NotFound(f"there is nobody with {_shown(asked.into.given())}")
        return op.Merged(profile=left, merged=tuple(merged))

    def _delete_profile(self, asked: op.DeleteProfile) -> op.Deleted:
        with writing(self._people) as connection:
            number = _number(profiles.owners_of(connection, asked.who.given()), asked.who)
            found = profiles.read_profile(connection, number)
            merging.redact(connection, number, datetime.now(UTC))
        return op.Deleted(profile=found.id if found else "")

    def _list_profiles(self, asked: op.ListProfiles) -> op.Profiles:
        with self._people.snapshot() as connection:
            found = profiles.read_profiles(connection, after=asked.after, limit=asked.limit)
        return op.Profiles(found)

    # what is recorded

    def _record(self, asked: op.Record) -> op.Outcomes:
        return op.Outcomes(self._recorder().record(asked.actions))

    def _begin_import(self, asked: op.BeginImport) -> op.ImportState:
        with writing(self._people) as connection:
            now = datetime.now(UTC)
            return imports.begin(connection, asked.id, asked.name, now, again=asked.again)

    def _take_rows(self, asked: op.TakeRows) -> op.Taken:
        actions = self._without_strange_ids(asked.actions)
        taken: list[op.Taken] = []

        def also(connection: Any, outcomes: list[Outcome]) -> None:
            taken.append(_taken(outcomes, asked.bad))
            if asked.id is not None:
                imports.advance(
                    connection,
                    asked.id,
                    begin=asked.begin,
                    rows=asked.rows,
                    counts=taken[0].counts,
                    ended=asked.ended,
                    now=datetime.now(UTC),
                )

        # how far the file is tells whether what was taken lazily is there
        self._recorded(actions, also, of=asked.id, lazily=asked.id is not None and not asked.ended)
        return taken[-1]

    def _recorded(
        self, actions: Sequence[Action], also: "Also", *, of: str | None, lazily: bool
    ) -> None:
        """Record, and wait for room where others have filled the queue: an import can."""
        deadline = time.monotonic() + WAIT_FOR_S
        while True:
            try:
                self._recorder().record(actions, also, of=of, lazily=lazily)
            except Overloaded:
                if time.monotonic() > deadline:
                    raise
                time.sleep(WAIT_S)
            else:
                return

    def _without_strange_ids(self, actions: Sequence[Action]) -> Sequence[Action]:
        """Ids of profiles that are not of this database left out, where somebody is known by more: a file from another feedd."""
        given = [(Kind.PROFILE, each.who.profile) for each in actions if each.who.profile]
        if not given:
            return actions
        with self._people.connect() as connection:
            known = profiles.owners_of(connection, given)
        return [
            replace(each, who=replace(each.who, profile=None))
            if each.who.profile
            and (Kind.PROFILE, each.who.profile) not in known
            and len(each.who.given()) > 1
            else each
            for each in actions
        ]

    # events

    def _read_timeline(self, asked: op.ReadTimeline) -> op.Timeline:
        metric = None if asked.metric is None else self.metric(asked.metric)
        profile = None
        if asked.profile is not None:
            profile = self.find(Identifiers(profile=asked.profile)).number
        page = events.read_timeline(
            self._people,
            profile=profile,
            metric=None if metric is None else metric.number,
            since=asked.since,
            after=None if asked.after is None else events.Position(*asked.after),
            limit=asked.limit,
        )
        people = {} if asked.profile is not None else self._names(page.events)
        return op.Timeline(events=page.events, next=page.next, people=people)

    def _follow_events(self, asked: op.FollowEvents) -> op.Following:
        if asked.behind is None:
            return op.Following(events=[], number=events.last_number(self._people))
        metric = None if asked.metric is None else self.metric(asked.metric)
        found = events.read_recorded(
            self._people,
            behind=asked.behind,
            metric=None if metric is None else metric.number,
            limit=asked.limit,
        )
        number = found[-1].number if found else asked.behind
        return op.Following(events=found, number=number, people=self._names(found))

    def _list_metrics(self, asked: op.ListMetrics) -> op.Metrics:
        del asked
        activity = people_metrics.read_activity(self._people, int(time.time()))
        nothing = people_metrics.Activity(0, 0, 0, 0)
        return op.Metrics(
            [
                op.MetricView(
                    name=metric.name,
                    id=metric.id,
                    integration=metric.integration,
                    events=did.events,
                    day=did.day,
                    week=did.week,
                    last_at=datetime.fromtimestamp(did.last, UTC) if did.events else None,
                )
                for metric in people_metrics.read_metrics(self._people)
                for did in [activity.get(metric.number, nothing)]
            ]
        )

    @cached_property
    def aggregates(self) -> "Aggregates":
        """What counts their events."""
        from feedd.store.aggregates import Aggregates

        return Aggregates(self._people)

    def _chart_metric(self, asked: op.ChartMetric) -> op.Chart:
        metric, measure = self.metric(asked.metric), Measure(asked.measure)
        question = Question(
            metric=metric.number,
            measures=(measure,),
            interval=Interval(asked.interval),
            zone=asked.timezone,
            since=int(asked.since.timestamp()),
            before=int(asked.until.timestamp()),
            by=() if asked.property is None else (asked.property,),
            limit=asked.limit,
        )
        answer = self.aggregates.answer(question)
        return op.Chart(
            metric=metric.name,
            dates=answer.dates,
            series=[
                op.Series(
                    group.dimensions[0] if group.dimensions else None,
                    group.values[measure],
                    group.totals[measure],
                )
                for group in answer.groups
            ],
            total=answer.totals[measure],
            left_out=answer.left_out,
        )

    # jobs

    def _list_jobs(self, asked: op.ListJobs) -> op.Jobs:
        statuses = [each.value for each in UNFINISHED] if asked.waiting else None
        return op.Jobs(
            job_reading.read_jobs(
                self._people, statuses=statuses, after=asked.after, limit=asked.limit
            )
        )

    def _show_job(self, asked: op.ShowJob) -> op.JobReport:
        job = job_reading.read_job(self._people, asked.id)
        errors = job_reading.read_errors(self._people, job, after=asked.after, limit=asked.limit)
        return op.JobReport(job=job, errors=errors)

    def _cancel_job(self, asked: op.CancelJob) -> Job:
        job = job_reading.read_job(self._people, asked.id)
        with writing(self._people) as connection:
            return jobs.cancel(connection, job, datetime.now(UTC))

    def metric(self, named: str) -> Metric:
        """The metric of that name or id. Raises NotFound."""
        found = people_metrics.find_metric(self._people, named)
        if found is None:
            raise NotFound(f"there is no metric {named!r}", hint="`feedd metrics` shows them.")
        return found

    def _names(self, found: Sequence[Event]) -> dict[str, str]:
        return profiles.read_names(self._people, [each.profile for each in found]) if found else {}


def _number(owners: dict[Identifier, int], who: Identifiers) -> int:
    for identifier in who.given():
        if identifier in owners:
            return owners[identifier]
    raise NotFound(f"there is nobody with {_shown(who.given())}")


def _shown(given: Sequence[Identifier]) -> str:
    return ", ".join(f"{KIND_NAMES[kind]} {value!r}" for kind, value in given) or "no identifier"


def _taken(outcomes: Sequence[Outcome], bad: int) -> op.Taken:
    remarks = [
        op.Remark(place, _remark(outcome, identifier), identifier[1])
        for place, outcome in enumerate(outcomes)
        for identifier in outcome.ignored
    ] + [
        op.Remark(place, f"{PROFILE_FULL}; nothing of them was changed", "")
        for place, outcome in enumerate(outcomes)
        if outcome.refused is not None
    ]
    lost = sum(outcome.profile is None for outcome in outcomes)
    created = sum(outcome.created for outcome in outcomes)
    counts = op.Counts(
        created=created,
        updated=len(outcomes) - created - lost,
        events=sum(outcome.event is not None for outcome in outcomes),
        duplicates=sum(outcome.duplicate for outcome in outcomes),
        bad=bad + lost,
    )
    return op.Taken(counts=counts, remarks=tuple(remarks))


def _remark(outcome: Outcome, identifier: Identifier) -> str:
    name = KIND_NAMES[identifier[0]]
    if outcome.profile is None:
        return f"nobody here has this {name}: leave it out, or name somebody who is here"
    return f"another profile has this {name}; the rest of the row was taken. `feedd profile merge` makes them one"

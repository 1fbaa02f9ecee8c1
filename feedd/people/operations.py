"""What the command line asks of the people side, as values, each with the type of its answer. Pure.

They go to the daemon over its unix socket, or to `feedd.persons` of the same process; nothing else may send them. To add one: a class here,
its line in `Operation`, and its method in `feedd.persons`.
"""

from datetime import datetime
from typing import ClassVar, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from feedd.people.jobs import Job, StoredError
from feedd.people.values import Action, Event, Identifiers, Outcome, Profile

Answer = TypeVar("Answer")
Position = tuple[int, int]  # of an event in a timeline: Unix seconds, and its number


class Asking(Struct, Generic[Answer], frozen=True, kw_only=True):
    """One operation; `answer` is the type of what is answered."""

    answer: ClassVar[type]


# profiles


class FindProfile(Asking[Profile], tag="find-profile", frozen=True, kw_only=True):
    """The profile of somebody. Raises NotFound."""

    answer = Profile
    who: Identifiers


class Changed(Struct, frozen=True, kw_only=True):
    """A profile as it is now, and what became of the action that changed it."""

    profile: Profile
    outcome: Outcome


class SetProfile(Asking[Changed], tag="set-profile", frozen=True, kw_only=True):
    """Change a profile, or make it: `who` finds it, `action` says what changes and which identifiers it gets."""

    answer = Changed

    who: Identifiers
    action: Action


class Merged(Struct, frozen=True, kw_only=True):
    """The profile that is left, and the ids of those that are gone."""

    profile: Profile
    merged: tuple[str, ...]


class MergeProfiles(Asking[Merged], tag="merge-profiles", frozen=True, kw_only=True):
    """Make one profile of several. Raises NotFound."""

    answer = Merged

    sources: tuple[Identifiers, ...]
    into: Identifiers


class Deleted(Struct, frozen=True, kw_only=True):
    """Whose profile was deleted, by its id."""

    profile: str


class DeleteProfile(Asking[Deleted], tag="delete-profile", frozen=True, kw_only=True):
    """Delete what is known of a person; the events stay and name nobody. Raises NotFound."""

    answer = Deleted

    who: Identifiers


class Profiles(Struct, frozen=True):
    """A page of profiles; empty behind the last one."""

    profiles: list[Profile]


class ListProfiles(Asking[Profiles], tag="list-profiles", frozen=True, kw_only=True):
    """Profiles in the order in which they were made, behind the number `after`."""

    answer = Profiles

    after: int = 0
    limit: int = 1_000


# what is recorded


class Outcomes(Struct, frozen=True):
    """What became of actions, one each, in their order."""

    outcomes: list[Outcome]


class Record(Asking[Outcomes], tag="record", frozen=True, kw_only=True):
    """Record what people are and did, in order, as one."""

    answer = Outcomes

    actions: tuple[Action, ...]


class Counts(Struct, frozen=True, kw_only=True):
    """What became of the rows of an import."""

    created: int = 0  # profiles
    updated: int = 0  # profiles that were there, whether anything changed of them or not
    events: int = 0
    duplicates: int = 0  # of events
    bad: int = 0  # rows that were not taken

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__}
        )


class ImportState(Struct, frozen=True, kw_only=True):
    """How far an import is: `rows` of the file are behind it, bad ones too."""

    rows: int = 0
    counts: Counts = Counts()
    started_at: datetime
    finished_at: datetime | None = None


class BeginImport(Asking[ImportState], tag="begin-import", frozen=True, kw_only=True):
    """How far an import is: at its beginning, where it was interrupted, or done. `again` takes it from the beginning."""

    answer = ImportState

    id: str
    name: str
    again: bool = False


class Remark(Struct, frozen=True):
    """Something to say of an action, by its place among those that were sent."""

    action: int
    problem: str
    value: str


class Taken(Struct, frozen=True, kw_only=True):
    """What became of rows."""

    counts: Counts
    remarks: tuple[Remark, ...] = ()


class TakeRows(Asking[Taken], tag="take-rows", frozen=True, kw_only=True):
    """Take in the next rows of a file, and how far that brings it, in one transaction. With no `id`, nothing is kept of it.

    `begin` is how far the import was, `rows` how far it is then: another process that imports the same file is noticed.

    Raises:
        UsageError: (`busy`) the import is elsewhere by now.
    """

    answer = Taken

    id: str | None
    begin: int
    rows: int
    bad: int
    actions: tuple[Action, ...]
    ended: bool = False


# events


class Timeline(Struct, frozen=True, kw_only=True):
    """A page of events; `next` is where the next page begins, null at the end. `people` names whom it can, by the ids of profiles."""

    events: list[Event]
    next: Position | None = None
    people: dict[str, str] = {}


class ReadTimeline(Asking[Timeline], tag="read-timeline", frozen=True, kw_only=True):
    """Events, the newest first: of a profile, of a metric (its name or id), of both or of all. Raises NotFound."""

    answer = Timeline

    profile: str | None = None  # its id
    metric: str | None = None
    since: int | None = None
    after: Position | None = None
    limit: int = 100


class Following(Struct, frozen=True, kw_only=True):
    """Events as they were recorded, and how far that is."""

    events: list[Event]
    number: int
    people: dict[str, str] = {}


class FollowEvents(Asking[Following], tag="follow-events", frozen=True, kw_only=True):
    """Events in the order in which they were recorded, behind a number; with none, only where the end is."""

    answer = Following

    behind: int | None = None
    metric: str | None = None
    limit: int = 1_000


class MetricView(Struct, frozen=True, kw_only=True):
    """A metric, and how many events it has: in all, in the last 24 hours, in the last 7 days."""

    name: str
    id: str
    integration: str
    events: int
    day: int
    week: int
    last_at: datetime | None = None


class Metrics(Struct, frozen=True):
    """Every metric, the oldest first."""

    metrics: list[MetricView]


class ListMetrics(Asking[Metrics], tag="list-metrics", frozen=True, kw_only=True):
    """All metrics, with how much happens."""

    answer = Metrics


Measure = Literal["count", "unique", "sum"]
Interval = Literal["hour", "day", "week", "month"]


class Series(Struct, frozen=True):
    """The numbers of one value of the property, or of all events: one for each interval, and of the whole time."""

    value: str | None
    numbers: list[float]
    total: float


class Chart(Struct, frozen=True, kw_only=True):
    """When the intervals begin, and the numbers in them; `left_out` is how many values of the property are not told."""

    metric: str
    dates: list[datetime]
    series: list[Series]
    total: float
    left_out: int = 0


class ChartMetric(Asking[Chart], tag="chart-metric", frozen=True, kw_only=True):
    """Numbers of a metric (its name or id) over time; `property` splits them by its values. Raises NotFound, UsageError."""

    answer = Chart

    metric: str
    measure: Measure = "count"
    interval: Interval = "day"
    since: datetime
    until: datetime
    timezone: str = "UTC"
    property: str | None = None
    limit: int = 10


# jobs


class Jobs(Struct, frozen=True):
    """A page of jobs."""

    jobs: list[Job]


class ListJobs(Asking[Jobs], tag="list-jobs", frozen=True, kw_only=True):
    """What was sent in bulk over the API, the newest first, behind the number `after`."""

    answer = Jobs

    after: int | None = None
    waiting: bool = False  # those alone that are not done
    limit: int = 100


class JobReport(Struct, frozen=True, kw_only=True):
    """A job, and what was wrong with rows of it: a page."""

    job: Job
    errors: list[StoredError]


class ShowJob(Asking[JobReport], tag="show-job", frozen=True, kw_only=True):
    """A job by its id, with its errors behind the number `after`. Raises NotFound."""

    answer = JobReport

    id: str
    after: int = -1
    limit: int = 100


class CancelJob(Asking[Job], tag="cancel-job", frozen=True, kw_only=True):
    """Leave off with a job; what of it is done stays. Raises NotFound, UsageError (`ended`)."""

    answer = Job

    id: str


Operation = (
    FindProfile
    | SetProfile
    | MergeProfiles
    | DeleteProfile
    | ListProfiles
    | Record
    | BeginImport
    | TakeRows
    | ReadTimeline
    | FollowEvents
    | ListMetrics
    | ChartMetric
    | ListJobs
    | ShowJob
    | CancelJob
)

decoder = msgspec.json.Decoder(Operation)

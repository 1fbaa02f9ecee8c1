"""Jobs: what was sent in bulk, and is done by and by. Their kinds, how far one is, and what is wrong with a row. Pure."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

MOST_ROWS_OF_PART = 100
MOST_BYTES_OF_PART = 128 * 1024


class JobKind(StrEnum):
    """What a job does; the value is the name of its kind of resource."""

    PROFILES = "profile-bulk-import-job"
    EVENTS = "event-bulk-create-job"
    DELETION = "data-privacy-deletion-job"


class JobStatus(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETE = "complete"
    CANCELLED = "cancelled"


UNFINISHED = (JobStatus.QUEUED, JobStatus.PROCESSING)
FINISHED = (JobStatus.COMPLETE, JobStatus.CANCELLED)


class Job(Struct, frozen=True, kw_only=True):
    """A job. `total` rows were sent, `completed` of them were done, `failed` were not; `number` is the order of arrival."""

    number: int
    id: str
    kind: JobKind
    status: JobStatus
    total: int
    completed: int
    failed: int
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    expires_at: datetime


class Part(Struct, frozen=True, kw_only=True):
    """Some entries of a job, which are done in one transaction: a JSON array of them as they were sent.

    `first` is the place of the first one among all of the job, `rows` what they count: an entry with several events counts as many.
    """

    first: int
    rows: int
    payload: bytes


class Entry(Struct, frozen=True):
    """A JSON object of those that a job was sent, and for how many rows it counts."""

    text: bytes
    rows: int = 1


class RowError(Struct, frozen=True, kw_only=True):
    """Why a row was not done. `pointer` leads to it in the document that was sent, `payload` is the row as it stood there.

    `rows` is how many have failed by it: what is wrong with a person is so for all their events.
    """

    code: str
    title: str
    detail: str
    pointer: str
    payload: bytes | None = None
    rows: int = 1


class StoredError(Struct, frozen=True, kw_only=True):
    """A row's error as it is kept; `number` is its place among those of the job."""

    number: int
    error: RowError


class Done(Struct, frozen=True, kw_only=True):
    """What became of a part: how many rows were done, what is wrong with others, and whom it touched, by number."""

    completed: int
    errors: tuple[RowError, ...] = ()
    profiles: tuple[int, ...] = ()

    @property
    def failed(self) -> int:
        """How many rows were not done."""
        return sum(each.rows for each in self.errors)


def parts_of(entries: list[Entry]) -> list[Part]:
    """Entries in parts that are small enough to keep nobody waiting; one that is large alone has a part to itself."""
    parts: list[Part] = []
    begin = rows = size = 0
    for place, entry in enumerate(entries):
        is_full = (
            rows + entry.rows > MOST_ROWS_OF_PART or size + len(entry.text) > MOST_BYTES_OF_PART
        )
        if place > begin and is_full:
            parts.append(_part(entries, begin, place))
            begin, rows, size = place, 0, 0
        rows += entry.rows
        size += len(entry.text)
    if begin < len(entries):
        parts.append(_part(entries, begin, len(entries)))
    return parts


def _part(entries: list[Entry], begin: int, end: int) -> Part:
    chosen = entries[begin:end]
    payload = b"[" + b",".join(each.text for each in chosen) + b"]"
    return Part(first=begin, rows=sum(each.rows for each in chosen), payload=payload)

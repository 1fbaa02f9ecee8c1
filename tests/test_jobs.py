"""Jobs on both databases: each row is done once, what is wrong with one costs it alone, and all of it expires."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bulk import deletion_job, entry, event, event_job, import_job, profile, text
from daemons import wait_for
from people_rows import open_people

from feedd import intake, runner
from feedd.errors import NotFound, Overloaded, StoreError, UsageError
from feedd.jobs import Jobs, Progress
from feedd.people.jobs import Done, Job, JobKind, JobStatus, StoredError
from feedd.people.limits import MAX_STORED_BYTES
from feedd.people.values import Identifiers, Profile
from feedd.recording import Recorder
from feedd.store import job_reading
from feedd.store import jobs as stored
from feedd.store.database import Database
from feedd.store.events import read_timeline
from feedd.store.merging import merge
from feedd.store.profiles import find_profile
from feedd.store.recording import writing

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JANE = "jane.doe@example.com"
JOE = "joe@example.com"


@pytest.fixture
def people(place: intake.Place) -> Iterator[Database]:
    database = open_people(place)
    yield database
    database.close()


@pytest.fixture
def jobs(people: Database) -> Iterator[Jobs]:
    recorder = Recorder(people)
    yield Jobs(people, lambda: recorder, holder="here")
    recorder.stop()


def submit(jobs: Jobs, document: Any, now: datetime = NOW) -> Job:
    return jobs.submit(JobKind(document["data"]["type"]), text(document), now)


def finish(jobs: Jobs, now: datetime = NOW) -> list[tuple[int, int]]:
    """Do all that waits; what became of each part."""
    found = []
    while (progress := jobs.turn(now)) is not None:
        found.append((progress.completed, progress.failed))
    return found


def done(jobs: Jobs, people: Database, document: Any) -> tuple[Job, list[StoredError]]:
    """A job, done, and what was wrong with rows of it."""
    job = submit(jobs, document)
    finish(jobs)
    job = job_reading.read_job(people, job.id)
    assert job.status is JobStatus.COMPLETE
    assert job.completed + job.failed == job.total
    return job, job_reading.read_errors(people, job)


def find(people: Database, email: str) -> Profile:
    found = find_profile(people, Identifiers(email=email))
    assert found is not None
    return found


def test_profiles_are_imported_in_small_parts(jobs: Jobs, people: Database) -> None:
    before = submit(
        jobs, import_job(*(profile(f"p{n}@example.com", first_name="A") for n in range(230)))
    )
    assert (before.status, before.total, before.completed) == (JobStatus.QUEUED, 230, 0)
    assert jobs.waiting()[JobKind.PROFILES] == stored.Waiting(1, 230)
    progress = jobs.turn(NOW + timedelta(seconds=2))
    assert progress is not None
    assert (progress.job.status, progress.job.completed) == (JobStatus.PROCESSING, 100)
    assert finish(jobs, NOW + timedelta(seconds=3)) == [(100, 0), (30, 0)]
    job = job_reading.read_job(people, before.id)
    assert (job.status, job.completed, job.failed) == (JobStatus.COMPLETE, 230, 0)
    assert job.started_at == NOW + timedelta(seconds=2)
    assert job.completed_at == NOW + timedelta(seconds=3)
    assert job.expires_at == job.completed_at + job_reading.KEPT_FOR
    assert find(people, "p229@example.com").properties == {"$first_name": "A"}
    assert jobs.waiting()[JobKind.PROFILES] == stored.Waiting(0, 0)
    with people.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM job_parts").scalar_one() == 0


def test_a_bad_row_costs_itself_and_says_why(jobs: Jobs, people: Database) -> None:
    done(jobs, people, import_job(profile(JANE, external_id="C-1")))
    piece = "x" * (90 * 1024)
    for name in "ab":
        done(jobs, people, import_job(profile(JOE, properties={name: piece})))
    bad = [
        profile("jane.doe.example.com"),
        profile(phone_number="555"),
        profile(first_name="Jane"),
        profile(JOE, external_id="C-1"),
        profile(JANE, id="01JQZX3M8N4T5V6W7X8Y9ZABCD"),
        profile(JOE, properties={"c": piece}),
        {"type": "person", "attributes": {"email": JANE}},
        profile(JANE, properties={"d": "x" * MAX_STORED_BYTES}),
    ]
    assert 3 * len(piece) > MAX_STORED_BYTES
    job, errors = done(
        jobs, people, import_job(profile("ok@example.com"), *bad, profile(JANE, city="Oslo"))
    )
    assert (job.total, job.completed, job.failed) == (10, 1, 9)
    found = [
        (each.error.code, each.error.pointer.removeprefix("/data/attributes/profiles/data"))
        for each in errors
    ]
    assert found == [
        ("invalid_email", "/1/attributes/email"),
        ("invalid_phone_number", "/2/attributes/phone_number"),
        ("not_identified", "/3/attributes"),
        ("duplicate_profile", "/4/attributes/external_id"),
        ("not_found", "/5/id"),
        ("profile_too_large", "/6/attributes/properties"),
        ("invalid", "/7/type"),
        ("payload_too_large", "/8"),
        ("invalid", "/9/attributes/city"),
    ]
    assert [json.loads(each.error.payload or b"") for each in errors[:-1]] == bad
    assert all(each.error.detail and each.error.title for each in errors)
    assert find(people, JOE).properties.keys() == {"a", "b"}
    assert find(people, "ok@example.com")
    assert job_reading.read_errors(people, job, after=errors[6].number, limit=1) == errors[7:8]


def test_events_are_created_and_bad_ones_told(jobs: Jobs, people: Database) -> None:
    document = event_job(
        entry(
            profile(JANE, first_name="Jane"),
            event(unique_id="1"),
            event(time="yesterday"),
            event(value=2.5),
        ),
        entry(profile("nobody"), event(), event()),
        entry(profile(JANE), event(unique_id="1")),
        entry(profile(JOE)),
    )
    job, errors = done(jobs, people, document)
    assert (job.total, job.completed, job.failed) == (7, 3, 4)
    start = "/data/attributes/events-bulk-create/data"
    assert [(each.error.code, each.error.pointer) for each in errors] == [
        ("invalid_time", f"{start}/0/attributes/events/data/1/attributes/time"),
        ("invalid_email", f"{start}/1/attributes/profile/data/attributes/email"),
        ("invalid", f"{start}/3/attributes/events/data"),
    ]
    assert json.loads(errors[0].error.payload or b"") == event(time="yesterday")
    timeline = read_timeline(people, profile=find(people, JANE).number).events
    assert [(each.value, each.at) for each in timeline] == [(2.5, NOW), (None, NOW)]


def test_a_person_is_deleted_by_one_identifier(jobs: Jobs, people: Database) -> None:
    done(jobs, people, import_job(profile(JANE, first_name="Jane"), profile(JOE)))
    done(jobs, people, event_job(entry(profile(JANE), event(properties={"to": JANE}))))
    number = find(people, JANE).number
    job, errors = done(jobs, people, deletion_job(email="Jane.Doe@example.com"))
    assert (job.completed, errors) == (1, [])
    assert find_profile(people, Identifiers(email=JANE)) is None
    (left,) = read_timeline(people, profile=number).events
    assert left.properties == {"to": "redacted"}
    done(jobs, people, deletion_job(id=find(people, JOE).id))
    job, (error,) = done(jobs, people, deletion_job(email=JOE))
    assert (job.failed, error.error.code) == (1, "not_found")
    assert JOE not in error.error.detail
    assert "Nobody was deleted" in error.error.detail
    assert error.error.payload is None


def test_whom_an_import_has_touched_is_known_also_after_a_merge(
    jobs: Jobs, people: Database
) -> None:
    who = [JANE, JOE, "kim@example.com"]
    job, _ = done(jobs, people, import_job(*map(profile, [*who, JANE])))
    numbers = [find(people, email).number for email in who]
    assert job_reading.read_profiles(people, job) == [(n, n) for n in numbers]
    with writing(people) as connection:
        merge(connection, numbers[0], numbers[1], NOW)
        merge(connection, numbers[1], numbers[2], NOW)
    kim = numbers[2]
    assert job_reading.read_profiles(people, job, limit=2) == [(n, None) for n in numbers[:2]]
    assert job_reading.read_profiles(people, job, after=numbers[1]) == [(kim, kim)]
    assert [(n, each.number) for n, each in jobs.profiles(job, limit=1)] == [(kim, kim)]
    assert jobs.profiles(job, after=kim) == []
    done(jobs, people, import_job(profile("sam@example.com")))
    sam = find(people, "sam@example.com").number
    with writing(people) as connection:
        merge(connection, kim, sam, NOW)
    assert [each.number for _, each in jobs.profiles(job)] == [sam]


def test_jobs_are_done_in_the_order_in_which_they_came(jobs: Jobs, people: Database) -> None:
    asked = [submit(jobs, import_job(profile(JANE, first_name=name))) for name in "ABC"]
    submit(jobs, event_job(entry(profile(JANE), event())))
    finish(jobs)
    assert find(people, JANE).properties == {"$first_name": "C"}
    kinds = [JobKind.PROFILES]
    listed = job_reading.read_jobs(people, kinds=kinds, limit=2)
    assert [job.id for job in listed] == [asked[2].id, asked[1].id]
    rest = job_reading.read_jobs(people, kinds=kinds, after=listed[-1].number)
    assert [job.id for job in rest] == [asked[0].id]
    up = job_reading.read_jobs(people, kinds=kinds, descending=False, after=asked[0].number)
    assert [job.id for job in up] == [asked[1].id, asked[2].id]
    assert job_reading.read_jobs(people, statuses=["queued"]) == []
    with pytest.raises(NotFound):
        job_reading.read_job(people, asked[0].id, [JobKind.EVENTS])


def test_who_shares_the_database_does_no_part_twice(jobs: Jobs, people: Database) -> None:
    """Two do the same jobs, each a little ahead of what the other knows."""
    recorder = Recorder(people)
    other = Jobs(people, lambda: recorder, holder="there")
    job = submit(jobs, import_job(*(profile(f"p{n}@example.com") for n in range(301))))
    turn = stored.next_turn(people, "here", NOW)
    assert turn is not None
    assert other.turn(NOW) is not None
    with pytest.raises(stored.Elsewhere), writing(people) as connection:
        stored.finish_part(connection, turn, Done(completed=100), "here", NOW)
    assert jobs.turn(NOW) is None  # the other one has the lease
    later = NOW + stored.LEASE + timedelta(seconds=1)
    progress = jobs.turn(later)  # it has died
    assert progress is not None
    assert progress.job.completed == 200
    jobs.release()
    assert finish(other, later) == [(100, 0), (1, 0)]
    assert job_reading.read_job(people, job.id).completed == 301
    recorder.stop()


def test_two_at_once_do_each_row_once(people: Database) -> None:
    recorders = [Recorder(people), Recorder(people)]
    several = [
        Jobs(people, lambda recorder=recorder: recorder, holder=name)
        for recorder, name in zip(recorders, "ab", strict=True)
    ]
    for _ in range(4):
        submit(several[0], import_job(*(profile(f"p{n}@example.com") for n in range(150))))
    threads = [threading.Thread(target=finish, args=(each,)) for each in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = {(job.status, job.completed, job.failed) for job in job_reading.read_jobs(people)}
    assert found == {(JobStatus.COMPLETE, 150, 0)}
    for recorder in recorders:
        recorder.stop()


def test_a_bug_costs_the_row_that_meets_it(
    jobs: Jobs, people: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from feedd import jobs as module

    real = module.rows_of

    def breaks(kind: JobKind, part: Any, now_s: float) -> Any:
        rows = list(real(kind, part, now_s))
        if any(JOE in row.text.decode() for row in rows):
            raise RuntimeError("a bug")
        return rows

    monkeypatch.setattr(module, "rows_of", breaks)
    job, (error,) = done(
        jobs, people, import_job(profile(JANE), profile(JOE), profile("kim@example.com"))
    )
    assert (job.completed, job.failed) == (2, 1)
    assert (error.error.code, error.error.pointer) == (
        "internal",
        "/data/attributes/profiles/data/1",
    )
    assert json.loads(error.error.payload or b"") == profile(JOE)
    assert find(people, "kim@example.com")


def test_what_is_wrong_is_stored_whatever_it_names(jobs: Jobs, people: Database) -> None:
    bad = profile(JOE, **{"a\0b": 1})
    job, (error,) = done(jobs, people, import_job(bad, profile(JANE)))
    assert (job.completed, job.failed) == (1, 1)
    assert error.error.pointer == "/data/attributes/profiles/data/0/attributes/a\ufffdb"
    assert json.loads(error.error.payload or b"") == bad
    noted = event(properties={"a\0b": "x" * 200_000})
    job, (error,) = done(jobs, people, event_job(entry(profile(JANE), noted, event())))
    assert (job.completed, job.failed) == (1, 1)
    assert error.error.pointer.endswith("/properties/a\ufffdb")


def test_a_bug_in_what_another_daemon_has_begun_is_not_told_twice(
    jobs: Jobs, people: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from feedd import jobs as module

    job = submit(jobs, import_job(profile(JANE)))

    def breaks(*_: Any) -> Any:  # while the other one does the part
        turn = stored.next_turn(people, "there", NOW)
        assert turn is not None
        with writing(people) as connection:
            stored.finish_part(connection, turn, Done(completed=1), "there", NOW)
        raise RuntimeError("a bug")

    monkeypatch.setattr(module, "rows_of", breaks)
    progress = jobs.turn(NOW)
    assert progress is not None
    assert (progress.job.id, progress.completed, progress.failed) == (job.id, 0, 0)
    assert job_reading.read_job(people, job.id).completed == 1


def test_a_job_is_cancelled_and_what_is_done_stays(jobs: Jobs, people: Database) -> None:
    job = submit(jobs, import_job(*(profile(f"p{n}@example.com") for n in range(150))))
    jobs.turn(NOW)
    turn = stored.next_turn(people, "here", NOW)
    assert turn is not None
    with writing(people) as connection:
        cancelled = stored.cancel(connection, job, NOW)
    assert (cancelled.status, cancelled.completed) == (JobStatus.CANCELLED, 100)
    with pytest.raises(stored.Elsewhere), writing(people) as connection:
        stored.finish_part(connection, turn, Done(completed=50), "here", NOW)
    assert finish(jobs) == []
    assert find(people, "p99@example.com")
    assert find_profile(people, Identifiers(email="p100@example.com")) is None
    with pytest.raises(UsageError, match="ended already"), writing(people) as connection:
        stored.cancel(connection, job, NOW)
    assert jobs.sweep(NOW + timedelta(days=8), rest=lambda _: False) == 1


def test_too_many_jobs_are_refused(
    jobs: Jobs, people: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "MOST_WAITING", 2)
    document = import_job(profile(JANE))
    for _ in range(2):
        submit(jobs, document)
    with pytest.raises(Overloaded, match="2 such jobs are waiting"):
        submit(jobs, document)
    assert len(job_reading.read_jobs(people)) == 2
    submit(jobs, deletion_job(email="nobody@example.com"))  # another kind has a bound of its own
    jobs.turn(NOW)
    submit(jobs, document)
    monkeypatch.setattr(stored, "MOST_WAITING", 100)
    monkeypatch.setattr(stored, "MOST_WAITING_BYTES", 300)
    with pytest.raises(Overloaded, match="jobs are waiting"):
        submit(jobs, import_job(profile(JANE, first_name="A" * 300)))
    finish(jobs)
    submit(jobs, import_job(profile(JANE, first_name="A" * 300)))  # alone it may


def test_what_is_known_of_a_job_expires(jobs: Jobs, people: Database) -> None:
    old, _ = done(
        jobs, people, import_job(*(profile(f"p{n}@example.com") for n in range(5)), profile("x"))
    )
    waiting = submit(jobs, import_job(profile(JANE)))
    late = NOW + job_reading.KEPT_FOR + timedelta(seconds=1)
    assert jobs.sweep(NOW + timedelta(days=6), rest=lambda _: False) == 0
    assert jobs.sweep(late, rest=lambda _: False) == 1
    with pytest.raises(NotFound, match="7 days"):
        job_reading.read_job(people, old.id)
    with people.connect() as connection:
        for table in ("job_errors", "job_profiles"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 0
    assert finish(jobs, late) == [(1, 0)]
    assert job_reading.read_job(people, waiting.id).expires_at > late


def test_much_that_has_expired_goes_in_small_transactions(
    jobs: Jobs, people: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_BATCH", 4)
    done(
        jobs, people, import_job(*map(profile, [*(f"p{n}@example.com" for n in range(5)), *"xyz"]))
    )
    rests: list[float] = []
    late = NOW + timedelta(days=8)
    assert jobs.sweep(late, rest=lambda s: bool(rests.append(s))) == 1
    assert len(rests) == 3
    assert job_reading.read_jobs(people) == []


class Troubled(Jobs):
    """Has trouble the first time."""

    trouble: Exception | None = None

    def turn(self, now: datetime) -> Progress | None:
        if self.trouble is not None:
            error, self.trouble = self.trouble, None
            raise error
        return super().turn(now)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("trouble", [Overloaded(), StoreError("gone"), RuntimeError("a bug")])
def test_jobs_go_on_after_trouble(
    people: Database, trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "TROUBLE_S", 0.01)
    recorder = Recorder(people)
    jobs = Troubled(people, lambda: recorder, holder="here")
    jobs.trouble = trouble
    seen: list[Progress] = []
    thread = runner.Runner(jobs, on_progress=seen.append)
    thread.start()
    submit(jobs, import_job(profile(JANE)), datetime.now(UTC))
    wait_for(lambda: seen)
    assert seen[0].is_end
    thread.stop()
    recorder.stop()

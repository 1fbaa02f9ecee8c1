"""kill -9 while jobs are done: every row is done once, and every job that was taken is done in the end."""

import contextlib
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from bulk import deletion_job, entry, event, event_job, import_job, profile
from daemons import Running, running, wait_for, write_config
from people_rows import open_people

from feedd import intake
from feedd.people.jobs import JobKind, JobStatus
from feedd.people.values import Identifiers
from feedd.store import job_reading
from feedd.store.profiles import find_profile

KILLS = 3
JOBS = 3
ROWS = 400
EVENTS = 200


def post(daemon: Running, document: dict[str, Any]) -> int:
    status, _ = daemon.request("POST", f"/api/{document['data']['type']}s", document)
    return status


def rows_done(place: intake.Place) -> int:
    people = open_people(place)
    found = sum(job.completed + job.failed for job in job_reading.read_jobs(people))
    people.close()
    return found


def test_each_row_is_done_once_whatever_is_killed(place: intake.Place, tmp_path: Path) -> None:
    main = {"database": place.url} if place.url else {}
    chance = random.Random(1)
    taken = 0
    with running(write_config(tmp_path, {}, **main)) as daemon:
        for number in range(JOBS):
            people = [profile(f"p{n}@example.com", properties={"job": number}) for n in range(ROWS)]
            taken += post(daemon, import_job(*people, profile("nobody"))) == 202
            seen = [event(unique_id=f"{number}-{n}") for n in range(EVENTS // 20)]
            entries = [entry(profile(f"p{n}@example.com"), *seen) for n in range(20)]
            taken += post(daemon, event_job(*entries)) == 202
        taken += post(daemon, deletion_job(email="p0@example.com")) == 202
        for _ in range(KILLS):
            before = rows_done(place)
            wait_for(lambda before=before: rows_done(place) > before)  # type: ignore[misc]
            time.sleep(chance.uniform(0.0, 0.1))
            daemon.send(signal.SIGKILL)
            daemon.process.wait(10)
            daemon.start()
        last = JOBS * (ROWS + 1 + EVENTS) + 1
        wait_for(lambda: rows_done(place) >= last, 60)
        assert daemon.stop() == 0
    people = open_people(place)
    jobs = job_reading.read_jobs(people)
    assert len(jobs) == taken == 2 * JOBS + 1
    assert {(job.kind, job.status, job.completed, job.failed) for job in jobs} == {
        (JobKind.PROFILES, JobStatus.COMPLETE, ROWS, 1),
        (JobKind.EVENTS, JobStatus.COMPLETE, EVENTS, 0),
        (JobKind.DELETION, JobStatus.COMPLETE, 1, 0),
    }
    found = find_profile(people, Identifiers(email="p399@example.com"))
    assert found is not None
    assert found.properties == {"job": JOBS - 1}
    assert find_profile(people, Identifiers(email="p0@example.com")) is None
    with people.connect() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one()
        left = connection.exec_driver_sql("SELECT count(*) FROM job_parts").scalar_one()
        errors = connection.exec_driver_sql("SELECT count(*) FROM job_errors").scalar_one()
    assert (count, left, errors) == (JOBS * EVENTS, 0, JOBS)
    people.close()


def test_what_was_taken_is_there_after_kill_9_at_once(place: intake.Place, tmp_path: Path) -> None:
    main = {"database": place.url} if place.url else {}
    with running(write_config(tmp_path, {}, **main)) as daemon:
        assert post(daemon, import_job(profile("jane.doe@example.com"))) == 202
        daemon.send(signal.SIGKILL)
        daemon.process.wait(10)
        daemon.start()
        wait_for(lambda: rows_done(place) == 1)
        assert daemon.stop() == 0


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_two_daemons_on_one_database_do_each_row_once(place: intake.Place, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        daemons = []
        for name in "ab":
            folder = tmp_path / name
            folder.mkdir()
            config = write_config(folder, {}, database=place.url)
            daemons.append(stack.enter_context(running(config)))
        for number in range(4):
            rows = [profile(f"p{n}@example.com", properties={"job": number}) for n in range(400)]
            assert post(daemons[number % 2], import_job(*rows)) == 202
        wait_for(lambda: rows_done(place) >= 400)
        daemons[0].send(signal.SIGKILL)
        wait_for(lambda: rows_done(place) >= 1_600, 60)
        assert daemons[1].stop() == 0
        people = open_people(place)
        assert {(job.status, job.completed) for job in job_reading.read_jobs(people)} == {
            (JobStatus.COMPLETE, 400)
        }
        found = find_profile(people, Identifiers(email="p399@example.com"))
        assert found is not None
        assert found.properties == {"job": 3}
        people.close()

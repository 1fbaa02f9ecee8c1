"""Jobs on the command line, beside a daemon and without one."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bulk import import_job, profile, text
from daemons import Running, running, wait_for, write_config
from test_cli import Shell

from feedd.app import App
from feedd.people.jobs import JobKind
from feedd.settings import Settings

JANE = "jane.doe@example.com"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(write_config(tmp_path, {}))


@pytest.fixture
def daemon(shell: Shell) -> Iterator[Running]:
    with running(shell.config) as started:
        yield started


def test_jobs_are_listed_and_shown(shell: Shell, daemon: Running) -> None:
    assert "Nothing was sent" in shell("jobs")
    rows = [profile(JANE), profile("nobody"), profile(phone_number="555")]
    status, made = daemon.request("POST", "/api/profile-bulk-import-jobs", import_job(*rows))
    assert status == 202
    wait_for(lambda: shell.lines("jobs", "list")[0]["status"] == "complete")
    (listed,) = shell.lines("jobs")
    assert (listed["id"], listed["completed"], listed["failed"]) == (made["data"]["id"], 1, 2)
    shown = shell("jobs", "show", listed["id"], "--limit", "1")
    assert "complete: 1 of 3 rows done, 2 failed" in shown
    assert "/data/attributes/profiles/data/1/attributes/email  invalid_email: An email" in shown
    assert "to be deleted in" in shown
    assert "--limit shows more" in shown
    (told,) = shell.lines("jobs", "show", listed["id"])
    assert [each["row"] for each in told["errors"]] == rows[1:]
    assert "profiles" in shell("jobs")
    assert shell.lines("jobs", "--waiting") == []
    assert "ended already" in shell.failing(2, "jobs", "cancel", listed["id"])
    assert "no job" in shell.failing(2, "jobs", "show", "x")


def test_a_job_waits_for_a_daemon_and_can_be_cancelled(shell: Shell, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shell("identify", JANE)  # makes the databases
    app = App(Settings(state_dir=state, socket=state / "s"))
    document = text(import_job(profile(JANE), profile("joe@example.com")))
    job = app.jobs.submit(JobKind.PROFILES, document, datetime.now(UTC))
    app.close()
    assert [each["id"] for each in shell.lines("jobs", "--waiting")] == [job.id]
    assert "queued" in shell("jobs", "show", job.id)
    assert "2 rows of 2 will not be done" in shell("jobs", "cancel", job.id)
    assert shell.lines("jobs")[0]["status"] == "cancelled"

"""Files that are taken in: whatever breaks off an import at whatever chunk, the next run ends it as if nothing had been."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feedd import intake
from feedd.cli import transfer
from feedd.cli.transfer import Importing, Source
from feedd.errors import StoreError
from feedd.people import operations as op
from feedd.persons import Persons
from feedd.recording import Recorder
from feedd.store.database import Database, open_database

ROWS = 25
CHUNK = 4
BAD = (3, 4, 17)


class Backend:
    """Answers in this process, until it breaks off: before an operation is done, or after its commit and before its answer."""

    def __init__(self, people: Database, *, good_for: int = 1_000, answers: bool = True) -> None:
        self._persons = Persons(people, lambda: Recorder(people))
        self._left = good_for
        self._answers = answers

    def people(self, operation: op.Asking[Any]) -> Any:
        broken = False
        if isinstance(operation, op.TakeRows):
            broken = self._left == 0
            self._left -= 1
        if not broken or self._answers:
            answer = self._persons.answer(operation)
        if broken:
            raise StoreError("it broke off")
        return answer


@pytest.fixture
def people(place: intake.Place) -> Iterator[Database]:
    database = open_database("people", state_dir=Path(place.state_dir), url=place.url)
    yield database
    database.close()


@pytest.mark.parametrize("answers", [True, False], ids=["after its commit", "before it"])
@pytest.mark.parametrize("good_for", [0, 1, 6])
def test_an_import_that_breaks_off_is_ended_by_the_next(
    people: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    good_for: int,
    answers: bool,
) -> None:
    monkeypatch.setattr(transfer, "CHUNK_ROWS", CHUNK)
    path, errors = tmp_path / "events.jsonl", tmp_path / "errors.csv"
    path.write_text("".join(line(number) for number in range(1, ROWS + 1)))
    with pytest.raises(StoreError):
        imported(Backend(people, good_for=good_for, answers=answers), path, errors)
    assert imported(Backend(people), path, errors) == 1
    told = json.loads(capfd.readouterr().out)
    taken = CHUNK * (good_for + answers)
    assert told["resumed_after"] == min(taken, ROWS)
    assert (told["events"], told["duplicates"], told["bad_rows"]) == (ROWS - len(BAD), 0, len(BAD))
    with errors.open(newline="") as file:
        assert [int(row["line"]) for row in csv.DictReader(file)] == list(BAD)
    with people.connect() as connection:
        stored = connection.exec_driver_sql("SELECT at FROM events ORDER BY id").scalars().all()
    assert stored == [1767225600 + n for n in range(1, ROWS + 1) if n not in BAD]


def line(number: int) -> str:
    who = "nobody" if number in BAD else f"p{number % 7}@example.com"
    return json.dumps({"event": "A", "email": who, "time": 1767225600 + number}) + "\n"


def imported(backend: Backend, path: Path, errors: Path) -> int:
    with Source(str(path)) as source:
        importing = Importing(backend, source, "events", "jsonl")
        return importing.run(errors, again=False, as_json=True)


def test_rows_that_are_left_when_their_file_is_closed_are_let_go_of(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("Email\njane.doe@example.com\njoe@example.com\n")
    with path.open("rb") as stream:
        rows = transfer.csv_rows(stream)
        next(rows)
    rows.close()  # type: ignore[attr-defined]

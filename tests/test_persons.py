"""What the command line asks of the people side, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from feedd import intake
from feedd.errors import NotFound, UsageError
from feedd.people import operations as op
from feedd.people.limits import MAX_STORED_BYTES
from feedd.people.values import Action, Identifiers, Kind, NewEvent, Patch, Source
from feedd.persons import Persons
from feedd.recording import Recorder
from feedd.store import imports
from feedd.store.database import Database, open_database
from feedd.store.recording import writing

JANE = Identifiers(email="jane.doe@example.com")
JOE = Identifiers(email="joe@example.com")
STRANGE = "01JQZX3M8N4T5V6W7X8Y9ZABCD"


@pytest.fixture
def people(place: intake.Place) -> Iterator[Database]:
    database = open_database("people", state_dir=Path(place.state_dir), url=place.url)
    yield database
    database.close()


@pytest.fixture(params=["alone", "grouped"])
def persons(request: pytest.FixtureRequest, people: Database) -> Iterator[Persons]:
    recorder = Recorder(people)
    if request.param == "grouped":
        recorder.start()
    yield Persons(people, lambda: recorder)
    recorder.stop()


def known(who: Identifiers, **properties: object) -> Action:
    return Action(who=who, patch=Patch(set=properties), trusted=True, source=Source.IMPORT)


def did(who: Identifiers, metric: str, at: int = 1767225600, **more: object) -> Action:
    event = NewEvent(metric=metric, at=at, properties=b"{}", value=2.0)
    return Action(who=who, event=event, trusted=True)


def rows(begin: int, *actions: Action, bad: int = 0, ended: bool = False) -> op.TakeRows:
    end = begin + len(actions) + bad
    return op.TakeRows(id="x", begin=begin, rows=end, bad=bad, actions=actions, ended=ended)


def test_rows_of_a_file_are_taken_once_and_in_order(persons: Persons) -> None:
    begin = op.BeginImport(id="x", name="people.csv")
    assert persons.answer(begin).rows == 0
    taken = persons.answer(rows(0, known(JANE, a=1), known(JOE, a=1), bad=1))
    assert taken.counts == op.Counts(created=2, bad=1)
    for wrong in (rows(0, known(JANE, a=2)), rows(4, known(JANE, a=2))):
        with pytest.raises(UsageError, match="by another command"):
            persons.answer(wrong)
    persons.answer(rows(3, known(JOE, a=3), ended=True))
    assert persons.answer(op.FindProfile(who=JANE)).properties == {"a": 1}
    state = persons.answer(begin)
    assert (state.rows, state.counts) == (4, op.Counts(created=2, updated=1, bad=1))
    assert state.finished_at is not None
    assert persons.answer(op.BeginImport(id="x", name="", again=True)).rows == 0


def test_rows_behind_some_that_were_lost_are_not_taken(persons: Persons) -> None:
    persons.answer(op.BeginImport(id="x", name="people.csv"))
    persons.answer(rows(0, known(JANE, a=1)))
    with pytest.raises(UsageError, match="could not be stored") as caught:
        persons.answer(rows(3, known(JOE, a=1)))
    assert "1 rows are taken in" in caught.value.hint


def test_imports_of_long_ago_are_forgotten(people: Database) -> None:
    begun, now = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    with writing(people) as connection:
        imports.begin(connection, "x", "", begun, again=False)
        imports.advance(
            connection, "x", begin=0, rows=5, counts=op.Counts(), ended=False, now=begun
        )
        assert imports.begin(connection, "x", "", begun, again=False).rows == 5
        imports.begin(connection, "y", "", now, again=False)
        assert imports.begin(connection, "x", "", now, again=False).rows == 0


def test_rows_that_name_somebody_elses_identifier_are_told(persons: Persons) -> None:
    persons.answer(rows_of_nothing(known(JANE), known(Identifiers(external_id="C-1"))))
    both = Identifiers(email="jane.doe@example.com", external_id="C-1")
    taken = persons.answer(
        rows_of_nothing(
            known(JOE),
            known(both, a=1),
            known(Identifiers(profile=STRANGE)),
            known(Identifiers(profile=STRANGE, email="kim@example.com")),
        )
    )
    assert [(each.action, each.value) for each in taken.remarks] == [(1, "C-1"), (2, STRANGE)]
    assert taken.counts == op.Counts(created=2, updated=1, bad=1)
    assert persons.answer(op.FindProfile(who=JANE)).properties == {"a": 1}


def rows_of_nothing(*actions: Action) -> op.TakeRows:
    """Rows of what cannot be resumed."""
    return op.TakeRows(id=None, begin=0, rows=len(actions), bad=0, actions=actions)


def test_rows_that_would_make_a_profile_too_large_are_told(persons: Persons) -> None:
    piece = "x" * (MAX_STORED_BYTES // 2)
    taken = persons.answer(
        msgspec.structs.replace(rows(0, known(JANE, a=piece), known(JANE, b=piece)), id=None)
    )
    ((remark),) = taken.remarks
    assert remark.action == 1
    assert "256 KB" in remark.problem
    assert persons.find(JANE).properties.keys() == {"a"}


def test_a_profile_is_set_found_listed_merged_and_deleted(persons: Persons) -> None:
    new = Action(who=Identifiers(external_id="C-1"), patch=Patch(set={"a": 1}), trusted=True)
    made = persons.answer(op.SetProfile(who=JANE, action=new))
    assert made.outcome.created
    assert (made.profile.email, made.profile.external_id) == (JANE.email, "C-1")
    emptied = Action(who=JOE, patch=Patch(clear=(Kind.EXTERNAL,)), trusted=True)
    changed = persons.answer(op.SetProfile(who=JANE, action=emptied)).profile
    assert (changed.id, changed.email, changed.external_id) == (made.profile.id, JOE.email, None)
    persons.answer(op.Record(actions=(did(JANE, "Placed Order"),)))
    listed = persons.answer(op.ListProfiles()).profiles
    assert [each.email for each in listed] == [JOE.email, JANE.email]
    assert persons.answer(op.ListProfiles(after=listed[-1].number)).profiles == []
    merged = persons.answer(op.MergeProfiles(sources=(JANE,), into=JOE))
    assert (merged.profile.id, merged.merged) == (listed[0].id, (listed[1].id,))
    timeline = persons.answer(op.ReadTimeline(profile=merged.profile.id))
    assert [each.metric for each in timeline.events] == ["Placed Order"]
    persons.answer(op.DeleteProfile(who=JANE))
    for asked in (op.FindProfile(who=JOE), op.DeleteProfile(who=JANE), op.ReadTimeline(metric="A")):
        with pytest.raises(NotFound):
            persons.answer(asked)


def test_who_follows_misses_no_event_after_a_merge(persons: Persons) -> None:
    same = 1767225601
    persons.answer(op.Record(actions=(did(JANE, "A", same), did(JOE, "A", same))))
    end = persons.answer(op.FollowEvents()).number
    persons.answer(op.MergeProfiles(sources=(JOE,), into=JANE))
    for metric in "BC":
        persons.answer(op.Record(actions=(did(JANE, metric),)))
    found = persons.answer(op.FollowEvents(behind=end))
    assert [each.metric for each in found.events] == ["B", "C"]


def test_events_are_followed_in_the_order_in_which_they_were_recorded(persons: Persons) -> None:
    assert persons.answer(op.FollowEvents()).number == 0
    persons.answer(
        op.Record(actions=(did(JANE, "A", 1767225602), did(JOE, "B"), did(JANE, "A", 1767225601)))
    )
    page = persons.answer(op.FollowEvents(behind=0, limit=2))
    assert [each.metric for each in page.events] == ["A", "B"]
    assert sorted(page.people.values()) == [JANE.email, JOE.email]
    rest = persons.answer(op.FollowEvents(behind=page.number, metric="A"))
    assert [each.at.second for each in rest.events] == [1]
    assert persons.answer(op.FollowEvents(behind=rest.number)).number == rest.number == 3
    first, second = persons.answer(op.ListMetrics()).metrics
    assert (first.name, first.events, second.events) == ("A", 2, 1)
    assert first.last_at == datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)

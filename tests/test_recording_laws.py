"""The law of recording: how actions are grouped into transactions makes no difference."""

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd import intake
from feedd.people.values import Action, Identifiers, NewEvent, Patch
from feedd.store.database import Database, open_database
from feedd.store.profiles import read_profiles
from feedd.store.recording import record, writing

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
TABLES = ("profiles", "identifiers", "merges", "metrics", "events", "event_keys", "interests")

few = st.integers(0, 3).map(str)
WHO = st.builds(
    Identifiers,
    email=st.none() | few.map("u{}@example.com".format),
    phone_number=st.none() | st.sampled_from(["+4915112345678", "+4915112345679"]),
    external_id=st.none() | few,
    anonymous_ids=st.lists(few, max_size=2, unique=True).map(tuple),
).filter(lambda who: who.given())
VALUES = st.none() | st.integers(0, 2) | st.booleans() | st.just([1])
PATCHES = st.builds(
    Patch,
    set=st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2),
    append=st.dictionaries(st.just("c"), st.integers(0, 2), max_size=1),
    unset=st.just(()) | st.just(("a",)),
)
EVENTS = st.builds(
    NewEvent,
    metric=st.sampled_from(["Viewed", "Bought"]),
    at=st.integers(AT, AT + 2),
    properties=st.just(b"{}"),
    unique_id=st.none() | st.sampled_from(["x", "y"]),
    once=st.booleans(),
)
ACTIONS = st.builds(
    Action,
    who=WHO,
    patch=PATCHES,
    event=st.none() | EVENTS,
    trusted=st.booleans(),
    only_existing=st.sampled_from([False, False, True]),
)


def recorded(people: Database, groups: list[list[Action]]) -> Any:
    """What is stored after those transactions, and what each action was told; numbers of profiles and ids left aside."""
    with people.transaction() as connection:
        for table in TABLES:
            connection.exec_driver_sql(f"DELETE FROM {table}")
    told = []
    for group in groups:
        with writing(people) as connection:
            told += record(connection, group, NOW)
    with people.connect() as connection:
        profiles = read_profiles(connection)
        people_of = {each.number: _shown(each) for each in profiles}
        rows = connection.exec_driver_sql(
            "SELECT e.profile_id, m.name, e.at, e.keyed FROM events e JOIN metrics m ON m.id = e.metric_id"
            " ORDER BY e.id"
        ).all()
        identifiers = connection.exec_driver_sql(
            "SELECT kind, value, profile_id FROM identifiers WHERE kind > 0"
        ).all()
    return (
        sorted(map(repr, people_of.values())),
        [(people_of[number], *rest) for number, *rest in rows],
        sorted((kind, value, people_of[number]) for kind, value, number in identifiers),
        [(each.created, each.duplicate, each.ignored) for each in told],
    )


def _shown(profile: Any) -> str:
    known = (profile.email, profile.phone_number, profile.external_id, profile.anonymous_ids)
    return repr((known, sorted(profile.properties.items(), key=repr)))


@given(actions=st.lists(ACTIONS, max_size=12), borders=st.lists(st.integers(1, 12), max_size=3))
def test_grouping_makes_no_difference(
    place: intake.Place, actions: list[Action], borders: list[int]
) -> None:
    people = open_database("people", state_dir=Path(place.state_dir), url=place.url)
    cuts = [0, *sorted(borders), len(actions)]
    groups = [actions[start:end] for start, end in itertools.pairwise(cuts)]
    try:
        assert recorded(people, groups) == recorded(people, [[each] for each in actions])
    finally:
        people.close()


@pytest.mark.parametrize("keyed", [True, False])
def test_recording_the_same_again_changes_nothing(place: intake.Place, keyed: bool) -> None:
    people = open_database("people", state_dir=Path(place.state_dir), url=place.url)
    who = Identifiers(email="jane.doe@example.com", anonymous_ids=("d",))
    done = NewEvent(metric="Viewed", at=AT, properties=b"{}", unique_id="x" if keyed else None)
    action = Action(who=who, patch=Patch(set={"a": [1]}, append={"c": 1}), event=done)
    once = recorded(people, [[action]])
    again = recorded(people, [[action], [action]])
    people.close()
    assert again[:3] == once[:3]

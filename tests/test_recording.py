"""Actions become profiles, metrics and events: whose they are, what changes, what is a repeat."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from feedd import intake
from feedd.people.limits import MAX_STORED_BYTES
from feedd.people.values import (
    Action,
    Identifiers,
    Kind,
    NewEvent,
    Outcome,
    Patch,
    Profile,
    Refusal,
    Source,
)
from feedd.store import merging, profile_rows, recording
from feedd.store.database import Database, open_database
from feedd.store.profiles import find_profile
from feedd.store.recording import record, writing

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
JANE = Identifiers(email="jane.doe@example.com")


@pytest.fixture
def people(place: intake.Place) -> Iterator[Database]:
    database = open_database("people", state_dir=Path(place.state_dir), url=place.url)
    yield database
    database.close()


def event(metric: str = "Viewed Product", at: int = AT, **more: Any) -> NewEvent:
    properties = json.dumps(more.pop("properties", {})).encode()
    return NewEvent(metric=metric, at=at, properties=properties, **more)


def did(who: Identifiers, **more: Any) -> Action:
    return Action(who=who, event=event(**more))


def known(who: Identifiers, *, trusted: bool = False, **properties: Any) -> Action:
    return Action(who=who, patch=Patch(set=properties), trusted=trusted)


def told(people: Database, *actions: Action) -> list[Outcome]:
    with writing(people) as connection:
        return record(connection, actions, NOW)


def profile(people: Database, who: Identifiers) -> Profile:
    found = find_profile(people, who)
    assert found is not None
    return found


def stored(people: Database, query: str) -> list[tuple[Any, ...]]:
    with people.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_a_person_and_what_they_did(people: Database) -> None:
    properties = {"ProductID": "M-1", "Big": 2**70, "Nested": {"a": [1, None, 1.5]}}
    (outcome,) = told(
        people,
        Action(
            who=JANE,
            patch=Patch(set={"$first_name": "Jane", "plan": "gold", "score": 1.5, "n": 2**70}),
            event=event(properties=properties, value=9.5),
            source=Source.CLIENT,
        ),
    )
    assert outcome.created
    assert outcome.event == 1
    jane = profile(people, JANE)
    assert jane.number == outcome.profile
    assert jane.properties == {"$first_name": "Jane", "plan": "gold", "score": 1.5, "n": 2**70}
    assert (jane.email, jane.created_at, jane.last_event_at) == (JANE.email, NOW, NOW)
    assert len(jane.id) == 26
    ((text, value, source, at),) = stored(
        people, "SELECT properties, value, source, at FROM events"
    )
    assert json.loads(text) == properties
    assert (value, source, at) == (9.5, 1, AT)


def test_absent_stays_and_null_clears(people: Database) -> None:
    told(people, known(JANE, a=1, b=[1], c="x"))
    told(people, known(JANE, a=None, c="y", d=True))
    assert profile(people, JANE).properties == {"b": [1], "c": "y", "d": True}
    told(people, Action(who=JANE, patch=Patch(append={"b": [1, 2], "e": "z"}, unset=("c",))))
    told(people, Action(who=JANE, patch=Patch(unappend={"b": 1})))
    assert profile(people, JANE).properties == {"b": [2], "d": True, "e": ["z"]}


def test_a_profile_that_would_become_too_large_stays_and_the_event_is_recorded(
    people: Database,
) -> None:
    piece = "x" * (MAX_STORED_BYTES // 3)
    told(people, known(JANE, a=piece, b=piece))
    before = profile(people, JANE).properties
    for patch in (Patch(set={"c": piece}), Patch(append={"b": [piece + "y"]})):
        (outcome,) = told(
            people, Action(who=JANE, patch=patch, event=event(at=AT + len(patch.set)))
        )
        assert outcome.refused is Refusal.PROFILE_TOO_LARGE
        assert outcome.event is not None
        assert profile(people, JANE).properties == before
    (outcome,) = told(people, known(JANE, a=None, c=piece))
    assert outcome.refused is None
    assert profile(people, JANE).properties.keys() == {"b", "c"}


def test_two_that_became_one_too_large_may_shrink(people: Database) -> None:
    john = Identifiers(email="john.doe@example.com")
    piece = "x" * (MAX_STORED_BYTES // 3)
    numbers = [
        each.profile or 0
        for each in told(people, known(JANE, a=piece, b=piece), known(john, c=piece, d=piece))
    ]
    with writing(people) as connection:
        merging.merge(connection, numbers[1], numbers[0], NOW)
    assert profile(people, JANE).properties.keys() == {"a", "b", "c", "d"}
    assert told(people, known(JANE, e=1))[0].refused is Refusal.PROFILE_TOO_LARGE
    assert told(people, known(JANE, a=None))[0].refused is None


def test_whoever_is_not_trusted_makes_only_so_many_metrics(
    people: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_PUBLIC_METRICS", 2)
    outcomes = told(people, *(did(JANE, metric=name) for name in "abca"))
    assert [each.refused for each in outcomes] == [None, None, Refusal.TOO_MANY_METRICS, None]
    assert [each.duplicate for each in outcomes] == [False, False, False, True]
    trusted = Action(who=JANE, event=event("c"), trusted=True)
    assert told(people, trusted)[0].event is not None
    assert told(people, did(JANE, metric="c", at=AT + 1))[0].event is not None


def test_true_and_one_are_not_the_same(people: Database) -> None:
    told(people, known(JANE, a=1))
    told(people, known(JANE, a=True))
    assert profile(people, JANE).properties["a"] is True
    told(people, known(JANE, a=1.0))
    assert repr(profile(people, JANE).properties["a"]) == "1.0"


@pytest.mark.parametrize("together", [True, False])
def test_the_first_of_the_same_event_wins(people: Database, together: bool) -> None:
    actions = [
        did(JANE, unique_id="o-1", properties={"n": 1}),
        did(JANE, unique_id="o-1", at=AT + 9, properties={"n": 2}),
        did(JANE, unique_id="o-1", metric="Placed Order", properties={"n": 3}),
        did(JANE, properties={"n": 4}),
        did(JANE, properties={"n": 5}),
        did(JANE, at=AT + 1, properties={"n": 6}),
        did(JANE, unique_id=str(AT + 1), at=AT + 1, properties={"n": 7}),
        did(Identifiers(email="john.doe@example.com"), unique_id="o-1", properties={"n": 8}),
    ]
    outcomes = told(people, *actions) if together else [told(people, each)[0] for each in actions]
    assert [each.duplicate for each in outcomes] == [
        False,
        True,
        False,
        False,
        True,
        False,
        True,
        False,
    ]
    kept = [
        json.loads(row[0])["n"]
        for row in stored(people, "SELECT properties FROM events ORDER BY id")
    ]
    assert kept == [1, 3, 4, 6, 8]


@pytest.mark.parametrize("together", [True, False])
def test_once_is_once(people: Database, together: bool) -> None:
    actions = [
        did(JANE, once=True, at=AT),
        did(JANE, once=True, at=AT + 5),
        did(JANE, at=AT + 7),
        did(JANE, once=True, at=AT + 8, metric="Placed Order"),
    ]
    outcomes = told(people, *actions) if together else [told(people, each)[0] for each in actions]
    assert [each.duplicate for each in outcomes] == [False, True, False, False]


def test_anybody_adds_an_identifier_and_only_who_is_trusted_changes_one(people: Database) -> None:
    told(people, known(JANE, a=1))
    both = Identifiers(email=JANE.email, external_id="7")
    (outcome,) = told(people, Action(who=both))
    assert not outcome.ignored
    other = Identifiers(external_id="7", phone_number="+4915112345678")
    told(people, Action(who=other))
    assert profile(people, other).email == JANE.email
    changed = Identifiers(email=JANE.email, external_id="8")
    (outcome,) = told(people, Action(who=changed))
    assert outcome.ignored == ((Kind.EXTERNAL, "8"),)
    assert profile(people, JANE).external_id == "7"
    told(people, Action(who=changed, trusted=True))
    assert profile(people, JANE).external_id == "8"
    assert find_profile(people, Identifiers(external_id="7")) is None


@pytest.mark.parametrize("together", [True, False])
def test_an_anonymous_profile_becomes_known(people: Database, together: bool) -> None:
    device = Identifiers(anonymous_ids=("d-1",))
    actions = [
        did(device, at=AT - 60),
        did(Identifiers(email=JANE.email, anonymous_ids=("d-1",)), at=AT),
        did(device, at=AT + 60),
    ]
    outcomes = told(people, *actions) if together else [told(people, each)[0] for each in actions]
    assert len({each.profile for each in outcomes}) == 1
    jane = profile(people, JANE)
    assert jane.anonymous_ids == ("d-1",)
    assert stored(people, "SELECT DISTINCT profile_id FROM events") == [(jane.number,)]


@pytest.mark.parametrize("together", [True, False])
def test_an_anonymous_profile_is_merged_into_the_known_one(
    people: Database, together: bool
) -> None:
    device = Identifiers(anonymous_ids=("d-1",))
    actions = [
        known(JANE, a="hers", b="hers"),
        known(device, a="its", c="its"),
        did(JANE, unique_id="x"),
        did(device, unique_id="x"),
        did(JANE),
        did(device),
        did(device, at=AT + 1),
        did(Identifiers(email=JANE.email, anonymous_ids=("d-1",)), at=AT + 2),
        did(device, at=AT + 3),
    ]
    if together:
        told(people, *actions)
    else:
        for each in actions:
            told(people, each)
    jane = profile(people, device)
    assert jane == profile(people, JANE)
    assert jane.properties == {"a": "hers", "b": "hers", "c": "its"}
    assert [row[0] - AT for row in stored(people, "SELECT at FROM events ORDER BY at, id")] == [
        0,
        0,
        1,
        2,
        3,
    ]
    assert stored(people, "SELECT DISTINCT profile_id FROM events") == [(jane.number,)]
    assert stored(people, "SELECT count(*) FROM event_keys") == [(1,)]
    assert stored(people, "SELECT into_id FROM merges") == [(jane.number,)]


def test_a_device_that_changes_hands_is_the_last_ones(people: Database) -> None:
    device = ("d-1",)
    john = Identifiers(email="john.doe@example.com")
    told(people, Action(who=Identifiers(email=JANE.email, anonymous_ids=device)))
    told(people, Action(who=Identifiers(email=john.email, anonymous_ids=device)))
    assert profile(people, Identifiers(anonymous_ids=device)) == profile(people, john)
    assert profile(people, JANE).anonymous_ids == ()


PHONE = "+4915112345678"


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("other", [{"email": "john.doe@example.com"}, {"external_id": "8"}])
def test_a_phone_of_a_family_does_not_make_one_person_of_it(
    people: Database, trusted: bool, other: dict[str, str]
) -> None:
    hers = Identifiers(email=JANE.email, external_id="7", phone_number=PHONE)
    told(people, known(hers, **{"$first_name": "Jane"}))
    his = Identifiers(**other, phone_number=PHONE)
    (outcome,) = told(
        people,
        Action(who=his, patch=Patch(set={"$first_name": "John"}), event=event(), trusted=trusted),
    )
    assert outcome.created
    assert outcome.ignored == ((Kind.PHONE, PHONE),)
    assert profile(people, Identifiers(**other)).number == outcome.profile
    jane = profile(people, JANE)
    assert (jane.phone_number, jane.properties) == (PHONE, {"$first_name": "Jane"})
    assert profile(people, Identifiers(phone_number=PHONE)) == jane


def test_a_phone_decides_where_nothing_says_otherwise(people: Database) -> None:
    told(people, known(Identifiers(phone_number=PHONE), a=1))
    told(people, known(Identifiers(phone_number=PHONE, email=JANE.email), b=2))
    assert profile(people, JANE).properties == {"a": 1, "b": 2}


def test_what_does_not_decide_leaves_it_to_the_next(people: Database) -> None:
    told(people, known(Identifiers(email=JANE.email, phone_number=PHONE)))
    told(people, known(Identifiers(external_id="8"), a=1))
    both = Identifiers(email="john.doe@example.com", phone_number=PHONE, external_id="8")
    told(people, Action(who=both))
    assert profile(people, Identifiers(external_id="8")).email == "john.doe@example.com"


@pytest.mark.parametrize("trusted", [True, False])
def test_two_known_people_are_never_merged_by_the_way(people: Database, trusted: bool) -> None:
    told(people, known(JANE, a=1), known(Identifiers(external_id="9"), b=1))
    both = Identifiers(email=JANE.email, external_id="9")
    (outcome,) = told(people, Action(who=both, trusted=trusted, event=event()))
    assert outcome.ignored == ((Kind.EXTERNAL, "9"),)
    assert outcome.profile == profile(people, JANE).number
    assert profile(people, Identifiers(external_id="9")).properties == {"b": 1}


def test_a_profile_is_found_by_its_own_id_also_after_a_merge(people: Database) -> None:
    told(people, known(JANE, a=1), known(Identifiers(external_id="9"), b=1))
    jane, other = profile(people, JANE), profile(people, Identifiers(external_id="9"))
    with writing(people) as connection:
        merging.merge(connection, other.number, jane.number, NOW)
    for who in (
        Identifiers(profile=other.id),
        Identifiers(profile=jane.id),
        Identifiers(external_id="9"),
    ):
        assert profile(people, who).id == jane.id
    assert profile(people, JANE).external_id == "9"
    (outcome,) = told(people, Action(who=Identifiers(profile="01HUNKNOWN")))
    assert outcome.profile is None


def test_the_number_of_a_merged_profile_is_not_given_again(people: Database) -> None:
    told(people, known(JANE, a=1), known(Identifiers(external_id="9"), b=1))
    jane, other = profile(people, JANE), profile(people, Identifiers(external_id="9"))
    with writing(people) as connection:
        merging.merge(connection, other.number, jane.number, NOW)
    told(people, known(Identifiers(external_id="10"), c=1))
    assert profile(people, Identifiers(external_id="10")).number > other.number


def test_a_deleted_person_is_nobody(people: Database) -> None:
    told(
        people,
        known(JANE, **{"$first_name": "Jane", "$last_name": "Doe", "plan": "gold"}),
        did(
            JANE,
            properties={
                "$email": JANE.email,
                "note": "for JANE.DOE@example.com",
                "who": "Jane Doe",
                "ProductID": "M-1",
                "shipping_address": {"city": "Springfield", "lines": ["1 Main Street"]},
            },
        ),
    )
    number = profile(people, JANE).number
    with writing(people) as connection:
        assert merging.redact(connection, number, NOW) == 1
    assert find_profile(people, JANE) is None
    ((text,),) = stored(people, "SELECT properties FROM events")
    assert json.loads(text) == {
        "$email": "redacted",
        "note": "redacted",
        "who": "redacted",
        "ProductID": "M-1",
        "shipping_address": {"city": "redacted", "lines": ["redacted"]},
    }
    dump = str(
        stored(people, "SELECT * FROM profiles") + stored(people, "SELECT * FROM identifiers")
    )
    assert "jane" not in dump.lower()
    told(people, known(JANE, fresh=True))
    assert profile(people, JANE).properties == {"fresh": True}


def test_nothing_is_stored_of_a_batch_that_fails(people: Database) -> None:
    def fail() -> None:
        with writing(people) as connection:
            record(connection, [did(JANE)], NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert find_profile(people, JANE) is None
    assert stored(people, "SELECT count(*) FROM events") == [(0,)]


def test_events_are_numbered_in_the_order_of_recording(people: Database) -> None:
    outcomes = told(people, did(JANE, at=AT + 5), did(JANE, at=AT)) + told(people, did(JANE, at=1))
    assert [each.event for each in outcomes] == [1, 2, 3]


def test_ids_of_profiles_are_ulids_in_the_order_of_time() -> None:
    later = NOW.replace(hour=13)
    first, second = profile_rows.ulid(NOW), profile_rows.ulid(later)
    assert first < second
    assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", first)
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    milliseconds = 0
    for each in first[:10]:
        milliseconds = milliseconds * 32 + digits.index(each)
    assert milliseconds == int(NOW.timestamp() * 1000)


def strictly(who: Identifiers, *, clear: tuple[Kind, ...] = (), **more: Any) -> Action:
    patch = Patch(set=more.pop("properties", {}), clear=clear, leave=more.pop("leave", ()))
    return Action(who=who, patch=patch, trusted=True, strict=True, **more)


def test_what_is_to_be_new_is_made_once(people: Database) -> None:
    both = Identifiers(email=JANE.email, external_id="7")
    first, again, other = told(
        people, *[strictly(who, only_new=True) for who in (JANE, JANE, both)]
    )
    assert first.created
    for refused in (again, other):
        assert refused == Outcome(
            profile=first.profile,
            refused=Refusal.TAKEN,
            ignored=((Kind.EMAIL, "jane.doe@example.com"),),
        )
    device = Identifiers(anonymous_ids=("d",))
    made, taken = told(people, known(device), strictly(device, only_new=True))
    assert taken.profile == made.profile
    assert taken.refused is Refusal.TAKEN
    assert stored(people, "SELECT count(*) FROM profiles") == [(2,)]


@pytest.mark.parametrize(
    "who",
    [
        Identifiers(email=JANE.email, phone_number="+14155550123"),
        Identifiers(email="new@example.com", phone_number="+14155550123"),
        Identifiers(email=JANE.email, external_id="shop-2"),
    ],
)
def test_an_identifier_of_somebody_else_undoes_all_that_is_strict(people: Database, who) -> None:
    other = Identifiers(
        email="other@example.com", phone_number="+14155550123", external_id="shop-2"
    )
    told(people, known(JANE), known(other))
    before = stored(people, "SELECT * FROM profiles ORDER BY id")
    (outcome,) = told(people, strictly(who, properties={"plan": "gold"}))
    assert (outcome.profile, outcome.refused) == (2, Refusal.TAKEN)
    assert stored(people, "SELECT * FROM profiles ORDER BY id") == before
    assert stored(people, "SELECT count(*) FROM identifiers") == [(6,)]


def test_a_strict_change_of_nobody_makes_nobody(people: Database) -> None:
    (outcome,) = told(people, strictly(Identifiers(profile="01X", email=JANE.email)))
    assert outcome == Outcome(
        profile=None, refused=Refusal.NO_PROFILE, ignored=((Kind.PROFILE, "01X"),)
    )
    assert stored(people, "SELECT count(*) FROM profiles") == [(0,)]


def test_a_strict_change_that_is_too_large_leaves_the_identifiers_too(people: Database) -> None:
    told(people, known(JANE, a="x" * (MAX_STORED_BYTES - 100)))
    uid = profile(people, JANE).id
    who = Identifiers(profile=uid, email="new@example.com")
    (outcome,) = told(people, strictly(who, properties={"b": "x" * 200}))
    assert outcome.refused is Refusal.PROFILE_TOO_LARGE
    assert profile(people, Identifiers(profile=uid)).email == JANE.email


def test_a_strict_change_takes_in_a_device_and_changes_identifiers(people: Database) -> None:
    device = Identifiers(anonymous_ids=("d",))
    told(people, known(JANE), known(device, seen=1))
    who = Identifiers(
        profile=profile(people, JANE).id, email="new@example.com", anonymous_ids=("d",)
    )
    (outcome,) = told(people, strictly(who, clear=(Kind.PHONE,)))
    assert outcome.refused is None
    found = profile(people, device)
    assert (found.email, found.properties, found.anonymous_ids) == (
        "new@example.com",
        {"seen": 1},
        ("d",),
    )
    assert find_profile(people, JANE) is None


def test_a_device_is_given_up(people: Database) -> None:
    told(people, known(Identifiers(email=JANE.email, anonymous_ids=("a", "b"))))
    told(people, known(Identifiers(email="other@example.com", anonymous_ids=("c",))))
    told(people, Action(who=JANE, patch=Patch(leave=("a", "c")), trusted=False))
    assert profile(people, JANE).anonymous_ids == ("a", "b")
    told(people, Action(who=JANE, patch=Patch(leave=("a", "c", "x")), trusted=True))
    assert profile(people, JANE).anonymous_ids == ("b",)
    assert profile(people, Identifiers(anonymous_ids=("c",))).email == "other@example.com"


def test_a_merged_profile_is_as_old_as_the_older_of_the_two(people: Database) -> None:
    for who, now in ((JANE, NOW), (Identifiers(external_id="7"), NOW - timedelta(days=1))):
        with writing(people) as connection:
            record(connection, [known(who, a=1)], now)
    with writing(people) as connection:
        merging.merge(connection, 2, 1, NOW + timedelta(days=1))
    found = profile(people, JANE)
    assert (found.created_at, found.updated_at) == (
        NOW - timedelta(days=1),
        NOW + timedelta(days=1),
    )

"""Pages of profiles: each order, under each condition, is the plain sorted list; none comes twice or is left out."""

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people_rows import open_people

from feedd import intake
from feedd.people.values import Action, Identifiers, Kind, NewEvent, Patch, Profile
from feedd.store import merging, profile_pages
from feedd.store.database import Database
from feedd.store.profile_pages import Bound, Order, Position, Wanted, position_of, read_profile_page
from feedd.store.profiles import owners_of, read_profiles
from feedd.store.recording import record, writing

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
PEOPLE = 40
EMAILS = [f"{name}{n}@example.com" for n, name in enumerate("zmaqfb" * 7)]


@pytest.fixture
def people(place: intake.Place) -> Iterator[Database]:
    """People of a day, some with an address; a few were changed since, made one, or deleted."""
    database = open_people(place)
    dice = random.Random(5)
    for number in range(PEOPLE):
        known = Identifiers(
            email=EMAILS[number] if number % 3 else None,
            phone_number=f"+1415555{number:04}" if number % 4 == 0 else None,
            external_id=f"c-{number}",
            anonymous_ids=(f"kx-{number}",),
        )
        told(database, [Action(who=known, trusted=True)], at(number // 3))
    for number in range(0, PEOPLE, 3):
        who = Identifiers(external_id=f"c-{number}")
        patch = Patch(set={"seen": number})
        told(database, [Action(who=who, patch=patch, trusted=True)], at(dice.randrange(40)))
    numbers = [profile.number for profile in everybody(database)]
    with writing(database) as connection:
        for source, into in ((3, 20), (7, 2), (30, 31)):
            merging.merge(connection, numbers[source], numbers[into], at(50))
        merging.redact(connection, numbers[11], at(51))
    yield database
    database.close()


def at(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


def told(database: Database, actions: list[Action], now: datetime) -> None:
    with writing(database) as connection:
        record(connection, actions, now)


def everybody(database: Database) -> list[Profile]:
    with database.snapshot() as connection:
        return read_profiles(connection)


def ordered(profiles: list[Profile], order: Order, *, is_descending: bool) -> list[Profile]:
    """As the documentation has it."""
    keys: dict[Order, Any] = {
        Order.NUMBER: lambda each: each.number,
        Order.ID: lambda each: each.id,
        Order.EMAIL: lambda each: (each.email is None, each.email or "", each.number),
        Order.CREATED: lambda each: (each.created_at, each.number),
        Order.UPDATED: lambda each: (each.updated_at, each.number),
    }
    return sorted(profiles, key=keys[order], reverse=is_descending)


def paged(database: Database, wanted: Wanted, size: int) -> Iterator[list[Profile]]:
    behind: Position | None = None
    while page := read_profile_page(database, wanted, behind=behind, limit=size):
        yield page
        behind = position_of(page[-1], wanted.order)


def meets(profile: Profile, wanted: Wanted, owners: dict[Any, int]) -> bool:
    times = {Order.CREATED: profile.created_at, Order.UPDATED: profile.updated_at}
    compare: dict[str, Any] = {
        ">": datetime.__gt__, ">=": datetime.__ge__, "<": datetime.__lt__, "<=": datetime.__le__,
    }  # fmt: skip
    return all(
        compare[bound.comparison](times[bound.field], bound.at) for bound in wanted.bounds
    ) and all(
        profile.number in {owners.get(each) for each in group} for group in wanted.identifiers
    )


IDENTIFIERS = st.one_of(
    st.sampled_from([(Kind.EMAIL, email) for email in EMAILS]),
    st.sampled_from([(Kind.EXTERNAL, f"c-{n}") for n in range(PEOPLE + 2)]),
    st.sampled_from([(Kind.ANONYMOUS, f"kx-{n}") for n in range(PEOPLE)]),
)
BOUNDS = st.builds(
    Bound,
    st.sampled_from([Order.CREATED, Order.UPDATED]),
    st.sampled_from([">", ">=", "<", "<="]),
    st.integers(-2, 60).map(at),
)
WANTED = st.builds(
    Wanted,
    order=st.sampled_from(Order),
    is_descending=st.booleans(),
    identifiers=st.lists(st.frozensets(IDENTIFIERS, max_size=30), max_size=1).map(tuple),
    bounds=st.lists(BOUNDS, max_size=2).map(tuple),
)


def test_pages_are_the_sorted_list(people: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_them = everybody(people)
    assert len(all_of_them) == PEOPLE - 4
    given_ = [(Kind.EXTERNAL, f"c-{n}") for n in range(PEOPLE)]
    given_ += [(Kind.ANONYMOUS, f"kx-{n}") for n in range(PEOPLE)]
    with people.connect() as connection:
        owners = owners_of(connection, given_ + [(Kind.EMAIL, each) for each in EMAILS])

    @given(WANTED, st.integers(1, 50), st.sampled_from([0, 5, 5_000]))
    def check(wanted: Wanted, size: int, few: int) -> None:
        monkeypatch.setattr(profile_pages, "FEW", few)
        found = [profile for page in paged(people, wanted, size) for profile in page]
        meant = [profile for profile in all_of_them if meets(profile, wanted, owners)]
        assert found == ordered(meant, wanted.order, is_descending=wanted.is_descending)

    check()


def test_what_is_written_meanwhile_leaves_nobody_out(people: Database) -> None:
    for turn, (order, is_descending) in enumerate(itertools.product(Order, [False, True])):
        before = {profile.id: position_of(profile, order) for profile in everybody(people)}
        wanted = Wanted(order=order, is_descending=is_descending)
        seen: list[Profile] = []
        for number, page in enumerate(paged(people, wanted, 8)):
            seen += page
            if number > 2:
                continue  # whoever follows the end of a list would never be done
            new = Action(who=Identifiers(email=f"n{turn}.{number}@example.com"))
            who = Identifiers(external_id=f"c-{9 * number + 1}")
            changed = Action(who=who, patch=Patch(set={"n": f"{turn} {number}"}))
            told(people, [new, changed], at(60 + turn))
        ids = [profile.id for profile in seen]
        after = {profile.id: position_of(profile, order) for profile in everybody(people)}
        stayed = {id_ for id_, position in before.items() if after[id_] == position}
        assert all(ids.count(id_) == 1 for id_ in stayed)
        assert len(stayed) > 30


def test_an_old_id_and_an_old_address_lead_to_what_became_of_somebody(people: Database) -> None:
    told(people, [Action(who=Identifiers(email="old@example.com"))], at(70))
    (old,) = [each for each in everybody(people) if each.email == "old@example.com"]
    into = next(each for each in everybody(people) if each.external_id == "c-20")
    with writing(people) as connection:
        merging.merge(connection, old.number, into.number, at(71))
    for identifier in ((Kind.PROFILE, old.id), (Kind.EMAIL, "old@example.com")):
        for order in Order:
            wanted = Wanted(order=order, identifiers=(frozenset([identifier]),))
            assert [each.id for each in read_profile_page(people, wanted)] == [into.id]
    assert [each.id for each in read_profile_page(people, Wanted(order=Order.ID))].count(
        into.id
    ) == 1


def test_a_page_tells_when_everybody_did_something_last(people: Database) -> None:
    event = NewEvent(metric="Viewed", at=1_750_000_000, properties=b"{}")
    told(people, [Action(who=Identifiers(external_id="c-5"), event=event)], at(60))
    last = {each.external_id: each.last_event_at for each in read_profile_page(people, Wanted())}
    assert {name: moment for name, moment in last.items() if moment} == {
        "c-5": datetime.fromtimestamp(1_750_000_000, UTC)
    }

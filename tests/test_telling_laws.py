"""Who is told of what, for any sequence of what people do and what happens to items, is what a plain account of it says."""

import itertools
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from feeds import take_in
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import select, update

from feedd import intake
from feedd.app import App
from feedd.people.values import Action, Identifiers, NewEvent, Source
from feedd.settings import FeedSettings, Settings
from feedd.settings.secret import Secret
from feedd.store import audience, merging
from feedd.store.people_tables import EVENTS, PROFILES
from feedd.store.profiles import find_profile
from feedd.store.recording import writing
from feedd.store.tables import SYNCS

DAY = 86_400
START = int(datetime(2026, 5, 4, tzinfo=UTC).timestamp())
PEOPLE, ITEMS = ("ann", "ben", "cas"), ("1",)
METRICS = ("Viewed Product", "Placed Order", "Subscribed to Back in Stock")
EXAMPLES = int(os.environ.get("FEEDD_EXAMPLES", "12"))
_numbers = itertools.count(1)


class Killed(BaseException):
    """What ends a process at some point."""


class Did(NamedTuple):
    """Somebody did something with an item, so long before it was recorded."""

    metric: str
    who: str
    item: str
    ago_s: int
    by_catalog: bool


class Synced(NamedTuple):
    """The feed says this of its items."""

    prices: tuple[int, ...]
    quantities: tuple[int, ...]


class ReadOn(NamedTuple):
    """The stream is read on, by a process that is killed after so many transactions and started again."""

    killed_after: int | None


class Merged(NamedTuple):
    source: str
    into: str


class Waited(NamedTuple):
    seconds: int


_did = st.builds(
    Did,
    st.sampled_from(METRICS),
    st.sampled_from(PEOPLE),
    st.sampled_from(ITEMS),
    st.sampled_from([0, 0, 0, 0, 0, 0, 1, DAY, 31 * DAY, -DAY]),
    st.booleans(),
)
_synced = st.builds(
    Synced,
    st.tuples(*[st.sampled_from([100, 96, 90, 50])] * len(ITEMS)),
    st.tuples(*[st.sampled_from([0, 3])] * len(ITEMS)),
)
_steps = st.lists(
    _did
    | _did
    | _synced
    | _synced
    | st.builds(ReadOn, st.sampled_from([None, 1, 2]))
    | st.builds(Merged, st.sampled_from(PEOPLE), st.sampled_from(PEOPLE))
    | st.builds(Waited, st.sampled_from([1, 1, 20 * DAY])),
    min_size=12,
    max_size=24,
)


class Account:
    """The plain account: everything that happened, and from it who is to be told of which change."""

    def __init__(self) -> None:
        self.did: list[tuple[str, str, str, int]] = []
        self.items: dict[str, tuple[int, int]] = {}
        self.changes: list[tuple[int, str, tuple[int, int], tuple[int, int], int]] = []
        self.seq = 0
        self.told: set[tuple[str, int, str]] = set()

    def sync(self, synced: Synced, at: int) -> None:
        for item, new in zip(ITEMS, zip(*synced, strict=True), strict=True):
            old = self.items.get(item)
            self.items[item] = new
            if old != new:
                self.seq += 1
                if old is not None:
                    self.changes.append((self.seq, item, old, new, at))

    def merge(self, source: str, into: str) -> None:
        self.did = [(m, into if w == source else w, i, at) for m, w, i, at in self.did]
        self.told = {(into if w == source else w, seq, m) for w, seq, m in self.told}

    def read_on(self) -> None:
        for rule in ("Price Drop", "Back in Stock"):
            for change in self.changes:
                self._tell(rule, *change)
        self.changes = []

    def _tell(
        self, rule: str, seq: int, item: str, old: tuple[int, int], new: tuple[int, int], at: int
    ) -> None:
        drop = rule == "Price Drop"
        if drop and not (new[0] < old[0] and (old[0] - new[0]) * 20 >= old[0]):
            return
        if not drop and not old[1] == 0 < new[1]:
            return
        wish, end = (METRICS[0], METRICS[1]) if drop else (METRICS[2], "Back in Stock")
        for who in PEOPLE:
            times = [t for m, w, i, t in self.did if (m, w, i) == (wish, who, item) and t <= at]
            ends = [t for m, w, i, t in self.did if (m, w, i) == (end, who, item)]
            newest = max(times, default=None)
            if newest is None or newest <= max(ends, default=newest - 1):
                continue
            if not drop or newest >= at - 30 * DAY:
                self.told.add((who, seq, rule))
                self.did.append((rule, who, item, at))


class World:
    """The real thing, with a clock of its own; each example has a feed, items and people of its own."""

    def __init__(self, app: App, folder: Path) -> None:
        self.app, self.folder = app, folder
        self.number = next(_numbers)
        self.feed = f"shop{self.number}"
        feed = FeedSettings(name=self.feed, url="https://shop.example/feed", every_s=3600.0)
        app.reload(replace(app.settings, feeds={self.feed: feed}))
        self.first_seq = app.stream_position()[1]
        self.first_event = max([row.id for row in self._rows()], default=0)
        self.clock = START
        self.gone: dict[str, str] = {}

    def person(self, name: str) -> Identifiers:
        return Identifiers(email=f"{name}{self.number}@example.com")

    def did(self, did: Did) -> None:
        item = f"{self.number}-{did.item}"
        named = f"$custom:::$default:::{item}" if did.by_catalog else item
        event = NewEvent(
            metric=did.metric,
            at=self.clock - did.ago_s,
            properties=json.dumps({"Items": [{"ProductID": named}]}).encode(),
            unique_id=str(next(_numbers)),
        )
        self.app.recorder.record([Action(who=self.person(did.who), event=event)])

    def sync(self, synced: Synced) -> None:
        records = [
            {"id": f"{self.number}-{item}", "title": "Mug", "price": price, "inventory_quantity": n}
            for item, price, n in zip(ITEMS, *synced, strict=True)
        ]
        done = take_in(self.app.catalog, self.folder, records, feed=self.feed)
        at = datetime.fromtimestamp(self.clock, UTC) + timedelta(seconds=0.5)
        with self.app.catalog.transaction() as connection:
            connection.execute(update(SYNCS).where(SYNCS.c.id == done.id).values(finished_at=at))

    def merge(self, merged: Merged) -> bool:
        if merged.source == merged.into:
            return False
        numbers = [find_profile(self.app.people, self.person(name)) for name in merged]
        source, into = numbers
        if source is None or into is None or source.number == into.number:
            return False
        with writing(self.app.people) as connection:
            merging.merge(connection, source.number, into.number, datetime.now(UTC))
        return True

    def read_on(self, killed_after: int | None) -> None:
        committed = 0

        def pause(_: float) -> bool:
            nonlocal committed
            committed += 1
            if committed == killed_after:
                raise Killed
            return False

        telling = self.app.telling
        for _ in range(2):
            try:
                for rule in telling.rules():
                    while telling.read_on(rule, pause):
                        pass
            except Killed:
                continue

    def told(self, names: dict[str, str]) -> list[tuple[str, int, str]]:
        found = []
        for row in self._rows():
            if row.id > self.first_event and row.source == Source.FEEDD:
                said = json.loads(row.properties)
                metric = "Price Drop" if "PriceDrop" in said else "Back in Stock"
                found.append((names[row.email], said["ChangeSeq"] - self.first_seq, metric))
        return found

    def _rows(self) -> list[Any]:
        query = select(EVENTS, PROFILES.c.email).join(
            PROFILES, PROFILES.c.id == EVENTS.c.profile_id
        )
        with self.app.people.connect() as connection:
            return list(connection.execute(query))


@pytest.fixture
def app(place: intake.Place, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(audience, "MOST_AT_ONCE", 2)
    state = Path(place.state_dir)
    made = App(
        Settings(
            state_dir=state,
            socket=state / "feedd.sock",
            database=Secret(place.url) if place.url else None,
        )
    )
    made.telling.register()
    for rule in made.telling.rules():
        assert made.telling.settle(rule, lambda _: False)
    yield made
    made.close()


@given(steps=_steps)
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_everybody_is_told_of_what_concerns_them_once(
    app: App, tmp_path: Path, steps: list[Any]
) -> None:
    world, account = World(app, tmp_path), Account()
    alias = {name: name for name in PEOPLE}
    for step in [*steps, ReadOn(None)]:
        match step:
            case Did():
                world.did(step)
                at = world.clock - step.ago_s
                account.did.append((step.metric, alias[step.who], step.item, at))
            case Synced():
                world.sync(step)
                account.sync(step, world.clock)
            case ReadOn():
                world.read_on(step.killed_after)
                account.read_on()
            case Merged():
                if world.merge(step):
                    source, into = alias[step.source], alias[step.into]
                    account.merge(source, into)
                    alias = {n: into if a == source else a for n, a in alias.items()}
            case Waited():
                world.clock += step.seconds
    emails = {str(world.person(name).email): name for name in PEOPLE}
    told = world.told(emails)
    assert sorted(told) == sorted(account.told)

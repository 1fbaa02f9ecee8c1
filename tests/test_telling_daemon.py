"""The thread that tells people, alone and in a daemon that is killed."""

import json
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from daemons import Running, running, shop, wait_for, write_config
from feeds import item, take_in
from msgspec.structs import replace
from servers import FeedServer, feed_server

from feedd import intake
from feedd.app import App
from feedd.errors import StoreError
from feedd.people.values import Action, Identifiers, NewEvent
from feedd.settings import FeedSettings, Settings
from feedd.settings.secret import Secret
from feedd.teller import Teller

PEOPLE = 1_600


def views(count: int, item_id: str = "42") -> list[Action]:
    """As many people look at an item."""
    event = NewEvent(
        metric="Viewed Product",
        at=int(datetime.now(UTC).timestamp()) - 60,
        properties=json.dumps({"ProductID": item_id}).encode(),
    )
    return [
        Action(who=Identifiers(email=f"shopper{n}@example.com"), event=event) for n in range(count)
    ]


@pytest.fixture
def app(place: intake.Place) -> Iterator[App]:
    state = Path(place.state_dir)
    feed = FeedSettings(name="shop", url="https://shop.example/feed", every_s=3600.0)
    made = App(
        Settings(
            state_dir=state,
            socket=state / "feedd.sock",
            database=Secret(place.url) if place.url else None,
            feeds={"shop": feed},
        )
    )
    yield made
    made.close()


def told(app: App) -> int:
    return sum(each.told for each in app.telling.standings())


def test_it_is_woken_looks_for_itself_and_outlives_trouble(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teller = Teller(app, poll_s=60)
    teller.start()
    try:
        app.recorder.record(views(3))
        for price in (20, 10):
            take_in(app.catalog, tmp_path, [item("42", price=price)])
        teller.wake()
        wait_for(lambda: told(app) == 3)

        real: Callable[..., Any] = app.telling.read_on
        troubles = [StoreError("the disk is full"), RuntimeError("a bug")]

        def fail(*arguments: Any) -> Any:
            if troubles:
                raise troubles.pop()
            return real(*arguments)

        monkeypatch.setattr(app.telling, "read_on", fail)
        take_in(app.catalog, tmp_path, [item("42", price=5)])
        while told(app) == 3:
            teller.wake()
        wait_for(lambda: told(app) == 6)
        assert troubles == []
    finally:
        teller.stop()


def test_it_looks_by_itself_for_what_others_have_changed(app: App, tmp_path: Path) -> None:
    teller = Teller(app, poll_s=0.05)
    teller.start()
    try:
        app.recorder.record(views(1))
        for price in (20, 10):
            take_in(app.catalog, tmp_path, [item("42", price=price)])
        wait_for(lambda: told(app) == 1)
    finally:
        teller.stop()


def test_a_rule_that_a_reload_switches_on_is_registered(app: App, tmp_path: Path) -> None:
    off = replace(app.settings.price_drop, enabled=False)
    on = app.settings
    app.reload(replace(on, price_drop=off))
    teller = Teller(app, poll_s=0.05)
    teller.start()
    try:
        assert [each.rule for each in app.telling.standings()] == ["back_in_stock"]
        app.reload(on)
        teller.reload()
        wait_for(lambda: len(app.telling.standings()) == 2)
        app.recorder.record(views(1))
        for price in (20, 10):
            take_in(app.catalog, tmp_path, [item("42", price=price)])
        wait_for(lambda: told(app) == 1)
    finally:
        teller.stop()


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        yield made


def price_drops(daemon: Running) -> list[int]:
    """How many times each profile was told."""
    query = (
        "SELECT count(e.id) FROM profiles p LEFT JOIN events e ON e.profile_id = p.id AND e.source = 2 "
        "GROUP BY p.id"
    )
    with closing(sqlite3.connect(daemon.socket.parent / "people.db", timeout=20)) as connection:
        return [count for (count,) in connection.execute(query)]


def test_kill_9_while_people_are_told(tmp_path: Path, server: FeedServer) -> None:
    server.bodies["/shop.json"] = json.dumps([item("42", price=20)]).encode()
    config = write_config(tmp_path, {"shop": shop(server)})
    with running(config) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "applied")
        state = daemon.socket.parent
        app = App(Settings(state_dir=state, socket=daemon.socket))
        app.recorder.record(views(PEOPLE))
        app.close()
        rounds = 0
        while sum(price_drops(daemon)) == rounds * PEOPLE:  # until it was killed halfway
            rounds += 1
            daemon.stop(signal.SIGKILL)
            daemon.start()
            body = json.dumps([item("42", price=20 * 0.5**rounds)])
            server.bodies["/shop.json"] = body.encode()
            daemon.resync()
            wait_for(lambda before=(rounds - 1) * PEOPLE: sum(price_drops(daemon)) > before)
            daemon.stop(signal.SIGKILL)
        done = sum(price_drops(daemon))
        daemon.start()
        wait_for(lambda: sum(price_drops(daemon)) == rounds * PEOPLE)
        assert set(price_drops(daemon)) == {rounds}
        metrics = daemon.get("/metrics")
        assert 'feedd_rule_behind{rule="price_drop"} 0.0' in metrics
        assert (
            f'feedd_rule_told_total{{rule="price_drop"}} {float(rounds * PEOPLE - done)}' in metrics
        )
        line = [line for line in daemon.log() if line["event"] == "people.told"][-1]
        assert (line["rule"], line["items"]) == ("price_drop", 1)

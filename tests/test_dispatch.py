"""Syncs that are asked for: one a feed at a time, merged where one will do, never lost."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import FeedServer, feed_server

from feedd import dispatch
from feedd.app import App, build
from feedd.dispatch import Dispatcher, Ticket
from feedd.errors import NotFound, SyncStopped
from feedd.settings import FeedSettings, Settings


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        for name in ("one", "two"):
            made.bodies[f"/{name}"] = json.dumps([{"id": "a", "title": "Mug"}]).encode()
        yield made


@pytest.fixture
def app(server: FeedServer, tmp_path: Path) -> Iterator[App]:
    feeds = {
        name: FeedSettings(
            name=name, url=server.url(f"/{name}"), every_s=60.0, allow_private=("127.0.0.0/8",)
        )
        for name in ("one", "two")
    }
    made = build(Settings(state_dir=tmp_path / "state", socket=tmp_path / "s", feeds=feeds))
    yield made
    made.close()


def ended(ticket: Ticket) -> str:
    assert ticket.done.wait(20)
    assert ticket.error is None
    assert ticket.record is not None
    return str(ticket.record.status)


def begun(ticket: Ticket) -> Ticket:
    assert ticket.started.wait(20)
    return ticket


def test_a_sync_is_run_and_told_of(app: App) -> None:
    done: list[str] = []
    dispatcher = Dispatcher(app, on_done=lambda ticket: done.append(ticket.feed))
    assert ended(dispatcher.submit("one", trigger="resync")) == "applied"
    dispatcher.stop()
    assert done == ["one"]


def test_a_scheduled_sync_is_met_by_the_one_that_runs(app: App, server: FeedServer) -> None:
    server.delay.clear()
    dispatcher = Dispatcher(app)
    running = begun(dispatcher.submit("one", trigger="resync"))
    assert dispatcher.submit("one", trigger="schedule") is running
    server.delay.set()
    ended(running)
    dispatcher.stop()
    assert len(server.requests) == 1


def test_one_that_was_asked_for_runs_after_the_one_that_runs(app: App, server: FeedServer) -> None:
    server.delay.clear()
    dispatcher = Dispatcher(app)
    running = begun(dispatcher.submit("one", trigger="schedule"))
    second = dispatcher.submit("one", trigger="resync")
    third = dispatcher.submit("one", trigger="resync", accept_removals=True)
    assert second is third is not running
    assert second.accepted == b""
    server.delay.set()
    assert ended(running) == "applied"
    assert ended(second) == "unchanged"
    dispatcher.stop()
    assert len(server.requests) == 2


def test_a_slow_feed_does_not_delay_another(app: App, server: FeedServer) -> None:
    server.delay.clear()
    dispatcher = Dispatcher(app)
    slow = begun(dispatcher.submit("one", trigger="schedule"))
    other = begun(dispatcher.submit("two", trigger="schedule"))
    assert not slow.done.is_set()
    server.delay.set()
    assert ended(other) == ended(slow) == "applied"
    dispatcher.stop()


def test_stopping_ends_what_runs_and_what_waits(app: App, server: FeedServer) -> None:
    server.delay.clear()
    dispatcher = Dispatcher(app)
    running = begun(dispatcher.submit("one", trigger="schedule"))
    waiting = dispatcher.submit("one", trigger="resync")
    dispatcher.stop()
    assert isinstance(waiting.error, SyncStopped)
    assert running.record is not None
    assert running.record.error is not None
    assert running.record.error.code == "stopped"
    with pytest.raises(SyncStopped):
        dispatcher.submit("two", trigger="resync")
    server.delay.set()


def test_tickets_that_no_thread_has_taken_up_end_when_it_stops(
    app: App, server: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "MOST_AT_ONCE", 1)
    server.delay.clear()
    dispatcher = Dispatcher(app)
    begun(dispatcher.submit("one", trigger="schedule"))
    queued = dispatcher.submit("two", trigger="resync")
    dispatcher.stop()
    assert queued.done.is_set()
    assert isinstance(queued.error, SyncStopped)
    server.delay.set()


def test_what_goes_wrong_after_a_sync_costs_no_other(app: App) -> None:
    def broken(_ticket: Ticket) -> None:
        raise ZeroDivisionError

    dispatcher = Dispatcher(app, on_done=broken)
    assert ended(dispatcher.submit("one", trigger="resync")) == "applied"
    assert ended(dispatcher.submit("one", trigger="resync")) == "unchanged"
    dispatcher.stop()


def test_a_request_that_comes_twice_is_one(app: App) -> None:
    dispatcher = Dispatcher(app)
    first = dispatcher.submit("one", trigger="resync", request_id="a")
    ended(first)
    assert dispatcher.submit("one", trigger="resync", request_id="a") is first
    assert dispatcher.submit("one", trigger="resync", request_id="b") is not first
    assert dispatcher.submit("two", trigger="resync", request_id="a") is not first
    dispatcher.stop()


def test_what_is_accepted_is_what_was_held_when_it_was_typed(app: App, server: FeedServer) -> None:
    def products(count: int) -> bytes:
        return json.dumps([{"id": str(n), "title": "Mug"} for n in range(count)]).encode()

    dispatcher = Dispatcher(app)
    for count in (100, 60):
        server.bodies["/one"] = products(count)
        status = ended(dispatcher.submit("one", trigger="resync"))
    assert status == "held"
    server.delay.clear()
    server.bodies["/one"] = products(5)  # and meanwhile it gets worse
    running = begun(dispatcher.submit("one", trigger="schedule"))
    accepting = dispatcher.submit("one", trigger="resync", accept_removals=True)
    assert accepting is not running
    server.delay.set()
    assert ended(running) == ended(accepting) == "held"
    assert app.feed("one").items == 60
    assert app.feed("one").held_removals == 55
    dispatcher.stop()


def test_a_feed_that_is_not_there_is_refused_at_once(app: App) -> None:
    dispatcher = Dispatcher(app)
    with pytest.raises(NotFound, match="Configured feeds: one, two"):
        dispatcher.submit("three", trigger="resync")
    dispatcher.stop()


def test_a_bug_ends_its_sync_and_no_other(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise ZeroDivisionError

    dispatcher = Dispatcher(app)
    with monkeypatch.context() as patched:
        patched.setattr(app, "_read_body", broken)
        ticket = dispatcher.submit("one", trigger="resync")
        assert ticket.done.wait(20)
    assert isinstance(ticket.error, ZeroDivisionError)
    assert app.feed("one").error is not None
    assert ended(dispatcher.submit("one", trigger="resync")) == "applied"
    dispatcher.stop()


def test_many_who_ask_at_once_are_all_answered(app: App) -> None:
    dispatcher = Dispatcher(app)
    tickets: list[Ticket] = []
    threads = [
        threading.Thread(target=lambda: tickets.append(dispatcher.submit("one", trigger="resync")))
        for _ in range(30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {ended(ticket) for ticket in tickets} <= {"applied", "unchanged"}
    dispatcher.stop()


def test_cancelling_ends_what_runs_and_what_waits_of_one_feed(app: App, server: FeedServer) -> None:
    server.delay.clear()
    dispatcher = Dispatcher(app)
    running = begun(dispatcher.submit("one", trigger="schedule"))
    waiting = dispatcher.submit("one", trigger="resync")
    other = begun(dispatcher.submit("two", trigger="schedule"))
    assert dispatcher.depths() == (2, 1)
    assert dispatcher.cancel("one", sync_id=0) == []
    assert dispatcher.cancel("one") == [running, waiting]
    assert running.done.wait(20)
    assert running.record is not None
    assert running.record.error is not None
    assert running.record.error.code == "cancelled"
    assert isinstance(waiting.error, SyncStopped)
    assert dispatcher.cancel("one") == []
    server.delay.set()
    assert ended(other) == "applied"
    assert ended(dispatcher.submit("one", trigger="resync")) == "applied"
    dispatcher.stop()
    assert dispatcher.depths() == (0, 0)


def test_one_that_no_thread_has_taken_up_is_cancelled(
    app: App, server: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "MOST_AT_ONCE", 1)
    server.delay.clear()
    dispatcher = Dispatcher(app)
    first = begun(dispatcher.submit("one", trigger="schedule"))
    queued = dispatcher.submit("two", trigger="resync")
    assert dispatcher.cancel("two") == [queued]
    assert isinstance(queued.error, SyncStopped)
    server.delay.set()
    assert ended(first) == "applied"
    assert ended(dispatcher.submit("two", trigger="resync")) == "applied"
    dispatcher.stop()

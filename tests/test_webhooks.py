"""Webhooks over the databases, SQLite and PostgreSQL: what is told, once, in order, whoever delivers and whatever fails."""

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daemons import wait_for
from feeds import item, take_in
from msgspec.structs import replace
from receivers import Receiver, receiver
from sqlalchemy import text, update

from feedd import intake
from feedd.app import App
from feedd.errors import FeedError, NotFound, TooOld, UsageError
from feedd.outbox import Outbox
from feedd.settings import AlertSettings, FeedSettings, Settings, WebhookSettings
from feedd.settings.secret import Secret
from feedd.store import deliveries, webhooks
from feedd.store.commit import record_failed
from feedd.store.feeds import begin_sync
from feedd.store.outcomes import ended_syncs, newest_sync
from feedd.store.tables import DELIVERIES, STREAM, WEBHOOKS
from feedd.store.webhooks import LeaseLost, Start
from feedd.webhooks import COMMAND

NOW = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


class Shop:
    """An App whose feeds a test writes, and a receiver."""

    def __init__(self, place: intake.Place, folder: Path, sink: Receiver) -> None:
        self.place = place
        self.folder = folder
        self.sink = sink
        self.app = self.another("state")

    def another(self, folder: str, **more: Any) -> App:
        """An App on the same databases; in another directory that is another daemon, where they are PostgreSQL."""
        state = self.folder / folder
        state.mkdir(exist_ok=True)
        return App(
            Settings(
                state_dir=state,
                socket=state / "feedd.sock",
                database=Secret(self.place.url) if self.place.url else None,
                feeds={
                    name: FeedSettings(name=name, url="https://shop.example/feed", every_s=3600.0)
                    for name in ("shop", "outlet")
                },
                webhooks={"erp": self.webhook(**more)},
            )
        )

    def webhook(self, **more: Any) -> WebhookSettings:
        values: dict[str, Any] = {
            "name": "erp",
            "url": self.sink.url(),
            "secrets": (Secret(self.sink.secret),),
            "events": ("changes",),
            "allow_private": ("127.0.0.0/8",),
        }
        return WebhookSettings(**(values | more))

    def configure(self, alerts: AlertSettings | None = None, **more: Any) -> None:
        self.app.reload(
            replace(
                self.app.settings,
                webhooks={"erp": self.webhook(**more)},
                alerts=alerts or AlertSettings(),
            )
        )

    def sync(self, count: int, feed: str = "shop", **fields: Any) -> None:
        records = [item(str(n), **fields) for n in range(count)]
        take_in(self.app.catalog, self.folder, records, feed=feed)

    @contextlib.contextmanager
    def delivering(self, app: App | None = None) -> Iterator[Outbox]:
        outbox = Outbox(app or self.app, poll_s=0.1)
        outbox.start()
        try:
            yield outbox
        finally:
            outbox.stop()

    def settled(self) -> bool:
        view = self.app.webhooks.view("erp")
        return view.waiting == 0 and not view.behind

    def dead(self) -> list[Any]:
        return self.app.webhooks.deliveries(names=["erp"], status="dead")


@pytest.fixture
def shop(place: intake.Place, tmp_path: Path) -> Iterator[Shop]:
    with receiver() as sink:
        made = Shop(place, tmp_path, sink)
        yield made
        made.app.close()


def test_a_new_webhook_begins_at_the_end(shop: Shop) -> None:
    shop.sync(3)
    with shop.delivering():
        shop.sync(3, price=1)
        wait_for(lambda: shop.sink.seqs() == [4, 5, 6])
        view = shop.app.webhooks.view("erp")
    assert (view.status, view.seq, view.behind) == ("ok", 6, 0)


@pytest.mark.parametrize(("since", "expected"), [(0, [1, 2, 3]), (2, [3]), (99, [])])
def test_it_begins_where_the_configuration_says(
    shop: Shop, since: int, expected: list[int]
) -> None:
    shop.sync(3)
    shop.configure(since=since)
    with shop.delivering():
        wait_for(shop.settled)
        shop.sync(4)
        wait_for(lambda: shop.sink.seqs() == [*expected, 4])


def test_only_what_is_wanted_is_told(shop: Shop) -> None:
    shop.configure(feeds=("shop",), kinds=("updated", "removed"), fields=("price",))
    with shop.delivering():
        shop.sync(8)
        shop.sync(8, feed="outlet")
        shop.sync(8, title="Cup")
        shop.sync(7, title="Cup", price=4)
        wait_for(shop.settled)
        wait_for(lambda: len(shop.sink.seqs()) == 8)
    kinds = [c["kind"] for data in shop.sink.told("catalog.changes") for c in data["changes"]]
    assert sorted(kinds) == ["removed", *["updated"] * 7]


def test_a_long_backlog_is_read_in_order_and_kept_in_one_row(shop: Shop) -> None:
    shop.app.webhooks.register(NOW)
    shop.sync(1_000)
    shop.sink.answer = lambda _path, _message: 503
    with shop.delivering():
        wait_for(lambda: shop.sink.received)
        wait_for(lambda: shop.app.webhooks.view("erp").status == "failing")
        assert len(shop.app.webhooks.deliveries()) == 1
    shop.sink.answer = lambda _path, _message: 200
    _hurry(shop)
    with shop.delivering():
        wait_for(lambda: len(shop.sink.seqs()) == 1_000)
    assert shop.sink.seqs() == list(range(1, 1_001))
    assert all(len(body) < 20_000 for body in shop.sink.bodies)


def _hurry(shop: Shop, **more: Any) -> None:
    """Make the next try due, as if its pause were over."""
    with shop.app.people.transaction() as connection:
        connection.execute(update(DELIVERIES).values(next_try_at=NOW - timedelta(days=1), **more))


def test_after_the_last_try_a_message_is_dead_and_the_next_has_its_turn(shop: Shop) -> None:
    shop.app.webhooks.register(NOW)
    shop.sync(2)
    shop.sink.answer = lambda _path, _message: 500
    with shop.delivering():
        wait_for(lambda: shop.app.webhooks.view("erp").status == "failing")
    shop.sync(2, price=1)
    _hurry(shop, tries=9)
    with shop.delivering():
        wait_for(shop.dead)
        wait_for(lambda: [d for d in shop.app.webhooks.deliveries(status="waiting") if d.tries])
        (dead,) = shop.dead()
        assert (dead.tries, dead.first_seq, dead.last_seq, dead.http_status) == (10, 1, 2, 500)
        assert dead.reason == "the receiver answered 500"
        shop.sink.answer = lambda _path, _message: 200
        assert shop.app.webhooks.replay("erp", delivery=dead.id) == 1
        wait_for(lambda: shop.sink.seqs() == [1, 2])
    _hurry(shop)
    with shop.delivering():
        wait_for(lambda: shop.sink.seqs() == [1, 2, 3, 4])


def test_retry_after_is_obeyed(shop: Shop) -> None:
    shop.app.webhooks.register(NOW)
    shop.sync(1)
    shop.sink.answer = lambda _path, _message: (429, {"Retry-After": "3600"})
    with shop.delivering():
        wait_for(lambda: shop.app.webhooks.view("erp").status == "failing")
    (waiting,) = shop.app.webhooks.deliveries()
    assert waiting.next_try is not None
    assert 3_500 < (waiting.next_try - datetime.now(UTC)).total_seconds() <= 3_600


def test_redirects_are_failures_and_not_followed(shop: Shop) -> None:
    shop.app.webhooks.register(NOW)
    shop.sync(1)
    shop.sink.answer = lambda path, _message: (
        (302, {"Location": shop.sink.url("/other")}) if path == "/hook" else 200
    )
    with shop.delivering():
        wait_for(lambda: shop.app.webhooks.view("erp").status == "failing")
    assert "redirect" in (shop.app.webhooks.view("erp").error or "")
    assert len(shop.sink.received) == 1


def test_a_gap_is_said(shop: Shop) -> None:
    shop.app.webhooks.register(NOW)
    shop.sync(5)
    with shop.app.catalog.transaction() as connection:
        connection.execute(update(STREAM).values(oldest_seq=4))
    with shop.delivering():
        wait_for(lambda: shop.sink.seqs() == [4, 5])
    (gap,) = shop.sink.told("stream.gap")
    assert (gap["first_seq"], gap["last_seq"]) == (1, 3)
    assert [message["type"] for message in shop.sink.accepted] == ["stream.gap", "catalog.changes"]
    with pytest.raises(TooOld):
        shop.app.webhooks.replay("erp", since=2)
    assert shop.app.webhooks.replay("erp", since=0) == 2


def test_another_history_is_said_and_begun_at_its_end(shop: Shop) -> None:
    shop.configure(events=("changes", "syncs"))
    shop.app.webhooks.register(NOW)
    shop.sync(2)
    before = shop.app.stream_position()[0]
    with shop.app.catalog.transaction() as connection:
        connection.execute(update(STREAM).values(stream_id="restored"))
    with shop.delivering():
        wait_for(lambda: shop.sink.told("stream.restarted"))
        shop.sync(2, price=1)
        wait_for(lambda: shop.sink.seqs() == [3, 4])
        wait_for(lambda: len(shop.sink.told("sync.finished")) == 1)
    (restart,) = shop.sink.told("stream.restarted")
    assert restart == {"stream": "restored", "previous_stream": before, "last_seq": 2}


def test_what_is_asked_for_later_begins_then(shop: Shop) -> None:
    shop.configure(events=("alerts",))
    with shop.delivering() as outbox:
        shop.sync(2)
        assert shop.app.webhooks.view("erp").seq is None
        shop.configure(events=("changes", "syncs"))
        outbox.reload()
        wait_for(lambda: shop.app.webhooks.view("erp").seq == 2)
        shop.sync(3)
        wait_for(lambda: shop.sink.seqs() == [3] and len(shop.sink.told("sync.finished")) == 1)


def test_syncs_are_told_as_they_end_and_none_is_left_out(shop: Shop) -> None:
    shop.configure(events=("syncs",))
    shop.app.webhooks.register(NOW)
    slow = begin_sync(
        shop.app.catalog, "outlet", trigger="schedule", holder="test", now=datetime.now(UTC)
    )
    with shop.delivering():
        shop.sync(1)
        shop.sync(2)
        wait_for(lambda: len(shop.sink.told("sync.finished")) == 2)
        record_failed(
            shop.app.catalog,
            slow,
            FeedError("timeout", "the server did not answer in time"),
            retry_at=None,
            now=datetime.now(UTC),
            duration_s=1.0,
        )
        wait_for(lambda: len(shop.sink.told("sync.finished")) == 3)
    told = [(data["sync"], data["status"]) for data in shop.sink.told("sync.finished")]
    assert told[2] == (slow.sync_id, "failed")
    assert len({number for number, _ in told}) == 3
    assert slow.sync_id < told[0][0] < told[1][0]


def test_the_cursor_among_syncs_stays_small(shop: Shop) -> None:
    for number in range(5):
        shop.sync(number + 1)
    later = datetime.now(UTC) + timedelta(hours=1)
    newest = newest_sync(shop.app.catalog)
    ended = ended_syncs(shop.app.catalog, 0, (), later)
    assert ended.syncs == (1, 2, 3, 4, 5)
    assert ended.settled == newest == 5
    assert ended_syncs(shop.app.catalog, 0, (1, 2, 4), later).syncs == (3, 5)
    now = ended_syncs(shop.app.catalog, 0, (), datetime.now(UTC))
    assert now.settled == 0  # the young ones may have company yet


def test_unchanged_syncs_are_told_only_when_asked_for(shop: Shop) -> None:
    shop.configure(events=("unchanged",), feeds=("shop",))
    shop.app.webhooks.register(NOW)
    shop.sync(1)
    with shop.app.catalog.transaction() as connection:
        connection.execute(text("UPDATE syncs SET status = 'unchanged'"))
    shop.sync(2)
    with shop.delivering():
        wait_for(lambda: shop.sink.told("sync.finished"))
        time.sleep(0.3)
    assert [data["status"] for data in shop.sink.told("sync.finished")] == ["unchanged"]


def test_one_of_several_daemons_delivers(shop: Shop) -> None:
    if shop.place.url is None:
        pytest.skip("a state directory has one daemon")
    shop.app.webhooks.register(NOW)
    other = shop.another("other")
    assert other.holder != shop.app.holder
    with shop.delivering(), shop.delivering(other):
        for price in range(6):
            shop.sync(150, price=price)
        wait_for(lambda: len(set(shop.sink.seqs())) == 900, 40)
        wait_for(shop.settled)
    other.close()
    assert shop.sink.seqs() == list(range(1, 901))  # in order, and nothing twice


def test_a_worker_that_was_overtaken_writes_nothing(shop: Shop) -> None:
    shop.app.webhooks.register(NOW)
    people = shop.app.people
    first = webhooks.claim(people, "erp", "one", NOW)
    assert first is not None
    assert webhooks.claim(people, "erp", "two", NOW + timedelta(seconds=59)) is None
    second = webhooks.claim(people, "erp", "two", NOW + timedelta(seconds=61))
    assert second is not None
    with pytest.raises(LeaseLost):
        webhooks.advance(people, first, now=NOW, seq=99)
    with pytest.raises(LeaseLost):
        webhooks.current(people, first)
    webhooks.release(people, first)  # is not its to release
    assert webhooks.claim(people, "erp", "three", NOW + timedelta(seconds=62)) is None
    webhooks.release(people, second)
    assert webhooks.claim(people, "erp", "three", NOW + timedelta(seconds=62)) is not None


def test_a_replay_is_not_lost_to_a_worker_that_was_planning(shop: Shop) -> None:
    shop.sync(5)
    shop.app.webhooks.register(NOW)
    people = shop.app.people
    planning = webhooks.claim(people, "erp", "one", NOW)
    assert planning is not None
    assert planning.seq == 5
    shop.app.webhooks.replay("erp", since=1)
    with pytest.raises(LeaseLost):
        webhooks.advance(people, planning, now=NOW, seq=5)
    assert webhooks.read_endpoints(people)["erp"].seq == 1


def test_a_replay_takes_the_place_of_what_waits(shop: Shop) -> None:
    shop.app.webhooks.register(NOW)
    shop.sync(3)
    shop.sink.answer = lambda _path, _message: 500
    with shop.delivering():
        wait_for(lambda: shop.app.webhooks.view("erp").status == "failing")
        shop.sink.answer = lambda _path, _message: 200
        shop.app.webhooks.replay("erp", since=1)
        wait_for(lambda: shop.sink.seqs() == [2, 3])
        wait_for(shop.settled)
    assert shop.app.webhooks.deliveries() == []


def test_what_cannot_be_replayed_is_said(shop: Shop) -> None:
    with pytest.raises(NotFound, match="Configured webhooks: erp"):
        shop.app.webhooks.replay("crm", dead=True)
    with pytest.raises(NotFound):  # no daemon has registered it yet
        shop.app.webhooks.replay("erp", dead=True)
    shop.app.webhooks.register(NOW)
    for wrong in ({}, {"since": 1, "dead": True}, {"since": 9}):
        with pytest.raises(UsageError):
            shop.app.webhooks.replay("erp", **wrong)
    with pytest.raises(NotFound):
        shop.app.webhooks.replay("erp", delivery=5)
    with pytest.raises(NotFound):
        shop.app.webhooks.drop(5)


def test_a_message_is_given_up_and_then_deleted(shop: Shop) -> None:
    shop.app.webhooks.register(NOW)
    shop.sync(1)
    shop.sink.answer = lambda _path, _message: 500
    with shop.delivering():
        wait_for(lambda: shop.app.webhooks.view("erp").status == "failing")
        (waiting,) = shop.app.webhooks.deliveries(status="waiting")
        assert shop.app.webhooks.drop(waiting.id).status == "waiting"
        (dead,) = shop.dead()
        assert dead.reason == "given up by a person"
        assert shop.app.webhooks.drop(dead.id).status == "dead"
        assert shop.app.webhooks.deliveries() == []


def test_a_disabled_webhook_is_enabled_by_another_address_or_a_test(shop: Shop) -> None:
    shop.sink.answer = lambda path, _message: 410 if path == "/hook" else 200
    shop.app.webhooks.register(NOW)
    shop.sync(1)

    def status() -> str:
        return shop.app.webhooks.view("erp").status

    with shop.delivering() as outbox:
        wait_for(lambda: status() == "disabled")
        assert not shop.app.webhooks.test("erp").delivered
        assert status() == "disabled"
        shop.configure(url=shop.sink.url("/new"))
        outbox.reload()
        wait_for(lambda: status() == "ok")
        shop.sync(2)
        wait_for(lambda: shop.sink.seqs() == [2])
        with shop.app.people.transaction() as connection:
            connection.execute(update(WEBHOOKS).values(disabled_at=NOW))
        trial = shop.app.webhooks.test("erp")
        assert (trial.delivered, trial.http_status, status()) == (True, 200, "ok")
    assert shop.sink.accepted[-1]["type"] == "feedd.test"


def test_a_paused_webhook_goes_on_where_it_was(shop: Shop) -> None:
    with shop.delivering() as outbox:
        shop.configure(enabled=False)
        outbox.reload()
        shop.sync(2)
        time.sleep(0.3)
        assert shop.sink.received == []
        assert shop.app.webhooks.view("erp").status == "paused"
        shop.configure()
        outbox.reload()
        wait_for(lambda: shop.sink.seqs() == [1, 2])


def test_an_address_that_may_not_be_reached_is_said(shop: Shop) -> None:
    shop.configure(url="https://127.0.0.1:9/hook?token=canary", allow_private=())
    shop.app.webhooks.register(NOW)
    trial = shop.app.webhooks.test("erp")
    assert not trial.delivered
    assert "allow_private of this webhook" in (trial.reason or "")
    assert "canary" not in repr(trial)


def test_the_dead_are_counted_and_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MOST_DEAD", 3)
    shop.app.webhooks.register(NOW)
    shop.sink.answer = lambda _path, _message: 410
    for number in range(5):
        with shop.app.people.transaction() as connection:
            connection.execute(update(WEBHOOKS).values(disabled_at=None))
        shop.sync(number + 1)
        with shop.delivering():
            wait_for(lambda n=number: len(shop.sink.received) == n + 1)
            wait_for(lambda: shop.app.webhooks.view("erp").status == "disabled")
    assert [dead.last_seq for dead in shop.dead()] == [3, 4, 5]


# alerts


def fail(shop: Shop, times: int, feed: str = "shop") -> None:
    for _ in range(times):
        now = datetime.now(UTC)
        lease = begin_sync(shop.app.catalog, feed, trigger="schedule", holder="test", now=now)
        error = FeedError("http_status", "the server answered 500")
        record_failed(shop.app.catalog, lease, error, retry_at=None, now=now, duration_s=1.0)


def test_alerts_are_stored_with_what_was_told(shop: Shop) -> None:
    shop.configure(events=("alerts",))
    shop.app.webhooks.register(NOW)
    shop.sync(6)
    now = datetime.now(UTC)
    assert shop.app.watching.judge_feeds(now) == []
    fail(shop, 3)
    (alert,) = shop.app.watching.judge_feeds(now + timedelta(minutes=1))
    assert (alert.type, alert.feed, alert.failures) == ("feed.failing", "shop", 3)
    assert alert.last_success is not None
    assert shop.app.watching.judge_feeds(now + timedelta(minutes=2)) == []
    other = shop.another("other", events=("alerts",))  # or the same one, started again
    assert other.watching.judge_feeds(now + timedelta(minutes=3)) == []
    other.close()
    (waiting,) = shop.app.webhooks.deliveries()
    assert (waiting.type, waiting.webhook) == ("feed.failing", "erp")
    shop.sync(6, price=1)
    (alert,) = shop.app.watching.judge_feeds(now + timedelta(minutes=4))
    assert alert.type == "feed.recovered"
    _hurry(shop)  # they are of some minutes from now
    with shop.delivering():
        wait_for(lambda: len(shop.sink.accepted) == 2)


def test_stale_and_held_feeds_are_told(shop: Shop) -> None:
    shop.configure(events=("alerts",), feeds=("shop",))
    shop.app.webhooks.register(NOW)
    shop.sync(40)
    shop.sync(2)  # far fewer: held
    now = datetime.now(UTC)
    (held,) = shop.app.watching.judge_feeds(now)
    assert (held.type, held.held_removals) == ("feed.held", 38)
    late = now + timedelta(hours=4, minutes=1)
    stale = shop.app.watching.judge_feeds(late)
    assert {(alert.feed, alert.type) for alert in stale} == {
        ("shop", "feed.stale"),
        ("outlet", "feed.stale"),  # never synced at all
    }
    assert len(shop.app.webhooks.deliveries()) == 2  # the outlet is not this webhook's
    assert shop.app.watching.judge_feeds(late + timedelta(minutes=1), ["shop"]) == []


def test_what_is_overdue_at_the_start_has_its_time(shop: Shop) -> None:
    shop.sync(3)
    now = datetime.now(UTC) + timedelta(days=3)
    shop.app.watching.began = now
    assert shop.app.watching.judge_feeds(now, ["shop"]) == []
    assert shop.app.watching.judge_feeds(now + timedelta(minutes=14), ["shop"]) == []
    (alert,) = shop.app.watching.judge_feeds(now + timedelta(minutes=15), ["shop"])
    assert alert.type == "feed.stale"
    shop.app.watching.began = now + timedelta(hours=1)  # started again: it is stale all the same
    assert shop.app.watching.judge_feeds(now + timedelta(hours=1), ["shop"]) == []


def test_a_paused_feed_is_not_watched(shop: Shop) -> None:
    shop.configure(events=("alerts",))
    fail(shop, 3)
    now = datetime.now(UTC)
    assert [alert.type for alert in shop.app.watching.judge_feeds(now)] == ["feed.failing"]
    paused = {name: replace(feed, enabled=False) for name, feed in shop.app.settings.feeds.items()}
    enabled = shop.app.settings
    shop.app.reload(replace(enabled, feeds=paused))
    assert shop.app.watching.judge_feeds(now + timedelta(days=9)) == []
    shop.app.reload(enabled)
    again = shop.app.watching.judge_feeds(now + timedelta(minutes=1), ["shop"])
    assert [alert.type for alert in again] == ["feed.failing"]


def test_several_daemons_tell_an_alert_once(shop: Shop) -> None:
    shop.configure(events=("alerts",))
    shop.app.webhooks.register(NOW)
    others = [shop.another(f"other{n}", events=("alerts",)) for n in range(3)]
    fail(shop, 3)
    now = datetime.now(UTC)
    told: list[Any] = []
    together = threading.Barrier(4)

    def look(app: App) -> None:
        together.wait()
        told.extend(app.watching.judge_feeds(now))

    threads = [threading.Thread(target=look, args=(app,)) for app in (shop.app, *others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for app in others:
        app.close()
    assert [alert.type for alert in told] == ["feed.failing"]
    assert len(shop.app.webhooks.deliveries()) == 1


def test_a_command_that_fails_is_tried_again_and_then_dead(shop: Shop, tmp_path: Path) -> None:
    script = tmp_path / "page-me"
    script.write_text("#!/bin/sh\necho no pager today\nexit 3\n")
    script.chmod(0o755)
    shop.configure(events=("changes",), alerts=AlertSettings(command=(str(script),)))
    fail(shop, 3)
    with shop.delivering():
        wait_for(lambda: [d for d in shop.app.webhooks.deliveries() if d.tries == 1])
    (waiting,) = shop.app.webhooks.deliveries()
    assert (waiting.webhook, waiting.status) == (COMMAND, "waiting")
    assert waiting.reason == f"{script} ended with code 3: no pager today"
    _hurry(shop, tries=3)
    with shop.delivering():
        wait_for(lambda: shop.app.webhooks.deliveries(status="dead"))
    script.write_text("#!/bin/sh\nexit 0\n")
    assert shop.app.webhooks.replay(COMMAND, dead=True) == 1
    with shop.delivering():
        wait_for(lambda: shop.app.webhooks.deliveries() == [])


def test_the_start_of_a_webhook_is_stored_once(shop: Shop) -> None:
    start = Start(stream_id="s", seq=5, sync=1)
    webhooks.register(shop.app.people, "erp", "there", start, NOW)
    again = webhooks.register(shop.app.people, "erp", "there", replace(start, seq=9), NOW)
    assert again.seq == 5


def test_a_clock_that_was_set_back_holds_nothing_up(shop: Shop) -> None:
    shop.app.webhooks.register(NOW)
    shop.sync(2)
    shop.sink.answer = lambda _path, _message: 500
    with shop.delivering():
        wait_for(lambda: shop.app.webhooks.view("erp").error)
    years_on = datetime.now(UTC) + timedelta(days=3_000)
    with shop.app.people.transaction() as connection:
        connection.execute(update(DELIVERIES).values(next_try_at=years_on))
        connection.execute(update(WEBHOOKS).values(lease_holder="gone", lease_until=years_on))
    shop.sink.answer = lambda _path, _message: 204
    with shop.delivering():
        wait_for(shop.settled)


def test_who_is_woken_for_nothing_writes_nothing(shop: Shop) -> None:
    shop.app.webhooks.register(NOW)
    shop.sync(2)
    with shop.delivering() as outbox:
        wait_for(lambda: len(shop.sink.seqs()) == 2 and shop.settled())
        time.sleep(0.3)
        before = webhooks.read_endpoint(shop.app.people, "erp")
        for _ in range(20):
            outbox.wake("shop")
            time.sleep(0.02)
        assert webhooks.read_endpoint(shop.app.people, "erp") == before
        shop.sync(2, price=1)
        wait_for(lambda: len(shop.sink.seqs()) == 4)

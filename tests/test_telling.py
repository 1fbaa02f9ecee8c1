"""People are told of items that changed: once for each change, whoever reads on and whatever fails."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from feeds import item, take_in
from msgspec.structs import replace
from sqlalchemy import delete, select, text, update

from feedd import intake, remembering, telling
from feedd.app import App
from feedd.errors import StoreError
from feedd.model import Retention
from feedd.people.values import Action, Identifiers, NewEvent
from feedd.settings import FeedSettings, Settings
from feedd.settings.rule_keys import Drop
from feedd.settings.secret import Secret
from feedd.store import audience, cursors, interests, merging
from feedd.store.cursors import Moved, read_cursor
from feedd.store.people_tables import CURSORS, EVENTS, INTERESTS, METRICS, PROFILES
from feedd.store.profiles import find_profile
from feedd.store.recording import writing
from feedd.store.tables import STREAM

Told = tuple[str, str, Any]


class Shop:
    """An App whose feeds and shoppers a test writes, on one database or the other."""

    def __init__(self, place: intake.Place, folder: Path) -> None:
        self.place = place
        self.folder = folder
        self.apps: list[App] = []
        self.app = self.another("state")
        self.app.telling.register()

    def another(self, folder: str) -> App:
        """An App on the same databases; in another directory that is another daemon, where they are PostgreSQL."""
        state = self.folder / folder
        state.mkdir(exist_ok=True)
        feed = FeedSettings(name="shop", url="https://shop.example/feed", every_s=3600.0)
        settings = Settings(
            state_dir=state,
            socket=state / "feedd.sock",
            database=Secret(self.place.url) if self.place.url else None,
            feeds={
                "shop": feed,
                "more": replace(feed, name="more", order=1),
                "outlet": replace(feed, name="outlet", catalog="outlet", order=2),
            },
        )
        self.apps.append(App(settings))
        return self.apps[-1]

    def configure(self, rule: str = "price_drop", **values: Any) -> None:
        """Change the keys of a rule, as a reload does."""
        old = getattr(self.app.settings, rule)
        self.app.reload(replace(self.app.settings, **{rule: replace(old, **values)}))

    def sync(self, *records: Any, feed: str = "shop", **options: Any) -> None:
        take_in(self.app.catalog, self.folder, list(records), feed=feed, **options)

    def did(self, metric: str, who: str, ago_s: float = 60, **properties: Any) -> None:
        """Somebody does something now or a while ago, with an item named `42` unless said otherwise."""
        at = datetime.now(UTC) - timedelta(seconds=ago_s)
        event = NewEvent(
            metric=metric,
            at=int(at.timestamp()),
            properties=json.dumps(properties or {"ProductID": "42"}).encode(),
            unique_id=str(len(self.events())),
        )
        self.app.recorder.record([Action(who=person(who), event=event, trusted=True)])

    def viewed(self, *people: str, **options: Any) -> None:
        for who in people:
            self.did("Viewed Product", who, **options)

    def wants(self, *people: str, **options: Any) -> None:
        for who in people:
            self.did("Subscribed to Back in Stock", who, **options)

    def read_on(self, app: App | None = None, rule: str | None = None) -> None:
        tells = (app or self.app).telling
        for each in tells.rules():
            if rule in (None, each.name) and tells.settle(each, lambda _: False):
                while tells.read_on(each, lambda _: False):
                    pass

    def events(self) -> list[Any]:
        query = (
            select(METRICS.c.name, PROFILES.c.email, EVENTS)
            .join(METRICS, METRICS.c.id == EVENTS.c.metric_id)
            .join(PROFILES, PROFILES.c.id == EVENTS.c.profile_id)
            .order_by(EVENTS.c.id)
        )
        with self.app.people.connect() as connection:
            return list(connection.execute(query))

    def told(self) -> list[Told]:
        """(metric, who, price) of every event that feedd has written."""
        found = []
        for row in self.events():
            if row.source == 2:
                who = row.email.partition("@")[0]
                found.append((row.name, who, json.loads(row.properties).get("Price")))
        return found

    def number(self, who: str) -> int:
        found = find_profile(self.app.people, person(who))
        assert found is not None
        return found.number

    def merge(self, source: str, into: str) -> None:
        with writing(self.app.people) as connection:
            merging.merge(connection, self.number(source), self.number(into), datetime.now(UTC))


def person(name: str) -> Identifiers:
    return Identifiers(email=f"{name}@example.com")


def drops(*told: tuple[str, Any]) -> list[Told]:
    return [("Price Drop", who, price) for who, price in told]


def back(*people: str) -> list[Told]:
    return [("Back in Stock", who, None) for who in people]


@pytest.fixture
def shop(place: intake.Place, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(place, tmp_path)
    made.read_on()
    yield made
    for app in made.apps:
        app.close()


# who is told, and what


def test_whoever_saw_an_item_is_told_that_its_price_went_down(shop: Shop) -> None:
    shop.sync(item("42", price=20, currency="EUR", link="https://shop.example/42", brand="Acme"))
    shop.viewed("jane.doe")
    shop.did("Opened Email", "john.doe")
    shop.sync(item("42", price=15, currency="EUR", link="https://shop.example/42", brand="Acme"))
    shop.read_on()
    (row,) = [row for row in shop.events() if row.source == 2]
    stream_id, _ = shop.app.stream_position()
    change = shop.app.changes(since=1)[0]
    assert (row.name, row.email) == ("Price Drop", "jane.doe@example.com")
    assert row.at == int(change.at.timestamp())
    assert json.loads(row.properties) == {
        "$event_id": f"{stream_id}:2:price_drop",
        "ProductID": "42",
        "ProductName": "Mug",
        "URL": "https://shop.example/42",
        "Brand": "Acme",
        "Price": 15,
        "PreviousPrice": 20,
        "PriceDrop": 5.0,
        "PriceDropPercent": 25.0,
        "Currency": "EUR",
        "CatalogItemID": "$custom:::$default:::42",
        "Feed": "shop",
        "ChangeSeq": 2,
    }


def test_a_drop_is_told_again_when_there_is_another(shop: Shop) -> None:
    shop.sync(item("42", price=20))
    shop.viewed("jane.doe")
    for price in (15, 18, 10, 9.8):  # the last one is less than 5 %
        shop.sync(item("42", price=price))
    shop.read_on()
    shop.read_on()
    assert shop.told() == drops(("jane.doe", 15), ("jane.doe", 10))


def test_whoever_has_bought_it_since_need_not_know(shop: Shop) -> None:
    shop.sync(item("42", price=20))
    shop.viewed("bought", "came.back", "viewed", ago_s=300)
    shop.did("Placed Order", "bought", ago_s=200, Items=[{"ProductID": 42}])
    shop.did("Placed Order", "came.back", ago_s=200, Items=[{"ProductID": 42}])
    shop.did("Placed Order", "viewed", ago_s=200, Items=[{"ProductID": 43}])
    shop.viewed("came.back", ago_s=100)
    shop.sync(item("42", price=10))
    shop.read_on()
    assert shop.told() == drops(("came.back", 10), ("viewed", 10))


def test_only_what_was_done_within_the_time_and_before_the_change_counts(shop: Shop) -> None:
    day = 86_400
    shop.sync(item("42", price=20))
    shop.viewed("long.ago", ago_s=31 * day)
    shop.viewed("lately", ago_s=29 * day)
    shop.sync(item("42", price=10))
    shop.viewed("afterwards", ago_s=-100)
    shop.viewed("twice", ago_s=500)
    shop.viewed("twice", ago_s=-100)
    shop.viewed("then.bought", ago_s=500)
    shop.did("Ordered Product", "then.bought", ago_s=-50)
    shop.viewed("then.bought", ago_s=-100)
    shop.read_on()
    assert shop.told() == drops(("lately", 10), ("twice", 10))


def test_back_in_stock_uses_a_subscription_up(shop: Shop) -> None:
    shop.sync(item("42", inventory_quantity=0))
    shop.wants("jane.doe", ago_s=300)
    for quantity in (3, 0, 4):
        shop.sync(item("42", inventory_quantity=quantity))
    shop.read_on()
    assert shop.told() == back("jane.doe")
    shop.wants("jane.doe", ago_s=-5)
    shop.sync(item("42", inventory_quantity=0))
    shop.read_on()
    assert len(shop.told()) == 1


def test_a_later_subscription_starts_anew(shop: Shop) -> None:
    shop.sync(item("42", inventory_quantity=0))
    shop.wants("jane.doe", ago_s=300)
    shop.sync(item("42", inventory_quantity=1))
    shop.read_on()
    with shop.app.people.transaction() as connection:  # as if that was long ago
        earlier = int(datetime.now(UTC).timestamp()) - 200
        connection.execute(
            update(INTERESTS).where(INTERESTS.c.rule == "back_in_stock.until").values(at=earlier)
        )
    shop.wants("jane.doe", ago_s=100)
    shop.sync(item("42", inventory_quantity=0))
    shop.sync(item("42", inventory_quantity=1))
    shop.read_on()
    assert shop.told() == back("jane.doe", "jane.doe")


def test_an_item_that_was_removed_and_comes_again_is_back(shop: Shop) -> None:
    shop.sync(*[item(str(n), price=9) for n in range(40, 50)])
    shop.wants("jane.doe")
    shop.viewed("john.doe")
    shop.sync(*[item(str(n), price=9) for n in range(40, 50) if n != 42])
    shop.sync(*[item(str(n), price=9 if n != 42 else 5) for n in range(40, 50)])
    shop.read_on()
    assert sorted(shop.told()) == [("Back in Stock", "jane.doe", 5), ("Price Drop", "john.doe", 5)]


def test_a_new_item_is_neither_back_nor_cheaper(shop: Shop) -> None:
    shop.wants("jane.doe")
    shop.viewed("jane.doe")
    shop.sync(item("42", inventory_quantity=2, price=1))
    shop.read_on()
    assert shop.told() == []


def test_the_least_drop_and_the_names_are_configured(shop: Shop) -> None:
    shop.configure(min_drop=Drop(Decimal(5)), metric="Cheaper", metrics=("Liked",), until=())
    shop.sync(item("42", price=100))
    shop.did("Liked", "jane.doe")
    shop.viewed("john.doe")
    shop.sync(item("42", price=96))
    shop.sync(item("42", price=91))
    shop.read_on()
    assert shop.told() == [("Cheaper", "jane.doe", 91)]


# several feeds and catalogs


def test_an_id_means_the_first_feed_that_has_it(shop: Shop) -> None:
    shop.viewed("jane.doe")
    shop.viewed("john.doe", ProductID="$custom:::outlet:::42")
    shop.viewed("richard.roe", ProductID="$custom:::$default:::42")
    shop.viewed("all.names", ProductID=["42", "$custom:::$default:::42", "$custom:::none:::42"])
    for price in (20, 10):
        for feed in ("shop", "more", "outlet"):
            shop.sync(item("42", price=price + ord(feed[0])), feed=feed)
    shop.read_on()
    first, outlet = 10 + ord("s"), 10 + ord("o")
    people = ("all.names", first), ("jane.doe", first), ("john.doe", outlet), ("richard.roe", first)
    assert sorted(shop.told()) == drops(*people)


def test_where_the_first_feed_lacks_an_id_the_next_one_counts(shop: Shop) -> None:
    shop.sync(item("1"))
    shop.viewed("jane.doe")
    for price in (20, 10):
        shop.sync(item("42", price=price), feed="outlet")
    shop.read_on()
    assert shop.told() == drops(("jane.doe", 10))


def test_a_rule_may_be_about_some_catalogs(shop: Shop) -> None:
    shop.configure(catalogs=("outlet",))
    shop.viewed("jane.doe")
    for price in (20, 10):
        for feed in ("shop", "outlet"):
            shop.sync(item("42", price=price + len(feed)), feed=feed)
    shop.read_on()
    assert shop.told() == drops(("jane.doe", 16))


# once, whatever happens


def test_it_begins_at_the_end_of_what_is_there(place: intake.Place, tmp_path: Path) -> None:
    shop = Shop(place, tmp_path)
    with shop.app.people.transaction() as connection:
        connection.execute(delete(CURSORS))
    shop.sync(item("42", price=20))
    shop.viewed("jane.doe")
    shop.sync(item("42", price=10))
    shop.app.telling.register()
    shop.read_on()
    assert shop.told() == []
    shop.sync(item("42", price=5))
    shop.read_on()
    assert shop.told() == drops(("jane.doe", 5))
    shop.app.close()


def test_a_rule_that_was_off_begins_at_the_end_again(shop: Shop) -> None:
    shop.sync(item("42", price=20))
    shop.configure(enabled=False)
    shop.app.telling.register()
    shop.read_on()
    shop.viewed("jane.doe")
    shop.sync(item("42", price=15))
    shop.configure(enabled=True)
    shop.app.telling.register()
    shop.read_on()
    shop.sync(item("42", price=10))
    shop.read_on()
    assert shop.told() == drops(("jane.doe", 10))


def test_a_stream_that_was_restored_is_followed_from_its_end(shop: Shop) -> None:
    shop.sync(item("42", price=20))
    shop.viewed("jane.doe")
    shop.sync(item("42", price=15))
    with shop.app.catalog.transaction() as connection:
        connection.execute(update(STREAM).values(stream_id="another"))
    shop.read_on()
    shop.sync(item("42", price=10))
    shop.read_on()
    assert shop.told() == drops(("jane.doe", 10))


def test_what_is_no_longer_kept_is_passed_over(shop: Shop) -> None:
    shop.sync(item("42", price=20))
    shop.viewed("jane.doe")
    shop.sync(item("42", price=15))
    keep = replace(Retention(), changes_s=1.0)
    shop.app.reload(replace(shop.app.settings, retention=keep))
    shop.app.retain(datetime.now(UTC) + timedelta(hours=1), rest=lambda _: False)
    shop.read_on()
    shop.sync(item("42", price=10))
    shop.read_on()
    assert shop.told() == drops(("jane.doe", 10))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few events in a transaction, so that a small audience takes several."""
    monkeypatch.setattr(audience, "MOST_AT_ONCE", 2)


def test_a_long_stream_is_read_in_pages(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "PAGE", 3)
    monkeypatch.setattr(telling, "MOST_PAGES", 2)
    monkeypatch.setattr(audience, "NEWS_AT_ONCE", 2)
    for price in (20, 10, 5):
        shop.sync(*[item(str(n), price=price, title=f"{price}") for n in range(50)])
        if price == 20:
            for n in (0, 7, 8, 9, 10, 49):
                shop.viewed("jane.doe", ProductID=n)
    shop.read_on()
    told = [json.loads(row.properties) for row in shop.events() if row.source == 2]
    assert [(each["ProductID"], each["Price"]) for each in told] == [
        (str(n), price) for price in (10, 5) for n in (0, 7, 8, 9, 10, 49)
    ]
    cursor = read_cursor(shop.app.people, "price_drop")
    assert cursor is not None
    assert (cursor.seq, cursor.position) == (150, 0)


PEOPLE = ("ann", "ben", "cas", "dan", "eve")


class Killed(BaseException):
    """What ends a process at some point."""


def _interrupted(shop: Shop, after: int) -> None:
    """Read on until so many transactions were committed, and end there."""
    count = 0

    def pause(_: float) -> bool:
        nonlocal count
        count += 1
        if count >= after:
            raise Killed
        return False

    for rule in shop.app.telling.rules():
        assert shop.app.telling.settle(rule, lambda _: False)
        while shop.app.telling.read_on(rule, pause):
            pass


@pytest.mark.usefixtures("small")
def test_a_large_audience_is_told_once_wherever_it_ends(shop: Shop) -> None:
    shop.sync(item("42", price=20, inventory_quantity=0))
    shop.viewed(*PEOPLE)
    shop.wants(*PEOPLE)
    shop.sync(item("42", price=10, inventory_quantity=5))
    for after in (1, 2, 1, 1, 1):
        with pytest.raises(Killed):
            _interrupted(shop, after)
    shop.read_on()
    told = [("Price Drop", who, 10) for who in PEOPLE]
    assert sorted(shop.told()) == sorted(told + [("Back in Stock", who, 10) for who in PEOPLE])


@pytest.mark.usefixtures("small")
def test_what_fails_in_a_transaction_is_told_by_the_next(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.sync(item("42", price=20))
    shop.viewed(*PEOPLE)
    shop.sync(item("42", price=10))
    real = cursors.put
    for failing in (1, 2, 2):
        calls = 0

        def put(*arguments: Any, failing: int = failing) -> None:
            nonlocal calls
            calls += 1
            real(*arguments)
            if calls == failing:
                raise StoreError("the disk is full")

        monkeypatch.setattr(cursors, "put", put)
        with pytest.raises(StoreError):
            shop.read_on(rule="price_drop")
    monkeypatch.setattr(cursors, "put", real)
    shop.read_on()
    assert sorted(shop.told()) == drops(*[(who, 10) for who in PEOPLE])


@pytest.mark.usefixtures("small")
def test_two_daemons_tell_once(shop: Shop) -> None:
    other = shop.another("other" if shop.place.url else "state")
    shop.sync(item("42", price=20))
    shop.viewed(*PEOPLE)
    shop.sync(item("42", price=10))
    rule = shop.app.settings.price_drop
    shop.read_on(other)

    def meanwhile(_: float) -> bool:
        while other.telling.read_on(rule, lambda _: True):
            pass
        return False

    shop.sync(item("42", price=5))
    with pytest.raises(Moved):
        shop.app.telling.read_on(rule, meanwhile)
    shop.read_on()
    assert sorted(shop.told()) == sorted(
        drops(*[(who, price) for who in PEOPLE for price in (10, 5)])
    )


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("source", "into"), [("eve", "ann"), ("ann", "eve"), ("ann", "ben")])
def test_who_is_merged_while_others_are_told_is_told_once(
    shop: Shop, source: str, into: str
) -> None:
    shop.sync(item("42", price=20))
    shop.viewed(*PEOPLE)
    if source == "eve":  # whose wish moves to somebody who was passed already
        with shop.app.people.transaction() as connection:
            connection.execute(
                delete(INTERESTS).where(INTERESTS.c.profile_id == shop.number("ann"))
            )
    shop.sync(item("42", price=10))
    rule = shop.app.settings.price_drop
    shop.app.telling.read_on(rule, lambda _: True)
    cursor = read_cursor(shop.app.people, rule.name)
    assert cursor is not None
    assert cursor.position > 0
    shop.merge(source, into)
    shop.read_on()
    assert sorted(shop.told()) == drops(*[(who, 10) for who in PEOPLE if who != source])


def test_who_was_deleted_is_told_nothing(shop: Shop) -> None:
    shop.sync(item("42", price=20))
    shop.viewed("jane.doe", "john.doe")
    with writing(shop.app.people) as connection:
        merging.redact(connection, shop.number("jane.doe"), datetime.now(UTC))
    shop.sync(item("42", price=10))
    shop.read_on()
    assert shop.told() == drops(("john.doe", 10))
    with shop.app.people.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM interests")).scalar() == 1


# rules that change


def kept(shop: Shop) -> list[tuple[Any, ...]]:
    columns = INTERESTS.c.rule, INTERESTS.c.item_id, INTERESTS.c.profile_id, INTERESTS.c.at
    with shop.app.people.connect() as connection:
        return sorted(tuple(row) for row in connection.execute(select(*columns)))


def test_a_rule_that_changes_counts_for_what_people_did_before(shop: Shop) -> None:
    shop.sync(item("42", price=20))
    shop.did("Liked", "jane.doe")
    shop.viewed("john.doe")
    shop.configure(metrics=("Liked",))
    shop.sync(item("42", price=10))
    shop.read_on()
    assert shop.told() == drops(("jane.doe", 10))


def test_what_was_used_up_stays_so_when_a_rule_changes(shop: Shop) -> None:
    shop.sync(item("42", inventory_quantity=0))
    shop.wants("jane.doe")
    shop.sync(item("42", inventory_quantity=1))
    shop.read_on()
    shop.configure("back_in_stock", metrics=("Subscribed to Back in Stock", "Asked"))
    shop.sync(item("42", inventory_quantity=0))
    shop.sync(item("42", inventory_quantity=1))
    shop.read_on()
    assert shop.told() == back("jane.doe")


def test_what_is_kept_follows_from_the_events(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "EVENTS_AT_ONCE", 2)
    monkeypatch.setattr(remembering, "ROWS_AT_ONCE", 3)
    for n, who in enumerate(PEOPLE):
        shop.viewed(who, ago_s=10 * n, SKU=[n, n + 1])
        shop.wants(who, ago_s=n)
        shop.did("Placed Order", who, ago_s=5 * n, Items=[{"SKU": n}])
    shop.merge("ann", "eve")
    before = kept(shop)
    assert len(before) == 19  # both wanted the same
    with shop.app.people.transaction() as connection:
        connection.execute(delete(CURSORS).where(CURSORS.c.name.like("%.rules")))
        connection.execute(update(INTERESTS).values(at=1))
    shop.read_on()
    assert kept(shop) == before


def test_events_that_were_read_before_a_merge_are_kept_for_who_is_there(shop: Shop) -> None:
    shop.viewed(*PEOPLE)
    numbers = [shop.number(who) for who in PEOPLE]
    shop.merge("ann", "ben")
    shop.merge("ben", "cas")
    with writing(shop.app.people) as connection:
        merging.redact(connection, shop.number("dan"), datetime.now(UTC))
        connection.execute(delete(INTERESTS))
        interests.enter_again(connection, [("r", "i", n, 10 - n) for n in (*numbers, 99)])
    assert kept(shop) == [
        ("r", "i", numbers[2], 10 - numbers[0]),
        ("r", "i", numbers[4], 10 - numbers[4]),
    ]


def test_going_through_the_events_goes_on_after_it_was_broken_off(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembering, "EVENTS_AT_ONCE", 2)
    shop.viewed(*PEOPLE)
    before = kept(shop)
    shop.configure(min_drop=Drop(Decimal(1)), within_s=86_400.0)
    rule = shop.app.settings.price_drop
    assert not shop.app.telling.settle(rule, lambda _: True)
    assert kept(shop) == []
    other = shop.another("other" if shop.place.url else "state")
    assert not shop.app.telling.settle(rule, lambda _: True)
    other.reload(shop.app.settings)
    assert other.telling.settle(rule, lambda _: False)
    assert kept(shop) == before
    assert shop.app.telling.settle(rule, lambda _: False)


def test_who_is_at_it_gives_way_to_who_begins_anew(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembering, "EVENTS_AT_ONCE", 2)
    shop.viewed(*PEOPLE)
    before = kept(shop)
    shop.configure(within_s=86_400.0)
    rule = shop.app.settings.price_drop
    other = shop.another("other" if shop.place.url else "state")
    other.reload(shop.app.settings)

    def meanwhile(_: float) -> bool:
        assert other.telling.settle(rule, lambda _: False)
        return False

    with pytest.raises(Moved):
        shop.app.telling.settle(rule, meanwhile)
    assert shop.app.telling.settle(rule, lambda _: False)
    assert kept(shop) == before


def test_what_is_too_old_is_forgotten(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "ROWS_AT_ONCE", 2)
    day = 86_400
    for n, who in enumerate(PEOPLE):
        shop.viewed(who, ago_s=(29.5 + n) * day)
        shop.wants(who, ago_s=(29.5 + n) * day)
    for rule in shop.app.telling.rules():
        shop.app.telling.forget_old(rule, lambda _: False)
    rules = [row[0] for row in kept(shop)]
    assert (rules.count("price_drop"), rules.count("back_in_stock")) == (2, 5)


def test_how_far_each_rule_is_can_be_seen(shop: Shop) -> None:
    shop.sync(item("42", price=20))
    shop.viewed("jane.doe")
    shop.sync(item("42", price=10))
    assert [tuple(each) for each in shop.app.telling.standings()] == [
        ("price_drop", 2, 0),
        ("back_in_stock", 2, 0),
    ]
    shop.read_on()
    assert [tuple(each) for each in shop.app.telling.standings()] == [
        ("price_drop", 0, 1),
        ("back_in_stock", 0, 0),
    ]
    shop.configure("back_in_stock", enabled=False)
    assert [each.rule for each in shop.app.telling.standings()] == ["price_drop"]

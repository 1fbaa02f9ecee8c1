"""The wired application: what the doors ask of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from feeds import item, take_in
from servers import FeedServer, feed_server

from feedd import intake
from feedd.app import App
from feedd.checks import address_problem, schema_problem
from feedd.databases import is_current
from feedd.errors import NotFound
from feedd.ingest import Stop
from feedd.settings import FeedSettings, Secret, Settings
from feedd.state import StateLock, is_free


def app_of(place: intake.Place, tmp_path: Path, **catalogs: str) -> App:
    feeds = {
        name: FeedSettings(
            name=name, url=f"https://shop.example/{name}", every_s=60.0, catalog=catalog
        )
        for name, catalog in catalogs.items()
    }
    return App(
        Settings(
            state_dir=Path(place.state_dir),
            socket=tmp_path / "s",
            database=Secret(place.url) if place.url else None,
            feeds=feeds,
        )
    )


def test_items_hidden_by_a_feed_before_theirs_are_counted(
    place: intake.Place, tmp_path: Path
) -> None:
    app = app_of(place, tmp_path, first="all", second="all", third="other")
    same = [item("a"), item("b"), item("c")]
    for feed in ("first", "second", "third"):
        take_in(app.catalog, tmp_path, same, feed=feed)
    assert {view.name: view.collisions for view in app.feeds()} == {
        "first": 0,
        "second": 3,
        "third": 0,
    }
    take_in(app.catalog, tmp_path, [item("a"), item("x")], feed="first")
    assert app.feed("second").collisions == 1
    assert app.find_item("a").feed == "first"
    assert app.find_item("b").feed == "second"  # live there, removed in the first
    assert app.find_item("a", feed="third").feed == "third"
    with pytest.raises(NotFound):
        app.find_item("zzz")
    app.close()


def test_an_address_that_is_a_secret_is_not_shown(place: intake.Place, tmp_path: Path) -> None:
    secret = Secret("https://shop.example/canary-4711/feed?token=canary", "env SHOP_URL")
    feeds = {"shop": FeedSettings(name="shop", url=secret, every_s=60.0)}
    app = App(Settings(state_dir=Path(place.state_dir), socket=tmp_path / "s", feeds=feeds))
    assert app.feed("shop").url == "(env SHOP_URL)"
    app.close()


def test_a_feed_that_moved_is_fetched_without_the_old_validators(
    server: FeedServer, tmp_path: Path
) -> None:
    server.bodies["/old"] = json.dumps([{"id": "a", "title": "Old"}]).encode()
    server.bodies["/new"] = json.dumps([{"id": "a", "title": "New"}]).encode()
    feeds = {
        path: FeedSettings(
            name="shop", url=server.url(path), every_s=60.0, allow_private=("127.0.0.0/8",)
        )
        for path in ("/old", "/new")
    }
    (tmp_path / "state").mkdir()
    settings = Settings(
        state_dir=tmp_path / "state", socket=tmp_path / "s", feeds={"shop": feeds["/old"]}
    )
    app = App(settings)
    app.sync("shop", trigger="resync")
    app.sync("shop", trigger="resync")
    assert "If-None-Match" in server.requests[-1][1]
    app.reload(
        Settings(
            state_dir=settings.state_dir, socket=settings.socket, feeds={"shop": feeds["/new"]}
        )
    )
    app.sync("shop", trigger="resync")
    assert "If-None-Match" not in server.requests[-1][1]
    assert app.find_item("a").fields["title"] == "New"
    app.close()


def test_what_is_wrong_with_a_body_is_said_for_as_long_as_it_is_the_same(
    server: FeedServer, tmp_path: Path
) -> None:
    feed = FeedSettings(
        name="shop", url=server.url("/shop"), every_s=60.0, allow_private=("127.0.0.0/8",)
    )
    (tmp_path / "state").mkdir()
    app = App(Settings(state_dir=tmp_path / "state", socket=tmp_path / "s", feeds={"shop": feed}))
    for body, code in (
        ([{"title": "no id"}], "all_rejected"),
        ([{"title": "no id"}, {"id": "a", "title": "Mug"}], "mostly_rejected"),
        ([{"id": "a", "title": "Mug"}, {"id": "b", "title": "Mug"}], None),
    ):
        server.bodies["/shop"] = json.dumps(body).encode()
        for status in ("applied", "unchanged"):
            assert app.sync("shop", trigger="resync").status == status
            error = app.feed("shop").error
            assert (error and error.code) == code
    app.close()


def test_a_sync_that_feedd_stopped_is_no_fault_of_the_feed(
    server: FeedServer, tmp_path: Path
) -> None:
    server.bodies["/shop"] = b"[]"
    feed = FeedSettings(
        name="shop", url=server.url("/shop"), every_s=60.0, allow_private=("127.0.0.0/8",)
    )
    (tmp_path / "state").mkdir()
    app = App(Settings(state_dir=tmp_path / "state", socket=tmp_path / "s", feeds={"shop": feed}))
    stop = Stop()
    stop.set()
    record = app.sync("shop", trigger="schedule", stop=stop)
    assert (record.status, record.error and record.error.code) == ("failed", "stopped")
    assert (app.feed("shop").failures, app.feed("shop").error) == (0, None)
    app.close()


def test_databases_are_current_once_they_are_made(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    settings = Settings(state_dir=tmp_path / "state", socket=tmp_path / "s")
    assert not is_current(settings)
    App(settings).close()
    assert is_current(settings)


def test_a_schema_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    assert schema_problem("item", tmp_path) is None
    assert "Did you mean google-product?" in str(schema_problem("google-products", tmp_path))


@pytest.mark.parametrize(
    ("url", "allowed", "hint"),
    [
        ("https://shop.example/x", (), None),
        ("https://8.8.8.8/x", (), None),
        ("http://127.0.0.1:8000/x", (), '["127.0.0.0/8"]'),
        ("http://localhost/x", (), '["127.0.0.0/8"]'),
        ("http://[::1]/x", (), '["::1"]'),
        ("http://10.1.2.3/x", (), '["10.1.2.3"]'),
        ("http://10.1.2.3/x", ("10.1.0.0/16",), None),
        ("http://169.254.169.254/x", ("169.254.0.0/16",), "allow_private"),
    ],
)
def test_an_address_in_numbers_is_checked_before_it_is_dialled(
    url: str, allowed: tuple[str, ...], hint: str | None
) -> None:
    problem = address_problem(url, allowed)
    assert (problem is None) == (hint is None)
    if problem is not None:
        assert hint is not None
        assert hint in problem[1]


def test_a_restart_forgets_a_dead_sync_and_its_files(place: intake.Place, tmp_path: Path) -> None:
    app = app_of(place, tmp_path, shop="all")
    from datetime import UTC, datetime

    from feedd.store.feeds import begin_sync

    begin_sync(app.catalog, "shop", trigger="resync", holder=app.holder, now=datetime.now(UTC))
    (app.spool_dir / "body-left").write_text("x")
    assert app.recover() == ["shop"]
    assert not list(app.spool_dir.iterdir())
    assert [record.status for record in app.syncs()] == ["failed"]
    app.close()


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        yield made


def test_a_changed_configuration_reads_an_unchanged_body_again(
    server: FeedServer, place: intake.Place, tmp_path: Path
) -> None:
    server.bodies["/shop"] = json.dumps([{"id": "a", "title": "Mug", "cost": 5}]).encode()
    feed = FeedSettings(
        name="shop", url=server.url("/shop"), every_s=60.0, allow_private=("127.0.0.0/8",)
    )
    settings = Settings(
        state_dir=Path(place.state_dir),
        socket=tmp_path / "s",
        database=Secret(place.url) if place.url else None,
        feeds={"shop": feed},
    )
    app = App(settings)
    assert app.sync("shop", trigger="resync").status == "applied"
    assert app.sync("shop", trigger="resync").status == "unchanged"
    assert "If-None-Match" in server.requests[-1][1]
    mapped = FeedSettings(
        name="shop",
        url=feed.url,
        every_s=60.0,
        allow_private=feed.allow_private,
        fields={"price": "cost"},
    )
    app.reload(
        Settings(state_dir=settings.state_dir, socket=settings.socket, feeds={"shop": mapped})
    )
    record = app.sync("shop", trigger="resync")
    assert (record.status, record.counts and record.counts.updated) == ("applied", 1)
    assert "If-None-Match" not in server.requests[-1][1]
    assert app.find_item("a").fields["price"] == 5
    app.close()


def test_relative_links_build_on_the_address_of_the_feed_and_follow_it(
    server: FeedServer, tmp_path: Path
) -> None:
    body = json.dumps([{"id": "a", "title": "Mug", "link": "p/mug"}]).encode()
    server.bodies["/old/feed"] = server.bodies["/new/feed"] = body
    (tmp_path / "state").mkdir()

    def settings(path: str, *, secret: bool = False) -> Settings:
        url = server.url(path) + "?token=canary"
        feed = FeedSettings(
            name="shop",
            url=Secret(url, "env SHOP_URL") if secret else url,
            every_s=60.0,
            allow_private=("127.0.0.0/8",),
        )
        return Settings(state_dir=tmp_path / "state", socket=tmp_path / "s", feeds={"shop": feed})

    app = App(settings("/old/feed"))
    for path in ("/old", "/new"):  # the body is the same
        app.reload(settings(f"{path}/feed"))
        assert app.sync("shop", trigger="resync").status == "applied"
        assert app.find_item("a").fields["link"] == server.url(f"{path}/p/mug")
    app.reload(settings("/new/feed", secret=True))
    app.sync("shop", trigger="resync")
    found = app.find_item("a")
    assert found.fields["link"] == "p/mug"
    assert [warning.rule for warning in found.warnings] == ["relative_link"]
    app.close()


def test_whether_a_state_directory_is_held_can_be_asked(tmp_path: Path) -> None:
    assert not is_free(tmp_path)  # nobody ever held it
    lock = StateLock(tmp_path, "run")
    assert not is_free(tmp_path)
    lock.release()
    assert is_free(tmp_path)
    StateLock(tmp_path, "run").release()

"""Web feeds: fetched, kept for as long as their source is down, and never replaced by anything worse; on both databases."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from servers import FeedServer, feed_server

from feedd import intake
from feedd.configured import due_of_web_feed
from feedd.errors import NotFound, SyncStopped, UsageError
from feedd.fetch import Fetcher
from feedd.model import ErrorInfo, Refresh
from feedd.settings import Settings, WebFeedSettings
from feedd.store import web_feeds as stored
from feedd.store.database import Database
from feedd.store.web_feeds import Had, WebFeedState
from feedd.web_feeds import LEASE, WebFeeds

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POSTS = b'{"posts": [{"title": "One"}, {"title": "Two"}]}'
# for what the databases have no part in
ON_SQLITE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/blog.json"] = POSTS
        yield made


class Daemon:
    """The web feeds of a configuration that a test can change, as one daemon has them."""

    def __init__(
        self, catalog: Database, folder: Path, holder: str, *web_feeds: WebFeedSettings
    ) -> None:
        self.catalog = catalog
        self.spool = folder / f"spool-{holder}"
        self.spool.mkdir(exist_ok=True)
        self.configure(*web_feeds)
        fetcher = Fetcher(user_agent="feedd/test", sleep=lambda _: None)
        self.web_feeds = WebFeeds(
            lambda: self.settings, catalog, lambda: fetcher, spool_dir=self.spool, holder=holder
        )

    def configure(self, *web_feeds: WebFeedSettings) -> None:
        found = {each.name: each for each in web_feeds}
        self.settings = Settings(
            state_dir=self.spool, socket=self.spool, web_feeds=found, file_roots=(self.spool,)
        )

    def refresh(self, name: str = "blog") -> Refresh:
        done = self.web_feeds.refresh(name)
        assert list(self.spool.glob("body-*")) == []
        return done

    def body(self, name: str = "blog") -> Any:
        found = self.web_feeds.body(name)
        return None if found is None else json.loads(found.body)

    def state(self, name: str = "blog") -> WebFeedState:
        return stored.read_web_feeds(self.catalog)[name]


Make = Callable[..., Daemon]


@pytest.fixture
def make(place: intake.Place, tmp_path: Path) -> Iterator[Make]:
    catalogs: list[Database] = []

    def made(*web_feeds: WebFeedSettings, holder: str = "one") -> Daemon:
        catalogs.append(place.open_catalog())
        return Daemon(catalogs[-1], tmp_path, holder, *web_feeds)

    yield made
    for catalog in catalogs:
        catalog.close()


def blog(server: FeedServer, path: str = "/blog.json", **more: Any) -> WebFeedSettings:
    options = {"name": "blog", "every_s": 900.0, "allow_private": ("127.0.0.0/8",)} | more
    return WebFeedSettings(url=server.url(path), **options)


def test_a_refresh_has_the_body_kept(make: Make, server: FeedServer) -> None:
    daemon = make(blog(server))
    (view,) = daemon.web_feeds.views()
    assert (view.status, view.fetched_at, view.next_refresh is None) == (None, None, False)
    assert daemon.body() is None
    done = daemon.refresh()
    assert (done.outcome, done.error) == ("changed", None)
    assert daemon.body() == json.loads(POSTS)
    found = daemon.web_feeds.body("blog")
    assert found is not None
    assert json.loads(found.answer()) == {
        "body": json.loads(POSTS),
        "digest": found.digest,
        "fetched_at": found.fetched_at.isoformat().replace("+00:00", "Z"),
        "status": "ok",
        "error": None,
    }
    (view,) = daemon.web_feeds.views()
    assert (view.status, view.content_type, view.size_bytes) == ("ok", "json", len(found.body))
    assert view == daemon.web_feeds.view("blog")


def test_what_is_unchanged_is_not_written_again_but_is_younger(
    make: Make, server: FeedServer
) -> None:
    daemon = make(blog(server))
    daemon.refresh()
    first = daemon.state()
    assert daemon.refresh().outcome == "unchanged"
    assert "If-None-Match" in server.requests[-1][1]
    second = daemon.state()
    assert second.fetched_at > first.fetched_at  # type: ignore[operator]
    assert (second.changed_at, second.digest) == (first.changed_at, first.digest)
    # other bytes that say the same, and the same bytes without validators
    server.answers["/blog.json"] = (200, {}, b" " + POSTS)
    assert [daemon.refresh().outcome, daemon.refresh().outcome] == ["unchanged", "unchanged"]
    assert daemon.state().changed_at == first.changed_at
    server.answers["/blog.json"] = (200, {}, b'{"posts": []}')
    assert daemon.refresh().outcome == "changed"
    assert daemon.body() == {"posts": []}


BAD: list[tuple[int, dict[str, str], bytes, str]] = [
    (500, {}, b"down", "http_status"),
    (404, {}, b"gone", "http_status"),
    (200, {}, b"", "empty_body"),
    (200, {}, b"{}", "empty_document"),
    (200, {}, b"[]", "empty_document"),
    (200, {}, b"<rss/>", "empty_document"),
    (200, {}, b"null", "unknown_format"),
    (200, {}, POSTS[:-5], "not_well_formed"),
    (200, {}, b"<html><title>Maintenance</title></html>", "html_page"),
    (200, {}, b'{"posts": "' + b"x" * 2_000 + b'"}', "too_large"),
    (200, {"Content-Length": "500", "Connection": "close"}, POSTS, "cut_short"),
    (302, {"Location": "http://169.254.169.254/"}, b"", "blocked_address"),
]


@ON_SQLITE
def test_nothing_worse_replaces_a_good_body(make: Make, server: FeedServer) -> None:
    daemon = make(blog(server, max_bytes=1_000))
    daemon.refresh()
    good = daemon.state()
    for failures, (*answer, code) in enumerate(BAD, 1):
        server.answers["/blog.json"] = tuple(answer)  # type: ignore[assignment]
        done = daemon.refresh()
        assert done.outcome == "failed"
        assert done.error is not None
        assert (done.error.code, done.fetched_at) == (code, good.fetched_at)
        assert (daemon.state().failures, daemon.body()) == (failures, json.loads(POSTS))
    found = daemon.web_feeds.body("blog")
    assert found is not None
    assert json.loads(found.answer())["status"] == "failing"
    assert json.loads(found.answer())["error"] == done.error.message
    assert daemon.web_feeds.view("blog").status == "warning_periodic_refresh_timeout"
    del server.answers["/blog.json"]
    assert daemon.refresh().outcome == "unchanged"  # by the validators of the good one
    assert server.requests[-1][1]["If-None-Match"] == good.etag
    assert (daemon.state().failures, daemon.state().error) == (0, None)


@ON_SQLITE
def test_an_empty_document_is_taken_where_it_may_be(make: Make, server: FeedServer) -> None:
    daemon = make(blog(server, allow_empty=True))
    daemon.refresh()
    server.answers["/blog.json"] = (200, {}, b"[]")
    assert daemon.refresh().outcome == "changed"
    assert daemon.body() == []


@ON_SQLITE
def test_another_address_keeps_the_old_body_until_its_first_good_one(
    make: Make, server: FeedServer
) -> None:
    daemon = make(blog(server))
    daemon.refresh()
    daemon.configure(blog(server, "/new.json"))
    assert daemon.refresh().outcome == "failed"
    assert "If-None-Match" not in server.requests[-1][1]
    assert daemon.body() == json.loads(POSTS)
    server.bodies["/new.json"] = b"[1]"
    assert daemon.refresh().outcome == "changed"
    assert daemon.body() == [1]


@ON_SQLITE
def test_what_decides_how_it_is_read_has_it_read_again(make: Make, server: FeedServer) -> None:
    server.bodies["/blog.json"] = "<a>мир</a>".encode("cp1251")
    daemon = make(blog(server, encoding="windows-1251"))
    daemon.refresh()
    assert daemon.body() == {"a": "мир"}
    daemon.configure(blog(server, encoding="koi8-r"))
    assert daemon.refresh().outcome == "changed"
    assert daemon.state().format == "xml"


@ON_SQLITE
def test_once_a_day_it_is_fetched_whatever_the_server_says(make: Make, server: FeedServer) -> None:
    daemon = make(blog(server))
    daemon.refresh()
    yesterday = datetime.now(UTC) - timedelta(hours=25)
    with daemon.catalog.transaction() as connection:
        connection.execute(stored.WEB_FEEDS.update().values(full_fetch_at=yesterday))
    assert daemon.refresh().outcome == "unchanged"
    assert "If-None-Match" not in server.requests[-1][1]
    assert daemon.refresh().outcome == "unchanged"
    assert "If-None-Match" in server.requests[-1][1]


@ON_SQLITE
def test_a_post_is_a_post_without_a_body(make: Make, server: FeedServer) -> None:
    daemon = make(blog(server, "/ask", method="post", headers=(("X-Shop", "one"),)))
    server.answers["/ask"] = (307, {"Location": "/again"}, b"")
    server.answers["/again"] = (303, {"Location": "/blog.json"}, b"")
    assert daemon.refresh().outcome == "changed"
    assert server.posted == [b"", b""]  # 307 repeats it, 303 leads to a GET
    assert [path for path, _ in server.requests] == ["/ask", "/again", "/blog.json"]
    assert server.requests[0][1]["X-Shop"] == "one"
    server.answers["/again"] = (200, {"ETag": '"a"'}, POSTS)
    daemon.refresh()
    daemon.refresh()
    assert "If-None-Match" not in server.requests[-1][1]


@ON_SQLITE
def test_a_file_can_be_one(make: Make) -> None:
    daemon = make()
    path = daemon.spool / "blog.xml"
    path.write_text("<feed><entry>1</entry></feed>")
    daemon.configure(WebFeedSettings(name="blog", url=f"file://{path}", every_s=900.0))
    assert daemon.refresh().outcome == "changed"
    assert daemon.body() == {"feed": {"entry": ["1"]}}
    path.unlink()
    assert daemon.refresh().outcome == "failed"
    assert daemon.body() == {"feed": {"entry": ["1"]}}


@ON_SQLITE
def test_what_is_not_configured_is_not_there(make: Make, server: FeedServer) -> None:
    daemon = make(blog(server))
    daemon.refresh()
    daemon.configure()
    assert daemon.web_feeds.views() == []
    assert daemon.body() is None
    for ask in (daemon.web_feeds.view, daemon.web_feeds.refresh):
        with pytest.raises(NotFound, match="no web feed 'blog'"):
            ask("blog")


def test_one_daemon_at_a_time_refreshes(make: Make, server: FeedServer) -> None:
    one, two = make(blog(server), holder="one"), make(blog(server), holder="two")
    server.delay.clear()
    refreshing = threading.Thread(target=one.web_feeds.refresh, args=("blog",))
    refreshing.start()
    while not server.requests:
        pass
    assert two.web_feeds.view("blog").status == "refreshing"
    with pytest.raises(UsageError, match="already") as caught:
        two.web_feeds.refresh("blog")
    assert caught.value.code == "busy"
    server.delay.set()
    refreshing.join()
    assert len(server.requests) == 1
    assert two.body() == json.loads(POSTS)
    assert two.refresh().outcome == "unchanged"


def test_who_was_overtaken_writes_nothing(make: Make) -> None:
    one = make()
    began = datetime.now(UTC)
    slow = claim(one, "one", began)
    quick = claim(one, "two", began + LEASE + timedelta(seconds=1))
    assert stored.record_good(one.catalog, quick, had(), **good(b"[2]", began))
    for record in (
        lambda: stored.record_good(one.catalog, slow, had(), **good(b"[1]", began)),
        lambda: stored.record_unchanged(one.catalog, slow, had(), began=began, now=began),
        lambda: stored.record_failed(one.catalog, slow, OUT, retry_at=None, began=began),
    ):
        with pytest.raises(SyncStopped):
            record()
    found = stored.read_web_feed(one.catalog, "blog")
    assert found is not None
    assert (found.body, found.error) == (b"[2]", None)


def test_a_lease_is_had_again_after_a_crash_and_by_others_in_time(make: Make) -> None:
    daemon = make(WebFeedSettings(name="blog", url="https://blog.example/"))
    claim(daemon, "one", NOW)
    claim(daemon, "one", NOW)  # what it left is dead
    with pytest.raises(UsageError):
        claim(daemon, "two", NOW + LEASE - timedelta(seconds=1))
    claim(daemon, "two", NOW + LEASE + timedelta(seconds=1))
    with pytest.raises(UsageError):
        claim(daemon, "one", NOW + LEASE)
    claim(daemon, "one", NOW - timedelta(days=1))  # the clock was set back
    claim(daemon, "one", datetime.now(UTC))
    assert daemon.web_feeds.view("blog").status == "refreshing"
    (view,) = daemon.web_feeds.views(all_ended=True)
    assert view.status is None
    daemon.web_feeds.recover()
    assert daemon.web_feeds.view("blog").status is None
    claim(daemon, "two", NOW)


@ON_SQLITE
def test_feedd_can_be_stopped_in_the_middle(make: Make, server: FeedServer) -> None:
    daemon = make(blog(server))
    stop = threading.Event()
    stop.set()
    with pytest.raises(SyncStopped):
        daemon.web_feeds.refresh("blog", stop)
    assert (daemon.state().checked_at, daemon.state().lease_until) == (None, None)
    assert daemon.refresh().outcome == "changed"


@ON_SQLITE
def test_when_one_is_due_is_said_by_what_is_stored(make: Make, server: FeedServer) -> None:
    server.answers["/blog.json"] = (503, {"Retry-After": "7200"}, b"")
    settings = blog(server, jitter_s=60.0)
    daemon = make(settings)
    stored.register(daemon.catalog, ["blog"], NOW)
    first = due_of_web_feed(settings, daemon.state(), NOW)
    assert first is not None
    assert NOW <= first < NOW + timedelta(seconds=60)
    assert due_of_web_feed(settings, daemon.state(), first) == first
    daemon.refresh()
    state = daemon.state()
    assert state.checked_at is not None
    later = due_of_web_feed(settings, state, state.checked_at)
    assert later is not None
    assert timedelta(hours=2) <= later - state.checked_at < timedelta(hours=2, seconds=10)
    server.answers["/blog.json"] = (500, {}, b"")
    daemon.refresh()
    state = daemon.state()
    soon = due_of_web_feed(settings, state, state.checked_at)  # type: ignore[arg-type]
    again = due_of_web_feed(settings, state, state.checked_at + timedelta(seconds=5))  # type: ignore[operator]
    assert soon == again  # a function of what is stored
    assert soon - state.checked_at <= timedelta(minutes=3)  # type: ignore[operator]
    assert daemon.web_feeds.due("blog", NOW) is not None
    daemon.configure(blog(server, enabled=False))
    assert daemon.web_feeds.due("blog", NOW) is None
    assert daemon.web_feeds.view("blog").status == "disabled"


@ON_SQLITE
def test_the_longer_it_fails_the_worse_is_the_word_for_it(make: Make) -> None:
    daemon = make(WebFeedSettings(name="blog", url="https://blog.example/"))
    for hours, status in (
        (80, "critical_nightly_refresh_timeout"),
        (4, "warning_nightly_refresh_timeout"),
        (1, "warning_periodic_refresh_timeout"),
    ):
        had_at = datetime.now(UTC) - timedelta(hours=hours)
        claimed = claim(daemon, "one", had_at)
        stored.record_good(daemon.catalog, claimed, had(), **good(b"[1]", had_at))
        claimed = claim(daemon, "one", had_at)
        stored.record_failed(daemon.catalog, claimed, OUT, retry_at=None, began=had_at)
        assert daemon.web_feeds.view("blog").status == status
        assert daemon.body() == [1]


def test_what_left_the_configuration_is_kept_for_a_month(make: Make) -> None:
    daemon = make(WebFeedSettings(name="blog", url="https://blog.example/"))
    for name in ("blog", "news"):
        claimed = claim(daemon, "one", NOW, name)
        stored.record_good(daemon.catalog, claimed, had(), **good(b"[1]", NOW))
    assert daemon.web_feeds.register(NOW + timedelta(days=29)) == []
    assert daemon.web_feeds.register(NOW + timedelta(days=31)) == ["news"]
    assert list(stored.read_web_feeds(daemon.catalog)) == ["blog"]
    assert stored.read_web_feed(daemon.catalog, "news") is None
    assert daemon.body() == [1]


def test_marks_tell_what_is_otherwise(make: Make, server: FeedServer) -> None:
    daemon = make(blog(server))
    assert daemon.web_feeds.marks() == {}
    assert daemon.web_feeds.body("blog") is None
    marks = []
    for answer in (
        (500, {}, b""),
        (200, {}, POSTS),
        (500, {}, b""),
        (200, {}, POSTS),
        (200, {}, b"[1]"),
    ):
        server.answers["/blog.json"] = answer
        daemon.refresh()
        found = daemon.web_feeds.body("blog")
        assert found is not None
        assert daemon.web_feeds.marks() == {"blog": found.mark}
        marks.append(found.mark)
    assert len(set(marks)) == 5
    daemon.configure()
    assert daemon.web_feeds.marks() == {}


OUT = ErrorInfo(code="dns", message="no such host")


def claim(daemon: Daemon, holder: str, now: datetime, name: str = "blog") -> WebFeedState:
    return stored.claim(daemon.catalog, name, holder=holder, lease=LEASE, now=now)


def had() -> Had:
    return Had(
        raw_digest=b"r",
        source_digest=b"s",
        format="json",
        etag=None,
        last_modified=None,
        full_fetch_at=NOW,
        max_age_until=None,
    )


def good(body: bytes, at: datetime) -> dict[str, Any]:
    return {"body": body, "digest": b"d" + body, "began": at, "now": at}

"""Templates see web feeds as they are at each message, whatever a process has been told before."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feedd import intake
from feedd.model import ErrorInfo
from feedd.rendering import Recipient, Rendered, Renderer, Source
from feedd.rendering.lookups import Lookups, WebFeedBodies
from feedd.settings import Settings
from feedd.shelf.view import Shelf
from feedd.store.web_feeds import WebFeedBody
from feedd.templates.wire import Account, UsedFeed

NOW = datetime.now(UTC)
SOURCE = Source(
    html="{% for post in feeds.blog.posts %}{{ post.title }}{{ post|length }} {% endfor %}"
    "{{ web_feeds.blog.status }}"
)


def body(error: ErrorInfo | None = None, *titles: str) -> WebFeedBody:
    posts = [{"title": title, "_secret": "x"} for title in titles]
    return WebFeedBody(
        name="blog",
        body=json.dumps({"posts": posts}).encode(),
        digest="-".join(titles),
        fetched_at=NOW - timedelta(minutes=5),
        error=error,
    )


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_what_a_process_was_told_is_forgotten_once_it_is_otherwise(place: intake.Place) -> None:
    catalog = place.open_catalog()
    bodies: dict[str, WebFeedBody] = {}
    read: list[str] = []

    def read_one(name: str) -> WebFeedBody | None:
        read.append(name)
        return bodies.get(name)

    source = WebFeedBodies(read_one, lambda: {name: each.mark for name, each in bodies.items()})
    settings = Settings(state_dir=Path(place.state_dir), socket=Path(place.state_dir))
    renderer = Renderer(Account, Lookups(Shelf(catalog, lambda: settings), source))
    shown = []
    try:
        for now in (
            None,
            body(None, "One"),
            body(None, "One"),
            body(None, "Two", "Three"),
            body(ErrorInfo(code="dns", message="no such host"), "Two", "Three"),
        ):
            bodies |= {} if now is None else {"blog": now}
            done = renderer.render(SOURCE, Recipient(values=b"{}"))
            shown.append(done.html.decode())
        assert shown == ["", "One1 ok", "One1 ok", "Two1 Three1 ok", "Two1 Three1 failing"]
        (used,) = done.feeds
        assert used == UsedFeed("blog", "Two-Three", used.fetched_at)
        assert read == ["blog"] * 4  # what is as it was is not asked for again
        assert renderer.render(Source(html="-"), Recipient(values=b"{}")).feeds == ()
        own = Recipient(values=b'{"feeds": {"blog": {"posts": [{"title": "Mine"}]}}}')
        assert renderer.render(SOURCE, own).html == b"Mine1 failing"
    finally:
        renderer.close()
        catalog.close()


def test_the_messages_of_a_batch_see_one_body() -> None:
    bodies = {"blog": body(None, "One")}
    source = WebFeedBodies(bodies.get, lambda: {name: each.mark for name, each in bodies.items()})
    renderer = Renderer(Account, Lookups(bodies=source))
    nobody = Recipient(values=b"{}")
    try:
        messages = renderer.render_many(SOURCE, [nobody] * 130)
        first = next(messages)
        bodies["blog"] = body(None, "Two")
        after = renderer.render(SOURCE, nobody)  # the same process is told of it, and is told back
        others = list(messages)
    finally:
        renderer.close()
    assert isinstance(first, Rendered)
    assert {each.html for each in (first, *others) if isinstance(each, Rendered)} == {b"One1 ok"}
    assert len(others) == 129
    assert after.html == b"Two1 ok"

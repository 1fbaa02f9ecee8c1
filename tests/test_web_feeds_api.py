"""Web feeds over the API: as the published client of Klaviyo's reads them, and who would write them is told where to."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from klaviyo_api import KlaviyoAPI
from openapi_client.exceptions import ApiException
from test_events_api import Shop

from feedd.settings import Settings, WebFeedSettings
from feedd.store import web_feeds as stored

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("news", "Blog_posts", "reviews", "tips", "sale", "events")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("web-feeds")
    state = folder / "state"
    state.mkdir(mode=0o700)
    url = "https://blog.example/feed.xml?token=hush"
    web_feeds = {
        name: WebFeedSettings(name=name, url=url, every_s=900.0, format="xml", method="post")
        for name in NAMES
    }
    web_feeds["sale"] = WebFeedSettings(name="sale", url=url, enabled=False, every_s=900.0)
    made = Shop(
        Settings(state_dir=state, socket=folder / "s", listen=("127.0.0.1", 0), web_feeds=web_feeds)
    )
    for day, name in enumerate(NAMES):
        stored.register(made.app.catalog, [name], START + timedelta(days=day))
    yield made
    made.close()


def names(document: Any) -> list[str]:
    return [each["id"] for each in document["data"]]


def test_the_published_client_reads_them(shop: Shop) -> None:
    client: KlaviyoAPI = shop.client
    page = client.Web_Feeds.get_web_feeds(filter='contains(name,"s")', sort="-name", page_size=2)
    assert [each.id for each in page.data] == ["tips", "sale"]
    following = client.Web_Feeds.get_web_feeds(
        filter='contains(name,"s")', sort="-name", page_size=2, page_cursor=page.links.next
    )
    assert [each.id for each in following.data] == ["reviews", "news"]
    found = client.Web_Feeds.get_web_feed("Blog_posts").data
    assert (found.type, found.id, found.attributes.name) == ("web-feed", "Blog_posts", "Blog_posts")
    assert found.attributes.url == "https://blog.example/feed.xml?token=***"
    assert found.attributes.request_method == "post"
    assert found.attributes.content_type == "xml"
    assert found.attributes.status is None
    assert found.attributes.created == START + timedelta(days=1)
    assert client.Web_Feeds.get_web_feed("sale").data.attributes.status == "disabled"
    with pytest.raises(ApiException) as caught:
        client.Web_Feeds.get_web_feed("nothing")
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Blog_posts", "events", "news", "reviews", "sale"]),
        ("sort=name&page[size]=2", ["Blog_posts", "events"]),
        ("sort=-created&page[size]=3", ["events", "sale", "tips"]),
        ("sort=updated&page[size]=1", ["news"]),
        ('filter=equals(name,"tips")', ["tips"]),
        ('filter=any(name,["tips","news","x"])', ["news", "tips"]),
        ("filter=greater-than(created,2026-01-05T00:00:00Z)", ["events"]),
        ("filter=greater-or-equal(created,2026-01-05T00:00:00Z)", ["events", "sale"]),
        ("filter=less-than(updated,2026-01-02T00:00:00Z)", ["news"]),
        ("filter=less-or-equal(updated,2026-01-02T00:00:00Z)", ["Blog_posts", "news"]),
    ],
)
def test_lists_are_filtered_and_sorted(shop: Shop, query: str, found: list[str]) -> None:
    assert names(shop.get(f"/api/web-feeds?{query}")) == found


@pytest.mark.parametrize("sort", ["name", "-name", "created", "-created", "-updated"])
def test_pages_add_up(shop: Shop, sort: str) -> None:
    path = f"/api/web-feeds?sort={sort}&page[size]=4"
    first = shop.get(path)
    following = first["links"]["next"].partition(shop.address)[2]
    second = shop.ask("GET", following.replace("%5B", "[").replace("%5D", "]"))[1]
    assert second["links"]["next"] is None
    assert names(first) + names(second) == names(
        shop.get(f"/api/web-feeds?sort={sort}&page[size]=9")
    )


def test_fields_can_be_chosen(shop: Shop) -> None:
    document = shop.get("/api/web-feeds/news?fields[web-feed]=name,status")
    assert document["data"]["attributes"] == {"name": "news", "status": None}


def test_who_would_write_is_told_where(shop: Shop) -> None:
    for method, path in (
        ("POST", "/api/web-feeds"),
        ("PATCH", "/api/web-feeds/news"),
        ("DELETE", "/api/web-feeds/news"),
    ):
        error = shop.refused(method, path, {"data": {}}, status=405)
        assert "web feeds are configured in the file" in error["detail"]
    with pytest.raises(ApiException) as caught:
        shop.client.Web_Feeds.delete_web_feed("news")
    assert caught.value.status == 405


def test_keys_need_the_scope(shop: Shop) -> None:
    reads, writes = shop.key_for("web-feeds:read"), shop.key_for("web-feeds:write")
    body = {"data": {"type": "web-feed-refresh", "attributes": {"web_feed": "nothing"}}}
    assert shop.ask("GET", "/api/web-feeds", key=reads)[0] == 200
    shop.refused("GET", "/api/web-feeds", status=403, key=writes)
    shop.refused("POST", "/api/web-feed-refreshes", body, status=403, key=reads)
    shop.refused("POST", "/api/web-feed-refreshes", body, status=404, key=writes)

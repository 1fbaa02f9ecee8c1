"""The HTTP API, over a real unix socket, on both databases."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from conftest import KINDS, fresh_place
from daemons import UnixConnection
from feeds import item, take_in

from feedd import intake
from feedd.api.documents import STATUSES
from feedd.api.legacy import is_legacy
from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.listen import HttpServer
from feedd.settings import FeedSettings, Settings, WebhookSettings
from feedd.settings.secret import Secret
from feedd.store.feeds import begin_sync

# a rotation needs a key that is there, a merge two profiles, a number a metric, calls of pages a public key; track and identify take no
# document; they have tests of their own
ELSEWHERE = {
    "/api/api-key-rotations",
    "/api/track",
    "/api/identify",
    "/api/metric-aggregates",
    "/client/events",
    "/client/event-bulk-create",
    "/api/profile-merge",
    "/client/profiles",
    "/api/template-render",
    "/api/template-clone",
    "/api/template-previews",
    "/api/web-feed-refreshes",
}


class Api:
    """An App behind its API, and a client for it."""

    def __init__(self, place: intake.Place, folder: Path) -> None:
        self.folder = folder
        feeds = {
            name: FeedSettings(
                name=name,
                url=f"https://127.0.0.1/{name}?key=hidden",  # which is refused, and at once
                catalog=catalog,
                every_s=3600.0,
                order=n,
            )
            for n, (name, catalog) in enumerate(
                {"shop": "$default", "extra": "$default", "outlet": "outlet"}.items()
            )
        }
        settings = Settings(
            state_dir=Path(place.state_dir),
            socket=folder / "api.sock",
            listen=None,
            database=Secret(place.url) if place.url else None,
            feeds=feeds,
            webhooks={
                "erp": WebhookSettings(
                    name="erp",
                    url="http://127.0.0.1:9/hook?key=hidden",  # where nobody listens
                    secrets=(Secret("whsec_" + "c2VjcmV0" * 4),),
                    allow_private=("127.0.0.0/8",),
                )
            },
        )
        self.app = App(settings)
        self.app.webhooks.register(datetime.now(UTC))
        self.dispatcher = Dispatcher(self.app)
        self.http = HttpServer(self.app, self.dispatcher, settings)
        self.http.start()

    def close(self) -> None:
        self.dispatcher.stop()
        self.http.stop()
        self.app.close()

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = UnixConnection(self.folder / "api.sock")
        try:
            content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, content)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        lines = response.headers.get_content_type() == "application/jsonl"
        return response.status, json.loads(text) if text.startswith(b"{") and not lines else text

    def get(self, path: str) -> Any:
        status, document = self.request("GET", path)
        assert status == 200, document
        return document

    def refused(self, method: str, path: str, status: int, body: Any = None) -> dict[str, Any]:
        got, document = self.request(method, path, body)
        assert got == status, document
        error: dict[str, Any] = document["errors"][0]
        assert error["status"] == status
        assert error["title"]
        assert error["detail"]
        return error

    def pages(self, path: str) -> list[Any]:
        found: list[Any] = []
        following = path
        while following:
            document = self.get(following)
            found += document["data"]
            following = document["links"]["next"]
        return found

    def sync(self, feed: str, records: list[Any]) -> None:
        take_in(self.app.catalog, self.folder, records, feed=feed)


@pytest.fixture
def api(place: intake.Place, tmp_path: Path) -> Iterator[Api]:
    made = Api(place, tmp_path)
    yield made
    made.close()


ODD_IDS = ["7", "a/b", "ä ö?#&", "::: %2F", "السعر", '"quoted"']


@pytest.fixture(scope="module", params=KINDS)
def still(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """One for all tests that store nothing: it holds items whose ids are odd."""
    folder = tmp_path_factory.mktemp("still")
    with fresh_place(request, request.param, folder / "state") as place:
        made = Api(place, folder)
        made.sync("shop", [item(each, price=3) for each in ODD_IDS])
        yield made
        made.close()


def test_feeds_tell_their_state_and_no_secret(api: Api) -> None:
    api.sync("shop", [item("a"), {"id": "b"}])
    feeds = api.get("/api/feeds")["data"]
    assert [feed["id"] for feed in feeds] == ["shop", "extra", "outlet"]
    shop = feeds[0]["attributes"]
    assert (shop["status"], shop["items"], shop["rejected"]) == ("applied", 1, 1)
    assert feeds[1]["attributes"]["status"] == "new"
    assert "hidden" not in json.dumps(feeds)
    assert api.get("/api/feeds/shop")["data"] == feeds[0]
    assert "shop" in api.refused("GET", "/api/feeds/nope", 404)["detail"]


def test_items_are_listed_in_pages_and_filtered(api: Api) -> None:
    api.sync("shop", [item(str(n)) for n in range(5)])
    api.sync("outlet", [item(str(n)) for n in range(3)])
    everything = api.pages("/api/catalog-items?page[size]=2")
    assert len(everything) == 8
    assert len({resource["id"] for resource in everything}) == 8

    def ids(filter_: str) -> list[str]:
        found = api.get(f"/api/catalog-items?filter={quote(filter_)}")["data"]
        return [resource["id"] for resource in found]

    assert ids('equals(feed,"outlet"),equals(id,"2")') == ["$custom:::outlet:::2"]
    assert ids("any(id,['1','$custom:::$default:::3']),equals(feed,'shop')") == [
        "$custom:::$default:::1",
        "$custom:::$default:::3",
    ]
    assert len(ids('equals(catalog,"outlet")')) == 3
    assert ids('equals(catalog,"outlet"),equals(feed,"shop")') == []
    assert ids("equals(removed,true)") == []


@pytest.mark.parametrize("item_id", ODD_IDS)
def test_one_item_is_found_whatever_its_id(still: Api, item_id: str) -> None:
    key = f"$custom:::$default:::{item_id}"
    for path in (quote(key, safe=""), quote(key, safe="/:$")):
        found = still.get(f"/api/catalog-items/{path}")["data"]
        assert found["id"] == key
        assert found["attributes"]["fields"]["price"] == 3


def test_of_two_feeds_with_one_id_the_first_configured_is_found(api: Api) -> None:
    api.sync("extra", [item("1", "Second"), item("2", "Only here")])
    api.sync("shop", [item("1", "First")])
    found = api.get("/api/catalog-items/$custom:::$default:::1")["data"]["attributes"]
    assert (found["feed"], found["fields"]["title"]) == ("shop", "First")
    found = api.get("/api/catalog-items/$custom:::$default:::2")["data"]["attributes"]
    assert found["feed"] == "extra"
    api.refused("GET", "/api/catalog-items/$custom:::outlet:::1", 404)


def test_changes_are_paged_both_ways_and_filtered(api: Api) -> None:
    api.sync("shop", [item(str(n)) for n in range(5)])
    api.sync("shop", [item(str(n), price=n) for n in range(5)])
    forwards = api.pages("/api/catalog-changes?page[size]=3")
    assert [int(change["id"]) for change in forwards] == list(range(1, 11))
    assert api.pages("/api/catalog-changes?page[size]=4&sort=-seq") == forwards[::-1]
    later = api.get("/api/catalog-changes?filter=greater-than(seq,8)")
    assert [change["id"] for change in later["data"]] == ["9", "10"]
    assert later["meta"]["last_seq"] == 10
    some = api.pages(
        '/api/catalog-changes?page[size]=1&filter=equals(kind,"updated"),any(item,["2","4"])'
    )
    assert [change["attributes"]["fields"] for change in some] == [
        {"price": [None, 2]},
        {"price": [None, 4]},
    ]


def test_a_cursor_of_another_history_is_refused(api: Api) -> None:
    api.sync("shop", [item(str(n)) for n in range(5)])
    following = api.get("/api/catalog-changes?page[size]=2")["links"]["next"]
    with api.app.catalog.transaction() as connection:
        connection.exec_driver_sql("UPDATE stream SET stream_id = 'restored'")
    assert api.refused("GET", following, 410)["code"] == "stream_changed"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/api/catalog-items?filter=equals(price,3)", "equals(id,…)"),
        ("/api/catalog-items?filter=equals(id", "character"),
        ("/api/catalog-items?page[size]=0", "page[size]"),
        ("/api/catalog-items?page[size]=1001", "page[size]"),
        ("/api/catalog-items?page[cursor]=xyz", "cursor"),
        ("/api/catalog-items?page[cursor]=%00", "cursor"),
        ("/api/catalog-changes?sort=price", "seq"),
        ('/api/catalog-changes?filter=equals(kind,"gone")', "added"),
        ('/api/catalog-changes?filter=greater-than(seq,"x")', "number"),
        ('/api/feed-syncs?filter=equals(status,"gone")', "applied"),
    ],
)
def test_a_query_that_cannot_be_used_says_what_can(still: Api, path: str, says: str) -> None:
    assert says in still.refused("GET", path.replace('"', "%22"), 400)["detail"]


def test_a_cursor_belongs_to_its_list(api: Api) -> None:
    api.sync("shop", [item(str(n)) for n in range(5)])
    cursor = api.get("/api/catalog-items?page[size]=2")["links"]["next"].partition("cursor%5D=")[2]
    api.refused("GET", f"/api/catalog-changes?page[cursor]={cursor}", 400)


def test_a_cursor_belongs_to_its_filter_and_sort(api: Api) -> None:
    api.sync("shop", [item(str(n)) for n in range(5)])
    api.sync("shop", [item(str(n), price=n) for n in range(5)])
    for path, other in (
        ("/api/catalog-items?page[size]=2", "filter=equals(feed,%22shop%22)"),
        ("/api/catalog-changes?page[size]=2", "filter=equals(kind,%22added%22)"),
        ("/api/catalog-changes?page[size]=2", "sort=-seq"),
        ("/api/feed-syncs?page[size]=1", "filter=equals(status,%22applied%22)"),
        ("/api/feeds?page[size]=1", "filter=any(id,[%22shop%22,%22extra%22])"),
    ):
        following = api.get(path)["links"]["next"]
        assert "filter or sort" in api.refused("GET", f"{following}&{other}", 400)["detail"]
        assert api.get(following)["data"]
        assert api.get(following.replace("size%5D=2", "size%5D=3"))["data"]
    spaced = "/api/catalog-changes?page[size]=2&filter=equals(kind,%22added%22)"
    following = api.get(spaced)["links"]["next"]
    assert api.get(following.replace("%2C", "%2C%20"))["data"]  # the same filter, written otherwise


def test_syncs_rejects_and_warnings_are_listed(api: Api) -> None:
    api.sync("shop", [item("a", price="?"), {"id": "b"}, {"title": "c"}, None])
    api.sync("shop", [item("a", price="?"), {"id": "b"}, {"title": "c"}, None])
    syncs = api.pages("/api/feed-syncs?page[size]=1")
    assert [s["attributes"]["status"] for s in syncs] == ["applied", "applied"]
    assert syncs[0]["attributes"]["counts"]["rejected"] == 3
    assert api.get(f"/api/feed-syncs/{syncs[0]['id']}")["data"] == syncs[0]
    api.refused("GET", "/api/feed-syncs/99", 404)
    for none in ("x", "-1", "99999999999999999999999"):
        assert api.refused("GET", f"/api/feed-syncs/{none}", 404)["code"] == "not_found"
    rejects = api.pages("/api/feed-rejects?page[size]=1")
    assert [r["attributes"]["position"] for r in rejects] == [2, 3, 4]
    assert [r["attributes"]["item_id"] for r in rejects] == ["b", None, None]
    assert all(r["attributes"]["problems"][0]["hint"] for r in rejects)
    warnings = api.get("/api/feed-warnings?filter=equals(feed,%22shop%22)")["data"]
    assert warnings[0]["attributes"]["warnings"][0]["pointer"] == "/price"


def test_a_resync_that_cannot_start_says_so(api: Api) -> None:
    def body(feed: str, **attributes: Any) -> Any:
        relationships = {"feed": {"data": {"type": "feed", "id": feed}}}
        return {"data": {"attributes": attributes, "relationships": relationships}}

    api.refused("POST", "/api/feed-syncs", 404, body("nope"))
    api.refused("POST", "/api/feed-syncs", 400, body("shop", accept="yes"))
    api.refused("POST", "/api/feed-syncs", 400, b"{")
    api.refused("POST", "/api/feed-syncs", 400, b"\xff" * 10)
    api.refused("POST", "/api/feed-syncs", 400, b"[" * 100_000)
    api.refused("POST", "/api/feed-syncs", 413, b" " * (6 * 1024 * 1024))
    begin_sync(api.app.catalog, "shop", trigger="resync", holder="other", now=datetime.now(UTC))
    assert api.refused("POST", "/api/feed-syncs", 409, body("shop"))["code"] == "busy"


def test_what_is_not_there_is_a_document_too(still: Api) -> None:
    assert still.refused("GET", "/api/nothing", 404)["code"] == "not_found"
    assert still.refused("DELETE", "/api/feeds", 405)["code"] == "method_not_allowed"


def test_a_number_larger_than_any_is_the_number_of_nothing(api: Api) -> None:
    large = 2**61
    assert api.refused("GET", f"/api/feed-syncs/{large}", 404)["code"] == "not_found"
    assert api.app.syncs(before=large) == []
    assert api.app.webhooks.deliveries(after=large) == []
    assert api.app.rejects(after=(large, large)) == api.app.closed_rejects(after=large) == []


@pytest.mark.parametrize("strange", ["%00", "%ED%A0%80", "%FF", "a" * 3_000, "%2F", "..", "'"])
def test_an_id_that_nothing_has_is_found_nowhere(api: Api, strange: str) -> None:
    for path, methods in api.get("/openapi.json")["paths"].items():
        for method in methods if "{" in path else ():
            status, _ = api.request(method.upper(), re.sub(r"\{[^}]*\}", strange, path), b"{}")
            assert 400 <= status < 500, f"{method} {path}: {status}"


def test_the_pages_of_the_api_need_no_other_host(still: Api) -> None:
    _, page = still.request("GET", "/docs")
    assert b"https://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert name.encode() in page
        assert still.request("GET", f"/docs/assets/{name}")[0] == 200
    assert still.get("/openapi.json")["paths"]["/api/feeds"]


def test_a_dry_run_is_told_line_by_line(api: Api) -> None:
    api.sync("shop", [item("a")])
    about = {"relationships": {"feed": {"data": {"id": "shop"}}}}
    status, lines = api.request("POST", "/api/feed-dry-runs", {"data": about})
    last = json.loads(lines.splitlines()[-1])
    assert (status, last["sync"]["status"]) == (200, "failed")
    assert last["sync"]["error"]["code"] == "blocked_address"
    assert api.get("/api/feed-syncs")["data"][0]["attributes"]["status"] == "applied"
    assert not list(api.app.spool_dir.glob("dry-*"))
    replay = {"data": about | {"attributes": {"replay": True}}}
    assert api.refused("POST", "/api/feed-dry-runs", 409, replay)["code"] == "no_body"
    missing = {"data": {"relationships": {"feed": {"data": {"id": "nowhere"}}}}}
    api.refused("POST", "/api/feed-dry-runs", 404, missing)
    wrong = {"data": about | {"type": "feed-sync"}}
    api.refused("POST", "/api/feed-dry-runs", 400, wrong)


def test_every_error_has_a_status() -> None:
    assert all(400 <= status < 600 for status, _ in STATUSES.values())


def test_openapi_says_what_a_request_needs(api: Api) -> None:
    document = api.get("/openapi.json")
    assert document["components"]["securitySchemes"]["private key"]["name"] == "Authorization"
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    for path, method, operation in operations:
        assert operation["summary"], (path, method)
        assert bool(operation.get("security")) == path.startswith("/api/"), (path, method)
        if method == "post" and path not in ELSEWHERE and not is_legacy(path):
            (content,) = operation["requestBody"]["content"].values()
            assert "data" in content["schema"]["properties"]
            assert "$ref" not in json.dumps(content["schema"])
            status, _ = api.request("POST", path, content["example"])
            assert status in (200, 201, 202)


@pytest.mark.parametrize(
    "path",
    [
        "/api/catalog-changes?filter=greater-than(seq,99999999999999999999999)",
        "/api/catalog-items?filter=equals(id," + "[" * 9000,
        "/api/catalog-items?filter=" + "and(" * 2000,
        "/api/catalog-items?filter=equals(id,%22a%00%22)",
        "/api/catalog-items?sort=price",
        "/api/feeds?sort=name",
        "/api/catalog-items?filtre=equals(id,1)",
        *(
            f"/api/{kind}s?page[cursor]={base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()}"
            for kind in (
                "catalog-item",
                "catalog-change",
                "feed",
                "feed-sync",
                "feed-reject",
                "feed-warning",
            )
            for cursor in (
                [kind],
                [kind, None],
                [kind, []],
                [kind, [10**30, 1]],
                [kind, [-1]],
                [[]],
                {},
                1,
            )
        ),
    ],
)
def test_nonsense_is_refused_as_a_document(still: Api, path: str) -> None:
    assert still.refused("GET", path, 400)["code"] == "invalid"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"\xff", b"[" * 100_000, {"data": {}}, {"data": {"type": "bogus"}}],
)
def test_a_body_that_cannot_be_used_is_refused(still: Api, body: Any) -> None:
    still.refused("POST", "/api/feed-syncs", 400, body)
    still.refused("POST", "/api/api-keys", 400, body)
    still.refused("POST", "/api/api-key-rotations", 400, body)


def test_a_key_is_replaced(api: Api) -> None:
    attributes = {"kind": "private", "name": "erp", "scopes": ["events:write"]}
    _, made = api.request("POST", "/api/api-keys", {"data": {"attributes": attributes}})
    wanted = {"key": made["data"]["id"], "keep_s": 60}
    about = {"data": {"type": "api-key-rotation", "attributes": wanted}}
    status, answer = api.request("POST", "/api/api-key-rotations", about)
    found = answer["data"]["attributes"]
    assert status == 201
    assert found["key"].startswith(found["new"]["prefix"])
    assert found["new"]["scopes"] == found["old"]["scopes"] == ["events:write"]
    assert found["old"]["expires_at"]
    for prefix in ("pk_Ab12Cd34", "\x00"):
        wrong = {"data": {"attributes": {"key": prefix}}}
        api.refused("POST", "/api/api-key-rotations", 404, wrong)
    bad = {"kind": "private", "name": "k", "scopes": ["people:read"]}
    api.refused("POST", "/api/api-keys", 400, {"data": {"attributes": bad}})


def test_a_keys_name_is_one_line_of_text(still: Api) -> None:
    for name in ("", "  ", "a\x1b[31m", "x" * 201):
        attributes = {"kind": "private", "name": name}
        still.refused("POST", "/api/api-keys", 400, {"data": {"attributes": attributes}})


def test_a_link_to_itself_leads_there(api: Api) -> None:
    api.sync("shop", [item("a/b ü"), {"id": "w", "title": "x", "price": "?"}, {"id": "r"}])
    api.request("POST", "/api/api-keys", {"data": {"attributes": {"kind": "private", "name": "k"}}})
    for kind in (
        "feed",
        "feed-sync",
        "feed-reject",
        "feed-warning",
        "catalog-item",
        "catalog-change",
        "api-key",
    ):
        for resource in api.get(f"/api/{kind}s")["data"]:
            if "links" in resource:
                assert api.get(resource["links"]["self"])["data"]["id"] == resource["id"]


def test_a_request_sent_again_is_carried_out_once(api: Api) -> None:
    def post(key: str) -> int:
        connection = UnixConnection(api.folder / "api.sock")
        feed = {"data": {"type": "feed", "id": "shop"}}
        body = json.dumps({"data": {"relationships": {"feed": feed}}})
        connection.request("POST", "/api/feed-syncs", body, {"Idempotency-Key": key})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return int(answer["data"]["id"])

    assert post("one") == post("one") != post("two")


@pytest.mark.parametrize(
    "path",
    ["/healthz", "/api/feeds", "/api/catalog-items?page[size]=1", "/api/feeds/none", "/docs"],
)
def test_head_answers_as_get_does_without_a_body(still: Api, path: str) -> None:
    answers = []
    for method in ("GET", "HEAD"):
        connection = UnixConnection(still.folder / "api.sock")
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read()
            headers = {k.lower(): v for k, v in response.getheaders() if k.lower() != "date"}
            answers.append((response.status, headers))
        finally:
            connection.close()
    assert answers[0] == answers[1]
    assert body == b""


def test_head_is_for_what_can_be_got(still: Api) -> None:
    status, _ = still.request("HEAD", "/api/nothing")
    assert status == 404

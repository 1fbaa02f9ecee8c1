"""Sources in pages: all of them are one feed, and a part of them is none."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from servers import FeedServer

from feedd.app import App
from feedd.errors import FeedError
from feedd.fetch import Fetched, Fetcher, FetchRequest
from feedd.intake import Place
from feedd.model import Layout, Pages, SyncRecord
from feedd.settings import FeedSettings, Secret, Settings

LAYOUT = Layout(items=("", "products", "*"))
ROWS = [{"id": str(n), "title": f"Thing {n}"} for n in range(7)]
LINK = Pages(by="link")
NEXT = Pages(by="next", path=("links", "next"))
CURSOR = Pages(by="cursor", path=("meta", "cursor"), query="after")
NUMBER = Pages(by="number", query="page")
OFFSET = Pages(by="number", query="skip", first=0, step=3)

Answer = tuple[int, dict[str, str], bytes]
Respond = Callable[[dict[str, str]], Answer]


class Shop(FeedServer):
    """A shop that answers by the parameters of the query."""

    respond: Respond

    def answer(self, path: str, etag: str | None) -> Answer:
        return self.respond({k: v[-1] for k, v in parse_qs(urlsplit(path).query).items()})

    @property
    def asked(self) -> list[str]:
        return [path for path, _ in self.requests]


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.close()


def page(rows: Any, headers: dict[str, str] | None = None, **around: Any) -> Answer:
    """An answer with an array of rows; in an object if there is something around it."""
    body = {"products": rows, **around} if around else rows
    return 200, {"Content-Type": "application/json", **(headers or {})}, json.dumps(body).encode()


def three(at: int) -> list[dict[str, str]]:
    return ROWS[at : at + 3]


def by_link(query: dict[str, str]) -> Answer:
    number = int(query.get("page", 1))
    link = f'</feed?page={number + 1}>; rel="next"' if number < 3 else '</feed?page=2>; rel="prev"'
    return page(three(3 * number - 3), {"Link": link})


def by_next(query: dict[str, str]) -> Answer:
    number = int(query.get("page", 1))
    link = f"?page={number + 1}" if number < 3 else None
    return page(three(3 * number - 3), links={"next": link}, made_at=f"now, {number}")


def by_cursor(query: dict[str, str]) -> Answer:
    at = int(query.get("after", "0").removeprefix("a&"))
    return page(three(at), meta={"cursor": f"a&{at + 3}" if at < 6 else ""})


def by_number(query: dict[str, str]) -> Answer:
    return page(three(3 * int(query["page"]) - 3))


def by_offset(query: dict[str, str]) -> Answer:
    return page(three(int(query["skip"])), total=7)


def counted(query: dict[str, str]) -> Answer:
    if int(query["page"]) > 3:
        return 400, {}, b'{"code": "rest_post_invalid_page_number"}'
    return page(three(3 * int(query["page"]) - 3), {"X-WP-TotalPages": "3"})


def clamped(query: dict[str, str]) -> Answer:
    """The last page again, for whatever lies beyond it."""
    return page(three(3 * min(int(query["page"]), 3) - 3))


def fetch(shop: Shop, folder: Path, pages: Pages, **options: Any) -> Fetched:
    query = options.pop("query", "?limit=3&token=qu3ry")
    using = options.pop("using", None) or Fetcher(user_agent="feedd", sleep=lambda _: None)
    request = FetchRequest(
        url=options.pop("url", None) or shop.url(f"/feed{query}"),
        pages=pages,
        **{"allow_private": ("127.0.0.0/8",), "layout": LAYOUT, **options},
    )
    fetched: Fetched = using.fetch(request, folder)
    return fetched


def rows_of(fetched: Fetched) -> Any:
    assert fetched.path is not None
    rows = json.loads(fetched.path.read_bytes().decode("utf-8-sig"))
    fetched.path.unlink()
    return rows


def failure(shop: Shop, folder: Path, pages: Pages, **options: Any) -> FeedError:
    with pytest.raises(FeedError) as caught:
        fetch(shop, folder, pages, **options)
    assert list(folder.iterdir()) == []
    assert "qu3ry" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("pages", "respond", "asked"),
    [
        (LINK, by_link, 3),
        (NEXT, by_next, 3),
        (CURSOR, by_cursor, 3),
        (NUMBER, by_number, 4),
        (NUMBER, counted, 3),
        (NUMBER, clamped, 4),
        (OFFSET, by_offset, 4),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_all_pages_are_one_body(
    shop: Shop, tmp_path: Path, pages: Pages, respond: Respond, asked: int
) -> None:
    shop.respond = respond
    fetched = fetch(shop, tmp_path, pages)
    assert (fetched.status, fetched.etag, fetched.last_modified) == (200, None, None)
    assert list(tmp_path.iterdir()) == [fetched.path]
    assert rows_of(fetched) == ROWS
    assert len(shop.asked) == asked
    assert not [headers for _, headers in shop.requests if "If-None-Match" in headers]


def test_the_other_parameters_stay_as_they_are(shop: Shop, tmp_path: Path) -> None:
    shop.respond = by_number
    fetch(shop, tmp_path, NUMBER, query="?a%5B%5D=1&page=9&flag&b=%C3%A9")
    assert shop.asked[1] == "/feed?a%5B%5D=1&flag&b=%C3%A9&page=2"
    shop.respond = lambda query: page([], x=query)
    fetch(shop, tmp_path, Pages(by="number", query="page[number]"), query="?page[size]=3")
    assert parse_qs(urlsplit(shop.asked[-1]).query) == {"page[size]": ["3"], "page[number]": ["1"]}


def test_the_digest_is_of_the_records(shop: Shop, tmp_path: Path) -> None:
    digests = set()
    for time in ("one", "two"):
        shop.respond = lambda query, time=time: (
            page(  # type: ignore[misc]
                three(int(query.get("after", 0))),
                meta={"cursor": int(query.get("after", 0)) + 3 if query.get("after") != "6" else 0},
                made_at=time,
            )
            if query.get("after") != "6"
            else page(three(6), meta={}, made_at=time)
        )
        digests.add(fetch(shop, tmp_path, CURSOR).digest)
    assert len(digests) == 1


def test_a_single_page_and_no_items_at_all_are_feeds(shop: Shop, tmp_path: Path) -> None:
    shop.respond = lambda _: page(ROWS, links={"next": None})
    assert rows_of(fetch(shop, tmp_path, NEXT)) == ROWS
    shop.respond = lambda _: page([])
    for pages in (LINK, NUMBER, OFFSET):
        assert rows_of(fetch(shop, tmp_path, pages)) == []


def test_records_are_found_where_nobody_has_said(shop: Shop, tmp_path: Path) -> None:
    def respond(query: dict[str, str]) -> Answer:
        rows = three(3 * int(query["page"]) - 3)
        document = {"answer": {"found": {"articles": rows}}, "facets": [{"name": "a"}]}
        return 200, {}, json.dumps(document).encode()

    shop.respond = respond
    assert rows_of(fetch(shop, tmp_path, NUMBER, layout=Layout(items=("products",)))) == ROWS
    shop.respond = lambda _: (200, {}, b'{"errors": [{"id": 1, "title": "x"}, {"id": 2}]}')
    layout = Layout(items=("products",))
    assert failure(shop, tmp_path, NUMBER, layout=layout).code == "no_items_found"


def test_pages_come_packed_and_in_any_encoding(shop: Shop, tmp_path: Path) -> None:
    bodies = {
        "1": gzip.compress('[{"id": "é"}]'.encode()),
        "2": '\ufeff[{"id": "è"}]'.encode(),
        "3": '[{"id": "Тетрадь"}]'.encode("cp1251"),
        "4": '[{"id": "ê"}]'.encode("utf-16"),
    }
    types = {"3": "application/json; charset=windows-1251"}
    shop.respond = lambda query: (
        200,
        {"Content-Type": types.get(query["page"], "application/json")},
        bodies.get(query["page"], b"[]"),
    )
    rows = rows_of(fetch(shop, tmp_path, NUMBER))
    assert [row["id"] for row in rows] == ["é", "è", "Тетрадь", "ê"]


def test_a_page_that_fails_once_is_asked_for_again(shop: Shop, tmp_path: Path) -> None:
    failed: list[str] = []

    def respond(query: dict[str, str]) -> Answer:
        if query["page"] == "2" and not failed:
            failed.append("2")
            return 503, {"Retry-After": "1"}, b""
        return by_number(query)

    shop.respond = respond
    assert rows_of(fetch(shop, tmp_path, NUMBER)) == ROWS
    assert failed


def second(answer: Answer, of: Respond = by_number) -> Respond:
    return lambda query: answer if query.get("page") == "2" else of(query)


@pytest.mark.parametrize(
    ("pages", "respond", "code", "says"),
    [
        (NUMBER, second((500, {}, b"")), "http_status", "page 2: the server answered 500"),
        (NUMBER, second((404, {}, b"")), "http_status", "page 2: the server answered 404"),
        (NUMBER, second((200, {}, b'[{"id": 1}, {"id"')), "truncated", "page 2: "),
        (NUMBER, second((200, {}, b'{"error": "come back later"}')), "no_items_found", "page 2: "),
        (NUMBER, second((200, {}, b"<html><title>Sign in</title>")), "html_page", "page 2: "),
        (NUMBER, second((200, {}, b"<xml/>")), "not_well_formed", "page 2: "),
        (NUMBER, lambda _: page(ROWS), "pages_repeat", "page 2: it is the first page again"),
        (NUMBER, lambda q: page(three(3 * (int(q["page"]) % 3))), "pages_repeat", "page 4: "),
        (LINK, lambda _: page(ROWS, {"Link": '</feed?page=1>; rel="next"'}), "pages_repeat", "page 2: "),
        (NEXT, lambda _: page([], links={"next": "?page=1"}), "pages_repeat", "page 3: it leads back"),
        (CURSOR, lambda _: page([], meta={"cursor": "x"}), "pages_repeat", "page 3: it leads back"),
        (LINK, by_next, "pages_wrong", 'pages = { next = "links.next" }'),
        (CURSOR, by_link, "pages_wrong", 'pages = "link"'),
        (NEXT, lambda _: page(ROWS, links={"next": {"href": "/x"}}), "pages_wrong", "no address"),
        (CURSOR, lambda _: page(ROWS, meta={"cursor": [1]}), "pages_wrong", "no cursor"),
        (NEXT, lambda _: page(ROWS, links={"next": "file:///etc/passwd"}), "redirect_refused", "page 1: "),
        (NEXT, lambda _: page(ROWS, links={"next": "http://127.0.0.1:22/"}), "redirect_refused", "port 22"),
        (NEXT, lambda _: page(ROWS, links={"next": "http://[::1/"}), "redirect_refused", "page 1: "),
        (NEXT, lambda _: page(ROWS, links={"next": "http://169.254.169.254/"}), "blocked_address", "page 2: "),
        (NEXT, lambda _: page(ROWS, links={"next": "x" * 70_000}), "redirect_refused", "page 1: "),
    ],
)  # fmt: skip
def test_a_page_that_is_wrong_fails_the_feed(
    shop: Shop, tmp_path: Path, pages: Pages, respond: Respond, code: str, says: str
) -> None:
    shop.respond = respond
    error = failure(shop, tmp_path, pages)
    assert error.code == code
    assert says in f"{error.message} {error.hint}"


def test_there_is_an_end_to_pages_without_end(shop: Shop, tmp_path: Path) -> None:
    shop.respond = lambda query: page([{"id": query["page"]}])
    error = failure(shop, tmp_path, Pages(by="number", query="page", most=20))
    assert error.code == "too_many_pages"
    assert len(shop.asked) == 20


def test_the_limit_of_bytes_is_one_of_all_pages(shop: Shop, tmp_path: Path) -> None:
    shop.respond = lambda query: page([{"id": query["page"], "title": "x" * 1000}])
    assert failure(shop, tmp_path, NUMBER, max_bytes=5000).code == "too_large"
    assert len(shop.asked) == 5


def test_the_deadline_is_one_of_all_pages(shop: Shop, tmp_path: Path) -> None:
    now = [0.0]

    def respond(query: dict[str, str]) -> Answer:
        now[0] += 30
        return page([{"id": query["page"]}])

    shop.respond = respond
    using = Fetcher(user_agent="feedd", sleep=lambda _: None, monotonic=lambda: now[0])
    error = failure(shop, tmp_path, NUMBER, using=using, total_s=100.0, attempts=1)
    assert error.code == "timeout"
    assert len(shop.asked) <= 4


def test_another_server_is_shown_nothing_that_belongs_to_the_shop(
    shop: Shop, tmp_path: Path
) -> None:
    port = urlsplit(shop.url("")).port

    def respond(query: dict[str, str]) -> Answer:
        if query.get("page") == "3":
            return page(three(6))
        if query.get("page") == "2":
            return page(three(3), {"Link": f'<http://shop.example:{port}/feed?page=3>; rel="next"'})
        return page(three(0), {"Link": f'<http://other.example:{port}/feed?page=2>; rel="next"'})

    shop.respond = respond
    fetched = fetch(
        shop,
        tmp_path,
        LINK,
        url=f"http://shop.example:{port}/feed",
        using=Fetcher(user_agent="feedd", resolve=lambda _host, _port: ["127.0.0.1"]),
        auth="s3cr3t",
        headers=(("X-Key", "s3cr3t"),),
    )
    assert rows_of(fetched) == ROWS
    shown = [
        (headers["Host"].partition(":")[0], "Authorization" in headers, "X-Key" in headers)
        for _, headers in shop.requests
    ]
    assert shown == [
        ("shop.example", True, True),
        ("other.example", False, False),
        ("shop.example", True, True),
    ]


# whole syncs


def app_of(place: Place, tmp_path: Path, shop: Shop, **keys: Any) -> App:
    feed = FeedSettings(
        name="shop",
        url=shop.url("/feed?limit=3"),
        every_s=60.0,
        allow_private=("127.0.0.0/8",),
        **keys,
    )
    return App(
        Settings(
            state_dir=Path(place.state_dir),
            socket=tmp_path / "s",
            database=Secret(place.url) if place.url else None,
            feeds={"shop": feed},
        )
    )


def synced(app: App) -> SyncRecord:
    record = app.sync("shop", trigger="resync")
    assert list(app.spool_dir.iterdir()) == []
    return record


def test_a_source_in_pages_is_synced_as_a_feed(place: Place, tmp_path: Path, shop: Shop) -> None:
    app = app_of(place, tmp_path, shop, pages=NEXT, items="products")
    shop.respond = by_next
    record = synced(app)
    assert record.counts is not None
    assert (record.status, record.counts.added, record.error) == ("applied", 7, None)
    assert synced(app).status == "unchanged"
    shop.respond = second((500, {}, b""), by_next)
    record = synced(app)
    assert (record.status, record.error and record.error.code) == ("failed", "http_status")
    assert len(app.items(feeds=["shop"])) == 7
    # an item that moved to the next page while it was read is there twice
    shop.respond = second(page([*three(2), ROWS[5]], links={"next": "?page=3"}), by_next)
    record = synced(app)
    assert record.counts is not None
    assert (record.counts.duplicates, record.counts.removed) == (1, 0)
    app.close()


@pytest.mark.parametrize(
    ("respond", "written"),
    [
        (by_link, 'pages = "link"'),
        (by_next, 'pages = { next = "links.next" }'),
        (lambda _: page(ROWS, {"X-Total-Pages": "4"}), 'pages = { query = "page", first = 1 }'),
    ],
)
def test_a_first_page_is_not_taken_for_the_whole_without_saying_so(
    place: Place, tmp_path: Path, shop: Shop, respond: Respond, written: str
) -> None:
    shop.respond = respond
    app = app_of(place, tmp_path, shop)
    for status in ("applied", "unchanged", "unchanged"):
        record = synced(app)
        assert record.status == status
        error = app.feed("shop").error
        assert error is not None
        assert error.code == "more_pages"
        assert written in error.hint
    app.close()


def test_one_page_can_be_all_that_is_wanted(place: Place, tmp_path: Path, shop: Shop) -> None:
    shop.respond = by_link
    app = app_of(place, tmp_path, shop, pages=Pages(by="one"))
    record = synced(app)
    assert record.counts is not None
    assert (record.counts.added, app.feed("shop").error) == (3, None)
    app.close()


def test_pages_of_xml_cannot_be_followed_and_that_is_said(
    place: Place, tmp_path: Path, shop: Shop
) -> None:
    body = b"<products><product><id>a</id><title>Mug</title></product></products>"
    shop.respond = lambda _: (200, {"Link": '</feed?page=2>; rel="next"'}, body)
    app = app_of(place, tmp_path, shop)
    synced(app)
    error = app.feed("shop").error
    assert error is not None
    assert (error.code, "JSON only" in error.hint) == ("more_pages", True)
    app.close()


def test_the_body_of_all_pages_can_be_read_again(place: Place, tmp_path: Path, shop: Shop) -> None:
    shop.respond = by_next
    app = app_of(place, tmp_path, shop, pages=NEXT, items="products")
    synced(app)
    app.close()
    asked = len(shop.asked)
    app = app_of(place, tmp_path, shop, pages=NEXT, items="products", fields={"brand": "title"})
    assert app.outdated("shop") == "replay"
    record = app.sync("shop", trigger="resync", replay=True)
    assert record.counts is not None
    assert (record.status, record.counts.updated, len(shop.asked)) == ("applied", 7, asked)
    assert app.find_item("3").fields["brand"] == "Thing 3"
    assert app.outdated("shop") is None
    app.close()


def test_the_same_bytes_in_another_encoding_are_another_body(
    place: Place, tmp_path: Path, shop: Shop
) -> None:
    """As a sync without validators would have it: a server that mends its header has not changed a byte."""
    app = app_of(place, tmp_path, shop, schema="item")
    body = '[{"id": "a", "title": "Чашка"}]'.encode("windows-1251")
    titles = []
    for charset in ("koi8-r", "windows-1251", "windows-1251"):
        headers = {"Content-Type": f"application/json; charset={charset}"}
        shop.respond = lambda _, headers=headers: (200, headers, body)
        record = synced(app)
        titles.append((record.status, app.find_item("a").fields["title"]))
    mangled = "Чашка".encode("windows-1251").decode("koi8-r")
    assert titles == [("applied", mangled), ("applied", "Чашка"), ("unchanged", "Чашка")]
    app.close()

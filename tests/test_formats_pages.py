"""Pages of JSON: what leads from one to the next, and what only looks so."""

import io
import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.formats.json_pages import (
    more_pages,
    next_link,
    pages_toml,
    propose_pages,
    read_page,
    records_of,
)
from feedd.model import Layout, Pages

LAYOUT = Layout(items=("", "products", "*"))
ROW = {"id": 1, "next": "/a-product-that-is-called-next"}


@pytest.mark.parametrize(
    ("header", "target"),
    [
        (None, None),
        ("", None),
        ('<https://api.example/p?page=2>; rel="next"', "https://api.example/p?page=2"),
        ('<https://a.example/1>; rel="prev", </p?page=3>; rel="next"', "/p?page=3"),
        ('<https://a.example/?a=1,2;b>; title="x, y; z"; REL=next', "https://a.example/?a=1,2;b"),
        ('<?p=2>; rel="last next"', "?p=2"),
        ('<?p=2>;rel="last"; rel="next"', None),
        ('<?p=2>; rel="nextish"', None),
        ('<https://api.w.org/>; rel="https://api.w.org/"', None),
        ('<>; rel="next"', None),
        ("rel=next", None),
        ('<?p=2; rel="next"', None),
        ('<a>; rel="pre\\"v", <b>; rel=next', "b"),
    ],
)  # fmt: skip
def test_the_next_link_is_found(header: str | None, target: str | None) -> None:
    assert next_link(header) == target


@given(st.text(alphabet='<>;,="\\ relnxt?/', max_size=200))
def test_any_header_is_read_in_time(header: str) -> None:
    next_link(header * 50)


@pytest.mark.parametrize(
    ("document", "written"),
    [
        ({"count": 3, "next": "https://a.example/?page=2", "results": [ROW]}, 'pages = { next = "next" }'),
        ({"next": "/p?page=2"}, 'pages = { next = "next" }'),
        ({"links": {"self": "/p", "next": "/p?page=2"}}, 'pages = { next = "links.next" }'),
        ({"_links": {"next": {"href": "/p?page=2"}}}, 'pages = { next = "_links.next.href" }'),
        ({"paging": {"next": {"link": "?after=2", "after": "2"}}}, 'pages = { next = "paging.next.link" }'),
        ({"next_page_url": "http://a.example/?page=2"}, 'pages = { next = "next_page_url" }'),
        ({"meta": {"pagination": {"links": {"next": "/p"}}}}, None),  # too deep to be obvious
        ({"meta": {"pagination": {"next": "/p"}}}, 'pages = { next = "meta.pagination.next" }'),
        ({"@odata.nextLink": "https://a.example/x"}, 'pages = { next = ["@odata.nextLink"] }'),
        ({"meta": {"next_cursor": "abc"}}, 'pages = { cursor = "meta.next_cursor", query = "cursor" }'),
        ({"nextPageToken": "abc"}, 'pages = { cursor = "nextPageToken", query = "pageToken" }'),
        ({"page": 1, "total_pages": 7}, 'pages = { query = "page", first = 1 }'),
        ({"meta": {"current_page": 1, "last_page": 2}}, 'pages = { query = "page", first = 1 }'),
        ({"page": {"number": 0, "size": 20, "totalPages": 2}}, 'pages = { query = "page", first = 0 }'),
        ({"total": 194, "skip": 0, "limit": 30}, 'pages = { offset = "skip", step = 30 }'),
        ({"next": None}, None),
        ({"next": ""}, None),
        ({"next": "2024-05-01"}, None),
        ({"next": 2}, None),
        ({"links": {"next": None}, "meta": {"next_cursor": None}}, None),
        ({"page": 7, "total_pages": 7}, None),
        ({"page": 1, "total_pages": "x"}, None),
        ({"total": 30, "skip": 0, "limit": 30}, None),
        ({"total": 194, "skip": 0, "limit": 0}, None),
        ([ROW], None),
        ("next", None),
        (None, None),
    ],
)  # fmt: skip
def test_a_first_page_says_how_it_goes_on(document: Any, written: str | None) -> None:
    found = propose_pages(None, document)
    assert (None if found is None else pages_toml(found)) == written
    assert written is None or tomllib.loads(written)


def test_the_link_header_comes_first_and_a_count_of_pages_last() -> None:
    document = {"next": "/p?page=2"}
    assert propose_pages('</x>; rel="next"', document, total=4) == Pages(by="link")
    assert propose_pages(None, document, total=4) == Pages(by="next", path=("next",))
    assert propose_pages(None, [], total=4) == Pages(by="number", query="page")
    assert propose_pages(None, [], total=1) is None


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"products": [ROW, ROW], "links": {"next": "/p?page=2"}}, Pages(by="next", path=("links", "next"))),
        ({"products": [ROW, ROW], "links": {"next": None}}, None),
        ([ROW, ROW], None),
        ({"error": "no products here", "next": "/p"}, None),
    ],
)  # fmt: skip
def test_a_body_that_goes_on_is_told_by_what_is_around_its_items(
    document: Any, found: Pages | None
) -> None:
    body = io.BytesIO(json.dumps(document).encode())
    assert more_pages(body, LAYOUT, None, link=None) == found


@pytest.mark.parametrize("items", ["", "products"])
def test_a_page_is_read_and_its_records_are_given_as_they_stand(items: str) -> None:
    rows = [{"id": n, "title": "é"} for n in range(3000)]
    document = {"products": rows, "meta": {"cursor": "x"}} if items else rows
    body = json.dumps(document, ensure_ascii=False).encode("utf-16")
    page = read_page(io.BytesIO(body), LAYOUT, None)
    assert (page.records, page.items) == (3000, items)
    assert page.document == ({"products": [], "meta": {"cursor": "x"}} if items else [])
    joined = b",".join(records_of(io.BytesIO(body), LAYOUT, None))
    assert json.loads(b"[%b]" % joined) == rows
    same = read_page(io.BytesIO(json.dumps(rows, ensure_ascii=False).encode()), LAYOUT, None)
    assert same.digest == page.digest

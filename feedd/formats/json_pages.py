"""Pages of a JSON source: the records of one page, and how it leads to the next. Pure.

`more_pages` is for a body that was taken for the whole feed: how its source could be followed to the next page, if the
answer or the body says that there is one.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import msgspec

from feedd.errors import FormatError
from feedd.formats.json_document import opened
from feedd.formats.places import NO_ITEMS, places
from feedd.formats.text import Text
from feedd.model import Layout, Pages

MOST_BYTES = 64 * 2**20  # a larger body is no page
MOST_RECORDS = 10_000  # nor is one with more records
START_BYTES = 2**20

_LINK = re.compile(
    r'\s*<([^>]*)>((?:\s*;\s*[^\s=;,]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*+"|[^\s;,"]*+))?)*+)\s*(?:,|$)'
)
_PARAMETER = re.compile(r';\s*([^\s=;,]+)\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^\s;,"]*+))')
_ADDRESS = re.compile(r"(?:https?://|/|\?|\./)\S{1,8000}", re.IGNORECASE)
_PLACES = frozenset({"links", "link", "meta", "metadata", "paging", "pagination", "page", "pager", "pageinfo", "info"})  # fmt: skip
_NEXT = frozenset(
    {"next", "nextpageurl", "nexturl", "nextlink", "nextpage", "nexthref", "@odata.nextlink"}
)
_INSIDE_NEXT = ("href", "url", "link")
_CURSORS = {"nextcursor": "cursor", "nextpagetoken": "pageToken", "nexttoken": "token"}
_PAGE = frozenset({"page", "currentpage", "pagenumber", "number"})
_LAST = frozenset({"totalpages", "lastpage", "pagecount", "pages"})
_SKIP = frozenset({"skip", "offset"})
_LIMIT = frozenset({"limit", "pagesize", "perpage", "size"})
_TOTAL = frozenset({"total", "totalcount", "count", "totalitems"})


class Page(NamedTuple):
    """What a page is: how many records, a digest of them, the path that they were at, and the document without them."""

    records: int
    digest: bytes
    items: str
    document: Any


def read_page(stream: BinaryIO, layout: Layout, charset: str | None) -> Page:
    """A page, read to its end.

    Raises:
        FormatError: it is no whole JSON document with an array where the layout looks for one.
    """
    digest = hashlib.sha256()
    records = 0
    found = opened(stream, layout, charset)
    for slices in found.slices():
        for raw in slices.raws:
            digest.update(b"%d\n" % len(raw))
            digest.update(raw)
        records += len(slices.raws)
    return Page(records, digest.digest(), found.items, decoded(found.around))


def records_of(stream: BinaryIO, layout: Layout, charset: str | None) -> Iterator[bytes]:
    """The records of a page as UTF-8, joined by commas, in pieces."""
    for slices in opened(stream, layout, charset).slices():
        yield b",\n".join(slices.raws)


def place_of(stream: BinaryIO, layout: Layout, charset: str | None) -> str | None:
    """Where the start of a page repeats objects most, for a page whose records are at no known place."""
    text = Text(stream, charset, START_BYTES, layout.encoding).read()
    found = (place.path for place in places(text, "json"))
    return next((p for p in found if p.rpartition(".")[2].lower() not in NO_ITEMS), None)


def decoded(document: bytes) -> Any:
    """A JSON value, or None where none can be made of it."""
    try:
        return msgspec.json.decode(document)
    except (ValueError, RecursionError):
        return None


def value_at(document: Any, path: Sequence[str]) -> Any:
    """What is at a path of keys; None where nothing is."""
    for key in path:
        document = document.get(key) if type(document) is dict else None
    return document


def next_link(header: str | None) -> str | None:
    """The target of the link with rel="next" in a Link header (RFC 8288)."""
    at = 0
    while header is not None and (link := _LINK.match(header, at)):
        at = link.end()
        for name, quoted, bare in _PARAMETER.findall(link[2]):
            if name.lower() == "rel":
                if "next" in (quoted or bare).lower().split():
                    return link[1].strip() or None
                break  # only the first counts
    return None


def more_pages(
    stream: BinaryIO,
    layout: Layout,
    charset: str | None,
    *,
    link: str | None,
    total: int | None = None,
) -> Pages | None:
    """How the rest of a JSON body's source could be had, None where nothing says that there is more.

    `link` is the Link header of the answer, `total` the number of pages that it counted.
    """
    try:
        document = read_page(stream, layout, charset).document
    except FormatError:
        document = None
    return propose_pages(link, document, total=total)


def propose_pages(link: str | None, document: Any, *, total: int | None = None) -> Pages | None:
    """What `pages` could be set to, by the answer's Link header and the first page, with its items or without."""
    if next_link(link) is not None:
        return Pages(by="link")
    places = list(_places(document))
    for find in (_next_address, _next_cursor, _numbered, _skipped):
        for path, place in places:
            if (found := find(path, place)) is not None:
                return found
    return Pages(by="number", query="page") if total is not None and total > 1 else None


def pages_toml(pages: Pages) -> str:
    """The line of a configuration that says so."""
    if pages.by == "link":
        return 'pages = "link"'
    if pages.by == "number" and pages.step == 1:
        parts = {"query": pages.query, "first": pages.first}
    elif pages.by == "number":
        parts = {"offset": pages.query, "step": pages.step}
        if pages.first:
            parts["first"] = pages.first
    else:
        dotted: Any = list(pages.path)
        if not any("." in key for key in pages.path):
            dotted = ".".join(pages.path)
        parts = {pages.by: dotted}
        if pages.by == "cursor":
            parts["query"] = pages.query
    written = ", ".join(f"{k} = {msgspec.json.encode(v).decode()}" for k, v in parts.items())
    return f"pages = {{ {written} }}"


_Place = dict[str, Any]


def _places(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], _Place]]:
    """The objects of a document that tell about it, itself first."""
    if type(document) is not dict:
        return
    yield path, document
    for key, value in document.items():
        if _plain(key) in _PLACES and len(path) < 2:
            yield from _places(value, (*path, key))


def _next_address(path: tuple[str, ...], place: _Place) -> Pages | None:
    for key, value in place.items():
        if _plain(key) not in _NEXT:
            continue
        inside = [((*path, key), value)]
        if type(value) is dict:
            inside = [((*path, key, name), value.get(name)) for name in _INSIDE_NEXT]
        for whole, address in inside:
            if type(address) is str and _ADDRESS.fullmatch(address):
                return Pages(by="next", path=whole)
    return None


def _next_cursor(path: tuple[str, ...], place: _Place) -> Pages | None:
    for key, value in place.items():
        query = _CURSORS.get(_plain(key))
        if query is not None and value and type(value) in (str, int):
            return Pages(by="cursor", path=(*path, key), query=query)
    return None


def _numbered(_path: tuple[str, ...], place: _Place) -> Pages | None:
    page, last = _number(place, _PAGE), _number(place, _LAST)
    if page is None or last is None or page[1] >= last[1]:
        return None
    query = "page" if _plain(page[0]) in ("currentpage", "number") else page[0]
    return Pages(by="number", query=query, first=min(page[1], 1))


def _skipped(_path: tuple[str, ...], place: _Place) -> Pages | None:
    skip, limit, total = (_number(place, names) for names in (_SKIP, _LIMIT, _TOTAL))
    if skip is None or limit is None or total is None or not limit[1]:
        return None
    if skip[1] + limit[1] >= total[1]:
        return None
    return Pages(by="number", query=skip[0], first=0, step=limit[1])


def _number(place: _Place, names: frozenset[str]) -> tuple[str, int] | None:
    for key, value in place.items():
        if _plain(key) in names and type(value) is int and value >= 0:
            return key, value
    return None


def _plain(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")

"""A source that comes in pages, fetched as one feed: one JSON array of the records of all pages, in one file.

A part of a feed would look as if the rest was removed; so whatever goes wrong with one page fails all of it, and so does
what only looks like an end: a page that came before, a parameter that the server does not know.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote_plus

import httpx

from feedd.errors import FeedError, FetchError, FormatError
from feedd.fetch.http import checked, followed
from feedd.fetch.request import Fetched, FetchRequest, OnProgress
from feedd.fetch.spool import spool, too_large
from feedd.formats.json_pages import (
    Page,
    next_link,
    pages_toml,
    place_of,
    propose_pages,
    read_page,
    records_of,
    value_at,
)
from feedd.model import Layout, Pages

_MARK = b"\xef\xbb\xbf"  # it is UTF-8, whatever the pages were in
_MOST_CURSOR = 4096

FetchPage = Callable[[httpx.URL, OnProgress], Fetched]


def fetch_pages(
    request: FetchRequest, pages: Pages, folder: Path, fetch: FetchPage, *, on_progress: OnProgress
) -> Fetched:
    """All pages of a source as one body. `fetch` gets one page, with every check and retry of a feed.

    Raises:
        FetchError: as a fetch; or (`pages_repeat`, `pages_wrong`, `too_many_pages`).
        FormatError: a page is no JSON with records where the layout looks for them.
    """
    walk = _Walk(request, pages, fetch, on_progress)
    body = spool(walk.body(), folder, max_bytes=request.max_bytes)
    return Fetched(
        status=200,
        path=body.path,
        owned=True,
        digest=body.digest,
        size=body.size,
        content_type="application/json",
        max_age_s=walk.max_age_s,
        final_url=str(checked(request.url)),
    )


class _Walk:
    """The way from the first page to the last one."""

    def __init__(
        self, request: FetchRequest, pages: Pages, fetch: FetchPage, on_progress: OnProgress
    ) -> None:
        self.max_age_s: float | None = None
        self._start = checked(request.url)
        self._pages = pages
        self._layout = request.layout
        self._max_bytes = request.max_bytes
        self._fetch = fetch
        self._on_progress = on_progress
        self._number = 0
        self._bytes = 0
        self._written = False
        self._asked: set[bytes] = set()
        self._seen: set[bytes] = set()
        self._before = b""

    def body(self) -> Iterator[bytes]:
        """The records of every page as one JSON array."""
        yield _MARK + b"["
        url: httpx.URL | None = self._start
        if self._pages.by == "number":
            url = _with_query(self._start, self._pages.query, str(self._pages.first))
        while url is not None:
            self._number += 1
            try:
                if self._number > self._pages.most:
                    raise _too_many(self._pages.most)
                self._ask_once(url)
                fetched = self._fetch(url, self._progress)
                try:
                    page = self._read(fetched)
                    url = self._next(fetched, page)
                    if not self._is_the_last_again(page):
                        yield from self._records(fetched)
                    else:
                        url = None
                finally:
                    if fetched.path is not None:
                        fetched.path.unlink(missing_ok=True)
            except (FetchError, FormatError) as error:
                raise self._placed(error) from error
        yield b"]"

    def _progress(self, done: int, _total: int | None) -> None:
        self._on_progress(self._bytes + done, None)

    def _ask_once(self, url: httpx.URL) -> None:
        asked = sha256(str(url).encode()).digest()
        if asked in self._asked:
            raise _repeat("it leads back to a page that came before")
        self._asked.add(asked)

    def _read(self, fetched: Fetched) -> Page:
        if fetched.path is None:
            raise _wrong("it has no body", "The server, or a proxy before it, is at fault.")
        self._bytes += fetched.size
        if self._bytes > self._max_bytes:
            raise too_large(self._max_bytes)
        if self._number == 1:
            self.max_age_s = fetched.max_age_s
        with fetched.path.open("rb") as stream:
            if self._number == 1 and not self._layout.configured:
                page = self._first(stream, fetched.charset)
            else:
                page = read_page(stream, self._layout, fetched.charset)
        if page.records:
            # from here on the records are where they were, and a page without that place is no page
            self._layout = _at(self._layout, page.items)
        return page

    def _first(self, stream: BinaryIO, charset: str | None) -> Page:
        """The first page, whose records may be where nobody has said."""
        try:
            return read_page(stream, self._layout, charset)
        except FormatError as error:
            if error.code != "no_items_found":
                raise
            stream.seek(0)
            place = place_of(stream, self._layout, charset)
            if place is None:
                raise
            stream.seek(0)
            self._layout = _at(self._layout, place)
            return read_page(stream, self._layout, charset)

    def _is_the_last_again(self, page: Page) -> bool:
        """Whether the server gives its last page for every number beyond it. Raises where a page repeats otherwise."""
        if not page.records:
            return False
        if page.digest not in self._seen:
            self._seen.add(page.digest)
            self._before = page.digest
            return False
        if self._pages.by == "number" and self._number > 2 and page.digest == self._before:
            return True
        if self._pages.by == "number" and self._number == 2:
            raise _repeat(
                "it is the first page again",
                f"Does the server know the parameter {self._pages.query!r}? If one page is the whole feed, leave `pages` out.",
            )
        raise _repeat("it holds what a page before it held")

    def _records(self, fetched: Fetched) -> Iterator[bytes]:
        if fetched.path is None:
            return
        with fetched.path.open("rb") as stream:
            for piece in records_of(stream, self._layout, fetched.charset):
                if piece:
                    yield b",\n" + piece if self._written else piece
                    self._written = True

    def _next(self, fetched: Fetched, page: Page) -> httpx.URL | None:
        """Where the next page is; None after the last one."""
        pages = self._pages
        if pages.by == "number":
            value = pages.first + self._number * pages.step
            if not page.records or self._is_counted_out(fetched):
                return None
            return _with_query(self._start, pages.query, str(value))
        if pages.by == "link":
            told: Any = next_link(fetched.link)
        else:
            told = value_at(page.document, pages.path)
        if told is None or told is False or told == "":
            self._expect_no_more(fetched, page)
            return None
        if pages.by == "cursor":
            if type(told) not in (str, int) or len(str(told)) > _MOST_CURSOR:
                raise _wrong("there is no cursor where `cursor` leads", "It is text or a number.")
            return _with_query(self._start, pages.query, str(told))
        if type(told) is not str:
            raise _wrong("there is no address where `next` leads", "It is a URL or a path.")
        return self._address(told, checked(fetched.final_url))

    def _is_counted_out(self, fetched: Fetched) -> bool:
        """Whether the server counts its pages, and this is the last one."""
        if fetched.pages is None:
            return False
        pages = self._pages
        ahead = max(pages.first - 1, 0) if pages.step == 1 else 0
        return self._number + ahead >= fetched.pages

    def _address(self, told: str, base: httpx.URL) -> httpx.URL:
        """A page's word for the next one. Behind a proxy many a server thinks that it speaks plain http."""
        try:
            named = httpx.URL(told)
        except httpx.InvalidURL:
            named = httpx.URL()
        if (base.scheme, named.scheme) == ("https", "http") and named.host == base.host:
            told = str(named.copy_with(scheme="https", port=base.port))
        return followed(told, base, self._start, "leads")

    def _expect_no_more(self, fetched: Fetched, page: Page) -> None:
        """One page can be all there is, unless it says itself, in another way, that there are more."""
        if self._number > 1:
            return
        proposed = propose_pages(fetched.link, page.document, total=fetched.pages)
        if proposed is not None:
            message = "it tells of a next page, but not where `pages` looks"
            raise _wrong(message, f"Perhaps {pages_toml(proposed)}")

    def _placed(self, error: FetchError | FormatError) -> FeedError:
        """An error that says which page it was."""
        message = f"page {self._number}: {error.message}"
        if isinstance(error, FormatError):
            return FormatError(error.code, message, hint=error.hint)
        return FetchError(
            error.code,
            message,
            hint=error.hint,
            status=error.status,
            retry_after_s=error.retry_after_s,
        )


def _at(layout: Layout, items: str) -> Layout:
    """The layout of documents whose items are where they were found."""
    return Layout(
        items=(items,),
        configured=True,
        encoding=layout.encoding,
        max_record_bytes=layout.max_record_bytes,
        max_depth=layout.max_depth,
        max_skeleton_bytes=layout.max_skeleton_bytes,
    )


def _with_query(url: httpx.URL, name: str, value: str) -> httpx.URL:
    """A URL with one parameter set, and the others as they stand."""
    written = f"{quote(name, safe='[]')}={quote(value, safe='')}"
    parts = url.query.decode("ascii").split("&")
    others = [part for part in parts if part and unquote_plus(part.partition("=")[0]) != name]
    return url.copy_with(query="&".join([*others, written]).encode())


def _repeat(message: str, hint: str = "") -> FetchError:
    return FetchError(
        "pages_repeat",
        message,
        hint=hint or "The pages go in a circle; see `pages` of this feed. Nothing was changed.",
    )


def _wrong(message: str, hint: str) -> FetchError:
    return FetchError("pages_wrong", message, hint=hint)


def _too_many(most: int) -> FetchError:
    return FetchError(
        "too_many_pages",
        f"there are more than {most:,} pages",
        hint="If that is right for this feed, raise `most` in its `pages`, or have more items on a page.",
    )

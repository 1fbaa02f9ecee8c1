"""What is asked of the fetcher, and what it gives."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from feedd.identity import Identity
from feedd.model import Layout, Pages

GIB = 2**30
# told of the bytes that have come, and of how many if that is known
OnProgress = Callable[[int, int | None], None]


class Known(Struct, frozen=True):
    """A body that is had already: its SHA-256, its bytes, and where it lies if it was kept."""

    digest: bytes
    size: int
    path: Path | None = None


class FetchRequest(Struct, frozen=True, kw_only=True):
    """One feed to fetch. Headers and auth are secrets; they and the query string show up in no message.

    `timeout_s` runs to the first byte of the body; then at least `min_rate` (bytes, within seconds) must come;
    `total_s` is the end of it all, retries included. `max_bytes` counts decoded bytes. `auth` is (user, password) or
    a bearer token. The `method` is GET, or POST with no body. Without `etag` and `last_modified` the body is asked for in any case. `member` is the name, or a
    pattern of the name, of the feed in a zip of several files. With `pages` the feed is all pages of a JSON source, whose
    records `layout` finds; the body is then an array of the records. A file that holds the `known` body is not copied, nor is
    a large one if it may be read `in_place`.
    """

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    auth: tuple[str, str] | str | None = None
    etag: str | None = None
    last_modified: str | None = None
    timeout_s: float = 60.0
    total_s: float = 1800.0
    min_rate: tuple[int, float] = (10_240, 10.0)
    max_bytes: int = 2 * GIB
    allow_private: tuple[str, ...] = ()
    file_roots: tuple[str, ...] = ()
    attempts: int = 3
    member: str | None = None
    pages: Pages | None = None
    layout: Layout = Layout(items=("",))
    known: Known | None = None
    in_place: bool = False

    @property
    def conditional(self) -> bool:
        """Whether the server may answer 304."""
        return self.etag is not None or self.last_modified is not None


class Fetched(Struct, frozen=True, kw_only=True):
    """A body on disk, or the word that it has not changed: `status` 304, without a `digest`; or the digest of the `known` one.
    Neither has a `path`.

    `digest` is the SHA-256 of the decoded and unpacked body, `size` its bytes, `name` the one it had in its archive. If
    `owned`, the caller deletes `path`; a file that is read where it lies has an `identity` instead, and no `digest` yet where
    its size says that it is not the `known` one. `max_age_s` is for how much longer the server calls its answer fresh. `link`
    is the Link header and `pages` the number of pages that the server counts, where it sent them.
    """

    status: int
    path: Path | None = None
    owned: bool = False
    identity: Identity | None = None
    digest: bytes | None = None
    size: int = 0
    etag: str | None = None
    last_modified: str | None = None
    content_type: str | None = None
    charset: str | None = None
    max_age_s: float | None = None
    name: str | None = None
    link: str | None = None
    pages: int | None = None
    final_url: str = ""

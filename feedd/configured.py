"""What the configuration of a feed means for the parts: how it is fetched and read, when it is due, and how it is shown."""

from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from feedd import __version__
from feedd.model import ONE_PAGE
from feedd.redaction import redact_url
from feedd.schedule import next_due
from feedd.settings import Basic, Bearer, FeedSettings, Secret, Settings, WebFeedSettings

if TYPE_CHECKING:
    from feedd.fetch import FetchRequest
    from feedd.reading import Reading
    from feedd.store.feeds import FeedState
    from feedd.store.standing import Standing
    from feedd.store.web_feeds import WebFeedState

USER_AGENT = f"feedd/{__version__}"
WEB_FEED_WITHIN_S = 150.0  # tries and pauses included


def request_of(feed: FeedSettings, settings: Settings) -> "FetchRequest":
    """How a feed is fetched, out of its configuration."""
    from feedd.fetch import FetchRequest

    return FetchRequest(
        url=_revealed(feed.url),
        headers=tuple((name, _revealed(value)) for name, value in feed.headers),
        auth=_auth_of(feed.auth),
        timeout_s=feed.timeout_s,
        max_bytes=feed.max_bytes,
        member=feed.member,
        pages=feed.pages if feed.pages is None or feed.pages.by != ONE_PAGE else None,
        allow_private=feed.allow_private,
        file_roots=tuple(str(root) for root in settings.file_roots),
    )


def request_of_web_feed(feed: WebFeedSettings, settings: Settings) -> "FetchRequest":
    """How a web feed is fetched, out of its configuration."""
    from feedd.fetch import FetchRequest

    return FetchRequest(
        url=_revealed(feed.url),
        method=feed.method.upper(),
        headers=tuple((name, _revealed(value)) for name, value in feed.headers),
        auth=_auth_of(feed.auth),
        timeout_s=feed.timeout_s,
        total_s=WEB_FEED_WITHIN_S,
        max_bytes=feed.max_bytes,
        allow_private=feed.allow_private,
        file_roots=tuple(str(root) for root in settings.file_roots),
    )


def due_of_web_feed(
    feed: WebFeedSettings, stored: "WebFeedState", now: datetime
) -> datetime | None:
    """When a web feed's next refresh is due, by its configuration and what is stored of it; None while it is paused."""
    if not feed.enabled:
        return None
    return next_due(
        every_s=feed.every_s,
        cron=feed.cron,
        timezone=feed.timezone,
        jitter_s=feed.jitter_s,
        feed_name=f"web:{feed.name}",
        last_started=stored.checked_at,
        max_age_until=stored.max_age_until,
        retry_at=stored.retry_at,
        now=now,
        failures=stored.failures,
    )


def reading_of(feed: FeedSettings) -> "Reading":
    """How a feed's bodies are read, out of its configuration."""
    from feedd.reading import Reading

    return Reading(
        schema=feed.schema,
        base_dir=str(feed.base_dir),
        items=feed.items,
        fields=dict(feed.fields),
        currency=feed.currency,
        format=feed.format,
        doctype=feed.doctype,
        max_removed=feed.max_removed,
        base=None if isinstance(feed.url, Secret) else base_of(feed.url),
        encoding=feed.encoding,
        pages=None if feed.pages is None else feed.pages.by,
    )


def due_of(feed: FeedSettings, stored: "FeedState | Standing", now: datetime) -> datetime | None:
    """When a feed's next sync is due, by its configuration and what is stored of it; None while it is paused."""
    if not feed.enabled:
        return None
    return next_due(
        every_s=feed.every_s,
        cron=feed.cron,
        timezone=feed.timezone,
        jitter_s=feed.jitter_s,
        feed_name=feed.name,
        last_started=stored.last_sync_at,
        max_age_until=stored.max_age_until,
        retry_at=stored.retry_at,
        now=now,
        failures=stored.failures,
    )


def base_of(url: str) -> str | None:
    """What relative links in a body from that address build on: the address alone, without what gives access to it.

    Not where a redirect leads, which is often a storage that the shop's pages are not on, and another one each time.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def shown_url(url: str | Secret) -> str:
    """A feed's address as it may be shown: where one that is a secret is kept, without its query otherwise."""
    return f"({url.reference})" if isinstance(url, Secret) else redact_url(url)


def _auth_of(auth: Basic | Bearer | None) -> tuple[str, str] | str | None:
    if isinstance(auth, Basic):
        return auth.username, auth.password.reveal()
    return None if auth is None else auth.token.reveal()


def _revealed(value: str | Secret) -> str:
    return value if isinstance(value, str) else value.reveal()

"""The tables of both databases. A migration goes with every edit here; a test compares the two.

They are SQLAlchemy Core: nothing maps rows to objects, and what does so costs every command a tenth of a second at
import.

An item's primary key is `feed_id << 40 | number`, numbered per feed by whoever holds the feed's lease: the items of a
feed lie together, and new ones are appended. A change's place in the stream is `syncs.first_seq + changes.ordinal`,
so that the one counter row is locked only for the last statement of a sync.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    text,
)

NUMBER_BITS = 40
KINDS = ("refreshed", "added", "updated", "removed", "restored")  # the stored code is the index

catalog_metadata = MetaData()
people_metadata = MetaData()
BigId = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER is SQLite's row id


class Utc(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite keeps it without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def required(name: str, kind: Any, *rest: Any, **more: Any) -> Column[Any]:
    """A column that is never null."""
    return Column(name, kind, *rest, nullable=False, **more)


# the one row that names the change stream and holds the last number given out
STREAM = Table(
    "stream",
    catalog_metadata,
    Column("id", Integer, primary_key=True),
    required("stream_id", Text),
    required("last_seq", BigInteger),
    # the first number that is kept: moved before what lies below it is deleted
    required("oldest_seq", BigInteger, server_default=text("1")),
    # how often committed items were emptied or deleted, which no change tells
    required("erasures", BigInteger, server_default=text("0")),
)

# what is known of a feed beyond its configuration
FEEDS = Table(
    "feeds",
    catalog_metadata,
    Column("id", Integer, primary_key=True),
    required("name", Text, unique=True),
    # the last body that was taken in whole, under which configuration
    Column("etag", Text),
    Column("last_modified", Text),
    Column("body_digest", LargeBinary),
    Column("config_digest", LargeBinary),
    Column("fetch_digest", LargeBinary),
    Column("guess", Text),
    # the body that the catalog was read from, held removals or not; how it was read, and what it came as
    Column("read_digest", LargeBinary),
    Column("read_config", LargeBinary),
    Column("read_from", Text),
    # how the last sync went
    Column("status", Text),
    Column("error", Text),
    required("failures", Integer, default=0),
    Column("last_sync_at", Utc),
    Column("last_applied_at", Utc),
    Column("full_fetch_at", Utc),
    Column("max_age_until", Utc),
    Column("retry_at", Utc),
    # what is stored of it
    required("items", BigInteger, default=0),
    required("rejected", BigInteger, default=0),
    required("warnings", BigInteger, default=0),
    required("held_removals", BigInteger, default=0),
    Column("held", LargeBinary),
    required("next_item", BigInteger, default=1),
    required("next_reject", BigInteger, default=1),
    # who may write it now
    required("lease_epoch", BigInteger, default=0),
    Column("lease_holder", Text),
    Column("lease_until", Utc),
)

# one run of one feed; `first_seq` is set for as long as its changes are kept
SYNCS = Table(
    "syncs",
    catalog_metadata,
    Column("id", Integer, primary_key=True),
    required("feed_id", Integer, ForeignKey("feeds.id")),
    required("trigger", Text),
    required("status", Text),
    required("holder", Text),
    required("started_at", Utc),
    Column("finished_at", Utc),
    Column("duration_s", Float),
    Column("size_bytes", BigInteger),
    Column("counts", Text),
    Column("error", Text),
    Column("first_seq", BigInteger),
    required("change_count", BigInteger, default=0),
    Index("ux_syncs_first_seq", "first_seq", unique=True),
    Index("ix_syncs_feed", "feed_id", "id"),
)

# one item, live or removed; `fields` is canonical JSON, `digest` its XXH3-128
ITEMS = Table(
    "items",
    catalog_metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    required("feed_id", Integer, ForeignKey("feeds.id")),
    required("item_id", Text),
    required("fields", Text),
    required("digest", LargeBinary),
    Column("warnings", Text),
    required("warning_count", Integer, default=0),
    required("created_at", Utc),
    required("changed_at", Utc),
    Column("removed_at", Utc),
    # live items are not in it, as its migration says; saying so here would load both dialects with every command
    Index("ix_items_removed", "feed_id", "removed_at"),
)

# where an item is by its id; on SQLite without a row id, as its migration says
ITEM_IDS = Table(
    "item_ids",
    catalog_metadata,
    Column("feed_id", Integer, primary_key=True, autoincrement=False),
    Column("item_id", Text, primary_key=True),
    required("item", BigId),
)

# one change; its number in the stream is its sync's `first_seq` plus `ordinal`
CHANGES = Table(
    "changes",
    catalog_metadata,
    Column("sync_id", Integer, ForeignKey("syncs.id"), primary_key=True),
    Column("ordinal", BigInteger, primary_key=True),
    required("item", BigInteger),
    required("kind", SmallInteger),
    required("fields", Text),
    Index("ix_changes_item", "item"),
)

# one open reject
REJECTS = Table(
    "rejects",
    catalog_metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    required("feed_id", Integer, ForeignKey("feeds.id")),
    required("sync_id", Integer),
    required("position", BigInteger),
    Column("item_id", Text),
    required("fingerprint", LargeBinary),
    required("duplicate", Boolean, default=False),
    required("problems", Text),
    required("opened_at", Utc),
    Index("ix_rejects_feed", "feed_id"),
)

# a reject whose record has changed or gone: by itself, so that a sync reads the open ones alone
CLOSED_REJECTS = Table(
    "closed_rejects",
    catalog_metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    required("feed_id", Integer, ForeignKey("feeds.id")),
    required("sync_id", Integer),
    required("position", BigInteger),
    Column("item_id", Text),
    required("problems", Text),
    required("opened_at", Utc),
    required("closed_at", Utc),
    Index("ix_closed_rejects_feed", "feed_id", "closed_at"),
)

# part of a feed's packed fingerprints (`feedd.fingerprints.Known`); from `FIRST_NOTE` on, what a sync has changed of them
FINGERPRINTS = Table(
    "fingerprints",
    catalog_metadata,
    Column("feed_id", Integer, ForeignKey("feeds.id"), primary_key=True),
    Column("part", Integer, primary_key=True),
    required("packed", LargeBinary),
)

# what is known of a web feed beyond its configuration; a body is good as long as none from the same or another address is
WEB_FEEDS = Table(
    "web_feeds",
    catalog_metadata,
    Column("name", Text, primary_key=True),
    required("created_at", Utc),
    # the last good body: its digest, that of what it was made of, under which configuration, and when it was had last
    Column("digest", LargeBinary),
    Column("raw_digest", LargeBinary),
    Column("source_digest", LargeBinary),
    Column("format", Text),
    Column("size_bytes", BigInteger),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("fetched_at", Utc),
    Column("changed_at", Utc),
    # how the last refresh went
    Column("checked_at", Utc),
    Column("error", Text),
    required("failures", Integer),
    Column("full_fetch_at", Utc),
    Column("max_age_until", Utc),
    Column("retry_at", Utc),
    # who may refresh it now
    required("lease_epoch", BigInteger),
    Column("lease_holder", Text),
    Column("lease_until", Utc),
)

# the last good body of a web feed as JSON: by itself, since SQLite writes a row as a whole whenever it changes
WEB_FEED_BODIES = Table(
    "web_feed_bodies",
    catalog_metadata,
    Column("name", Text, primary_key=True),
    required("digest", LargeBinary),
    required("body", LargeBinary),
)

# an API key; a private one is kept as the SHA-256 of its 256 random bits, found by its first characters
API_KEYS = Table(
    "api_keys",
    people_metadata,
    Column("id", Integer, primary_key=True),
    required("name", Text),
    required("kind", Text),
    required("prefix", Text),
    Column("hash", LargeBinary),
    required("scopes", Text),
    required("created_at", Utc),
    Column("revoked_at", Utc),
    # when it was replaced: the old one goes on for a while
    Column("expires_at", Utc),
    Index("ux_api_keys_prefix", "prefix", unique=True),
)

# a secret of feedd's own; the newest of a purpose has the highest number
SECRETS = Table(
    "secrets",
    people_metadata,
    Column("purpose", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    required("value", LargeBinary),
    required("created_at", Utc),
)

# a webhook: how far it has got in the change stream (`seq`) and among the ended syncs: all up to `sync_through` and
# those in `syncs_taken` beyond it have become deliveries; null where it wants none. `target` is the digest of its address
WEBHOOKS = Table(
    "webhooks",
    people_metadata,
    Column("name", Text, primary_key=True),
    required("target", Text),
    required("stream_id", Text),
    Column("seq", BigInteger),
    Column("sync_through", BigInteger),
    required("syncs_taken", Text),
    required("generation", Integer),
    required("registered_at", Utc),
    Column("disabled_at", Utc),
    required("delivered", BigInteger),
    Column("delivered_at", Utc),
    Column("error", Text),
    Column("failed_at", Utc),
    # who may deliver now
    required("lease_epoch", BigInteger),
    Column("lease_holder", Text),
    Column("lease_until", Utc),
)

# a message that waits to be delivered, or never was (`dead`); one that was delivered is deleted
DELIVERIES = Table(
    "webhook_deliveries",
    people_metadata,
    Column("id", Integer, primary_key=True),
    required("webhook", Text),
    required("lane", Text),
    required("message_id", Text),
    required("type", Text),
    required("body", Text),
    Column("first_seq", BigInteger),
    Column("last_seq", BigInteger),
    required("status", Text),
    required("tries", Integer),
    required("created_at", Utc),
    Column("next_try_at", Utc),
    Column("http_status", Integer),
    Column("reason", Text),
    Column("ended_at", Utc),
    Index("ux_webhook_deliveries_message", "webhook", "message_id", unique=True),
    Index("ix_webhook_deliveries_status", "webhook", "status", "id"),
)

# what alerts remember of a feed; `open` maps the alerts that go on to when they began and were told last
WATCHES = Table(
    "watches",
    people_metadata,
    Column("feed", Text, primary_key=True),
    required("watched_at", Utc),
    Column("last_success", Utc),
    Column("failing_since", Utc),
    required("open", Text),
)

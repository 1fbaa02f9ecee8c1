"""The tables of both databases. A migration goes with every edit here; a test compares the two.

An item's primary key is `feed_id << 40 | number`, numbered per feed by whoever holds the feed's lease: the items of a
feed lie together, and new ones are appended. A change's place in the stream is `syncs.first_seq + changes.ordinal`,
so that the one counter row is locked only for the last statement of a sync.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    TypeDecorator,
)
from sqlmodel import Field, SQLModel

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


class CatalogTable(SQLModel):
    """Base of the catalog database's tables."""

    metadata = catalog_metadata


class PeopleTable(SQLModel):
    """Base of the people database's tables."""

    metadata = people_metadata


class StreamRow(CatalogTable, table=True):
    """The one row that names the change stream and holds the last number given out."""

    __tablename__ = "stream"
    id: int = Field(primary_key=True)
    stream_id: str = Field(sa_type=Text)
    last_seq: int = Field(sa_type=BigInteger)


class FeedRow(CatalogTable, table=True):
    """What is known of a feed beyond its configuration."""

    __tablename__ = "feeds"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_type=Text, unique=True)
    # the last body that was taken in whole, under which configuration
    etag: str | None = Field(default=None, sa_type=Text)
    last_modified: str | None = Field(default=None, sa_type=Text)
    body_digest: bytes | None = Field(default=None, sa_type=LargeBinary)
    config_digest: bytes | None = Field(default=None, sa_type=LargeBinary)
    fetch_digest: bytes | None = Field(default=None, sa_type=LargeBinary)
    # how the last sync went
    status: str | None = Field(default=None, sa_type=Text)
    error: str | None = Field(default=None, sa_type=Text)
    failures: int = 0
    last_sync_at: datetime | None = Field(default=None, sa_type=Utc)
    last_applied_at: datetime | None = Field(default=None, sa_type=Utc)
    full_fetch_at: datetime | None = Field(default=None, sa_type=Utc)
    max_age_until: datetime | None = Field(default=None, sa_type=Utc)
    retry_at: datetime | None = Field(default=None, sa_type=Utc)
    # what is stored of it
    items: int = Field(default=0, sa_type=BigInteger)
    rejected: int = Field(default=0, sa_type=BigInteger)
    warnings: int = Field(default=0, sa_type=BigInteger)
    held_removals: int = Field(default=0, sa_type=BigInteger)
    held: bytes | None = Field(default=None, sa_type=LargeBinary)
    next_item: int = Field(default=1, sa_type=BigInteger)
    next_reject: int = Field(default=1, sa_type=BigInteger)
    # who may write it now
    lease_epoch: int = Field(default=0, sa_type=BigInteger)
    lease_holder: str | None = Field(default=None, sa_type=Text)
    lease_until: datetime | None = Field(default=None, sa_type=Utc)


class SyncRow(CatalogTable, table=True):
    """One run of one feed."""

    __tablename__ = "syncs"
    __table_args__ = (
        Index("ux_syncs_first_seq", "first_seq", unique=True),
        Index("ix_syncs_feed", "feed_id", "id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    feed_id: int = Field(foreign_key="feeds.id")
    trigger: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    holder: str = Field(sa_type=Text)
    started_at: datetime = Field(sa_type=Utc)
    finished_at: datetime | None = Field(default=None, sa_type=Utc)
    duration_s: float | None = None
    size_bytes: int | None = Field(default=None, sa_type=BigInteger)
    counts: str | None = Field(default=None, sa_type=Text)
    error: str | None = Field(default=None, sa_type=Text)
    first_seq: int | None = Field(default=None, sa_type=BigInteger)
    change_count: int = Field(default=0, sa_type=BigInteger)


class ItemRow(CatalogTable, table=True):
    """One item, live or removed; `fields` is canonical JSON, `digest` its XXH3-128."""

    __tablename__ = "items"
    __table_args__ = (Index("ux_items_feed_item", "feed_id", "item_id", unique=True),)
    id: int = Field(primary_key=True, sa_type=BigId, sa_column_kwargs={"autoincrement": False})
    feed_id: int = Field(foreign_key="feeds.id")
    item_id: str = Field(sa_type=Text)
    fields: str = Field(sa_type=Text)
    digest: bytes = Field(sa_type=LargeBinary)
    warnings: str | None = Field(default=None, sa_type=Text)
    warning_count: int = 0
    created_at: datetime = Field(sa_type=Utc)
    changed_at: datetime = Field(sa_type=Utc)
    removed_at: datetime | None = Field(default=None, sa_type=Utc)


class ChangeRow(CatalogTable, table=True):
    """One change; its number in the stream is its sync's `first_seq` plus `ordinal`."""

    __tablename__ = "changes"
    __table_args__ = (Index("ix_changes_item", "item"),)
    sync_id: int = Field(primary_key=True, foreign_key="syncs.id")
    ordinal: int = Field(primary_key=True, sa_type=BigInteger)
    item: int = Field(sa_type=BigInteger)
    kind: int = Field(sa_type=SmallInteger)
    fields: str = Field(sa_type=Text)


class RejectRow(CatalogTable, table=True):
    """One open reject."""

    __tablename__ = "rejects"
    __table_args__ = (Index("ix_rejects_feed", "feed_id"),)
    id: int = Field(primary_key=True, sa_type=BigId, sa_column_kwargs={"autoincrement": False})
    feed_id: int = Field(foreign_key="feeds.id")
    sync_id: int
    position: int = Field(sa_type=BigInteger)
    item_id: str | None = Field(default=None, sa_type=Text)
    fingerprint: bytes = Field(sa_type=LargeBinary)
    duplicate: bool = False
    problems: str = Field(sa_type=Text)
    opened_at: datetime = Field(sa_type=Utc)


class FingerprintRow(CatalogTable, table=True):
    """Part of a feed's packed fingerprints (`feedd.fingerprints.Known`)."""

    __tablename__ = "fingerprints"
    feed_id: int = Field(primary_key=True, foreign_key="feeds.id")
    part: int = Field(primary_key=True)
    packed: bytes = Field(sa_type=LargeBinary)


class ApiKeyRow(PeopleTable, table=True):
    """An API key. A private key is kept as the SHA-256 of its 256 random bits, found by its first characters."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ux_api_keys_prefix", "prefix", unique=True),)
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    prefix: str = Field(sa_type=Text)
    hash: bytes | None = Field(default=None, sa_type=LargeBinary)
    scopes: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=Utc)
    revoked_at: datetime | None = Field(default=None, sa_type=Utc)

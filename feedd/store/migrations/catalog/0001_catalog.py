"""The catalog: feeds, syncs, items, changes, rejects, fingerprints."""

import uuid

import sqlalchemy as sa
from alembic import op

from feedd.store.tables import BigId, Utc

revision = "catalog0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    stream = op.create_table(
        "stream",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("stream_id", sa.Text, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(stream, [{"id": 1, "stream_id": uuid.uuid4().hex, "last_seq": 0}])
    op.create_table(
        "feeds",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("etag", sa.Text),
        sa.Column("last_modified", sa.Text),
        sa.Column("body_digest", sa.LargeBinary),
        sa.Column("config_digest", sa.LargeBinary),
        sa.Column("fetch_digest", sa.LargeBinary),
        sa.Column("status", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_sync_at", Utc),
        sa.Column("last_applied_at", Utc),
        sa.Column("full_fetch_at", Utc),
        sa.Column("max_age_until", Utc),
        sa.Column("retry_at", Utc),
        sa.Column("items", sa.BigInteger, nullable=False),
        sa.Column("rejected", sa.BigInteger, nullable=False),
        sa.Column("warnings", sa.BigInteger, nullable=False),
        sa.Column("held_removals", sa.BigInteger, nullable=False),
        sa.Column("held", sa.LargeBinary),
        sa.Column("next_item", sa.BigInteger, nullable=False),
        sa.Column("next_reject", sa.BigInteger, nullable=False),
        sa.Column("lease_epoch", sa.BigInteger, nullable=False),
        sa.Column("lease_holder", sa.Text),
        sa.Column("lease_until", Utc),
    )
    op.create_table(
        "syncs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("feed_id", sa.Integer, sa.ForeignKey("feeds.id"), nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("started_at", Utc, nullable=False),
        sa.Column("finished_at", Utc),
        sa.Column("duration_s", sa.Float),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("counts", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("first_seq", sa.BigInteger),
        sa.Column("change_count", sa.BigInteger, nullable=False),
    )
    op.create_index("ux_syncs_first_seq", "syncs", ["first_seq"], unique=True)
    op.create_index("ix_syncs_feed", "syncs", ["feed_id", "id"])
    op.create_table(
        "items",
        sa.Column("id", BigId, primary_key=True, autoincrement=False),
        sa.Column("feed_id", sa.Integer, sa.ForeignKey("feeds.id"), nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("warnings", sa.Text),
        sa.Column("warning_count", sa.Integer, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("changed_at", Utc, nullable=False),
        sa.Column("removed_at", Utc),
    )
    op.create_index("ux_items_feed_item", "items", ["feed_id", "item_id"], unique=True)
    op.create_table(
        "changes",
        sa.Column("sync_id", sa.Integer, sa.ForeignKey("syncs.id"), primary_key=True),
        sa.Column("ordinal", sa.BigInteger, primary_key=True),
        sa.Column("item", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
    )
    op.create_index("ix_changes_item", "changes", ["item"])
    op.create_table(
        "rejects",
        sa.Column("id", BigId, primary_key=True, autoincrement=False),
        sa.Column("feed_id", sa.Integer, sa.ForeignKey("feeds.id"), nullable=False),
        sa.Column("sync_id", sa.Integer, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("item_id", sa.Text),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("duplicate", sa.Boolean, nullable=False),
        sa.Column("problems", sa.Text, nullable=False),
        sa.Column("opened_at", Utc, nullable=False),
    )
    op.create_index("ix_rejects_feed", "rejects", ["feed_id"])
    op.create_table(
        "fingerprints",
        sa.Column("feed_id", sa.Integer, sa.ForeignKey("feeds.id"), primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("packed", sa.LargeBinary, nullable=False),
    )

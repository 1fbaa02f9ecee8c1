"""Web feeds: what is known of each, and its last good body."""

import sqlalchemy as sa
from alembic import op

from feedd.store.tables import Utc

revision = "catalog0006"
down_revision = "catalog0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "web_feeds",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("raw_digest", sa.LargeBinary),
        sa.Column("source_digest", sa.LargeBinary),
        sa.Column("format", sa.Text),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("etag", sa.Text),
        sa.Column("last_modified", sa.Text),
        sa.Column("fetched_at", Utc),
        sa.Column("changed_at", Utc),
        sa.Column("checked_at", Utc),
        sa.Column("error", sa.Text),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("full_fetch_at", Utc),
        sa.Column("max_age_until", Utc),
        sa.Column("retry_at", Utc),
        sa.Column("lease_epoch", sa.BigInteger, nullable=False),
        sa.Column("lease_holder", sa.Text),
        sa.Column("lease_until", Utc),
    )
    op.create_table(
        "web_feed_bodies",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )

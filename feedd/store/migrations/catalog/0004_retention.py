"""Retention: where the stream begins, rejects that are closed, and which items are removed."""

import sqlalchemy as sa
from alembic import op

from feedd.store.tables import BigId, Utc

revision = "catalog0004"
down_revision = "catalog0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "stream",
        sa.Column("oldest_seq", sa.BigInteger, nullable=False, server_default=sa.text("1")),
    )
    op.create_table(
        "closed_rejects",
        sa.Column("id", BigId, primary_key=True, autoincrement=False),
        sa.Column("feed_id", sa.Integer, sa.ForeignKey("feeds.id"), nullable=False),
        sa.Column("sync_id", sa.Integer, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("item_id", sa.Text),
        sa.Column("problems", sa.Text, nullable=False),
        sa.Column("opened_at", Utc, nullable=False),
        sa.Column("closed_at", Utc, nullable=False),
    )
    op.create_index("ix_closed_rejects_feed", "closed_rejects", ["feed_id", "closed_at"])
    removed = sa.text("removed_at IS NOT NULL")
    op.create_index(
        "ix_items_removed",
        "items",
        ["feed_id", "removed_at"],
        sqlite_where=removed,
        postgresql_where=removed,
    )

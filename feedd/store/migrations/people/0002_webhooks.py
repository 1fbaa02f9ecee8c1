"""Webhooks: how far each has got, what it waits to be told or never was; and what is known of feeds for alerts."""

import sqlalchemy as sa
from alembic import op

from feedd.store.tables import Utc

revision = "people0002"
down_revision = "people0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("stream_id", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger),
        sa.Column("sync_through", sa.BigInteger),
        sa.Column("syncs_taken", sa.Text, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("registered_at", Utc, nullable=False),
        sa.Column("disabled_at", Utc),
        sa.Column("delivered", sa.BigInteger, nullable=False),
        sa.Column("delivered_at", Utc),
        sa.Column("error", sa.Text),
        sa.Column("failed_at", Utc),
        sa.Column("lease_epoch", sa.BigInteger, nullable=False),
        sa.Column("lease_holder", sa.Text),
        sa.Column("lease_until", Utc),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("webhook", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("first_seq", sa.BigInteger),
        sa.Column("last_seq", sa.BigInteger),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("next_try_at", Utc),
        sa.Column("http_status", sa.Integer),
        sa.Column("reason", sa.Text),
        sa.Column("ended_at", Utc),
    )
    op.create_index(
        "ux_webhook_deliveries_message",
        "webhook_deliveries",
        ["webhook", "message_id"],
        unique=True,
    )
    op.create_index(
        "ix_webhook_deliveries_status", "webhook_deliveries", ["webhook", "status", "id"]
    )
    op.create_table(
        "watches",
        sa.Column("feed", sa.Text, primary_key=True),
        sa.Column("watched_at", Utc, nullable=False),
        sa.Column("last_success", Utc),
        sa.Column("failing_since", Utc),
        sa.Column("open", sa.Text, nullable=False),
    )

"""Profiles, metrics and events; keys that run out."""

import sqlalchemy as sa
from alembic import op

from feedd.store.tables import BigId, Utc

revision = "people0003"
down_revision = "people0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("expires_at", Utc))
    op.create_table(
        "profiles",
        sa.Column("id", BigId, primary_key=True, autoincrement=False),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("phone_number", sa.Text),
        sa.Column("external_id", sa.Text),
        sa.Column("properties", sa.Text, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("updated_at", Utc, nullable=False),
        sa.Column("redacted_at", Utc),
    )
    # found by one descent: the row is the entry of the index
    op.create_table(
        "identifiers",
        sa.Column("kind", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("profile_id", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_identifiers_profile", "identifiers", ["profile_id"])
    op.create_table(
        "merges",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("from_id", sa.BigInteger, nullable=False),
        sa.Column("into_id", sa.BigInteger, nullable=False),
        sa.Column("merged_at", Utc, nullable=False),
    )
    op.create_index("ux_merges_from", "merges", ["from_id"], unique=True)
    op.create_table(
        "metrics",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
    )
    op.create_index("ux_metrics_name", "metrics", ["name"], unique=True)
    op.create_index("ux_metrics_uid", "metrics", ["uid"], unique=True)
    op.create_table(
        "events",
        sa.Column("id", BigId, primary_key=True, autoincrement=False),
        sa.Column("profile_id", sa.BigInteger, nullable=False),
        sa.Column("metric_id", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("properties", sa.Text, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("source", sa.SmallInteger, nullable=False),
        sa.Column("keyed", sa.Boolean, nullable=False),
    )
    op.create_index("ix_events_profile", "events", ["profile_id", "at", "metric_id", "keyed"])
    op.create_index("ix_events_metric", "events", ["metric_id", "at", "id"])
    op.create_table(
        "event_keys",
        sa.Column("profile_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("metric_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event_chunks",
        sa.Column("first_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("last_id", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "event_columns",
        sa.Column("first_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("metric_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("packed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "interests",
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("profile_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_interests_profile", "interests", ["profile_id"])
    op.create_table(
        "cursors",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("stream_id", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("moved_at", Utc, nullable=False),
    )
    op.create_table(
        "imports",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("started_at", Utc, nullable=False),
        sa.Column("moved_at", Utc, nullable=False),
        sa.Column("finished_at", Utc),
    )

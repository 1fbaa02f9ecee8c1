"""Secrets of feedd's own, which links in messages are sealed with."""

import sqlalchemy as sa
from alembic import op

from feedd.store.tables import Utc

revision = "people0007"
down_revision = "people0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "secrets",
        sa.Column("purpose", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
    )

"""Feeds keep what their body was found to be."""

import sqlalchemy as sa
from alembic import op

revision = "catalog0002"
down_revision = "catalog0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feeds", sa.Column("guess", sa.Text))

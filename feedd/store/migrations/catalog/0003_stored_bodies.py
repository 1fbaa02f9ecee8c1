"""Feeds know which body their catalog was read from, and how, also while no validators of it are stored."""

import sqlalchemy as sa
from alembic import op

revision = "catalog0003"
down_revision = "catalog0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feeds", sa.Column("read_digest", sa.LargeBinary))
    op.add_column("feeds", sa.Column("read_config", sa.LargeBinary))
    op.add_column("feeds", sa.Column("read_from", sa.Text))
    op.execute("UPDATE feeds SET read_digest = body_digest, read_config = config_digest")

"""Erasures: how often items were emptied or deleted, which no change tells."""

import sqlalchemy as sa
from alembic import op

revision = "catalog0007"
down_revision = "catalog0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "stream",
        sa.Column("erasures", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    )

"""The people database, with the API keys."""

import sqlalchemy as sa
from alembic import op

from feedd.store.tables import Utc

revision = "people0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("revoked_at", Utc),
    )
    op.create_index("ux_api_keys_prefix", "api_keys", ["prefix"], unique=True)

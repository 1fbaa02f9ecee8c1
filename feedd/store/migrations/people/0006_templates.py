"""Templates of messages."""

import sqlalchemy as sa
from alembic import op

from feedd.store.tables import BigId, Utc

revision = "people0006"
down_revision = "people0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "templates",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("editor_type", sa.Text, nullable=False),
        sa.Column("html", sa.Text, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("amp", sa.Text),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("updated_at", Utc, nullable=False),
        sa.Column("file", sa.Text),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_index("ux_templates_uid", "templates", ["uid"], unique=True)
    op.create_index("ux_templates_file", "templates", ["file"], unique=True)

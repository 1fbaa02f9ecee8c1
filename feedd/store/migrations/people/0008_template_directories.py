"""Which daemon has which files of templates, and what is known to be wrong with a template."""

import sqlalchemy as sa
from alembic import op

from feedd.store.tables import Utc

revision = "people0008"
down_revision = "people0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "template_directories",
        sa.Column("daemon", sa.Text, primary_key=True),
        sa.Column("seen_at", Utc, nullable=False),
        sa.Column("files", sa.Text, nullable=False),
    )
    op.add_column("templates", sa.Column("verdict", sa.Text))

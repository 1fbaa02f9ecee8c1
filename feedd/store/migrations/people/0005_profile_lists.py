"""Profiles are listed in the order in which they were made or changed, and by address."""

import sqlalchemy as sa
from alembic import op

revision = "people0005"
down_revision = "people0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_profiles_created", "profiles", ["created_at", "id"])
    op.create_index("ix_profiles_updated", "profiles", ["updated_at", "id"])
    nameless = sa.text("email IS NULL")
    op.create_index(
        "ix_profiles_no_email",
        "profiles",
        ["id"],
        sqlite_where=nameless,
        postgresql_where=nameless,
    )

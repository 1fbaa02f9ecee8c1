"""Jobs: what was sent in bulk, what of it is still to be done, and what is wrong with rows of it."""

import sqlalchemy as sa
from alembic import op

from feedd.store.tables import BigId, Utc

revision = "people0004"
down_revision = "people0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("completed", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("started_at", Utc),
        sa.Column("completed_at", Utc),
        sa.Column("expires_at", Utc, nullable=False),
        sa.Column("lease_holder", sa.Text),
        sa.Column("lease_until", Utc),
    )
    op.create_index("ux_jobs_uid", "jobs", ["uid"], unique=True)
    op.create_index("ix_jobs_status", "jobs", ["status", "id"])
    op.create_index("ix_jobs_kind", "jobs", ["kind", "id"])
    op.create_index("ix_jobs_expires", "jobs", ["expires_at"])
    op.create_table(
        "job_parts",
        sa.Column("job_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "job_errors",
        sa.Column("job_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("pointer", sa.Text, nullable=False),
        sa.Column("payload", sa.Text),
    )
    op.create_table(
        "job_profiles",
        sa.Column("job_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("profile_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )

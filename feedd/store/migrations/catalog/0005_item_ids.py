"""Items are found by their ids in a table of its own; the index that stood for it goes."""

import sqlalchemy as sa
from alembic import op

from feedd.store.tables import BigId

revision = "catalog0005"
down_revision = "catalog0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":  # another daemon may write to it
        op.execute("LOCK TABLE items, fingerprints IN ACCESS EXCLUSIVE MODE")
    op.create_table(
        "item_ids",
        sa.Column("feed_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("item", BigId, nullable=False),
        sqlite_with_rowid=False,
    )
    # in the order of the index, which holds all that is asked for
    op.execute(
        "INSERT INTO item_ids (feed_id, item_id, item) "
        "SELECT feed_id, item_id, id FROM items ORDER BY feed_id, item_id"
    )
    op.drop_index("ux_items_feed_item", "items")

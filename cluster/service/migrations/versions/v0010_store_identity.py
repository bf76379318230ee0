"""The identity of the database, which the store of its results has too."""

import time
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table with the database's identity, which is random."""
    table = op.create_table(
        "store_identity",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("identity", sa.String(32), nullable=False),
        sa.Column("made_at", sa.Float, nullable=False),
        sa.Column("mismatch", sa.String(16)),
    )
    op.bulk_insert(table, [{"id": 1, "identity": uuid.uuid4().hex, "made_at": time.time(), "mismatch": None}])


def downgrade() -> None:
    """Drop it: the database has another identity afterwards."""
    op.drop_table("store_identity")

"""Maintenance, in which no new jobs are taken, and runners that are asked to drain."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table of the maintenance in force, and add to a runner how it is asked to drain."""
    op.create_table(
        "maintenance",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("reason", sa.String(500)),
    )
    op.add_column("runners", sa.Column("drain", sa.String(16)))


def downgrade() -> None:
    """Take both away: maintenance ends, and drained runners take jobs again."""
    op.drop_column("runners", "drain")
    op.drop_table("maintenance")

"""Whose a job is and how it is ranked, what it waits for, what its trials follow from, and how much it stores."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_KEY = "jobs_idempotency_key_key"
"""PostgreSQL's own name for the constraint, given to SQLite's nameless one too."""
_NAMES = {"uq": "%(table_name)s_%(column_0_name)s_key"}


def upgrade() -> None:
    """Add the columns, make a key count for one owner alone, and remember when each owner was last served."""
    with op.batch_alter_table("jobs", naming_convention=_NAMES) as table:
        table.add_column(sa.Column("owner", sa.String(64), nullable=False, server_default="local"))
        table.add_column(sa.Column("priority", sa.Integer, nullable=False, server_default="0"))
        table.add_column(sa.Column("waiting", sa.Text))
        table.add_column(sa.Column("hindered_at", sa.Float))
        table.add_column(sa.Column("not_before", sa.Float))
        table.add_column(sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"))
        table.add_column(sa.Column("lineage", sa.String(64)))
        table.drop_constraint(_KEY, type_="unique")
        table.create_unique_constraint("jobs_owner_key", ["owner", "idempotency_key"])
        table.create_index("ix_jobs_lineage", ["lineage"])
    op.create_table(
        "owners",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("served_at", sa.Float, nullable=False),
    )


def downgrade() -> None:
    """Take all of it away again. Keys that several owners use stand in the way."""
    op.drop_table("owners")
    with op.batch_alter_table("jobs") as table:
        table.drop_index("ix_jobs_lineage")
        table.drop_constraint("jobs_owner_key", type_="unique")
        for column in ("owner", "priority", "waiting", "hindered_at", "not_before", "bytes", "lineage"):
            table.drop_column(column)
        table.create_unique_constraint(_KEY, ["idempotency_key"])

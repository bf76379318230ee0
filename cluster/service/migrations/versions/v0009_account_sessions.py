"""Sessions of accounts of an OpenID Connect provider: they have an owner and scopes of their own, and no key."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Let a session have no key, and add owner and scopes."""
    with op.batch_alter_table("sessions") as table:
        table.alter_column("key_id", existing_type=sa.String(16), nullable=True)
        table.add_column(sa.Column("owner", sa.String(64)))
        table.add_column(sa.Column("scopes", sa.String(32)))


def downgrade() -> None:
    """End the sessions without a key, and drop both columns."""
    op.execute("DELETE FROM sessions WHERE key_id IS NULL")
    with op.batch_alter_table("sessions") as table:
        table.drop_column("owner")
        table.drop_column("scopes")
        table.alter_column("key_id", existing_type=sa.String(16), nullable=False)

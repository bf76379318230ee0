"""The audit log: who did what, when, from where, and with what result."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_APPEND_ONLY = {
    "sqlite": (
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit "
        "WHEN OLD.at > (julianday('now') - 2440587.5) * 86400.0 - 86400.0 "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_append_only()",
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit FOR EACH ROW "
        "WHEN (OLD.at > extract(epoch FROM now()) - 86400.0) EXECUTE FUNCTION audit_append_only()",
    ),
}
"""No record is changed, and none is deleted within a day: retention deletes older ones."""


def upgrade() -> None:
    """Make the table, and the triggers that keep it append-only."""
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float, nullable=False, index=True),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(64)),
        sa.Column("key_id", sa.String(16)),
        sa.Column("address", sa.String(100)),
        sa.Column("subject", sa.String(64), index=True),
        sa.Column("detail", sa.String(200)),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("times", sa.Integer, nullable=False),
    )
    for statement in _APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Drop the table with its records."""
    op.drop_table("audit")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_append_only()")

"""Plain names: since when a job fails transiently, and the precision that was requested of it."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_JOBS = sa.table("jobs", sa.column("id", sa.String), sa.column("request", sa.Text))


def upgrade() -> None:
    """Rename the column and the field of stored requests."""
    _rename_column("hindered_at", "failing_since")
    _rename_field("wished", "requested")


def downgrade() -> None:
    """Give both their earlier names."""
    _rename_column("failing_since", "hindered_at")
    _rename_field("requested", "wished")


def _rename_column(old: str, new: str) -> None:
    with op.batch_alter_table("jobs") as table:
        table.alter_column(old, new_column_name=new)


def _rename_field(old: str, new: str) -> None:
    connection = op.get_bind()
    for row in connection.execute(sa.select(_JOBS.c.id, _JOBS.c.request)).all():
        request = json.loads(row.request)
        if old in request.get("precision", {}):
            request["precision"][new] = request["precision"].pop(old)
            connection.execute(_JOBS.update().where(_JOBS.c.id == row.id).values(request=json.dumps(request)))

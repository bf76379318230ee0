"""Runs the migrations on the connection that the caller holds."""

from alembic import context

from cluster.service.jobs import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()

"""Alembic's entry: it migrates over the connection that the store hands it, and no other."""

from alembic import context

from engine.edges.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

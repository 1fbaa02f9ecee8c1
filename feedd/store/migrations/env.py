"""Run by Alembic inside the transaction that `feedd.store.migrate` has begun."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    transactional_ddl=False,  # the transaction around all of it is the caller's
)
context.run_migrations()

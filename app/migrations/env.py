"""What Alembic runs: the changes, on the connection that `app.schema` hands over, in its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()

"""What Alembic runs: the changes, on the connection that `waterspout.service.sql.migrations` passes."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()

"""Bringing tables up to date with Alembic, in the caller's transaction: all or nothing.

`env.py` in the migrations folder is two lines: `context.configure(connection=context.config.attributes[
"connection"])` and `context.run_migrations()`.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from waterspout.service.sql.engines import DatabaseError
from waterspout.service.sql.extras import naming_extras

with naming_extras():
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError


def upgrade_tables(connection: Connection, migrations: Path) -> None:
    """Apply the migrations that this database doesn't have yet.

    Raises DatabaseError: it has one that is not in the folder.
    """
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise DatabaseError(
            f"the database was last used by a newer version: install that one ({error})"
        ) from error

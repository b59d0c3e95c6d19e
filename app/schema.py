"""Bringing the tables up to date: by Alembic, in the caller's transaction, so that all is done or nothing."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from app.database import DatabaseError

MIGRATIONS = Path(__file__).resolve().parent / "migrations"


def upgrade_tables(connection: Connection) -> None:
    """Make the changes that this database has not seen yet.

    Raises:
        DatabaseError: it has seen one that is not known here.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise DatabaseError(
            f"the database was last used by a newer version of the board: install that one ({error})"
        ) from error

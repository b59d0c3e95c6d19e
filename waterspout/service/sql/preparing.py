"""What a service does to its database before it starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from waterspout.service.sql.engines import DatabaseError, make_engine, prepare_sqlite_file, writing


def prepare(url: URL, change: Callable[[Session], None]) -> None:
    """Create a SQLite file if there is none, and run `change(session)` in one writing transaction.

    Several processes may call this at once: they take turns. Raises DatabaseError: the database can't be
    reached or used; the message never contains the password.
    """
    if url.get_backend_name() == "sqlite":
        prepare_sqlite_file(Path(url.database or ""))
    engine = make_engine(url)
    try:
        with writing(engine) as session:
            change(session)
    except SQLAlchemyError as error:
        place = url.render_as_string(hide_password=True)
        raise DatabaseError(f"the database {place} can't be used: {getattr(error, 'orig', error)}") from error
    finally:
        engine.dispose()

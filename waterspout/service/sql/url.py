"""Which database: the URLs that both kinds of engine can open."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from waterspout.service.sql.extras import NEEDS_POSTGRES

# What people write -> the name that SQLAlchemy gives the one driver that works both blocking and async.
# (SQLite has two: the engine's maker chooses.)
_DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def parse_url(text: str) -> URL:
    """Return the URL of a SQLite file (its path made absolute) or of PostgreSQL through psycopg.

    Raises ValueError: its text goes on where a sentence begins with the setting's name, and never holds the
    password.
    """
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError) as error:
        raise ValueError("is not a database URL, such as sqlite:////srv/board.sqlite3") from error
    if url.drivername not in _DRIVERS:
        raise ValueError(f"starts with {url.drivername}: but only sqlite: and postgresql: are taken")
    if url.drivername == "sqlite":
        return _check_sqlite(url)
    if importlib.util.find_spec("psycopg") is None:
        raise ValueError(f"asks for PostgreSQL, which {NEEDS_POSTGRES}")
    return url.set(drivername=_DRIVERS[url.drivername])


def _check_sqlite(url: URL) -> URL:
    """Return the URL with an absolute path. (A database in memory would be another one in every process.)"""
    database = url.database or ""
    if not database or database.startswith((":memory:", "file:")):
        raise ValueError("names no SQLite file, as sqlite:////srv/board.sqlite3 does")
    return url.set(database=str(Path(database).expanduser().absolute()))

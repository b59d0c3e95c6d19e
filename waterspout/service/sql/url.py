"""Which database: the URLs that both kinds of engine can open."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from waterspout.service.sql.extras import NEEDS_POSTGRES

# What people write -> SQLAlchemy's name for the one driver that works both blocking and async. (SQLite has
# two: the functions that make engines choose.) Only drivers whose URLs otherwise mean the same: psycopg2's
# are libpq's, too, while asyncpg and pg8000 have arguments of their own.
_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "sqlite+aiosqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "postgresql+psycopg2": "postgresql+psycopg",
}
_EXAMPLES = "sqlite:////srv/board.sqlite3 or postgresql://user:password@host/name"


def parse_url(text: str | URL | None) -> URL:
    """Return the URL of a SQLite file (its path made absolute) or of PostgreSQL through psycopg, whichever of
    their drivers it names: the app's own URL may name another.

    Raises ValueError: not such a URL, or None, a missing setting; the message never contains the password.
    """
    if text is None or text == "":
        raise ValueError(f"There is no database URL: is the variable set? Write {_EXAMPLES}.")
    if isinstance(text, URL):
        text = text.render_as_string(hide_password=False)
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError):
        # Not chained: SQLAlchemy's own message contains the whole text.
        raise ValueError(f"{_show(text)} is not a database URL: write {_EXAMPLES}.") from None
    if url.drivername not in _DRIVERS:
        raise ValueError(f"{_show(text)} {_refuse(url)}")
    if _DRIVERS[url.drivername] == "sqlite":
        return _find_file(url, text)
    if importlib.util.find_spec("psycopg") is None:
        raise ValueError(f"{_show(text)} is a PostgreSQL database, which {NEEDS_POSTGRES}")
    return url.set(drivername=_DRIVERS[url.drivername])


def _find_file(url: URL, text: str) -> URL:
    """Return the URL with an absolute path."""
    database = url.database or ""
    if not database or database.startswith((":memory:", "file:")):
        raise ValueError(
            f"{_show(text)} names no SQLite file, and a database in memory differs in each process: write "
            "sqlite:////srv/board.sqlite3."
        )
    try:
        path = Path(database).expanduser()
    except RuntimeError:
        raise ValueError(
            f"{_show(text)} begins with a home directory that can't be found (is there such a user?)."
        ) from None
    return url.set(drivername="sqlite", database=str(path.absolute()))


def _refuse(url: URL) -> str:
    kind, _, driver = url.drivername.partition("+")
    if kind in ("postgres", "postgresql") and driver:
        return (
            f"names the driver {driver}, but only psycopg is supported: write postgresql://, with psycopg's "
            "own parameters after the ? if there is one."
        )
    return f"is a database of the kind {kind}, and only two kinds are supported: write {_EXAMPLES}."


def _show(text: str) -> str:
    """What was written, in quotes and without a password, as far as can be told where that is."""
    if not text.lstrip().startswith("/") and "://" not in text:
        return "What was given, which is not shown here,"
    hidden = re.sub(r"(//[^:@/]*):.*@", r"\1:***@", text.strip(), flags=re.DOTALL)
    return repr(re.sub(r"(?i)(password=)[^&]*", r"\1***", hidden))

"""What the service is told by its environment, read and checked once, when it starts."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

ROOT = Path(__file__).resolve().parent.parent

# Both sides render from one folder, alike to the last blank: what one sends, the other could have.
TEMPLATES = ROOT / "templates"
TEMPLATE_OPTIONS: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True}

DEFAULT_DATABASE = ROOT / "var" / "board.sqlite3"
DEFAULT_BOARD_NAME = "Waterspout Status"
BOARD_NAME_LENGTH = 60

# What people write -> the name that SQLAlchemy gives the one driver that works both blocking and async.
# (SQLite has two: the engine's maker chooses.)
DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


class SettingsError(ValueError):
    """The environment asks for something that the service can't do; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`database_url` is normalised (see `parse_database_url`); `board_name` is the title of every page."""

    database_url: URL
    board_name: str = DEFAULT_BOARD_NAME

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read `DATABASE_URL` and `BOARD_NAME`; an empty value counts as none.

        Raises:
            SettingsError: a value is not usable.
        """
        return cls(
            database_url=parse_database_url(environ.get("DATABASE_URL") or f"sqlite:///{DEFAULT_DATABASE}"),
            board_name=parse_board_name(environ.get("BOARD_NAME") or DEFAULT_BOARD_NAME),
        )


def parse_database_url(text: str) -> URL:
    """Return the URL of a SQLite file (its path made absolute) or of PostgreSQL through psycopg.

    Raises:
        SettingsError: anything else. The message never holds the password.
    """
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError) as error:
        raise SettingsError(
            "DATABASE_URL is not a database URL, such as sqlite:////srv/board.sqlite3"
        ) from error
    if url.drivername not in DRIVERS:
        raise SettingsError(
            f"DATABASE_URL starts with {url.drivername}: and the board takes sqlite: or postgresql: only"
        )
    url = url.set(drivername=DRIVERS[url.drivername])
    return check_sqlite_url(url) if url.get_backend_name() == "sqlite" else check_postgresql_url(url)


def check_sqlite_url(url: URL) -> URL:
    """Return the URL with an absolute path.

    Raises:
        SettingsError: it names no file. (One in memory would be another one in every process.)
    """
    database = url.database or ""
    if not database or database.startswith((":memory:", "file:")):
        raise SettingsError("DATABASE_URL names no SQLite file, as sqlite:////srv/board.sqlite3 does")
    return url.set(database=str(Path(database).expanduser().absolute()))


def check_postgresql_url(url: URL) -> URL:
    """Return the URL as it is.

    Raises:
        SettingsError: psycopg is not installed.
    """
    if importlib.util.find_spec("psycopg") is None:
        raise SettingsError(
            "DATABASE_URL asks for PostgreSQL, which needs psycopg: pip install 'psycopg[binary]'"
        )
    return url


def parse_board_name(text: str) -> str:
    """Return the name with its spaces tidied.

    Raises:
        SettingsError: it is blank, too long, or holds control characters.
    """
    name = " ".join(text.split())
    if not name.isprintable() or not 1 <= len(name) <= BOARD_NAME_LENGTH:
        raise SettingsError(f"BOARD_NAME must have 1 to {BOARD_NAME_LENGTH} printable characters")
    return name

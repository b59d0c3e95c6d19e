"""One database for both sides, using SQLAlchemy: Flask's views write and read it, native handlers read it.

    url.py         which database
    engines.py     how it is opened, read and written
    stores.py      Store and AsyncStore
    preparing.py   what is done before a service starts
    migrations.py  its tables, brought up to date
    extras.py      what has to be installed for it

Needs the extra `sql`, and `postgres` for PostgreSQL, and says so (ImportError) if they are missing. SQLite
and PostgreSQL are set up so that several processes may write at once, and readers never wait for them.
"""

from __future__ import annotations

from waterspout.service.sql.extras import naming_extras

with naming_extras():
    from waterspout.service.sql.engines import (
        DatabaseError,
        make_async_engine,
        make_engine,
        prepare_sqlite_file,
        writing,
    )
    from waterspout.service.sql.preparing import prepare
    from waterspout.service.sql.stores import AsyncStore, Store
    from waterspout.service.sql.url import parse_url

__all__ = [
    "AsyncStore",
    "DatabaseError",
    "Store",
    "make_async_engine",
    "make_engine",
    "parse_url",
    "prepare",
    "prepare_sqlite_file",
    "writing",
]

"""Engines and transactions: what SQLite and PostgreSQL each need to be read and written by several processes.

Knows no tables. Two parallel functions: `make_engine` (blocking) and `make_async_engine`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, ExceptionContext, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session

from waterspout.exceptions import WaterspoutError
from waterspout.service.folder import make_folder
from waterspout.service.sql.extras import naming_extras

# How long a writer waits for another one. A post takes milliseconds; five seconds means a failing disk.
BUSY_TIMEOUT = 5.0
BUSY_PAUSE = 0.02

# Any number will do that nothing else in the same PostgreSQL database uses: "water" in ASCII.
WRITERS_LOCK = 0x7761746572

# PostgreSQL's error code for it (its documentation, appendix A).
READ_ONLY_TRANSACTION = "25006"

ONLY_READS = (
    "AsyncStore only reads, and nothing was written: write with the blocking Store, "
    "await asyncio.to_thread(store.write, ...)"
)


class DatabaseError(WaterspoutError, RuntimeError):
    """The database can't be opened or created, or a read-only store was to write to it; the message says
    which, and why, or what to do.
    """


@dataclass(frozen=True, slots=True)
class Backend:
    """What one kind of database needs.

    `begin_writing` makes writers queue up before they read anything: so no update appears with an id lower
    than one already seen, and SQLite never has to refuse a transaction that read first and wrote later.
    `reading`: options of a connection that reads; one transaction sees a single snapshot.
    `only_reading`: further options where nothing may be written.
    """

    driver: str
    async_driver: str
    begin_reading: str | None
    begin_writing: str
    options: dict[str, Any] = field(default_factory=dict)
    reading: dict[str, Any] = field(default_factory=dict)
    only_reading: dict[str, Any] = field(default_factory=dict)


BACKENDS = {
    "sqlite": Backend("sqlite+pysqlite", "sqlite+aiosqlite", "BEGIN", "BEGIN IMMEDIATE"),
    "postgresql": Backend(
        "postgresql+psycopg",
        "postgresql+psycopg",
        None,  # psycopg begins by itself
        f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})",
        {"pool_pre_ping": True},  # a restarted server costs a reconnect, not an error
        # Neither costs a round trip: psycopg sends them with BEGIN. By default each statement sees what was
        # committed before it, and the results of two might not be consistent.
        {"isolation_level": "REPEATABLE READ"},
        {"postgresql_readonly": True},
    ),
}


def make_engine(url: URL) -> Engine:
    """Return the blocking engine. Nothing is opened before its first use. Raises ImportError: no driver."""
    backend = BACKENDS[url.get_backend_name()]
    with naming_extras():
        engine = create_engine(url.set(drivername=backend.driver), **backend.options)
    listen(engine, backend)
    return engine


def make_async_engine(url: URL, *, only_reads: bool = False) -> AsyncEngine:
    """Return the asyncio engine. Nothing is opened before its first use. Raises ImportError: no driver.

    `only_reads`: creates no file, and writing raises DatabaseError.
    """
    backend = BACKENDS[url.get_backend_name()]
    with naming_extras("greenlet"):  # some SQLAlchemys miss it at the first query only
        engine = create_async_engine(url.set(drivername=backend.async_driver), **backend.options)
    listen(engine.sync_engine, backend)
    if only_reads:
        engine.update_execution_options(**backend.reading, **backend.only_reading)
        keep_from_writing(engine.sync_engine)
    return engine


def listen(engine: Engine, backend: Backend) -> None:
    """Prepare each new connection of the engine, and begin its transactions as the backend requires."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", prepare_sqlite_connection)
        event.listen(engine, "handle_error", name_sqlite_file)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("writing", False)
        statement = backend.begin_writing if writing else backend.begin_reading
        if statement:
            connection.exec_driver_sql(statement)


def prepare_sqlite_connection(connection: Any, _record: object) -> None:
    """Set SQLite's options per connection: the busy timeout first, since the rest may meet a writer."""
    # Python's driver would begin transactions by itself, at the first write: too late (see `Backend`).
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def name_sqlite_file(context: ExceptionContext) -> None:
    """Say which file has no such table: a different one if the two sides resolve one URL differently."""
    if context.sqlalchemy_exception is not None and "no such table" in str(context.original_exception):
        path = Path(context.dialect.create_connect_args(context.engine.url)[0][0] if context.engine else "")
        context.sqlalchemy_exception.add_note(f"the database is {path}{find_instance(path)}")


def find_instance(path: Path) -> str:
    """Flask-SQLAlchemy's relative paths start in the app's instance folder, not in the working directory."""
    other = path.parent / "instance" / path.name
    return f"; there is {other}, where Flask-SQLAlchemy keeps {path.name}" if other.exists() else ""


def keep_from_writing(engine: Engine) -> None:
    """Make writes fail: those of a reader would be silently lost, as nothing commits them."""
    event.listen(engine, "handle_error", refuse_writing, retval=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "do_connect", find_sqlite_file)
        event.listen(engine, "connect", turn_writing_off)


def find_sqlite_file(_dialect: Dialect, _record: object, arguments: Sequence[Any], _named: object) -> None:
    """SQLite would create a missing file, and find no table in it. Raises DatabaseError."""
    path = Path(arguments[0])
    if path.is_absolute() and not path.exists():  # else it is one in memory
        raise DatabaseError(
            f"there is no file {path}, and a read-only store creates none: give the absolute path of an "
            f"existing file, as in sqlite:////srv/app.db{find_instance(path)}"
        )


def turn_writing_off(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()


def refuse_writing(context: ExceptionContext) -> DatabaseError | None:
    """The exception to raise in place of the driver's for a forbidden write."""
    error: Any = context.original_exception
    is_forbidden = (
        getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY
        or getattr(error, "sqlstate", None) == READ_ONLY_TRANSACTION
    )
    return DatabaseError(ONLY_READS) if is_forbidden else None


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that sees the database as of its first statement; nothing that it does is committed."""
    options = BACKENDS[engine.dialect.name].reading
    with Session(engine.execution_options(**options)) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session whose transaction is the only writing one; rolled back on an exception, else committed."""
    with Session(engine.execution_options(writing=True), expire_on_commit=False) as session, session.begin():
        yield session


def prepare_sqlite_file(path: Path) -> None:
    """Create the file and its folder, and switch the file to write-ahead logging: readers never wait then.

    Raises:
        DatabaseError: the file can't be created or is not a database.
    """
    try:
        make_folder(path.parent)
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)) as connection:
            switch_to_write_ahead_log(connection)
    except OSError as error:
        raise DatabaseError(f"the folder {path.parent} can't be created: {error.strerror}") from error
    except sqlite3.Error as error:
        raise DatabaseError(f"the database {path} can't be used: {error}") from error


def switch_to_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the file, permanently; if it was done before, nothing happens.

    Two processes that switch at the same moment get "database is locked" at once, whatever the busy timeout:
    hence the loop.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(BUSY_PAUSE)

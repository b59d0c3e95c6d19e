"""Databases for tests: a new SQLite file for each; or the PostgreSQL one that the environment names."""

import os
from pathlib import Path

from sqlalchemy import URL, inspect, text

from app.first_run import MIGRATIONS
from app.settings import parse_database_url
from app.store.incidents import add_incident
from app.store.tables import State
from waterspout.service.sql import Store, make_engine, prepare_sqlite_file, writing
from waterspout.service.sql.migrations import upgrade_tables

# A PostgreSQL database to be emptied before each test: postgresql://user@host/scratch
POSTGRESQL = "WATERSPOUT_TEST_DATABASE"
KEPT = {"alembic_version"}


def sqlite_url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))


def make_empty_database(folder: Path) -> URL:
    """Return a database with tables and nothing in them."""
    if os.environ.get(POSTGRESQL):
        return empty_postgresql(parse_database_url(os.environ[POSTGRESQL]))
    path = folder / "board.sqlite3"
    prepare_sqlite_file(path)
    engine = make_engine(sqlite_url(path))
    with writing(engine) as session:
        upgrade_tables(session.connection(), MIGRATIONS)
    engine.dispose()
    return sqlite_url(path)


def empty_postgresql(url: URL) -> URL:
    """Empty the database, and restart its ids."""
    engine = make_engine(url)
    with writing(engine) as session:
        # A test that left a transaction open fails the next one, rather than stopping the run.
        session.execute(text("SET LOCAL lock_timeout = '10s'"))
        upgrade_tables(session.connection(), MIGRATIONS)
        tables = sorted(set(inspect(session.connection()).get_table_names()) - KEPT)
        session.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE"))
    engine.dispose()
    return url


def drop_everything(url: URL) -> None:
    """Leave a PostgreSQL database as it was when it was created."""
    engine = make_engine(url)
    with writing(engine) as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    engine.dispose()


def post_incidents(store: Store, count: int, state: State = State.INVESTIGATING) -> list[int]:
    """Post incidents with one update each; return their ids, oldest first."""
    return [store.write(add_incident, f"Incident {n}", state, f"Text {n}").incident_id for n in range(count)]

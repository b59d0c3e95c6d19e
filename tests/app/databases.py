"""Databases for tests."""

from pathlib import Path

from sqlalchemy import URL

from app.database import make_engine, prepare_sqlite_file, writing
from app.schema import upgrade_tables
from app.store import State, Store


def sqlite_url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))


def make_empty_database(folder: Path) -> URL:
    """Make a SQLite file with tables and nothing in them."""
    path = folder / "board.sqlite3"
    prepare_sqlite_file(path)
    engine = make_engine(sqlite_url(path))
    with writing(engine) as session:
        upgrade_tables(session.connection())
    engine.dispose()
    return sqlite_url(path)


def post_incidents(store: Store, count: int, state: State = State.INVESTIGATING) -> list[int]:
    """Post incidents with one update each; return their ids, oldest first."""
    return [store.post_incident(f"Incident {n}", state, f"Text {n}").incident_id for n in range(count)]

"""Databases for tests."""

from pathlib import Path

from sqlalchemy import URL

from app.database import make_engine, prepare_sqlite_file
from app.store import Base, State, Store


def make_empty_database(folder: Path) -> URL:
    """Make a SQLite file with tables and nothing in them."""
    path = folder / "board.sqlite3"
    prepare_sqlite_file(path)
    url = URL.create("sqlite", database=str(path))
    engine = make_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    return url


def post_incidents(store: Store, count: int, state: State = State.INVESTIGATING) -> list[int]:
    """Post incidents with one update each; return their ids, oldest first."""
    return [store.post_incident(f"Incident {n}", state, f"Text {n}").incident_id for n in range(count)]

"""The migrations lead from nothing, and from the first release's file, to what `app.store.tables` says."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from app.first_run import MIGRATIONS, prepare_database
from app.settings import Settings
from app.store.incidents import read_incident
from app.store.tables import Base, Impact, State
from tests.app.databases import sqlite_url
from waterspout.service.sql import DatabaseError, Store, make_engine, prepare_sqlite_file, writing
from waterspout.service.sql.migrations import upgrade_tables

# The tables as they were before there were migrations, with a resolved incident and an open one.
FIRST_RELEASE = """
CREATE TABLE incident (id INTEGER NOT NULL, title VARCHAR(120) NOT NULL, state VARCHAR(16) NOT NULL,
    opened_at DATETIME NOT NULL, update_count INTEGER NOT NULL, PRIMARY KEY (id));
CREATE INDEX ix_incident_state ON incident (state);
CREATE TABLE incident_update (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, incident_id INTEGER NOT NULL,
    number INTEGER NOT NULL, state VARCHAR(16) NOT NULL, text VARCHAR(2000) NOT NULL,
    posted_at DATETIME NOT NULL, UNIQUE (incident_id, number),
    FOREIGN KEY(incident_id) REFERENCES incident (id));
INSERT INTO incident VALUES (1, 'Old', 'resolved', '2026-01-01 10:00:00', 2);
INSERT INTO incident VALUES (2, 'New', 'monitoring', '2026-01-02 10:00:00', 1);
INSERT INTO incident_update VALUES (1, 1, 1, 'identified', 'We look.', '2026-01-01 10:00:00');
INSERT INTO incident_update VALUES (2, 1, 2, 'resolved', 'Done.', '2026-01-01 11:00:00');
INSERT INTO incident_update VALUES (3, 2, 1, 'monitoring', 'Hm.', '2026-01-02 10:00:00');
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "board.sqlite3"


@pytest.fixture
def old_file(path):
    prepare_sqlite_file(path)
    connection = sqlite3.connect(path)
    connection.executescript(FIRST_RELEASE)
    connection.close()
    return path


def differences(path: Path) -> list:
    engine = make_engine(sqlite_url(path))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, Base.metadata)
    engine.dispose()
    return found


def test_from_nothing_to_the_tables(path):
    prepare_database(Settings(sqlite_url(path)))
    assert differences(path) == []


def test_a_file_of_the_first_release_is_taken_over(old_file):
    prepare_database(Settings(sqlite_url(old_file)))
    assert differences(old_file) == []
    store = Store(sqlite_url(old_file))
    old, new = store.read(read_incident, 1), store.read(read_incident, 2)
    store.close()
    assert (old.title, old.state, old.impact) == ("Old", State.RESOLVED, Impact.MINOR)
    assert {update.impact for update in old.updates} == {Impact.MINOR}
    assert old.resolved_at == old.updates[0].posted_at
    assert new.resolved_at is None
    assert [update.text for update in old.updates] == ["Done.", "We look."]


def test_open_pages_know_the_changes_from_before_these_were_numbered(path, tmp_path):
    """Those of version 0004 knew them by the number of the audit line."""
    engine = make_engine(sqlite_url(path))
    with writing(engine) as session:
        upgrade_tables(session.connection(), copy_migrations(tmp_path, "000[234]"))
        for action in ("signed in", "renamed component", "failed to sign in"):
            values = f"VALUES ('2026-01-01 10:00:00', 'anna', '', '{action}', '')"
            session.execute(text(f"INSERT INTO audit_line (at, who, address, action, subject) {values}"))
    prepare_database(Settings(sqlite_url(path)))
    with engine.connect() as connection:
        numbers = connection.scalars(text("SELECT change FROM audit_line ORDER BY id")).all()
    engine.dispose()
    assert numbers == [0, 2, 0]


def copy_migrations(folder: Path, versions: str = "*") -> Path:
    """Return a copy, with these versions alone."""
    copy = folder / "migrations"
    shutil.copytree(MIGRATIONS, copy)
    for file in set((copy / "versions").glob("0*.py")) - set((copy / "versions").glob(f"{versions}_*.py")):
        file.unlink()
    return copy


def test_what_fails_halfway_leaves_nothing(old_file, tmp_path):
    broken = copy_migrations(tmp_path)
    second = broken / "versions" / "0002_board.py"
    second.write_text(second.read_text().replace("    add_audit()\n", "    raise ZeroDivisionError\n"))
    engine = make_engine(sqlite_url(old_file))
    with pytest.raises(ZeroDivisionError), writing(engine) as session:
        upgrade_tables(session.connection(), broken)
    tables = inspect(engine).get_table_names()
    engine.dispose()
    assert tables == ["incident", "incident_update"]


def test_a_database_of_a_newer_version_is_refused(path):
    prepare_database(Settings(sqlite_url(path)))
    engine = make_engine(sqlite_url(path))
    with writing(engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(DatabaseError, match="newer version"):
        prepare_database(Settings(sqlite_url(path)))

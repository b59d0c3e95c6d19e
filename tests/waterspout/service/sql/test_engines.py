import sqlite3
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import URL, text
from sqlalchemy.orm import Session

from waterspout.service.sql import engines as database
from waterspout.service.sql.engines import (
    BACKENDS,
    DatabaseError,
    make_async_engine,
    make_engine,
    prepare_sqlite_file,
    switch_to_write_ahead_log,
    writing,
)


@pytest.fixture
def url(tmp_path: Path) -> URL:
    path = tmp_path / "file.sqlite3"
    prepare_sqlite_file(path)
    return URL.create("sqlite", database=str(path))


@pytest.fixture
def engine(url: URL):
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT)"))
    yield engine
    engine.dispose()


PRAGMAS = {"busy_timeout": 5000, "foreign_keys": 1, "journal_mode": "wal"}


@pytest.mark.parametrize(("pragma", "value"), PRAGMAS.items())
def test_a_blocking_connection_is_prepared(engine, pragma, value):
    with engine.connect() as connection:
        assert connection.execute(text(f"PRAGMA {pragma}")).scalar() == value


@pytest.mark.gen_test
async def test_an_async_connection_is_prepared(url):
    engine = make_async_engine(url)
    async with engine.connect() as connection:
        found = {pragma: (await connection.execute(text(f"PRAGMA {pragma}"))).scalar() for pragma in PRAGMAS}
    await engine.dispose()
    assert found == PRAGMAS


def test_the_busy_timeout_is_set_before_anything_else():
    statements = []

    class Connection:
        isolation_level = ""

        def cursor(self):
            return self

        def execute(self, statement):
            statements.append(statement)

        def close(self):
            pass

    connection = Connection()
    database.prepare_sqlite_connection(connection, None)
    assert statements[0] == "PRAGMA busy_timeout = 5000"
    assert connection.isolation_level is None


def count(engine) -> int:
    with Session(engine) as session:
        return session.scalar(text("SELECT count(*) FROM note"))


def test_what_is_written_is_committed_at_the_end(engine):
    with writing(engine) as session:
        session.execute(text("INSERT INTO note (body) VALUES ('a')"))
        assert count(engine) == 0
    assert count(engine) == 1


def test_an_exception_undoes_what_was_written(engine):
    with pytest.raises(ZeroDivisionError), writing(engine) as session:
        session.execute(text("INSERT INTO note (body) VALUES ('a')"))
        raise ZeroDivisionError
    assert count(engine) == 0


def test_writers_that_read_first_wait_for_each_other(engine):
    """With a deferred transaction SQLite would refuse the second one: what it has read is out of date."""

    def add_one() -> None:
        with writing(engine) as session:
            seen = session.scalar(text("SELECT count(*) FROM note"))
            time.sleep(0.01)
            session.execute(text("INSERT INTO note (body) VALUES (:seen)"), {"seen": str(seen)})

    threads = [threading.Thread(target=add_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Session(engine) as session:
        bodies = session.scalars(text("SELECT body FROM note ORDER BY id")).all()
    assert bodies == [str(n) for n in range(8)]


def test_readers_do_not_wait_for_a_writer(engine):
    with writing(engine) as session:
        session.execute(text("INSERT INTO note (body) VALUES ('a')"))
        begun = time.monotonic()
        assert count(engine) == 0
    assert time.monotonic() - begun < database.BUSY_TIMEOUT / 2


def test_writers_queue_up_in_postgresql_too():
    assert "pg_advisory_xact_lock" in BACKENDS["postgresql"].begin_writing
    assert 0 < database.WRITERS_LOCK < 2**63


def test_missing_folders_are_made(tmp_path):
    prepare_sqlite_file(tmp_path / "a" / "b" / "c.sqlite3")
    assert (tmp_path / "a" / "b" / "c.sqlite3").exists()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("shopping list\n" * 100)
    with pytest.raises(DatabaseError, match=r"notes\.txt can't be used: file is not a database"):
        prepare_sqlite_file(path)


def test_a_folder_that_can_not_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseError, match="can't be created"):
        prepare_sqlite_file(tmp_path / "file" / "below" / "board.sqlite3")


class BusyConnection:
    """Says that it is locked, this many times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def execute(self, statement: str) -> None:
        assert statement == "PRAGMA journal_mode = WAL"
        self.times -= 1
        if self.times >= 0:
            raise sqlite3.OperationalError("database is locked")


def test_switching_waits_for_another_process_that_switches(monkeypatch):
    monkeypatch.setattr(database, "BUSY_PAUSE", 0)
    connection = BusyConnection(times=3)
    switch_to_write_ahead_log(connection)
    assert connection.times == -1


def test_switching_gives_up_in_the_end(monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.01)
    with pytest.raises(sqlite3.OperationalError):
        switch_to_write_ahead_log(BusyConnection(times=10**9))

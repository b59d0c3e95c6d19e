import sqlite3

import pytest
from sqlalchemy import URL, text

from waterspout.service.sql import AsyncStore, DatabaseError, Store, prepare


def make_table(session):
    session.execute(text("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, body TEXT)"))


def add(session, body, *, fails=False):
    session.execute(text("INSERT INTO note (body) VALUES (:body)"), {"body": body})
    if fails:
        raise ZeroDivisionError
    return body


def read(session):
    return session.scalars(text("SELECT body FROM note ORDER BY id")).all()


@pytest.fixture
def url(tmp_path):
    url = URL.create("sqlite", database=str(tmp_path / "made" / "file.sqlite3"))
    prepare(url, make_table)
    return url


@pytest.fixture
def store(url):
    store = Store(url)
    yield store
    store.close()


def test_preparing_again_changes_nothing(url, store):
    store.write(add, "one")
    prepare(url, make_table)
    assert store.read(read) == ["one"]


def test_preparing_is_all_or_nothing(url, store):
    def change(session):
        add(session, "lost", fails=True)

    with pytest.raises(ZeroDivisionError):
        prepare(url, change)
    assert store.read(read) == []


def test_what_can_not_be_used_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatabaseError, match="folder can't be used"):
        prepare(URL.create("sqlite", database=str(tmp_path / "folder")), make_table)


def test_a_statement_that_fails_says_what_it_is_about(url):
    with pytest.raises(DatabaseError, match=r"file\.sqlite3 can't be used: no such table"):
        prepare(url, lambda session: session.execute(text("SELECT * FROM gone")))


def test_what_is_written_is_committed_and_what_raises_is_not(url, store):
    assert store.write(add, "one") == "one"
    with pytest.raises(ZeroDivisionError):
        store.write(add, "two", fails=True)
    connection = sqlite3.connect(url.database)
    assert connection.execute("SELECT body FROM note").fetchall() == [("one",)]
    connection.close()


@pytest.mark.gen_test
async def test_the_event_loop_reads_the_same(url, store):
    store.write(add, "one")
    async_store = AsyncStore(url)
    assert await async_store.read(read) == ["one"]
    await async_store.close()

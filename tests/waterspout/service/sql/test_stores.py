import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing

import pytest
from sqlalchemy import URL, ForeignKey, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.orm.exc import DetachedInstanceError
from sqlalchemy.pool import NullPool

from waterspout.service.sql import AsyncStore, DatabaseError, Store, parse_url, prepare

# A PostgreSQL database whose tables may be dropped: see tests/app/databases.py.
POSTGRESQL = "WATERSPOUT_TEST_DATABASE"


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]
    about_id: Mapped[int | None] = mapped_column(ForeignKey("note.id"))
    about: Mapped["Note | None"] = relationship(remote_side=[id])


def make_table(session):
    Base.metadata.create_all(session.connection())


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


@asynccontextmanager
async def reading(url):
    async_store = AsyncStore(url)
    try:
        yield async_store.read
    finally:
        await async_store.close()


def add_row(session):
    session.add(Note(body="lost"))


def change_row(session):
    session.get(Note, 1).body = "lost"


def remove_row(session):
    session.delete(session.get(Note, 1))


def add_and_commit(session):
    add_row(session)
    session.commit()


def make_another_table(session):
    session.execute(text("CREATE TABLE another (id INTEGER)"))


WRITES = [add, add_row, change_row, remove_row, add_and_commit, make_another_table]
ONLY_READS = (
    r"^AsyncStore only reads, and nothing was written: write with the blocking Store, "
    r"await asyncio\.to_thread\(store\.write, \.\.\.\)$"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def any_url(request, url):
    if request.param == "sqlite":
        yield url
        return
    if not os.environ.get(POSTGRESQL):
        pytest.skip(f"{POSTGRESQL} names no database")  # .ci/run starts one for these tests
    url = parse_url(os.environ[POSTGRESQL])
    prepare(url, lambda session: Base.metadata.drop_all(session.connection()))
    prepare(url, make_table)
    yield url


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.gen_test
async def test_what_writes_where_only_reading_is_done_is_told_how(any_url, write):
    store = Store(any_url)
    store.write(lambda session: session.add(Note(id=1, body="one")))
    async with reading(any_url) as read_async:
        with pytest.raises(DatabaseError, match=ONLY_READS):
            await read_async(write, *(["lost"] if write is add else []))
        assert await read_async(read) == ["one"]
    assert store.read(read) == ["one"]
    store.close()


@pytest.mark.gen_test
async def test_what_only_reads_may_load_and_forget_as_it_likes(any_url):
    def load(session):
        note = session.get(Note, 1)
        note.body = note.body  # this changes nothing
        session.expunge(note)
        note.body = "one more"
        return note

    store = Store(any_url)
    store.write(lambda session: session.add(Note(id=1, body="one")))
    async with reading(any_url) as read_async:
        assert (await read_async(load)).body == "one more"
    store.close()


@pytest.mark.gen_test
async def test_a_statement_that_fails_in_reading_fails_as_ever(any_url):
    async with reading(any_url) as read_async:
        with pytest.raises(DBAPIError, match="SELECT nonsense"):
            await read_async(lambda session: session.execute(text("SELECT nonsense")))


@pytest.mark.gen_test
async def test_what_is_read_is_of_one_moment(any_url):
    """Whatever is committed between two statements: PostgreSQL's default is a new snapshot for each."""
    store = Store(any_url)
    store.write(lambda session: session.add(Note(id=1, body="one")))

    def read_twice(session, late):
        before = read(session)
        store.write(lambda session: session.add(Note(id=late, body="late")))
        return before == read(session)

    assert store.read(read_twice, 2)
    async with reading(any_url) as read_async:
        assert await read_async(read_twice, 3)
    assert store.read(read) == ["one", "late", "late"]
    store.close()


@pytest.mark.gen_test
async def test_what_is_written_is_behind_all_that_was_written_before(any_url):
    """A writer that waits for another one finds what that has written, and is not refused for it."""
    store = Store(any_url)
    store.write(lambda session: session.add(Note(id=1, body="0")))

    def count(session):
        note = session.get(Note, 1)
        note.body = str(int(note.body) + 1)

    def work(_):
        store.read(read)  # which leaves the connection as it was
        store.write(count)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(40)))
    assert store.read(read) == ["40"]
    store.close()


@pytest.mark.gen_test
async def test_an_app_s_own_models_do_and_load_what_they_lead_to(any_url):
    def name_both(session):
        return [(note.body, note.about.body) for note in session.scalars(select(Note).where(Note.id == 2))]

    store = Store(any_url)
    store.write(lambda session: session.add(Note(id=2, body="two", about=Note(id=1, body="one"))))
    async with reading(any_url) as read_async:
        assert await read_async(name_both) == store.read(name_both) == [("two", "one")]
        note = await read_async(lambda session: session.get(Note, 2))
    assert note.body == "two"
    with pytest.raises(DetachedInstanceError):
        note.about  # noqa: B018 - the access is what raises
    store.close()


@pytest.mark.gen_test
async def test_so_many_connections_as_docs_native_md_says(url):
    """And a read waits as long for one of them as it says."""
    store, async_store = Store(url), AsyncStore(url)
    for pool in (store.engine.pool, async_store.engine.pool):
        if isinstance(pool, NullPool):  # SQLite's for asyncio, in an older SQLAlchemy: none is kept
            assert async_store.engine.dialect.name == "sqlite"
            continue
        assert (pool.size(), pool.size() + pool._max_overflow, pool._timeout) == (5, 15, 30)
    store.close()
    await async_store.close()


def test_a_file_of_the_app_s_own_is_switched_so_that_readers_do_not_wait(tmp_path):
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE note (id INTEGER)")
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    prepare(URL.create("sqlite", database=str(path)), lambda session: None)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.gen_test
async def test_what_postgresql_is_told_stands_in_the_url():
    if not os.environ.get(POSTGRESQL):
        pytest.skip(f"{POSTGRESQL} names no database")
    told = "connect_timeout=3&options=-c%20statement_timeout%3D2000"
    text_of_url = os.environ[POSTGRESQL]
    url = parse_url(text_of_url + ("&" if "?" in text_of_url else "?") + told)
    async with reading(url) as read_async:
        shown = await read_async(lambda session: session.scalar(text("SHOW statement_timeout")))
    assert shown == "2s"


@pytest.mark.gen_test
async def test_who_only_reads_makes_no_file(tmp_path):
    path = tmp_path / "app.db"
    async with reading(URL.create("sqlite", database=str(path))) as read_async:
        with pytest.raises(DatabaseError) as refused:
            await read_async(read)
    assert str(refused.value) == (
        f"there is no file {path}, and a read-only store creates none: give the absolute path of an "
        "existing file, as in sqlite:////srv/app.db"
    )
    assert not path.exists()


@pytest.mark.gen_test
async def test_the_file_that_flask_sqlalchemy_means_is_named(tmp_path):
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance" / "app.db").touch()
    path = tmp_path / "app.db"
    said = f"there is {tmp_path / 'instance' / 'app.db'}, where Flask-SQLAlchemy keeps app.db"
    async with reading(URL.create("sqlite", database=str(path))) as read_async:
        with pytest.raises(DatabaseError, match=f"; {said}$"):
            await read_async(read)
        path.touch()
        with pytest.raises(OperationalError, match="no such table") as failed:
            await read_async(read)
    assert failed.value.__notes__ == [f"the database is {path}; {said}"]


def test_a_view_s_store_names_its_file_too(tmp_path):
    store = Store(URL.create("sqlite", database=str(tmp_path / "app.db")))
    with pytest.raises(OperationalError, match="no such table") as failed:
        store.read(read)
    assert failed.value.__notes__ == [f"the database is {tmp_path / 'app.db'}"]
    store.close()

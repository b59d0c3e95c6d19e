import pytest
from sqlalchemy import URL, inspect, text

from waterspout.service.sql import DatabaseError, Store, prepare
from waterspout.service.sql.migrations import upgrade_tables

ENV = """\
from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
"""
FIRST = """\
import sqlalchemy as sa
from alembic import op

revision, down_revision = "1", None


def upgrade():
    op.create_table("note", sa.Column("id", sa.Integer, primary_key=True))
"""
SECOND = """\
from alembic import op

revision, down_revision = "2", "1"


def upgrade():
    op.execute("CREATE TABLE other (id INTEGER)")
    {more}
"""


@pytest.fixture
def url(tmp_path):
    return URL.create("sqlite", database=str(tmp_path / "file.sqlite3"))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "100% mine"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    (folder / "versions" / "1.py").write_text(FIRST)
    return folder


@pytest.fixture
def upgrade(url, folder):
    return lambda: prepare(url, lambda session: upgrade_tables(session.connection(), folder))


def tables(url) -> set[str]:
    store = Store(url)
    found = set(inspect(store.engine).get_table_names())
    store.close()
    return found - {"alembic_version"}


def test_each_change_is_made_once(url, folder, upgrade):
    upgrade()
    assert tables(url) == {"note"}
    (folder / "versions" / "2.py").write_text(SECOND.format(more=""))
    upgrade()
    upgrade()
    assert tables(url) == {"note", "other"}


def test_a_change_that_fails_leaves_nothing(url, folder, upgrade):
    upgrade()
    (folder / "versions" / "2.py").write_text(SECOND.format(more="raise ZeroDivisionError"))
    with pytest.raises(ZeroDivisionError):
        upgrade()
    assert tables(url) == {"note"}


def test_a_database_of_a_newer_version_is_refused(url, upgrade):
    upgrade()
    prepare(url, lambda session: session.execute(text("UPDATE alembic_version SET version_num = '9'")))
    with pytest.raises(DatabaseError, match="newer version"):
        upgrade()

import traceback
from pathlib import Path

import pytest
from sqlalchemy import URL

from waterspout.service.sql import parse_url


def test_a_file_is_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert parse_url("sqlite:///some/file.db").database == str(tmp_path / "some/file.db")
    assert parse_url("sqlite:///~/file.db").database == str(Path.home() / "file.db")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_postgresql_has_the_one_driver_that_does_both(scheme):
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    url = parse_url(f"{scheme}://board:secret@db.internal:5433/board?sslmode=require")
    assert url.drivername == "postgresql+psycopg"
    assert (url.host, url.port, url.password, dict(url.query)) == (
        "db.internal",
        5433,
        "secret",
        {"sslmode": "require"},
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There is no database URL: is the variable set? Write {}."),
        (None, "There is no database URL: is the variable set? Write {}."),
        ("hunter2", "What was given, which is not shown here, is not a database URL: write {}."),
        ("/srv/app.db", "'/srv/app.db' is not a database URL: write {}."),
        ("://u:hunter2@x/y", "'://u:***@x/y' is not a database URL: write {}."),
        ("postgresql://u:hunter2@x:port/y", "'postgresql://u:***@x:port/y' is not a database URL: write {}."),
        (
            "mysql://root:hunter2@localhost/board",
            "'mysql://root:***@localhost/board' is a database of the kind mysql, and only two kinds are "
            "supported: write {}.",
        ),
        (
            "postgresql+asyncpg://u@x/y?password=hunter2&ssl=on",
            "'postgresql+asyncpg://u@x/y?password=***&ssl=on' names the driver asyncpg, but only psycopg "
            "is supported: write postgresql://, with psycopg's own parameters after the ? if there is one.",
        ),
        (
            "sqlite://",
            "'sqlite://' names no SQLite file, and a database in memory differs in each process: write "
            "sqlite:////srv/board.sqlite3.",
        ),
        (
            "sqlite:///~nobody-of-this-name/x.db",
            "'sqlite:///~nobody-of-this-name/x.db' begins with a home directory that can't be found (is "
            "there such a user?).",
        ),
        (
            "sqlite:///:memory:",
            "'sqlite:///:memory:' names no SQLite file, and a database in memory differs in each process: "
            "write sqlite:////srv/board.sqlite3.",
        ),
    ],
)
def test_anything_else_is_refused_in_a_sentence_without_its_password(text, said):
    with pytest.raises(ValueError, match=r"^['WT]") as refused:
        parse_url(text)
    examples = "sqlite:////srv/board.sqlite3 or postgresql://user:password@host/name"
    assert str(refused.value) == said.format(examples)
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


def test_a_driver_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = r"^'postgresql://u:\*{3}@localhost/board' is a PostgreSQL database, which needs the extra post"
    with pytest.raises(ValueError, match=said):
        parse_url("postgresql://u:hunter2@localhost/board")


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite", "sqlite+aiosqlite"])
def test_sqlite_s_drivers_are_chosen_by_who_opens_it(scheme):
    assert parse_url(f"{scheme}:////srv/app.db") == URL.create("sqlite", database="/srv/app.db")


def test_a_url_that_is_one_already_is_taken():
    assert parse_url(URL.create("sqlite", database="/srv/app.db")).database == "/srv/app.db"

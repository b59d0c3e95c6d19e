import importlib.util
from pathlib import Path

import pytest

from app.settings import DEFAULT_BOARD_NAME, DEFAULT_DATABASE, ROOT, TEMPLATES, Settings, SettingsError


def read(**environ: str) -> Settings:
    return Settings.from_environment(environ)


@pytest.fixture
def psycopg_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


@pytest.mark.parametrize("environ", [{}, {"DATABASE_URL": "", "BOARD_NAME": ""}])
def test_an_empty_environment_means_a_file_in_the_project(environ):
    settings = Settings.from_environment(environ)
    assert settings.database_url.drivername == "sqlite"
    assert settings.database_url.database == str(DEFAULT_DATABASE)
    assert DEFAULT_DATABASE.parent == ROOT / "var"
    assert settings.board_name == DEFAULT_BOARD_NAME


def test_templates_are_where_both_sides_look():
    assert (TEMPLATES / "_incident.html").is_file()


def test_settings_are_frozen():
    with pytest.raises(AttributeError):
        read().board_name = "another"


def test_a_relative_sqlite_path_becomes_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert read(DATABASE_URL="sqlite:///some/file.db").database_url.database == str(tmp_path / "some/file.db")


def test_a_home_directory_is_expanded():
    assert read(DATABASE_URL="sqlite:///~/file.db").database_url.database == str(Path.home() / "file.db")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
@pytest.mark.usefixtures("psycopg_installed")
def test_postgresql_is_driven_by_psycopg(scheme):
    url = read(DATABASE_URL=f"{scheme}://board:secret@db.internal:5433/board?sslmode=require").database_url
    assert url.drivername == "postgresql+psycopg"
    assert (url.host, url.port, url.database, url.password) == ("db.internal", 5433, "board", "secret")
    assert url.query == {"sslmode": "require"}


def test_postgresql_without_psycopg_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="pip install 'psycopg"):
        read(DATABASE_URL="postgresql://localhost/board")


@pytest.mark.parametrize(
    "text",
    [
        "mysql://root:hunter2@localhost/board",
        "postgresql+psycopg2://board:hunter2@localhost/board",
        "postgresql+asyncpg://board:hunter2@localhost/board",
        "sqlite+aiosqlite:///board.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:board?mode=memory&uri=true",
        "hunter2",
        "/srv/board.sqlite3",
        "postgresql://board:hunter2@localhost:port/board",
        "://",
    ],
)
@pytest.mark.usefixtures("psycopg_installed")
def test_other_urls_are_refused_in_one_line_without_the_password(text):
    with pytest.raises(SettingsError) as refused:
        read(DATABASE_URL=text)
    message = str(refused.value)
    assert message.startswith("DATABASE_URL")
    assert "\n" not in message
    assert "hunter2" not in message


def test_a_board_name_is_tidied():
    assert read(BOARD_NAME="  Harbour \t Status ").board_name == "Harbour Status"


@pytest.mark.parametrize("name", [" ", "x" * 61, "bell\a"])
def test_a_board_name_that_is_none_is_refused(name):
    with pytest.raises(SettingsError, match="BOARD_NAME"):
        read(BOARD_NAME=name)

import importlib.util
import os
from pathlib import Path

import pytest

from app import settings as settings_module
from app.settings import (
    DEFAULT_BOARD_NAME,
    DEFAULT_FOLDER,
    ROOT,
    TEMPLATES,
    Settings,
    SettingsError,
    check_folder,
)

KEY = "k" * 32


def read(**environ: str) -> Settings:
    """A board of one's own, unless the environment says otherwise."""
    ours = {"DATABASE_URL": "sqlite:////srv/board.sqlite3", "SECRET_KEY": KEY}
    return Settings.from_environment({**ours, **environ})


@pytest.fixture
def psycopg_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


@pytest.mark.parametrize("environ", [{}, {"DATABASE_URL": "", "BOARD_NAME": ""}])
def test_an_empty_environment_means_the_example_in_the_project(environ, monkeypatch, tmp_path):
    assert DEFAULT_FOLDER == ROOT / "var"
    monkeypatch.setattr(settings_module, "DEFAULT_FOLDER", tmp_path)
    settings = Settings.from_environment(environ)
    assert settings.example
    assert settings.database_url.drivername == "sqlite"
    assert settings.database_url.database == str(tmp_path / "board.sqlite3")
    assert settings.folder == tmp_path
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


NOBODYS_HOME = "~nobody-of-this-name/board"


@pytest.mark.parametrize(
    ("name", "value"), [("BOARD_FOLDER", NOBODYS_HOME), ("DATABASE_URL", f"sqlite:///{NOBODYS_HOME}.db")]
)
def test_the_home_directory_of_nobody_is_refused_in_one_line(name, value):
    with pytest.raises(SettingsError, match=f"^{name}.*{NOBODYS_HOME}.*home directory") as refused:
        read(**{name: value})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
@pytest.mark.usefixtures("psycopg_installed")
def test_postgresql_is_driven_by_psycopg(scheme):
    url = read(DATABASE_URL=f"{scheme}://board:secret@db.internal:5433/board?sslmode=require").database_url
    assert url.drivername == "postgresql+psycopg"
    assert (url.host, url.port, url.database, url.password) == ("db.internal", 5433, "board", "secret")
    assert url.query == {"sslmode": "require"}


def test_postgresql_without_psycopg_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="needs the extra postgres"):
        read(DATABASE_URL="postgresql://localhost/board")


@pytest.mark.parametrize(
    "text",
    [
        "mysql://root:hunter2@localhost/board",
        "postgresql+asyncpg://board:hunter2@localhost/board",
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


class TestSecretKey:
    def test_the_example_makes_its_own_and_keeps_it(self, tmp_path):
        first, second = (Settings.from_environment({"BOARD_FOLDER": str(tmp_path / "var")}) for _ in range(2))
        assert first.secret_key == second.secret_key
        assert len(first.secret_key) == 64
        assert (tmp_path / "var" / "secret_key").stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("database", ["sqlite:////srv/board.sqlite3", "postgresql://localhost/board"])
    def test_a_board_of_ones_own_needs_one_and_is_told_how_to_make_it(self, database):
        with pytest.raises(SettingsError, match=r"SECRET_KEY is not set. .*secrets.token_hex") as refused:
            Settings.from_environment({"DATABASE_URL": database})
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS"])
    def test_one_that_can_be_guessed_is_refused_and_not_shown(self, name):
        with pytest.raises(SettingsError, match="32 characters") as refused:
            read(**{name: "hunter2"})
        assert "hunter2" not in str(refused.value)

    def test_older_ones_still_count(self):
        old, older = "a" * 32, "b" * 40
        assert read(SECRET_KEY_FALLBACKS=f" {old} , {older},").secret_key_fallbacks == (old, older)
        assert read().secret_key_fallbacks == ()

    def test_a_folder_that_can_not_be_used_is_named(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(SettingsError, match="Set BOARD_FOLDER"):
            Settings.from_environment({"BOARD_FOLDER": str(tmp_path / "file")})

    def test_a_file_that_holds_no_text_is_named(self, tmp_path):
        (tmp_path / "secret_key").write_bytes(b"\xff\xfe\x80" * 20)
        with pytest.raises(SettingsError, match=r"secret_key holds no key .*remove it") as refused:
            Settings.from_environment({"BOARD_FOLDER": str(tmp_path)})
        assert "\n" not in str(refused.value)

    def test_it_is_never_printed_with_the_rest(self):
        assert KEY not in repr(read(SECRET_KEY_FALLBACKS=KEY))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://status.example.com", "https://status.example.com"),
        (" HTTPS://Status.Example.com:8443/ ", "https://status.example.com:8443"),
        ("http://localhost:8888", "http://localhost:8888"),
        ("https://status.example.com:443", "https://status.example.com"),
        ("http://status.example.com:80/", "http://status.example.com"),
        ("http://status.example.com:443", "http://status.example.com:443"),
        ("https://[2001:DB8:0::1]", "https://[2001:db8::1]"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://Stätus.example.com", "https://xn--sttus-hra.example.com"),
        ("", ""),
    ],
)
def test_the_boards_address_is_an_origin(text, url):
    assert read(BOARD_URL=text).url == url


@pytest.mark.parametrize(
    "text",
    [
        *("status.example.com", "ftp://x", "https://", "https://x/board", "https://x?y", "https://u@x"),
        *("https://x:port", "https://x:99999", "//x", "/", "https://x#y", "https://x:0", "https://@x"),
        *("https://[fe80::1%eth0]", "https://[x]", "https://[::1", "https://x..y", "https://a,b", "https://"),
    ],
)
def test_another_address_is_refused(text):
    with pytest.raises(SettingsError, match="BOARD_URL"):
        read(BOARD_URL=text)


def test_a_name_that_browsers_read_in_another_way_is_to_be_given_as_they_send_it():
    """Python's rules for names (of 2003) turn its ß into two letters."""
    with pytest.raises(SettingsError, match="as browsers send it, xn--"):
        read(BOARD_URL="https://straße.example.com")
    assert read(BOARD_URL="https://xn--strae-oqa.example.com").url == "https://xn--strae-oqa.example.com"


def test_proxies_are_counted():
    assert read().proxies == 0
    assert read(BOARD_PROXIES="2").proxies == 2


@pytest.mark.parametrize("text", ["-1", "x", "10", "1.5", "9" * 5000, "٣", "true"])
def test_other_counts_are_refused(text):
    with pytest.raises(SettingsError, match="BOARD_PROXIES"):
        read(BOARD_PROXIES=text)


def test_a_folder_for_attachments_is_made(tmp_path):
    check_folder(tmp_path / "srv" / "board")
    check_folder(tmp_path / "srv" / "board")
    assert (tmp_path / "srv" / "board").is_dir()


def test_a_folder_that_can_t_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SettingsError, match="can't be created or used: nothing can be written there"):
        check_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "root_path"), [("", ""), ("/", ""), ("/status", "/status"), ("/a/b/", "/a/b")]
)
def test_what_the_server_mounts_it_under(text, root_path):
    assert read(WATERSPOUT_ROOT_PATH=text).root_path == root_path


def test_which_is_a_path():
    with pytest.raises(SettingsError, match="WATERSPOUT_ROOT_PATH"):
        read(WATERSPOUT_ROOT_PATH="status")

from pathlib import Path

import pytest

from waterspout.service.sql import parse_url


def test_a_file_is_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert parse_url("sqlite:///some/file.db").database == str(tmp_path / "some/file.db")
    assert parse_url("sqlite:///~/file.db").database == str(Path.home() / "file.db")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
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
    "text", ["", "x", "mysql://root:hunter2@localhost/board", "sqlite://", "sqlite:///:memory:"]
)
def test_anything_else_is_refused_without_its_password(text):
    with pytest.raises(ValueError, match=r"^(is|starts|names)\b") as refused:
        parse_url(text)
    assert "hunter2" not in str(refused.value)


def test_a_driver_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"^asks for PostgreSQL, which needs the extra postgres: pip install"
    ):
        parse_url("postgresql://localhost/board")

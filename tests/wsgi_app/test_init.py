import pytest

from app.settings import SettingsError
from tests.app.databases import make_empty_database
from wsgi_app import create_app


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    url = make_empty_database(tmp_path)
    monkeypatch.setenv("DATABASE_URL", str(url))
    monkeypatch.setenv("SECRET_KEY", "k" * 32)
    monkeypatch.setenv("BOARD_NAME", "From outside")
    flask_app = create_app()
    assert b"From outside" in flask_app.test_client().get("/").data
    flask_app.extensions["store"].close()


def test_an_unusable_environment_is_refused(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "mysql://localhost/board")
    with pytest.raises(SettingsError):
        create_app()


def test_it_knows_the_views(flask_app):
    rules = {(rule.rule, method) for rule in flask_app.url_map.iter_rules() for method in rule.methods}
    assert {
        ("/", "GET"),
        ("/incidents/<int:incident_id>", "GET"),
        ("/admin/", "GET"),
        ("/admin/", "POST"),
        ("/static/<path:filename>", "GET"),
    } <= rules


@pytest.mark.parametrize("name", ["board.css", "live.js", "icon.svg"])
def test_static_files_are_served_from_here(client, name):
    with client.get(f"/static/{name}") as response:
        assert response.status_code == 200


def test_the_debugger_is_off(flask_app):
    assert not flask_app.debug

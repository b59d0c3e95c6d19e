import dataclasses

import pytest

from app.settings import SettingsError
from app.store.audit import read_audit
from tests.app.databases import make_empty_database
from tests.wsgi_app.conftest import BoardClient
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


@pytest.mark.parametrize(("proxies", "address"), [(0, "127.0.0.1"), (1, "192.0.2.7")])
def test_a_proxy_is_believed_when_there_is_one(settings, store, anna, proxies, address):
    """What a client adds by itself is not."""
    flask_app = create_app(dataclasses.replace(settings, proxies=proxies))
    flask_app.test_client_class = BoardClient
    forwarded = {"X-Forwarded-For": "198.51.100.9, 192.0.2.7"}
    assert flask_app.test_client().sign_in(headers=forwarded).status_code == 303
    assert store.read(read_audit)[0].address == address
    flask_app.extensions["store"].close()

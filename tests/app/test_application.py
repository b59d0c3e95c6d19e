import json

import pytest

from app import application
from app.application import BoardApplication, make_app
from app.settings import Settings, SettingsError, parse_database_url
from tests.app.serving import EXAMPLES
from waterspout.service.sql import AsyncStore, DatabaseError


@pytest.mark.gen_test
async def test_the_database_is_made_ready(http_client, base_url):
    response = await http_client.fetch(base_url + "/api/incidents")
    assert len(json.loads(response.body)) == len(EXAMPLES)


@pytest.mark.gen_test
async def test_native_routes_are_first_and_flask_has_the_rest(http_client, base_url, settings, monkeypatch):
    monkeypatch.setenv("BOARD_FOLDER", str(settings.folder))
    assert (await http_client.fetch(base_url + "/healthz")).body == b'{"status": "ok"}'
    page = await http_client.fetch(base_url + "/")
    assert EXAMPLES[0]["title"] in page.body.decode()
    assert (await http_client.fetch(base_url + "/nowhere", raise_error=False)).code == 404


@pytest.mark.gen_test
async def test_the_store_is_closed_when_it_has_stopped(settings, monkeypatch):
    closed = []

    async def close(store):
        closed.append(store)

    monkeypatch.setattr(AsyncStore, "close", close)
    app = BoardApplication(settings)
    await app.stop()
    assert closed == [app.store]


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/elsewhere.sqlite3")
    monkeypatch.setenv("SECRET_KEY", "k" * 32)
    make_app()
    assert (tmp_path / "elsewhere.sqlite3").exists()


def test_an_unusable_environment_is_refused_before_anything_is_made(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "mysql://localhost/board")
    monkeypatch.setattr(application, "prepare_database", pytest.fail)
    with pytest.raises(SettingsError):
        make_app()


def test_an_unusable_database_is_refused(tmp_path):
    (tmp_path / "board.sqlite3").mkdir()
    with pytest.raises(DatabaseError):
        make_app(Settings(parse_database_url(f"sqlite:///{tmp_path}/board.sqlite3")))

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

import handlers
import waterspout
from app import passwords
from app.settings import Settings
from app.store.incidents import read_cursor
from app.store.operators import add_operator
from tests.app.databases import make_empty_database
from waterspout.service.sql import Store
from waterspout.testing import know_native
from wsgi_app import create_app

PASSWORD = "correct horse battery"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20


@pytest.fixture(autouse=True)
def _hashed_at_once(monkeypatch):
    """A hash that costs nothing, for tests that are not about hashing."""
    monkeypatch.setattr(passwords, "hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


class BoardClient(FlaskClient):
    """A browser that sends the token of its session with each form, as the pages' own forms do."""

    def post(self, *args, **options):
        data = options.get("data")
        if data is None or (isinstance(data, dict) and "csrf_token" not in data):
            options["data"] = {**(data or {}), "csrf_token": self.token(base_url=options.get("base_url"))}
        return super().post(*args, **options)

    def token(self, path="/login", **options):
        """Return the token that the forms of a page have."""
        page = self.get(path, follow_redirects=True, **options).text
        return re.search(r'name="csrf_token" value="([^"]+)"', page)[1]

    def sign_in(self, name="anna", password=PASSWORD, path="/login", **options):
        return self.post(path, data={"name": name, "password": password}, **options)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(make_empty_database(tmp_path), board_name="Harbour <Status>", folder=tmp_path)


@pytest.fixture
def flask_app(settings: Settings) -> Iterator[Flask]:
    flask_app = create_app(settings)
    know_native(flask_app, handlers.routes)
    flask_app.test_client_class = BoardClient
    yield flask_app
    flask_app.extensions["store"].close()


@pytest.fixture
def store(flask_app: Flask) -> Store:
    return flask_app.extensions["store"]


@pytest.fixture
def client(flask_app: Flask) -> BoardClient:
    """Somebody who is not signed in."""
    return flask_app.test_client()


@pytest.fixture
def anna(store: Store):
    return store.write(add_operator, "anna", passwords.hash_password(PASSWORD))


@pytest.fixture
def operator(flask_app: Flask, anna) -> BoardClient:
    """Anna, who is signed in."""
    operator = flask_app.test_client()
    assert operator.sign_in().status_code == 303
    return operator


@pytest.fixture
def published(monkeypatch, store):
    """What was published, each with the cursor that a reader saw at that moment."""
    published = []

    def publish(topic, message):
        published.append((topic, message, store.read(read_cursor)))

    monkeypatch.setattr(waterspout, "publish", publish, raising=False)
    return published

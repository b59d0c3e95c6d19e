from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.settings import Settings
from app.store import Store
from tests.app.databases import make_empty_database
from wsgi_app import create_app


@pytest.fixture
def flask_app(tmp_path: Path) -> Iterator[Flask]:
    flask_app = create_app(Settings(make_empty_database(tmp_path), board_name="Harbour <Status>"))
    yield flask_app
    flask_app.extensions["store"].close()


@pytest.fixture
def store(flask_app: Flask) -> Store:
    return flask_app.extensions["store"]


@pytest.fixture
def client(flask_app: Flask) -> FlaskClient:
    return flask_app.test_client()

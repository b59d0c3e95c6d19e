from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL
from tornado.ioloop import IOLoop

from app.application import BoardApplication, make_app
from app.settings import Settings
from tests.app.databases import make_empty_database
from waterspout.service.sql import Store


@pytest.fixture
def database_url(tmp_path: Path) -> URL:
    return make_empty_database(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment({"BOARD_FOLDER": str(tmp_path)})


@pytest.fixture
def app(settings: Settings, io_loop: IOLoop) -> Iterator[BoardApplication]:
    """The whole service, for pytest-tornado."""
    app = make_app(settings)
    yield app
    io_loop.run_sync(app.stop)


@pytest.fixture
def store(database_url: URL) -> Iterator[Store]:
    store = Store(database_url)
    yield store
    store.close()

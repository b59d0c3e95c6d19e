from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.app.databases import make_empty_database
from waterspout.service.sql import Store


@pytest.fixture
def database_url(tmp_path: Path) -> URL:
    return make_empty_database(tmp_path)


@pytest.fixture
def store(database_url: URL) -> Iterator[Store]:
    store = Store(database_url)
    yield store
    store.close()

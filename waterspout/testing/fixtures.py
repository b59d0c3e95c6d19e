"""Fixtures for pytest-tornado. In a `conftest.py`:

from waterspout import testing

started_app = testing.started_app
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tornado.ioloop import IOLoop

from waterspout.application import Application


@pytest.fixture
def started_app(request: pytest.FixtureRequest, io_loop: IOLoop) -> Iterator[Application]:
    """The application of the `app` fixture (or of the one that `--app-fixture` names), started on `io_loop`,
    and stopped behind the test: no WSGI process is left over. Raises what keeps the app from being loaded.
    """
    app: Application = request.getfixturevalue(request.config.getoption("app_fixture"))
    io_loop.run_sync(app.start)
    yield app
    io_loop.run_sync(lambda: app.stop(timeout=5))

"""Fixtures for pytest-tornado. In a `conftest.py`:

from waterspout import testing

started_app = testing.started_app
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from waterspout.application import Application


@pytest.fixture
def started_app(request: pytest.FixtureRequest, io_loop: IOLoop, app: Any) -> Iterator[Application]:
    """The application of the `app` fixture (or of the one that `--app-fixture` names), started on `io_loop`,
    and stopped after the test: no WSGI process is left over. Raises whatever keeps the app from being loaded.
    """
    # `app` is a parameter above, too: pytest looks for parametrized fixtures among those.
    name = request.config.getoption("app_fixture")
    application = app if name == "app" else request.getfixturevalue(name)
    if not isinstance(application, Application):
        said = f"{name} is not a waterspout.Application: name the fixture with --app-fixture"
        pytest.fail(said, pytrace=False)
    io_loop.run_sync(application.start)
    yield application
    io_loop.run_sync(lambda: application.stop(timeout=5))

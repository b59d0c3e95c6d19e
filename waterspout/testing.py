"""Fixtures for the tests of an application, with pytest-tornado.

In a `conftest.py`:

    from waterspout import testing

    started_app = testing.started_app

A test that asks for `started_app` finds the application of its `app` fixture started, on the `io_loop` of
pytest-tornado, and stopped behind it: no WSGI process is left over.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tornado.ioloop import IOLoop

from waterspout.application import Application


@pytest.fixture
def started_app(io_loop: IOLoop, app: Application) -> Iterator[Application]:
    """`app`, started; raises what keeps its WSGI app from being loaded."""
    io_loop.run_sync(app.start)
    yield app
    io_loop.run_sync(lambda: app.stop(timeout=5))

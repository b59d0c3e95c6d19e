"""Fixtures for the tests of an application, with pytest-tornado.

In a `conftest.py`:

    from waterspout import testing

    started_app = testing.started_app

    @pytest.fixture
    def client():
        flask_app = create_app()
        testing.know_native(flask_app, yourpackage.native.routes)
        return flask_app.test_client()

A test that asks for `started_app` finds the application of its `app` fixture started, on the `io_loop` of
pytest-tornado, and stopped behind it: no WSGI process is left over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from waterspout.application import Application
from waterspout.routing.methods import find_methods
from waterspout.routing.rule import PathRule, read_rules
from waterspout.wsgi.naming import Names, link


@pytest.fixture
def started_app(io_loop: IOLoop, app: Application) -> Iterator[Application]:
    """`app`, started; raises what keeps its WSGI app from being loaded."""
    io_loop.run_sync(app.start)
    yield app
    io_loop.run_sync(lambda: app.stop(timeout=5))


def know_native(flask_app: Any, rules: Iterable[Any], **converters: Any) -> None:
    """Let `url_for` of a Flask app that is tested alone find native `rules` by their names, as it does when
    it is served. `converters`: custom ones, by name.
    """
    names = Names(converters=converters)
    for rule in read_rules(rules):
        if isinstance(rule, PathRule) and rule.name is not None:
            names.add(rule.path, rule.name, defaults=rule.defaults, methods=find_methods(rule.handler))
    link(flask_app, names)

"""Helpers for testing an application, with unittest, pytest, or any plugin of it: see docs/testing.md.

    with serving(app) as url: ...           a real server on a free port, in a thread (server.py)
    with published() as messages: ...       what views publish while nothing serves (messages.py)
    know_native(flask_app, routes)          `url_for` finds native rules without a server
    started_app = testing.started_app       in a conftest.py: a fixture for pytest-tornado (fixtures.py)

Only the fixture needs pytest, which is imported when the fixture is first accessed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from waterspout.routing.native_names import know_native
from waterspout.testing.messages import published
from waterspout.testing.server import serving

if TYPE_CHECKING:
    from waterspout.testing.fixtures import started_app

__all__ = ["know_native", "published", "serving", "started_app"]


def __getattr__(name: str) -> Any:
    if name != "started_app":
        raise AttributeError(f"module 'waterspout.testing' has no attribute {name!r}")
    return import_module("waterspout.testing.fixtures").started_app

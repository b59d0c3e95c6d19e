"""Waterspout: a Tornado over your Flask.

Native async routes are answered by `tornado.web.RequestHandler`s on the event loop; everything else goes to
a WSGI app on lanes. The names below are the whole everyday interface.

They are loaded when first used: a WSGI process that only publishes never imports Tornado. So are the public
subpackages: `waterspout.native`, `http`, `service`, `testing` and `wsgi`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waterspout import http as http
    from waterspout import native as native
    from waterspout import service as service
    from waterspout import testing as testing
    from waterspout import wsgi as wsgi
    from waterspout.application import Application
    from waterspout.exceptions import ClientDisconnected, Decline, NotServing, WaterspoutError
    from waterspout.hub.local import Subscription, subscribe
    from waterspout.hub.outbox import publish
    from waterspout.native.access import authenticated, public
    from waterspout.native.replacing import replaces
    from waterspout.routing.native_names import know_native
    from waterspout.routing.rule import PathRule
    from waterspout.wsgi.container import Container

__version__ = "0.1.0"

_HOMES = {
    "Application": "waterspout.application",
    "ClientDisconnected": "waterspout.exceptions",
    "Container": "waterspout.wsgi.container",
    "Decline": "waterspout.exceptions",
    "NotServing": "waterspout.exceptions",
    "PathRule": "waterspout.routing.rule",
    "Subscription": "waterspout.hub.local",
    "WaterspoutError": "waterspout.exceptions",
    "authenticated": "waterspout.native.access",
    "know_native": "waterspout.routing.native_names",
    "public": "waterspout.native.access",
    "publish": "waterspout.hub.outbox",
    "replaces": "waterspout.native.replacing",
    "subscribe": "waterspout.hub.local",
}

_FOLDERS = ("http", "native", "service", "testing", "wsgi")

__all__ = [
    "Application",
    "ClientDisconnected",
    "Container",
    "Decline",
    "NotServing",
    "PathRule",
    "Subscription",
    "WaterspoutError",
    "authenticated",
    "know_native",
    "public",
    "publish",
    "replaces",
    "subscribe",
]


def __dir__() -> list[str]:
    return [*__all__, *_FOLDERS, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _FOLDERS:
        return import_module(f"waterspout.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'waterspout' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

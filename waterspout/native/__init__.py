"""Base classes for native handlers: Tornado's interface, with less work for each request.

    handler.py, json_handler.py, document.py, static.py   the base classes
    lean.py, forwarding.py, transform.py, encoding.py,
    request.py, original.py                                what makes them fast
    errors.py, head.py, links.py                           what they do beyond Tornado's
    access.py, methods.py, replacing.py, login.py          what a handler declares
    fitting.py                                             whether it accepts what its rule passes
    delegate.py, failure.py                                from a request's head to its handler, or to none
    buffer.py                                              how much memory clients may fill together
    called.py                                              rules that lead to a plain function
    varying.py, unheeded.py                                Vary on its reply; return values that are ignored
    outside.py                                             Flask's own names, used in a handler
    cache.py, shared.py                                    what is made once for many callers
    live/                                                  streams, sockets and long-polls

docs/native.md shows them all in use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from waterspout.native.cache import Cache
from waterspout.native.document import Document, DocumentHandler
from waterspout.native.handler import RequestHandler
from waterspout.native.json_handler import JSONErrors, JSONHandler

if TYPE_CHECKING:
    from waterspout.native import live as live

__all__ = ["Cache", "Document", "DocumentHandler", "JSONErrors", "JSONHandler", "RequestHandler"]

if not TYPE_CHECKING:  # else a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """`live` is loaded when first used."""
        if name != "live":
            raise AttributeError(f"module 'waterspout.native' has no attribute {name!r}")
        return import_module("waterspout.native.live")

"""HEAD, answered by a handler's `get` (RFC 9110 section 9.3.2)."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from tornado.web import RequestHandler

from waterspout.native.methods import defines, find_methods


def find_head(handler: RequestHandler) -> Callable[..., Any] | None:
    """`get`, if it answers HEAD, too (RFC 9110 section 9.3.2): Tornado omits the body."""
    follows = not defines(type(handler), "head") and "HEAD" in (find_methods(type(handler)) or ())
    return handler.get if follows else None


def follow_get(handler: RequestHandler) -> None:
    """Let a handler without our base class answer HEAD by its `get`."""
    if find_head(handler) is not None:
        find = weakref.ref(handler)  # a bound method stored on the handler would be a cycle
        handler.head = lambda *args, **kwargs: find().get(*args, **kwargs)  # type: ignore[union-attr]  # its task has it

"""What a handler returns is ignored. For a coroutine with an empty reply this is logged, once for each class;
what a plain method returns Tornado would await.
"""

from __future__ import annotations

import inspect
import logging
import weakref
from typing import Any, Final

from tornado.web import RequestHandler

from waterspout.exceptions import Decline

_logger = logging.getLogger(__name__)
_told: Final[weakref.WeakSet[type[RequestHandler]]] = weakref.WeakSet()


def tell_unheeded(handler: RequestHandler, name: str, result: Any) -> None:
    """Warn if `handler` is about to send an empty reply and the coroutine of its method `name` has returned
    `result`, which is not None.
    """
    handler_class = handler.__class__  # the author's own
    is_empty = not handler._write_buffer and not handler._headers_written
    if not is_empty or handler.get_status() in (204, 304) or handler_class in _told:
        return
    _told.add(handler_class)
    is_decline = isinstance(result, Decline) or result is Decline
    _logger.warning(
        "%s.%s: %s() returned %s, which is ignored, and wrote nothing: the reply is empty; %s",
        handler_class.__module__,
        handler_class.__qualname__,
        name,
        "Decline" if is_decline else f"something of type {type(result).__qualname__}",
        "raise it" if is_decline else "call self.write(...) or self.finish(...)",
    )


def check_awaitable(handler: RequestHandler, name: str, result: Any) -> None:
    """Raises TypeError: the method `name` has returned something that can't be awaited, such as its reply."""
    if not inspect.isawaitable(result):
        raise TypeError(
            f"{handler.__class__.__qualname__}.{name}() returned something of type "
            f"{type(result).__qualname__}: a handler writes its reply, with self.write(...) or "
            "self.finish(...), and returns nothing"
        )

"""A warning, once per class, about an `open()` that does not end: its client waits in silence."""

from __future__ import annotations

import logging
import weakref
from typing import Final

from tornado.websocket import WebSocketHandler

from waterspout.limits import OPEN_SAID

_logger = logging.getLogger(__name__)
_told: Final[weakref.WeakSet[type[WebSocketHandler]]] = weakref.WeakSet()


def tell_late(handler: WebSocketHandler) -> None:
    """Warn that the `open()` of `handler` has run for OPEN_SAID."""
    handler_class = handler.__class__  # the author's own
    if handler_class not in _told:
        _told.add(handler_class)
        _logger.warning(
            "%s.%s: open() has not returned after %.0f s; until it does, nothing from the client is read, "
            "and its disconnect goes unnoticed: move what waits into a separate task (logged once)",
            handler_class.__module__,
            handler_class.__qualname__,
            OPEN_SAID,
        )

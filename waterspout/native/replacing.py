"""Which Flask view a native handler replaces: declared on the handler, and known to `waterspout routes`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from tornado.web import RequestHandler

_MARK: Final = "__waterspout_replaces__"

Handler = TypeVar("Handler", bound=type[RequestHandler])


def replaces(*endpoints: str) -> Callable[[Handler], Handler]:
    """Mark a handler class that is meant to answer in place of those endpoints of the Flask app, wherever its
    rules take their paths and methods. A subclass has to say so again. Raises TypeError: none is named.
    """
    if not endpoints or not all(isinstance(endpoint, str) for endpoint in endpoints):
        raise TypeError('name the endpoints: @waterspout.replaces("shop.item")')

    def mark(handler_class: Handler) -> Handler:
        setattr(handler_class, _MARK, frozenset(endpoints))
        return handler_class

    return mark


def find_replaced(handler_class: type[RequestHandler]) -> frozenset[str]:
    """The endpoints that `handler_class` is meant to answer in place of."""
    found: frozenset[str] = vars(handler_class).get(_MARK, frozenset())
    return found

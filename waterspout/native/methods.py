"""Which methods a native handler owns: the ones it defines. Leaf."""

from __future__ import annotations

from inspect import unwrap
from typing import Final

from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

#: What Tornado's handler has where a method is not defined: it raises HTTPError(405).
UNDEFINED: Final = RequestHandler.get

#: The methods that a handler owns; None: all.
Methods = frozenset[str] | None


def find_methods(handler_class: type[RequestHandler]) -> Methods:
    """Those of its SUPPORTED_METHODS that `handler_class` defines. HEAD follows GET (RFC 9110 section 9.3.2),
    except for a WebSocket, which only GET opens (RFC 6455 section 4.1).

    None for a class that answers any method in `prepare()`, as Tornado's `ErrorHandler` and
    `FallbackHandler` do: it has no method, or only the OPTIONS that a base class defines for CORS. None,
    too, for one that creates instances of another class (`__new__`).
    """
    if makes_others(handler_class):
        return None
    found = {name for name in handler_class.SUPPORTED_METHODS if defines(handler_class, name)}
    follows = "HEAD" in handler_class.SUPPORTED_METHODS and not issubclass(handler_class, WebSocketHandler)
    if "GET" in found and follows:
        found.add("HEAD")
    is_inherited = found == {"OPTIONS"} and "options" not in vars(handler_class)
    if is_inherited and handler_class.prepare is not RequestHandler.prepare:
        return None
    return frozenset(found) or None


def defines(handler_class: type[RequestHandler], method: str) -> bool:
    """Whether the class has its own method for `method`. New Relic also wraps those that it lacks."""
    return unwrap(getattr(handler_class, method.lower(), UNDEFINED)) is not unwrap(UNDEFINED)


def answers_nothing(handler_class: type[RequestHandler]) -> bool:
    """Whether it can only answer 405: it defines no method, and no `prepare()`."""
    if makes_others(handler_class) or handler_class.prepare is not RequestHandler.prepare:
        return False
    return find_methods(handler_class) is None


def makes_others(handler_class: type[RequestHandler]) -> bool:
    """Whether its instances may be of an unknown class."""
    return handler_class.__new__ is not object.__new__


def owns(methods: Methods, method: str) -> bool:
    """Handlers refuse a method not in upper case (RFC 9110 section 9.1). Flask does not: `get` would get
    around the native rule, to a view.
    """
    return methods is None or method in methods or method.upper() in methods


def format_allow(methods: frozenset[str]) -> str:
    """The value of an Allow field (RFC 9110 section 10.2.1)."""
    return ", ".join(sorted(methods | {"OPTIONS"}))

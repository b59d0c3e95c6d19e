"""Creates the classes that run in place of an application's handler classes and do less for each request."""

from __future__ import annotations

from abc import ABCMeta
from types import new_class
from typing import Final, Generic, Protocol, cast

from tornado.web import RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketHandler

from waterspout.native.forwarding import Forwarding
from waterspout.native.handler import LeanRequestHandler
from waterspout.native.static import SendingFileHandler
from waterspout.websocket.handler import find_look, with_protocol

#: Python's own metaclasses, and bases with `__init_subclass__`: what they record of a class is on it alone.
_HARMLESS: Final = (type, ABCMeta, type(Protocol))
_HARMLESS_BASES: Final = (Generic, Protocol)


class LeanClasses(dict[type[RequestHandler], type[RequestHandler]]):
    """Maps a handler class to the one that runs in its place: it looks the same, and costs less.

    Each is made when first asked for; call `clear()` if Tornado's methods have been wrapped since.
    """

    def __missing__(self, handler_class: type[RequestHandler]) -> type[RequestHandler]:
        is_static = issubclass(handler_class, StaticFileHandler)
        lean = make_lean(handler_class, SendingFileHandler if is_static else LeanRequestHandler)
        if issubclass(lean, WebSocketHandler) and (lean is not handler_class or not notices(lean)):
            lean = with_protocol(lean)
        self[handler_class] = lean
        return lean


def make_lean(
    handler_class: type[RequestHandler], beneath: type[LeanRequestHandler] = LeanRequestHandler
) -> type[RequestHandler]:
    """`handler_class` with `beneath` placed below all that it overrides and above Tornado's handler.

    Its handlers can't tell: `self.__class__` is the original class, so `super(self.__class__, self)` finds
    what it did before, and state set on `type(self)` goes to the original class. A class that notices being
    subclassed (`__init_subclass__`, a metaclass) is left alone.
    """
    is_lean = issubclass(handler_class, LeanRequestHandler)
    hides_ui = getattr(handler_class, "ui", LeanRequestHandler.ui) is not LeanRequestHandler.ui
    if notices(handler_class) or (is_lean and not hides_ui) or handler_class is RequestHandler:
        return handler_class
    body = find_look(handler_class)
    body["__class__"] = property(lambda self: handler_class)
    if hides_ui:
        body["ui"] = LeanRequestHandler.ui  # Tornado sets `ui` on each handler, even if its class has one
    if is_lean:
        bases: tuple[type[RequestHandler], ...] = (handler_class,)
    else:
        bases = (beneath,) if issubclass(beneath, handler_class) else (handler_class, beneath)
    theirs = type(handler_class)
    metaclass = Forwarding if theirs is type else new_class("Forwarding", (Forwarding, theirs))
    return cast(type[RequestHandler], metaclass(handler_class.__name__, bases, body))


def notices(handler_class: type) -> bool:
    """Whether any code is notified of its subclasses. `ABC`, `Generic` and `Protocol` don't count: they are
    not the application's.
    """
    heirs = [base for base in handler_class.__mro__[:-1] if base not in _HARMLESS_BASES]
    hooks = [base for base in heirs if "__init_subclass__" in vars(base)]
    return bool(hooks) or type(handler_class) not in _HARMLESS

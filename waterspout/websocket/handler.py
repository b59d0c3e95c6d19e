"""A user's `WebSocketHandler` class, made to speak through our protocol."""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Callable
from typing import Any, Final, cast

import tornado.websocket
from tornado.websocket import WebSocketHandler

from waterspout.websocket.protocol import WebSocketProtocol

#: Where a class keeps the subclass made from it. This way both are collected together: a weak dictionary
#: would keep the class alive through its subclass.
_MADE: Final = "_waterspout_websocket_handler"
#: What is not inherited, or differs for a subclass. From Python 3.14 on annotations are made when they are
#: asked for, by a function listed here (PEP 649).
_OWN_ALONE: Final = ("__annotate_func__", "__annotations__", "__orig_bases__", "__type_params__")
#: Marks a `get_websocket_protocol` that was made here.
_WATCHES: Final = "_watches_waterspout"
#: What makes no sense once the connection no longer speaks HTTP. Tornado replaces them on every instance; on
#: the class they cost an idle connection nothing.
_HTTP_ONLY: Final = ("write", "redirect", "set_header", "set_cookie", "set_status", "flush", "finish")

_MakeProtocol = Callable[[WebSocketHandler], tornado.websocket.WebSocketProtocol | None]


def with_protocol(handler_class: type[WebSocketHandler]) -> type[WebSocketHandler]:
    """Return a subclass, always the same, whose connections are our `WebSocketProtocol`, and are reported to
    an application of ours (`watch_socket`). It has the name and the docstring of `handler_class`.

    A class that makes its own protocol continues to do so.
    """
    if getattr(handler_class.get_websocket_protocol, _WATCHES, False):
        return handler_class
    made: type[WebSocketHandler] | None = vars(handler_class).get(_MADE)
    if made is None:
        made = _make(handler_class)
        setattr(handler_class, _MADE, made)
    return made


def adapt(handler: WebSocketHandler) -> None:
    """Do as `with_protocol`, for a handler whose class was left alone (it notices being subclassed)."""
    find = weakref.ref(handler)  # a bound method, kept on it, would be a reference cycle
    for name, method in _find_methods(type(handler)).items():
        setattr(handler, name, lambda *args, _method=method, **kwargs: _method(find(), *args, **kwargs))


def _make(handler_class: type[WebSocketHandler]) -> type[WebSocketHandler]:
    members = find_look(handler_class)
    if "__class__" not in vars(handler_class):  # `make_lean` has left it alone
        members["__class__"] = property(lambda self: handler_class)
    members |= _find_methods(handler_class)
    made = types.new_class(
        handler_class.__name__, (handler_class,), exec_body=lambda body: body.update(members)
    )
    return cast(type[WebSocketHandler], made)


def find_look(handler_class: type) -> dict[str, Any]:
    """What a subclass needs in order to look like it: names, docstring, and what Python looks up only on the
    class itself, about its typing and its bases.
    """
    look = {name: getattr(handler_class, name) for name in ("__module__", "__qualname__", "__doc__")}
    return look | {name: vars(handler_class)[name] for name in _OWN_ALONE if name in vars(handler_class)}


def _find_methods(handler_class: type[WebSocketHandler]) -> dict[str, Callable[..., Any]]:
    """The methods that replace its own, by name."""
    theirs = handler_class.get_websocket_protocol
    if theirs is not WebSocketHandler.get_websocket_protocol:
        return {"get_websocket_protocol": _watch(theirs)}
    return {name: _refuse_when_upgraded(getattr(handler_class, name)) for name in _HTTP_ONLY} | {
        "get_websocket_protocol": _watch(_make_protocol)
    }


def _watch(make: _MakeProtocol) -> _MakeProtocol:
    @functools.wraps(make)
    def make_watched(self: WebSocketHandler) -> tornado.websocket.WebSocketProtocol | None:
        protocol = make(self)
        # The protocol, not the handler, which forgets it on closing: the rest is still to be sent then.
        watch = getattr(self.application, "watch_socket", None)
        if watch is not None and protocol is not None:
            watch(protocol)
        return protocol

    setattr(make_watched, _WATCHES, True)
    return make_watched


def _make_protocol(self: WebSocketHandler) -> tornado.websocket.WebSocketProtocol | None:
    """None for a version that is not 13: Tornado answers 426 (RFC 6455 section 4.4)."""
    if self.request.headers.get("Sec-WebSocket-Version") != "13":
        return None
    return cast(tornado.websocket.WebSocketProtocol, WebSocketProtocol(self))


def _refuse_when_upgraded(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def refuse_when_upgraded(self: WebSocketHandler, *args: Any, **kwargs: Any) -> Any:
        # `set_default_headers` and `initialize` run before the handler has the attribute.
        connection = getattr(self, "ws_connection", None)
        if isinstance(connection, WebSocketProtocol) and connection.upgraded:
            raise RuntimeError("Method not supported for Web Sockets")
        return method(self, *args, **kwargs)

    return refuse_when_upgraded

"""A user's `WebSocketHandler` class, made to speak through our protocol."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, Final, cast

import tornado.websocket
from tornado.websocket import WebSocketHandler

from waterspout.websocket.protocol import WebSocketProtocol

#: Where a class keeps the subclass that was made of it. There, both are collected together: a weak dictionary
#: would hold the class by its subclass.
_MADE: Final = "_waterspout_websocket_handler"
#: What makes no sense once the connection speaks no HTTP. Tornado replaces them on every instance; on the
#: class they cost an idle connection nothing.
_HTTP_ONLY: Final = ("write", "redirect", "set_header", "set_cookie", "set_status", "flush", "finish")


def with_protocol(handler_class: type[WebSocketHandler]) -> type[WebSocketHandler]:
    """A subclass, always the same, whose connections are our `WebSocketProtocol`. It has the name and the
    docstring of `handler_class`.

    A class that makes its protocol itself is given back as it is.
    """
    if handler_class.get_websocket_protocol is not WebSocketHandler.get_websocket_protocol:
        return handler_class
    made: type[WebSocketHandler] | None = vars(handler_class).get(_MADE)
    if made is None:
        made = _make(handler_class)
        setattr(handler_class, _MADE, made)
    return made


def _make(handler_class: type[WebSocketHandler]) -> type[WebSocketHandler]:
    members: dict[str, Any] = {
        "__module__": handler_class.__module__,
        "__qualname__": handler_class.__qualname__,
        "__doc__": handler_class.__doc__,
        "get_websocket_protocol": _get_websocket_protocol,
    }
    if "__class__" not in vars(handler_class):  # `make_lean` has left it alone
        members["__class__"] = property(lambda self: handler_class)
    for name in _HTTP_ONLY:
        members[name] = _refuse_when_upgraded(getattr(handler_class, name))
    made = types.new_class(
        handler_class.__name__, (handler_class,), exec_body=lambda body: body.update(members)
    )
    return cast(type[WebSocketHandler], made)


def _get_websocket_protocol(self: WebSocketHandler) -> tornado.websocket.WebSocketProtocol | None:
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

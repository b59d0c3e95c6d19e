"""The classes that run in place of handlers."""

from __future__ import annotations

from tornado.web import RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketHandler

from waterspout.native.handler import LeanRequestHandler, make_lean
from waterspout.native.static import SendingFileHandler
from waterspout.websocket.handler import with_protocol


class Improved(dict[type[RequestHandler], type[RequestHandler]]):
    """By a handler's class, the one that runs in its place: the same to whoever looks at it, and cheaper.

    Each is made when it is first asked for; `clear()` when somebody has wrapped Tornado's methods since.
    """

    def __missing__(self, handler_class: type[RequestHandler]) -> type[RequestHandler]:
        is_static = issubclass(handler_class, StaticFileHandler)
        lean = make_lean(handler_class, SendingFileHandler if is_static else LeanRequestHandler)
        if issubclass(lean, WebSocketHandler):
            lean = with_protocol(lean)
        self[handler_class] = lean
        return lean

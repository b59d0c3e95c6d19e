"""Which classes run in place of handlers."""

from tornado.web import RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketHandler

from waterspout.native import RequestHandler as OurRequestHandler
from waterspout.native.handler import LeanRequestHandler
from waterspout.native.lean import LeanClasses, make_lean
from waterspout.native.static import SendingFileHandler


class Handler(RequestHandler):
    pass


class Files(StaticFileHandler):
    pass


class Socket(WebSocketHandler):
    pass


def test_each_kind_has_what_it_needs_beneath():
    lean = LeanClasses()
    assert issubclass(lean[Handler], (Handler, LeanRequestHandler))
    assert issubclass(lean[Files], SendingFileHandler)
    assert lean[Socket].get_websocket_protocol is not WebSocketHandler.get_websocket_protocol


def test_a_class_is_made_once_and_again_after_a_clearing():
    lean = LeanClasses()
    first = lean[Handler]
    assert lean[Handler] is first
    lean.clear()
    assert lean[Handler] is not first


class Metaclassed(RequestHandler, metaclass=type("Meta", (type,), {})):
    pass


class Noticing(RequestHandler):
    def __init_subclass__(cls):
        raise AssertionError


def test_a_class_is_made_lean_once_and_only_if_nobody_can_tell():
    lean = make_lean(Handler)
    assert issubclass(lean, Handler)
    assert issubclass(lean, LeanRequestHandler)
    for left_alone in (RequestHandler, LeanRequestHandler, OurRequestHandler, Metaclassed, Noticing):
        assert make_lean(left_alone) is left_alone

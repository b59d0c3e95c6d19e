"""A handler owns the methods that it defines."""

from tornado.web import ErrorHandler, FallbackHandler, RedirectHandler, RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketHandler

from waterspout.routing.methods import find_methods, format_allow, owns


class Reads(RequestHandler):
    def get(self):
        pass


class Writes(Reads):
    SUPPORTED_METHODS = (*RequestHandler.SUPPORTED_METHODS, "PROPFIND")

    async def post(self):
        pass

    def propfind(self):
        pass


class Few(Reads):
    SUPPORTED_METHODS = ("GET",)

    def post(self):
        pass


def test_what_is_defined_or_inherited_is_owned_and_head_follows_get():
    assert find_methods(Reads) == {"GET", "HEAD"}
    assert find_methods(Writes) == {"GET", "HEAD", "POST", "PROPFIND"}
    assert find_methods(StaticFileHandler) == find_methods(RedirectHandler) == {"GET", "HEAD"}
    assert find_methods(WebSocketHandler) == {"GET"}
    assert find_methods(Few) == {"GET"}


def test_who_defines_none_answers_in_prepare_and_owns_them_all():
    for handler in (RequestHandler, ErrorHandler, FallbackHandler):
        assert find_methods(handler) is None
        assert owns(find_methods(handler), "BREW")
    assert not owns(find_methods(Reads), "POST")


def test_allow_always_names_options():
    assert format_allow(frozenset({"POST", "GET"})) == "GET, OPTIONS, POST"

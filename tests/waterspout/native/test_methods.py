"""A handler owns the methods that it defines."""

from tornado.web import (
    ErrorHandler,
    FallbackHandler,
    HTTPError,
    RedirectHandler,
    RequestHandler,
    StaticFileHandler,
)
from tornado.websocket import WebSocketHandler

from waterspout.native.methods import answers_nothing, find_methods, format_allow, owns


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


class Shared(RequestHandler):
    """As a base for CORS is often written."""

    def options(self):
        pass


class Closed(Shared):
    def prepare(self):
        raise HTTPError(403)


class Mixed(Shared, ErrorHandler):
    pass


class Preflight(RequestHandler):
    def prepare(self):
        pass

    def options(self):
        pass


class Chooses(Reads):
    def __new__(cls, *args, **kwargs):
        return Writes(*args, **kwargs)


def test_who_only_inherits_options_answers_in_prepare_too():
    """Otherwise `Closed` would be an open door: every other method would go on to Flask."""
    assert find_methods(Closed) is find_methods(Mixed) is None
    assert find_methods(Shared) == find_methods(Preflight) == {"OPTIONS"}


def test_of_a_class_that_makes_instances_of_another_nothing_is_known():
    assert find_methods(Chooses) is None
    assert not answers_nothing(Chooses)


def test_allow_always_names_options():
    assert format_allow(frozenset({"POST", "GET"})) == "GET, OPTIONS, POST"

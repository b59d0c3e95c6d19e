"""A handler that can't take what its rule gives it is told before the first request."""

import functools

import pytest
from tornado import gen
from tornado.web import (
    FallbackHandler,
    RedirectHandler,
    RequestHandler,
    StaticFileHandler,
    authenticated,
    removeslash,
)
from tornado.websocket import WebSocketHandler

import waterspout
from waterspout import Application, PathRule
from waterspout.native import JSONHandler
from waterspout.native.fitting import find_misfits
from waterspout.native.live import SocketHandler


class Bare(RequestHandler):
    def get(self):
        pass


class Takes(RequestHandler):
    async def get(self, number):
        pass


class Inherits(Takes):
    def post(self, *args):
        pass

    delete = put = lambda self, **kwargs: None


class Forwards(RequestHandler):
    """What stands outermost is asked, and not what it wraps."""

    @functools.wraps(Bare.get)
    def get(self, *args, **kwargs):
        pass

    @functools.wraps(Takes.get)
    def post(self):
        pass


class Decorated(RequestHandler):
    @removeslash
    @authenticated
    @gen.coroutine
    def get(self):
        pass

    @waterspout.authenticated
    async def post(self):
        pass

    @staticmethod
    def put():
        pass


class Changes(RequestHandler):
    def prepare(self):
        self.shop = self.path_kwargs.pop("shop")


class Below(Changes):
    def get(self):
        pass


class Executes(RequestHandler):
    async def _execute(self, transforms, *args, **kwargs):
        pass

    get = Bare.get


class Others(Bare):
    def __new__(cls, *args, **kwargs):
        return Takes(*args, **kwargs)


class Constructed(RequestHandler):
    def __init__(self, application, request, store):
        super().__init__(application, request)

    def get(self):
        pass


class Opens(WebSocketHandler):
    def open(self, room):
        pass


class OpensItself(Opens):
    def get(self, *args):
        return super().get("lobby")


class Follows(SocketHandler):
    pass


def name(texts):
    """The methods that are told."""
    return [text.partition(" to ")[2].partition("(")[0].rpartition(".")[2] for text in texts]


@pytest.mark.parametrize(
    ("handler", "groups", "names", "told"),
    [
        (Bare, 0, [], []),
        (Bare, 1, [], ["get"]),
        (Bare, 0, ["number"], ["get"]),
        (Takes, 1, [], []),
        (Takes, 2, [], ["get"]),
        (Takes, 0, [], ["get"]),
        (Takes, 0, ["number"], []),
        (Takes, 0, ["id"], ["get"]),
        (Inherits, 0, ["number"], ["post"]),
        (Inherits, 1, [], ["delete", "put"]),
        (Forwards, 1, [], ["post"]),
        (Decorated, 0, ["number"], ["get", "post"]),
        (Below, 0, ["shop"], []),
        (Executes, 1, [], []),
        (Others, 1, [], []),
        (JSONHandler, 1, [], []),
        (StaticFileHandler, 0, ["path"], ["initialize"]),
        (RedirectHandler, 1, [], ["initialize"]),
        (FallbackHandler, 1, [], ["initialize"]),
        (Opens, 0, ["room"], []),
        (Opens, 0, ["id"], ["open"]),
        (OpensItself, 1, [], []),
        (Follows, 1, [], ["open"]),
    ],
)
def test_the_methods_that_can_t_take_it_are_told(handler, groups, names, told):
    assert sorted(name(find_misfits(handler, groups, names, ()))) == told


def test_what_initialize_is_given_is_known_too():
    (said,) = find_misfits(Bare, 0, [], ["store"])
    assert said.startswith(
        f"gives store to {__name__}.Bare.initialize(self), which fails at each request: got an"
    )
    assert list(find_misfits(Constructed, 0, [], ["store"])) == []
    assert list(find_misfits(StaticFileHandler, 1, [], ["path"])) == []


def test_a_rule_of_either_notation_is_told_by_its_path():
    rules = [
        ("/a/<int:number>/<id>", Takes),
        (r"/b/(\d+)/(\d+)", Takes),
        (r"/c/(?P<id>\d+)", Takes),
        ("/d", Takes),
        (r"/e/(.*)", StaticFileHandler),
        PathRule("/f", Takes, defaults={"number": 7}),
        ("/g.*", [(r"/g/(\d+)", Takes), (r"/g/h", Bare)]),
    ]
    a, b, c, d, e = Application(rules).doubts
    takes = f"to {__name__}.Takes.get(self, number), which fails at each request"
    assert a.startswith(
        f"the rule '/a/<int:number>/<id>' gives number, id {takes}: got an unexpected keyword"
    )
    assert b == rf"the rule '/b/(\\d+)/(\\d+)' gives 2 arguments {takes}: too many positional arguments"
    assert c.startswith(rf"the rule '/c/(?P<id>\\d+)' gives id {takes}: ")
    assert d == f"the rule '/d' gives no argument {takes}: missing a required argument: 'number'"
    assert e.startswith(
        "the rule '/e/(.*)' gives no argument to tornado.web.StaticFileHandler.initialize(self, path"
    )

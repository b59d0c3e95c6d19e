"""A handler that can't take what its rule gives it is reported before the first request."""

import functools
import inspect

import pytest
from tornado import gen
from tornado.routing import PathMatches, Rule
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
from waterspout import Decline as PassOn
from waterspout.native import JSONHandler
from waterspout.native.fitting import Given, find_misfits, may_decline
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
    """The outermost function counts, and not the one that it wraps."""

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


def with_user(function):
    """The signature that it shows is that of what it wraps."""

    def inject(self, **kwargs):
        return function(self, "joe", **kwargs)

    inject.__signature__ = inspect.signature(function)
    return inject


class Injected(RequestHandler):
    @with_user
    def get(self, user, id):
        pass


class Gone(RequestHandler):
    def get(self):
        pass

    post = put = patch = delete = get


def name(texts):
    """The methods that are reported."""
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
        (Injected, 0, ["id"], []),
        (Gone, 1, [], ["get"]),  # one mistake, one line
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
    given = Given("/x", groups, tuple(names), ())
    assert sorted(name(find_misfits(handler, [given]))) == told


def test_parameters_are_spelled_as_they_are_written():
    class Spells(RequestHandler):
        def get(self, one: int, *rest: str, two: str = "x", **more: str):
            pass

    (said,) = find_misfits(Spells, [Given("/x", 0, (), ())])
    assert "Spells.get(self, one, *rest, two, **more), which" in said


def test_what_initialize_is_given_is_known_too():
    (said,) = find_misfits(Bare, [Given("/x", 0, (), ("store",))])
    assert said.startswith(
        f"the rule '/x' passes store to {__name__}.Bare.initialize(self), which fails on every request: got "
    )
    assert list(find_misfits(Constructed, [Given("/x", 0, (), ("store",))])) == []
    assert list(find_misfits(StaticFileHandler, [Given("/x", 1, (), ("path",))])) == []


class Stored(Bare):
    def initialize(self, store):
        pass


class Orders(RequestHandler):
    """In the style of REST, for two rules."""

    def get(self, number=None):
        pass

    def post(self):
        pass

    def put(self, number):
        pass

    def patch(self, name):
        pass


def test_a_method_that_fits_one_of_the_rules_is_meant_for_that_one():
    rules = [Given("/orders", 0, (), ()), Given("/orders/<number>", 0, ("number",), ())]
    (said,) = find_misfits(Orders, rules)
    assert said.startswith(f"the rule '/orders' passes no argument to {__name__}.Orders.patch(self, name), ")
    assert sorted(name(find_misfits(Orders, [rules[0]]))) == ["patch", "put"]


class Prepares(RequestHandler):
    @gen.coroutine
    def prepare(self):
        """It may change them, or call what does."""

    get = Bare.get


class OpensGuarded(WebSocketHandler):
    @authenticated
    async def get(self, room):
        self.room = room
        await super().get()

    def open(self):
        pass


class OpensCoroutine(WebSocketHandler):
    @gen.coroutine
    def get(self, room):
        yield super().get()

    def open(self):
        pass


@pytest.mark.parametrize("handler", [Prepares, OpensGuarded, OpensCoroutine])
def test_nothing_is_said_of_one_that_may_change_what_it_is_given(handler):
    assert list(find_misfits(handler, [Given("/x", 1, (), ())])) == []


class Lazy:
    """Asking for any of its attributes would load it."""

    def __getattr__(self, name):
        raise RuntimeError("not configured")


class Prepared(Bare):
    prepare = Lazy()


def test_nothing_is_said_of_one_that_can_t_be_inspected():
    assert Application([("/x/<name>", Prepared)]).doubts == []


def test_nothing_is_said_of_a_matcher_that_may_give_something_else():
    class Gives(PathMatches):
        def match(self, request):
            return {"path_args": [], "path_kwargs": {}}

    assert Application([Rule(Gives("/(.*)"), Bare)]).doubts == []


def test_a_rule_of_either_notation_is_told_by_its_path():
    rules = [
        ("/a/<int:number>/<id>", Takes),
        (r"/b/(\d+)/(\d+)", Takes),
        (r"/c/(?P<id>\d+)", Takes),
        ("/d", Takes),
        (r"/e/(.*)", StaticFileHandler),
        PathRule("/f", Takes, defaults={"number": 7}),
        PathRule("/f/stored", Stored, {"store": {}}),
        ("/g.*", [(r"/g/(\d+)", Takes), (r"/g/h", Bare)]),
    ]
    a, b, c, more, e = Application(rules).doubts
    takes = f"to {__name__}.Takes.get(self, number), which fails on every request"
    assert a.startswith(
        f"the rule '/a/<int:number>/<id>' passes number, id {takes}: got an unexpected keyword"
    )
    assert b == rf"the rule '/b/(\\d+)/(\\d+)' passes 2 arguments {takes}: too many positional arguments"
    assert c.startswith(rf"the rule '/c/(?P<id>\\d+)' passes id {takes}: ")
    assert more == f"1 more such rule leads to {__name__}.Takes"
    assert e.startswith(
        "the rule '/e/(.*)' passes no argument to tornado.web.StaticFileHandler.initialize(self, path"
    )


class Touchy:
    """Like lazy objects: asking for its class would load it."""

    @property
    def __class__(self):
        raise RuntimeError("not configured")


def declining(function):
    @functools.wraps(function)
    def decline(self):
        raise waterspout.Decline

    return decline


def circular():
    pass


circular.__wrapped__ = circular


class Declines(RequestHandler):
    touchy = Touchy()
    circular = circular

    @declining
    def get(self):
        pass


def careless(function):
    return lambda self: function(self)


class DeclinesInProperty(RequestHandler):
    @property
    def item(self):
        raise waterspout.Decline


class DeclinesInCachedProperty(RequestHandler):
    @functools.cached_property
    def item(self):
        raise waterspout.Decline


class DeclinesInStaticMethod(RequestHandler):
    @staticmethod
    def find():
        raise waterspout.Decline


class DeclinesByAlias(RequestHandler):
    def get(self):
        raise PassOn


class DeclinesUnderCarelessDecorator(RequestHandler):
    @careless
    def get(self):
        raise waterspout.Decline


class Inherits(DeclinesInProperty):
    pass


class Answers(RequestHandler):
    touchy = Touchy()
    circular = circular

    @careless
    def get(self):
        raise waterspout.NotServing


@pytest.mark.parametrize(
    "handler_class",
    [
        Declines,
        DeclinesInProperty,
        DeclinesInCachedProperty,
        DeclinesInStaticMethod,
        DeclinesByAlias,
        DeclinesUnderCarelessDecorator,
        Inherits,
    ],
)
def test_one_that_may_decline_is_known_by_its_code_and_nothing_is_loaded_to_find_it(handler_class):
    assert may_decline(handler_class)
    assert not may_decline(Answers)

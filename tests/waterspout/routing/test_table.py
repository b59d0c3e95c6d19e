"""A path finds the rule that Tornado's routers find."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.routing import HostMatches, PathMatches, Rule
from tornado.web import Application as TornadoApplication
from tornado.web import FallbackHandler, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler
from werkzeug.routing import BaseConverter, ValidationError

from tests.waterspout.wsgi import apps
from waterspout import Application, Container
from waterspout.native.lean import make_lean
from waterspout.routing.table import PlainPathMatches, Table

PATTERNS = (
    *(r"/a", r"/a$", r"/ab", r"/a.b", r"/a\.b", r"/a\-b", r"/a|b", r"/a?", r"/a*", r"/[ab]", r"/\w"),
    *(r"/(a)", r"/(.*)", r".*", r"", r"/", r"(?i)/A", r"^/b", r"/a\.(b)", r"/(?P<name>a+)", r"(?x) /a # c"),
)
PATHS = (
    *("/a", "/ab", "/a.b", "/a-b", r"/a\.b", r"/a\-b", "/axb", "/A", "/b", "b", "/", "", ".*", "/(a)", "/a$"),
    *("/[ab]", "/aa", "/a?", "/a/b", "*", "^/b", "/é"),
)


class Hello(RequestHandler):
    pass


@stream_request_body
class Streaming(RequestHandler):
    pass


class Socket(WebSocketHandler):
    pass


class Executing(RequestHandler):
    async def _execute(self, transforms, *args, **kwargs):
        await super()._execute(transforms, *args, **kwargs)


class Guard(FallbackHandler):
    pass


class Reads(RequestHandler):
    def get(self, **arguments):
        pass


class ListConverter(BaseConverter):
    def to_python(self, value):
        return value.split(",")


LISTS = {"url_converters": {"list": ListConverter}}


def make_table(rules):
    application = TornadoApplication(rules)
    return application, Table(application, make_lean)


def find_in_tornado(application, path):
    """(number of the first rule that matches, what it hands to its handler), or None."""
    for number, rule in enumerate(application.wildcard_router.rules):
        found = rule.matcher.match(SimpleNamespace(path=path))
        if found is not None:
            return number, found
    return None


@given(st.lists(st.sampled_from(PATTERNS), max_size=6))
def test_it_is_the_first_that_matches(patterns):
    application, table = make_table(
        [(pattern, type(f"H{i}", (Hello,), {})) for i, pattern in enumerate(patterns)]
    )
    targets = [rule.target for rule in application.wildcard_router.rules]
    for path in PATHS:
        expected, found = find_in_tornado(application, path), table.find("GET", path)
        route = found.route
        assert (route is None) == (expected is None)
        if route is not None:
            given = {"path_args": list(found.args), "path_kwargs": dict(found.kwargs)}
            number, groups = expected
            assert (targets.index(route.target), given) == (
                number,
                groups or {"path_args": [], "path_kwargs": {}},
            )


def test_rules_that_are_added_are_noticed():
    application, table = make_table([(r"/a", Hello)])
    assert table.is_current
    application.wildcard_router.add_rules([(r"/b", Hello)])
    assert not table.is_current
    assert Table(application, make_lean).find("GET", "/b").route.target is Hello
    application.add_handlers("other", [(r"/c", Hello)])
    table = Table(application, make_lean)
    assert table.is_current
    assert not table.is_flat  # hosts matter now: Tornado's routers are asked


@pytest.mark.parametrize(
    "rule",
    [
        Rule(HostMatches("host"), Hello),
        Rule(PathMatches("/x"), lambda request: None),
        (r"/x", TornadoApplication([])),
        (r"/x", [(r"/x", Hello)]),
        Rule(type("Own", (PathMatches,), {})("/x"), Hello),
    ],
)
def test_what_is_more_than_paths_and_handlers_is_left_to_tornado(rule):
    assert not make_table([(r"/a", Hello), rule])[1].is_flat


def test_what_needs_nothing_but_its_handler():
    container = Container(apps.app)
    rules = [Hello, Streaming, Socket, Executing, RequestHandler, Guard, FallbackHandler]
    _, table = make_table([(f"/{target.__name__}", target, {"fallback": container}) for target in rules])
    routes = [table.find("GET", f"/{target.__name__}").route for target in rules]
    assert [route.is_quick for route in routes] == [True, False, False, False, False, True, False]
    assert [route.container for route in routes] == [None] * 6 + [container]


def test_what_was_found_is_remembered_in_bounds(monkeypatch):
    monkeypatch.setattr("waterspout.routing.table.KEPT_PATHS", 3)
    table = Table(Application([("/fixed", Reads), ("/a/<int:number>", Reads)]), make_lean)
    literal = dict(table._known)
    assert set(literal) == {("GET", "/fixed"), ("HEAD", "/fixed")}
    for number in range(20):
        assert table.find("GET", f"/a/{number}").kwargs == {"number": number}
        assert table.find("GET", f"/a/{number}").kwargs == {"number": number}
        assert len(table._known) <= len(literal) + 3
        assert table._known.items() >= literal.items()
    for method, path in (("POST", "/a/1"), ("BREW", "/a/1"), ("GET", "/a/" + "1" * 200), ("GET", "/none")):
        before = dict(table._known)
        table.find(method, path)
        assert table._known == before
    table = Table(Application([("/b/<list:items>", Reads)], **LISTS), make_lean)
    first, second = (table.find("GET", "/b/x").kwargs["items"] for _ in range(2))
    assert first == second == ["x"]
    assert first is not second  # the handler that gets it may change it


def test_only_what_does_not_vary_is_looked_for_beforehand(monkeypatch):
    asked = []
    search = Table._search
    monkeypatch.setattr(Table, "_search", lambda *args: asked.append(args[2]) or search(*args))
    Application([(rf"/r{number}/(\d+)", Reads) for number in range(10)] + [(r"/a\.b", Reads)])
    assert set(asked) == {"/a.b"}


def test_what_a_converter_of_one_s_own_refuses_is_asked_each_time():
    living = {"ada"}

    class Living(BaseConverter):
        def to_python(self, value):
            if value not in living:
                raise ValidationError
            return value

    application = Application(
        [("/people/<living:name>", Reads)], wsgi=apps.hello, url_converters={"living": Living}
    )
    for name in ("ada", "bob"):
        living.clear()
        assert application._table.find("GET", f"/people/{name}").route.container is not None
        living.add(name)
        assert application._table.find("GET", f"/people/{name}").route.target is Reads


BEFORE_THE_APP = PlainPathMatches(r"/items/(.*)$")


def request_of(path):
    start_line, headers = RequestStartLine("GET", path, "HTTP/1.1"), HTTPHeaders({"Host": "h"})
    return HTTPServerRequest(start_line=start_line, headers=headers)


@pytest.mark.parametrize("path", ["/items/a", "//items/a", "///items/a", "/%69tems/%61"])
def test_a_regular_expression_before_the_app_sees_the_path_that_the_app_would(path):
    request = request_of(path)
    assert BEFORE_THE_APP.match(request)["path_args"] == [b"a"]
    assert request.path == path


@pytest.mark.parametrize("path", ["/items%2Fa", "/items/%FF", "/items", "/a//items/a"])
def test_what_the_app_would_read_otherwise_is_none_of_its_own(path):
    assert BEFORE_THE_APP.match(request_of(path)) is None


def test_a_method_that_is_not_owned_goes_to_the_app_in_any_spelling():
    application = Application([("/items/(.*)", Reads)], wsgi=apps.app)
    match = application._table.find("POST", "/items/%61")
    assert match.route.container is application.container
    assert "GET" in match.denied

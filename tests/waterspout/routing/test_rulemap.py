"""Rules written Flask's way lead where Flask's would."""

import uuid
from types import SimpleNamespace

import pytest
from tornado.httputil import HTTPInputError
from tornado.routing import PathMatches
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler
from werkzeug.routing import BaseConverter

from waterspout.exceptions import ConfigurationError
from waterspout.routing.rule import PathRule, read_rules
from waterspout.routing.rulemap import RuleMap


class Reads(RequestHandler):
    def get(self):
        pass


class Writes(RequestHandler):
    def post(self):
        pass


class All(RequestHandler):
    pass


class Slug(BaseConverter):
    regex = "[a-z-]+"

    def to_python(self, value):
        return value.split("-")

    def to_url(self, value):
        return "-".join(value)


def make_map(*rules, is_guarded=True):
    read = [rule if isinstance(rule, PathRule) else PathRule(*rule) for rule in rules]
    return RuleMap(read, None, lambda handler: handler, {"slug": Slug}, is_guarded=is_guarded)


def search(rules, path, method="GET"):
    found = rules.search(method, path)
    return found and (found.route and found.route.target, dict(found.kwargs), set(found.denied))


RULES = make_map(
    ("/items/<int:id>", Reads, {"kind": "item"}, "item"),
    ("/items/<int:id>", Writes),
    ("/items/<name>", All),
    ("/items/new", Reads),
    ("/slugs/<slug:words>", Reads, None, "slug"),
    ("/u/<uuid:key>/<float:x>/<path:rest>", Reads, None, "long"),
    ("/folder/", Reads),
    PathRule("/loose/", Reads, strict_slashes=False),
    PathRule("/pages/", Reads, name="pages", defaults={"page": 1}),
    PathRule("/pages/<int:page>", Reads, name="pages"),
)


def test_the_asterisk_of_options_is_no_path():
    assert search(make_map(("/<name>", All)), "*", "OPTIONS") is None


def test_arguments_arrive_converted():
    key = uuid.uuid4()
    assert search(RULES, "/items/7") == (Reads, {"id": 7}, set())
    assert RULES.search("GET", "/items/7").route.arguments == {"kind": "item"}
    assert search(RULES, "/slugs/a-b-c") == (Reads, {"words": ["a", "b", "c"]}, set())
    assert search(RULES, f"/u/{key}/1.5/a/b%20c") == (Reads, {"key": key, "x": 1.5, "rest": "a/b c"}, set())
    assert search(RULES, "/pages/") == (Reads, {"page": 1}, set())


def test_the_most_specific_rule_comes_first_wherever_it_stands():
    assert search(RULES, "/items/new")[0] is Reads
    assert search(RULES, "/items/old")[0] is All


def test_only_get_opens_a_websocket():
    rules = make_map(("/live", WebSocketHandler))
    assert search(rules, "/live", "GET")[0] is WebSocketHandler
    assert search(rules, "/live", "HEAD") == (None, {}, {"GET"})


def test_each_method_has_its_owner():
    assert search(RULES, "/items/7", "HEAD")[0] is Reads
    assert search(RULES, "/items/7", "POST")[0] is Writes
    assert search(RULES, "/items/7", "DELETE")[0] is All
    assert search(RULES, "/folder/", "POST") == (None, {}, {"GET", "HEAD"})
    assert search(RULES, "/items/new", "DELETE") == (All, {"name": "new"}, set())


def test_nobody_is_redirected_for_a_method_that_is_not_owned():
    assert RULES.search("GET", "/folder").moved_by is RULES
    assert RULES.search("POST", "/folder") is None
    assert search(RULES, "/loose")[0] is Reads
    assert RULES.search("GET", "/pages/1").moved_by is RULES


@pytest.mark.parametrize(
    ("path", "query", "location"),
    [
        ("/folder", "", "https://host:81/folder/"),
        ("/folder", "a=b&c=%2F", "https://host:81/folder/?a=b&c=%2F"),
        ("//folder", "", "https://host:81/folder/"),
        ("/%66older", "", "https://host:81/folder/"),
        ("/pages/1", "", "https://host:81/pages/"),
    ],
)
def test_a_redirect_leads_to_the_same_host(path, query, location):
    request = SimpleNamespace(host="host:81", protocol="https", method="GET", path=path, query=query)
    assert RULES.search("GET", path).moved_by is RULES
    assert RULES.find_location(request) == location
    request.root_path = "/below"
    assert RULES.find_location(request) == location.replace(":81/", ":81/below/")


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_nobody_is_sent_to_a_host_that_can_t_be(host):
    request = SimpleNamespace(host=host, protocol="https", method="GET", path="/folder", query="")
    with pytest.raises(HTTPInputError, match="host"):
        RULES.find_location(request)


def test_both_sides_read_one_path():
    """Decoded once, and nothing is collapsed but what Flask collapses."""
    for path in ("/items/%37", "//items/7", "/%69tems/7", "/items%2F7", "/items%2f%37"):
        assert search(RULES, path) == (Reads, {"id": 7}, set()), path
    for path in ("/items/7/", "/items//7", "/./items/7", "/a/../items/7", "/ITEMS/7", "/items/7;x/"):
        assert search(RULES, path) is None, path
    assert search(RULES, "/items/7;x") == (All, {"name": "7;x"}, set())
    assert search(RULES, "/items/%2537") == (All, {"name": "%37"}, set())
    assert search(RULES, "/items/%ff") == (All, {"name": "\ufffd"}, set())
    assert search(RULES, "*") is None


def test_where_no_wsgi_app_stands_behind_two_slashes_are_not_one():
    assert search(make_map(("/a", Reads), is_guarded=False), "//a") is None
    assert search(make_map(("/<path:all>", Reads), is_guarded=False), "//a") is None


def test_a_rule_is_built_by_its_name():
    assert RULES.reverse_url("item", 7) == RULES.reverse_url("item", id=7) == "/items/7"
    assert RULES.reverse_url("item", 7, page=2) == "/items/7?page=2"
    assert RULES.reverse_url("slug", ["a", "b"]) == "/slugs/a-b"
    assert RULES.reverse_url("nobody") is None
    with pytest.raises(ValueError, match="'/items/<int:id>' named 'item' can't be built"):
        RULES.reverse_url("item")


def test_of_several_rules_of_one_name_the_number_of_arguments_chooses():
    rules = make_map(("/items/<int:page>", Reads, None, "items"), ("/items", Reads, None, "items"))
    assert rules.reverse_url("items") == "/items"
    assert rules.reverse_url("items", 3) == rules.reverse_url("items", page=3) == "/items/3"
    with pytest.raises(ValueError, match="'items' takes 0 arguments, not 2"):
        rules.reverse_url("items", 3, 4)


@pytest.mark.parametrize("path", ["/<unknown:a>", "/<a>/<a>", "/<int(min=:a>"])
def test_what_werkzeug_can_t_read_is_a_clear_error(path):
    with pytest.raises(ConfigurationError, match="can't be read"):
        make_map((path, Reads))


def test_rules_are_told_apart():
    nested = ("/nested", [("/a", Reads)])
    regex = (r"/a/(\d+)", Reads)
    literal, flask, nest, expression = read_rules([("/a", Reads), ("/<b>", Reads), nested, regex])
    assert isinstance(literal, PathRule)
    assert isinstance(flask, PathRule)
    assert (nest, expression) == (nested, regex)
    with pytest.raises(ConfigurationError, match="not a RequestHandler"):
        read_rules([("/<a>", print)])
    with pytest.raises(ConfigurationError, match="not written Flask's way"):
        PathRule(r"/(\d+)", Reads)
    assert read_rules([("/a", "tornado.web.RequestHandler")])[0].handler is RequestHandler


def name_route(rules, path, method="GET"):
    """As OpenTelemetry's instrumentation looks for it: the first rule that matches, and how it is written."""
    for rule in rules.rules:
        if rule.matcher.match(SimpleNamespace(method=method, path=path)) is not None:
            pattern, groups = rule.matcher._find_groups()
            assert groups == 0
            return pattern, rule.target
    return None


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/items/7", ("/items/<int:id>", Reads)),
        ("POST", "/items/7", ("/items/<int:id>", Writes)),
        ("GET", "/items/new", ("/items/new", Reads)),
        ("PUT", "/items/new", ("/items/<name>", All)),
        ("PUT", "/folder/", ("/folder/", Reads)),
        ("GET", "/folder", None),
        ("GET", "/nowhere", None),
    ],
)
def test_who_walks_through_tornado_s_routers_finds_the_rule_of_a_request(method, path, found):
    assert name_route(RULES, path, method) == found


def test_it_is_one_of_tornado_s_patterns():
    """Datadog's integration names a request by no other rule, and by this private attribute."""
    assert PathMatches("/items/([0-9]+)")._path == "/items/%s"
    for rule, (written, _, _) in zip(RULES.rules, RULES.listed, strict=True):
        assert isinstance(rule.matcher, PathMatches)
        assert rule.matcher._path == written.path
    request = SimpleNamespace(method="GET", path="/items/7")
    assert [rule.matcher._path for rule in RULES.rules if rule.matcher.match(request) is not None] == [
        "/items/<int:id>"
    ]


def test_it_is_found_when_the_classes_that_run_have_changed():
    rules = make_map(("/items/<int:id>", Reads))
    assert name_route(rules, "/items/7") == ("/items/<int:id>", Reads)
    rules.renew(lambda handler: handler)
    assert name_route(rules, "/items/7") == ("/items/<int:id>", Reads)


def test_a_pattern_of_tornado_s_tells_how_it_is_written_by_the_same_name():
    """It is private: once Tornado's is gone, ours names nothing any more."""
    assert PathMatches("/items/([0-9]+)")._find_groups() == ("/items/%s", 1)
    assert PathMatches("/items")._find_groups() == ("/items", 0)

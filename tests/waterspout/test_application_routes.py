"""Owners of paths and methods, without a WSGI app, and where Tornado's routers decide."""

import abc
import asyncio
import functools
import gc
import json
from contextlib import asynccontextmanager
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
import tornado.wsgi
from flask import Flask
from tornado.httpserver import HTTPServer
from tornado.routing import PathMatches, Rule
from tornado.web import RequestHandler, StaticFileHandler, addslash, removeslash, stream_request_body, url
from tornado.websocket import WebSocketHandler

import waterspout.http
from tests.waterspout.http import harness
from tests.waterspout.http.harness import on_loops
from tests.waterspout.websocket import raw
from waterspout import Application, Container, Decline, PathRule, authenticated, public
from waterspout.exceptions import ConfigurationError


class Reads(RequestHandler):
    def get(self, *args, **kwargs):
        self.write(f"read {args} {kwargs}")


class Writes(RequestHandler):
    def post(self, *args, **kwargs):
        self.write(f"written {args} {kwargs}")


class Base(RequestHandler, metaclass=type("Meta", (type,), {})):
    """Its metaclass keeps it from being made lean."""

    def get(self, number):
        self.write(f"{number!r} {self.request.method}")


@stream_request_body
class StreamsBased(Base):
    def data_received(self, chunk):
        pass


class Searching(Application):
    """Looks at what is found, as dask.distributed's application does."""

    def find_handler(self, request, **kwargs):
        found = super().find_handler(request, **kwargs)
        self.settings["found"].append((found.handler_class.__name__, *getattr(found, "path_args", ())))
        return found


class Abstract(RequestHandler, abc.ABC):
    def get(self):
        raise Decline


@stream_request_body
class Streams(RequestHandler):
    def data_received(self, chunk):
        pass

    def post(self, number):
        self.write(repr(number))


class Declines(RequestHandler):
    def get(self):
        raise Decline


class Flows(RequestHandler):
    """Never ends by itself, and has something to wait for when it is ended."""

    cleaned: ClassVar = []

    async def get(self):
        try:
            while True:
                self.write("x" * 100)
                await self.flush()
        finally:
            await asyncio.sleep(0)
            self.cleaned.append(self.request.method)


RULES = [
    ("/a/<int:number>", Reads),
    (r"/a/(\d+)", Writes),
    ("/based/<int:number>", Base),
    ("/streams/<int:number>", Streams),
    ("/streams-based/<int:number>", StreamsBased),
    ("/declines", Declines),
    ("/abstract", Abstract),
    ("/flows", Flows),
    ("/folder/", Reads),
    PathRule("/named/<name>/<int:number>", Reads, name="named"),
    url(r"/old/(\d+)", Reads, name="old"),
]


@asynccontextmanager
async def serve(application, **options):
    async with harness.serve(application, **options) as served, served.client() as client:
        try:
            yield client
        finally:
            await application.stop()


async def ask(client, method, target, host="x"):
    client.send(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
    status, fields, body = await client.read_reply()
    return status, body.decode(), fields


@pytest.mark.parametrize("hosts", [False, True])
@on_loops
async def test_without_a_wsgi_app_native_rules_have_it_all(hosts):
    """`hosts`: a rule for one host, and a nested one, make Tornado's routers decide."""
    nested = [("/nested/.*", [("/nested/(.*)", Writes)])] if hosts else []
    application = Application([*RULES, ("/any/(.*)", Writes), *nested])
    if hosts:
        application.add_handlers("other", [("/b/<int:number>", Writes)])
    assert application.native_rules == len(RULES) + 1 + 2 * hosts
    async with serve(application) as client:
        assert (await ask(client, "GET", "/a/7"))[:2] == (200, "read () {'number': 7}")
        assert (await ask(client, "POST", "/a/7"))[:2] == (200, "written ('7',) {}")
        for path in ("/any", "/nested")[: 1 + hosts]:
            assert (await ask(client, "POST", f"{path}/a%2Fb"))[:2] == (200, "written ('a/b',) {}")
        status, body, fields = await ask(client, "OPTIONS", "/a/7")
        assert (status, body, fields["allow"]) == (200, "", "GET, HEAD, OPTIONS, POST")
        status, _, fields = await ask(client, "DELETE", "/a/7")
        assert (status, fields["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
        status, _, fields = await ask(client, "GET", "/folder?x=%2F")
        assert (status, fields["location"]) == (308, "http://x/folder/?x=%2F")
        assert (await ask(client, "POST", "/folder"))[0] == 404
        assert (await ask(client, "GET", "/based/7"))[1] == "7 GET"
        assert (await ask(client, "POST", "/streams/7"))[1] == "7"
        assert (await ask(client, "GET", "/declines"))[0] == 404
        assert (await ask(client, "GET", "/nothing"))[0] == 404
        assert (await ask(client, "POST", "/b/7", "other"))[:2] == (
            (200, "written () {'number': 7}") if hosts else (404, (await ask(client, "GET", "/n"))[1])
        )
    assert application.reverse_url("named", "a b", 7) == "/named/a%20b/7"
    assert application.reverse_url("old", 7) == "/old/7"
    with pytest.raises(KeyError):
        application.reverse_url("nobody")


@on_loops
async def test_head_of_what_never_ends_is_answered():
    Flows.cleaned.clear()
    async with serve(Application(RULES)) as client:
        client.send(b"HEAD /flows HTTP/1.1\r\nHost: x\r\n\r\nGET /a/7 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.head())[0] == 200
        assert (await client.read_reply())[0] == 200
    assert Flows.cleaned == ["HEAD"]


class FlowsInTask(Flows):
    """... in a task of its own, whose end it waits for."""

    async def get(self):
        task = asyncio.create_task(super().get())
        await asyncio.Event().wait()
        await task


class FlowsInGroup(Flows):
    async def get(self):
        async with asyncio.TaskGroup() as group:
            group.create_task(super().get())


class FlowsBehind(Flows):
    """... in one that goes on when `get` has ended."""

    async def get(self):
        self._auto_finish = False
        self.task = asyncio.create_task(self.flow())

    async def flow(self):
        await asyncio.sleep(0)
        await super().get()


@pytest.mark.parametrize("handler", [FlowsInTask, FlowsInGroup, FlowsBehind])
@on_loops
async def test_head_of_what_flows_in_a_task_of_its_own_is_answered(handler, caplog):
    async with serve(Application([("/flows", handler), *RULES])) as client:
        client.send(b"HEAD /flows HTTP/1.1\r\nHost: x\r\n\r\nGET /a/7 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.head())[0] == 200
        assert (await client.read_reply())[0] == 200
    gc.collect()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


REDIRECTED = [("/folder/", Reads), ("/<name>", Writes), PathRule("/folder/", Writes)]


@pytest.mark.parametrize("server_class", [HTTPServer, waterspout.http.HTTPServer])
@pytest.mark.parametrize("hosts", [False, True])
@pytest.mark.parametrize("has_app", [False, True])
@on_loops
async def test_a_method_that_one_rule_refuses_where_another_redirects(has_app, hosts, server_class):
    application = Application([] if hosts else REDIRECTED, app if has_app else None)
    if hosts:
        application.add_handlers("x", REDIRECTED)
    async with serve(application, server_class=server_class) as client:
        status, body, fields = await ask(client, "PUT", "/folder")
        if has_app:
            assert (status, body) == (200, "the app's /folder")
        else:
            assert (status, fields["allow"]) == (405, "OPTIONS, POST")
        assert (await ask(client, "OPTIONS", "/folder"))[0] == 200


@pytest.mark.parametrize("server_class", [HTTPServer, waterspout.http.HTTPServer])
@on_loops
async def test_an_overridden_find_handler_sees_what_was_found(server_class):
    flask = Flask(__name__)
    flask.add_url_rule("/view", view_func=lambda: "view")
    application = Searching([("/a/<int:number>", Reads), (r"/w/(\d+)", Writes)], wsgi=flask, found=[])
    await application.start()
    async with serve(application, server_class=server_class) as client:
        assert (await ask(client, "GET", "/a/7"))[0] == 200
        client.send(b"POST /w/8 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
        assert (await client.read_reply())[0] == 200
        assert (await ask(client, "GET", "/view"))[1] == "view"
    assert application.settings["found"] == [("Reads",), ("Writes", b"8"), ("FallbackHandler",)]


@pytest.mark.parametrize("has_app", [False, True])
@on_loops
async def test_rules_of_the_default_host_come_before_the_app(has_app):
    application = Application([("/a", Reads)], app if has_app else None, default_host="shop")
    application.add_handlers("shop", [("/b", Reads)])
    application.add_handlers("shop", [("/c", Reads)])
    async with serve(application) as client:
        for path in ("/a", "/b", "/c"):
            for host in ("shop", "another"):
                assert (await ask(client, "GET", path, host))[1] == "read () {}"
        status, body, _ = await ask(client, "GET", "/d", "shop")
        assert (status, body) == (200, "the app's /d") if has_app else status == 404


def test_transforms_that_were_given_stay_as_they_are():
    given = []
    assert Application(RULES, transforms=given).transforms == Application(RULES, transforms=given).transforms
    assert given == []


@pytest.mark.parametrize("settings", [{}, {"debug": True, "autoreload": False}])
@pytest.mark.parametrize("path", ["/based/7", "/streams-based/7"])
@on_loops
async def test_a_handler_with_a_metaclass_has_converted_arguments_and_follows_get_too(path, settings):
    async with serve(Application(RULES, **settings)) as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await client.read_reply())[::2] == (200, b"7 GET")
        client.send(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        status, fields = await client.head()
        assert (status, fields["content-length"]) == (200, "6")


@on_loops
async def test_a_handler_with_an_abstract_class_above_it_declines_and_is_told_what_it_does_not_own():
    async with serve(Application(RULES)) as client:
        client.send(b"GET /abstract HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.read_reply())[0] == 404
        client.send(b"PUT /abstract HTTP/1.1\r\nHost: x\r\n\r\n")
        status, fields, _ = await client.read_reply()
        assert (status, fields["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_custom_converters_are_the_application_s():
    from werkzeug.routing import BaseConverter

    class Upper(BaseConverter):
        regex = "[A-Z]+"

    application = Application([("/<upper:word>", Reads)], url_converters={"upper": Upper})
    (place,) = application._table.places
    assert place.search("GET", "/ABC").kwargs == {"word": "ABC"}
    assert place.search("GET", "/abc") is None


@on_loops
async def test_a_405_says_what_there_is_on_tornado_s_server_too():
    async with serve(Application(RULES), server_class=HTTPServer) as client:
        status, _, fields = await ask(client, "DELETE", "/a/7")
        assert (status, fields["allow"]) == (405, "GET, HEAD, OPTIONS, POST")


@on_loops
async def test_an_application_within_another_answers_for_itself():
    inner = Application(RULES)
    async with serve(Application([Rule(PathMatches("/a/.*"), inner), ("/b", Reads)])) as client:
        assert (await ask(client, "GET", "/a/7"))[0] == 200
        status, _, fields = await ask(client, "DELETE", "/a/7")
        assert (status, fields["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
        assert (await ask(client, "DELETE", "/b"))[0] == 405
        await inner.stop()


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the app's ", environ["PATH_INFO"].encode("latin-1")]


@pytest.mark.parametrize("server_class", [HTTPServer, waterspout.http.HTTPServer])
@pytest.mark.parametrize("hosts", [False, True])
@on_loops
async def test_a_regular_expression_gets_no_path_that_the_app_reads_otherwise(hosts, server_class):
    application = Application([("/x/.*", [(r"/x/(.*)", Reads)])] if hosts else [(r"/x/(.*)", Reads)], app)
    if hosts:
        application.add_handlers("other", [url(r"/b/(.*)", Reads)])
    async with serve(application, server_class=server_class) as client:
        assert (await ask(client, "GET", "/x/a%20b"))[1] == "read ('a b',) {}"
        assert (await ask(client, "GET", "/x/a%40b%3A(1)"))[1] == "read ('a@b:(1)',) {}"
        assert (await ask(client, "GET", "/%78/%61"))[1] == "read ('a',) {}"
        assert (await ask(client, "GET", "/x%2Fa"))[1] == "the app's /x/a"
        assert (await ask(client, "GET", "/b/a%2Fb", "other"))[1] == "the app's /b/a/b"
        assert (await ask(client, "GET", "/b/a", "other"))[1] == (
            "read ('a',) {}" if hosts else "the app's /b/a"
        )


@pytest.mark.parametrize("server_class", [HTTPServer, waterspout.http.HTTPServer])
@pytest.mark.parametrize("target", ["//x/a", "///x/a", "http://h//x/a"])
@on_loops
async def test_a_method_of_the_app_s_at_the_path_of_a_group_with_more_slashes(target, server_class):
    application = Application([(r"/x/([^/]+)", Reads)], app)
    async with serve(application, server_class=server_class) as client:
        assert (await ask(client, "GET", target))[1] == "read ('a',) {}"
        assert (await ask(client, "POST", target))[1].startswith("the app's ")
        assert (await ask(client, "OPTIONS", target))[0] == 200


class Socket(WebSocketHandler):
    pass


@on_loops
async def test_a_websocket_is_not_opened_by_head():
    async with serve(Application([("/socket", Socket)])) as client:
        client.send(
            b"HEAD /socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        status, fields = await client.head()
        assert (status, fields["allow"]) == (405, "GET, OPTIONS")


@on_loops
async def test_a_host_that_can_t_be_is_a_bad_request():
    async with serve(Application(RULES)) as client:
        client.send(b"GET /folder HTTP/1.1\r\nHost: a..b\r\n\r\n")
        assert (await client.head())[0] == 400


# --- rules that can't be, or can hardly be meant so ---------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([("/a",)], r"\('/a',\) is not a rule: write \(path, handler\)"),
        ([("/a", Reads, {}, "name", 5)], "is not a rule: write"),
        ([(5, Reads)], "is not a rule: write"),
        ([()], "is not a rule: write"),
        ([("/a", Reads, "name")], "the rule '/a': kwargs must be a dictionary or None, not 'name'"),
        ([("/a", Reads, {5: 1})], "the rule '/a': the keys of kwargs must be strings, not 5"),
        ([("/a", Reads, {}, 5)], "the rule '/a': its name must be a string, not 5"),
        (("/a", Reads), "'/a' is not a rule: rules are a list of tuples"),
        ([Reads], "is not a rule: rules are a list of tuples"),
        ([(r"/a(", Reads)], r"the rule '/a\(' can't be read: missing \)"),
        ([(r"/(\d+)/(?P<a>\d+)", Reads)], "can't be read: groups in url regexes"),
        ([("items/7", Reads)], "the rule 'items/7' matches nothing: write '/items/7'"),
        ([("/outer.*", [("/a",)])], "is not a rule: write"),
        ([("/a", "nosuchmodule.Handler")], "the rule '/a' leads to 'nosuchmodule.Handler': No module named"),
        ([(r"/a(.*)", "nosuchmodule.Handler")], "leads to 'nosuchmodule.Handler': No module named"),
        ({"/a": Reads}, r"native={'/a': .*}: rules are a list of tuples, \(path, handler\)"),
        (Reads, "native=<class .*Reads'>: rules are a list of tuples"),
        ([("/a", 5)], "the rule '/a' leads to 5, which is not a RequestHandler class: a handler is"),
        ([(r"/a(.*)", {})], "leads to {}, which is not a RequestHandler class"),
        ([Rule(PathMatches("/a"), None)], "the rule '/a' leads to None, which is not a RequestHandler class"),
        (
            [("/<a>", lambda request: None)],
            "leads to .*<lambda>, which is not a RequestHandler class: a handler",
        ),
        ([("/a", lambda: None)], "'/a' leads to .*<lambda>, which can't be called with a request alone"),
        ([("/a", Flask("shop"))], "leads to flask.app.Flask, .* for a WSGI app, write waterspout.Container"),
        ([("a/<int:b>", Reads)], "the rule 'a/<int:b>' does not begin with a slash: write '/a/<int:b>'$"),
        ([("/<int:a", Reads)], "can't be read: .*; each < needs a >$"),
        ([("/<integer:a>", Reads)], "'integer' does not exist; did you mean <int:a>[?]$"),
        ([("/<a:int>", Reads)], "'a' does not exist; did you mean <int:a>[?]$"),
        (
            [("/<regex('a'):a>", Reads)],
            "; the converters are any, float, int, path, string, uuid, and those in",
        ),
        ([("/<int:a>/<int:a>", Reads)], "'/<int:a>/<int:a>' can't be read: [^;]*$"),
        ([("/<string(a)>", Reads)], r"written <name> or <int:name>, and 'string\(a\)' is not a name"),
    ],
)
def test_what_is_no_rule_is_named(rules, said):
    with pytest.raises(ConfigurationError, match=said):
        Application(rules)


@pytest.mark.parametrize("said", ["kwargs", "defaults"])
def test_what_a_handler_is_given_goes_by_names(said):
    cases = (({1: 2}, "must be strings, not 1"), (["n"], r"must be a dictionary or None, not \['n'\]"))
    for values, wrong in cases:
        with pytest.raises(ConfigurationError, match=f"the rule '/a': .*{said} .*{wrong}"):
            PathRule("/a", Reads, **{said: values})


def test_all_forms_of_a_rule_are_taken():
    rules = [
        ("/a", Reads, None, None),
        ["/b", Reads, {}, "b"],
        (r".well-known/x", Reads),
        (PathMatches("/c"), Reads),
        url("/d", Reads, name="d"),
        Rule(PathMatches("/e"), [("/e", Reads)]),
    ]
    assert Application(rules).doubts == []


def test_flask_s_notation_where_it_is_a_regular_expression_is_told():
    rules = [
        url("/items/<int:id>", Reads),
        Rule(PathMatches("/<x>"), Reads),
        url("/(?P<a>a|b)/(?<!c)", Reads),
    ]
    items, other = Application(rules).doubts
    assert items.startswith(
        "the rule '/items/<int:id>' is a regular expression, because of the url() or Rule() around it"
    )
    assert other.startswith("the rule '/<x>' is")


def test_a_function_may_take_all_that_tornado_gives_it():
    class Other(PathMatches):
        pass

    def takes_path(request, path_args, path_kwargs):
        pass

    def takes_kwargs(request, target_kwargs):
        pass

    def takes_something(request, something):
        pass

    Application(
        [
            Rule(PathMatches(r"/path/(.*)"), takes_path),
            (r"/kwargs/?", takes_kwargs, {"a": 1}),
            Rule(Other("/other"), takes_something),
        ]
    )


def test_what_varies_as_other_frameworks_write_it_is_told():
    paths = ["/{item}", "/of/:item", "/int:item>", r"/a(?:b|c)/{item:int}"]
    said = Application([(path, Reads) for path in paths]).doubts
    for path, doubt in zip(paths, said, strict=True):
        assert doubt.startswith(f"the rule {path!r} matches only these exact characters")
    fine = [
        "/v1/items:copy",
        r"/proxy/([^/:A-Z]+):(\d+)",
        r"/a{2}",
        r"/\{a\}",
        r"/\N{DIGIT ONE}",
        r"/(?>a)",
        r"/(?:a)",
        "/<int:item>",
        "/a->b",
    ]
    assert Application([(path, Reads) for path in fine]).doubts == []


def test_what_can_hardly_be_meant_so_is_told():
    class Typo(RequestHandler):
        def gett(self):
            pass

    class Prepared(RequestHandler):
        def prepare(self):
            self.finish("whatever it is")

    class Guarded(RequestHandler):
        @authenticated
        def get(self):
            pass

        @public
        def post(self):
            pass

    class Knows(Guarded):
        def get_current_user(self):
            return "somebody"

    rules = [("/a", Typo), ("/b", Typo), ("/c", Prepared), ("/d", Guarded), ("/e", Knows), (r"/f(.*)", Typo)]
    typo, guarded = Application(rules, login_url="/login").doubts
    assert "Typo defines no method (get, post, ...) and no prepare()" in typo
    assert "Guarded is authenticated, but lets nobody in: give the application a login_loader" in guarded
    known = {"login_loader": lambda handler: None, "login_url": "/login"}
    (typo,) = Application([("/a", public(Typo)), ("/d", Guarded)], **known).doubts
    assert "Typo defines no method" in typo


async def health(request):
    """As in aiohttp and Starlette."""


async def events(request):
    yield "as Starlette has it, too"


class Asgi:
    async def __call__(self, scope, receive, send):
        pass


def answer(request):
    """What Tornado's routers allow."""


@pytest.mark.parametrize(
    ("rule", "path", "named"),
    [
        (("/healthz", health), "/healthz", "health"),
        (("/healthz", f"{__name__}.health"), "/healthz", "health"),
        (("/items/<int:id>", health), "/items/<int:id>", "health"),
        ((r"/files/(.*)", health), r"/files/\(\.\*\)", "health"),
        ((r"/named/(.*)", f"{__name__}.health"), r"/named/\(\.\*\)", "health"),
        (("/events", events), "/events", "events"),
        (("/part", functools.partial(health, 1)), "/part", "health"),
        (("/api", Asgi()), "/api", "Asgi"),
        (Rule(PathMatches("/rule"), health), "/rule", "health"),
        (("/outer.*", [("/inner", health)]), "/inner", "health"),
    ],
)
def test_a_coroutine_function_is_no_handler(rule, path, named):
    said = (
        f"the rule '{path}' leads to the coroutine function {__name__}.{named}: a handler is a "
        "subclass of tornado.web.RequestHandler"
    )
    with pytest.raises(ConfigurationError, match=f"^{said}$"):
        Application([rule])


def test_a_rule_that_leads_to_a_function_is_told_what_that_has_to_do():
    container = tornado.wsgi.WSGIContainer(print)
    assert Application([("/a", container), ("/b", Container(print)), ("/c", [("/d", Reads)])]).doubts == []
    rules = [
        ("/plain", answer),
        ("/part", functools.partial(answer)),
        (r"/lambda/(.*)", lambda request, *words: None),
        ("/class", Asgi),
    ]
    plain, part, anonymous, other = Application(rules).doubts
    for said, path, named in ((plain, "/plain", "answer"), (part, "/part", "answer")):
        assert said.startswith(
            f"the rule {path!r} leads to {__name__}.{named}, which is not a RequestHandler class"
        )
        assert "has to answer that itself" in said
        assert said.endswith("a handler is a subclass of tornado.web.RequestHandler")
    assert "<lambda>" in anonymous
    assert ".Asgi, which is not a RequestHandler class" in other


@pytest.mark.parametrize("name", ["login_loder", "loginloader", "url_convertors"])
def test_a_setting_that_is_nearly_ours_is_refused(name):
    with pytest.raises(ConfigurationError, match=r"did you mean '(login_loader|url_converters)'"):
        Application([], **{name: None})


@pytest.mark.parametrize("given", [[Reads], {"upper": str.upper}, "upper"])
def test_what_can_t_be_converters_is_refused(given):
    with pytest.raises(ConfigurationError, match="url_converters is a dictionary"):
        Application([("/<upper:word>", Reads)], url_converters=given)


class Hooks(Reads):
    """Other sites may write to it."""

    def post(self):
        self.write("taken")

    def check_xsrf_cookie(self):
        pass

    def check_trusted_origin(self, origin):
        return True


@pytest.mark.gen_test
async def test_whoever_may_write_to_it_from_elsewhere_is_sent_to_where_it_stands():
    application = Application([("/hooks/", Hooks)], xsrf_cookies=True, cross_origin_protection=True)
    async with serve(application) as client:
        for target, expected in (("/hooks/", 200), ("/hooks", 308)):
            lines = [f"POST {target} HTTP/1.1", "Host: x", "Sec-Fetch-Site: cross-site", "Origin: http://y"]
            client.send("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode())
            assert (await client.read_reply())[0] == expected


class ParsesOrigins(WebSocketHandler):
    """As Tornado's documentation does it."""

    def check_origin(self, origin):
        return urlsplit(origin).netloc.endswith(".example")

    def post(self):
        self.write("taken")

    check_trusted_origin = check_origin


@pytest.mark.parametrize("origin", ["http://[::1", "http://[g]", "http://h]"])
@pytest.mark.parametrize("handler_class", [ParsesOrigins, WebSocketHandler])
@pytest.mark.gen_test
async def test_an_origin_that_can_t_be_parsed_is_refused(handler_class, origin, caplog):
    application = Application([("/", handler_class)], cross_origin_protection=True)
    upgrade = ["Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {'A' * 22}=="]
    async with serve(application) as client:
        for method, *lines in (
            ("GET", *upgrade, "Sec-WebSocket-Version: 13"),
            ("POST", "Content-Length: 0"),
            ("POST", "Content-Length: 0", "Sec-Fetch-Site: cross-site"),
        ):
            client.send(
                "\r\n".join([f"{method} / HTTP/1.1", "Host: x", f"Origin: {origin}", *lines, "", ""]).encode()
            )
            assert (await client.read_reply())[0] == 403
    assert "Traceback" not in caplog.text


class Links(RequestHandler):
    def get(self):
        here = self.static_url("page.css", include_version=False)
        self.write(here + " " + self.static_url("page.css", include_host=True, include_version=False))


@pytest.mark.gen_test
async def test_static_files_are_linked_below_the_root_path(tmp_path):
    (tmp_path / "page.css").write_text("p {}")
    application = Application([("/links", Links)], static_path=str(tmp_path), root_path="/board")
    async with serve(application) as client:
        link, full = (await ask(client, "GET", "/board/links"))[1].split()
        assert (link, full) == ("/board/static/page.css", "http://x/board/static/page.css")
        assert (await ask(client, "GET", link))[1] == "p {}"


class Slashed(RequestHandler):
    @addslash
    def get(self):
        self.write("slashed")


class Unslashed(RequestHandler):
    @removeslash
    def get(self):
        self.write("unslashed")


class Elsewhere(RequestHandler):
    def get(self):
        self.redirect(self.get_query_argument("to"))


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/slashed?a=b", "/board/slashed/?a=b"),
        ("/unslashed/", "/board/unslashed"),
        ("/files/folder", "/board/files/folder/"),
        ("/elsewhere?to=/elsewhere", "/board/elsewhere"),
        ("/elsewhere?to=/elsewhere%23a", "/board/elsewhere#a"),
        ("/elsewhere?to=/elsewhere/%3Fa%23b", "/board/elsewhere/?a#b"),
        ("/elsewhere?to=/login", "/login"),
        ("/elsewhere?to=/board/elsewhere", "/board/elsewhere"),
        ("/elsewhere?to=//elsewhere", "//elsewhere"),
        ("/elsewhere?to=elsewhere", "elsewhere"),
    ],
)
@on_loops
async def test_a_handler_that_sends_to_its_own_path_sends_below_the_root_path(path, location, tmp_path):
    (tmp_path / "folder").mkdir()
    rules = [
        (r"/slashed/?", Slashed),
        (r"/unslashed/?", Unslashed),
        ("/elsewhere", Elsewhere),
        (r"/files/(.*)", StaticFileHandler, {"path": str(tmp_path), "default_filename": "index.html"}),
    ]
    for root_path in ("/board", ""):
        async with serve(Application(rules, root_path=root_path)) as client:
            client.send(f"GET {root_path}{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            status, fields, _ = await client.read_reply()
            expected = location.replace("/board", "", "to=/board" not in path and not root_path)
            assert (status // 100, fields["location"]) == (3, expected)


class Home(RequestHandler):
    def get(self):
        self.redirect(self.reverse_url("home"))


@on_loops
async def test_the_way_home_is_known_where_a_path_is_spelled_like_the_root_path():
    rules = [("/", Reads, {}, "home"), ("/board", Home)]
    async with serve(Application(rules, root_path="/board")) as client:
        client.send(b"GET /board/board HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.read_reply())[1]["location"] == "/board/"
    async with serve(Application([(r"/board/?", Slashed)], root_path="/board")) as client:
        client.send(b"GET /board/board HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.read_reply())[1]["location"] == "/board/board/"


class Changes(RequestHandler):
    def post(self):
        request = self.request
        request.method = "PUT"
        request.headers["X-Told"] = "by the handler"
        del request.headers["Cookie"]
        request.path, request.query, request.arguments = "/other", "other", {}
        request.remote_ip, request.protocol = "192.0.2.1", "https"
        raise Decline


def show_environ(environ, start_response):
    names = ("REQUEST_METHOD", "HTTP_X_TOLD", "HTTP_COOKIE", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")
    shown = {name: environ.get(name) for name in (*names, "REMOTE_ADDR", "wsgi.url_scheme")}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(shown).encode(), environ["wsgi.input"].read()]


@pytest.mark.parametrize("root_path", ["", "/board"])
@on_loops
async def test_a_handler_that_declines_may_change_headers_and_method_and_neither_path_nor_address(root_path):
    async with serve(Application([("/changes", Changes)], show_environ, root_path=root_path)) as client:
        client.send(f"POST {root_path}/changes?a=b HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n".encode())
        client.send(b"Content-Length: 4\r\n\r\nbody")
        status, _, body = await client.read_reply()
        shown, end, read = body.rpartition(b"}")
        changed, kept = ["PUT", "by the handler", None], [root_path, "/changes", "a=b", "127.0.0.1", "http"]
        assert (status, list(json.loads(shown + end).values())) == (200, changed + kept)
        assert read == b"body"


class ChangesBody(RequestHandler):
    def prepare(self):
        self.request.body = b"x" * int(self.request.query)
        raise Decline

    get = post = RequestHandler._unimplemented_method


def show_length(environ, start_response):
    """What an app reads that goes by CONTENT_LENGTH, as PEP 3333 says, and how much more there is."""
    length = environ.get("CONTENT_LENGTH")
    read, rest = environ["wsgi.input"].read(int(length or 0)), environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([length, len(read), len(rest)]).encode()]


@pytest.mark.parametrize("size", [0, 3, 4, 5, 100_000])
@on_loops
async def test_a_handler_that_declines_may_put_another_body_in_place(size):
    """The app is told the new length, except for a chunked body, which has none."""
    head = f"POST /changes?{size} HTTP/1.1\r\nHost: x\r\n"
    async with serve(Application([("/changes", ChangesBody)], show_length)) as client:
        for request, length in (
            (f"{head}Content-Length: 4\r\n\r\nbody", str(size)),
            (f"{head}\r\n", str(size) if size else None),
            (f"{head}Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", None),
        ):
            client.send(request.encode())
            _, _, body = await client.read_reply()
            assert json.loads(body) == [length, *((0, size) if length is None else (size, 0))]


class PutsInPlace(RequestHandler):
    def post(self):
        request = self.request
        request.body = {"text": "é", "none": None, "dict": {}}[self.get_query_argument("what")]
        raise Decline


@on_loops
async def test_a_body_that_a_handler_has_made_is_encoded_and_what_can_t_be_one_is_its_mistake(caplog):
    async with serve(Application([("/puts", PutsInPlace)], show_length)) as client:
        for what, expected in (("text", ["2", 2, 0]), ("dict", 500), ("none", ["0", 0, 0])):
            head = f"POST /puts?what={what} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
            client.send(head.encode())
            status, _, body = await client.read_reply()
            assert (status if status == 500 else json.loads(body)) == expected
    assert caplog.messages.count("Exception in exception handler") == 1


class LogsNothing(RequestHandler):
    def get(self):
        raise ValueError

    def log_exception(self, *_):
        raise RuntimeError("log")


class ExitsInPlace(LogsNothing):
    """As anywhere else, a SystemExit concerns its handler alone: it does not end the server."""

    def log_exception(self, *_):
        raise SystemExit(3)

    def write_error(self, *_, **__):
        raise SystemExit(4)


class EndsNothing(LogsNothing):
    def finish(self, chunk=None):
        raise RuntimeError("finish")

    def on_finish(self):
        self.settings["ended"].append(self.request.path)
        raise SystemExit(5)


@stream_request_body
class StreamsNothing(EndsNothing):
    def data_received(self, chunk):
        """Never called."""


class CancelsItself(EndsNothing):
    async def get(self):
        asyncio.current_task().cancel()
        await asyncio.sleep(0)


class AnswersLast(CancelsItself):
    finish = RequestHandler.finish


class HandlesNothing(LogsNothing):
    """Some override this name of Tornado's, although it is private."""

    def _handle_request_exception(self, e):
        raise RuntimeError("handle")


class RunsNothing(HandlesNothing):
    async def _execute(self, *_, **__):
        raise ValueError


class LeftAlone(RequestHandler, metaclass=type("Meta", (type,), {})):
    def get(self):
        raise SystemExit(3)

    def send_error(self, *_, **__):
        raise SystemExit(4)


@on_loops
async def test_a_handler_that_can_t_even_fail_leaves_no_client_waiting(caplog):
    ended = []
    rules = [("/logs", LogsNothing), ("/ends", EndsNothing), ("/exits", ExitsInPlace)]
    rules += [("/streams", StreamsNothing), ("/cancels", CancelsItself), ("/answers", AnswersLast)]
    rules += [("/handles", HandlesNothing), ("/runs", RunsNothing), ("/alone", LeftAlone)]
    application = Application(rules, ended=ended)
    async with harness.serve(application) as served:
        async with served.client() as client:
            for path in ("/logs", "/answers", "/handles", "/runs", "/logs"):
                client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert (await client.read_reply())[0] == 500
        for path in ("/exits", "/ends", "/streams", "/cancels", "/alone"):
            async with served.client() as client:
                client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert await client.rest() == b""
    await application.stop()
    assert ended == ["/answers", "/ends", "/streams", "/cancels"]


class Interrupting:
    def initialize(self, where):
        self.where = where

    def interrupt(self, where):
        if where == self.where:
            raise KeyboardInterrupt


class InterruptingHandler(Interrupting, RequestHandler):
    def get(self):
        self.interrupt("get")
        raise ValueError

    def write_error(self, status_code, **about):
        self.interrupt("write_error")
        super().write_error(status_code, **about)

    def log_exception(self, *about):
        self.interrupt("log_exception")


class InterruptingSocket(Interrupting, WebSocketHandler):
    def on_message(self, message):
        self.interrupt("on_message")

    def on_close(self):
        self.interrupt("on_close")


@pytest.mark.parametrize("loop_name", harness.LOOPS)
@pytest.mark.parametrize(
    "where", ["get", "write_error", "log_exception", "log_function", "on_message", "on_close"]
)
def test_a_keyboard_interrupt_ends_the_event_loop_wherever_it_comes(where, loop_name):
    """It may be a Ctrl+C where a program runs the application in an event loop of its own."""

    def log(handler):
        if where == "log_function":
            raise KeyboardInterrupt

    async def main():
        rules = [("/handler", InterruptingHandler), ("/socket", InterruptingSocket)]
        application = Application([(*rule, {"where": where}) for rule in rules], log_function=log)
        async with harness.serve(application) as served, served.client() as client:
            if where.startswith("on_"):
                client.send(raw.request("/socket"), raw.frame(raw.TEXT, "a"), raw.close(1000))
            else:
                client.send(b"GET /handler HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await client.rest()

    with asyncio.Runner(loop_factory=harness.LOOPS[loop_name]) as runner, pytest.raises(KeyboardInterrupt):
        runner.run(asyncio.wait_for(main(), 10))
    # The interrupted task logs, when freed, that nobody has asked for its exception, and parses source for
    # that. Within another test's `ast.parse` Python 3.11.7 would raise SystemError there.
    gc.collect()


class WaitsForNothing(RequestHandler):
    async def get(self):
        loop = asyncio.get_running_loop()
        shared = loop.create_future()
        loop.call_soon(shared.cancel)
        await shared


class FailsToClean(RequestHandler):
    async def get(self):
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(0)
        finally:
            raise LookupError("nothing to clean")


@on_loops
async def test_what_is_cancelled_and_what_fails_as_it_is_cancelled_is_logged(caplog):
    async with serve(Application([("/waits", WaitsForNothing), ("/cleans", FailsToClean)])) as client:
        assert [(await ask(client, "GET", path))[0] for path in ("/waits", "/cleans")] == [500, 500]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [
        asyncio.CancelledError,
        LookupError,
    ]


class SendsBytes(RequestHandler):
    def get(self):
        self.redirect(b"/bytes?again")


@pytest.mark.parametrize("root_path", ["", "/board"])
@on_loops
async def test_a_handler_may_say_in_bytes_where_it_sends(root_path):
    async with serve(Application([("/bytes", SendsBytes)], root_path=root_path)) as client:
        client.send(f"GET {root_path}/bytes HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        status, fields, _ = await client.read_reply()
        assert (status, fields["location"]) == (302, f"{root_path}/bytes?again")


@on_loops
async def test_a_log_function_that_raises_breaks_no_reply(caplog):
    def fail(handler):
        raise RuntimeError("log")

    async with serve(Application([("/", Reads)], log_function=fail)) as client:
        assert [(await ask(client, "GET", "/"))[0] for _ in range(2)] == [200, 200]
    assert caplog.messages == ["Uncaught exception in log_request"] * 2

"""A handler under our Application answers as it does under Tornado's."""

import asyncio
import functools
import json
import logging
import re
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
from tornado import httputil
from tornado.web import Application as TornadoApplication
from tornado.web import HTTPError
from tornado.web import RequestHandler as TornadoRequestHandler

from tests.waterspout.http import harness
from tests.waterspout.http.harness import on_loops, until
from tests.waterspout.native.handlers import ROUTES
from waterspout import Application, Decline
from waterspout.http.exchange import Exchange
from waterspout.message.record import record_of
from waterspout.native import JSONHandler, RequestHandler
from waterspout.native.handler import forget_templates

TARGETS = [
    *("/dict", "/words", "/finish-chunk", "/nothing", "/headers", "/own", "/length", "/too-long"),
    *("/length/1", "/length/3"),
    *("/status/201/", "/status/299/Odd", "/status/204/", "/status/304/", "/status/500/Bad<", "/status/404/"),
    *("/enumerated", "/cookies", "/redirect", "/fails", "/refuses", "/finishes", "/finishes-twice"),
    *("/unwritable", "/streams", "/large", "/closes", "/keeps", "/own-etag", "/no-etag", "/always-fresh"),
    *("/prepared/x", "/prepared-to-the-end", "/old", "/named/a%20b/c%2Fd", "/named/%ff/x", "/unnamed/a/b"),
    *("/unnamed//", "/form?a=1&a=%C3%A9", "/facts?a=1&a=2&empty=&%C3%A9=%C3%A9", "/facts?", "/task"),
    *("/own-flush", "/writes-through/all", "/writes-through/fails", "/cookie-in-write", "/own-set-header"),
    *("/delegates", "/by-type", "/overridden", "/mixed", "/unencodable"),
    *("/rendered", "/names-ui", "/upload", "/missing", "/dict/", "/bare", "/facts?" + "a&" * 2000),
]
FIELDS = [
    [],
    ["Connection: close"],
    ['If-None-Match: "own"', "X-Request-Id: from-client"],
    ["If-None-Match: *", "Cookie: b=c; d=e", "A: 1", "a: 2", "X-Request-Id: a, b"],
    ["Content-Type: application/x-www-form-urlencoded", "Content-Encoding: odd"],
]
#: What differs on purpose: the name of the server, the request ID, the time, and what a 405 names.
OURS_ALONE = re.compile(rb"(?:Server|Date|X-Request-Id|Allow): [^\r]*\r\n")


def answer_head(handler_class):
    """Tornado's handler has to be told that HEAD follows GET."""
    if handler_class.head is not TornadoRequestHandler.head:
        return handler_class
    return type(handler_class.__name__, (handler_class,), {"head": handler_class.get})


@asynccontextmanager
async def serve(application):
    """Serve it on our server. An application of ours is stopped afterwards."""
    try:
        async with harness.serve(application) as served:
            yield served
    finally:
        if isinstance(application, Application):
            await application.stop()


def make_request(target, fields, method="GET", version="1.1", body=b""):
    lines = [f"{method} {target} HTTP/{version}", "Host: Here.example:80", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def ask(served, request):
    """What comes when the request is sent twice, and then another one that ends the connection."""
    async with served.client() as client:
        client.send(request * 2)
        client.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return OURS_ALONE.sub(b"", await client.rest())


async def compare(requests):
    """What handlers raise is logged on both sides; that is not what is compared here."""
    logging.getLogger("tornado").setLevel(logging.CRITICAL + 1)
    try:
        await compare_all(requests)
    finally:
        logging.getLogger("tornado").setLevel(logging.NOTSET)


async def compare_all(requests):
    routes = [(rule[0], answer_head(rule[1]), *rule[2:]) for rule in ROUTES]
    async with serve(TornadoApplication(routes)) as theirs, serve(Application(ROUTES)) as ours:
        for request in requests:
            expected, found = await asyncio.gather(ask(theirs, request), ask(ours, request))
            assert found == expected, request[:100]


@on_loops
async def test_a_target_in_absolute_form_has_its_path():
    """Tornado would not find it."""
    async with serve(Application(ROUTES)) as served:
        for target in ("http://other:81/facts?x=y", "/facts?x=y"):
            answer = await ask(served, make_request(target, []))
            assert answer.count(b'"/facts", "x=y"') == 2
            assert (b'"host_name": "other"' in answer) == target.startswith("http:")


@pytest.mark.parametrize("fields", FIELDS)
@on_loops
async def test_every_kind_of_reply_is_tornado_s(fields):
    await compare([make_request(target, fields) for target in TARGETS])


@pytest.mark.parametrize("method", ["HEAD", "DELETE", "POST", "PURGE"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@on_loops
async def test_every_method_is_tornado_s(method, version):
    targets = ["/nothing", "/length", "/streams", "/form", "/upload", "/missing", "/status/200/"]
    await compare([make_request(target, [], method, version) for target in targets])


@on_loops
async def test_options_and_a_405_name_the_methods():
    async with serve(Application(ROUTES)) as served:
        for method, status in (("OPTIONS", 200), ("DELETE", 405)):
            async with served.client() as client:
                client.send(make_request("/dict", [], method))
                found, fields, _ = await client.read_reply()
                assert found == status
                assert fields["allow"] == "GET, HEAD, OPTIONS"


class Cors(TornadoRequestHandler):
    """A base class that comes after ours."""

    def options(self):
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_status(204)

    def head(self):
        self.set_header("X-Head", "of the base")


class Behind(RequestHandler, Cors):
    def get(self):
        self.write("got")

    def post(self):
        self.options()


class Asks(RequestHandler):
    def get(self):
        self.write("got")

    def post(self):
        self.options()

    def put(self):
        self.head()


@on_loops
async def test_head_and_options_of_a_base_class_behind_ours_are_found():
    rules = [("/behind", Behind)]
    async with serve(TornadoApplication(rules)) as theirs, serve(Application(rules)) as ours:
        for method in ("HEAD", "OPTIONS", "GET", "POST"):
            request = make_request("/behind", ["Sec-Fetch-Site: same-origin"], method)
            assert await ask(ours, request) == await ask(theirs, request)


@on_loops
async def test_a_handler_that_calls_what_it_does_not_define_gets_405_as_in_tornado():
    rules = [("/asks", Asks)]
    async with serve(TornadoApplication(rules)) as theirs, serve(Application(rules)) as ours:
        for method in ("POST", "PUT"):
            request = make_request("/asks", ["Sec-Fetch-Site: same-origin"], method)
            answers = [await ask(served, request) for served in (theirs, ours)]
            assert all(answer.startswith(b"HTTP/1.1 405") for answer in answers)


@on_loops
async def test_what_is_patched_into_tornado_s_handler_is_called(monkeypatch):
    def options(handler):
        handler.set_status(204)

    monkeypatch.setattr(TornadoRequestHandler, "options", options)
    async with serve(Application([("/own", Own)])) as served, served.client() as client:
        client.send(make_request("/own", [], "OPTIONS"))
        assert (await client.read_reply())[0] == 204


@on_loops
async def test_replies_to_http_1_0_are_tornado_s():
    for fields in ([], ["Connection: keep-alive"]):
        await compare([make_request(target, fields, version="1.0") for target in TARGETS])


@on_loops
async def test_bodies_are_tornado_s():
    form = ["Content-Type: application/x-www-form-urlencoded"]
    odd = ["Content-Type: multipart/form-data; boundary=x"]
    await compare(
        make_request(target, fields, "POST", body=b"a=3&b=4")
        for target in ("/form?a=1", "/facts", "/upload", "/nothing")
        for fields in ([], form, odd, [*form, "Content-Encoding: odd"])
    )


class Asking(RequestHandler):
    """A handler of waterspout.native; notes what its request's record holds."""

    seen: ClassVar = []

    async def get(self):
        self.request.headers["X-Added"] = "1"
        del self.request.headers["Host"]
        self.write({"id": self.request.headers["X-Request-Id"], "others": len(self.request.headers)})

    def on_finish(self):
        record = record_of(self.request)
        self.seen.append((record.status, record.bytes_sent, record.request_id, record.owner))


@on_loops
async def test_what_a_handler_changes_of_its_request_is_gone_with_it():
    Asking.seen.clear()
    async with serve(Application([("/", Asking)])) as served, served.client() as client:
        for _ in range(3):
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\n\r\n")
            status, fields, body = await client.read_reply()
            assert (status, body) == (200, b'{"id": "%b", "others": 3}' % fields["x-request-id"].encode())
            assert "etag" not in fields
    assert [(status, size) for status, size, _, _ in Asking.seen] == [(200, len(body))] * 3
    assert len({request_id for _, _, request_id, _ in Asking.seen}) == 3


class Waiting(TornadoRequestHandler):
    """Answers when it is told to, or is told that the client left."""

    left = 0

    def initialize(self, open_):
        self.open = open_

    async def get(self):
        self.open.append(self)
        self.go_on = asyncio.Event()
        await self.go_on.wait()
        self.write("late")

    def on_connection_close(self):
        type(self).left += 1
        self.go_on.set()


@on_loops
async def test_a_client_that_leaves_is_noticed_and_one_that_half_closes_is_waited_for():
    handlers, Waiting.left = [], 0
    async with serve(Application([("/", Waiting, {"open_": handlers})])) as served:
        async with served.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: handlers)
        await until(lambda: Waiting.left == 1)
        async with served.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            client.half_close()
            await until(lambda: len(handlers) == 2)
            handlers[1].go_on.set()
            assert (await client.rest()).endswith(b"late")
    assert Waiting.left == 1


@on_loops
async def test_a_handler_that_is_cancelled_answers_and_its_server_drains():
    handlers = []
    tasks = []

    class Cancelled(Waiting):
        async def get(self):
            tasks.append(asyncio.current_task())
            await super().get()

    application = Application([("/", Cancelled, {"open_": handlers})])
    async with serve(application) as served, served.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: handlers)
        tasks[0].cancel()
        assert (await client.read_reply())[0] == 500
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: len(handlers) == 2)
        draining = asyncio.ensure_future(served.server.drain(5))
        await asyncio.sleep(0)
        handlers[1].go_on.set()
        status, fields, body = await client.read_reply()
        assert (status, fields["connection"], body) == (200, "close", b"late")
        await draining


class Abandoned(TornadoRequestHandler):
    async def get(self):
        self.settings["connections"].append(self.request.connection)
        await asyncio.get_running_loop().create_future()


@on_loops
async def test_a_handler_whose_coroutine_is_closed_answers_nothing(caplog):
    """The garbage collector may do so, in any task: it is no place to write a reply."""
    connections = []
    application = Application([("/", Abandoned)], connections=connections)
    async with serve(application) as served, served.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: connections)
        task = connections[0].task
        task.get_coro().close()
        assert not connections[0].response_started
        task.cancel()
        with pytest.raises(RuntimeError, match="already awaited"):  # there is nothing left to cancel
            await task
    assert not caplog.records


class Left(TornadoRequestHandler):
    def get(self):
        type(self).count = getattr(type(self), "count", 0) + 1
        self.write({"count": self.count, "class": self.__class__ is Left})


@on_loops
async def test_state_on_the_class_is_the_handler_s_own():
    Left.count = 0
    async with serve(Application([("/", Left)])) as served, served.client() as client:
        for number in (1, 2):
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await client.read_reply())[2] == b'{"count": %d, "class": true}' % number
    assert Left.count == 2


@pytest.fixture(params=["__init__", "_execute"])
def seen(request, monkeypatch):
    """Wraps a method of Tornado's handler, as OpenTelemetry and Sentry do. The calls that were seen there."""
    wrapped = request.param
    seen = []
    execute, init = TornadoRequestHandler._execute, TornadoRequestHandler.__init__

    async def watched_execute(self, *args, **kwargs):
        seen.append(("execute", self.request.path))
        await execute(self, *args, **kwargs)

    class Posing:
        """Like wrapt's wrappers: to `isinstance` it is what it wraps."""

        __class__ = property(lambda self: type(init))
        __code__ = init.__code__

        def __get__(self, handler, owner=None):
            return self if handler is None else functools.partial(self, handler)

        def __call__(self, handler, application, request, **kwargs):
            seen.append(("init", request.path))
            init(handler, application, request, **kwargs)

    monkeypatch.setattr(
        TornadoRequestHandler, wrapped, {"__init__": Posing(), "_execute": watched_execute}[wrapped]
    )
    return seen


class Own(RequestHandler):
    def get(self):
        self.write("own")


@on_loops
async def test_who_wraps_the_methods_of_tornado_s_handler_sees_what_runs(seen):
    rules = [("/plain", Left), ("/own", Own), ("/own/(.*)", Own)]
    async with serve(Application(rules)) as served, served.client() as client:
        for path in ("/plain", "/own"):
            client.send(make_request(path, []))
            assert (await client.read_reply())[0] == 200
            assert [seen_path for _, seen_path in seen] == [path]
            seen.clear()


class OwnJSON(JSONHandler):
    def get(self):
        self.write({"own": True})


class Recorded(RequestHandler):
    """A class that notices its heirs: no other runs in its place."""

    heirs: ClassVar = []

    def __init_subclass__(cls):
        cls.heirs.append(cls)

    def get(self):
        self.write("recorded")


@on_loops
@pytest.mark.parametrize("application_class", [Application, TornadoApplication])
async def test_so_it_is_in_an_application_of_tornado_s(application_class, seen):
    rules = [("/own", Own), ("/json", OwnJSON), ("/recorded", Recorded)]
    async with serve(application_class(rules)) as served, served.client() as client:
        for path in ("/own", "/json", "/recorded"):
            client.send(make_request(path, []))
            assert (await client.read_reply())[0] == 200
            assert [seen_path for _, seen_path in seen] == [path]
            seen.clear()


class Sends(TornadoRequestHandler):
    def get(self):
        self.write({"sent": True})


@on_loops
@pytest.mark.parametrize("name", ["clear", "set_header", "write", "flush", "finish"])
@pytest.mark.parametrize("application_class", [Application, TornadoApplication])
async def test_who_replaces_what_a_reply_goes_through_is_obeyed(application_class, name, monkeypatch):
    """Applications do so to have a header in every reply, or a record of it."""
    theirs = getattr(TornadoRequestHandler, name)

    def replacement(self, *args, **kwargs):
        result = theirs(self, *args, **kwargs)
        self.replaced.append(name)
        return result

    replaced = []
    monkeypatch.setattr(TornadoRequestHandler, "replaced", replaced, raising=False)
    monkeypatch.setattr(TornadoRequestHandler, name, replacement)
    application = application_class([("/sends", Sends), ("/json", OwnJSON)])
    async with serve(application) as served, served.client() as client:
        for path, body in (("/sends", b'{"sent": true}'), ("/json", b'{"own": true}')):
            client.send(make_request(path, []))
            assert (await client.read_reply())[2] == body
            assert name in replaced
            replaced.clear()


class Takes(TornadoRequestHandler):
    def post(self):
        self.write(self.get_body_argument("a"))


@on_loops
async def test_who_teaches_tornado_another_form_is_obeyed(monkeypatch):
    theirs = httputil.parse_body_arguments

    def parse(content_type, body, arguments, files, headers=None):
        if content_type == "application/json":
            arguments.update({name: [value.encode()] for name, value in json.loads(body).items()})
        else:
            theirs(content_type, body, arguments, files, headers)

    monkeypatch.setattr(httputil, "parse_body_arguments", parse)
    async with serve(Application([("/", Takes)])) as served, served.client() as client:
        for kind, form in (
            ("application/json", b'{"a": "1"}'),
            ("application/x-www-form-urlencoded", b"a=1"),
        ):
            client.send(make_request("/", [f"Content-Type: {kind}"], "POST", body=form))
            assert (await client.read_reply())[2] == b"1"


@on_loops
async def test_so_does_who_comes_when_the_application_is_made(monkeypatch):
    """Elastic's agent is given the application."""
    application = Application([("/own", Own), (r"/(.*)", Own)])
    seen, execute = [], TornadoRequestHandler._execute

    async def watched(self, transforms, *args, **kwargs):
        seen.append(self.request.path)
        await execute(self, transforms, *args, **kwargs)

    monkeypatch.setattr(TornadoRequestHandler, "_execute", watched)
    async with serve(application) as served, served.client() as client:
        for path in ("/own", "/other"):
            client.send(make_request(path, []))
            await client.read_reply()
    assert seen == ["/own", "/other"]


@on_loops
async def test_who_wraps_methods_that_a_handler_has_not_does_not_give_it_them(seen, monkeypatch):
    """New Relic does so for each rule, and looks at what the connection is given."""

    class Reads(TornadoRequestHandler):
        def get(self, *args):
            self.write("read")

    for name in TornadoRequestHandler.SUPPORTED_METHODS:
        method = getattr(Reads, name.lower())
        wrapper = functools.wraps(method)(lambda self, *args, method=method: method(self, *args))
        setattr(Reads, name.lower(), wrapper)
    told = []
    write_headers = Exchange.write_headers
    monkeypatch.setattr(
        Exchange,
        "write_headers",
        lambda self, line, *args: told.append(line.code) or write_headers(self, line, *args),
    )

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "3")])
        return [b"app"]

    async with (
        serve(Application([(r"/x/(.*)", Reads), ("/y", Reads)], app)) as served,
        served.client() as client,
    ):
        for path in ("/x/1", "/y"):
            client.send(make_request(path, []))
            assert (await client.read_reply())[2] == b"read"
            client.send(make_request(path, [], "HEAD"))
            assert (await client.head())[0] == 200
            client.send(make_request(path, [], "DELETE"))
            assert (await client.read_reply())[2] == b"app"
    assert told[:2] == [200, 200]


@on_loops
async def test_replies_are_tornado_s_then_too(seen):
    await compare([make_request(target, []) for target in TARGETS])
    await compare([make_request(target, [], "HEAD") for target in ("/nothing", "/length", "/streams")])
    async with serve(Application(ROUTES)) as served, served.client() as client:
        client.send(make_request("/dict", [], "OPTIONS"))
        status, fields, _ = await client.read_reply()
        assert (status, fields["allow"]) == (200, "GET, HEAD, OPTIONS")


@on_loops
async def test_each_is_initialized_once_then_too(seen):
    class Counts(TornadoRequestHandler):
        def initialize(self, counted):
            counted.append(self.request.path)

        def get(self):
            self.write("counted")

    counted = []
    rules = [("/", Counts, {"counted": counted})]
    async with serve(Application(rules)) as served, served.client() as client:
        client.send(make_request("/", []))
        assert (await client.read_reply())[2] == b"counted"
    assert counted == ["/"]


@on_loops
async def test_who_wraps_the_logging_of_exceptions_sees_them(monkeypatch, caplog):
    """That is where Sentry and Datadog learn of them."""
    seen, log_exception = [], TornadoRequestHandler.log_exception

    def watched(self, typ, value, tb):
        seen.append(value)
        log_exception(self, typ, value, tb)

    class Raises(TornadoRequestHandler):
        def get(self):
            raise ValueError("of this test")

    monkeypatch.setattr(TornadoRequestHandler, "log_exception", watched)
    async with serve(Application([("/", Raises)])) as served, served.client() as client:
        client.send(make_request("/", ["X-Request-Id: its-id"]))
        assert (await client.read_reply())[0] == 500
    assert [str(value) for value in seen] == ["of this test"]
    assert "Uncaught exception GET / (127.0.0.1) its-id" in caplog.text


@on_loops
async def test_who_wraps_it_on_the_class_of_a_handler_has_the_request_s_id_too(monkeypatch, caplog):
    """OpenTelemetry does so when it first sees a handler; `super()` is Tornado's there."""
    initialize = TornadoRequestHandler.__init__

    class Raises(TornadoRequestHandler):
        def get(self):
            raise HTTPError(400, "a bad one") if self.get_argument("bad", "") else ValueError("of this test")

    def watched(self, *args, **kwargs):
        log_exception = self.__class__.log_exception
        self.__class__.log_exception = lambda *about: log_exception(*about)
        initialize(self, *args, **kwargs)

    monkeypatch.setattr(TornadoRequestHandler, "__init__", watched)
    async with serve(Application([("/", Raises)])) as served, served.client() as client:
        for target, status in (("/", 500), ("/?bad=1", 400)):
            client.send(make_request(target, [f"X-Request-Id: its-{status}"]))
            assert (await client.read_reply())[0] == status
    assert "Uncaught exception GET / (127.0.0.1) its-500\n" in caplog.text
    assert "400 GET /?bad=1 (127.0.0.1) its-400: a bad one" in caplog.text


def test_declining_works_then_too(seen):
    class Declines(TornadoRequestHandler):
        def get(self):
            raise Decline

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "3")])
        return [b"app"]

    async def run():
        application = Application([("/", Declines)], wsgi=app)
        async with serve(application) as served, served.client() as client:
            client.send(make_request("/", []))
            assert (await client.read_reply())[2] == b"app"

    asyncio.run(run())
    assert seen


@pytest.mark.gen_test
async def test_templates_are_read_again(tmp_path, monkeypatch):
    """Of all loaders, by Tornado's private names for them; one of the application's own may lack `reset`."""

    class Renders(TornadoRequestHandler):
        def get(self):
            self.finish(self.render_string("page.html"))

        def get_template_path(self):
            return str(tmp_path)

    loaders = {"/elsewhere": object()}
    monkeypatch.setattr(TornadoRequestHandler, "_template_loaders", loaders)
    async with serve(Application([("/", Renders)])) as served, served.client() as client:
        for text, forgets in (("one", False), ("two", False), ("three", True)):
            (tmp_path / "page.html").write_text(text)
            if forgets:
                forget_templates()
            client.send(make_request("/", []))
            assert (await client.read_reply())[2] == (b"three" if forgets else b"one")
    assert loaders.keys() == {"/elsewhere", str(tmp_path)}

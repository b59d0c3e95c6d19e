"""Rules that lead to a plain function, which answers through `request.connection`: how that is recorded."""

import asyncio
import contextlib
import re
import threading

import pytest
import tornado.wsgi
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPOutputError, ResponseStartLine
from tornado.routing import AnyMatches, PathMatches, Router, Rule, RuleRouter
from tornado.web import FallbackHandler, RequestHandler

import waterspout
from tests.waterspout.http import harness
from tests.waterspout.http.harness import HTTPServer, on_loops, until
from tests.waterspout.leftovers import nothing_left
from waterspout import Application
from waterspout.serving.shutdown import shut_down
from waterspout.serving.tornado_server import DrainingServer

SERVERS = pytest.mark.parametrize("server_class", [HTTPServer, DrainingServer], ids=["ours", "tornados"])
OK = ResponseStartLine("HTTP/1.1", 200, "OK")


def greet(request):
    body = b"hello " + request.body
    request.connection.write_headers(OK, HTTPHeaders({"Content-Length": str(len(body))}), body)
    request.connection.finish()


def find(request, path_args, path_kwargs):
    """Its name is in pieces, behind an early hint."""
    connection = request.connection
    connection.write_headers(ResponseStartLine("HTTP/1.1", 103, "Early Hints"), HTTPHeaders({"Link": "</a>"}))
    connection.write_headers(ResponseStartLine("HTTP/1.1", 404, "Not Found"), HTTPHeaders())
    for arg in path_args:
        connection.write(arg)
    connection.finish()


def fail(request):
    if b"late" in request.body:
        request.connection.write_headers(OK, HTTPHeaders({"Content-Length": "5"}), b"who")
    if b"illegal" in request.body:
        request.connection.write_headers(ResponseStartLine("HTTP/1.1", 200, "O\nK"), HTTPHeaders(), b"whole")
    raise ValueError("a secret of the function")


def detach(request):
    stream = request.connection.detach()
    asyncio.ensure_future(stream.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nraw")).add_done_callback(
        lambda _: stream.close()
    )


def write_too_much(request):
    request.connection.write_headers(OK, HTTPHeaders({"Content-Length": "2"}), b"abc")


def promise_too_much(request):
    request.connection.write_headers(OK, HTTPHeaders({"Content-Length": "4"}), b"abc")

    def finish():
        with contextlib.suppress(HTTPOutputError):
            request.connection.finish()

    asyncio.get_running_loop().call_soon(finish)


class Waits:
    """Answers when it is told to, and is told when its client has left."""

    def __init__(self):
        self.connections, self.left = [], 0

    def __call__(self, request):
        request.connection.set_close_callback(self.on_close)
        request.connection.write_headers(OK, HTTPHeaders(), b"begun")
        self.connections.append(request.connection)

    def on_close(self):
        self.left += 1


def make(*more):
    return Application(
        [
            (PathMatches("/greet"), greet),
            (r"/find/(.*)/(.*)", find),
            (PathMatches("/fail"), fail),
            (PathMatches("/detach"), detach),
            Rule(PathMatches("/inner.*"), RuleRouter([Rule(PathMatches("/inner"), greet)])),
            *more,
        ],
        native_max_body_size=1000,
    )


def make_head(asked, length, *fields):
    lines = [f"{asked} HTTP/1.1", "Host: x", f"Content-Length: {length}", *fields, "", ""]
    return "\r\n".join(lines).encode()


async def ask(client, target, body=b"", *fields, method="GET"):
    client.send(make_head(f"{method} {target}", len(body), *fields), body)
    status, fields = await client.head()
    while status < 200:
        status, fields = await client.head()
    if fields.get("transfer-encoding") == "chunked":
        return status, fields, await client._chunks()
    return status, fields, await client.reader.readexactly(int(fields.get("content-length", 0)))


def lines_of(caplog):
    """The access lines, without address and duration."""
    lines = [record.getMessage() for record in caplog.records if record.name == "waterspout.access"]
    return [re.sub(r" \d+\.\dms", "", line.removeprefix("127.0.0.1 ")) for line in lines]


@pytest.fixture(autouse=True)
def _logged(caplog):
    caplog.set_level("INFO", "waterspout.access")


@SERVERS
@on_loops
async def test_each_request_has_one_like_any_other(server_class, caplog):
    application = make()
    async with harness.serve(application, server_class=server_class) as served, served.client() as client:
        status, fields, body = await ask(client, "/greet?a=b", b"world", "X-Request-Id: mine", method="POST")
        assert (status, fields["x-request-id"], body) == (200, "mine", b"hello world")
        status, _, body = await ask(client, "/find/ab/c", b"", "X-Request-Id: other")
        assert (status, body) == (404, b"abc")
        assert (await ask(client, "/inner", b"", "X-Request-Id: inmost"))[2] == b"hello "
        await ask(client, "/nowhere", b"", "X-Request-Id: none")
    assert lines_of(caplog)[:3] == [
        "POST /greet?a=b 200 11B native mine",
        "GET /find/ab/c 404 3B native other",
        "GET /inner 200 6B native inmost",
    ]
    assert lines_of(caplog)[3].startswith("GET /nowhere 404 ")
    assert application.gauges.native == [0, 0, 2, 0, 2, 0]


@SERVERS
@on_loops
async def test_what_raises_is_answered_and_logged(server_class, caplog):
    async with harness.serve(make(), server_class=server_class) as served:
        async with served.client() as client:
            status, fields, body = await ask(client, "/fail", b"", "X-Request-Id: mine")
            assert (status, fields["x-request-id"], body) == (500, "mine", b"500 Internal Server Error\n")
            assert (await ask(client, "/greet"))[0] == 200  # the connection stays
        async with served.client() as client:
            client.send(
                b"POST /fail HTTP/1.1\r\nHost: x\r\nX-Request-Id: late\r\nContent-Length: 4\r\n\r\nlate"
            )
            assert (await client.rest()).endswith(b"who")
        await until(lambda: len(lines_of(caplog)) == 3)
    assert lines_of(caplog)[0] == "GET /fail 500 26B native mine"
    assert lines_of(caplog)[2] == "POST /fail 200 3B native late cut"


@SERVERS
@on_loops
async def test_a_head_that_can_t_be_sent_is_recorded(server_class, caplog):
    """Our own server closes then, whoever writes such a head, as Tornado's does for most that do."""
    application = make()
    async with harness.serve(application, server_class=server_class) as served, served.client() as client:
        client.send(make_head("POST /fail", 7, "X-Request-Id: mine", "Connection: close"), b"illegal")
        answer = await client.rest()
    if server_class is HTTPServer:
        assert (answer, lines_of(caplog)) == (b"", ["POST /fail 200 0B native mine cut"])
    else:
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert lines_of(caplog) == ["POST /fail 500 26B native mine"]
    assert sum(application.gauges.native) == 1


@SERVERS
@pytest.mark.parametrize(("function", "size"), [(write_too_much, 0), (promise_too_much, 3)])
@on_loops
async def test_a_reply_that_is_not_as_long_as_it_says_is_cut(server_class, function, size, caplog):
    """At once, or when nobody is there to hear of it. The server closes: not the client."""
    application = make(("/wrong", function))
    async with harness.serve(application, server_class=server_class) as served, served.client() as client:
        client.send(b"GET /wrong HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n\r\n")
        await client.rest()
        await until(lambda: lines_of(caplog))
    assert lines_of(caplog) == [f"GET /wrong 200 {size}B native mine cut"]
    assert sum(application.gauges.native) == 1


class Flushes(RequestHandler):
    async def get(self):
        self.write("who")
        await self.flush()
        self.write("le")


@SERVERS
@on_loops
async def test_what_it_passes_on_is_recorded_by_who_answers(server_class, caplog):
    """Which hears of a client that leaves, too."""
    inner, ended = Application([("/inner/flushes", Flushes)]), threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [])
        try:
            while not ended.is_set():
                yield b"wsgi"
        finally:
            ended.set()

    def fail_late(request):
        inner(request)
        raise ValueError("too late")

    container = waterspout.Container(app)
    await container.start()
    application = make(
        (PathMatches("/wsgi"), lambda request: container(request)),
        (PathMatches("/inner/.*"), fail_late),
    )
    try:
        async with harness.serve(application, server_class=server_class) as served:
            async with served.client() as client:
                _, fields, body = await ask(client, "/inner/flushes", b"", "X-Request-Id: mine")
                assert (fields["x-request-id"], body) == ("mine", b"whole")
                client.send(b"GET /wsgi HTTP/1.1\r\nHost: x\r\nX-Request-Id: other\r\n\r\n")
                await client.reader.readuntil(b"wsgi")
                client.reset()
            await until(ended.is_set)
            await until(lambda: len(lines_of(caplog)) == 2)
    finally:
        ended.set()
        await container.stop(0)
    first, second = lines_of(caplog)
    assert first == "GET /inner/flushes 200 5B native mine"
    assert re.fullmatch(r"GET /wsgi 200 \d+B wsgi other client-left", second)
    assert sum(application.gauges.native) == 0


@SERVERS
@on_loops
async def test_it_sees_the_path_below_the_root_path(server_class):
    def tell(request):
        body = f"{request.root_path} {request.path} {request.query}".encode()
        request.connection.write_headers(OK, HTTPHeaders({"Content-Length": str(len(body))}), body)
        request.connection.finish()

    application = Application([(PathMatches("/tell"), tell)], root_path="/board")
    async with harness.serve(application, server_class=server_class) as served, served.client() as client:
        assert (await ask(client, "/board/tell?a=b"))[2] == b"/board /tell a=b"
        assert (await ask(client, "http://x/board/tell?a=b"))[2] == b"/board /tell a=b"
    application = make((PathMatches("/tell"), tell))
    async with harness.serve(application, server_class=server_class) as served, served.client() as client:
        assert (await ask(client, "http://x/tell?a=b"))[2] == b" /tell a=b"


@SERVERS
@on_loops
async def test_a_client_that_left_is_told(server_class, caplog):
    waits = Waits()
    async with harness.serve(make(("/waits", waits)), server_class=server_class) as served:
        async with served.client() as client:
            client.send(b"GET /waits HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n\r\n")
            await client.reader.readuntil(b"begun")
            client.reset()
        await until(lambda: waits.left)
    assert waits.left == 1
    assert lines_of(caplog) == ["GET /waits 200 5B native mine client-left"]


@SERVERS
@on_loops
async def test_a_stop_that_cuts_it_is_told(server_class, caplog):
    waits = Waits()
    application = make(("/waits", waits))
    async with harness.serve(application, server_class=server_class) as served, served.client() as client:
        client.send(b"GET /waits HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n\r\n")
        await client.reader.readuntil(b"begun")
        await shut_down(served.server, application, 0.1)
        await client.rest()
    assert lines_of(caplog) == ["GET /waits 200 5B native mine stopped"]


@SERVERS
@on_loops
async def test_a_body_that_does_not_come_whole_or_is_too_large_has_its_line(server_class, caplog):
    async with harness.serve(make(), server_class=server_class) as served:
        async with served.client() as client:
            client.send(
                b"POST /greet HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nContent-Length: 5\r\n\r\nwor"
            )
            await asyncio.sleep(0.1)
            client.reset()
        await until(lambda: lines_of(caplog))
        async with served.client() as client:
            status, _, text = await ask(client, "/greet", bytes(1001), "X-Request-Id: other")
        assert status == 413
        await until(lambda: len(lines_of(caplog)) == 2)
    assert lines_of(caplog) == [
        "POST /greet - 0B native mine client-left",
        f"GET /greet 413 {len(text)}B native other body-too-large",
    ]


@on_loops
async def test_a_file_counts_too(tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"whole")

    def send(request):
        request.connection.write_headers(OK, HTTPHeaders({"Content-Length": "5"}))
        request.connection.write_file((tmp_path / "file").open("rb", buffering=0), 0, 5)
        request.connection.finish()

    async with harness.serve(make(("/send", send))) as served, served.client() as client:
        assert (await ask(client, "/send", b"", "X-Request-Id: mine"))[2] == b"whole"
    assert lines_of(caplog) == ["GET /send 200 5B native mine"]


@on_loops
async def test_a_form_that_can_t_be_parsed_is_the_client_s_fault(caplog):
    async with harness.serve(make()) as served, served.client() as client:
        fields = ("X-Request-Id: mine", "Content-Type: multipart/form-data")
        assert (await ask(client, "/greet", b"x", *fields))[0] == 400
        await client.rest()
    assert lines_of(caplog) == ["GET /greet 400 0B native mine bad-framing"]


@SERVERS
@on_loops
async def test_one_that_takes_the_connection_has_its_line_when_it_does(server_class, caplog):
    async with harness.serve(make(), server_class=server_class) as served, served.client() as client:
        client.send(b"GET /detach HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n\r\n")
        assert (await client.rest()).endswith(b"raw")
    assert lines_of(caplog) == ["GET /detach - 0B native mine"]


@on_loops
async def test_a_wsgi_container_of_tornado_s_has_tornado_s_line_alone(caplog):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"wsgi"]

    caplog.set_level("INFO", "tornado.access")
    rules = [(r"/wsgi", tornado.wsgi.WSGIContainer(app))]
    async with harness.serve(make(*rules)) as served, served.client() as client:
        assert (await ask(client, "/wsgi"))[2] == b"wsgi"
        await until(lambda: "200 GET /wsgi" in caplog.text)
    assert lines_of(caplog) == []


class Greeting(HTTPMessageDelegate):
    def __init__(self, request):
        self.request = request

    def finish(self):
        greet(self.request)


class Routing(Router):
    def find_handler(self, request, **kwargs):
        return Greeting(request)


@pytest.mark.parametrize(
    "rule", [("/given", FallbackHandler, {"fallback": greet}), Rule(PathMatches("/given"), Routing())]
)
@SERVERS
@on_loops
async def test_who_is_given_the_connection_itself_is_not_recorded(server_class, rule, caplog):
    """As with Tornado: nothing tells when it is done."""
    async with (
        harness.serve(Application([rule]), server_class=server_class) as served,
        served.client() as client,
    ):
        assert (await ask(client, "/given"))[2] == b"hello "
    assert lines_of(caplog) == []


@on_loops
async def test_nothing_is_left_of_them():
    waits = Waits()

    def listens(request):
        request.connection.set_close_callback(lambda: request)
        greet(request)

    application = make(("/listens", listens), (AnyMatches(), waits))
    async with harness.serve(application) as served:

        async def scenario():
            async with served.client() as client:
                await ask(client, "/greet")
                await ask(client, "/find/a/b")
                await ask(client, "/listens")
            async with served.client() as client:
                client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                await client.reader.readuntil(b"begun")
                client.reset()
            await until(lambda: waits.left)
            waits.left = 0
            waits.connections.clear()

        await scenario()
        async with nothing_left():
            await scenario()

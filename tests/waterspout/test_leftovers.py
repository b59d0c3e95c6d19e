"""Requests, WebSockets and connections that are over are freed at once: there are no reference cycles.

The server's garbage collector seldom runs (`limits.GC_THRESHOLDS`), and one request may hold a lot.
"""

import asyncio
import contextlib
import contextvars
import logging
import zlib

import pytest
from flask import Flask, Response, request
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler, StaticFileHandler, stream_request_body
from tornado.websocket import WebSocketHandler

import waterspout.native
from tests.waterspout.http.harness import HTTPServer, on_loops, serve, until
from tests.waterspout.leftovers import nothing_left
from tests.waterspout.tls import tls_contexts
from tests.waterspout.websocket import raw
from waterspout import Application, Decline
from waterspout.serving.tornado_server import DrainingServer


class Plain(RequestHandler):
    def get(self, number=None):
        self.write("hello")

    def post(self, number=None):
        self.write(str(len(self.request.body)))


class Known:
    """A context variable refers to the handler."""

    VARIABLE = contextvars.ContextVar("VARIABLE")

    def initialize(self):
        self.VARIABLE.set(self)


class KnownPlain(Known, Plain):
    pass


class Hashed(waterspout.native.RequestHandler):
    def get(self):
        self.write("hello")


class Noticing(RequestHandler):
    """A class that is left as it is."""

    def __init_subclass__(cls):
        raise AssertionError

    def get(self, number):
        self.write("hello")


class Streams(RequestHandler):
    async def get(self):
        for _ in range(3):
            self.write("hello")
            await self.flush()


class Fails(RequestHandler):
    async def get(self):
        await asyncio.sleep(0)
        raise ValueError if self.get_argument("how", "") == "badly" else HTTPError(418)


class Waits(RequestHandler):
    async def get(self):
        self.settings["begun"].append(self.request.path)
        await asyncio.sleep(0.1)
        self.write("hello")


class Declines(RequestHandler):
    def get(self):
        raise Decline

    def post(self):
        raise Decline


@stream_request_body
class Uploads(RequestHandler):
    def prepare(self):
        self.size = 0

    async def data_received(self, chunk):
        self.settings["begun"].append(self.request.path)
        self.size += len(chunk)

    async def put(self, number=None):
        self.write(str(self.size))


class TidiesUp(Uploads):
    def on_connection_close(self):
        """Without Tornado's own, which ends the wait for the body."""


@stream_request_body
class Refuses(RequestHandler):
    def prepare(self):
        self.set_status(403)
        self.finish()

    def data_received(self, chunk):
        pass


class Detaches(RequestHandler):
    async def get(self):
        self.request.connection.stream.set_close_callback(self.on_finish)
        stream = self.detach()
        with contextlib.suppress(StreamClosedError):
            await stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        stream.close()


class KnownDetaches(Known, Detaches):
    pass


class Asks(RequestHandler):
    """Looks at its connection, as Tornado's code and others' do."""

    async def get(self):
        stream = self.request.connection.stream
        self.write(str(stream.closed()))


class Echo(WebSocketHandler):
    def check_origin(self, origin):
        return True

    def on_message(self, message):
        if message == "fail":
            raise ValueError
        self.write_message(message)


class KnownEcho(Known, Echo):
    pass


class Pinged(Echo):
    ping_interval = 30
    ping_timeout = 20


class Compressed(Pinged):
    def get_compression_options(self):
        return {}


ROUTES = [
    ("/plain", Plain),
    ("/known", KnownPlain),
    ("/known/detaches", KnownDetaches),
    ("/known/echo", KnownEcho),
    ("/hashed", Hashed),
    ("/item/<int:number>", Plain),
    ("/re/(.*)", Plain),
    ("/noticing/<int:number>", Noticing),
    ("/streams", Streams),
    ("/fails", Fails),
    ("/waits", Waits),
    ("/flask/declined", Declines),
    ("/uploads", Uploads),
    ("/uploads/<int:number>", Uploads),
    ("/tidies-up", TidiesUp),
    ("/refuses", Refuses),
    ("/detaches", Detaches),
    ("/asks", Asks),
    ("/echo", Echo),
    ("/pinged", Pinged),
    ("/compressed", Compressed),
]


def make_flask():
    app = Flask(__name__)

    @app.route("/flask/<path:rest>", methods=["GET", "POST"])
    def view(rest):
        if rest == "large":
            return Response([b"x" * 100_000] * 100)
        return str(len(request.get_data()))

    @app.route("/flask/socket", websocket=True)
    def socket():
        connection = request.environ["werkzeug.socket"]
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(bytes(10_000_000) if "much" in request.args else connection.recv(1000))
        return ""

    return app


def ask(target, method="GET", *fields, body=None, length=None, chunked=False):
    """A request, the last one of its connection."""
    lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", *fields]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    elif body is not None:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    data = "\r\n".join([*lines, "", ""]).encode() + (body or b"")

    async def scenario(served):
        async with served.client(**served.options) as client:
            client.send(data)
            with contextlib.suppress(ConnectionError):  # a client that is refused amid its body may see that
                assert (await client.rest()).startswith(b"HTTP/1.1 ")

    return scenario


def keep(*requests):
    """Requests on one connection, which the client then closes."""

    async def scenario(served):
        async with served.client(**served.options) as client:
            for method, target in requests:
                client.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                await client.head() if method == "HEAD" else await client.read_reply()

    return scenario


def leave(target, method="GET", body=b"", length=0):
    """The client resets its connection while the handler is at work."""

    async def scenario(served):
        begun = served.begun
        begun.clear()
        async with served.client(**served.options) as client:
            client.send(
                f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode(), body
            )
            await until(lambda: begun)
            client.reset()

    return scenario


async def spool(served):
    """A client does not take its reply, and another one wants the lane."""
    async with served.client(receive=4096, **served.options) as slow:
        slow.send(b"GET /flask/large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await slow.head()
        await ask("/flask/view")(served)
        assert len(await slow.rest()) >= 10_000_000


async def leave_reply(served):
    """The client resets its connection while the view has more to send."""
    async with served.client(receive=4096, limit=4096, **served.options) as client:
        client.send(b"GET /flask/large HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.head()
        client.reset()


CLOSE = raw.close(1000)


def socket_scenario(path, *messages, end=CLOSE, compressed=False):
    """A WebSocket with `messages`; `end`: the client's last frame, or None: it resets its connection."""
    extensions = {"Sec_WebSocket_Extensions": "permessage-deflate"} if compressed else {}

    async def scenario(served):
        async with served.client(**served.options) as client:
            client.send(raw.request(path, **extensions))
            status, fields = await client.head()
            assert status == 101
            assert ("sec-websocket-extensions" in fields) == compressed
            for message in messages:
                client.send(_deflate(message) if compressed else raw.frame(raw.TEXT, message))
                await client.reader.read(100)
            if end is None:
                client.reset()
            else:
                client.send(end)
                await client.rest()

    return scenario


async def shake_without_key(served):
    async with served.client(**served.options) as client:
        client.send(raw.request("/echo", drop=["Sec-WebSocket-Key"]))
        assert (await client.read_reply())[0] == 400


def _deflate(message):
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(message.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return raw.frame(raw.TEXT, data[:-4], rsv=4)


def flask_socket(sent=b""):
    async def scenario(served):
        async with served.client() as client:
            client.send(raw.request("/flask/socket"))
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            if sent:
                client.send(sent)
                assert await client.rest() == sent

    return scenario


async def reset_flask_socket(served):
    async with served.client() as client:
        client.send(raw.request("/flask/socket?much"))
        await client.reader.readexactly(300_000)
        client.writer.transport.abort()


LARGE = b"x" * 300_000
SCENARIOS = {
    "GET": ask("/plain"),
    "GET, converted": ask("/item/7"),
    "GET, regular expression": ask("/re/7"),
    "GET of a class that is left as it is": ask("/noticing/7"),
    "GET in pieces": ask("/streams"),
    "GET of its connection's stream": ask("/asks"),
    "GET in a context that knows its handler": ask("/known"),
    "many on one connection": keep(*[("GET", "/plain"), ("HEAD", "/plain"), ("GET", "/item/1")] * 3),
    "HEAD": ask("/plain", "HEAD"),
    "HEAD of ours": ask("/hashed", "HEAD"),
    "HEAD, converted": ask("/item/7", "HEAD"),
    "HEAD in pieces": ask("/streams", "HEAD"),
    "HEAD of a class that is left as it is": ask("/noticing/7", "HEAD"),
    "HEAD of an exception": ask("/fails?how=badly", "HEAD"),
    "POST": ask("/plain", "POST", body=b"x" * 1000),
    "POST, large": ask("/item/7", "POST", body=LARGE),
    "POST, chunked": ask("/plain", "POST", body=b"x" * 1000, chunked=True),
    "POST of a form": ask("/plain", "POST", "Content-Type: application/x-www-form-urlencoded", body=b"a=b"),
    "upload": ask("/uploads", "PUT", body=LARGE),
    "upload, chunked": ask("/uploads", "PUT", body=LARGE, chunked=True),
    "upload, converted": ask("/uploads/7", "PUT", body=LARGE),
    "upload that is refused": ask("/refuses", "PUT", body=LARGE),
    "upload whose client leaves": leave("/uploads", "PUT", b"x" * 1000, 2000),
    "upload whose client leaves, which its handler keeps to itself": leave(
        "/tidies-up", "PUT", b"x" * 1000, 2000
    ),
    "wait": ask("/waits"),
    "wait whose client leaves": leave("/waits"),
    "HTTPError": ask("/fails"),
    "exception": ask("/fails?how=badly"),
    "Decline": ask("/flask/declined"),
    "Decline, HEAD": ask("/flask/declined", "HEAD"),
    "Decline, with a body": ask("/flask/declined", "POST", body=LARGE),
    "static file": ask("/static/small.txt"),
    "static file, large": ask("/static/large.bin"),
    "static file, HEAD": ask("/static/large.bin", "HEAD"),
    "static file, Range": ask("/static/large.bin", "GET", "Range: bytes=5-9"),
    "static file that is not there": ask("/static/nothing"),
    "detach": ask("/detaches"),
    "detach in a context that knows its handler": ask("/known/detaches"),
    "malformed": ask("/plain x"),
    "Flask": ask("/flask/view"),
    "Flask, HEAD": ask("/flask/view", "HEAD"),
    "Flask, with a body": ask("/flask/view", "POST", body=b"x" * 1000),
    "Flask, with a large body": ask("/flask/view", "POST", body=LARGE),
    "Flask, with a chunked body": ask("/flask/view", "POST", body=LARGE, chunked=True),
    "Flask, with a reply that is spooled": spool,
    "Flask whose client leaves": leave_reply,
    "WebSocket": socket_scenario("/echo", "hello"),
    "WebSocket that is reset": socket_scenario("/echo", "hello", end=None),
    "WebSocket in a context that knows its handler": socket_scenario("/known/echo", "hello"),
    "WebSocket of the WSGI app's own": flask_socket(b"!"),
    "WebSocket of the WSGI app's own whose client leaves": flask_socket(),
    "WebSocket of the WSGI app's own that is reset": reset_flask_socket,
    "WebSocket that fails": socket_scenario("/echo", "hello", end=raw.frame(raw.TEXT, "fail")),
    "WebSocket with pings": socket_scenario("/pinged", "hello"),
    "WebSocket with pings that is reset": socket_scenario("/pinged", "hello", end=None),
    "WebSocket with pings that breaks the protocol": socket_scenario("/pinged", end=raw.frame(11)),
    "WebSocket with compression": socket_scenario("/compressed", "hello", compressed=True),
    "WebSocket that is refused": ask("/echo"),
    "WebSocket without a key": shake_without_key,
}
#: Without a WSGI app: Flask would answer, and it keeps its router's exceptions in a reference cycle.
NATIVE_ALONE = {
    "404": ask("/nowhere"),
    "405": ask("/uploads", "POST", body=b"x"),
    "OPTIONS": ask("/plain", "OPTIONS"),
    "OPTIONS, converted": ask("/item/7", "OPTIONS"),
    "OPTIONS of a streaming handler": ask("/uploads/7", "OPTIONS"),
    "Decline": ask("/flask/declined"),
}
#: With Tornado's server, an `IOStream` that has failed keeps its exception, and that keeps the connection.
TORNADOS = (
    "tornado.iostream.",
    "tornado.http1connection.",
    "tornado.concurrent.",
    "tornado.httputil.RequestStartLine",
    "tornado.httputil.ResponseStartLine",
)


@contextlib.asynccontextmanager
async def serve_all(tmp_path, server_class=HTTPServer, *, wsgi=None, **options):
    (tmp_path / "small.txt").write_bytes(b"x")
    (tmp_path / "large.bin").write_bytes(b"x" * 1_000_000)
    begun = []
    application = Application(
        [*ROUTES, ("/static/(.*)", StaticFileHandler, {"path": str(tmp_path)})],
        wsgi,
        **({"wsgi_threads": 1} if wsgi else {}),  # an idle one still knows what it ran last
        begun=begun,
    )
    await application.start()
    try:
        async with serve(application, server_class=server_class, **options) as served:
            served.begun, served.options = begun, {}
            yield served
    finally:
        await application.stop()


@pytest.fixture(autouse=True)
def quiet():
    """What handlers raise is logged; that is not what is tested here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


#: ... and sometimes the frames of what it was doing then, with the handler: left to the collector. So is the
#: context that its protocol for WebSockets runs in.
ON_TORNADOS = [
    name for name in SCENARIOS if "client leaves" not in name and "WebSocket in a context" not in name
]


@pytest.mark.parametrize(
    ("server_class", "name"),
    [
        *(pytest.param(HTTPServer, name, id=f"{name}-ours") for name in SCENARIOS),
        *(pytest.param(DrainingServer, name, id=f"{name}-tornados") for name in ON_TORNADOS),
    ],
)
@on_loops
async def test_nothing_is_left(name, server_class, tmp_path):
    scenario = SCENARIOS[name]
    async with serve_all(tmp_path, server_class, wsgi=make_flask()) as served:
        await scenario(served)  # what is made once
        async with nothing_left(but=() if server_class is HTTPServer else TORNADOS):
            for _ in range(3):
                await scenario(served)


@pytest.mark.parametrize("server_class", [HTTPServer, DrainingServer], ids=["ours", "tornados"])
@pytest.mark.parametrize("name", list(NATIVE_ALONE))
@on_loops
async def test_nothing_is_left_of_native_handlers_alone(name, server_class, tmp_path):
    scenario = NATIVE_ALONE[name]
    async with serve_all(tmp_path, server_class) as served:
        await scenario(served)
        async with nothing_left(but=() if server_class is HTTPServer else TORNADOS):
            for _ in range(3):
                await scenario(served)


@pytest.mark.parametrize("name", ["GET", "HEAD, converted", "OPTIONS, converted", "upload, converted"])
@on_loops
async def test_nothing_is_left_of_handlers_that_others_have_wrapped(name, tmp_path, monkeypatch):
    """As Sentry and the like do."""
    execute = RequestHandler._execute

    async def wrapped(self, *args, **kwargs):
        return await execute(self, *args, **kwargs)

    monkeypatch.setattr(RequestHandler, "_execute", wrapped)
    scenario = (SCENARIOS | NATIVE_ALONE)[name]
    async with serve_all(tmp_path) as served:
        await scenario(served)
        async with nothing_left():
            await scenario(served)


@pytest.mark.parametrize(
    "name", ["GET", "HEAD", "upload", "detach", "Flask whose client leaves", "WebSocket with pings"]
)
@on_loops
async def test_nothing_is_left_behind_tls(name, tmp_path):
    server_context, client_context = tls_contexts()
    scenario = SCENARIOS[name]
    async with serve_all(tmp_path, ssl_options=server_context) as served:
        served.options = {"ssl": client_context}
        await scenario(served)
        async with nothing_left():
            await scenario(served)

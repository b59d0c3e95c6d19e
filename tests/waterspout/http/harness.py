"""Servers, delegates and raw clients in one event loop, for tests of `waterspout.http`."""

import asyncio
import functools
import gc
import inspect
import socket
import struct
from contextlib import asynccontextmanager

import pytest
import uvloop
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    ResponseStartLine,
)
from tornado.netutil import bind_sockets

from waterspout.http import HTTPServer

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
#: A test that takes longer than this hangs (seconds).
DEADLINE = 20
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def on_loops(test):
    """Run a coroutine test on both event loops. Anything that a loop's exception handler is told fails it."""

    async def within(args, kwargs):
        complaints = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with asyncio.timeout(DEADLINE):
            await test(*args, **kwargs)
        await asyncio.sleep(0)
        gc.collect()
        await asyncio.sleep(0)
        assert not complaints, complaints

    @functools.wraps(test)
    def run(*args, loop_name, **kwargs):
        with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
            runner.run(within(args, kwargs))

    signature = inspect.signature(test)
    added = inspect.Parameter("loop_name", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), added])
    return pytest.mark.parametrize("loop_name", list(LOOPS))(run)


def post(body=b"", *lines, version="1.1", length=None):
    """A POST with Content-Length; `body` may be shorter than `length`."""
    size = len(body) if length is None else length
    head = [f"POST / HTTP/{version}", "Host: x", f"Content-Length: {size}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def reply(exchange, body=b"ok", status=200, fields=()):
    """A whole reply with Content-Length."""
    headers = HTTPHeaders({"Content-Length": str(len(body)), **dict(fields)})
    exchange.write_headers(ResponseStartLine("", status, "OK"), headers, body)
    exchange.finish()


class Delegate(HTTPMessageDelegate):
    """Answers once the request is whole, and records what it is told. Tests override what they need."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.events = []
        self.body = bytearray()
        self.start_line = self.headers = None

    def headers_received(self, start_line, headers):
        self.start_line, self.headers = start_line, headers
        self.events.append("headers")

    def data_received(self, chunk):
        self.body += chunk
        self.events.append(len(chunk))

    def finish(self):
        self.events.append("finish")
        self.exchange.set_close_callback(lambda: self.events.append("left"))
        self.answer()

    def answer(self):
        reply(self.exchange, self.start_line.path.encode() + b" " + self.body)

    def on_connection_close(self):
        self.events.append("gone")


def answering(answer):
    """A `Delegate` whose reply is what `answer(exchange)` writes."""
    return type("Answering", (Delegate,), {"answer": lambda self: answer(self.exchange)})


class Silent(Delegate):
    """Never answers."""

    def answer(self):
        pass


class App(HTTPServerConnectionDelegate):
    """Gives each request a delegate of its own, and keeps them."""

    def __init__(self, make):
        self._make = make
        self.delegates = []

    def start_request(self, server_conn, request_conn):
        self.delegates.append(self._make(request_conn))
        return self.delegates[-1]


class Served:
    """A running server, the port it listens on, and its delegates so far."""

    def __init__(self, server, port, app):
        self.server, self.port, self.app = server, port, app

    @property
    def delegates(self):
        return self.app.delegates

    @asynccontextmanager
    async def client(self, **options):
        """A connection. `receive`: bytes that the kernel buffers for a client that does not read."""
        sock = socket.socket()
        if receive := options.pop("receive", None):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        except BaseException:
            sock.close()
            raise
        if options.get("ssl"):
            options.setdefault("server_hostname", "localhost")
        client = Client(*await asyncio.open_connection(sock=sock, **options))
        try:
            yield client
        finally:
            client.writer.transport.abort()

    async def ask(self, data):
        """Everything received until the server closes."""
        async with self.client() as client:
            client.send(data)
            return await client.rest()


@asynccontextmanager
async def serve(make=Delegate, *, server_class=HTTPServer, **options):
    """Our server, on a port of its own. `make`: a delegate class, or anything that HTTPServer takes."""
    app = App(make) if isinstance(make, type) else make
    server = server_class(app, **options)
    sockets = bind_sockets(0, "127.0.0.1")
    try:
        server.add_sockets(sockets)
        yield Served(server, sockets[0].getsockname()[1], app)
    finally:
        server.stop()
        await server.close_all_connections()
        await asyncio.sleep(0)


class Client:
    """One connection. Nothing is repaired."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, *data):
        self.writer.write(b"".join(data))

    def half_close(self):
        self.writer.write_eof()

    def reset(self):
        """Leave with a RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def head(self):
        """(status, lower-case name -> value)."""
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = text.split("\r\n")[:-2]
        fields = dict(line.split(": ", 1) for line in lines)
        return int(status.split()[1]), {name.lower(): value for name, value in fields.items()}

    async def read_reply(self):
        """(status, fields, body) of a reply with a length, or chunked."""
        status, fields = await self.head()
        if fields.get("transfer-encoding") == "chunked":
            return status, fields, await self._chunks()
        return status, fields, await self.reader.readexactly(int(fields.get("content-length", 0)))

    async def _chunks(self):
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        assert await self.reader.readexactly(2) == b"\r\n"
        return body

    async def rest(self):
        """All that comes until the server closes."""
        return await self.reader.read()


async def until(condition, seconds=10):
    """Wait until `condition()` holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)

"""The server as an application sees it: Tornado's arguments, listeners, and how it stops."""

import asyncio
import contextvars
import errno
import gc
import math
import os
import select
import socket
import threading
import time
import weakref
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest
import tornado.httpserver
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets, bind_unix_socket
from tornado.web import Application, RequestHandler, stream_request_body

from tests.waterspout.http.harness import (
    GET,
    App,
    Client,
    Delegate,
    Silent,
    answering,
    on_loops,
    post,
    reply,
    serve,
    until,
)
from tests.waterspout.tls import tls_contexts
from waterspout import limits
from waterspout.http import HTTPServer, HTTPSettings
from waterspout.http.secure import SecureTransport
from waterspout.system.descriptors import Reserve
from waterspout.system.garbage import collector

#: "Too many open files", as this machine's libc words it.
_TOO_MANY = os.strerror(errno.EMFILE)


async def ask(data, **options):
    """One request over a socket of any kind."""
    opening = asyncio.open_unix_connection if "path" in options else asyncio.open_connection
    client = Client(*await opening(**options))
    client.send(data)
    try:
        return await client.read_reply()
    finally:
        client.writer.transport.abort()


@on_loops
async def test_a_callback_instead_of_a_delegate():
    def answer(request):
        body = b"%s %s" % (request.method.encode(), request.body)
        request.connection.write_headers(
            ResponseStartLine("", 200, "OK"), HTTPHeaders({"Content-Length": str(len(body))}), body
        )
        request.connection.finish()

    async with serve(answer) as served, served.client() as client:
        for _ in range(2):
            client.send(post(b"body"))
            assert (await client.read_reply())[2] == b"POST body"


class Opening(App):
    """Makes use of the head: runs requests that have no body and no query by itself."""

    def __init__(self, make=Delegate):
        super().__init__(make)
        self.opened = []

    def open_exchange(self, server_conn, exchange):
        self.opened.append(exchange.head.target)
        if exchange.head.body_length or "?" in exchange.head.target:
            return self.start_request(server_conn, exchange)
        exchange.become_whole()
        if exchange.head.target == "/fails":
            raise RuntimeError
        exchange.set_close_callback(lambda: self.opened.append("left"))
        if exchange.head.target != "/waits":
            reply(exchange, b"opened")
        return None


@on_loops
async def test_an_application_that_makes_use_of_the_head():
    app = Opening()
    async with serve(app) as served, served.client() as client:
        query = GET.replace(b"/ ", b"/?a ")
        for request, answer in (
            (GET, b"opened"),
            (query, b"/?a "),
            (post(b"body"), b"/ body"),
            (GET, b"opened"),
        ):
            client.send(request)
            assert (await client.read_reply())[2] == answer
        client.send(GET * 3)
        for _ in range(3):
            assert (await client.read_reply())[2] == b"opened"
        assert len(served.delegates) == 2
        client.send(GET.replace(b"/ ", b"/waits "))
        await until(lambda: app.opened[-1] == "/waits")
    await until(lambda: app.opened[-1] == "left")


@on_loops
async def test_what_such_an_application_raises():
    async with serve(Opening()) as served:
        answer = await served.ask(GET.replace(b"/ ", b"/fails ") + GET)
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert answer.count(b"HTTP/1.1") == 1


@on_loops
async def test_such_an_application_and_a_client_that_closes_its_sending_side():
    app = Opening()
    async with serve(app) as served:
        for request in (GET, GET * 2):
            async with served.client() as client:
                client.send(request)
                client.half_close()
                assert (await client.rest()).count(b"opened") == request.count(b"GET")
        async with served.client() as client:
            client.send(GET.replace(b"/ ", b"/waits "))
            client.half_close()
            assert await client.rest() == b""
    assert app.opened[-1] == "left"


class Overriding(HTTPServer):
    def start_request(self, server_conn, request_conn):
        return super().start_request(server_conn, request_conn)


@pytest.mark.parametrize("options", [{"xheaders": True}, {"decompress_request": True}, {}])
@on_loops
async def test_it_is_not_asked_when_something_stands_between(options):
    app = Opening()
    server_class = HTTPServer if options else Overriding
    async with serve(app, **options, server_class=server_class) as served, served.client() as client:
        client.send(GET)
        assert (await client.read_reply())[2] == b"/ "
    assert app.opened == []


@on_loops
async def test_no_keep_alive():
    async with serve(no_keep_alive=True) as served:
        data = await served.ask(GET + GET)
        assert data.count(b"HTTP/1.1 200") == data.count(b"Connection: close") == 1


@on_loops
async def test_several_sockets_ipv6_and_unix(tmp_path):
    app = App(Delegate)
    server = HTTPServer(app)
    sockets = [
        *bind_sockets(0, "127.0.0.1"),
        *bind_sockets(0, "::1"),
        bind_unix_socket(str(tmp_path / "socket")),
    ]
    server.add_sockets(sockets[:2])
    server.add_sockets(sockets[2:])
    try:
        for sock in sockets[:2]:
            host, port = sock.getsockname()[:2]
            assert (await ask(GET, host=host, port=port))[0] == 200
        assert (await ask(GET, path=str(tmp_path / "socket")))[0] == 200
        contexts = [delegate.exchange.context for delegate in app.delegates]
        assert [context.remote_ip for context in contexts] == ["127.0.0.1", "::1", "0.0.0.0"]
        assert [context.address_family for context in contexts] == [sock.family for sock in sockets]
        assert [context.protocol for context in contexts] == ["http"] * 3
        for context in contexts:
            str(context)
    finally:
        server.stop()
        await server.close_all_connections()


@pytest.mark.parametrize("protocol", [None, "https"])
@on_loops
async def test_the_protocol_can_be_told(protocol):
    async with serve(protocol=protocol) as served:
        await served.ask(GET.replace(b"Host", b"Connection: close\r\nHost"))
        assert served.delegates[0].exchange.context.protocol == (protocol or "http")


@on_loops
async def test_xheaders_of_a_trusted_chain():
    seen = []

    def note(request):
        seen.append((request.remote_ip, request.protocol))
        reply(request.connection)

    async with (
        serve(note, xheaders=True, trusted_downstream=["5.5.5.5"]) as served,
        served.client() as client,
    ):
        for lines in ("X-Forwarded-For: 4.4.4.4, 5.5.5.5\r\nX-Scheme: https\r\n", "X-Real-Ip: evil\r\n", ""):
            client.send(GET[:-2] + lines.encode() + b"\r\n")
            await client.read_reply()
        assert seen == [("4.4.4.4", "https"), ("127.0.0.1", "http"), ("127.0.0.1", "http")]


@on_loops
async def test_max_header_size():
    async with serve(max_header_size=200) as served:
        answer = await served.ask(GET[:-2] + b"X: " + b"a" * 300 + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 431 ")


def test_limits_by_tornados_names():
    for options, found in (
        ({}, 100 * limits.MIB),
        ({"max_buffer_size": 5}, 5),
        ({"max_buffer_size": 5, "max_body_size": 0}, 0),
    ):
        assert HTTPServer(Silent, **options).max_body_size == found
    settings = HTTPServer(Silent, idle_connection_timeout=3).settings
    assert (settings.head_timeout, settings.keep_alive_timeout) == (3, 3)


@on_loops
async def test_stop_frees_the_port_and_lets_go_on_what_is_open():
    async with serve(Silent) as served, served.client() as client:
        client.send(GET)
        await until(lambda: served.delegates)
        served.server.stop()
        await asyncio.sleep(0.02)
        with pytest.raises(ConnectionRefusedError):
            await served.ask(GET)
        for sock in bind_sockets(served.port, "127.0.0.1"):
            sock.close()
        reply(served.delegates[0].exchange)
        assert (await client.read_reply())[2] == b"ok"
        served.server.stop()


@on_loops
async def test_it_can_be_stopped_before_the_loop_has_run():
    server = HTTPServer(App(Delegate))
    server.add_sockets(bind_sockets(0, "127.0.0.1"))
    server.stop()
    await asyncio.sleep(0.02)


@on_loops
async def test_close_all_connections_waits_until_they_are():
    async with serve(Silent) as served, served.client() as idle, served.client() as running:
        running.send(GET)
        await until(lambda: served.delegates and len(served.server._open) == 2)
        await served.server.close_all_connections()
        assert served.server._open == set()
        assert served.delegates[0].events == ["headers", "finish", "left"]
        for client in (idle, running):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await client.head()


@pytest.mark.parametrize("leave", ["detach", "switch_protocols"])
@on_loops
async def test_close_all_connections_does_not_wait_for_what_leaves_http_meanwhile(leave):
    async with serve(Silent) as served, served.client() as client:
        client.send(GET)
        await until(lambda: served.delegates)
        exchange = served.delegates[0].exchange
        arguments = [asyncio.Protocol()] if leave == "switch_protocols" else []
        asyncio.get_running_loop().call_soon(getattr(exchange, leave), *arguments)
        await served.server.close_all_connections()
        assert not served.server._open


@pytest.mark.parametrize("server_class", [HTTPServer, tornado.httpserver.HTTPServer])
def test_a_loop_that_is_closed_with_all_descriptors_leaves_nothing_open(server_class):
    """As `AsyncTestCase.tearDown` closes it, after each test."""
    io_loop = IOLoop(make_current=False)

    async def start():
        server = server_class(Application())
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        address = sockets[0].getsockname()
        client = socket.create_connection(address, timeout=5)
        client.sendall(GET)
        while not select.select([client], [], [], 0)[0]:
            await asyncio.sleep(0.01)
        assert client.recv(4096).startswith(b"HTTP/1.1 404")
        return server, address, client

    server, address, client = io_loop.run_sync(start)
    io_loop.close(all_fds=True)
    with client:
        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5).close()
    if server_class is HTTPServer:  # Tornado's asserts that its sockets are open
        server.stop()
    del server
    gc.collect()  # no complaint that it was forgotten


@on_loops
async def test_drain_waits_for_running_requests_and_closes_idle_connections():
    async with serve(Silent) as served, served.client() as idle, served.client() as running:
        running.send(GET, GET)
        await until(lambda: served.delegates and len(served.server._open) == 2)
        draining = asyncio.ensure_future(served.server.drain(10))
        assert await idle.rest() == b""
        assert not draining.done()
        assert served.delegates[0].exchange.no_keep_alive  # a handler may look, as with Tornado
        reply(served.delegates[0].exchange)
        data = await running.rest()
        assert data.count(b"HTTP/1.1 200") == data.count(b"Connection: close") == 1
        await draining
        assert len(served.delegates) == 1


@on_loops
async def test_a_server_that_was_drained_can_serve_on():
    async with serve() as served:
        await served.server.drain(1)
        with socket.create_server(("127.0.0.1", 0)) as again:
            again.setblocking(False)
            served.server.add_sockets([again.dup()])
            client = Client(*await asyncio.open_connection(*again.getsockname()))
            client.send(GET, GET)
            for _ in range(2):
                _, fields, _ = await client.read_reply()
                assert "connection" not in fields
            client.writer.transport.abort()


@on_loops
async def test_times_of_nothing_cost_no_core():
    settings = HTTPSettings(write_timeout=0, body_timeout=0)
    async with serve(settings=settings) as served, served.client():
        assert served.server._interval > 0


@on_loops
async def test_drain_answers_whom_the_event_loop_has_accepted_in_the_turns_before():
    """It hands a connection over later; one not accepted yet waits for the next server on that socket."""
    for turns in range(6):
        listening = socket.create_server(("127.0.0.1", 0))
        with listening.dup() as kept, socket.create_connection(listening.getsockname()) as client:
            kept.setblocking(False)
            server = HTTPServer(App(answering(lambda exchange: reply(exchange, b"served"))))
            server.add_sockets([listening])
            client.sendall(GET)
            for _ in range(turns):
                await asyncio.sleep(0)
            await server.drain(10)
            await server.close_all_connections()
            client.setblocking(False)
            try:
                kept.accept()[0].close()
            except BlockingIOError:
                assert client.recv(1000).endswith(b"served")


@pytest.mark.parametrize("when", ["before", "meanwhile"])
@on_loops
async def test_drain_does_not_wait_for_who_does_not_close_behind_a_last_reply(when, monkeypatch):
    monkeypatch.setattr(limits, "LINGER", 30.0)
    async with serve(Silent) as served, served.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await until(lambda: served.delegates)
        if when == "before":
            reply(served.delegates[0].exchange)
            await client.head()
        draining = asyncio.ensure_future(served.server.drain(30))
        await asyncio.sleep(0)
        if when == "meanwhile":
            reply(served.delegates[0].exchange)
        async with asyncio.timeout(10):
            await draining
        assert not served.server._open


@on_loops
async def test_drain_waits_for_a_head_only_while_it_is_arriving(monkeypatch):
    monkeypatch.setattr(limits, "DRAIN_IDLE", 0.3)
    async with serve() as served, served.client() as stuck, served.client() as slow:
        stuck.send(GET[:5])
        slow.send(GET[:5])
        await until(lambda: sum(one._parser.held for one in served.server._open) == 10)
        draining = asyncio.ensure_future(served.server.drain(30))
        for place in range(5, 10):
            await asyncio.sleep(0.1)
            slow.send(GET[place : place + 1])
        async with asyncio.timeout(5):
            assert await stuck.rest() == b""
        slow.send(GET[10:])
        status, fields, _ = await slow.read_reply()
        assert (status, fields["connection"]) == (200, "close")
        async with asyncio.timeout(5):
            await draining


@on_loops
async def test_drain_has_an_end():
    async with serve(Silent) as served, served.client() as client:
        client.send(GET)
        await until(lambda: served.delegates)
        await served.server.drain(0.05)
        assert served.server._open
    async with serve() as served:
        await served.server.drain(10)


@on_loops
async def test_a_connection_that_comes_while_draining_is_not_kept():
    async with serve() as served:
        served.server.draining = True
        data = await served.ask(GET)
        assert b"Connection: close\r\n" in data


@on_loops
async def test_descriptors_of_open_connections():
    async with serve() as served, served.client() as client:
        client.send(GET)
        await client.read_reply()
        (descriptor,) = served.server.descriptors()
        with socket.socket(fileno=descriptor) as sock:
            assert sock.getpeername() == client.writer.get_extra_info("sockname")
            sock.detach()


@on_loops
async def test_on_close_comes_once_for_each_connection():
    closed = []

    class Noting(HTTPServer):
        def on_close(self, server_conn):
            closed.append(id(server_conn))
            super().on_close(server_conn)

    class Detaching(Delegate):
        def answer(self):
            if self.start_line.path == "/detach":
                self.exchange.detach().close()
            else:
                super().answer()

    server = Noting(App(Detaching))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    try:
        for path in ("/", "/detach"):
            client = Client(*await asyncio.open_connection(*sockets[0].getsockname()))
            client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            await client.rest()
            client.writer.transport.abort()
        await until(lambda: not server._open)
        await asyncio.sleep(0.02)
        assert len(closed) == 2
    finally:
        server.stop()


@pytest.mark.parametrize(("tls", "client_tls"), [(None, None), tls_contexts()])
@on_loops
async def test_nothing_is_left_of_a_connection_that_has_ended(tls, client_tls):
    """Not even until the garbage collector runs: thousands of them end in a second."""
    references = []

    class Noted(Delegate):
        def __init__(self, exchange):
            super().__init__(exchange)
            references.extend((weakref.ref(self), weakref.ref(exchange)))

        def answer(self):
            self.exchange.set_close_callback(None)
            super().answer()

    class Forgetful(App):
        def start_request(self, server_conn, request_conn):
            return Noted(request_conn)

    async with serve(Forgetful(None), ssl_options=tls) as served:
        gc.collect()
        gc.disable()
        try:
            for data in (GET, GET * 3, post(b"x" * 100_000), post(b"x", length=9), b"GET\r\n\r\n"):
                async with served.client(ssl=client_tls) as client:
                    client.send(data)
                    await asyncio.sleep(0.02)
            await until(lambda: not served.server._open)
            await asyncio.sleep(0.02)
            alive = [reference() for reference in references if reference() is not None]
            alive += [each for each in gc.get_objects() if isinstance(each, SecureTransport)]
            assert alive == []
        finally:
            gc.enable()


@on_loops
async def test_tornados_own_applications():
    ended = []

    class Plain(RequestHandler):
        def post(self):
            self.finish({"body": self.get_body_argument("a")})

    @stream_request_body
    class Streaming(RequestHandler):
        def data_received(self, chunk):
            self.set_status(403)
            self.finish("enough")

        def post(self):
            raise AssertionError("never")

        def on_connection_close(self):
            super().on_connection_close()
            ended.append(self.request._body_future.done())

    application = Application([("/", Plain), ("/stream", Streaming)])
    form = "Content-Type: application/x-www-form-urlencoded"
    async with serve(application) as served, served.client() as client:
        client.send(post(b"a=b", form))
        assert (await client.read_reply())[2] == b'{"body": "b"}'
        client.send(post(b"x", length=10).replace(b"POST /", b"POST /stream"))
        assert (await client.read_reply())[0] == 403
        await until(lambda: ended == [True])  # else its coroutine waits for the body forever


@on_loops
async def test_the_connection_is_one_of_tornado_s_to_a_handler_that_makes_sure():
    """So that type checkers let it call what an HTTPConnection lacks."""

    @stream_request_body
    class Upload(RequestHandler):
        size = 0

        def prepare(self):
            assert isinstance(self.request.connection, HTTP1Connection)
            self.request.connection.set_max_body_size(max_body_size=20)

        def data_received(self, chunk):
            self.size += len(chunk)

        def post(self):
            self.write(str(self.size))

    async with serve(Application([("/", Upload)]), max_body_size=10) as served, served.client() as client:
        client.send(post(b"x" * 20))
        assert (await client.read_reply())[2] == b"20"


@on_loops
async def test_a_server_without_clients_has_no_timer():
    async with serve(settings=HTTPSettings(keep_alive_timeout=0.1)) as served:
        assert served.server._sweeper is None
        await served.ask(GET)
        await until(lambda: served.server._sweeper is None)


@on_loops
async def test_of_many_that_are_too_slow_a_few_are_ended_in_one_turn(monkeypatch):
    monkeypatch.setattr(limits, "CHECKED_AT_ONCE", 5)
    async with serve(settings=HTTPSettings(keep_alive_timeout=0.2)) as served, AsyncExitStack() as opened:
        for _ in range(40):
            client = await opened.enter_async_context(served.client())
            client.send(GET)
            await client.read_reply()
        server, most = served.server, 0
        while server._sweeper is not None:
            before = len(server._open)
            await asyncio.sleep(0)
            most = max(most, before - len(server._open))
        assert not server._open
        assert most <= 5


@on_loops
async def test_they_are_ended_however_long_it_takes_to_check_all(monkeypatch):
    """It is no standstill of the server, which would excuse them."""
    monkeypatch.setattr(limits, "CHECKED_AT_ONCE", 1)
    monkeypatch.setattr(limits, "STOOD_STILL", 0.2)
    settings = HTTPSettings(keep_alive_timeout=0.5, write_timeout=0.1)  # so that it checks often
    async with serve(settings=settings) as served, AsyncExitStack() as opened:
        for _ in range(30):
            client = await opened.enter_async_context(served.client())
            client.send(GET)
            await client.read_reply()
        for _ in range(250):
            time.sleep(0.02)
            await asyncio.sleep(0)
        assert not served.server._open


@on_loops
async def test_who_comes_when_no_descriptor_is_left_waits_and_the_log_says_so(caplog):
    """With Tornado's own server it says so thousands of times a second."""
    async with serve() as served:
        served.server.reserve = SimpleNamespace(first=3)
        last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        answers = [asyncio.ensure_future(served.ask(last)) for _ in range(2)]
        await until(lambda: "no connection can be accepted" in caplog.text)
        assert f"at http://127.0.0.1:{served.port}: {_TOO_MANY} (0 connections" in caplog.text
        served.server.reserve = Reserve()
        assert [answer.endswith(b"/ ") for answer in await asyncio.gather(*answers)] == [True, True]
        assert caplog.text.count("no connection can be accepted") == 1


@pytest.mark.parametrize("tls", [None, tls_contexts()[0]])
@on_loops
async def test_those_that_have_only_connected_count_where_no_descriptor_is_left(tls, monkeypatch, caplog):
    """All at once, so some have no protocol yet, or only just got one; with TLS, none has shaken hands."""
    monkeypatch.setattr("waterspout.http.accepting.ACCEPTS", 8)
    monkeypatch.setattr(collector, "collect", lambda: False)
    async with serve(ssl_options=tls) as served:
        await served.ask(b"?\r\n\r\n")  # libuv opens something of its own for its first connection
        await until(lambda: served.server.descriptors() == [])
        await asyncio.sleep(0.02)
        gc.collect()  # or what other tests have left closes some in between
        crowd = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(40)]
        free = [os.dup(crowd[0].fileno()) for _ in range(30)]
        served.server.reserve = SimpleNamespace(first=free[-1] + 1)
        for descriptor in free:
            os.close(descriptor)
        await until(lambda: "no connection can be accepted" in caplog.text)
        assert f"{_TOO_MANY} (30 connections are open" in caplog.text
        assert sorted(served.server.descriptors()) == free
        await until(lambda: not any(listener._tasks for listener in served.server._listeners))
        assert served.server.count_connections().open == 30
        assert sorted(served.server.descriptors()) == free
        served.server.stop()
        for client in crowd:
            client.close()


@pytest.mark.parametrize(
    ("used", "most"), [(0, 1000 - 250), (600, 400 - 100), (990, 10 - 2), (2000, math.inf)]
)
@on_loops
async def test_clients_have_three_quarters_of_what_others_leave(monkeypatch, used, most):
    """A quarter of all would be all that there is for clients."""
    monkeypatch.setattr("waterspout.system.descriptors.find_limit", lambda: 1000)
    async with serve() as served:
        served.server.reserve.used, served.server.reserve.more = used, 16 + used + 250
        assert served.server._find_most() == most


@on_loops
async def test_the_port_is_found_where_others_look_for_it():
    """A private name of Tornado's that bokeh, and the tests of jupyter_server and distributed, rely on."""
    async with serve() as served:
        (sock,) = served.server._sockets.values()
        assert list(served.server._sockets) == [sock.fileno()]
        assert sock.getsockname()[1] == served.port
        served.server.stop()
        assert not served.server._sockets


def test_a_thread_that_has_no_event_loop_yet():
    """As with Tornado's: `listen`, and then `IOLoop.current().start()`."""
    replies, ready = [], threading.Event()
    loop = None

    def run():
        nonlocal loop
        server = HTTPServer(Application([]))
        (sock,) = bind_sockets(0, "127.0.0.1")
        port = sock.getsockname()[1]
        server.add_sockets([sock])
        loop = IOLoop.current()
        replies.append(port)
        ready.set()
        loop.start()
        server.stop()
        loop.run_sync(server.close_all_connections)  # it lingers: the client may still be sending
        loop.close(all_fds=False)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(10)
        with socket.create_connection(("127.0.0.1", replies[0]), 10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 404")
    finally:
        if loop is not None:
            loop.add_callback(loop.stop)
        thread.join(10)


@on_loops
async def test_requests_begin_with_what_was_set_before_it_listens():
    variable = contextvars.ContextVar("variable", default=b"nothing")
    server = HTTPServer(
        App(type("Saying", (Delegate,), {"answer": lambda self: reply(self.exchange, variable.get())}))
    )
    variable.set(b"said")
    [sock] = bind_sockets(0, "127.0.0.1")
    server.add_sockets([sock])
    try:
        assert (await ask(GET, host="127.0.0.1", port=sock.getsockname()[1]))[2] == b"said"
    finally:
        server.stop()
        await server.close_all_connections()


@on_loops
async def test_who_answers_early_is_told_of_the_end_with_its_own_variables():
    variable, found = contextvars.ContextVar("variable", default="nothing"), []

    class Early(Delegate):
        def headers_received(self, start_line, headers):
            variable.set("said")
            reply(self.exchange)

        def on_connection_close(self):
            found.append(variable.get())

    async with serve(Early) as served, served.client() as client:
        client.send(post(length=10))
        assert (await client.read_reply())[2] == b"ok"
        await until(lambda: found)
        assert found == ["said"]


@on_loops
async def test_tls_may_come_and_go_while_it_listens():
    """As distributed does it: a listening port becomes one for `wss://`."""
    secure, plain = tls_contexts()
    async with serve() as served:
        for context in (secure, None, secure):
            port = served.server._sockets[next(iter(served.server._sockets))].getsockname()[1]
            assert port == served.port
            served.server.ssl_options = context
            options = {"ssl": plain} if context else {}
            async with served.client(**options) as client:
                client.send(GET)
                assert (await client.read_reply())[2] == b"/ "


@on_loops
async def test_no_idle_time_is_tornados_own():
    async with serve(idle_connection_timeout=0) as served, served.client() as client:
        for _ in range(3):
            client.send(GET)
            assert (await client.read_reply())[2] == b"/ "
            await asyncio.sleep(0.05)


@on_loops
async def test_a_head_that_may_be_larger_may_have_a_larger_line_and_field():
    async with serve(max_header_size=200_000) as served:
        for request in (
            GET.replace(b"Host", b"A: " + b"x" * 100_000 + b"\r\nHost"),
            GET.replace(b"/ ", b"/" + b"x" * 100_000 + b" "),
        ):
            async with served.client() as client:
                client.send(request)
                assert (await client.read_reply())[0] == 200


@on_loops
async def test_arguments_may_be_given_by_position():
    app = App(Delegate)
    server = HTTPServer(app, False, False, None, None, False, 1000, 2000, 30, 30, 100)
    assert (server.max_body_size, server.settings.head.head) == (100, 2000)
    assert (server.chunk_size, server.settings.keep_alive_timeout) == (1000, 30)


@on_loops
async def test_values_of_bytes_are_written_as_they_are():
    bytes_too = answering(lambda exchange: reply(exchange, fields=[("X-B", b"val")]))
    async with serve(bytes_too) as served, served.client() as client:
        client.send(GET)
        assert (await client.read_reply())[1]["x-b"] == "val"


@on_loops
async def test_tornados_own_name_can_be_told_to_mean_it():
    tornado.httpserver.HTTPServer.configure("waterspout.http.HTTPServer")
    try:
        server = Application().listen(0, "127.0.0.1")
        assert type(server) is HTTPServer
        server.stop()

        class Own(tornado.httpserver.HTTPServer):
            pass

        assert not isinstance(Own(Application()), HTTPServer)  # as docs/http.md says
    finally:
        tornado.httpserver.HTTPServer.configure(None)


class Idle:
    """A connection that has been idle for this long (seconds)."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.is_closed = False

    def idle_for(self, _now):
        return self.seconds

    def make_room(self):
        self.is_closed = True


def test_an_eighth_of_the_idle_makes_room_and_those_that_have_been_idle_longest():
    server = HTTPServer(Application([]))
    connections = [Idle(seconds) for seconds in (7, 3, 60, 5, 9, 4.9, *range(100, 0, -1))]
    server._open = set(connections)
    server._make_room(0.0)
    idle = [one.seconds for one in connections if one.seconds >= 5]
    closed = sorted(one.seconds for one in connections if one.is_closed)
    assert closed == sorted(idle)[-(len(idle) // 8) :]

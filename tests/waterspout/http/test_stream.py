"""The stream that handlers see, and the one that they get when they leave HTTP."""

import asyncio
import contextlib
import math
import os
import ssl

import pytest
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.iostream import IOStream, StreamBufferFullError, StreamClosedError
from tornado.web import Application as StockApplication
from tornado.web import RequestHandler, stream_request_body

from tests.waterspout.http.harness import (
    GET,
    Delegate,
    Silent,
    on_loops,
    post,
    serve,
    until,
)
from tests.waterspout.tls import deaf_client, end_below, say_goodbye, say_nothing, tls_contexts
from waterspout import Application, limits
from waterspout.http import HTTPSettings
from waterspout.http import stream as module

FORMS = pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
WHEN = pytest.mark.parametrize("when", ["headers_received", "finish"])


def form(secure):
    """(options of the server, options of the client)."""
    if not secure:
        return {}, {}
    server, client = tls_contexts()
    return {"ssl_options": server}, {"ssl": client}


def leaving(when, leave):
    """A delegate that answers 101 and leaves HTTP when the head, or the whole request, is here."""

    def step(self, *args):
        self.exchange.write_headers(ResponseStartLine("", 101, "Switching Protocols"), HTTPHeaders())
        self.left = leave(self.exchange)

    return type("Leaving", (Delegate,), {when: step})


def detach(exchange):
    return exchange.detach()


@FORMS
@WHEN
@on_loops
async def test_a_detached_stream_works_both_ways(secure, when):
    server_options, client_options = form(secure)
    async with (
        serve(leaving(when, detach), **server_options) as served,
        served.client(**client_options) as client,
    ):
        client.send(GET, b"behind the request\n")
        assert (await client.head())[0] == 101
        delegate = served.delegates[0]
        stream = delegate.left
        assert isinstance(stream, IOStream)
        assert (delegate.exchange.detached, delegate.exchange.stream) == (True, None)
        assert served.server._open == set()
        assert await stream.read_until(b"\n") == b"behind the request\n"
        await stream.write(b"hello")
        assert await client.reader.readexactly(5) == b"hello"
        client.send(b"and back")
        assert await stream.read_bytes(8) == b"and back"
        stream.close()
        assert await client.rest() == b""


@FORMS
@on_loops
async def test_a_detached_stream_sees_the_client_leave(secure):
    server_options, client_options = form(secure)
    async with serve(leaving("finish", detach), **server_options) as served:  # noqa: SIM117 - it ends last
        async with served.client(**client_options) as client:
            client.send(GET)
            await client.head()
            stream = served.delegates[0].left
            client.writer.close()
            with pytest.raises(StreamClosedError):
                await stream.read_bytes(1)


@FORMS
@on_loops
async def test_who_only_writes_sees_the_client_leave_though_much_is_unread(secure):
    server_options, client_options = form(secure)
    async with (
        serve(leaving("finish", detach), **server_options) as served,
        served.client(**client_options) as client,
    ):
        client.send(GET)
        await client.head()
        stream = served.delegates[0].left
        client.send(bytes(limits.MIB // 2))
        await client.writer.drain()
        await asyncio.sleep(0.1)
        client.writer.transport.abort()
        try:
            async with asyncio.timeout(10):
                with pytest.raises(StreamClosedError):
                    while True:
                        await stream.write(b"tick")
                        await asyncio.sleep(0.02)
        finally:
            stream.close()


@pytest.mark.parametrize("end", [lambda client: None, say_goodbye, say_nothing])
@on_loops
async def test_a_stream_that_is_closed_holds_on_to_no_client_that_reads_nothing(end):
    """Over TLS, which waits for it without end."""

    def leave(exchange):
        descriptors.append(exchange.stream.fileno())
        return exchange.detach()

    def number(descriptor):
        with contextlib.suppress(OSError):
            return os.fstat(descriptor).st_ino

    server_options, _ = form(secure=True)
    descriptors, settings = [], HTTPSettings(write_timeout=1)
    async with serve(leaving("finish", leave), settings=settings, **server_options) as served:
        with await asyncio.to_thread(deaf_client, served.port, GET) as client:
            await until(lambda: descriptors)
            [delegate], [descriptor] = served.delegates, descriptors
            before = number(descriptor)
            writing = asyncio.ensure_future(delegate.left.write(bytes(8 * limits.MIB)))
            await asyncio.sleep(0.5)
            assert not writing.done()
            end(client)
            delegate.left.close()
            await until(lambda: number(descriptor) != before)
            with pytest.raises(StreamClosedError):
                await writing


@FORMS
@on_loops
async def test_much_goes_through_a_detached_stream(secure):
    size = 8 * limits.MIB
    data = bytes(range(256)) * (size // 256)
    server_options, client_options = form(secure)
    async with (
        serve(leaving("finish", detach), **server_options) as served,
        served.client(**client_options) as client,
    ):
        client.send(GET, data)
        await client.head()
        stream = served.delegates[0].left
        assert await stream.read_bytes(size) == data
        writing = asyncio.ensure_future(stream.write(data))
        assert await client.reader.readexactly(size) == data
        await writing
        stream.close()


@FORMS
@on_loops
async def test_what_was_written_before_comes_first(secure):
    """Replies that the client has not read yet are still on their way when the handler leaves HTTP."""
    size = 4 * limits.MIB

    class Leaving(Delegate):
        def answer(self):
            if self.start_line.path == "/big":
                fields = HTTPHeaders({"Content-Length": str(size)})
                self.exchange.write_headers(ResponseStartLine("", 200, "OK"), fields, b"x" * size)
                self.exchange.finish()
                return
            self.exchange.write_headers(ResponseStartLine("", 101, "Switching Protocols"), HTTPHeaders())
            self.stream = self.exchange.detach()
            self.stream.write(b"hello")

    server_options, client_options = form(secure)
    async with serve(Leaving, **server_options) as served, served.client(**client_options) as client:
        client.send(GET.replace(b"/ ", b"/big "), GET)
        await asyncio.sleep(0.2)
        assert len((await client.read_reply())[2]) == size
        assert (await client.head())[0] == 101
        assert await client.reader.readexactly(5) == b"hello"
        served.delegates[1].stream.close()


@on_loops
async def test_a_detached_stream_waits_where_its_client_already_reads_less_than_was_written():
    """Over TLS: what it writes goes through a transport that has told somebody else that it is full."""

    class Leaving(Delegate):
        def answer(self):
            fields = HTTPHeaders({"Content-Length": str(64 * limits.MIB)})
            piece = b"x" * (16 * limits.MIB)
            self.written = self.exchange.write_headers(ResponseStartLine("", 200, ""), fields, piece)
            self.stream = self.exchange.detach()

    server_options, client_options = form(secure=True)
    async with serve(Leaving, **server_options) as served, served.client(**client_options) as client:
        client.writer.transport.pause_reading()
        client.send(GET)
        await until(lambda: served.delegates)
        stream = served.delegates[0].stream
        await asyncio.sleep(0.2)
        writing = asyncio.ensure_future(stream.write(b"y" * (48 * limits.MIB)))
        assert (await asyncio.wait([writing], timeout=1))[0] == set()
        client.writer.transport.resume_reading()
        body = (await client.read_reply())[2]
        assert (len(body), body[-1:]) == (64 * limits.MIB, b"y")
        await writing
        stream.close()


@pytest.mark.parametrize("leave", ["detach", "switch_protocols"])
@FORMS
@on_loops
async def test_a_large_piece_that_nobody_waited_for_comes_first_too(secure, leave):
    """Most of it is still in our own queue when the handler leaves HTTP."""
    size = 16 * limits.MIB

    class Leaving(Delegate):
        def answer(self):
            fields = HTTPHeaders({"Content-Length": str(size)})
            self.written = self.exchange.write_headers(ResponseStartLine("", 200, ""), fields, b"x" * size)
            self.exchange.write(b"")
            if leave == "detach":
                self.stream = self.exchange.detach()
                self.stream.write(b"hello")
            else:
                self.exchange.switch_protocols(Echo())

    server_options, client_options = form(secure)
    async with serve(Leaving, **server_options) as served, served.client(**client_options) as client:
        client.send(GET, b"hello" if leave == "switch_protocols" else b"")
        await asyncio.sleep(0.2)
        assert len((await client.read_reply())[2]) == size
        assert await client.reader.readexactly(5) == b"hello"
        await served.delegates[0].written
        if leave == "detach":
            served.delegates[0].stream.close()


class Echo(asyncio.Protocol):
    def __init__(self):
        self.events = []

    def connection_made(self, transport):
        self.transport = transport
        self.events.append("made")

    def data_received(self, data):
        self.transport.write(data)

    def connection_lost(self, exc):
        self.events.append("lost")


@FORMS
@WHEN
@on_loops
async def test_another_protocol_takes_the_transport_over(secure, when):
    def switch(exchange):
        protocol = Echo()
        exchange.switch_protocols(protocol)
        return protocol

    server_options, client_options = form(secure)
    async with (
        serve(leaving(when, switch), **server_options) as served,
        served.client(**client_options) as client,
    ):
        client.send(GET, b"behind")
        assert (await client.head())[0] == 101
        assert await client.reader.readexactly(6) == b"behind"
        client.send(b"more")
        assert await client.reader.readexactly(4) == b"more"
        assert served.server._open == set()
        client.writer.close()
        await until(lambda: served.delegates[0].left.events == ["made", "lost"])


class Pausing(Echo):
    def pause_writing(self):
        self.events.append("pause")

    def resume_writing(self):
        self.events.append("resume")


@pytest.mark.parametrize("is_full", [True, False])
@on_loops
async def test_another_protocol_is_told_that_the_transport_is_full(is_full):
    """The transport says so once, and may have said it to us: then only room is news to it, a while later."""
    protocol, size = Pausing(), 16 * limits.MIB if is_full else 5

    class Switching(Delegate):
        def answer(self):
            fields = HTTPHeaders({"Content-Length": str(size)})
            self.exchange.write_headers(ResponseStartLine("", 200, "OK"), fields, bytes(size))
            self.exchange.switch_protocols(protocol)
            self.events = list(protocol.events)

    async with serve(Switching) as served, served.client() as client:
        client.send(GET)
        await until(lambda: served.delegates)
        assert served.delegates[0].events == ["made"] + ["pause"] * is_full
        assert len((await client.read_reply())[2]) == size
        await until(lambda: protocol.events == ["made"] + ["pause", "resume"] * is_full)


async def half_closed(served, client):
    """The exchange of a request, after which the client sends "behind", and then nothing more."""
    client.send(GET, b"behind")
    await until(lambda: served.delegates)
    exchange = served.delegates[0].exchange
    exchange.half_close_grace = math.inf
    end_below(client.writer)
    await until(lambda: exchange._connection._half_closed)
    return exchange


class Listener(Echo):
    """Stays open after the client's EOF if `stays` is set."""

    stays = True

    def eof_received(self):
        self.events.append("eof")
        return self.stays


@FORMS
@pytest.mark.parametrize("stays", [True, False])
@on_loops
async def test_another_protocol_is_told_that_the_client_sends_no_more(secure, stays):
    """The event loop has already told us, and does not tell anybody twice."""
    server_options, client_options = form(secure)
    async with (
        serve(Silent, **server_options) as served,
        served.client(**client_options) as client,
    ):
        exchange = await half_closed(served, client)
        protocol = Listener()
        protocol.stays = stays
        exchange.switch_protocols(protocol)
        if stays:
            await asyncio.sleep(0.05)
            assert protocol.events == ["made", "eof"]
            protocol.transport.close()
        assert await client.rest() == b"behind"
        await until(lambda: protocol.events == ["made", "eof", "lost"])


@FORMS
@on_loops
async def test_a_detached_stream_sees_that_the_client_had_stopped_sending(secure):
    server_options, client_options = form(secure)
    async with (
        serve(Silent, **server_options) as served,
        served.client(**client_options) as client,
    ):
        stream = (await half_closed(served, client)).detach()
        assert await stream.read_bytes(6) == b"behind"
        with pytest.raises(StreamClosedError):
            await stream.read_bytes(1)
        assert await client.rest() == b""


@contextlib.asynccontextmanager
async def detached_deaf():
    """Over TLS: a client's socket, from `deaf_client`, and the stream that the handler has taken."""
    server_options, _ = form(secure=True)
    async with serve(leaving("finish", detach), **server_options) as served:
        with await asyncio.to_thread(deaf_client, served.port, GET) as client:
            await until(lambda: served.delegates)
            assert b"101" in await asyncio.to_thread(read, client, 1)
            yield client, served.delegates[0].left


def read(client, size):
    """So much, or all that comes until the server closes; `client`: from `deaf_client`."""
    client.settimeout(10)
    found = bytearray()
    with contextlib.suppress(ssl.SSLZeroReturnError):
        while len(found) < size and (piece := client.recv(65536)):
            found += piece
    client.setblocking(False)
    return bytes(found)


@pytest.mark.parametrize("end", [say_goodbye, say_nothing])
@on_loops
async def test_who_sends_no_more_gets_what_a_detached_stream_writes(end):
    """Over TLS: behind a goodbye, too (RFC 8446 section 6.1)."""
    size = 4 * limits.MIB
    async with detached_deaf() as (client, stream):
        end(client)
        await asyncio.sleep(0.05)
        reading = asyncio.ensure_future(asyncio.to_thread(read, client, size + 1))
        await stream.write(b"x" * size)
        stream.close()
        assert await reading == b"x" * size


@on_loops
async def test_who_still_sends_when_a_detached_stream_ends_gets_all_that_was_written(monkeypatch):
    """Over TLS: a reset, for what nobody reads, would destroy what the client has not taken."""
    monkeypatch.setattr(module, "LINGER", 60)
    size = 100_000
    async with detached_deaf() as (client, stream):
        await stream.write(b"x" * size)
        stream.close()
        for _ in range(5):
            await asyncio.sleep(0.05)
            client.send(b"a last word")
        assert await asyncio.to_thread(read, client, size + 1) == b"x" * size


@on_loops
async def test_who_still_sends_to_a_stream_that_is_closed_gets_what_it_has_not_read_of_it(
    monkeypatch, caplog
):
    """Over TLS: what waits for it to read on must not be lost to what nobody takes any more."""
    monkeypatch.setattr(module, "LINGER", 60)
    size = 0
    async with detached_deaf() as (client, stream):
        while (await asyncio.wait([stream.write(b"x" * 1000)], timeout=0.5))[0]:
            size += 1000
        stream.close()
        client.send(b"a last word")
        for _ in range(20):
            client.send(b"x")
        await asyncio.sleep(0.1)
        assert len(await asyncio.to_thread(read, client, 2 * size)) >= size
    assert not caplog.records


@pytest.mark.parametrize("behind", [b"", b"behind"])
@FORMS
@on_loops
async def test_a_detached_stream_may_be_closed_at_once(secure, behind):
    server_options, client_options = form(secure)

    def leave(exchange):
        stream = exchange.detach()
        stream.write(b"hello")
        stream.close()

    async with (
        serve(leaving("finish", leave), **server_options) as served,
        served.client(**client_options) as client,
    ):
        client.send(GET, behind)
        await client.head()
        assert await client.rest() == b"hello"


@on_loops
async def test_a_reply_that_is_not_read_yet_comes_before_what_the_other_protocol_says():
    size = 4 * limits.MIB

    class Switching(Delegate):
        def answer(self):
            if self.start_line.path == "/big":
                fields = HTTPHeaders({"Content-Length": str(size)})
                self.exchange.write_headers(ResponseStartLine("", 200, "OK"), fields, b"x" * size)
                self.exchange.finish()
                return
            self.exchange.write_headers(ResponseStartLine("", 101, "Switching Protocols"), HTTPHeaders())
            self.exchange.switch_protocols(Echo())

    async with serve(Switching) as served, served.client() as client:
        client.send(GET.replace(b"/ ", b"/big "), GET, b"echo")
        await asyncio.sleep(0.2)
        assert len((await client.read_reply())[2]) == size
        assert (await client.head())[0] == 101
        assert await client.reader.readexactly(4) == b"echo"


@FORMS
@WHEN
@on_loops
async def test_a_connection_that_nothing_takes_over_ends(secure, when, caplog):
    """It was kept for ever: nothing reads on after a 101. A handler that passes on an upstream's status may
    send one.
    """
    server_options, client_options = form(secure)
    async with (
        serve(leaving(when, lambda exchange: exchange.finish()), **server_options) as served,
        served.client(**client_options) as client,
    ):
        client.send(GET.replace(b"/", b"/path?secret", 1), GET)
        assert (await client.head())[0] == 101
        assert await client.rest() == b""
        await until(lambda: not served.server._open)
        assert len(served.delegates) == 1
    (line,) = [line for line in caplog.messages if "101" in line]
    assert "GET /path (127.0.0.1) was answered 101, but nothing took over the connection" in line


class Switches(RequestHandler):
    async def get(self):
        self.set_status(101)
        await self.finish()
        await asyncio.sleep(0.05)
        if self.get_argument("late", ""):
            stream = self.detach()
            await stream.write(b"hello")
            stream.close()


@stream_request_body
class SwitchesAlone(Switches, metaclass=type("Meta", (type,), {})):
    """Its class is left as it is, and Tornado's delegate runs it."""

    def data_received(self, chunk):
        pass


class SwitchesInATask(Switches):
    """In a task that it does not wait for."""

    async def get(self):
        self._auto_finish = False
        self.task = asyncio.create_task(super().get())


@pytest.mark.parametrize("make", [Application, StockApplication])
@pytest.mark.parametrize("handler_class", [Switches, SwitchesAlone, SwitchesInATask])
@pytest.mark.parametrize(("query", "rest"), [("?late=yes", b"hello"), ("", b"")])
@on_loops
async def test_a_handler_may_take_it_over_until_it_ends(make, handler_class, query, rest, caplog):
    application = make([("/", handler_class)])
    async with serve(application) as served, served.client() as client:
        client.send(GET.replace(b"/", b"/" + query.encode(), 1))
        assert (await client.head())[0] == 101
        assert await client.rest() == rest
    if make is Application:
        await application.stop()
    assert ("nothing took over" in caplog.text) == (not query)


@FORMS
@on_loops
async def test_the_face_of_a_stream(secure):
    server_options, client_options = form(secure)
    async with (
        serve(Silent, **server_options) as served,
        served.client(**client_options) as client,
    ):
        client.send(post(b"x"))
        await until(lambda: served.delegates and "finish" in served.delegates[0].events)
        stream = served.delegates[0].exchange.stream
        closed = []
        stream.set_close_callback(lambda: closed.append(True))
        stream.set_nodelay(True)
        assert stream.fileno() > 0
        assert stream.socket.getpeercert() is None if secure else stream.socket.getpeername()
        assert stream.io_loop.asyncio_loop is asyncio.get_running_loop()
        await stream.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await stream.write(b"")
        assert (await client.head())[0] == 200
        stream.close()
        assert stream.closed()
        assert await client.rest() == b""
        await until(lambda: closed == [True])
        with pytest.raises(StreamClosedError):
            await stream.write(b"x")


@on_loops
async def test_a_write_beyond_the_limit_that_a_handler_sets_is_refused_as_tornado_does():
    """Camera servers drop the frame then."""

    class Frames(RequestHandler):
        async def get(self):
            stream = self.request.connection.stream
            stream.max_buffer_size = 2**20
            assert stream.max_write_buffer_size is None
            stream.max_write_buffer_size = 2_000_000
            sent = dropped = 0
            while not dropped:
                self.write(b"x" * 300_000)
                try:
                    self.flush()
                    sent += 300_000
                except StreamBufferFullError:
                    dropped += 1
            assert stream.writing()
            told.append((sent, stream.max_write_buffer_size))
            stream.max_write_buffer_size = None
            self.write(b"end")

    told = []
    async with serve(Application([("/", Frames)])) as served, served.client(receive=4096) as client:
        client.send(GET)
        await until(lambda: told)
        _status, _fields, body = await client.read_reply()
        [(sent, limit)] = told
        assert body == b"x" * sent + b"end"
        assert limit == 2_000_000
        (connection,) = served.server._open
        await until(lambda: not connection.stream.writing())


@on_loops
async def test_of_a_reply_larger_than_the_limit_that_a_handler_sets_nothing_is_sent(caplog):
    class Large(RequestHandler):
        def get(self):
            self.request.connection.stream.max_write_buffer_size = 1000
            self.write(b"x" * 2000)

    async with serve(Application([("/", Large)])) as served:
        assert await served.ask(GET) == b""
    assert "Reached maximum write buffer size" in caplog.text


@on_loops
async def test_the_limit_holds_for_what_a_handler_writes_to_the_stream_itself():
    async with serve(Silent) as served, served.client() as client:
        client.send(GET)
        await until(lambda: served.delegates)
        stream = served.delegates[0].exchange.stream
        stream.max_write_buffer_size = 10
        with pytest.raises(StreamBufferFullError):
            stream.write(b"x" * 11)
        stream.write(b"x" * 10)
        stream.close()
        assert await client.rest() == b"x" * 10


@on_loops
async def test_detaching_when_the_client_is_gone_gives_a_closed_stream():
    async with serve(Silent) as served:
        async with served.client() as client:
            client.send(GET)
            await until(lambda: served.delegates)
        exchange = served.delegates[0].exchange
        await until(lambda: exchange.is_lost)
        stream = exchange.detach()
        assert stream.closed()
        with pytest.raises(StreamClosedError):
            await stream.write(b"x")


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, BaseException])
@on_loops
async def test_a_close_callback_that_raises_is_logged_and_the_connection_has_ended(error, caplog):
    def fail():
        raise error

    async with serve(Silent) as served:
        async with served.client() as client:
            client.send(GET)
            await until(lambda: served.delegates)
            served.delegates[0].exchange.stream.set_close_callback(fail)
        await until(lambda: not served.server._open)
        assert error.__name__ in caplog.text

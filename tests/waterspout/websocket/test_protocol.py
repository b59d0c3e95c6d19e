"""One connection, on real sockets: messages, compression, pings, and Tornado's interface."""

import asyncio
import contextvars
import random
import socket
import zlib
from types import SimpleNamespace

import pytest
from tornado import gen
from tornado.ioloop import IOLoop
from tornado.iostream import StreamBufferFullError
from tornado.websocket import WebSocketClosedError, WebSocketProtocol13
from tornado.websocket import WebSocketProtocol as TornadoProtocol

from tests.waterspout.tls import tls_contexts
from tests.waterspout.websocket.raw import (
    ACCEPT,
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Client,
    close,
    connect,
    frame,
    request,
)
from tests.waterspout.websocket.serving import Echo, Witness, scenario, serve
from waterspout.websocket.protocol import WebSocketProtocol

# -- messages --------------------------------------------------------------------------------------------


@scenario
async def test_messages_there_and_back(form):
    async with serve(form) as served, connect(served.port) as client:
        assert client.fields["sec-websocket-accept"] == ACCEPT
        client.send(frame(TEXT, "grüß"), frame(BINARY, b"\xff\x00"), frame(TEXT))
        assert await client.read() == (TEXT, "grüß".encode())
        assert await client.read() == (BINARY, b"\xff\x00")
        assert await client.read() == (TEXT, b"")
        assert served.events == ["open", "grüß", b"\xff\x00", ""]


@scenario
@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 3_000_000])
async def test_messages_of_any_length(form, size):
    async with serve(form) as served, connect(served.port) as client:
        client.send(frame(BINARY, b"x" * size))
        assert await client.read() == (BINARY, b"x" * size)


@scenario
async def test_what_write_message_takes(form):
    async with serve(form, Witness) as served, connect(served.port) as client:
        await served.until("open")
        for message, binary in [
            ("é", False),
            (b"abc", False),
            ({"a": 1}, False),
            (b"\xff", True),
            ("é", True),
        ]:
            await served.handler.write_message(message, binary=binary)
        assert [await client.read() for _ in range(5)] == [
            (TEXT, "é".encode()),
            (TEXT, b"abc"),
            (TEXT, b'{"a": 1}'),
            (BINARY, b"\xff"),
            (BINARY, "é".encode()),
        ]
        with pytest.raises(TypeError):
            served.handler.write_message(1)


@scenario
async def test_what_comes_with_the_handshake(form):
    async with serve(form) as served, connect(served.port, then=frame(TEXT, "early")) as client:
        assert await client.read_text() == "early"


@scenario
async def test_arguments_of_open(form):
    class Greeter(Witness):
        def open(self, name):
            super().open()
            self.write_message(f"hello {name}")

    async with serve(form, Greeter) as served, connect(served.port, path="/bob") as client:
        assert await client.read_text() == "hello bob"


@scenario
async def test_messages_wait_until_open_is_done(form):
    class Slow(Witness):
        async def open(self, *args):
            self.events.append("opening")
            await asyncio.sleep(0.05)
            super().open()

    async with serve(form, Slow) as served, connect(served.port, then=frame(TEXT, "a")) as client:
        client.text("b")
        await served.until("b")
        assert served.events == ["opening", "open", "a", "b"]


@scenario
async def test_messages_wait_for_the_one_before(form):
    class Slow(Witness):
        async def on_message(self, message):
            self.events.append(("begin", message))
            await asyncio.sleep(0.02)
            assert self.ws_connection.is_handling
            self.events.append(("end", message))

    async with serve(form, Slow) as served, connect(served.port) as client:
        client.text("a", "b")
        await asyncio.sleep(0.01)
        client.text("c")
        await served.until(("end", "c"))
        assert served.events[1:] == [(step, message) for message in "abc" for step in ("begin", "end")]
        while served.handler.ws_connection.is_handling:
            await asyncio.sleep(0.005)


@scenario
async def test_what_a_callback_may_give(form):
    class Generous(Witness):
        def on_message(self, message):
            super().on_message(message)
            self.done = asyncio.get_running_loop().create_future()
            self.done.set_result(None)
            return getattr(self, message)()

        def future(self):
            return self.done

        def several(self):
            return [self.done, asyncio.sleep(0)]

        @gen.coroutine
        def generator(self):
            yield gen.moment

    async with serve(form, Generous) as served, connect(served.port) as client:
        client.text("future", "several", "generator", "future")
        await served.until("future", 2)
        assert served.events == ["open", "future", "several", "generator", "future"]


@pytest.mark.parametrize("late", [False, True])
@scenario
async def test_what_a_callback_raises_is_logged_with_its_variables(form, late):
    user = contextvars.ContextVar("user", default="nobody")

    class Failing(Witness):
        def open(self, *args):
            super().open()
            user.set("ann")

        def on_message(self, message):
            return self.fail() if late else 1 / 0

        async def fail(self):
            await asyncio.sleep(0)
            return 1 / 0

        def log_exception(self, kind, *about):
            self.events.append((kind, user.get()))

    async with serve(form, Failing) as served, connect(served.port) as client:
        client.text("a")
        await served.until((ZeroDivisionError, "ann"))


@scenario
async def test_context_variables_of_prepare_and_open_are_seen(form):
    user, path = contextvars.ContextVar("user"), contextvars.ContextVar("path")

    class Personal(Witness):
        async def prepare(self):
            user.set("ann")

        def open(self, *args):
            super().open()
            path.set("there")

        def on_message(self, message):
            self.events.append((user.get(), path.get(), message))
            path.set("here")

        def on_close(self):
            self.events.append((user.get(), path.get(), "closed"))

    async with serve(form, Personal) as served:
        async with connect(served.port) as client:
            client.text("a", "b")
            await served.until(("ann", "here", "b"))
        await served.until(("ann", "here", "closed"))
        assert served.events == [
            "open",
            ("ann", "there", "a"),
            ("ann", "here", "b"),
            ("ann", "here", "closed"),
        ]


# -- compression -----------------------------------------------------------------------------------------


class Compressing(Echo):
    def get_compression_options(self):
        return {"compression_level": 9, "mem_level": 9}


OFFER = "permessage-deflate; client_max_window_bits"


@scenario
async def test_compressed_messages(form):
    sender, receiver = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)
    fields = {"Sec-WebSocket-Extensions": OFFER}
    async with serve(form, Compressing) as served, connect(served.port, **fields) as client:
        assert client.fields["sec-websocket-extensions"] == "permessage-deflate"
        for text in (b"abc" * 100, b"", b"abc" * 100):
            data = (sender.compress(text) + sender.flush(zlib.Z_SYNC_FLUSH))[:-4]
            client.send(frame(TEXT, data, rsv=4))
            opcode, payload = await client.read()
            assert client.rsv1
            assert (opcode, receiver.decompress(payload + b"\x00\x00\xff\xff")) == (TEXT, text)
        client.send(frame(TEXT, "plain"))
        await client.read()
        assert served.events[-1] == "plain"


@scenario
@pytest.mark.parametrize(("handler", "offer"), [(Echo, OFFER), (Compressing, ""), (Compressing, "unknown")])
async def test_no_compression(form, handler, offer):
    fields = {"Sec-WebSocket-Extensions": offer} if offer else {}
    async with serve(form, handler) as served, connect(served.port, **fields) as client:
        assert "sec-websocket-extensions" not in client.fields
        client.text("abc")
        assert await client.read_text() == "abc"
        client.send(frame(TEXT, "abc", rsv=4))
        assert await client.read_close() == (1002, "reserved bits are set")


@scenario
async def test_a_bomb(form):
    sender = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = (sender.compress(bytes(5_000_000)) + sender.flush(zlib.Z_SYNC_FLUSH))[:-4]
    fields = {"Sec-WebSocket-Extensions": OFFER}
    settings = {"websocket_max_message_size": 1_000_000}
    async with serve(form, Compressing, **settings) as served, connect(served.port, **fields) as client:
        client.send(frame(BINARY, bomb, rsv=4))
        assert await client.read_close() == (1009, "message too big after decompression")


# -- pings -----------------------------------------------------------------------------------------------


@scenario
async def test_a_ping_of_the_client(form):
    async with serve(form) as served, connect(served.port) as client:
        client.send(frame(PING, b"are you there"))
        assert await client.read() == (PONG, b"are you there")
        assert served.events == ["open", ("ping", b"are you there")]


@scenario
async def test_a_ping_of_the_handler(form):
    async with serve(form) as served, connect(served.port) as client:
        await served.until("open")
        served.handler.ping("x")
        assert await client.read() == (PING, b"x")
        client.send(frame(PONG, b"x"))
        await served.until(("pong", b"x"))
        with pytest.raises(ValueError, match="125"):
            served.handler.ping(b"x" * 126)


@scenario
async def test_a_client_that_answers_is_pinged_on(form):
    async with serve(form, websocket_ping_interval=0.02) as served, connect(served.port) as client:
        for _ in range(4):
            assert await client.read() == (PING, b"")
            client.send(frame(PONG))
        assert served.closings == []


@scenario
async def test_a_client_that_does_not_answer(form):
    settings = {"websocket_ping_interval": 10, "websocket_ping_timeout": 0.02}

    class Impatient(Echo):
        ping_interval = 0.05

    async with serve(form, Impatient, **settings) as served, connect(served.port) as client:
        assert await client.read() == (PING, b"")
        assert await client.read() == (CLOSE, b"\x03\xe8ping timed out")
        client.send(close(1000))
        assert await client.read() is None
        assert await served.until_closed() == (1000, None)


@scenario
async def test_a_busy_handler_is_no_silent_client(form):
    class Busy(Echo):
        async def on_message(self, message):
            await asyncio.sleep(0.2)
            await super().on_message(message)

    async with serve(form, Busy, websocket_ping_interval=0.03) as served, connect(served.port) as client:
        client.text("a")
        got = []
        while (TEXT, b"a") not in got:
            got.append(await client.read())
            client.send(frame(PONG) if got[-1][0] == PING else b"")
        assert got.count((PING, b"")) > 2


# -- the rest of Tornado's interface ---------------------------------------------------------------------


@scenario
async def test_tornados_interface(form):
    class Choosy(Echo):
        def select_subprotocol(self, subprotocols):
            self.events.append(subprotocols)
            return subprotocols[-1] if subprotocols else None

    fields = {"Sec-WebSocket-Protocol": "a, b"}
    async with serve(form, Choosy) as served, connect(served.port, **fields) as client:
        await served.until("open")
        connection = served.handler.ws_connection
        assert isinstance(connection, WebSocketProtocol)
        assert isinstance(connection, TornadoProtocol)
        assert isinstance(connection, WebSocketProtocol13)
        assert client.fields["sec-websocket-protocol"] == served.handler.selected_subprotocol == "b"
        assert served.events == [["a", "b"], "open"]
        sock = connection._transport.get_extra_info("socket")
        for value in (False, True):  # it also begins with True
            assert bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is not value
            served.handler.set_nodelay(value)
        assert not connection.is_closing()
        assert (connection.client_terminated, connection.server_terminated) == (False, False)
        served.handler.on_connection_close()
        assert await client.read() is None
        assert connection.is_closing()
        assert await served.until_closed() == (None, None)


@scenario
async def test_what_libraries_look_at_of_its_stream(form):
    class Looks(Echo):
        def open(self, *words):
            super().open(*words)
            stream = self.ws_connection.stream
            stream.set_nodelay(True)
            self.write_message(f"{stream.socket.getpeername()[0]} {stream.closed()}")
            assert stream.io_loop is IOLoop.current()

    server, client_side = tls_contexts()
    async with serve(form, Looks) as served, connect(served.port) as client:
        assert await client.read_text() == "127.0.0.1 False"
        stream = served.handler.ws_connection.stream
        stream.close()
        assert await client.read() is None
        assert await served.until_closed() == (None, None)
        assert (stream.socket, stream.closed()) == (None, True)
    async with serve(form, Looks, ssl_options=server) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=client_side)
        client = Client(reader, writer)
        client.send(request())
        assert (await client.head())[0] == 101
        assert await client.read_text() == "127.0.0.1 False"
        assert served.handler.ws_connection.stream.socket.version().startswith("TLS")
        writer.close()


@scenario
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
async def test_a_message_beyond_the_limit_that_a_handler_sets_is_refused_as_tornado_does(form, compressed):
    """Nothing of it is sent, and what follows can be read: it has not been compressed, either."""
    noise, sent = random.Random(1), []

    class Sends(Witness):
        def get_compression_options(self):
            return {} if compressed else None

        def open(self, *words):
            stream = self.ws_connection.stream
            assert stream.max_write_buffer_size is None
            stream.max_buffer_size = 100 * 2**20
            stream.max_write_buffer_size = 2_000_000
            with pytest.raises(StreamBufferFullError):
                while True:
                    message = noise.randbytes(300_000)
                    self.write_message(message, binary=True)
                    sent.append(message)
            assert stream.writing()
            assert self.ws_connection.stream.max_write_buffer_size == 2_000_000
            self.ws_connection.stream.max_write_buffer_size = None
            self.write_message(b"end", binary=True)
            super().open(*words)

    inflate = zlib.decompressobj(-15)
    async with (
        serve(form, Sends) as served,
        connect(served.port, Sec_WebSocket_Extensions=OFFER) as client,
    ):
        for message in (*sent, b"end"):
            opcode, payload = await client.read()
            if compressed:
                payload = inflate.decompress(payload + b"\x00\x00\xff\xff")
            assert (opcode, payload == message) == (BINARY, True)
        assert len(sent) > 6
        assert not served.handler.ws_connection.stream.writing()


@scenario
async def test_an_option_is_nothing_to_fail_of_when_the_client_has_left(form, monkeypatch):
    """On macOS, setting one fails as soon as it has; uvloop's socket raises ValueError once that is known."""

    class Setting(Witness):
        async def on_message(self, message):
            self.set_nodelay(True)
            self.ws_connection._transport.abort()
            while not self.ws_connection.is_over:
                await asyncio.sleep(0.005)
            self.set_nodelay(False)
            self.events.append("set")

    def refuse(*_):
        raise OSError(22, "Invalid argument")

    async with serve(form, Setting) as served, connect(served.port) as client:
        await served.until("open")
        sock = SimpleNamespace(family=socket.AF_INET, setsockopt=refuse)
        connection = served.handler.ws_connection
        with monkeypatch.context() as patch:
            told = {"socket": sock}
            transport = SimpleNamespace(get_extra_info=told.get, is_closing=lambda: False)
            patch.setattr(connection, "_transport", transport)
            served.handler.set_nodelay(True)
        client.text("a")
        await served.until("set")


@scenario
async def test_a_client_over_tls(form):
    server, client_side = tls_contexts()
    async with serve(form, ssl_options=server) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=client_side)
        client = Client(reader, writer)
        client.send(request())
        assert (await client.head())[0] == 101
        client.send(frame(TEXT, "a" * 100_000))
        assert await client.read_text() == "a" * 100_000
        served.handler.set_nodelay(True)
        client.send(frame(0))
        assert (await client.read_close())[0] == 1002
        writer.close()
        assert await served.until_closed() == (None, None)


def test_before_the_handshake_it_is_closing():
    class Bare:
        ping_interval = None

    connection = WebSocketProtocol(Bare())
    assert connection.is_closing()
    assert (connection.is_over, connection.unsent, connection.socket) == (True, 0, None)
    with pytest.raises(WebSocketClosedError):
        connection.write_message("a")
    connection.close(1000)
    connection.on_connection_close()

"""One connection, on real sockets: what goes over the wire, and what the handler sees."""

import asyncio
import contextvars
import gc
import socket
import struct
import weakref
import zlib

import pytest
from tornado import gen
from tornado.websocket import WebSocketClosedError
from tornado.websocket import WebSocketProtocol as TornadoProtocol

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
from tests.waterspout.websocket.serving import Echo, Witness, scenario, serve, tls
from waterspout.websocket import protocol as module
from waterspout.websocket.protocol import READ_AHEAD, WebSocketProtocol

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
            self.events.append(("end", message))

    async with serve(form, Slow) as served, connect(served.port) as client:
        client.text("a", "b")
        await asyncio.sleep(0.01)
        client.text("c")
        await served.until(("end", "c"))
        assert served.events[1:] == [(step, message) for message in "abc" for step in ("begin", "end")]


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


# -- the end ---------------------------------------------------------------------------------------------


@scenario
@pytest.mark.parametrize(("code", "reason"), [(1000, "done"), (4999, ""), (None, "")])
async def test_the_client_closes(form, code, reason):
    async with serve(form) as served, connect(served.port) as client:
        client.send(close(code, reason))
        assert await client.read_close() == (code, "")
        assert await served.until_closed() == (code, reason or None)


@scenario
async def test_the_handler_closes(form):
    async with serve(form, Witness) as served, connect(served.port) as client:
        await served.until("open")
        handler = served.handler
        handler.close(1001, "away")
        with pytest.raises(WebSocketClosedError):
            handler.write_message("too late")
        with pytest.raises(WebSocketClosedError):
            handler.ping()
        assert await client.read() == (CLOSE, b"\x03\xe9away")
        client.send(frame(TEXT, "crossing"), frame(PING), close(1001))
        assert await client.read() is None
        assert await served.until_closed() == (1001, None)
        assert served.events[1:3] == ["crossing", ("ping", b"")]


@scenario
async def test_the_handler_closes_in_open(form):
    class Doorkeeper(Witness):
        def open(self, *args):
            super().open()
            self.close(4001)

    async with serve(form, Doorkeeper) as served, connect(served.port) as client:
        assert await client.read() == (CLOSE, b"\x0f\xa1")
        client.send(close(4001))
        assert await served.until_closed() == (4001, None)


@scenario
async def test_a_reason_that_is_too_long(form):
    async with serve(form) as served, connect(served.port) as client:
        await served.until("open")
        with pytest.raises(ValueError, match="125"):
            served.handler.ws_connection.close(1000, "x" * 124)
        client.text("still here")
        assert await client.read_text() == "still here"


@scenario
async def test_a_client_that_never_answers_the_close_frame(form, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.05)
    async with serve(form) as served, connect(served.port) as client:
        await served.until("open")
        served.handler.close(1001)
        assert await client.read_close() == (1001, "")
        assert await served.until_closed() == (None, None)


@scenario
async def test_a_client_that_takes_nothing_can_be_closed(form, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.05)
    async with serve(form) as served, connect(served.port) as client:
        await served.until("open")
        client.transport.pause_reading()
        served.handler.write_message(bytes(20_000_000), binary=True)
        client.send(close(1000))
        assert await served.until_closed() == (1000, None)


@scenario
async def test_a_client_that_leaves(form):
    async with serve(form) as served:
        async with connect(served.port):
            await served.until("open")
        assert await served.until_closed() == (None, None)
        assert served.handler.ws_connection is None
        with pytest.raises(WebSocketClosedError):
            served.handler.write_message("anybody?")


@scenario
async def test_a_client_that_stops_sending(form):
    async with serve(form) as served, connect(served.port) as client:
        client.text("last")
        assert await client.read_text() == "last"
        client.writer.write_eof()
        assert await client.read() is None
        assert await served.until_closed() == (None, None)


@scenario
async def test_a_client_that_leaves_before_its_messages_are_handled(form):
    class Slow(Witness):
        async def on_message(self, message):
            await asyncio.sleep(0.02)
            super().on_message(message)

    async with serve(form, Slow) as served:
        async with connect(served.port) as client:
            client.text("a", "b")
            await asyncio.sleep(0.01)
            client.send(frame(TEXT, "c"), close(1000, "bye"))
            client.writer.write_eof()
            await client.read()
        assert await served.until_closed() == (1000, "bye")
        assert served.events[:-1] == ["open", "a", "b", "c"]


@scenario
async def test_a_client_that_stops_sending_amid_a_callback(form):
    class Slow(Witness):
        async def on_message(self, message):
            await asyncio.sleep(0.05)
            super().on_message(message)

    async with serve(form, Slow) as served, connect(served.port) as client:
        client.text("a")
        await asyncio.sleep(0.01)
        client.writer.write_eof()
        assert await served.until_closed() == (None, None)
        assert served.events[:-1] == ["open", "a"]


@scenario
async def test_a_client_that_leaves_while_open_runs(form):
    class Slow(Witness):
        async def open(self, *args):
            await asyncio.sleep(0.05)
            super().open()

    async with serve(form, Slow) as served:
        async with connect(served.port):
            pass
        await served.until_closed()
        assert served.events == ["open", ("close", None, None)]


@scenario
async def test_a_client_that_leaves_before_the_answer(form):
    class Slow(Witness):
        async def prepare(self):
            self.events.append("prepare")
            await asyncio.sleep(0.1)
            self.events.append("prepared")

    async with serve(form, Slow) as served:
        _reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request())
        await served.until("prepare")
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await served.until("prepared")
        await asyncio.sleep(0.05)
        assert "open" not in served.events
        assert len(served.closings) == 1


# -- failures --------------------------------------------------------------------------------------------


@scenario
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, rsv=1), 1002),
        (frame(0), 1002),
        (b"\x81\x00", 1002),
        (frame(TEXT, b"\xff"), 1007),
        (frame(CLOSE, b"\x03"), 1002),
        (close(1005), 1002),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        (frame(BINARY, bytes(1001)), 1009),
        (frame(BINARY, bytes(1000), fin=False) + frame(0, b"x"), 1009),
    ],
)
async def test_a_client_that_breaks_the_protocol(form, sent, code):
    async with serve(form, websocket_max_message_size=1000) as served, connect(served.port) as client:
        client.send(frame(TEXT, "before"), sent, frame(TEXT, "after"))
        assert await client.read_text() == "before"
        assert (await client.read_close())[0] == code
        client.writer.close()
        assert await served.until_closed() == (None, None)
        assert served.events[:-1] == ["open", "before"]


@scenario
async def test_the_close_frame_is_not_eaten_by_a_reset(form):
    async with serve(form, websocket_max_message_size=1000) as served, connect(served.port) as client:
        client.send(frame(BINARY, bytes(3_000_000)))
        await client.writer.drain()
        assert (await client.read_close())[0] == 1009


@scenario
async def test_a_client_that_broke_the_protocol_and_stays(form, monkeypatch):
    monkeypatch.setattr(module, "LINGER", 0.05)
    async with serve(form) as served, connect(served.port) as client:
        client.send(frame(0))
        assert (await client.read_close())[0] == 1002
        assert await served.until_closed() == (None, None)


class Failing(Witness):
    async def open(self, where):
        super().open()
        self.where = where
        self.fail("open")

    def fail(self, where):
        if where == self.where:
            raise {"cancel": asyncio.CancelledError}.get(where, ValueError)(where)

    def on_message(self, message):
        super().on_message(message)
        self.fail("message")
        return self.later()

    async def later(self):
        await asyncio.sleep(0)
        self.fail("later")
        self.fail("cancel")

    def on_ping(self, data):
        self.fail("ping")

    def on_close(self):
        super().on_close()
        self.fail("close")


@scenario
@pytest.mark.parametrize("where", ["open", "message", "later", "cancel", "ping"])
async def test_a_handler_that_fails(form, where, caplog):
    async with serve(form, Failing) as served, connect(served.port, path=f"/{where}") as client:
        client.send(frame(TEXT, "a"), frame(PING), frame(TEXT, "b"))
        while (got := await client.read())[0] == PONG:
            pass
        assert got == (CLOSE, b"\x03\xf3")
        client.writer.close()
        assert await served.until_closed() == (None, None)
        assert "b" not in served.events
        assert [record.message.partition(" ")[0] for record in caplog.records] == ["Uncaught"]


@scenario
async def test_a_handler_that_fails_when_all_is_over(form, caplog):
    async with serve(form, Failing) as served, connect(served.port, path="/close") as client:
        client.send(close(1000))
        assert await client.read_close() == (1000, "")
        assert await served.until_closed() == (1000, None)
        assert caplog.records[-1].exc_info[0] is ValueError


# -- too much --------------------------------------------------------------------------------------------


@scenario
async def test_write_message_waits_for_the_client(form):
    async with serve(form, Witness) as served, connect(served.port) as client:
        await served.until("open")
        client.transport.pause_reading()
        handler, sent = served.handler, 0
        while (future := handler.write_message(b"x" * 100_000, binary=True)).done():
            sent += 1
        second = handler.write_message("and this")
        second.cancel()
        await asyncio.sleep(0.05)
        assert not future.done()
        client.transport.resume_reading()
        for _ in range(sent + 1):
            assert (await client.read())[0] == BINARY
        await future
        assert await client.read_text() == "and this"


@scenario
async def test_who_waits_for_room_is_told_that_the_client_left(form):
    async with serve(form, Witness) as served:
        async with connect(served.port) as client:
            await served.until("open")
            client.transport.pause_reading()
            future = served.handler.write_message(bytes(30_000_000), binary=True)
            served.handler.write_message("nobody looks at this one's future")
            assert not future.done()
        with pytest.raises(WebSocketClosedError):
            await future
        await served.until_closed()
        gc.collect()


@scenario
async def test_a_writer_gives_way(form):
    async with serve(form, Witness) as served, connect(served.port):
        await served.until("open")
        turns = []
        asyncio.get_running_loop().call_soon(turns.append, 1)
        for _ in range(200):
            await served.handler.write_message("x")
        assert turns


@scenario
async def test_pongs_are_bounded(form):
    async with serve(form, Witness) as served, connect(served.port) as client:
        await served.until("open")
        client.transport.pause_reading()
        while served.handler.write_message(b"x" * 100_000, binary=True).done():
            pass
        client.send(*(frame(PING, str(number)) for number in range(1000)))
        await served.until(("ping", b"999"))
        client.transport.resume_reading()
        while (got := await client.read())[0] == BINARY:
            pass
        assert got == (PONG, b"999")


@scenario
async def test_a_busy_handler_stops_the_client(form):
    class Stuck(Witness):
        async def on_message(self, message):
            super().on_message(message)
            await self.settings["gate"].wait()

    gate = asyncio.Event()
    async with serve(form, Stuck, gate=gate) as served, connect(served.port) as client:
        total = 64 * 1024 * 1024
        client.send(*[frame(BINARY, bytes(1 << 20))] * 64)
        await served.until(bytes(1 << 20))
        await asyncio.sleep(0.1)
        parser = served.handler.ws_connection._parser
        assert READ_AHEAD < parser.held <= READ_AHEAD + 256 * 1024
        assert client.transport.get_write_buffer_size() > total / 2
        gate.set()
        await served.until(bytes(1 << 20), 64)
        assert parser.held == 0


@scenario
async def test_a_flood_of_tiny_frames_leaves_the_loop_to_others(form):
    counts = [0]

    class Counting(Witness):
        def on_message(self, message):
            counts[-1] += 1
            if message == "end":
                self.events.append(message)

    async with serve(form, Counting) as served, connect(served.port) as client:
        client.send(frame(TEXT) * 20_000 + frame(TEXT, "end"))
        while "end" not in served.events:
            counts.append(0)
            await asyncio.sleep(0)
        assert sum(counts) == 20_001
        assert max(counts) <= 2 * module.TURN / module.FRAME_COST


@scenario
async def test_an_idle_connection_has_no_task(form):
    before = asyncio.all_tasks()
    async with serve(form) as served, connect(served.port) as client:
        client.text("a")
        await client.read_text()
        await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == before


@scenario
async def test_a_closed_connection_is_forgotten(form):
    async with serve(form) as served:
        async with connect(served.port) as client:
            client.text("a")
            await client.read_text()
            handler = weakref.ref(served.handler)
        await served.until_closed()
        served.handlers.clear()
        gc.collect()
        assert handler() is None
        assert not [each for each in gc.get_objects() if isinstance(each, WebSocketProtocol)]


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
        assert client.fields["sec-websocket-protocol"] == served.handler.selected_subprotocol == "b"
        assert served.events == [["a", "b"], "open"]
        served.handler.set_nodelay(True)
        assert not connection.is_closing()
        assert (connection.client_terminated, connection.server_terminated) == (False, False)
        served.handler.on_connection_close()
        assert await client.read() is None
        assert connection.is_closing()
        assert await served.until_closed() == (None, None)


@scenario
async def test_a_client_over_tls(form):
    if form.name == "waterspout-uvloop":
        pytest.skip("waterspout.http does not finish a TLS handshake on uvloop yet")
    server, client_side = tls()
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
    with pytest.raises(WebSocketClosedError):
        connection.write_message("a")
    connection.close(1000)
    connection.on_connection_close()

"""How a connection ends, on real sockets: by the client, by the handler, by a failure of either."""

import asyncio
import contextlib
import logging
import socket
import struct

import pytest
from tornado.websocket import WebSocketClosedError

from tests.waterspout.tls import deaf_client, end_below, say_goodbye, say_nothing, tls_contexts
from tests.waterspout.websocket.raw import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    close,
    connect,
    frame,
    request,
)
from tests.waterspout.websocket.serving import TORNADO, Witness, scenario, serve
from waterspout.http.exchange import Exchange
from waterspout.websocket import protocol as module

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
@pytest.mark.parametrize(
    "leave", [lambda client: client.send(close(1000)), lambda client: client.writer.write_eof()]
)
async def test_a_message_to_all_does_not_fail_by_one_that_has_just_left(form, leave):
    """Until a handler is told, it is written to in vain."""

    class Chat(Witness):
        def on_message(self, message):
            for each in self.settings["witnesses"]:
                each.write_message(message)

        def on_close(self):
            super().on_close()
            self.settings["witnesses"].remove(self)

    async with serve(form, Chat) as served, connect(served.port) as staying:
        for count in range(1, 21):
            async with connect(served.port) as leaving:
                await served.until("open", count + 1)
                leave(leaving)
                staying.text(f"{count}")
                assert await staying.read_text() == f"{count}"


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
async def test_a_client_whose_close_crosses_ours_has_its_time_to_take_the_rest(form, monkeypatch):
    class ClosesBehindMuch(Witness):
        def open(self, *args):
            super().open()
            self.write_message(bytes(20_000_000), binary=True)
            self.protocol = self.ws_connection
            self.close(1000)

    async with serve(form, ClosesBehindMuch) as served, connect(served.port) as client:
        client.transport.pause_reading()
        await served.until("open")
        protocol = served.handler.protocol
        first = protocol._end_timer
        monkeypatch.setattr(module, "CLOSE_TIMEOUT", 60)
        client.send(close(1001))
        while not protocol.client_terminated:
            await asyncio.sleep(0.005)
        assert protocol._end_timer.when() > asyncio.get_running_loop().time() + 30
        assert first.cancelled()
        client.transport.resume_reading()
        assert (await client.read()) == (BINARY, bytes(20_000_000))
        assert await client.read_close() == (1000, "")
        assert await served.until_closed() == (1001, None)


@scenario
async def test_behind_a_cut_by_the_handler_nothing_is_passed_on(form):
    class Cuts(Witness):
        def on_message(self, message):
            super().on_message(message)
            self.ws_connection.stream.close()

    async with serve(form, Cuts) as served, connect(served.port) as client:
        client.text("a", "b")
        assert await served.until_closed() == (None, None)
        assert served.events[:-1] == ["open", "a"]


@scenario
async def test_an_open_that_is_given_up_with_its_loop_passes_nothing_on(form, caplog):
    class Waiting(Witness):
        async def open(self, *args):
            super().open()
            await asyncio.Event().wait()

        async def get(self, *args):
            opening = super().get(*args)
            opening.send(None)
            await asyncio.sleep(0.1)
            opening.close()  # as the garbage collector does, when the loop is closed
            self.events.append("given up")

    async with serve(form, Waiting) as served, connect(served.port) as client:
        client.send(frame(TEXT, "too late"), close(1000))
        await served.until("given up")
        assert served.events == ["open", "given up"]
        assert not caplog.records


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
@pytest.mark.parametrize("amid", [False, True], ids=["behind", "amid"])
async def test_a_client_that_stops_sending_gets_all_that_waits_for_it(form, amid):
    class Much(Witness):
        async def on_message(self, message):
            super().on_message(message)
            for _ in range(20_000):
                self.write_message("x" * 1000)
            while amid and not self.ws_connection.client_has_left:
                await asyncio.sleep(0.005)

    async with serve(form, Much) as served, connect(served.port) as client:
        await served.until("open")
        client.transport.pause_reading()
        client.text("all")
        await served.until("all")
        client.writer.write_eof()
        await asyncio.sleep(0.2)
        client.transport.resume_reading()
        messages = 0
        while (message := await client.read()) is not None:
            assert message == (TEXT, b"x" * 1000)
            messages += 1
        assert messages == 20_000 or form.server == TORNADO  # whose stream is closed at once
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
@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_a_client_that_leaves_before_the_answer(form, secure, caplog):
    class Slow(Witness):
        async def prepare(self):
            self.events.append("prepare")
            while not served.closings:  # until the server has heard of it
                await asyncio.sleep(0.005)
            self.events.append("prepared")

    ours, theirs = tls_contexts() if secure else (None, None)
    async with serve(form, Slow, ssl_options=ours) as served:
        name = "localhost" if secure else None
        address = ("127.0.0.1", served.port)
        _reader, writer = await asyncio.open_connection(*address, ssl=theirs, server_hostname=name)
        # Tornado's stream, behind what is not read yet, does not hear of it.
        writer.write(request() + (b"" if form.server == TORNADO else frame(TEXT, "early")))
        await served.until("prepare")
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await served.until("prepared")
        await asyncio.sleep(0.05)
        assert not {"open", "early"} & set(served.events)
        assert len(served.closings) == 1
    assert not caplog.records


@scenario
@pytest.mark.parametrize("interval", [0, 0.01], ids=["alone", "pinged"])
async def test_a_client_that_leaves_just_before_the_answer(form, interval, caplog):
    """`on_close` may rely on what `open` has made, and nothing is logged of what `open` writes to nobody."""

    class Opening(Witness):
        def prepare(self):
            client.close()

        def open(self, *args):
            super().open()
            self.made = []
            self.set_nodelay(True)
            self.write_message("welcome")

        def on_close(self):
            self.made.clear()
            super().on_close()

    async with serve(form, Opening, websocket_ping_interval=interval) as served:
        client = socket.create_connection(("127.0.0.1", served.port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets it
        client.sendall(request())
        await served.until_closed()
        assert served.events == ["open", ("close", None, None)]
        await asyncio.sleep(0.05)
    assert not caplog.records


@scenario
async def test_it_is_not_over_before_its_handler_knows(form):
    """A server that stops waits for that: what `on_close` needs must still be there."""
    protocols = []

    class Opening(Witness):
        def open(self, *args):
            super().open()
            protocols.append(self.ws_connection)

    async with serve(form, Opening) as served:
        async with connect(served.port):
            await served.until("open")
        while not protocols[0].is_over:
            await asyncio.sleep(0)
        assert served.events == ["open", ("close", None, None)]


@scenario
async def test_an_open_that_has_begun_ends_before_on_close(form):
    """The connection is lost just before that, but the handler is told just behind it."""

    class Slow(Witness):
        async def prepare(self):
            connection = self.request.connection
            (connection.stream.close if form.server == TORNADO else connection._connection.abort)()
            await asyncio.sleep(0)

        async def open(self, *args):
            super().open()
            await asyncio.sleep(0.02)
            self.events.append("opened")

    async with serve(form, Slow) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request())
        await served.until_closed()
        await asyncio.sleep(0.05)
        assert served.events in (["open", "opened", ("close", None, None)], [("close", None, None)])
        writer.close()


@scenario
async def test_what_an_open_raises_is_logged_though_its_client_has_left(form, caplog):
    class Opening(Witness):
        def prepare(self):
            client.close()

        def open(self, *args):
            raise ValueError

    async with serve(form, Opening) as served:
        client = socket.create_connection(("127.0.0.1", served.port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(request())
        await served.until_closed()
    assert [record.exc_info[0] for record in caplog.records] == [ValueError]


@scenario
@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["alone", "pipelined"])
async def test_a_client_that_stops_sending_before_the_answer(form, before):
    """Its EOF belongs to the WebSocket, as what it has sent does: otherwise nobody would end it."""

    class Slow(Witness):
        async def prepare(self):
            await asyncio.sleep(0.05)

    async with serve(form, Slow) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(before + request())
        writer.write_eof()
        data = await reader.read()  # until the server closes
        if b" 101 " in data:
            assert await served.until_closed() == (None, None)
        else:
            assert form.server == TORNADO  # for which the client has left
        writer.close()


@scenario
async def test_who_sends_no_more_behind_what_is_not_read_is_written_to_until_it_leaves(form, caplog):
    """Over TLS, too: an event loop's own throws away what is written."""

    class Busy(Witness):
        async def on_message(self, message):
            with contextlib.suppress(WebSocketClosedError):
                while True:
                    await self.write_message(message)
                    await asyncio.sleep(0.01)

    ours, theirs = tls_contexts()
    async with serve(form, Busy, ssl_options=ours) as served:
        address = ("127.0.0.1", served.port)
        reader, writer = await asyncio.open_connection(*address, ssl=theirs, server_hostname="localhost")
        writer.write(request() + frame(TEXT, "on") + frame(TEXT, "x" * 1000) * 200)
        await served.until("open")
        await asyncio.sleep(0.2)
        assert not served.closings
        end_below(writer)
        await reader.readexactly(1000)
        assert not served.closings
        writer.transport.abort()
        await served.until_closed()
    assert not caplog.records


@scenario
@pytest.mark.parametrize("waits", [True, False], ids=["waits", "goes-on"])
@pytest.mark.parametrize("end", [say_goodbye, say_nothing])
async def test_a_client_that_ends_and_reads_nothing_is_cut(form, end, waits, monkeypatch, caplog):
    """Over TLS: asyncio's transport tells nothing of what it still holds, and both throw away the rest."""
    monkeypatch.setattr(Exchange, "write_timeout", 1)

    class Pushes(Witness):
        def open(self, *args):
            super().open()
            self.pushing = asyncio.ensure_future(self.push())

        async def push(self):
            with contextlib.suppress(WebSocketClosedError):
                while True:
                    written = self.write_message(b"x" * 10_000, binary=True)
                    await (written if waits else asyncio.sleep(0.001))

    ours, _ = tls_contexts()
    async with serve(form, Pushes, ssl_options=ours) as served:
        with await asyncio.to_thread(deaf_client, served.port, request()) as client:
            await served.until("open")
            await asyncio.sleep(0.5)
            end(client)
            await served.until_closed()
            await served.handler.pushing
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


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
async def test_a_client_that_breaks_the_protocol(form, sent, code, monkeypatch):
    monkeypatch.setattr(module, "LINGER", 60)
    async with serve(form, websocket_max_message_size=1000) as served, connect(served.port) as client:
        client.send(frame(TEXT, "before"), sent, frame(TEXT, "after"))
        assert await client.read_text() == "before"
        assert (await client.read_close())[0] == code
        assert await client.read() is None
        client.writer.close()
        assert await served.until_closed() == (None, None)
        assert served.events[:-1] == ["open", "before"]


@scenario
async def test_the_close_frame_is_not_eaten_by_a_reset(form):
    async with serve(form, websocket_max_message_size=1000) as served, connect(served.port) as client:
        await served.until("open")
        protocol = served.handler.ws_connection
        client.send(frame(BINARY, bytes(3_000_000)))
        await client.writer.drain()
        assert (await client.read_close())[0] == 1009
        client.writer.close()
        await served.until_closed()
        assert protocol._parser.held < 1_000_000  # and what still comes is thrown away


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
        self.fail("closed")

    def fail(self, where):
        if where == self.where:
            kinds = {"cancel": asyncio.CancelledError, "closed": WebSocketClosedError}
            raise kinds.get(where, ValueError)(where)

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
@pytest.mark.parametrize("where", ["open", "closed", "message", "later", "cancel", "ping"])
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
@pytest.mark.parametrize("where", ["open", "on_message"])
async def test_a_callback_that_waited_for_something_that_was_cancelled_has_failed(form, where, caplog):
    class Waits(Witness):
        async def open(self, *args):
            super().open()
            await self.wait("open")

        async def on_message(self, message):
            await self.wait("on_message")

        async def wait(self, here):
            if here == where:
                shared = asyncio.get_running_loop().create_future()
                asyncio.get_running_loop().call_soon(shared.cancel)
                await shared

    async with serve(form, Waits) as served, connect(served.port) as client:
        client.text("a")
        assert await client.read_close() == (1011, "")
        client.writer.close()
        assert await served.until_closed() == (None, None)
    assert "await shared" in caplog.text


@scenario
async def test_an_open_that_is_cancelled(form, caplog):
    class Cancelled(Witness):
        async def open(self, *args):
            super().open()
            asyncio.current_task().cancel()
            await asyncio.sleep(10)

    async with serve(form, Cancelled) as served, connect(served.port) as client:
        assert await client.read() is None
        assert await served.until_closed() == (None, None)


@scenario
@pytest.mark.parametrize("where", ["open", "message", "left at once"])
async def test_a_get_of_the_handlers_own_goes_on_behind_on_close(form, where):
    class Wrapped(Witness):
        async def get(self, *args):
            async with self.place():
                await super().get(*args)

        @contextlib.asynccontextmanager
        async def place(self):
            self.events.append("taken")
            try:
                yield
            finally:
                self.events.append("given back")

        def open(self, *args):
            super().open()
            if where == "open":
                raise ValueError

    async with serve(form, Wrapped) as served, connect(served.port) as client:
        if where == "message":
            client.text("a")
            await served.until("a")
        elif where == "open":
            assert await client.read_close() == (1011, "")
        assert "given back" not in served.events
        client.writer.transport.abort()
        await served.until("given back")
    assert [event for event in served.events if event != "a"] == [
        *("taken", "open", ("close", None, None), "given back")
    ]


@pytest.mark.parametrize("how", ["timeout", "cancel"])
@scenario
async def test_a_get_of_the_handlers_own_that_is_cut_short_cuts_the_connection(form, how):
    """As with Tornado: after `on_close` it goes on, and raises nothing."""

    class Limited(Witness):
        async def get(self, *args):
            task = asyncio.current_task()
            if how == "cancel":
                asyncio.get_running_loop().call_later(0.1, task.cancel)
            async with asyncio.timeout(0.1 if how == "timeout" else None):
                await super().get(*args)
            self.events.append("gone on")

    async with serve(form, Limited) as served, connect(served.port) as client:
        assert await client.read() is None
        await served.until("gone on")
    assert served.events == ["open", ("close", None, None), "gone on"]


class Wrapped(Witness):
    """Says when its own `get` is over."""

    async def get(self, *args):
        try:
            await super().get(*args)
        finally:
            self.events.append("over")


@scenario
async def test_a_get_of_the_handlers_own_is_over_when_there_is_no_websocket(form, caplog):
    async with serve(form, Wrapped) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request(drop=["Sec-WebSocket-Key"]))
        await served.until("over")
        writer.close()
    assert not caplog.records


@scenario
async def test_a_get_of_the_handlers_own_is_over_when_its_client_left_before_the_answer(form):
    class Slow(Wrapped):
        async def prepare(self):
            self.events.append("prepare")
            while not served.closings:  # until the server has heard of it
                await asyncio.sleep(0.005)

    async with serve(form, Slow) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request())
        await served.until("prepare")
        writer.transport.abort()
        await served.until("over")
    assert served.events == ["prepare", ("close", None, None), "over"]


@scenario
async def test_a_handler_that_fails_when_nobody_is_there(form, caplog):
    class Late(Witness):
        async def on_message(self, message):
            super().on_message(message)
            while not self.ws_connection.is_closing():
                await asyncio.sleep(0.005)
            raise ValueError(message)

    async with serve(form, Late) as served:
        async with connect(served.port) as client:
            client.text("a")
            await served.until("a")
            served.handler.ws_connection._transport.abort()
        assert await served.until_closed() == (None, None)


@scenario
async def test_a_handler_that_fails_when_its_client_sends_no_more(form, caplog):
    class Late(Witness):
        async def on_message(self, message):
            while not self.ws_connection.client_has_left:
                await asyncio.sleep(0.005)
            raise ValueError(message)

    async with serve(form, Late) as served, connect(served.port) as client:
        client.text("a")
        client.writer.write_eof()
        if form.server != TORNADO:  # whose stream is closed at once
            assert await client.read_close() == (1011, "")
        assert await client.read() is None
        assert await served.until_closed() == (None, None)


@scenario
async def test_a_handler_that_fails_when_all_is_over(form, caplog):
    async with serve(form, Failing) as served, connect(served.port, path="/close") as client:
        client.send(close(1000))
        assert await client.read_close() == (1000, "")
        assert await served.until_closed() == (1000, None)
    [record] = caplog.records
    assert (record.name, record.exc_info[0]) == ("tornado.application", ValueError)


@scenario
async def test_nothing_is_written_while_the_transport_says_that_there_is_room(form, monkeypatch):
    """If a write fails during that call, as its client has left, asyncio's transport logs an error."""
    written, resume = [], module.WebSocketProtocol.resume_writing

    def watched(protocol):
        before = count_waiting(protocol)
        resume(protocol)
        written.append(before - count_waiting(protocol))

    def count_waiting(protocol):
        return protocol._writer.unsent - protocol._transport.get_write_buffer_size()

    class Talker(Witness):
        def open(self, *args):
            super().open(*args)
            for _ in range(200):
                self.write_message(b"x" * 60_000, binary=True)

    monkeypatch.setattr(module.WebSocketProtocol, "resume_writing", watched)
    async with serve(form, Talker) as served, connect(served.port) as client:
        for _ in range(200):
            await client.read()
    assert written
    assert not any(written)

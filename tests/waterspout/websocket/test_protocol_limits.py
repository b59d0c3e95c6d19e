"""What is bounded in one connection, on real sockets."""

import asyncio
import gc
import sys
import weakref
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest
from tornado.websocket import WebSocketClosedError

from tests.waterspout.websocket.raw import (
    BINARY,
    PING,
    PONG,
    TEXT,
    connect,
    frame,
)
from tests.waterspout.websocket.serving import Witness, scenario, serve
from waterspout.http.exchange import Exchange
from waterspout.system.turns import _FOR_NEWCOMERS
from waterspout.websocket import protocol as module
from waterspout.websocket.deflate import Agreement, Deflater, Inflater
from waterspout.websocket.protocol import READ_AHEAD, TURN, WebSocketProtocol
from waterspout.websocket.writer import UNSENT, UNSENT_MESSAGES


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


class Echo(Witness):
    def on_message(self, message):
        super().on_message(message)
        self.write_message(bytes(1_000_000), binary=True)


@scenario
async def test_who_asks_and_does_not_read_is_heard_no_more_until_it_does(form):
    """What its handler sends without waiting would pile up: 200 MB here."""
    async with serve(form, Echo) as served, connect(served.port) as client:
        await served.until("open")
        client.transport.pause_reading()
        client.send(*[frame(TEXT, str(number)) for number in range(200)])
        protocol = served.handler.ws_connection
        while not protocol._unheard:
            await asyncio.sleep(0.005)
        assert 0 < protocol.unsent <= UNSENT + 1_000_000
        await asyncio.sleep(0.3)
        assert protocol.unsent <= UNSENT + 1_000_000
        client.send(frame(PING, "there?"))
        client.transport.resume_reading()
        for _ in range(200):
            assert await client.read() == (BINARY, bytes(1_000_000))
        assert await client.read() == (PONG, b"there?")
        assert served.events[1:-1] == list(map(str, range(200)))


class Answers(Witness):
    def on_message(self, message):
        super().on_message(message)
        self.write_message(message * 1000)


@scenario
async def test_so_is_who_asks_for_many_small_ones(form):
    """For each unsent message there is a future, however small it is."""
    many = 20_000
    async with serve(form, Answers) as served, connect(served.port) as client:
        await served.until("open")
        client.transport.pause_reading()
        client.send(*[frame(TEXT, "a")] * many)
        protocol = served.handler.ws_connection
        while not protocol._unheard:
            await asyncio.sleep(0.005)
        assert 0 < protocol.unsent < 2 * 1000 * UNSENT_MESSAGES
        await asyncio.sleep(0.5)
        assert protocol.unsent < 2 * 1000 * UNSENT_MESSAGES
        client.transport.resume_reading()
        for _ in range(many):
            assert await client.read() == (TEXT, b"a" * 1000)


class Tells(Witness):
    def on_message(self, message):
        super().on_message(message)
        if message == "history":
            for _ in range(20_000):
                self.write_message("x" * 1000)


@scenario
async def test_who_is_sent_much_is_heard_all_the_same(form):
    """What a handler sends unasked is not the client's doing."""
    async with serve(form, Tells) as served, connect(served.port) as client:
        client.transport.pause_reading()
        client.send(frame(TEXT, "history"))
        await served.until("history")
        client.send(frame(TEXT, "stop"))
        await served.until("stop")
        client.transport.abort()


@scenario
async def test_who_leaves_while_it_is_not_heard_has_left(form):
    async with serve(form, Echo) as served:
        async with connect(served.port) as client:
            await served.until("open")
            client.transport.pause_reading()
            client.send(*[frame(TEXT, str(number)) for number in range(200)])
            while not served.handler.ws_connection._unheard:
                await asyncio.sleep(0.005)
            client.transport.abort()
        await served.until_closed()


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


async def most_at_once(counts, whole):
    """The most that `counts`, where what is done is appended, grows by in an iteration, until `whole`."""
    most = before = 0
    while len(counts) < whole:
        await asyncio.sleep(0)
        most, before = max(most, len(counts) - before), len(counts)
    return most


@scenario
async def test_floods_of_many_clients_leave_the_loop_to_others(form, monkeypatch):
    monkeypatch.setattr("waterspout.system.turns._SHARE", 0)  # whatever else takes time
    async with serve(form, Witness) as served, AsyncExitStack() as opened:
        clients = [await opened.enter_async_context(connect(served.port)) for _ in range(100)]
        await served.until("open", 100)
        served.events.clear()
        for client in clients:
            client.send(frame(TEXT, "a") * 100)
        most = await most_at_once(served.events, 100 * 100)
        assert most <= (_FOR_NEWCOMERS + 1) * (module.TURNS + module.TURN) / module.FRAME_COST


class Compressing(Witness):
    def get_compression_options(self):
        return {}


@pytest.mark.parametrize("is_too_big", [False, True])
@scenario
async def test_compressed_messages_of_many_clients_are_decompressed_one_at_a_time(
    form, is_too_big, monkeypatch
):
    """Ten megabytes of zeros are ten kilobytes on the wire, and take 25 ms."""
    monkeypatch.setattr("waterspout.system.turns._SHARE", 0)  # whatever else takes time
    inflate, inflated = Inflater.inflate, []
    monkeypatch.setattr(Inflater, "inflate", lambda *args: (inflated.append(1), inflate(*args))[1])
    message = Deflater(Agreement(), {}).deflate(bytes(10 * 1024 * 1024 + is_too_big))
    async with serve(form, Compressing) as served, AsyncExitStack() as opened:
        offered = {"Sec_WebSocket_Extensions": "permessage-deflate"}
        connections = [connect(served.port, **offered) for _ in range(10)]
        clients = [await opened.enter_async_context(each) for each in connections]
        await served.until("open", 10)
        for client in clients:
            client.send(frame(BINARY, message, rsv=4))
        assert await most_at_once(inflated, 10) <= 2


@scenario
async def test_an_idle_connection_has_no_task(form):
    before = asyncio.all_tasks()
    async with serve(form) as served, connect(served.port) as client:
        client.text("a")
        await client.read_text()
        await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == before


@scenario
async def test_an_idle_connection_is_small(form):
    async with serve(form) as served, connect(served.port) as client:
        client.text("a" * 10_000)
        await client.read_text()
        connection = served.handler.ws_connection
        parts = [connection, connection._parser, connection._writer, connection._context]
        assert not [part for part in parts if hasattr(part, "__dict__")]
        assert sum(map(sys.getsizeof, parts)) < 620
        assert (connection._parser._buffer, connection._parser._message) == (b"", None)


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


@scenario
async def test_a_client_that_takes_nothing_is_cut(form, monkeypatch):
    monkeypatch.setattr(module, "WRITE_TIMEOUT", 0.5)
    monkeypatch.setattr(Exchange, "write_timeout", 0.5)
    async with serve(form, Witness) as served, connect(served.port) as client:
        await served.until("open")
        client.transport.pause_reading()
        future = served.handler.write_message(bytes(30_000_000), binary=True)
        with pytest.raises(WebSocketClosedError):
            await future
        await served.until_closed()


@scenario
async def test_who_has_begun_to_read_in_the_middle_of_its_turn_gets_no_second_one(form):
    async with serve(form, Witness) as served, connect(served.port):
        await served.until("open")
        protocol = served.handler.ws_connection
        protocol.pause_writing()
        for _ in range(UNSENT_MESSAGES // 10):
            protocol.data_received(frame(TEXT, "a") * 10)
            await asyncio.sleep(0)
        protocol.data_received(frame(BINARY, bytes(TURN)) * 9)  # each takes a whole turn
        protocol.resume_writing()
        counts = [0]
        for _ in range(20):
            counts.append(served.events.count(bytes(TURN)))
            await asyncio.sleep(0)
        assert counts[-1] == 9
        assert max(after - before for before, after in pairwise(counts)) == 1

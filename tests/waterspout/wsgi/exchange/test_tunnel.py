"""A connection that a view has taken over, on a real socket; what passes over it is in tests/wire."""

import asyncio
import socket
import struct
from types import SimpleNamespace

import pytest
from tornado.iostream import IOStream

from tests.waterspout.wsgi.exchange.test_upload import FakeLane
from tests.waterspout.wsgi.jobs import wait_for
from waterspout.limits import TURNS_AT_ONCE
from waterspout.message.frame_ends import GOING_AWAY
from waterspout.message.record import Record
from waterspout.wsgi.exchange import tunnel as module
from waterspout.wsgi.exchange.tunnel import Tunnel
from waterspout.wsgi.exchange.upload import Upload

pytestmark = pytest.mark.gen_test(timeout=20)

PING = b"\x89\x00"
MUCH = bytes(20_000_000)


@pytest.fixture
def dig(io_loop):
    """Digs one tunnel: `client`, the other end of its socket; `lane` and `upload`, of its view; `left`, how
    often it was said that the client has left.
    """
    dug = []

    async def dig(write_timeout=60):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            stream = IOStream(listener.accept()[0])
        client.setblocking(False)
        ours = SimpleNamespace(client=client, stream=stream, lane=FakeLane(), upload=Upload(), left=0)
        ours.upload.attach(ours.lane)
        ours.record = Record("wsgi", "GET", "/", "127.0.0.1", "id")

        def leave():
            ours.left += 1

        ours.tunnel = Tunnel(stream, ours.record, ours.upload, leave, write_timeout)
        dug.append(ours)
        return ours

    yield dig
    for each in dug:
        each.tunnel.cut()
        each.client.close()
        io_loop.run_sync(lambda each=each: asyncio.wait([each.tunnel._reading]))


async def read(client, size):
    received = b""
    while len(received) < size and (piece := await asyncio.get_running_loop().sock_recv(client, 1_000_000)):
        received += piece
    return received


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def test_small_messages_go_out_at_once(dig):
    dug = await dig()
    assert dug.stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_what_the_view_sends_is_sent_and_counted(dig):
    dug = await dig()
    dug.tunnel.write(b"hello")
    dug.tunnel.write(b", world")
    assert await read(dug.client, 12) == b"hello, world"
    assert dug.record.bytes_sent == 12


async def test_no_more_is_read_than_the_view_asks_for(dig):
    dug = await dig()
    size = dug.client.send(bytes(300_000))
    await wait_for(lambda: dug.upload._held)
    for _ in range(100):
        await asyncio.sleep(0)
    assert sum(map(len, dug.upload._held)) <= 65_536
    dug.upload.grant(size)
    await wait_for(lambda: len(dug.lane.body) == size)


async def test_a_client_that_nobody_listens_to_leaves_the_event_loop_to_others(dig):
    dug = await dig()
    dug.upload.discard()
    received = []
    dug.upload.receive = lambda data: received.append(len(data))
    size = dug.client.send(bytes(300_000))
    while sum(received) < size:
        before = len(received)
        await asyncio.sleep(0)
        assert len(received) <= before + 1
    assert max(received) <= 16_384


async def test_neither_do_many_keep_it_from_others(dig, monkeypatch):
    """Tiny frames: to find where they end takes a millisecond for what is read at a time."""
    monkeypatch.setattr("waterspout.system.turns._SHARE", 0)  # whatever else takes time
    dug = [await dig() for _ in range(100)]
    received = []
    for each in dug:
        each.upload.receive = lambda data: received.append(len(data))
        each.client.send(PING * 10_000)
    while sum(received) < 100 * 20_000:
        before = len(received)
        await asyncio.sleep(0)
        assert len(received) <= before + 2 * TURNS_AT_ONCE


@pytest.mark.parametrize("is_sent_by", ["the client", "the view"])
async def test_one_in_use_is_not_wound_up(dig, is_sent_by):
    dug = await dig()
    dug.upload.grant(1000)
    dug.tunnel.wind_up()
    if is_sent_by == "the client":
        dug.client.send(PING)
        await wait_for(lambda: dug.lane.body)
    else:
        dug.tunnel.write(PING)
    dug.tunnel.wind_up()
    assert not dug.lane.ended
    dug.tunnel.wind_up()
    assert dug.lane.ended
    assert dug.lane.body.removeprefix(PING) == GOING_AWAY


async def test_what_has_come_in_part_is_not_mixed_with_the_word_of_the_end(dig):
    dug = await dig()
    dug.upload.grant(1000)
    dug.client.send(PING[:1])
    await wait_for(lambda: dug.lane.body)
    dug.tunnel.wind_up()
    dug.tunnel.wind_up()
    assert dug.lane.ended
    assert dug.lane.body == PING[:1]


async def test_the_view_is_told_that_its_client_sends_no_more(dig):
    dug = await dig()
    dug.client.shutdown(socket.SHUT_WR)
    await wait_for(lambda: dug.lane.ended)
    dug.tunnel.wind_up()
    dug.tunnel.wind_up()
    assert (dug.lane.body, dug.left, dug.tunnel.finished) == (b"", 0, False)


async def test_that_its_client_has_left_is_said_once(dig):
    dug = await dig()
    reset(dug.client)
    await wait_for(lambda: dug.left)
    dug.tunnel.write(b"to nobody")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (dug.left, dug.tunnel.finished, dug.upload.discarding) == (1, True, True)


async def test_so_it_is_when_the_view_sends_to_one_that_has_closed(dig):
    dug = await dig()
    dug.client.close()
    await wait_for(lambda: dug.lane.ended)
    while not dug.left:
        dug.tunnel.write(b"to nobody")
        await asyncio.sleep(0.005)


async def test_a_client_that_leaves_behind_the_last_has_not_left(dig):
    dug = await dig()
    dug.tunnel.write(b"last")
    dug.tunnel.finish()
    reset(dug.client)
    await dug.tunnel._ending
    assert dug.left == 0
    assert dug.stream.closed()


async def test_it_ends_with_the_client(dig, monkeypatch):
    monkeypatch.setattr(module, "LINGER", 60)
    dug = await dig()
    dug.tunnel.write(MUCH)
    dug.tunnel.finish()
    dug.tunnel.finish()
    assert await read(dug.client, len(MUCH) + 1) == MUCH
    assert not dug.stream.closed()
    dug.client.send(b"the answer to a Close")
    dug.client.close()
    await dug.tunnel._ending
    assert dug.stream.closed()


@pytest.mark.parametrize("what", ["LINGER", "write_timeout"])
async def test_or_without_it(dig, monkeypatch, what):
    monkeypatch.setattr(module, "LINGER", 0.05 if what == "LINGER" else 60)
    dug = await dig(0.05 if what == "write_timeout" else 60)
    dug.tunnel.write(MUCH if what == "write_timeout" else b"last")
    dug.tunnel.finish()
    await asyncio.wait_for(dug.tunnel._ending, 10)
    assert dug.stream.closed()


async def test_it_tells_when_all_has_been_taken(dig):
    dug, told = await dig(), []
    assert dug.tunnel.when_flushed(lambda: told.append("at once"))
    dug.tunnel.write(MUCH)
    assert not dug.tunnel.when_flushed(lambda: told.append("later"))
    assert await read(dug.client, len(MUCH)) == MUCH
    await wait_for(lambda: told == ["later"])
    dug.tunnel.cut()
    assert dug.tunnel.when_flushed(lambda: told.append("never"))
    assert dug.tunnel.finished
    assert await read(dug.client, 1) == b""

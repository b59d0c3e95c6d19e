"""What is written to a transport, and what waits for room in it."""

import asyncio
import gc

import pytest
from tornado.websocket import WebSocketClosedError

from tests.waterspout.websocket.raw import BINARY, PING, PONG, TEXT
from tests.waterspout.websocket.serving import FORMS, scenario
from waterspout.limits import JOINED_SIZE
from waterspout.websocket import writer as module
from waterspout.websocket.writer import UNSENT_MESSAGES, WRITE_TURN, FrameWriter


@pytest.fixture(params=FORMS[:1], ids=lambda form: form.name)
def form(request):
    return request.param


class Transport(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.written = []
        self.unsent = 0
        self.closing = False

    def write(self, data):
        self.written.append(bytes(data))

    def is_closing(self):
        return self.closing

    def abort(self):
        self.closing = True

    def get_write_buffer_size(self):
        return self.unsent


@scenario
async def test_small_messages_are_one_write_and_large_ones_two(form):
    writer = FrameWriter(transport := Transport(), None)
    assert writer.send_message(TEXT, b"a").done()
    writer.send_message(BINARY, bytes(JOINED_SIZE + 1))
    assert [len(piece) for piece in transport.written] == [3, 10, JOINED_SIZE + 1]


@scenario
async def test_messages_for_a_slow_client_are_joined(form):
    """From Python 3.12 on asyncio adds up the sizes of all unsent pieces at every write."""
    writer = FrameWriter(transport := Transport(), None)
    writer.pause()
    futures = [writer.send_message(TEXT, b"a") for _ in range(1000)]
    large = writer.send_message(BINARY, bytes(JOINED_SIZE + 1))
    last = writer.send_message(TEXT, b"z")
    assert (writer.unsent, transport.written) == (3000 + 10 + JOINED_SIZE + 1 + 3, [])
    writer.resume()
    assert [len(piece) for piece in transport.written] == [3010, JOINED_SIZE + 1, 3]
    assert all(future.done() for future in (*futures, large, last))
    assert writer.unsent == 0


@scenario
async def test_a_client_is_heard_again_when_nothing_waits_for_it(form):
    class Small(Transport):
        def write(self, data):
            super().write(data)
            writer.pause()

    writer = FrameWriter(Small(), None)
    writer.pause()
    for _ in range(3):
        writer.send_message(BINARY, bytes(JOINED_SIZE + 1))
    heard = [writer.is_full() for _ in range(UNSENT_MESSAGES)]
    assert not any(heard)
    for _ in range(6):
        assert not writer.resume()
        assert writer.is_full()
    assert writer.resume()
    assert not writer.is_full()


@scenario
async def test_a_transport_that_is_full_again_gets_no_more(form):
    class Small(Transport):
        def write(self, data):
            super().write(data)
            writer.pause()

    writer = FrameWriter(transport := Small(), None)
    writer.pause()
    for _ in range(3):
        future = writer.send_message(BINARY, bytes(JOINED_SIZE + 1))
    writer.resume()
    assert len(transport.written) == 1
    assert not future.done()
    for _ in range(5):
        writer.resume()
    assert len(transport.written) == 6
    assert not future.done()
    writer.resume()
    assert future.done()


@scenario
async def test_a_close_frame_goes_behind_all_that_waits(form):
    writer = FrameWriter(transport := Transport(), None)
    writer.pause()
    writer.send_message(TEXT, b"a")
    writer.send_close(1000, None)
    assert transport.written == [b"\x81\x01a\x88\x02\x03\xe8"]


@scenario
async def test_nothing_is_sent_behind_a_close_frame(form):
    writer = FrameWriter(transport := Transport(), None)
    writer.send_close(1000, None)
    writer.send_close(1001, None)
    writer.send_control(PING, b"")
    writer.answer_ping(b"")
    assert transport.written == [b"\x88\x02\x03\xe8"]


@scenario
async def test_nothing_is_written_to_a_transport_that_closes(form):
    writer = FrameWriter(transport := Transport(), None)
    transport.closing = True
    writer.send_message(TEXT, b"a")
    assert transport.written == []


@scenario
async def test_nor_what_has_waited_for_it(form):
    writer = FrameWriter(transport := Transport(), None)
    writer.pause()
    writer.send_message(TEXT, b"a")
    transport.abort()
    writer.send_close(1000, None)
    assert transport.written == []


@scenario
async def test_all_who_wait_are_told_of_room(form):
    writer = FrameWriter(Transport(), None)
    writer.pause()
    futures = [writer.send_message(TEXT, b"a") for _ in range(3)]
    futures[0].cancel()
    assert [future.done() for future in futures] == [True, False, False]
    writer.resume()
    assert [future.done() for future in futures] == [True, True, True]
    assert writer.send_message(TEXT, b"a").done()


@scenario
async def test_all_who_wait_are_told_of_the_end(form):
    writer = FrameWriter(Transport(), None)
    writer.pause()
    futures = [writer.send_message(TEXT, b"a") for _ in range(3)]
    futures[0].cancel()
    writer.lose()
    for future in futures[1:]:
        with pytest.raises(WebSocketClosedError):
            await future
    del futures, future
    gc.collect()


@scenario
async def test_only_the_last_ping_is_answered_when_there_is_room(form):
    writer = FrameWriter(transport := Transport(), None)
    writer.pause()
    writer.answer_ping(b"1")
    writer.answer_ping(b"2")
    assert transport.written == []
    writer.resume()
    assert transport.written == [bytes([0x80 | PONG, 1]) + b"2"]


@scenario
async def test_every_now_and_then_others_have_a_turn(form):
    writer = FrameWriter(Transport(), None)
    futures = [writer.send_message(TEXT, b"a") for _ in range(WRITE_TURN * 2)]
    late = [future for future in futures if not future.done()]
    assert len(late) == 2
    late[0].cancel()
    await asyncio.sleep(0)
    assert late[1].done()


@scenario
async def test_only_who_takes_nothing_is_cut(form):
    writer = FrameWriter(transport := Transport(), None, 1.0)
    writer.send_message(BINARY, bytes(1000))
    transport.unsent = 1000
    writer.pause()
    for _ in range(20):
        await asyncio.sleep(0.1)
        transport.unsent -= 10
    assert not transport.closing
    while not transport.closing:
        await asyncio.sleep(0.01)


class Encrypting(Transport):
    """As asyncio's and uvloop's for TLS: what is unsent is encrypted, which is more than was written."""

    def get_extra_info(self, name, default=None):
        return self if name == "ssl_object" else default

    def write(self, data):
        self.unsent += len(data) + 22


@scenario
async def test_what_encryption_adds_is_no_sign_of_the_client(form):
    writer = FrameWriter(transport := Encrypting(), None, 1.0)
    writer.pause()
    async with asyncio.timeout(10):
        while not transport.closing:
            writer.send_message(TEXT, b"unasked")
            await asyncio.sleep(0.01)


@scenario
async def test_nor_is_what_tls_passes_on_to_the_kernel_held_against_one_that_reads(form, monkeypatch):
    """What is within TLS counts as taken, until it is found in the kernel: now and then there is less."""
    transport = Encrypting()
    transport.held = 200_000
    monkeypatch.setattr(module, "held_by_kernel", lambda _: transport.held)
    writer = FrameWriter(transport, None, 1.0)
    writer.pause()
    for step in range(6):
        await asyncio.sleep(0.6)
        transport.held += 100_000 if step % 2 else -36_000
    assert not transport.closing


@scenario
async def test_who_has_taken_all_is_not_watched(form):
    writer = FrameWriter(transport := Transport(), None, 0.1)
    writer.pause()
    writer.resume()
    await asyncio.sleep(0.3)
    assert not transport.closing


@scenario
async def test_who_takes_less_than_is_written_takes_something(form):
    """Frames count whole, with their headers: small messages are little else."""

    class Filling(Transport):
        def write(self, data):
            self.unsent += len(data)

    transport = Filling()
    writer = FrameWriter(transport, None, 1.0)
    writer.pause()
    for _ in range(150):
        writer.send_message(BINARY, b"a" * 10)
        transport.unsent -= 1
        await asyncio.sleep(0.01)
    assert not transport.closing

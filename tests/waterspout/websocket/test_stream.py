"""An `IOStream` as a transport, over a socket pair."""

import asyncio
import contextlib
import socket

import pytest
from tornado.iostream import IOStream

from tests.waterspout.websocket.serving import FORMS, scenario
from waterspout.websocket.stream import StreamTransport


@pytest.fixture(params=FORMS[:2], ids=lambda form: form.name)
def form(request):
    return request.param


class Journal(asyncio.Protocol):
    """Records what its transport calls."""

    def __init__(self):
        self.calls = []
        self.received = b""

    def connection_made(self, transport):
        self.transport = transport
        self.calls.append("made")

    def data_received(self, data):
        self.received += data

    def connection_lost(self, exc):
        self.calls.append("lost")

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append("resume")

    async def until(self, call):
        while call not in self.calls:
            await asyncio.sleep(0.001)

    async def until_received(self, size):
        while len(self.received) < size:
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def connected():
    """A protocol on a StreamTransport, and the other end as asyncio's streams."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    journal = Journal()
    stream = IOStream(ours)
    StreamTransport(stream, journal)
    reader, writer = await asyncio.open_connection(sock=theirs)
    try:
        yield journal, reader, writer
    finally:
        writer.transport.abort()
        stream.close()
        await journal.until("lost")
        await asyncio.sleep(0.01)
        assert journal.calls.count("lost") == 1
        assert journal.calls[-1] == "lost"


@scenario
async def test_bytes_go_both_ways(form):
    async with connected() as (journal, reader, writer):
        assert journal.calls == ["made"]
        journal.transport.write(b"there")
        journal.transport.write(memoryview(b" we go"))
        assert await reader.readexactly(11) == b"there we go"
        writer.write(b"and back")
        await journal.until_received(8)
        assert journal.received == b"and back"


@scenario
async def test_what_had_come_before_is_read(form):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    stream = IOStream(ours)
    theirs.sendall(b"head\r\nrest")
    assert await stream.read_until(b"\r\n") == b"head\r\n"
    journal = Journal()
    StreamTransport(stream, journal)
    await journal.until_received(4)
    assert journal.received == b"rest"
    theirs.close()
    await journal.until("lost")


@scenario
async def test_a_full_socket_pauses_writing(form):
    async with connected() as (journal, reader, _writer):
        transport = journal.transport
        transport.write(bytes(5_000_000))
        assert journal.calls == ["made", "pause"]
        assert transport.get_write_buffer_size() == 5_000_000 > transport.get_write_buffer_limits()[1]
        await reader.readexactly(5_000_000)
        await journal.until("resume")
        assert transport.get_write_buffer_size() == 0


@scenario
async def test_reading_can_be_paused(form):
    async with connected() as (journal, _reader, writer):
        journal.transport.pause_reading()
        assert not journal.transport.is_reading()
        writer.write(b"x" * 1_000_000)
        await asyncio.sleep(0.05)
        assert journal.received == b""
        journal.transport.resume_reading()
        journal.transport.resume_reading()
        assert journal.transport.is_reading()
        await journal.until_received(1_000_000)


@scenario
async def test_a_paused_reader_holds_little(form):
    async with connected() as (journal, _reader, writer):
        journal.transport.pause_reading()
        writer.write(bytes(20_000_000))
        await asyncio.sleep(0.1)
        assert writer.transport.get_write_buffer_size() > 18_000_000


@scenario
async def test_what_came_before_the_end_is_handed_on(form):
    async with connected() as (journal, _reader, writer):
        journal.transport.pause_reading()
        writer.write(b"x" * 100_000)
        await asyncio.sleep(0.02)
        journal.transport.resume_reading()
        writer.close()
        await journal.until("lost")
        assert journal.received == b"x" * 100_000


@scenario
async def test_close_sends_out_what_was_written(form):
    async with connected() as (journal, reader, _writer):
        journal.transport.write(bytes(3_000_000))
        journal.transport.close()
        journal.transport.write(b"too late")
        assert journal.transport.is_closing()
        assert len(await reader.read(-1)) == 3_000_000
        await journal.until("lost")


@scenario
async def test_nothing_is_handed_on_after_close(form):
    async with connected() as (journal, reader, writer):
        journal.transport.write(bytes(3_000_000))
        journal.transport.close()
        writer.write(b"too late")
        await reader.read(-1)
        await journal.until("lost")
        assert journal.received == b""


@scenario
async def test_abort_does_not(form):
    async with connected() as (journal, reader, _writer):
        journal.transport.write(bytes(3_000_000))
        journal.transport.abort()
        journal.transport.abort()
        with contextlib.suppress(ConnectionError):
            assert len(await reader.read(-1)) < 3_000_000
        await journal.until("lost")


@scenario
async def test_the_sending_side_alone_can_be_closed(form):
    async with connected() as (journal, reader, writer):
        assert journal.transport.can_write_eof()
        journal.transport.write(bytes(3_000_000))
        journal.transport.write_eof()
        journal.transport.write(b"too late")
        assert len(await reader.read(-1)) == 3_000_000
        writer.write(b"still heard")
        await journal.until_received(11)
        assert "lost" not in journal.calls


@scenario
async def test_a_stream_that_was_closed_before(form):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    stream = IOStream(ours)
    stream.close()
    theirs.close()
    journal = Journal()
    transport = StreamTransport(stream, journal)
    assert transport.is_closing()
    assert journal.calls == ["made"]
    await journal.until("lost")
    assert transport.get_extra_info("socket", "gone") == "gone"


@scenario
async def test_what_is_known_of_the_socket(form):
    async with connected() as (journal, _reader, _writer):
        known = journal.transport.get_extra_info
        assert known("socket").family == socket.AF_UNIX
        assert known("peername") == ""
        assert known("ssl_object") is None
        assert known("unknown", 5) == 5


@scenario
async def test_of_a_client_that_has_left_there_is_no_name(form):
    def refuse():
        raise OSError(22, "Invalid argument")  # on macOS; elsewhere it is ENOTCONN

    async with connected() as (journal, *_):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket.socket, "getpeername", lambda sock: refuse())
            assert journal.transport.get_extra_info("peername", "nobody") == "nobody"

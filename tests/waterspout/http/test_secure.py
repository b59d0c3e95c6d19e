"""TLS on a plain transport: what passes through it, in which order, and how it ends."""

import asyncio
import contextlib
import ssl

import pytest

from tests.waterspout.http.harness import on_loops, until
from tests.waterspout.tls import tls_contexts
from waterspout.http import secure as module
from waterspout.http.secure import SecureTransport
from waterspout.system.transport import close_transport
from waterspout.system.turns import Turns

SERVER, CLIENT = tls_contexts()


class Above(asyncio.Protocol):
    """Keeps what it is told. `on_data`: called with it, and with each piece."""

    on_data = staticmethod(lambda above, data: None)
    keeps_open = False

    def __init__(self):
        self.events = []

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.events.append(data)
        self.on_data(self, data)

    def eof_received(self):
        self.events.append("eof")
        return self.keeps_open

    def pause_writing(self):
        self.events.append("full")

    def resume_writing(self):
        self.events.append("room")

    def connection_lost(self, exc):
        self.events.append("lost")

    @property
    def received(self):
        return b"".join(event for event in self.events if isinstance(event, bytes))


class Client:
    """Speaks TLS by itself: what it sends lies in packets as the test wants it."""

    def __init__(self, reader, writer, context=CLIENT):
        self.reader, self.writer = reader, writer
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._arrived, self._leaving)
        self.has_ended = False

    def take(self):
        """What is to be sent."""
        return self._leaving.read()

    async def receive(self):
        data = await self.reader.read(65536)
        self._arrived.write(data)
        if not data:
            self._arrived.write_eof()

    async def shake_hands(self, send=None):
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await (send or self.send)(self.take())
                await self.receive()
            else:
                return await (send or self.send)(self.take())

    async def send(self, data):
        self.writer.write(data)

    def encrypt(self, *pieces):
        """A record for each."""
        for piece in pieces:
            self.tls.write(piece)
        return self.take()

    def say_goodbye(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.take()

    async def read(self, size):
        """Decrypt so much, or until the server's close_notify."""
        found = bytearray()
        while len(found) < size:
            try:
                piece = self.tls.read(size - len(found))
            except ssl.SSLWantReadError:
                await self.receive()
                continue
            except ssl.SSLZeroReturnError:
                break
            if not piece:
                break
            found += piece
        return bytes(found)


@contextlib.asynccontextmanager
async def joined(make=Above, *, context=SERVER, client_context=CLIENT, shakes=True):
    """A client, and what is told of it: the protocols above, and the reasons of failed handshakes."""
    made, failures = [], []

    def make_above():
        made.append(make())
        return made[-1]

    server = await asyncio.get_running_loop().create_server(
        lambda: SecureTransport(context, make_above, failures.append, set(), Turns(1)), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    client = Client(reader, writer, client_context)
    try:
        if shakes:
            await client.shake_hands()
            await until(lambda: made)
        yield client, made, failures
    finally:
        writer.transport.abort()
        server.close()
        for above in made:
            above.transport.abort()
        await until(lambda: all("lost" in above.events for above in made))


@on_loops
async def test_byte_by_byte():
    async with joined(shakes=False) as (client, made, _failures):

        async def trickle(data):
            for position in range(len(data)):
                client.writer.write(data[position : position + 1])
                await asyncio.sleep(0)

        await client.shake_hands(trickle)
        await trickle(client.encrypt(b"hello", b"world"))
        await until(lambda: made and made[0].received == b"helloworld")
        made[0].transport.write(b"answer")
        assert await client.read(6) == b"answer"


@on_loops
async def test_records_of_one_packet_come_in_their_order_and_half_a_one_with_its_rest():
    async with joined() as (client, [above], _failures):
        whole = client.encrypt(b"1", b"2", b"x" * 40_000, b"3")
        client.writer.write(whole[:-5])
        await until(lambda: above.received == b"12" + b"x" * 40_000)
        client.writer.write(whole[-5:])
        await until(lambda: above.received == b"12" + b"x" * 40_000 + b"3")


@on_loops
async def test_who_pauses_between_two_records_gets_the_next_one_and_the_end_later():
    class Pauses(Above):
        @staticmethod
        def on_data(above, data):
            above.transport.pause_reading()

    async with joined(Pauses) as (client, [above], _failures):
        client.writer.write(client.encrypt(b"1", b"2", b"3") + client.say_goodbye())
        client.writer.write_eof()
        for count in range(1, 4):
            await until(lambda count=count: len(above.events) == count)
            assert not above.transport.is_reading()
            await asyncio.sleep(0.02)
            assert above.events == [b"1", b"2", b"3"][:count]
            above.transport.resume_reading()
        await until(lambda: above.events == [b"1", b"2", b"3", "eof", "lost"])


@pytest.mark.parametrize(
    "end",
    [
        SecureTransport.close,
        SecureTransport.abort,
        SecureTransport.write_eof,
        lambda transport: transport._plain.abort(),  # as it does by itself when a write fails
    ],
    ids=["close", "abort", "write_eof", "a write that fails"],
)
@on_loops
async def test_who_ends_amid_the_records_of_a_packet_gets_no_more_of_them(end):
    class Ends(Above):
        @staticmethod
        def on_data(above, data):
            if len(above.events) == 1:
                end(above.transport)

    async with joined(Ends) as (client, [above], _failures):
        client.writer.write(client.encrypt(b"1", b"2", b"3"))
        await until(lambda: above.events)
        await asyncio.sleep(0.05)
        assert above.events in ([b"1"], [b"1", "lost"])


@on_loops
async def test_a_protocol_that_takes_over_amid_a_packet_gets_the_rest():
    second = Above()

    class First(Above):
        @staticmethod
        def on_data(above, data):
            above.transport.set_protocol(second)

    async with joined(First) as (client, [first], _failures):
        client.writer.write(client.encrypt(b"1", b"2", b"3"))
        await until(lambda: second.received == b"23")
        assert first.events == [b"1"]
        client.writer.transport.abort()
        await until(lambda: second.events[-1] == "lost")
        first.events.append("lost")  # it has been told nothing more


@on_loops
async def test_half_a_close_leaves_the_other_half_open():
    """RFC 8446 section 6.1."""

    class Open(Above):
        keeps_open = True

    async with joined(Open) as (client, [above], _failures):
        client.writer.write(client.encrypt(b"all of it") + client.say_goodbye())
        await until(lambda: above.events == [b"all of it", "eof"])
        above.transport.write(b"x" * 100_000)
        above.transport.write_eof()
        above.transport.write(b"too late")
        assert not above.transport.is_closing()
        assert await client.read(200_000) == b"x" * 100_000  # and then the server's close_notify
        above.transport.close()


@on_loops
async def test_what_comes_behind_our_end_can_be_thrown_away():
    async with joined() as (client, [above], _failures):
        above.transport.write(b"refused")
        above.transport.write_eof()
        client.writer.write(client.encrypt(*(b"x" * 10_000 for _ in range(100))))
        await until(lambda: len(above.received) >= 1_000_000)
        assert await client.read(100) == b"refused"


@on_loops
async def test_what_the_client_has_not_taken_is_known_to_the_byte():
    async with joined() as (client, [above], _failures):
        size = 16 * 1024 * 1024
        above.transport.write(bytes(size))
        held = above.transport.get_write_buffer_size()
        assert 0 < held < size * 1.01
        assert above.events == ["full"]
        above.transport.close()
        assert above.transport.is_closing()
        assert above.transport.get_write_buffer_size() > held  # its close_notify
        assert await client.read(size + 1) == bytes(size)
        await until(lambda: above.events[-1] == "lost")


@pytest.mark.parametrize("end", ["goodbye", "silence"])
@on_loops
async def test_the_client_s_end_is_an_eof_with_a_goodbye_or_without(end):
    async with joined() as (client, [above], _failures):
        client.writer.write(client.encrypt(b"1") + (client.say_goodbye() if end == "goodbye" else b""))
        client.writer.write_eof()
        await until(lambda: above.events == [b"1", "eof", "lost"])


@pytest.mark.parametrize("behind", [b"\x17\x03\x03\x00\x20" + bytes(32), b"no record"])
@on_loops
async def test_what_comes_behind_the_client_s_end_is_ignored_and_not_kept(behind):
    """RFC 8446 section 6.1."""

    class Open(Above):
        keeps_open = True

    async with joined(Open) as (client, [above], _failures):
        client.writer.write(client.encrypt(b"1") + client.say_goodbye() + behind)
        await until(lambda: above.events == [b"1", "eof"])
        for _ in range(3):
            client.writer.write(behind * 1000)
            await asyncio.sleep(0.02)
            above.transport.pause_reading()
            above.transport.resume_reading()
        assert above.events == [b"1", "eof"]
        assert above.transport._arrived.pending == 0


class Counts(Above):
    """How many records it gets in one turn of the loop, at most."""

    most = count = seen = turns = 0

    async def count_turns(self):
        while True:
            self.turns += 1
            await asyncio.sleep(0)

    @staticmethod
    def on_data(above, data):
        above.count = above.count + 1 if above.seen == above.turns else 1
        above.seen, above.most = above.turns, max(above.most, above.count)


@contextlib.asynccontextmanager
async def counted(above, client, data):
    """The turns of `above`, once all of `data` has arrived."""
    above.transport.pause_reading()
    client.writer.write(data)
    await asyncio.sleep(0.1)
    counting = asyncio.ensure_future(above.count_turns())
    above.transport.resume_reading()
    yield
    counting.cancel()


@on_loops
async def test_many_small_records_leave_the_loop_to_others():
    async with joined(Counts) as (client, [above], _failures):
        counting = asyncio.ensure_future(above.count_turns())
        client.writer.write(client.encrypt(*[b"x"] * 3000))
        await until(lambda: len(above.events) == 3000)
        assert above.most <= 300
        counting.cancel()


@on_loops
async def test_so_do_large_ones():
    """uvloop reads 32 times in a turn, if that much has arrived."""
    async with joined(Counts) as (client, [above], _failures):
        data = client.encrypt(*[bytes(16_384)] * 256)
        async with counted(above, client, data):
            await until(lambda: len(above.received) == 256 * 16_384)
        assert above.most <= 20


@on_loops
async def test_so_do_those_that_tls_itself_has_to_answer(monkeypatch):
    """As it does each request for a new key: uvloop goes on to read for 2 MiB."""

    class Answering(ssl.SSLObject):
        def read(self, *args):
            data = super().read(*args)
            self.write(b"answer")
            return data

    monkeypatch.setattr(SERVER, "sslobject_class", Answering)
    async with joined(Counts) as (client, [above], _failures):
        data = client.encrypt(*[bytes(10_000)] * 100)
        async with counted(above, client, data):
            await until(lambda: len(above.received) == 1_000_000)
        assert above.most <= 10
        assert await client.read(600) == b"answer" * 100


@on_loops
async def test_a_protocol_that_fails_later_ends_the_connection():
    class Fails(Above):
        @staticmethod
        def on_data(above, data):
            above.transport.pause_reading()
            if len(above.events) == 2:
                raise ValueError("as a transport's protocol may")

    complaints = []
    async with joined(Fails) as (client, [above], _failures):
        loop = asyncio.get_running_loop()
        told = loop.get_exception_handler()
        loop.set_exception_handler(lambda _, context: complaints.append(context["exception"]))
        client.writer.write(client.encrypt(b"1", b"2", b"3"))
        await until(lambda: above.events == [b"1"])
        above.transport.resume_reading()
        await until(lambda: above.events == [b"1", b"2", "lost"])
        loop.set_exception_handler(told)
    assert [type(error) for error in complaints] == [ValueError]


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x17\x03\x03\x00\x20" + bytes(32)])
@on_loops
async def test_who_sends_what_is_no_tls_is_cut(garbage, caplog):
    async with joined() as (client, [above], _failures):
        client.writer.write(garbage)
        await until(lambda: above.events == ["lost"])
    assert not caplog.records


@on_loops
async def test_a_handshake_that_fails_is_answered_with_an_alert_and_its_reason_told():
    old = tls_contexts()[1]
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    new = tls_contexts()[0]
    new.minimum_version = ssl.TLSVersion.TLSv1_3
    async with joined(context=new, client_context=old, shakes=False) as (client, made, failures):
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await client.shake_hands()
        [reason] = failures
        assert isinstance(reason, ssl.SSLError)
        assert not made


@on_loops
async def test_a_handshake_has_its_time(monkeypatch):
    monkeypatch.setattr(module, "TLS_HANDSHAKE_TIMEOUT", 0.1)
    async with joined(shakes=False) as (client, made, failures):
        assert await client.reader.read() == b""
        assert [type(reason) for reason in failures] == [TimeoutError]
        assert not made


@on_loops
async def test_it_can_be_shut_down_without_its_loop():
    async with joined() as (client, [above], _failures):
        close_transport(above.transport)
        async with asyncio.timeout(5):
            await client.reader.read()


@on_loops
async def test_whose_connection_it_is_can_be_asked():
    async with joined() as (_client, [above], _failures):
        transport = above.transport
        assert transport.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert transport.get_extra_info("sslcontext") is SERVER
        assert transport.get_extra_info("peercert") is None
        assert transport.get_extra_info("cipher")[1] == "TLSv1.3"
        assert transport.get_extra_info("peername")[0] == "127.0.0.1"
        assert transport.get_protocol() is above
        assert transport.can_write_eof()
        transport.set_write_buffer_limits(high=10)
        assert transport.get_write_buffer_limits() == (2, 10)

"""TLS: the same server, behind a handshake."""

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
import time
from pathlib import Path

import pytest
import tornado.test
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler

from tests.waterspout.http.harness import (
    GET,
    Delegate,
    Silent,
    answering,
    on_loops,
    post,
    reply,
    serve,
    until,
)
from tests.waterspout.tls import deaf_client, end_below, say_goodbye, say_nothing, tls_contexts
from waterspout import limits
from waterspout.http import HTTPSettings
from waterspout.http.secure import SecureTransport

SERVER, CLIENT = tls_contexts()
FOLDER = Path(tornado.test.__file__).parent


@pytest.mark.parametrize(
    "options", [SERVER, {"certfile": str(FOLDER / "test.crt"), "keyfile": str(FOLDER / "test.key")}]
)
@on_loops
async def test_requests_over_tls(options):
    async with serve(ssl_options=options) as served, served.client(ssl=CLIENT) as client:
        for _ in range(3):
            client.send(post(b"body"))
            assert (await client.read_reply())[2] == b"/ body"
        assert served.delegates[0].exchange.context.protocol == "https"
        assert served.delegates[0].exchange.context.is_secure
        assert served.delegates[0].exchange.context.remote_ip == "127.0.0.1"


def first_message():
    """What a client sends first."""
    hello = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        CLIENT.wrap_bio(ssl.MemoryBIO(), hello).do_handshake()
    return hello.read()


@on_loops
async def test_of_many_handshakes_a_few_go_on_at_once(monkeypatch):
    """A client's first message costs it nothing, and us a signature."""
    monkeypatch.setattr("waterspout.system.turns._SHARE", 0)  # whatever else takes time
    first, taken = first_message(), []
    shake_hands = SecureTransport._shake_hands
    monkeypatch.setattr(SecureTransport, "_shake_hands", lambda self: taken.append(self) or shake_hands(self))
    async with serve(ssl_options=SERVER) as served, contextlib.AsyncExitStack() as opened:
        clients = [await opened.enter_async_context(served.client()) for _ in range(40)]
        for client in clients:
            client.send(first)
        most = 0
        while len(taken) < 40:
            before = len(taken)
            await asyncio.sleep(0)
            most = max(most, len(taken) - before)
        assert most <= limits.HANDSHAKES_AT_ONCE
        assert len(set(taken)) == 40


@on_loops
async def test_while_many_wait_no_more_are_accepted(monkeypatch):
    """In the backlog they cost nothing."""
    monkeypatch.setattr("waterspout.system.turns._SHARE", 0)  # whatever else takes time
    monkeypatch.setattr("waterspout.http.accepting.HANDSHAKES_WAITING", 4)
    monkeypatch.setattr("waterspout.http.accepting.ACCEPTS", 10)
    first, most = first_message(), 0
    with contextlib.ExitStack() as opened:
        async with serve(ssl_options=SERVER) as served:
            [listener] = served.server._listeners
            for _ in range(120):
                client = opened.enter_context(socket.create_connection(("127.0.0.1", served.port), 5))
                client.sendall(first)
            for _ in range(40):
                await asyncio.sleep(0)
                most = max(most, len(listener._turns))
    assert 0 < most <= 4 + 4 * 10  # some are accepted before the first of them says anything


@on_loops
async def test_large_bodies_both_ways():
    size = 8 * limits.MIB
    async with serve(ssl_options=SERVER) as served, served.client(ssl=CLIENT) as client:
        client.send(post(b"x" * size))
        assert len((await client.read_reply())[2]) == size + 2


@on_loops
async def test_a_client_that_does_not_read_holds_the_handler_back():
    async with (
        serve(Silent, ssl_options=SERVER) as served,
        served.client(ssl=CLIENT, limit=1024, receive=4096) as client,
    ):
        client.send(GET)
        await until(lambda: served.delegates)
        exchange = served.delegates[0].exchange
        data = b"x" * (8 * limits.MIB)
        headers = HTTPHeaders({"Content-Length": str(len(data))})
        future = exchange.write_headers(ResponseStartLine("", 200, "OK"), headers, data)
        await asyncio.sleep(0.05)
        assert not future.done()
        exchange.finish()
        assert len((await client.read_reply())[2]) == len(data)
        await future


@on_loops
async def test_a_client_without_tls_is_turned_away(caplog):
    async with serve(ssl_options=SERVER) as served:
        with caplog.at_level(logging.WARNING, "tornado.general"):
            async with served.client() as client:
                client.send(GET)
                with contextlib.suppress(ConnectionError):
                    assert b"HTTP" not in await client.rest()
            await until(lambda: "SSL Error" in caplog.text)
        assert served.delegates == []
        assert (await ask(served)).endswith(b"/ ")


@on_loops
async def test_handshakes_that_fail_for_one_reason_are_said_together(caplog):
    async def fail(served, data):
        async with served.client() as client:
            client.send(data)
            with contextlib.suppress(ConnectionError):
                await client.rest()

    async with serve(ssl_options=SERVER) as served:
        for _ in range(20):
            await fail(served, GET)
        await fail(served, b"\x16\x03\x01\x00\x00" + bytes(64))
        await until(lambda: len(caplog.messages) == 2)
        assert "HTTP_REQUEST" in caplog.messages[0]
        assert "HTTP_REQUEST" not in caplog.messages[1]
        assert "since the last such line" not in caplog.text
        [listener] = served.server._listeners
        for tally in listener._failures.values():
            tally._pause = 0  # as if the pause were over
        await fail(served, GET)
        await until(lambda: len(caplog.messages) == 3)
        assert caplog.messages[2].endswith(" (20 such since the last such line)")
        assert (await ask(served)).endswith(b"/ ")


LAST = GET.replace(b"Host", b"Connection: close\r\nHost")


async def ask(served, data=LAST):
    async with served.client(ssl=CLIENT) as client:
        client.send(data)
        return await client.rest()


@on_loops
async def test_a_certificate_that_has_gone_is_said_once(caplog):
    async with serve(ssl_options=SERVER) as served:
        served.server.ssl_options = {"certfile": "gone.pem"}
        for _ in range(3):
            async with served.client() as client:
                assert await client.rest() == b""
    [said] = [record.getMessage() for record in caplog.records]
    assert said.startswith("SSL Error with ('127.0.0.1', ")
    assert "No such file" in said


@on_loops
async def test_a_client_that_leaves_in_the_handshake():
    async with serve(ssl_options=SERVER) as served:
        for data in (b"", b"\x16\x03\x01"):
            async with served.client() as client:
                client.send(data)
                await asyncio.sleep(0.02)
        assert (await ask(served)).endswith(b"/ ")


@on_loops
async def test_a_client_that_leaves_is_told():
    async with serve(Silent, ssl_options=SERVER) as served:
        async with served.client(ssl=CLIENT) as client:
            client.send(GET)
            await until(lambda: served.delegates)
        await until(lambda: served.delegates[0].events == ["headers", "finish", "left"])
        async with served.client(ssl=CLIENT) as client:
            client.send(post(b"half", length=10))
            await until(lambda: len(served.delegates) == 2)
        await until(lambda: served.delegates[1].events == ["headers", 4, "gone"])


@on_loops
async def test_a_refusal_is_read_by_a_client_that_still_sends():
    async with (
        serve(max_body_size=10, ssl_options=SERVER) as served,
        served.client(ssl=CLIENT) as client,
    ):
        client.send(post(length=limits.MIB), b"x" * limits.MIB)
        await client.writer.drain()
        assert (await client.read_reply())[0] == 413
        assert await client.rest() == b""


@on_loops
async def test_a_late_answer_never_follows_a_refusal():
    settings = HTTPSettings(body_timeout=0.1)
    async with (
        serve(settings=settings, ssl_options=SERVER) as served,
        served.client(ssl=CLIENT) as client,
    ):
        client.send(post(b"x", length=10))
        assert (await client.read_reply())[0] == 408
        exchange = served.delegates[0].exchange
        headers = HTTPHeaders({"Content-Length": "2"})
        future = exchange.write_headers(ResponseStartLine("", 200, "OK"), headers, b"no")
        exchange.finish()
        assert isinstance(future.exception(), StreamClosedError)
        assert await client.rest() == b""


@on_loops
async def test_a_cut_reply_never_looks_whole():
    """A reply that ends with its connection: once cut, no close_notify may come (RFC 9112 section 9.8)."""

    def answer(exchange):
        exchange.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders(), b"half")
        asyncio.get_running_loop().call_later(0.02, exchange.cut)

    async with serve(answering(answer), ssl_options=SERVER) as served:
        assert not await asyncio.to_thread(ends_well, served.port)


@on_loops
async def test_a_whole_reply_ends_with_close_notify():
    async with serve(ssl_options=SERVER) as served:
        assert await asyncio.to_thread(ends_well, served.port)


def ends_well(port):
    """Whether the client of an HTTP/1.0 request is told that it has got everything."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        CLIENT.wrap_socket(plain, suppress_ragged_eofs=False) as secure,
    ):
        secure.sendall(b"GET / HTTP/1.0\r\n\r\n")
        try:
            while secure.recv(1000):
                pass
        except (ssl.SSLError, ConnectionError):
            return False
        return True


@on_loops
async def test_the_end_of_a_client_that_sends_no_more_is_no_matter_for_the_log(caplog):
    """asyncio warns of a protocol that wants to go on after the client's side of TLS has ended."""

    def answer(exchange):
        reply(exchange, b"x" * (4 * limits.MIB), fields={"Connection": "close"}.items())

    async with serve(answering(answer), ssl_options=SERVER) as served:
        async with served.client(ssl=CLIENT, limit=1024) as client:
            client.send(GET)
            await client.head()
            client.writer.close()
            await until(lambda: not served.server._open)
        assert "eof_received" not in caplog.text


def leave_much_unread(port):
    """Read nothing of a reply, say goodbye, pause, and read what still comes."""
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = CLIENT.wrap_bio(inward, outward)
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        raw.connect(("127.0.0.1", port))
        for _ in range(10):
            with contextlib.suppress(ssl.SSLWantReadError):
                secure.do_handshake()
                break
            raw.sendall(outward.read())
            inward.write(raw.recv(65536))
        secure.write(GET)
        raw.sendall(outward.read())
        time.sleep(0.5)
        with contextlib.suppress(ssl.SSLWantReadError):  # it does not wait for the server's goodbye
            secure.unwrap()
        raw.sendall(outward.read())
        time.sleep(0.3)
        with contextlib.suppress(OSError):
            while raw.recv(65536):
                pass


@on_loops
async def test_nor_is_one_that_does_so_with_much_unsent(caplog):
    """asyncio's transport has nothing to write with then, from Python 3.12 on, and tries it all the time."""

    def answer(exchange):
        exchange.write_headers(
            ResponseStartLine("HTTP/1.1", 200, "OK"), HTTPHeaders({"Content-Length": "8000000"})
        )
        for _ in range(8000):
            exchange.write(b"x" * 1000)

    async with serve(answering(answer), ssl_options=SERVER) as served:
        await asyncio.to_thread(leave_much_unread, served.port)
        await until(lambda: not served.server._open)
    assert not caplog.records


@on_loops
async def test_who_sends_no_more_behind_what_is_not_read_gets_all_that_is_written_until_it_leaves(caplog):
    """An event loop's own TLS throws it away, tells nobody, and asyncio's logs a line each time."""

    class Writes(Delegate):
        """And reads no more of the body."""

        def data_received(self, chunk):
            return self.ended.wait()

        def headers_received(self, start_line, headers):
            super().headers_received(start_line, headers)
            self.ended = asyncio.Event()
            self.task = asyncio.ensure_future(self.write())

        async def write(self):
            with contextlib.suppress(StreamClosedError):
                await self.exchange.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders())
                while True:
                    await self.exchange.write(b"x" * 100)
                    await asyncio.sleep(0.01)
            self.ended.set()

    async with serve(Writes, ssl_options=SERVER) as served, served.client(ssl=CLIENT) as client:
        client.send(post(bytes(300_000), length=300_001))
        await client.head()
        [delegate] = served.delegates
        await asyncio.sleep(0.2)
        assert not delegate.ended.is_set()
        end_below(client.writer)
        await client.reader.readexactly(5000)
        assert not delegate.ended.is_set()
        client.writer.transport.abort()
        await delegate.ended.wait()
    assert not caplog.records


@pytest.mark.parametrize("waits", [True, False], ids=["waits", "goes-on"])
@pytest.mark.parametrize("end", [say_goodbye, say_nothing])
@on_loops
async def test_who_ends_and_reads_nothing_is_cut_and_its_delegate_told(end, waits, caplog):
    """asyncio's transport tells nothing of what it still holds then; and writes into the void never wait."""

    class Writes(Delegate):
        def answer(self):
            self.task = asyncio.ensure_future(self.write())

        async def write(self):
            with contextlib.suppress(StreamClosedError):
                await self.exchange.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders())
                while "left" not in self.events:
                    for _ in range(20):  # so that the kernel's buffers, of some MiB, are soon full
                        written = self.exchange.write(b"x" * 10_000)
                    await (written if waits else asyncio.sleep(0.01))

    settings = HTTPSettings(write_timeout=1)
    async with serve(Writes, ssl_options=SERVER, settings=settings) as served:
        with await asyncio.to_thread(deaf_client, served.port, GET) as client:
            await asyncio.sleep(0.5)
            end(client)
            await until(lambda: not served.server._open)
            [delegate] = served.delegates
            await delegate.task
            assert delegate.events == ["headers", "finish", "left"]
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@on_loops
async def test_a_client_that_resets_leaves_the_loop_to_others():
    """Its handler never has to wait: it takes whatever is written as fast, and after that nobody does."""

    class Writes(Delegate):
        def answer(self):
            self.task = asyncio.ensure_future(self.write())

        async def write(self):
            await self.exchange.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders())
            with pytest.raises(StreamClosedError):
                for _ in range(1_000_000):  # an end, if nobody can stop it
                    await self.exchange.write(bytes(10_000))

    def read_and_reset(port):
        with deaf_client(port, GET) as client:
            client.settimeout(10)
            for _ in range(100):
                client.recv(65536)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with serve(Writes, ssl_options=SERVER) as served:
        for number in range(10):
            await asyncio.to_thread(read_and_reset, served.port)
            await served.delegates[number].task


@on_loops
async def test_stopping_with_a_handshake_under_way():
    async with serve(ssl_options=SERVER) as served, served.client() as client:
        client.send(b"\x16\x03\x01")
        await asyncio.sleep(0.02)
        served.server.stop()
        await served.server.drain(0.1)
        await served.server.close_all_connections()


@on_loops
async def test_a_client_whose_handshake_ends_during_a_stop_has_a_moment_to_ask():
    async with (
        serve(Silent, ssl_options=SERVER) as served,
        served.client() as late,
        served.client(ssl=CLIENT) as running,
    ):
        running.send(GET)
        await until(lambda: served.delegates)
        draining = asyncio.ensure_future(served.server.drain(10))
        await asyncio.sleep(0)
        await late.writer.start_tls(CLIENT, server_hostname="localhost")
        async with asyncio.timeout(limits.HEAD_TIMEOUT / 2):
            assert await late.rest() == b""
        assert not draining.done()
        reply(served.delegates[0].exchange)
        await draining


@on_loops
async def test_it_is_waited_for_though_nobody_else_is_there(monkeypatch):
    monkeypatch.setattr(limits, "DRAIN_IDLE", 10)
    async with serve(ssl_options=SERVER) as served, served.client() as late:
        await until(served.server.descriptors)
        served.server.stop()
        draining = asyncio.ensure_future(served.server.drain(10))
        await asyncio.sleep(0.05)
        assert not draining.done()
        await late.writer.start_tls(CLIENT, server_hostname="localhost")
        late.send(GET)
        assert (await late.read_reply())[0] == 200
        await draining


@on_loops
async def test_a_handshake_that_does_not_end_is_not_waited_for_longer_than_an_idle_client(monkeypatch):
    monkeypatch.setattr(limits, "DRAIN_IDLE", 0.1)
    async with serve(ssl_options=SERVER) as served, served.client():
        await until(served.server.descriptors)
        await served.server.drain(60)
        await served.server.close_all_connections()


@on_loops
async def test_nothing_is_left_of_connections():
    async with serve(Delegate, ssl_options=SERVER) as served:
        for _ in range(3):
            async with served.client(ssl=CLIENT) as client:
                client.send(GET)
                await client.read_reply()
        await until(lambda: not served.server._open)


@pytest.mark.parametrize("after", ["a reply", "a last reply", "a refusal", "nothing"])
@on_loops
async def test_a_client_that_does_not_say_goodbye_is_not_waited_for(after):
    requests = {
        "a reply": GET,
        "a last reply": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "a refusal": b"nonsense\r\n\r\n",
    }
    async with serve(ssl_options=SERVER) as served, served.client(ssl=CLIENT) as client:
        if after in requests:
            client.send(requests[after])
            await client.head()
        client.writer.transport.pause_reading()  # the server's close_notify is never read
        began = asyncio.get_running_loop().time()
        await served.server.drain(10)
        assert not served.server._open
        assert asyncio.get_running_loop().time() - began < 8


@on_loops
async def test_a_slow_client_gets_all_of_its_last_reply():
    size = 2 * limits.MIB
    answer = answering(lambda exchange: reply(exchange, bytes(size)))
    async with (
        serve(answer, ssl_options=SERVER) as served,
        served.client(ssl=CLIENT, limit=1024, receive=4096) as client,
    ):
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await client.head()
        left = size
        for _ in range(8):  # longer than the wait for a close_notify
            left -= len(await client.reader.readexactly(200_000))
            await asyncio.sleep(0.5)
        assert len(await client.rest()) == left


@on_loops
async def test_a_probe_that_connects_and_leaves_is_no_warning(caplog):
    async with serve(ssl_options=SERVER) as served:
        async with served.client():
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def begin_handshake(port):
    """A client's socket, and its TLS, with what that receives and sends: its last flight is to be sent."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = CLIENT.wrap_bio(incoming, outgoing, server_hostname="localhost")
    sock = socket.create_connection(("127.0.0.1", port), 10)
    while True:
        try:
            secure.do_handshake()
            return sock, secure, incoming, outgoing
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(65536))


@on_loops
async def test_a_client_that_resets_behind_its_first_request_leaves_no_handler_waiting(caplog):
    """What it has sent can still be read; the write behind its handshake fails. Its handler was told that it
    had left before it had begun, and then waited for ever.
    """
    begun = ended = 0

    class Waits(RequestHandler):
        async def get(self):
            nonlocal begun, ended
            begun += 1
            self.left = asyncio.Event()
            await self.left.wait()
            ended += 1

        def on_connection_close(self):
            self.left.set()

    async with serve(Application([("/", Waits)]), ssl_options=SERVER) as served:
        for _ in range(5):
            sock, secure, _, outgoing = await asyncio.to_thread(begin_handshake, served.port)
            secure.write(GET)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(outgoing.read())
            sock.close()
            await asyncio.sleep(0.05)
        await until(lambda: not served.server._open)
        assert begun == ended
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def ask_and_say_goodbye(port):
    """Send a request and close_notify in the same packet, and read until the server's own."""
    sock, secure, incoming, outgoing = begin_handshake(port)
    with sock:
        secure.write(GET)
        with contextlib.suppress(ssl.SSLError):
            secure.unwrap()
        sock.sendall(outgoing.read())
        found = bytearray()
        while True:
            try:
                piece = secure.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(sock.recv(65536) or b"no close_notify")
                continue
            except ssl.SSLZeroReturnError:
                return bytes(found)
            found += piece
            if not piece:
                return bytes(found)


@on_loops
async def test_who_says_goodbye_behind_a_request_gets_the_reply(caplog):
    """RFC 8446 section 6.1: it has closed one half of the connection."""
    size, found = 8 * limits.MIB, []

    class Large(RequestHandler):
        async def get(self):
            self.set_header("Content-Length", size)
            for _ in range(size // 65536):
                self.write(b"x" * 65536)
                await self.flush()

        def on_finish(self):
            found.append(self.request.connection.fell_short)

    async with serve(Application([("/", Large)]), ssl_options=SERVER) as served:
        for _ in range(3):
            answer = await asyncio.to_thread(ask_and_say_goodbye, served.port)
            assert answer.endswith(b"\r\n\r\n" + b"x" * size)
    assert found == [False] * 3
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("later", [False, True])
@on_loops
async def test_a_reply_that_comes_too_late_for_who_has_said_goodbye_fell_short(later):
    """It was written in vain, even in one piece."""
    found = []

    class Late(RequestHandler):
        async def get(self):
            self.set_header("Content-Length", 5)
            self.write("x" * 5)
            while not self.request.connection.stream.closed():
                await asyncio.sleep(0.005)
            if later:  # the event loop has reported it by now
                await asyncio.sleep(0.05)

        def on_finish(self):
            found.append(self.request.connection.fell_short)

    async with serve(Application([("/", Late)]), ssl_options=SERVER) as served:
        assert await asyncio.to_thread(ask_and_say_goodbye, served.port) == b""
        await until(lambda: found)
    assert found == [True]

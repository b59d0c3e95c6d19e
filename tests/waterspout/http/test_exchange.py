"""Replies: their heads and framing, what they refuse to write, and who is told when clients leave."""

import asyncio
import math
import socket
import struct

import pytest
from tornado.httputil import HTTPHeaders, HTTPOutputError, ResponseStartLine
from tornado.iostream import StreamClosedError

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
from waterspout import limits
from waterspout.http import HTTPSettings

OLD = b"GET / HTTP/1.0\r\n\r\n"


def write_head(exchange, status=200, chunk=None, **fields):
    headers = HTTPHeaders({name.replace("_", "-"): value for name, value in fields.items()})
    return exchange.write_headers(ResponseStartLine("", status, "OK"), headers, chunk)


def in_pieces(exchange):
    write_head(exchange, chunk=b"one")
    for piece in (b"", b"two", b"three"):
        exchange.write(piece)
    exchange.finish()


@on_loops
async def test_a_reply_of_unknown_length_is_chunked():
    async with serve(answering(in_pieces)) as served, served.client() as client:
        for _ in range(2):
            client.send(GET)
            _, fields, body = await client.read_reply()
            assert fields == {"transfer-encoding": "chunked"}
            assert body == b"onetwothree"


@on_loops
async def test_for_http_1_0_it_ends_with_the_connection():
    async with serve(answering(in_pieces)) as served:
        asked_for_more = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        assert await served.ask(OLD) == b"HTTP/1.1 200 OK\r\n\r\nonetwothree"
        told = await served.ask(asked_for_more)
        assert told == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nonetwothree"


@on_loops
async def test_for_http_1_0_that_asks_it_says_whether_the_connection_stays():
    """The status line says 1.1: without the field the client would assume it does (RFC 9112 section 9.3)."""
    async with serve() as served, served.client() as client:
        asked = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        client.send(asked)
        assert (await client.read_reply())[1]["connection"] == "Keep-Alive"
        served.server.draining = True
        client.send(asked)
        assert (await client.read_reply())[1]["connection"] == "close"
        assert await client.rest() == b""


@pytest.mark.parametrize("status", [204, 304])
@on_loops
async def test_replies_without_a_body(status):
    def answer(exchange):
        write_head(exchange, status)
        exchange.finish()

    async with serve(answering(answer)) as served, served.client() as client:
        for _ in range(2):
            client.send(GET)
            assert await client.head() == (status, {})


@pytest.mark.parametrize("fields", [{}, {"Content_Length": "100"}])
@on_loops
async def test_a_reply_to_head_has_no_body(fields):
    def answer(exchange):
        write_head(exchange, **fields)
        exchange.finish()

    async with serve(answering(answer)) as served, served.client() as client:
        for _ in range(2):
            client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            _, found = await client.head()
            assert found == {name.lower().replace("_", "-"): value for name, value in fields.items()}


@pytest.mark.parametrize("body", [b"four", b"sixsix"])
@on_loops
async def test_a_body_that_is_not_as_long_as_it_says_closes(body):
    raised = []

    def answer(exchange):
        with pytest.raises(HTTPOutputError):
            write_head(exchange, Content_Length="5")
            exchange.write(body)
            exchange.finish()
        raised.append(True)

    async with serve(answering(answer)) as served:
        data = await served.ask(GET + GET)
        assert raised == [True]
        assert len(data.partition(b"\r\n\r\n")[2]) < 5


@pytest.mark.parametrize(
    ("reason", "name", "value"),
    [
        ("OK", "X-A", "a\r\nX-B: b"),
        ("OK", "X-A", "a\nb"),
        ("OK", "X-A", "a\rb"),
        ("OK", "X-A", "a\0b"),
        ("OK", "X-A", "\u20ac"),
        ("O\r\nX-B: b", "X-A", "a"),
        ("OK", "Content-Length", "+5"),
        ("OK", "Content-Length", "5,5"),
    ],
)
@on_loops
async def test_a_head_that_would_say_something_else_is_not_written(reason, name, value):
    """And what is written instead is whole: nothing of the failed attempt is left."""

    def answer(exchange):
        headers = HTTPHeaders()
        headers._as_list[name] = [value]  # HTTPHeaders itself refuses most of these
        with pytest.raises(ValueError):
            exchange.write_headers(ResponseStartLine("", 200, reason), headers, b"body")
        reply(exchange, b"instead", 500)

    async with serve(answering(answer)) as served, served.client() as client:
        client.send(GET)
        status, fields, body = await client.read_reply()
        assert (status, fields, body) == (500, {"content-length": "7"}, b"instead")


@pytest.mark.parametrize("fields", [{}, {"Content_Length": "2"}])
@on_loops
async def test_an_informational_reply_comes_before_the_reply(fields):
    def answer(exchange):
        write_head(exchange, 103, Link="</x.css>")
        write_head(exchange, 200, b"ok", **fields)
        exchange.finish()

    async with serve(answering(answer)) as served, served.client() as client:
        for _ in range(2):
            client.send(GET)
            assert (await client.head())[0] == 103
            assert (await client.read_reply())[2] == b"ok"


@on_loops
async def test_http_1_0_gets_no_informational_reply():
    """RFC 9110 section 15.2: the client would take it for the reply."""

    def answer(exchange):
        write_head(exchange, 103, Link="</x.css>")
        write_head(exchange, 200, b"ok", Content_Length="2")
        exchange.finish()

    async with serve(answering(answer)) as served, served.client() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        status, _, body = await client.read_reply()
        assert (status, body) == (200, b"ok")


@pytest.mark.parametrize("said", ["keep-alive", "not-close, closed"])
@on_loops
async def test_what_a_handler_says_of_the_connection_gives_way_to_what_is_true(said):
    def answer(exchange):
        write_head(exchange, 200, b"ok", Connection=said, Content_Length="2")
        exchange.finish()

    async with serve(answering(answer)) as served, served.client() as client:
        client.send(GET)
        assert (await client.read_reply())[1] == {"content-length": "2"}


@pytest.mark.parametrize("said", ["close", "TE, Close"])
@on_loops
async def test_a_handler_can_end_the_connection(said):
    async with serve(
        answering(lambda exchange: reply(exchange, fields={"Connection": said}.items()))
    ) as served:
        data = await served.ask(GET + GET)
        assert data.count(b"HTTP/1.1") == data.count(b"Connection: " + said.encode()) == 1


@on_loops
async def test_a_reply_with_both_a_length_and_a_coding_is_the_last():
    """Else the client, who may believe either, could take a part of it for the next reply."""
    fields = {"Transfer-Encoding": "chunked"}
    async with serve(answering(lambda exchange: reply(exchange, fields=fields.items()))) as served:
        data = await served.ask(GET + GET)
        assert data.count(b"HTTP/1.1") == data.count(b"Connection: close") == 1


@on_loops
async def test_a_reply_in_one_write_and_one_of_judged_fields():
    def answer(exchange):
        if exchange.head.method == "POST":
            exchange.write_judged(200, 2, b"HTTP/1.1 200 OK\r\nx-Mixed: 1\r\ncontent-Length: 2\r\n", b"ok")
            exchange.finish()
            return
        size = 1_000_000
        exchange.write_reply(200, "OK", HTTPHeaders({"Content-Length": str(size)}), b"x" * size)

    async with serve(answering(answer)) as served, served.client() as client:
        for _ in range(2):
            client.send(post(b"x"))
            assert await client.reader.readuntil(b"\r\n\r\n") == (
                b"HTTP/1.1 200 OK\r\nx-Mixed: 1\r\ncontent-Length: 2\r\n\r\n"
            )
            assert await client.reader.readexactly(2) == b"ok"
            client.send(GET)
            assert len((await client.read_reply())[2]) == 1_000_000


@on_loops
async def test_a_finish_without_a_reply_closes():
    async with serve(answering(lambda exchange: exchange.finish())) as served:
        assert await served.ask(GET) == b""


@on_loops
async def test_writes_are_done_while_there_is_room_and_wait_when_there_is_none():
    async with serve(Silent) as served, served.client(limit=1024, receive=4096) as client:
        client.send(GET)
        await until(lambda: served.delegates)
        exchange = served.delegates[0].exchange
        assert write_head(exchange, Content_Length=str(8 * limits.MIB)).done()
        piece = b"x" * (8 * limits.MIB)
        future = exchange.write(piece)
        await asyncio.sleep(0.05)
        assert not future.done()
        assert exchange._connection._transport.get_write_buffer_size() < limits.MIB  # the rest by reference
        exchange.finish()
        status, _, body = await client.read_reply()
        assert (status, body == piece) == (200, True)
        await future


@on_loops
async def test_a_write_that_waits_fails_when_the_client_leaves():
    async with serve(Silent) as served, served.client(limit=1024, receive=4096) as client:
        client.send(GET)
        await until(lambda: served.delegates)
        exchange = served.delegates[0].exchange
        waits = [exchange.write(b"x" * (8 * limits.MIB)), exchange.write(b"y")]
        ignored = exchange.write(b"z")
        ignored.cancel()
        client.reset()
        for future in waits:
            with pytest.raises(StreamClosedError):
                await future
        with pytest.raises(StreamClosedError):
            await exchange.write(b"x")
        await until(lambda: served.delegates[0].events == ["headers", "finish", "left"])
        exchange.finish()


@on_loops
async def test_writes_fail_at_once_when_the_connection_has_been_closed():
    async with serve(Silent) as served, served.client() as client:
        client.send(GET)
        await until(lambda: served.delegates)
        exchange = served.delegates[0].exchange
        exchange.close()
        assert isinstance(exchange.write(b"x").exception(), StreamClosedError)
        assert isinstance(write_head(exchange).exception(), StreamClosedError)
        assert await client.rest() == b""


@on_loops
async def test_a_reply_without_end_ends_when_the_client_leaves():
    """Its handler never waits while there is room: the loop gets no turn to tell it that nobody is there."""
    client = socket.socket()
    writes = 0

    class Endless(Delegate):
        async def finish(self):
            nonlocal writes
            write_head(self.exchange)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            while writes < 20_000:
                await self.exchange.write(b"x" * 1000)
                writes += 1

    async with serve(Endless) as served:
        client.connect(("127.0.0.1", served.port))
        client.sendall(GET)
        await until(lambda: writes and not served.server._open)
        assert writes < 20_000


@on_loops
async def test_a_late_answer_never_follows_a_refusal():
    """The client gets a 408; then its handler, which has not noticed, answers."""

    class Late(Delegate):
        async def data_received(self, chunk):
            Delegate.data_received(self, chunk)

    settings = HTTPSettings(body_timeout=0.1)
    async with serve(Late, settings=settings) as served, served.client() as client:
        client.send(post(b"x", length=10))
        assert (await client.read_reply())[0] == 408
        exchange = served.delegates[0].exchange
        future = write_head(exchange, Content_Length="2", chunk=b"no")
        exchange.finish()
        assert isinstance(future.exception(), StreamClosedError)
        assert await client.rest() == b""


@pytest.mark.parametrize("how", ["reset", "close"])
@on_loops
async def test_a_client_that_leaves_is_told_once(how):
    async with serve(Silent) as served:
        for count in range(3):
            async with served.client() as client:
                client.send(GET)
                await until(lambda count=count: len(served.delegates) > count)
                if how == "reset":
                    client.reset()
        await until(lambda: [delegate.events.count("left") for delegate in served.delegates] == [1, 1, 1])
        await until(lambda: not served.server._open)  # told first, closed in a separate turn


@on_loops
async def test_a_client_that_leaves_after_the_reply_is_not_told():
    async with serve() as served:
        async with served.client() as client:
            client.send(GET)
            await client.read_reply()
        await until(lambda: not served.server._open)
        assert served.delegates[0].events == ["headers", "finish"]


@on_loops
async def test_a_cut_reply_never_looks_whole():
    def answer(exchange):
        write_head(exchange, chunk=b"half")
        asyncio.get_running_loop().call_later(0.02, exchange.cut)

    async with serve(answering(answer)) as served, served.client() as client:
        client.send(GET)
        assert (await client.rest()).endswith(b"4\r\nhalf\r\n")
        with pytest.raises(ConnectionResetError):
            await served.ask(OLD)
        for delegate in served.delegates:
            assert "left" not in delegate.events


@pytest.mark.parametrize("how", ["cut", "reset"])
@on_loops
async def test_who_has_left_can_be_cut(how):
    async with serve(answering(lambda exchange: write_head(exchange, chunk=b"half"))) as served:
        async with served.client() as client:
            client.send(OLD)
            await until(lambda: served.delegates)
            client.reset()
        [delegate] = served.delegates
        await until(lambda: "left" in delegate.events)
        await asyncio.sleep(0)  # uvloop closes the socket behind that
        getattr(delegate.exchange, how)()
        assert delegate.exchange.finished


@on_loops
async def test_what_the_exchange_says_of_itself():
    async with serve(Silent, body_timeout=7) as served, served.client() as client:
        client.send(GET)
        await until(lambda: served.delegates)
        exchange = served.delegates[0].exchange
        assert exchange.strict
        assert exchange.params.body_timeout == 7
        assert (exchange.response_started, exchange.finished, exchange.no_keep_alive) == (False, False, False)
        assert exchange.half_close_grace < math.inf
        assert exchange.context.remote_ip == "127.0.0.1"
        assert not exchange.stream.closed()
        reply(exchange)
        assert (exchange.response_started, exchange.finished) == (True, True)
        await client.read_reply()


@on_loops
async def test_no_keep_alive_may_be_said_as_with_tornado():
    def answer(exchange):
        exchange.no_keep_alive = True
        assert exchange.no_keep_alive
        reply(exchange)

    async with serve(answering(answer)) as served:
        assert b"Connection: close" in await served.ask(GET)


@on_loops
async def test_writing_on_after_too_much_was_written_fails_as_for_a_closed_stream():
    raised = []

    def answer(exchange):
        headers = HTTPHeaders({"Content-Length": "2"})
        exchange.write_headers(ResponseStartLine("", 200, "OK"), headers)
        for chunk in (b"abc", b"", b"more"):
            try:
                raised.append(exchange.write(chunk).exception())
            except HTTPOutputError as error:
                raised.append(error)

    async with serve(answering(answer)) as served:
        await served.ask(GET)
    assert [type(error) for error in raised] == [HTTPOutputError, StreamClosedError, StreamClosedError]


@on_loops
async def test_nothing_is_written_behind_the_end_of_a_reply():
    """The client would take it for part of the next reply."""
    raised = []

    def answer(exchange):
        in_pieces(exchange)
        writes = (exchange.write, lambda data: write_head(exchange, chunk=data))
        for write in (*writes, lambda data: write_head(exchange, 103)):
            with pytest.raises(HTTPOutputError) as caught:
                write(b"more")
            raised.append(caught.type)
        exchange.write(b"")  # a `flush` after `finish`

    async with serve(answering(answer)) as served, served.client() as client:
        for _ in range(2):
            client.send(GET)
            assert (await client.read_reply())[2] == b"onetwothree"
    assert raised == [HTTPOutputError] * 6

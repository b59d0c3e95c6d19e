"""One connection: its requests in order, and what becomes of a half-closed one."""

import asyncio
import math
import os
import socket
from contextlib import AsyncExitStack

import pytest
from tornado.httputil import HTTPHeaders, ResponseStartLine

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
from waterspout.http.intake import Intake


def get(path, *lines, version="1.1"):
    return "\r\n".join([f"GET {path} HTTP/{version}", "Host: x", *lines, "", ""]).encode()


@on_loops
async def test_requests_follow_each_other_on_one_connection():
    async with serve() as served, served.client() as client:
        for path in ("/a", "/b"):
            client.send(get(path))
            status, fields, body = await client.read_reply()
            assert (status, body) == (200, path.encode() + b" ")
            assert "connection" not in fields
        client.send(post(b"body"))
        assert (await client.read_reply())[2] == b"/ body"


@pytest.mark.parametrize(
    "value", ["close", "Close", "x, close", "keep-alive,close", "x\r\nConnection: close"]
)
@on_loops
async def test_nothing_behind_connection_close_is_run(value):
    async with serve() as served:
        data = await served.ask(get("/a", f"Connection: {value}") + get("/b"))
        assert b"Connection: close\r\n" in data
        assert data.endswith(b"\r\n\r\n/a ")
        assert len(served.delegates) == 1


@on_loops
async def test_http_1_0_ends_after_one_request_unless_it_asks():
    async with serve() as served:
        data = await served.ask(get("/a", version="1.0") + get("/b", version="1.0"))
        assert data.endswith(b"\r\n\r\n/a ")
        async with served.client() as client:
            client.send(get("/c", "Connection: keep-alive", version="1.0"))
            assert (await client.read_reply())[1]["connection"] == "Keep-Alive"
            client.send(get("/d", version="1.0"))
            assert (await client.read_reply())[2] == b"/d "
            assert await client.rest() == b""


@on_loops
async def test_pipelined_requests_are_answered_in_order():
    async with serve() as served, served.client() as client:
        client.send(*(get(f"/{number}") for number in range(200)))
        for number in range(200):
            assert (await client.read_reply())[2] == b"/%d " % number


@on_loops
async def test_the_next_request_is_not_read_while_a_reply_runs():
    async with serve(Silent) as served, served.client() as client:
        client.send(get("/a"), get("/b"))
        await until(lambda: served.delegates)
        await asyncio.sleep(0.02)
        assert len(served.delegates) == 1
        reply(served.delegates[0].exchange)
        await until(lambda: len(served.delegates) == 2)
        reply(served.delegates[1].exchange)
        assert [(await client.read_reply())[2] for _ in range(2)] == [b"ok", b"ok"]


@on_loops
async def test_what_is_pipelined_is_bounded():
    async with serve(Silent) as served, served.client() as client:
        client.send(get("/a"))
        await until(lambda: served.delegates)
        client.send(get("/b") * 400_000)  # more than the kernel takes
        connection = served.delegates[0].exchange._connection
        await until(lambda: connection._reading_paused)
        assert connection._parser.held <= limits.PIPELINE_SIZE + 256 * limits.KIB
        assert client.writer.transport.get_write_buffer_size()
        served.delegates[0].exchange.close()


@pytest.mark.parametrize("later", [False, True], ids=["at-once", "later"])
@on_loops
async def test_what_is_pipelined_is_bounded_while_it_is_answered(later):
    held = []

    def answer(exchange):
        held.append(exchange._connection._parser.held)
        if later:
            asyncio.get_running_loop().call_soon(reply, exchange)
        else:
            reply(exchange)

    async with serve(answering(answer)) as served, served.client() as client:
        client.send(GET * 400_000)  # more than the kernel takes
        for _ in range(500):
            await client.read_reply()
        assert max(held) <= limits.PIPELINE_SIZE + 256 * limits.KIB


@on_loops
async def test_what_is_pipelined_behind_a_reply_that_nobody_reads_is_bounded():
    body = b"x" * (8 * limits.MIB)
    async with (
        serve(answering(lambda exchange: reply(exchange, body))) as served,
        served.client(limit=1024, receive=4096) as client,
    ):
        client.send(GET)
        await until(lambda: served.delegates)
        connection = served.delegates[0].exchange._connection
        client.send(GET * 400_000)  # more than the kernel takes
        await until(lambda: connection._reading_paused)
        assert connection._parser.held <= limits.PIPELINE_SIZE + 256 * limits.KIB
        assert client.writer.transport.get_write_buffer_size()


@on_loops
async def test_pipelined_requests_wait_for_a_client_that_does_not_read():
    body = b"x" * (256 * limits.KIB)
    async with (
        serve(answering(lambda exchange: reply(exchange, body))) as served,
        served.client(limit=1024, receive=4096) as client,
    ):
        for _ in range(300):
            client.send(GET)
            await asyncio.sleep(0)
        await asyncio.sleep(0.5)
        assert len(served.delegates) < 60  # each of them has left 256 KiB in memory


@on_loops
async def test_requests_that_wait_for_the_client_go_on_when_it_reads():
    body = b"x" * (256 * limits.KIB)
    async with (
        serve(answering(lambda exchange: reply(exchange, body))) as served,
        served.client(receive=4096) as client,
    ):
        client.send(GET * 40)
        await asyncio.sleep(0.1)
        for _ in range(40):
            assert (await client.read_reply())[2] == body


@on_loops
async def test_a_client_that_half_closes_gets_its_answer():
    async with serve() as served, served.client() as client:
        client.send(post(b"body"))
        client.half_close()
        assert (await client.rest()).endswith(b"/ body")


@on_loops
async def test_a_half_closed_client_gets_an_answer_that_comes_later():
    async with serve(Silent) as served, served.client() as client:
        client.send(GET)
        client.half_close()
        await until(lambda: served.delegates)
        await asyncio.sleep(0.1)
        reply(served.delegates[0].exchange)
        assert (await client.rest()).endswith(b"ok")
        assert served.delegates[0].events == ["headers", "finish"]


@on_loops
@pytest.mark.parametrize("at_once", [True, False])
async def test_who_wants_to_know_of_a_half_close_is_told_once(at_once):
    told = []
    async with serve(Silent) as served, served.client() as client:
        client.send(GET)
        if at_once:
            client.half_close()
        await until(lambda: served.delegates)
        exchange = served.delegates[0].exchange
        exchange.half_close_grace = math.inf
        exchange.half_close_callback = lambda: told.append(1)
        if not at_once:
            assert not told
            client.half_close()
        await until(lambda: told)
        await asyncio.sleep(limits.HALF_CLOSED + 0.1)
        assert told == [1]
        reply(exchange)
        assert (await client.rest()).endswith(b"ok")


@on_loops
async def test_a_handler_that_does_not_answer_a_half_closed_client_is_told():
    async with serve(Silent) as served, served.client() as client:
        loop = asyncio.get_running_loop()
        client.send(GET)
        client.half_close()
        begun = loop.time()
        assert await client.rest() == b""
        assert loop.time() - begun >= limits.HALF_CLOSED - 0.05
        await until(lambda: "left" in served.delegates[0].events)
        assert served.delegates[0].events == ["headers", "finish", "left"]


@on_loops
async def test_pipelined_requests_before_a_half_close_are_all_answered():
    async with serve() as served, served.client() as client:
        client.send(get("/a"), get("/b"), get("/c"), get("/d"))
        client.half_close()
        data = await client.rest()
        promised = b"Connection: close" not in data  # otherwise the client knows where it ends
        assert not promised or data.count(b"HTTP/1.1 200") == 4


@on_loops
async def test_a_half_closed_client_that_reads_a_large_reply_slowly_is_not_kept_behind_it():
    large = answering(lambda exchange: reply(exchange, bytes(8 * limits.MIB)))
    async with serve(large) as served, served.client(limit=1024, receive=4096) as client:
        client.send(GET)
        client.half_close()
        await until(lambda: served.delegates and served.delegates[0].exchange.finished)
        async with asyncio.timeout(limits.KEEP_ALIVE_TIMEOUT / 2):
            assert len(await client.rest()) > 8 * limits.MIB


@on_loops
async def test_a_half_close_while_the_head_is_being_judged():
    class Slow(Delegate):
        async def headers_received(self, start_line, headers):
            Delegate.headers_received(self, start_line, headers)
            await asyncio.sleep(0.1)

    async with serve(Slow) as served, served.client() as client:
        client.send(GET)
        client.half_close()
        assert (await client.rest()).endswith(b"/ ")


@on_loops
async def test_a_half_close_behind_a_whole_body_that_is_still_being_delivered():
    class Slow(Delegate):
        async def data_received(self, chunk):
            await asyncio.sleep(0.05)
            Delegate.data_received(self, chunk)

    async with serve(Slow) as served, served.client() as client:
        client.send(post(b"body"))
        client.half_close()
        assert (await client.rest()).endswith(b"/ body")


@pytest.mark.parametrize("step", ["headers_received", "data_received"])
@pytest.mark.parametrize("before", [b"", GET], ids=["alone", "pipelined"])
@on_loops
async def test_a_client_that_left_while_its_whole_body_was_delivered_is_found_gone(step, before):
    """Its EOF is seen while the body still goes to the delegate, which may work on it for a long time."""
    delivered = asyncio.Event()

    class Slow(Silent):
        async def headers_received(self, start_line, headers):
            Delegate.headers_received(self, start_line, headers)
            if step == "headers_received" and start_line.method == "POST":
                await delivered.wait()

        async def data_received(self, chunk):
            Delegate.data_received(self, chunk)
            if step == "data_received":
                await delivered.wait()

        def answer(self):
            if self.start_line.method == "GET":
                reply(self.exchange)

    async with serve(Slow) as served, served.client() as client:
        client.send(before, post(b"body"))
        client.half_close()
        await until(lambda: served.delegates and served.delegates[-1].events[-1:] in (["headers"], [4]))
        await until(lambda: served.delegates[-1].start_line.method == "POST")
        await asyncio.sleep(
            limits.HALF_CLOSED + 0.1
        )  # the client may be waiting for a reply, none of which has been sent yet
        assert "gone" not in served.delegates[-1].events
        delivered.set()
        await until(lambda: served.delegates[-1].events == ["headers", 4, "finish", "left"])
        await client.rest()


@on_loops
async def test_a_reply_in_finish_to_a_client_that_left_while_its_body_was_delivered():
    """The connection is at its end by then, and waits for nobody."""
    delivered = asyncio.Event()

    class Slow(Delegate):
        async def data_received(self, chunk):
            await delivered.wait()
            Delegate.data_received(self, chunk)

    async with serve(Slow) as served, served.client() as client:
        client.send(post(b"body"), post(b"more"))
        client.half_close()
        await until(lambda: served.delegates and served.delegates[0].exchange._connection._half_closed)
        delivered.set()
        assert (await client.rest()).count(b"HTTP/1.1 200") == 2
        assert [delegate.events for delegate in served.delegates] == [["headers", 4, "finish"]] * 2


@on_loops
async def test_a_delegate_begins_nothing_once_it_knows_that_its_client_left():
    """A coroutine that it returns begins in the loop's next turn. The connection may be lost in this one."""

    class Slow(Silent):
        async def data_received(self, chunk):
            Delegate.data_received(self, chunk)
            connection = self.exchange._connection
            await until(lambda: connection._parser.held)
            asyncio.get_running_loop().call_soon(connection.abort)  # lost just behind the next piece

    async with serve(Slow) as served, served.client() as client:
        client.send(post(b"one", length=100))
        await until(lambda: served.delegates and served.delegates[0].body)
        client.send(b"two")
        await until(lambda: "gone" in served.delegates[0].events)
        await asyncio.sleep(0.01)
        assert served.delegates[0].events == ["headers", 3, 3, "gone"]


@on_loops
async def test_what_answers_a_client_that_left_at_once_begins_before_it_knows_that():
    class Slow(Silent):
        def answer(self):
            self.exchange.stream.set_close_callback(lambda: self.events.append("closed"))
            self.task = asyncio.ensure_future(self.work())

        async def work(self):
            self.events.append("work")

    async with serve(Slow) as served, served.client() as client:
        client.send(GET[:-2])
        await until(lambda: [each for each in served.server._open if each._parser.held])
        (connection,) = served.server._open
        connection.abort()  # lost in the same turn as the rest arrives
        connection.data_received(GET[-2:])
        await until(lambda: "left" in served.delegates[0].events)
        await asyncio.sleep(0.01)
        assert served.delegates[0].events[:3] == ["headers", "finish", "work"]
        assert sorted(served.delegates[0].events[3:]) == ["closed", "left"]


@pytest.mark.parametrize("grace", [0.0, limits.HALF_CLOSED, math.inf])
@on_loops
async def test_a_client_that_left_is_given_up_amid_its_body_if_its_request_only_waits_its_turn(grace):
    """A delegate that has begun a body goes on: a client that waits for a reply has sent all it has to."""
    delivered = asyncio.Event()

    class Slow(Delegate):
        async def data_received(self, chunk):
            Delegate.data_received(self, chunk)
            self.exchange.half_close_grace = grace
            await delivered.wait()

    async with serve(Slow) as served, served.client() as client:
        client.send(post(b"body"))
        await until(lambda: served.delegates and served.delegates[0].body)
        client.half_close()
        if grace:
            await asyncio.sleep(limits.HALF_CLOSED + 0.1)
            delivered.set()
        replies = (await client.rest()).count(b"HTTP/1.1 200")
        assert replies == bool(grace)
        assert served.delegates[0].events == ["headers", 4, "finish" if grace else "gone"]
        delivered.set()


@pytest.mark.parametrize("grace", [limits.HALF_CLOSED_QUEUED, math.inf])
@pytest.mark.parametrize("how", ["close", "half_close", "reset"])
@on_loops
async def test_a_client_that_left_behind_more_than_is_read_is_found_gone_unless_its_request_runs(grace, how):
    """Its EOF lies behind bytes that nobody reads while the delegate takes no more."""
    delivered = asyncio.Event()

    class Full(Delegate):
        async def data_received(self, chunk):
            Delegate.data_received(self, chunk)
            self.exchange.half_close_grace = grace
            await delivered.wait()

    async with serve(Full) as served, served.client() as client:
        whole = 100_000  # the kernel has room for what is not read of it, and for the EOF behind that
        client.send(post(bytes(1000), length=whole))
        await until(lambda: served.delegates and served.delegates[0].body)
        connection = served.delegates[0].exchange._connection
        client.send(bytes(80_000))
        await until(lambda: connection._reading_paused)
        client.send(bytes(19_000))
        await until(lambda: not client.writer.transport.get_write_buffer_size())
        {"reset": client.reset, "close": client.writer.close, "half_close": client.half_close}[how]()
        if grace == math.inf:
            await asyncio.sleep(limits.SWEEP_INTERVAL + limits.HALF_CLOSED)
            assert "gone" not in served.delegates[0].events
            delivered.set()
            await until(lambda: {"finish", "left", "gone"} & {*served.delegates[0].events})
            assert how == "reset" or len(served.delegates[0].body) == whole
        else:
            await until(lambda: served.delegates[0].events[-1] == "gone")
            assert len(served.delegates[0].events) == 3
            delivered.set()


@on_loops
async def test_a_half_closed_client_that_reads_nothing_costs_no_turns_of_the_loop():
    def answer(exchange):
        exchange.half_close_grace = 0.0
        exchange.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders(), b"x" * 8 * limits.MIB)

    async with (
        serve(answering(answer)) as served,
        served.client(limit=1024, receive=4096) as client,
    ):
        client.send(GET)
        await until(lambda: served.delegates)
        connection = served.delegates[0].exchange._connection
        judged = []
        wait = type(connection)._wait_half_closed
        client.half_close()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                type(connection), "_wait_half_closed", lambda *args: judged.append(1) or wait(*args)
            )
            await asyncio.sleep(0.3)
        assert len(judged) < 30


@on_loops
async def test_a_second_answer_never_follows_a_whole_one():
    def answer(exchange):
        reply(exchange)
        raise RuntimeError("after the reply")

    async with serve(answering(answer)) as served:
        data = await served.ask(GET)
        assert data.count(b"HTTP/1.1") == 1
        assert data.endswith(b"ok")


@on_loops
async def test_a_delegate_that_cannot_be_made_ends_the_connection():
    class Once(Delegate):
        def __init__(self, exchange):
            if exchange.head.target == "/b":
                raise RuntimeError("no delegate")
            super().__init__(exchange)

    async with serve(Once) as served, served.client() as client:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        client.send(get("/a"), get("/b"))
        assert (await client.read_reply())[0] == 200
        async with asyncio.timeout(20):
            await client.rest()


@on_loops
async def test_a_reply_in_headers_received_ends_the_connection():
    class Early(Delegate):
        def headers_received(self, start_line, headers):
            super().headers_received(start_line, headers)
            reply(self.exchange, b"early")

    async with serve(Early) as served:
        for request in (GET + GET, post(b"x" * 100_000)):
            early = await served.ask(request)
            assert early.endswith(b"early")
            assert b"\r\nConnection: close\r\n" in early  # else a client would use it again
        assert [delegate.events[-1] for delegate in served.delegates] == ["gone", "gone"]


@on_loops
async def test_a_reply_in_the_middle_of_the_body():
    class Early(Delegate):
        def data_received(self, chunk):
            super().data_received(chunk)
            reply(self.exchange, b"early")

    async with serve(Early) as served:
        early = await served.ask(post(b"x", length=10))
        assert early.endswith(b"early")
        assert b"\r\nConnection: close\r\n" in early
        # As with Tornado: otherwise a delegate that waits for the body would wait forever.
        await until(lambda: served.delegates[0].events[-1] == "gone")


@on_loops
async def test_closing_in_the_middle_of_the_body_tells_the_delegate():
    class Closing(Delegate):
        def data_received(self, chunk):
            super().data_received(chunk)
            self.exchange.close()

    async with serve(Closing) as served:
        assert await served.ask(post(b"x", length=10)) == b""
        await until(lambda: served.delegates[0].events[-1] == "gone")


@on_loops
async def test_an_error_in_the_application_is_answered_500_and_ends_it():
    def answer(exchange):
        raise RuntimeError("broken")

    async with serve(answering(answer)) as served:
        data = await served.ask(GET + GET)
        assert data.startswith(b"HTTP/1.1 500 ")
        assert data.count(b"HTTP/1.1") == 1
        assert b"broken" not in data
        assert len(served.delegates) == 1


@pytest.mark.parametrize("step", ["headers_received", "data_received", "finish"])
@on_loops
async def test_an_awaitable_that_fails_is_answered_500(step, caplog):
    async def fail(*_):
        await asyncio.sleep(0)
        raise RuntimeError("broken")

    async with serve(type("Failing", (Delegate,), {step: fail})) as served:
        data = await served.ask(post(b"body") + GET)
        assert data.startswith(b"HTTP/1.1 500 ")
        assert data.count(b"HTTP/1.1") == 1
    assert caplog.messages == ["Uncaught exception POST / (127.0.0.1)"]


@on_loops
async def test_an_error_behind_the_head_of_a_reply_cuts_it():
    def answer(exchange):
        exchange.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders(), b"half")
        raise RuntimeError("broken")

    async with serve(answering(answer)) as served:
        assert (await served.ask(GET)).endswith(b"4\r\nhalf\r\n")


@on_loops
async def test_of_many_clients_that_send_ahead_a_few_get_their_turn_at_once(monkeypatch):
    monkeypatch.setattr("waterspout.system.turns._SHARE", 0)  # whatever else takes time
    taken = []
    take_turn = Intake._take_turn
    monkeypatch.setattr(Intake, "_take_turn", lambda self: (taken.append(self), take_turn(self)))
    async with serve() as served, AsyncExitStack() as opened:
        clients = [await opened.enter_async_context(served.client()) for _ in range(40)]
        most = before = 0

        def turn():
            nonlocal most, before
            most, before = max(most, len(taken) - before), len(taken)
            asyncio.get_running_loop().call_soon(turn)

        turn()
        for client in clients:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send(b"1\r\na\r\n" * 2000, b"0\r\n\r\n")
        for client in clients:
            assert (await client.read_reply())[2] == b"/ " + b"a" * 2000
        assert len(set(taken)) == 40
        assert most <= limits.TURNS_AT_ONCE


@on_loops
async def test_one_byte_chunks_let_others_have_their_turn():
    size = 20_000
    async with serve() as served, served.client() as client, served.client() as other:
        turns = 0

        def turn():
            nonlocal turns
            turns += 1
            asyncio.get_running_loop().call_soon(turn)

        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await until(lambda: served.delegates)
        before = turns
        turn()
        client.send(b"1\r\na\r\n" * size, b"0\r\n\r\n", GET)
        assert (await client.read_reply())[2] == b"/ " + b"a" * size
        assert turns - before > size / limits.CHUNKS_AT_ONCE
        assert (await client.read_reply())[2] == b"/ "
        other.send(GET)
        assert (await other.read_reply())[2] == b"/ "


@on_loops
async def test_a_client_that_is_gone_when_its_last_reply_is_written_is_nobody_s_fault():
    """Its kernel answers the reply with a reset, so there is nothing left to shut down."""
    raised = []

    class Late(Delegate):
        def answer(self):
            asyncio.get_running_loop().call_later(0.1, self.answer_late)

        def answer_late(self):
            try:
                reply(self.exchange)
            except Exception as error:
                raised.append(error)

    async with serve(Late) as served:
        for _ in range(5):
            async with served.client() as client:
                client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nX")
                await asyncio.sleep(0.02)
        await until(lambda: not served.server._open)
        assert len(served.delegates) == 5
        assert raised == []


def grow_late(connection):
    connection.check(connection.server.now + 100)


def end_unheard(connection):
    """As a moment after a stop has begun."""
    connection.server.draining = True
    connection._close_unheard(0)


def make_room(connection):
    connection._close_idle(connection.writer.sent)


@pytest.mark.parametrize("close", [grow_late, end_unheard, make_room])
@on_loops
async def test_a_request_that_has_come_and_is_not_read_yet_is_answered_before_an_idle_connection_ends(close):
    async with serve() as served, served.client() as client:
        client.send(GET)
        await client.read_reply()
        (connection,) = served.server._open
        os.write(client.writer.get_extra_info("socket").fileno(), GET)
        close(connection)
        assert (await client.read_reply())[0] == 200


@pytest.mark.parametrize("close", [grow_late, end_unheard, make_room])
@on_loops
async def test_the_client_of_an_idle_connection_sees_at_once_that_it_ends(close):
    """In its pool, the connection would be given another request as long as the event loop is busy."""
    async with serve() as served, served.client() as client:
        client.send(GET)
        await client.read_reply()
        (connection,) = served.server._open
        with socket.socket(fileno=os.dup(client.writer.get_extra_info("socket").fileno())) as sock:
            close(connection)
            assert sock.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
        assert await client.rest() == b""


@on_loops
async def test_one_that_has_had_another_request_meanwhile_is_not_idle_enough_to_make_room():
    async with serve() as served, served.client() as client:
        client.send(GET)
        await client.read_reply()
        (connection,) = served.server._open
        sent = connection.writer.sent
        client.send(GET)
        await client.read_reply()
        connection._close_idle(sent)
        client.send(GET)
        assert (await client.read_reply())[0] == 200


@on_loops
async def test_nothing_is_written_while_the_transport_says_that_there_is_room(monkeypatch):
    """If a write fails during that call, as its client has left, asyncio's transport logs an error."""
    written, resume = [], Intake.resume_writing

    def watched(connection):
        before = count_waiting(connection)
        resume(connection)
        written.append(before - count_waiting(connection))

    def count_waiting(connection):
        return connection.writer.unsent - connection._transport.get_write_buffer_size()

    monkeypatch.setattr(Intake, "resume_writing", watched)
    size = 8 * limits.MIB
    answers = answering(lambda exchange: reply(exchange, bytes(size)))
    async with serve(answers) as served, served.client(receive=4096) as client:
        client.send(GET)
        assert len((await client.read_reply())[2]) == size
    assert written
    assert not any(written)

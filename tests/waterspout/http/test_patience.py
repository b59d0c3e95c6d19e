"""Slow clients: each wait ends, and none ends earlier than it says."""

import asyncio
import contextlib
from types import SimpleNamespace

import pytest
from tornado.httputil import HTTPHeaders, ResponseStartLine

from tests.waterspout.http.harness import GET, Delegate, answering, on_loops, post, reply, serve, until
from waterspout import limits
from waterspout.http import HTTPSettings
from waterspout.http.patience import Patience

QUICK = HTTPSettings(
    head_timeout=0.3, keep_alive_timeout=0.3, body_timeout=0.3, body_rate=1000, write_timeout=0.3
)
#: For clients that are in time: a machine that stalls for a moment must not make them late.
IN_TIME = HTTPSettings(head_timeout=1, keep_alive_timeout=1, write_timeout=1)


@on_loops
async def test_a_head_that_does_not_end():
    async with serve(settings=QUICK) as served:
        answer = await served.ask(b"GET / HTTP/1.1\r\n")
        assert answer.startswith(b"HTTP/1.1 408 ")
        async with served.client() as client:  # bytes that trickle change nothing
            for byte in GET[:-1]:
                client.send(bytes([byte]))
                await asyncio.sleep(0.02)
            assert (await client.rest()).startswith(b"HTTP/1.1 408 ")
        assert served.delegates == []


@on_loops
async def test_who_goes_on_sending_a_head_that_was_too_slow_is_soon_heard_no_more():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "LINGER", 0.5)
        async with serve(settings=QUICK) as served, served.client() as client:
            client.send(b"GET / HTTP/1.1\r\n")
            assert (await client.read_reply())[0] == 408
            with contextlib.suppress(OSError, RuntimeError):  # uvloop's, of a closed transport
                await send_slowly(client, served, 10)
            assert not served.server._open


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", GET, post(b"half", length=10)])
@on_loops
async def test_nobody_is_cut_before_the_time(sent):
    """Whatever the moment between two of the server's looks in which a client begins."""
    async with serve(settings=QUICK) as served:

        async def waits():
            began = asyncio.get_running_loop().time()
            await served.ask(sent)
            return asyncio.get_running_loop().time() - began

        clients = []
        for _ in range(8):
            clients.append(asyncio.ensure_future(waits()))
            await asyncio.sleep(0.02)
        assert min(await asyncio.gather(*clients)) >= 0.3


@on_loops
async def test_a_head_that_does_not_end_behind_an_empty_line_that_came_in_two_parts():
    settings = HTTPSettings(head_timeout=0.3, keep_alive_timeout=60)
    async with serve(settings=settings) as served, served.client() as client:
        client.send(GET)
        await client.read_reply()
        for part in (b"\r", b"\n"):
            client.send(part)
            await asyncio.sleep(0.05)  # or both come in one packet
        client.send(GET)
        assert (await client.read_reply())[0] == 200
        client.send(GET[:-1])
        assert (await client.read_reply())[0] == 408


@on_loops
async def test_a_connection_without_a_request():
    async with serve(settings=QUICK) as served:
        assert await served.ask(b"") == b""
        assert await served.ask(b"\r\n") == b""


@on_loops
async def test_a_connection_between_two_requests():
    async with serve(settings=IN_TIME) as served, served.client() as client:
        for _ in range(5):  # together they take longer than it may be idle
            await asyncio.sleep(0.3)
            client.send(GET)
            await client.read_reply()
        assert await client.rest() == b""


@on_loops
async def test_idle_connection_timeout_is_the_same_by_tornados_name():
    async with serve(idle_connection_timeout=0.2) as served:
        assert await served.ask(b"") == b""
        assert (await served.ask(GET)).endswith(b"/ ")


@on_loops
async def test_a_client_that_comes_after_a_long_silence_has_its_whole_time():
    async with serve(settings=IN_TIME) as served:
        await asyncio.sleep(0.9)
        async with served.client() as client:
            await asyncio.sleep(0.3)
            client.send(GET)
            assert (await client.read_reply())[2] == b"/ "


class Waiting(Delegate):
    """Finishes each piece only in the next turn of the loop, as every coroutine does."""

    async def data_received(self, chunk):
        super().data_received(chunk)


@pytest.mark.parametrize("make", [Delegate, Waiting])
@on_loops
async def test_a_body_that_stops(make):
    async with serve(make, settings=QUICK) as served, served.client() as client:
        client.send(post(b"half", length=10))
        assert (await client.read_reply())[0] == 408
        assert served.delegates[0].events == ["headers", 4, "gone"]
        assert await client.rest() == b""


async def trickle(client, most):
    """Send a byte every 50 ms until there is a reply; its status. None: there was none after `most` bytes."""
    reply = asyncio.ensure_future(client.read_reply())
    for _ in range(most):
        client.send(b"x")
        await asyncio.sleep(0.05)
        if reply.done():
            return (await reply)[0]
    reply.cancel()
    return None


@pytest.mark.parametrize("make", [Delegate, Waiting])
@on_loops
async def test_a_body_that_trickles(make):
    async with serve(make, settings=QUICK) as served, served.client() as client:
        client.send(post(length=100_000))
        assert await trickle(client, 60) == 408


@on_loops
async def test_a_body_that_is_held_back_is_not_late():
    class Slow(Delegate):
        async def data_received(self, chunk):
            await asyncio.sleep(0.7)
            super().data_received(chunk)

    async with serve(Slow, settings=QUICK) as served, served.client() as client:
        client.send(post(b"half", length=8))
        await asyncio.sleep(0.8)
        client.send(b"half")
        assert (await client.read_reply())[2] == b"/ halfhalf"


@pytest.mark.parametrize("finished", [False, True])
@on_loops
async def test_a_client_that_takes_nothing_of_its_reply(finished):
    def answer(exchange):
        size = 8 * limits.MIB
        headers = HTTPHeaders({"Content-Length": str(size)})
        exchange.write_headers(ResponseStartLine("", 200, "OK"), headers)
        exchange.write(b"x" * size if finished else b"x" * (size - 1))
        if finished:
            exchange.finish()

    async with (
        serve(answering(answer), settings=QUICK) as served,
        served.client(limit=1024, receive=4096) as client,
    ):
        client.send(GET)
        await until(lambda: served.delegates)
        await until(lambda: not served.server._open)
        assert served.delegates[0].events[-1] == ("finish" if finished else "left")


@on_loops
async def test_a_client_that_takes_its_reply_slowly_is_served():
    size = 4 * limits.MIB

    def answer(exchange):
        headers = HTTPHeaders({"Content-Length": str(size)})
        exchange.write_headers(ResponseStartLine("", 200, "OK"), headers, b"x" * size)
        exchange.finish()

    async with (
        serve(answering(answer), settings=IN_TIME) as served,
        served.client(limit=1024, receive=65536) as client,
    ):
        client.send(GET)
        await client.head()
        left = size
        for _ in range(10):  # longer than each timeout
            left -= len(await client.reader.readexactly(200_000))
            await asyncio.sleep(0.15)
        assert len(await client.reader.readexactly(left)) == left


@pytest.mark.parametrize(("rate", "is_served"), [(50_000, False), (1000, True)])
@on_loops
async def test_a_client_that_takes_its_reply_in_trickles(rate, is_served):
    """It never pauses, and is always below, or always above, the rate."""
    settings = HTTPSettings(write_timeout=5, write_rate=rate, write_grace=0.5)
    size = 8 * limits.MIB

    def answer(exchange):
        headers = HTTPHeaders({"Content-Length": str(size)})
        exchange.write_headers(ResponseStartLine("", 200, "OK"), headers, b"x" * size)
        exchange.finish()

    async with (
        serve(answering(answer), settings=settings) as served,
        served.client(limit=1024, receive=4096) as client,
    ):
        served.server._interval = 0.1
        client.send(GET)
        await client.head()
        for _ in range(60):
            await client.reader.read(500)
            await asyncio.sleep(0.05)
            if not served.server._open:
                break
        assert bool(served.server._open) is is_served


@pytest.mark.parametrize("pause", [0.02, 0.2])
@on_loops
async def test_a_reply_that_comes_in_trickles_is_no_client_s_fault(pause):
    settings = HTTPSettings(write_timeout=0.3, write_rate=10_000, write_grace=0.2)

    class Trickling(Delegate):
        def finish(self):
            self.task = asyncio.ensure_future(self.answer())

        async def answer(self):
            headers = HTTPHeaders({"Content-Length": "10"})
            self.exchange.write_headers(ResponseStartLine("", 200, "OK"), headers)
            for _ in range(10):
                await asyncio.sleep(pause)
                await self.exchange.write(b"x")
            self.exchange.finish()

    async with serve(Trickling, settings=settings) as served, served.client() as client:
        served.server._interval = 0.02
        client.send(GET)
        assert (await client.read_reply())[2] == b"x" * 10


@on_loops
async def test_a_refusal_is_read_by_a_client_that_still_sends():
    """Unread bytes would make the kernel send a reset, which could destroy the answer."""
    async with serve(max_body_size=10) as served, served.client() as client:
        client.send(post(length=limits.MIB), b"x" * limits.MIB)
        await client.writer.drain()
        await asyncio.sleep(0.1)
        assert (await client.read_reply())[0] == 413
        assert await client.rest() == b""


@on_loops
async def test_a_refusal_of_the_head_is_read_by_a_client_that_still_sends():
    async with serve() as served, served.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", b"x" * 50_000)
        await asyncio.sleep(0.1)
        assert (await client.read_reply())[0] == 400
        assert await client.rest() == b""


@on_loops
async def test_the_upload_behind_a_head_that_is_refused_does_not_cost_the_answer():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "LINGER", 1.0)
        patch.setattr(limits, "LINGER_LONGEST", 3.0)
        async with serve(settings=QUICK) as served, served.client() as client:
            begun = asyncio.get_running_loop().time()
            client.send(b"POST / HTTP/1.1\r\nHost: a/b\r\nContent-Length: 100000000\r\n\r\n")
            client.send(b"x" * (32 * limits.MIB))
            await send_slowly(client, served, 2)
            assert served.server._open
            assert (await client.read_reply())[0] == 400
            with contextlib.suppress(OSError, RuntimeError):  # uvloop's, of a closed transport
                await send_slowly(client, served, 10)
            assert not served.server._open
            assert asyncio.get_running_loop().time() - begun > 3


@on_loops
@pytest.mark.parametrize(
    "head",
    [
        b"HEAD / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"\r\nHEAD /" + b"x" * 9000 + b" HTTP/1.1\r\n",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 17_000 + b"\r\n\r\n",
    ],
    ids=["host", "target", "field"],
)
async def test_the_refusal_of_a_head_request_has_no_body(head):
    async with serve() as served, served.client() as client:
        client.send(head)
        status, fields = await client.head()
        assert (status in (400, 414, 431), int(fields["content-length"]) > 0) == (True, True)
        assert await client.rest() == b""


@on_loops
async def test_what_is_thrown_away_is_bounded():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "LINGER", 60)
        patch.setattr(limits, "LINGER_SIZE", limits.MIB)
        async with serve() as served, served.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")
            assert (await client.read_reply())[0] == 400
            client.send(b"x" * (32 * limits.MIB))
            await until(lambda: not served.server._open)  # long before LINGER is over


@on_loops
async def test_while_the_last_reply_goes_out_nothing_is_kept_of_it():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "LINGER_SIZE", limits.MIB)
        answers = answering(lambda exchange: reply(exchange, bytes(8 * limits.MIB)))
        async with serve(answers) as served, served.client(limit=1024, receive=4096) as client:
            client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            await until(lambda: served.delegates)
            client.send(GET * 400_000)  # more than the kernel takes
            (connection,) = served.server._open
            await until(lambda: connection._reading_paused)
            assert connection._parser.held == 0


@on_loops
async def test_lingering_ends():
    async with serve(settings=QUICK) as served, served.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")
        begun = asyncio.get_running_loop().time()
        await until(lambda: served.server._open)
        await until(lambda: not served.server._open, limits.LINGER + 1)
        assert asyncio.get_running_loop().time() - begun > limits.LINGER - 0.2


async def send_slowly(client, served, seconds):
    """Go on uploading until the server no longer takes it."""
    end = asyncio.get_running_loop().time() + seconds
    while served.server._open and asyncio.get_running_loop().time() < end:
        client.send(b"x" * 10_000)
        await asyncio.sleep(0.05)


@on_loops
async def test_an_upload_that_is_not_wanted_is_thrown_away_for_as_long_as_it_comes():
    class Early(Delegate):
        def headers_received(self, start_line, headers):
            super().headers_received(start_line, headers)
            reply(self.exchange, b"early")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "LINGER", 1.0)
        patch.setattr(limits, "LINGER_LONGEST", 3.0)
        async with serve(Early, settings=QUICK) as served, served.client() as client:
            begun = asyncio.get_running_loop().time()
            client.send(post(b"", length=10_000_000))
            await send_slowly(client, served, 2)
            assert served.server._open  # otherwise a reset would destroy the reply
            assert (await client.read_reply())[2] == b"early"
            with contextlib.suppress(OSError, RuntimeError):  # uvloop's, of a closed transport
                await send_slowly(client, served, 10)
            assert not served.server._open
            assert asyncio.get_running_loop().time() - begun > 3


@on_loops
async def test_a_body_that_came_fast_at_first_may_not_trickle_for_ever():
    async with serve(settings=QUICK) as served, served.client() as client:
        served.server._interval = 0.1
        client.send(post(bytes(100_000), length=200_000))  # 100 s at the lowest rate allowed
        assert await trickle(client, 100) == 408


@pytest.mark.parametrize("pipelined", [False, True])
@on_loops
async def test_the_time_of_an_idle_connection_begins_behind_the_reply(pipelined):
    """A client that is slow to read has not been idle, and what it has asked meanwhile is answered."""
    body = bytes(8 * limits.MIB)
    answers = answering(lambda exchange: reply(exchange, body))
    async with (
        serve(answers, settings=IN_TIME) as served,
        served.client(limit=1024, receive=65536) as client,  # it soon has the rest, which the kernel holds
    ):
        served.server._interval = 0.1
        client.send(GET * 2 if pipelined else GET)
        await client.head()
        left = len(body)
        for _ in range(15):  # longer than each timeout
            left -= len(await client.reader.readexactly(100_000))
            await asyncio.sleep(0.1)
        await client.reader.readexactly(left)
        if not pipelined:
            client.send(GET)
        assert (await client.read_reply())[2] == body


def test_what_encryption_adds_is_not_held_against_the_client():
    """What is unsent is longer than what was written: so each write lowers the count of what was taken."""
    patience = Patience(HTTPSettings(write_timeout=15, write_rate=500, write_grace=15), 0)
    writer = SimpleNamespace(taken=0, unsent=1)
    for now in range(1, 60):
        writer.taken += 40_000 if now % 3 else -60_000
        assert not patience.is_stalled(float(now), writer)
    for now in range(60, 76):
        is_stalled = patience.is_stalled(float(now), writer)
    assert is_stalled  # it takes nothing any more

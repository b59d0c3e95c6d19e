"""Requests on their way to their delegates: bodies, how they are held back, limits, and 100 Continue."""

import asyncio
import gzip

import pytest
from tornado.httputil import HTTPHeaders, HTTPInputError, ResponseStartLine

from tests.waterspout.http.harness import GET, App, Delegate, answering, on_loops, post, reply, serve, until
from waterspout import limits

CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECT = "Expect: 100-continue"


class Held(Delegate):
    """Takes each piece of a body when `gate` is open."""

    def __init__(self, exchange):
        super().__init__(exchange)
        self.gate = asyncio.Event()

    async def data_received(self, chunk):
        await self.gate.wait()
        super().data_received(chunk)


class Measured(Delegate):
    """Answers with the number of bytes that came."""

    def answer(self):
        reply(self.exchange, b"%d" % len(self.body))


@on_loops
async def test_a_body_comes_in_pieces_of_chunk_size():
    async with serve(Measured, chunk_size=1000) as served, served.client() as client:
        client.send(post(b"x" * 2500))
        assert (await client.read_reply())[2] == b"2500"
        assert served.delegates[0].events == ["headers", 1000, 1000, 500, "finish"]


@on_loops
async def test_a_chunked_body_and_the_request_behind_it():
    async with serve() as served, served.client() as client:
        client.send(CHUNKED, b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\nHost: evil\r\n\r\n", GET)
        assert (await client.read_reply())[2] == b"/ abc"
        assert (await client.read_reply())[2] == b"/ "
        assert served.delegates[0].headers["Host"] == "x"


@on_loops
async def test_a_delegate_that_waits_holds_the_client_back():
    size = 32 * limits.MIB
    async with serve(Held) as served, served.client() as client:
        client.send(post(length=size), b"x" * size)
        await until(lambda: served.delegates)
        await asyncio.sleep(0.2)
        assert client.writer.transport.get_write_buffer_size() > 16 * limits.MIB  # most of it is unsent
        assert not served.delegates[0].body
        served.delegates[0].gate.set()
        assert len((await client.read_reply())[2]) == size + 2


@pytest.mark.parametrize("at_once", [False, True])
@on_loops
async def test_a_delegate_that_has_answered_and_waits_holds_the_next_request_back(at_once):
    gate = asyncio.Event()

    class Slow(Delegate):
        def finish(self):
            if at_once:
                super().finish()
            return self.wait()

        async def wait(self):
            if not at_once:
                super().finish()
            await gate.wait()

    async with serve(Slow) as served, served.client() as client:
        client.send(GET * 2)
        await client.read_reply()
        client.send(GET)
        await asyncio.sleep(0.1)
        assert len(served.delegates) == 1
        gate.set()
        await client.read_reply()


@on_loops
async def test_a_delegate_that_judges_the_head_holds_the_body_back():
    gate = asyncio.Event()

    class Judge(Delegate):
        async def headers_received(self, start_line, headers):
            Delegate.headers_received(self, start_line, headers)
            await gate.wait()
            self.events.append("judged")

    async with serve(Judge) as served, served.client() as client:
        client.send(post(b"body"), GET)
        await until(lambda: served.delegates)
        await asyncio.sleep(0.02)
        assert served.delegates[0].events == ["headers"]
        gate.set()
        assert (await client.read_reply())[2] == b"/ body"
        assert (await client.read_reply())[2] == b"/ "
        assert served.delegates[0].events == ["headers", "judged", 4, "finish"]


@pytest.mark.parametrize("step", ["headers_received", "data_received", "finish"])
@on_loops
async def test_a_client_that_leaves_while_the_delegate_waits(step):
    gate = asyncio.Event()

    async def wait(self, *args):
        getattr(Delegate, step)(self, *args)
        await gate.wait()

    async with serve(type("Waiting", (Measured,), {step: wait, "answer": lambda self: None})) as served:
        async with served.client() as client:
            client.send(post(b"body"))
            await until(lambda: served.delegates and served.delegates[0].events)
            await asyncio.sleep(0.02)
            client.reset()
        last = "left" if step == "finish" else "gone"
        await until(lambda: served.delegates[0].events[-1] == last)
        gate.set()
        await asyncio.sleep(0.02)
        assert served.delegates[0].events[-1] == last or step == "data_received"
        assert served.delegates[0].events.count(last) == 1
        assert "finish" not in served.delegates[0].events or step == "finish"


@pytest.mark.parametrize("how", ["reset", "close", "half_close"])
@on_loops
async def test_a_client_that_leaves_in_the_middle_of_a_body(how):
    async with serve() as served, served.client() as client:
        client.send(post(b"half", length=10))
        await until(lambda: served.delegates and served.delegates[0].body)
        {"reset": client.reset, "close": client.writer.close, "half_close": client.half_close}[how]()
        await until(lambda: not served.server._open)
        assert served.delegates[0].events == ["headers", 4, "gone"]


@on_loops
async def test_100_continue_comes_before_the_body_is_sent():
    async with serve() as served, served.client() as client:
        client.send(post(b"", EXPECT, length=4))
        assert await client.head() == (100, {})
        client.send(b"body")
        assert (await client.read_reply())[2] == b"/ body"


@pytest.mark.parametrize(
    ("expect", "version", "length"), [(EXPECT, "1.0", 4), (EXPECT, "1.1", 0), ("Expect: x", "1.1", 4)]
)
@on_loops
async def test_no_100_continue_for(expect, version, length):
    async with serve() as served, served.client() as client:
        client.send(post(b"body"[:length], expect, version=version))
        assert (await client.read_reply())[2] == b"/ " + b"body"[:length]


@on_loops
async def test_no_100_continue_when_the_delegate_has_deleted_expect():
    class Own(Delegate):
        def headers_received(self, start_line, headers):
            super().headers_received(start_line, headers)
            del headers["Expect"]

    async with serve(Own) as served, served.client() as client:
        client.send(post(b"", EXPECT, length=4))
        await until(lambda: served.delegates)
        client.send(b"body")
        assert (await client.read_reply())[:2] == (200, {"content-length": "6"})


@on_loops
async def test_no_100_continue_when_the_reply_has_begun_or_the_body_is_too_large():
    class Early(Delegate):
        def headers_received(self, start_line, headers):
            reply(self.exchange, b"no", 403)

    async with serve(Early) as served:
        assert (await served.ask(post(b"", EXPECT, length=4))).startswith(b"HTTP/1.1 403 ")
    async with serve(max_body_size=3) as served:
        assert (await served.ask(post(b"", EXPECT, length=4))).startswith(b"HTTP/1.1 413 ")


@on_loops
async def test_a_body_over_the_limit_is_refused_and_nothing_behind_it_is_served():
    async with serve(max_body_size=10) as served:
        for data in (post(b"x" * 11), CHUNKED + b"5\r\nxxxxx\r\n6\r\nxxxxxx\r\n0\r\n\r\n"):
            served.delegates.clear()
            answer = await served.ask(data + GET)
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert answer.count(b"HTTP/1.1") == 1
            assert [delegate.events[-1] for delegate in served.delegates] == ["gone"]
        assert (await served.ask(post(b"x" * 10, "Connection: close"))).endswith(b"x" * 10)


@pytest.mark.parametrize("size", [5, 20])
@on_loops
async def test_a_delegate_can_set_the_limit_of_its_request(size):
    class Own(Measured):
        def headers_received(self, start_line, headers):
            super().headers_received(start_line, headers)
            if start_line.path == "/":
                self.exchange.set_max_body_size(size)

    async with serve(Own, max_body_size=10) as served:
        for data in (post(b"x" * 15, "Connection: close"), CHUNKED + b"f\r\n" + b"x" * 15 + b"\r\n0\r\n\r\n"):
            async with served.client() as client:
                client.send(data)
                assert (await client.read_reply())[0] == (200 if size > 15 else 413)


@pytest.mark.parametrize("error", [HTTPInputError("no"), RuntimeError("no")])
@pytest.mark.parametrize("step", ["headers_received", "data_received", "finish"])
@on_loops
async def test_errors_of_delegates(step, error):
    def fail(self, *args):
        raise error

    async with serve(type("Failing", (Delegate,), {step: fail})) as served:
        answer = await served.ask(post(b"body") + GET)
        assert answer.startswith(b"HTTP/1.1 400 " if isinstance(error, HTTPInputError) else b"HTTP/1.1 500 ")
        assert answer.count(b"HTTP/1.1") == 1
        assert served.delegates[0].events.count("gone") == 1


@pytest.mark.parametrize("data", [GET, post(b"body"), CHUNKED])
@on_loops
async def test_an_application_that_gives_no_delegate_is_answered_for(data, caplog):
    async with serve(App(lambda exchange: None)) as served:
        assert (await served.ask(data)).startswith(b"HTTP/1.1 500 ")
    assert caplog.messages == [f"Uncaught exception {data.split()[0].decode()} / (127.0.0.1)"]


@pytest.mark.parametrize("step", ["headers_received", "data_received", "finish"])
@on_loops
async def test_a_delegate_that_gives_what_can_t_be_awaited_has_failed(step):
    """After another request, too, where nobody but us would notice."""

    def fail(self, *arguments):
        return 7 if len(served.delegates) == 2 else getattr(Delegate, step)(self, *arguments)

    async with serve(type("Odd", (Delegate,), {step: fail})) as served, served.client() as client:
        client.send(GET, post(b"body"))
        assert (await client.read_reply())[0] == 200
        assert (await client.read_reply())[0] == 500


@on_loops
async def test_a_compressed_body():
    async with serve(decompress_request=True, max_body_size=10_000) as served, served.client() as client:
        client.send(post(gzip.compress(b"body"), "Content-Encoding: gzip"))
        assert (await client.read_reply())[2] == b"/ body"
        assert served.delegates[0].headers["X-Consumed-Content-Encoding"] == "gzip"
        client.send(post(b"plain"))
        assert (await client.read_reply())[2] == b"/ plain"
        client.send(post(gzip.compress(b"x" * 20_000), "Content-Encoding: gzip"))
        assert (await client.read_reply())[0] in (400, 413)
        assert await client.rest() == b""


@pytest.mark.parametrize("damage", [lambda data: data[:-4], lambda data: b"x" + data])
@on_loops
async def test_a_compressed_body_that_is_broken(damage):
    async with serve(decompress_request=True) as served:
        answer = await served.ask(post(damage(gzip.compress(b"body" * 100)), "Content-Encoding: gzip"))
        assert answer.startswith(b"HTTP/1.1 400 ")
        # Tornado's own delegate reports it as well, if the damage is found at the end.
        assert {"gone", "left", "finish"}.intersection(served.delegates[0].events) == {"gone"}


@on_loops
async def test_a_body_timeout_ends_with_the_body():
    """Set by a handler once the body is whole, it has no effect: Tornado ignores it then."""

    class Own(Delegate):
        def finish(self):
            self.exchange.set_body_timeout(0.05)
            super().finish()

    async with serve(Own) as served, served.client() as client:
        for _ in range(3):
            client.send(post(b"body"))
            assert (await client.read_reply())[2] == b"/ body"
            await asyncio.sleep(0.06)


@on_loops
async def test_a_body_must_be_whole_in_time():
    class Own(Delegate):
        def headers_received(self, start_line, headers):
            super().headers_received(start_line, headers)
            self.exchange.set_body_timeout(0.1)

    async with serve(Own) as served:
        assert await served.ask(post(b"half", length=10)) == b""
        assert served.delegates[0].events == ["headers", 4, "gone"]
    async with serve(body_timeout=0.1) as served:
        assert await served.ask(post(b"half", length=10)) == b""


@on_loops
async def test_a_body_timeout_counts_from_when_the_body_is_received():
    """As in Tornado: the time the delegate spends on the head is neither the client's nor the body's."""

    class Own(Delegate):
        async def headers_received(self, start_line, headers):
            super().headers_received(start_line, headers)
            self.exchange.set_body_timeout(0.1)
            await asyncio.sleep(0.2)

    async with serve(Own) as served, served.client() as client:
        client.send(post(b"body"))
        assert (await client.read_reply())[2] == b"/ body"
        client.send(GET)
        assert (await client.read_reply())[2] == b"/ "
        client.send(post(b"half", length=10))
        assert await client.rest() == b""


@on_loops
async def test_a_body_timeout_of_none_lifts_the_servers():
    class Own(Delegate):
        def headers_received(self, start_line, headers):
            super().headers_received(start_line, headers)
            if "X-Patient" in headers:
                self.exchange.set_body_timeout(None)

    async with serve(Own, body_timeout=0.1) as served, served.client() as client:
        head, body = post(b"body", "X-Patient: yes")[:-4], b"body"
        client.send(head)
        await asyncio.sleep(0.3)
        client.send(body)
        assert (await client.read_reply())[2] == b"/ body"
        client.send(post(b"half", length=10))  # the server's applies again to the next one
        assert await client.rest() == b""


@on_loops
async def test_a_body_timeout_of_one_request_is_not_the_next_ones():
    class Own(Delegate):
        def headers_received(self, start_line, headers):
            super().headers_received(start_line, headers)
            if "X-Hurry" in headers:
                self.exchange.set_body_timeout(0.1)

    async with serve(Own) as served, served.client() as client:
        client.send(post(b"body", "X-Hurry: yes"))
        assert (await client.read_reply())[2] == b"/ body"
        client.send(post(b"body")[:-4])
        await asyncio.sleep(0.3)
        client.send(b"body")
        assert (await client.read_reply())[2] == b"/ body"


@on_loops
async def test_a_body_timeout_does_not_cut_a_reply_that_came_before():
    """The rest of the body is not awaited by then, and discarding it has a time limit of its own."""
    size = 16 * limits.MIB

    class Early(Delegate):
        def data_received(self, chunk):
            reply(self.exchange, bytes(size), 403)

    async with serve(Early, body_timeout=0.1) as served, served.client(limit=1024, receive=4096) as client:
        client.send(post(b"half", length=10))
        await until(lambda: served.delegates and served.delegates[0].exchange.finished)
        await asyncio.sleep(0.3)
        assert len((await client.read_reply())[2]) == size


@on_loops
async def test_the_next_reply_never_takes_the_place_of_one_whose_head_was_refused():
    """Nothing of the first reply has gone out, so nothing may follow it."""

    def answer(exchange):
        if exchange.head.target == "/next":
            reply(exchange)
            return
        with pytest.raises(ValueError):
            exchange.write_headers(ResponseStartLine("", 200, "\u20ac"), HTTPHeaders())
        exchange.write(b"")
        exchange.finish()

    async with serve(answering(answer)) as served:
        assert await served.ask(GET + GET.replace(b" / ", b" /next ")) == b""


@pytest.mark.parametrize("behind", [b"\r\n", b"GET /more HTTP/1.1\r\nHost: x\r\n\r\n", b"x" * 10_000])
@pytest.mark.parametrize("last", ["Connection: close", "1.0"])
@on_loops
async def test_what_comes_behind_the_last_request_costs_no_reply(last, behind):
    """Left unread, it would make the kernel send a reset, which can destroy the reply."""
    version, line = ("1.0", "X: 1") if last == "1.0" else ("1.1", last)
    whole = b"x" * 200_000
    async with serve(answering(lambda exchange: reply(exchange, whole))) as served:
        async with served.client(receive=4096) as client:
            client.send(post(b"form", line, version=version))
            await until(lambda: served.delegates)
            await asyncio.sleep(0.05)  # the server has written, and would have closed
            client.send(behind)
            await asyncio.sleep(0.05)
            status, _, body = await client.read_reply()
            assert (status, len(body)) == (200, len(whole))
            assert await client.rest() == b""
        await until(lambda: not served.server._open)
        assert len(served.delegates) == 1


@on_loops
async def test_a_client_that_goes_behind_the_last_reply_is_not_waited_for():
    async with serve() as served:
        for leave in ("rest", "half_close"):
            async with served.client() as client:
                if leave == "half_close":
                    client.send(post(b"form", "Connection: close"))
                    client.half_close()
                else:
                    client.send(post(b"form", "Connection: close"))
                await client.rest()
            await until(lambda: not served.server._open, 1)  # LINGER is 2 s


@on_loops
async def test_nor_is_one_that_stops_sending_while_it_is_still_on_its_way():
    whole = b"x" * (8 * limits.MIB)
    async with (
        serve(answering(lambda exchange: reply(exchange, whole))) as served,
        served.client(receive=4096, limit=1024) as client,
    ):
        client.send(post(b"form", "Connection: close"))
        await until(lambda: served.delegates)
        await asyncio.sleep(0.05)  # what the kernels can buffer has gone out
        client.half_close()
        await asyncio.sleep(0.05)
        assert len((await client.read_reply())[2]) == len(whole)
        assert await client.rest() == b""
        await until(lambda: not served.server._open, 1)  # LINGER is 2 s

"""What clients send for native handlers is bounded together, on real sockets."""

import asyncio
import logging

import pytest
from tornado.web import RequestHandler

from tests.waterspout.clients import connect
from tests.waterspout.native.handlers import Upload
from tests.waterspout.websocket import raw
from tests.waterspout.websocket.serving import FORMS, Witness, scenario, serve
from waterspout import Application
from waterspout.native.buffer import BufferSpace

pytestmark = pytest.mark.gen_test(timeout=30)

BODY = 700_000
ROOM = 1_000_000


class Whole(RequestHandler):
    """Is handed its body whole, and answers once it may."""

    async def post(self):
        await self.settings["gate"].wait()
        self.write(str(len(self.request.body)))


@pytest.fixture
def gate():
    gate = asyncio.Event()
    gate.set()
    return gate


@pytest.fixture
def app(io_loop, gate):
    rules = [("/whole", Whole), ("/streams", Upload)]
    app = Application(rules, native_buffer=ROOM, native_max_body_size=2 * BODY, gate=gate)
    yield app
    io_loop.run_sync(app.stop)


async def begin(client, path="/whole", *, size=BODY, sent=BODY - 1):
    """Send a request, but not all of its body."""
    await client.send(f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {size}", body=bytes(sent))


async def until(held, app):
    while app.native_buffer.used != held:
        await asyncio.sleep(0.005)


async def test_who_finds_no_room_is_asked_to_come_later(http_port, http_server, app, access_log):
    async with connect(http_port) as first, connect(http_port) as second:
        await begin(first)
        await until(BODY - 1, app)
        await begin(second)
        status, fields, _ = await second.read_reply()
        assert status == 503
        assert (fields["connection"], "retry-after" in fields) == ("close", True)
        assert app.native_buffer.used == BODY - 1
        await first.stream.write(b"x")
        assert (await first.read_reply())[2] == b"%d" % BODY
        await until(0, app)
    refused = [line for line in access_log.messages if " 503 " in line]
    assert [line.endswith(" no-room") for line in refused] == [True]


async def test_who_was_told_to_go_on_is_answered_too(http_port, http_server, app):
    async with connect(http_port) as first, connect(http_port) as second:
        await begin(first)
        await until(BODY - 1, app)
        await second.send(
            "POST /whole HTTP/1.1", "Host: x", f"Content-Length: {BODY}", "Expect: 100-continue"
        )
        assert (await second.read_head())[0].split()[1] == "100"
        for _ in range(4):
            await second.stream.write(bytes(BODY // 4))
            await asyncio.sleep(0.05)  # a server that has closed resets the connection now
        assert (await second.read_reply())[0] == 503


async def test_it_is_held_until_the_handler_is_done(http_port, http_server, app, gate):
    gate.clear()
    async with connect(http_port) as first, connect(http_port) as second:
        await begin(first, sent=BODY)
        await until(BODY, app)
        await begin(second)
        assert (await second.read_reply())[0] == 503
        gate.set()
        assert (await first.read_reply())[0] == 200
        await until(0, app)
        await begin(first, sent=BODY)  # on the same connection
        assert (await first.read_reply())[0] == 200
        await until(0, app)


async def test_whose_client_leaves_is_held_no_longer(http_port, http_server, app, gate):
    async with connect(http_port) as client:
        await begin(client)
        await until(BODY - 1, app)
    await until(0, app)
    gate.clear()
    async with connect(http_port) as client:
        await begin(client, sent=BODY)
        await until(BODY, app)
    gate.set()
    await until(0, app)


async def test_nor_is_what_has_become_too_large(http_port, http_server, app):
    async with connect(http_port) as client:
        await client.send("POST /whole HTTP/1.1", "Host: x", "Transfer-Encoding: chunked")
        await client.stream.write(b"%x\r\n" % (3 * BODY) + bytes(3 * BODY) + b"\r\n")
        assert (await client.read_reply())[0] == 413
    await until(0, app)


async def test_who_is_alone_has_room(http_port, http_server, app):
    app.configure(native_buffer=0)
    async with connect(http_port) as client:
        await begin(client, sent=BODY)
        assert (await client.read_reply())[0] == 200


async def test_a_handler_that_streams_holds_nothing(http_port, http_server, app):
    async with connect(http_port) as first, connect(http_port) as second:
        await begin(first, size=2 * BODY, sent=BODY)
        await until(BODY, app)
        await begin(second, "/streams", sent=BODY)
        assert (await second.read_reply())[2] == b"%d" % BODY


def test_the_log_names_the_option_and_counts(caplog):
    async def refuse():
        space = BufferSpace(10)
        assert space.take(9, 0)
        assert [space.take(2, 0) for _ in range(3)] == [False] * 3
        space.say_rest()

    caplog.set_level(logging.WARNING)
    asyncio.run(refuse())
    first, rest = caplog.messages
    assert "--native-buffer" in first
    assert "refused 1 since" in first
    assert "refused 2 more since" in rest


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@scenario
async def test_so_are_messages_that_are_not_complete(form):
    part = raw.frame(raw.BINARY, bytes(600), fin=False)
    rest = raw.frame(raw.CONTINUATION, bytes(600))
    async with (
        serve(form, Witness, ours=Application, native_buffer=1000) as served,
        raw.connect(served.port) as first,
    ):
        await served.until("open")
        app = served.handler.application
        first.send(part)
        await until(600, app)
        async with raw.connect(served.port) as second:
            second.send(part)
            assert await second.read_close() == (1013, "no room for messages")
        first.send(rest)
        await served.until(bytes(1200))
        await until(0, app)
        async with raw.connect(served.port) as second:
            second.send(part)
            await until(600, app)
        await until(0, app)


class Slow(Witness):
    async def on_message(self, message):
        super().on_message("began")
        await self.settings["gate"].wait()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@scenario
async def test_so_are_those_whose_handler_is_not_done(form):
    gate = asyncio.Event()
    async with (
        serve(form, Slow, ours=Application, native_buffer=1000, gate=gate) as served,
        raw.connect(served.port) as client,
    ):
        await served.until("open")
        app = served.handler.application
        client.send(raw.frame(raw.BINARY, bytes(600), fin=False))
        await until(600, app)
        client.send(raw.frame(raw.CONTINUATION, bytes(600)))
        await served.until("began")
        assert app.native_buffer.used == 600
        gate.set()
        await until(0, app)

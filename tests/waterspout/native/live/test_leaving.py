"""Clients that leave before they are followers hold no place."""

import asyncio
import math

import pytest

from tests.waterspout.http.harness import on_loops, serve, until
from tests.waterspout.native.live.test_watch import FakeSource
from waterspout import Application
from waterspout.native.live import PollHandler, SocketHandler, StreamHandler, Watch

HEADS = {
    SocketHandler: b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    StreamHandler: b"",
    PollHandler: b"",
}


@pytest.mark.parametrize("known", [False, True], ids=["not_yet_known", "known"])
@pytest.mark.parametrize("door", HEADS)
@on_loops
async def test_a_client_that_has_left_when_its_handler_begins(door, known):
    class Leaving(door):
        async def prepare(self):
            self.request.connection._connection.abort()
            if known:
                await asyncio.sleep(0.05)

    ended = asyncio.Event()
    watch = Watch("weather", FakeSource(), interval=math.inf)
    settings = {"patience": math.inf, "heartbeat": math.inf, "log_function": lambda _: ended.set()}
    app = Application([("/", Leaving)], watch=watch, **settings)
    async with serve(app) as served, served.client() as client:
        client.send(b"GET /?since=1.0.0 HTTP/1.1\r\nHost: x\r\n", HEADS[door], b"\r\n")
        await client.rest()
        await until(lambda: not watch.follower_count and ended.is_set())
        await asyncio.sleep(0.05)
        assert not watch.follower_count
    await app.stop()

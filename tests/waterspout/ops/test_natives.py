"""Which native requests run, as far as tasks show it. The wire tests are in wire/test_stats.py."""

import asyncio
from types import SimpleNamespace

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.waterspout.wsgi.jobs import wait_for
from waterspout.http import HTTPServer
from waterspout.ops.natives import NativeRequest, find_natives, tell_natives, walk_natives

pytestmark = pytest.mark.gen_test(timeout=20)


class Waits(RequestHandler):
    """Twice: before its reply, and after it."""

    async def get(self):
        await self.application.gate.wait()
        await self.finish("done")
        await self.application.second_gate.wait()


class Asks(RequestHandler):
    def get(self):
        self.write(str(len(find_natives())))


class Other:
    async def _execute(self):
        await asyncio.Event().wait()


@pytest.fixture
def served(io_loop):
    async def serve():
        application = Application([("/waits", Waits), ("/asks", Asks)])
        application.gate, application.second_gate = asyncio.Event(), asyncio.Event()
        server = HTTPServer(application)
        sock, port = bind_unused_port()
        server.add_socket(sock)
        return application, server, f"http://127.0.0.1:{port}"

    application, server, url = io_loop.run_sync(serve)
    yield application, url
    server.stop()
    io_loop.run_sync(server.close_all_connections)


async def test_a_stock_application_s_are_found_until_they_are_answered(served):
    application, url = served
    other = asyncio.create_task(Other()._execute())
    asked = asyncio.ensure_future(AsyncHTTPClient().fetch(url + "/waits?secret=x"))
    await wait_for(find_natives)
    (native,) = find_natives()
    assert (native.request, native.replies, native.is_left) == ("GET /waits", False, False)
    assert 0 <= native.seconds < 20
    application.gate.set()
    assert (await asked).body == b"done"
    assert find_natives() == []  # though its coroutine goes on
    application.second_gate.set()
    other.cancel()


async def test_who_asks_is_not_among_them(served):
    _application, url = served
    assert (await AsyncHTTPClient().fetch(url + "/asks")).body == b"0"


async def test_who_walks_leaves_the_event_loop_its_turns(served, monkeypatch):
    monkeypatch.setattr("waterspout.ops.natives._AT_ONCE", 50)
    application, url = served
    fetches = [asyncio.ensure_future(AsyncHTTPClient().fetch(url + "/waits")) for _ in range(3)]
    await wait_for(lambda: len(find_natives()) == 3)
    others = [asyncio.create_task(Other()._execute()) for _ in range(1000)]
    turns = []

    async def walk():
        return [native async for native in walk_natives()]

    walking = asyncio.create_task(walk())
    while not walking.done():
        turns.append(None)
        await asyncio.sleep(0)
    assert {native.request for native in await walking} == {"GET /waits"}
    assert len(await walking) == 3
    assert len(turns) > 10
    for other in others:
        other.cancel()
    application.gate.set()
    application.second_gate.set()
    await asyncio.gather(*fetches)


async def test_at_most_five_are_named_and_none_that_replies():
    requests = [SimpleNamespace(request=SimpleNamespace(method="GET", uri=f"/{n}?q")) for n in range(9)]
    natives = [NativeRequest(requests[n], None, 20.0 - n, n == 0, n == 7) for n in range(9)]
    told = tell_natives(natives)
    assert told["requests"] == {"running": 9, "replying": 1, "abandoned": 1}
    assert [each["request"] for each in told["longest"]] == [f"GET /{n}" for n in range(1, 6)]

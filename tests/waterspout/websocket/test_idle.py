"""What an idle WebSocket costs: thousands are kept, for days."""

import asyncio
import gc
import socket
import tracemalloc
from typing import ClassVar

import pytest
from tornado.websocket import WebSocketHandler

from tests.waterspout.http.harness import LOOPS, on_loops, serve
from tests.waterspout.processes import run_python
from tests.waterspout.websocket import raw
from waterspout import Application

#: What a browser sends as well.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0",
    "Origin": "http://localhost",
    "Pragma": "no-cache",
    "Cache-Control": "no-cache",
    "Accept-Encoding": "gzip, deflate, br",
    "Accept-Language": "en-US,en;q=0.9",
    "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
}
MANY = 200


class Silent(WebSocketHandler):
    seen: ClassVar = []

    def open(self):
        self.seen.append(self)


async def connect(port):
    client = socket.socket()
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", port))
    await loop.sock_sendall(client, raw.request(**BROWSER))
    assert (await loop.sock_recv(client, 1000)).startswith(b"HTTP/1.1 101")
    return client


async def measure():
    """Print how many bytes Python holds for each, the test's own side included."""
    async with serve(Application([("/", Silent)])) as served:
        clients = [await connect(served.port) for _ in range(10)]
        gc.collect()
        tracemalloc.start()
        clients += [await connect(served.port) for _ in range(MANY)]
        gc.collect()
        print(tracemalloc.get_traced_memory()[0] // MANY)
        for client in clients:
            client.close()


@pytest.mark.parametrize("loop_name", LOOPS)
def test_an_idle_connection_of_a_browser_is_small(loop_name):
    """In a separate process: what other tests have done to a class makes its instances larger."""
    code = (
        "import asyncio\nfrom tests.waterspout.http.harness import LOOPS\n"
        "from tests.waterspout.websocket.test_idle import measure\n"
        f"asyncio.Runner(loop_factory=LOOPS[{loop_name!r}]).run(measure())"
    )
    assert int(run_python(code)) < 8500


@on_loops
async def test_it_keeps_its_head_once_and_no_task():
    Silent.seen.clear()
    async with serve(Application([("/", Silent)])) as served:
        (await connect(served.port)).close()
        [handler] = Silent.seen
        request = handler.request
        head = request.connection.head
        assert head.fields is request.headers.fields
        assert list(request.headers.get_all())[-1] == ("X-Request-Id", request.request_id)
        assert (request.headers["origin"], head.names["origin"]) == ("http://localhost",) * 2
        assert request.connection.task is None

"""The operations address: what it answers, and when it is there."""

import json
from types import SimpleNamespace

import pytest
from tornado.httpclient import AsyncHTTPClient

from waterspout.exceptions import WaterspoutError
from waterspout.http.counting import Connections
from waterspout.ops.address import OpsAddress
from waterspout.ops.gauges import Gauges
from waterspout.serving.ops_server import OpsServer

pytestmark = pytest.mark.gen_test(timeout=20)


class FakeGauges(Gauges):
    """One pool, which is up or down as the test likes."""

    def __init__(self):
        super().__init__()
        self.down = []

    def find_down(self):
        return self.down


@pytest.fixture
def gauges():
    return FakeGauges()


@pytest.fixture
def ops(io_loop, gauges):
    async def listen():
        ops = OpsServer(OpsAddress("127.0.0.1", 0), gauges)
        ops.listen()
        ops.starting = False
        return ops

    ops = io_loop.run_sync(listen)
    yield ops
    io_loop.run_sync(ops.close)


async def fetch(ops, path):
    return await AsyncHTTPClient().fetch(ops.describe() + path, raise_error=False)


async def test_health_says_which_pools_are_down(ops, gauges):
    assert (await fetch(ops, "/-/health")).code == 200
    gauges.down = ["main"]
    answer = await fetch(ops, "/-/health")
    assert (answer.code, json.loads(answer.body)["down"]) == (503, ["main"])


@pytest.mark.parametrize("path", ["/", "/-/nothing", "/metrics", "/-/health/"])
async def test_elsewhere_it_says_what_there_is(ops, path):
    answer = await fetch(ops, path)
    assert (answer.code, json.loads(answer.body)["paths"]) == (404, ["/-/stats", "/-/health"])
    answer = await AsyncHTTPClient().fetch(ops.describe() + path, method="POST", body="", raise_error=False)
    assert answer.code == 404


async def test_another_method_is_told_which_ones_there_are(ops):
    url = ops.describe() + "/-/health"
    answer = await AsyncHTTPClient().fetch(url, method="POST", body="", raise_error=False)
    assert (answer.code, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert json.loads(answer.body) == {"error": "Method Not Allowed"}


async def test_a_server_that_stops_is_not_healthy(ops):
    ops.stopping = True
    assert (await fetch(ops, "/-/health")).code == 503
    assert json.loads((await fetch(ops, "/-/stats")).body)["stopping"] is True


async def test_nor_is_one_that_starts(ops):
    ops.starting = True
    answer = await fetch(ops, "/-/health")
    assert (answer.code, json.loads(answer.body)["starting"]) == (503, True)


async def test_the_connections_are_those_of_the_public_server(ops):
    told = json.loads((await fetch(ops, "/-/stats")).body)["connections"]
    assert (told["open"], told["websockets"]) == (0, None)
    ops.public = SimpleNamespace(count_connections=lambda: Connections(9, 2, 1024))
    told = json.loads((await fetch(ops, "/-/stats")).body)["connections"]
    assert told == {"open": 9, "websockets": 2, "limit": 1024}
    assert ops._server.count_connections() == (9, 2, 1024)


async def test_the_lag_is_sampled_as_long_as_it_listens(ops, gauges):
    assert gauges.lag.sampling
    assert len(ops.descriptors()) == 1
    await ops.close()
    assert not gauges.lag.sampling
    assert ops.descriptors() == []


async def test_what_never_listened_can_be_closed(gauges):
    ops = OpsServer(OpsAddress("127.0.0.1", 9), gauges)
    assert ops.describe() == "127.0.0.1:9"
    await ops.close()


async def test_a_host_that_can_t_be_is_said_with_its_option(gauges):
    with pytest.raises(WaterspoutError, match="see --ops-bind"):
        OpsServer(OpsAddress("host" * 99, 9), gauges).listen()


@pytest.mark.parametrize("path", ["x" * 200, "/nowhere/ops.sock"])
async def test_a_path_that_can_t_be_is_said_with_its_option(gauges, path):
    with pytest.raises(WaterspoutError, match="--ops-bind"):
        OpsServer(OpsAddress(path=path), gauges).listen()

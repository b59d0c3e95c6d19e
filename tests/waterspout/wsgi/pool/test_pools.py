"""The pools of one app: what each of them is, what is sent where, and that they start and stop together."""

import asyncio
import json
import os

import pytest

from tests.waterspout.clients import connect
from tests.waterspout.processes import children
from tests.waterspout.wsgi import apps
from tests.waterspout.wsgi.jobs import wait_for
from waterspout import Container
from waterspout.exceptions import ConfigurationError, TargetRaised
from waterspout.wsgi.pool.pool import Pool
from waterspout.wsgi.pool.pools import Pools
from waterspout.wsgi.settings import PoolSettings

pytestmark = pytest.mark.gen_test(timeout=40)

APP = "tests.waterspout.wsgi.apps:app"
RULES = [("/gated", "slow"), ("/slow/*", "slow")]
TWO_THREADS = {"slow": {"workers": 0, "threads": 2}}
A_PROCESS = {"slow": {"workers": 1, "threads": 1}}


def make(target=APP, named=TWO_THREADS, rules=RULES, **settings):
    return Pools(target, PoolSettings(**settings), named, rules)


# --- what they are -------------------------------------------------------------------------------------


async def test_without_names_there_is_one_pool_and_nobody_looks_at_paths():
    pools = make(named=None, rules=())
    assert list(pools.all) == ["main"]
    assert pools.dispatcher is pools.main
    assert isinstance(pools.dispatcher, Pool)


async def test_a_named_pool_is_as_the_main_one_but_for_what_is_said():
    pools = make(named={"slow": {"workers": 2, "threads": 3, "queue": 4}}, graceful_timeout=9, queue=7)
    assert list(pools.all) == ["main", "slow"]
    assert pools.main.settings == PoolSettings(graceful_timeout=9, queue=7)
    assert pools.all["slow"].settings == PoolSettings(2, 3, 4, graceful_timeout=9)


@pytest.mark.parametrize(
    ("named", "word"),
    [
        ({"slow": {}}, "'slow': give its number of workers and threads"),
        ({"slow": {"workers": 1}}, "give its number of workers and threads"),
        ({"slow": {"threads": 1}}, "give its number of workers and threads"),
        ({"slow": "1x4"}, "give its number of workers and threads"),
        ({"slow": {"workers": 1, "threads": 0}}, "'slow': wsgi threads must be at least 1"),
        (
            {"slow": {"workers": 1, "threads": 1, "lanes": 1}},
            "unknown setting 'lanes'; the settings are workers",
        ),
        ({"slow": {"workers": 1, "threads": 1, "debug": True}}, "debug is the same for all"),
        ({"slow": {"workers": 1, "threads": 1, "graceful_timeout": 1}}, "the same for all"),
        ({"main": {"workers": 1, "threads": 1}}, "choose another name"),
        ({"s l o w": {"workers": 1, "threads": 1}}, "not a pool name"),
        ({**A_PROCESS, "other": {"workers": 1, "threads": 1}}, "requests to pool 'other'"),
        ({}, "'slow', which does not exist"),
    ],
)
async def test_what_can_t_be_is_refused(named, word):
    with pytest.raises(ConfigurationError, match=word):
        make(named=named)


async def test_a_callable_can_t_have_a_pool_of_processes():
    with pytest.raises(ConfigurationError, match="import string"):
        make(apps.app, A_PROCESS, workers=0)


@pytest.mark.parametrize(("workers", "named"), [(1, TWO_THREADS), (1, A_PROCESS), (0, A_PROCESS)])
async def test_the_debugger_lives_in_one_process(workers, named):
    with pytest.raises(ConfigurationError, match="one WSGI process"):
        make(named=named, workers=workers, debug=True)
    assert make(workers=0, debug=True).main.settings.debug


# --- who is sent where ---------------------------------------------------------------------------------


@pytest.fixture
def container(io_loop):
    container = Container(apps.app, threads=1, pools=TWO_THREADS, pool_rules=RULES)
    yield container
    io_loop.run_sync(lambda: container.stop(1))


@pytest.fixture
def app(container):
    return container


async def test_the_path_says_which_pool_runs_a_request(http_client, base_url, container, gate):
    gate.touch()
    for path in ("/hello", "/gated", "/%67ated", "/gated/x", "/gate%64", "/hello/gated", "//gated"):
        assert (await http_client.fetch(f"{base_url}{path}?{gate}")).code == 200
    assert {name: pool.started for name, pool in container.pools.items()} == {"main": 2, "slow": 5}


async def test_a_full_pool_takes_nothing_from_another(http_client, base_url, container, gate):
    container.configure(pools={"slow": {"workers": 0, "threads": 2, "queue": 1}})
    await container.start()
    slow = [asyncio.ensure_future(http_client.fetch(f"{base_url}/gated?{gate}")) for _ in range(3)]
    while container.pools["slow"].waiting < 1:
        await asyncio.sleep(0.005)
    refused = await http_client.fetch(f"{base_url}/gated?{gate}", raise_error=False)
    assert refused.code == 503
    for _ in range(5):
        assert (await http_client.fetch(base_url + "/hello")).body == b"hello"
    gate.touch()
    assert [reply.code for reply in await asyncio.gather(*slow)] == [200] * 3


async def test_a_queued_request_whose_client_left_is_withdrawn_from_its_pool(
    http_port, http_server, container, gate
):
    async def send(target):
        client = connect(http_port)
        await (await client.__aenter__()).send(f"GET {target}?{gate} HTTP/1.1", "Host: x")
        return client

    slow = container.pools["slow"]
    clients = [await send("/gated") for _ in range(3)]
    while slow.waiting < 1:
        await asyncio.sleep(0.005)
    await clients.pop().__aexit__(None, None, None)
    while slow.waiting:
        await asyncio.sleep(0.005)
    gate.touch()
    for client in clients:
        await client.__aexit__(None, None, None)
    assert slow.started == 2


async def test_an_upload_that_finds_no_room_waits_in_its_pool(http_port, http_server, container, gate):
    container.configure(spool=0, pools={"slow": {"workers": 0, "threads": 2, "queue_timeout": 0.1}})
    slow = container.pools["slow"]
    async with connect(http_port) as first, connect(http_port) as second:
        for client in (first, second):
            await client.send(f"POST /gated?{gate} HTTP/1.1", "Host: x", "Content-Length: 250000")
            await client.stream.write(bytes(250_000))
            await wait_for(lambda: slow.running == 1)
        assert (await second.read_reply())[0] == 503
        gate.touch()
        assert (await first.read_reply())[0] == 200
    assert (slow.refused, slow.waiting, container.pools["main"].refused) == (1, 0, 0)


async def test_what_is_refused_before_it_is_anybody_s_counts_as_the_main_one_s(
    http_client, base_url, container
):
    container.configure(max_body_size=10)
    reply = await http_client.fetch(base_url + "/gated", method="POST", body=bytes(100), raise_error=False)
    assert reply.code == 413
    assert container.pools["main"].figures.answers == {413: 1}


# --- what the app is told ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("main", "slow", "told"),
    [((0, 1), (0, 1), (True, False)), ((1, 1), (0, 1), (False, True)), ((1, 2), (1, 2), (True, True))],
)
async def test_the_app_is_told_that_others_run_it(main, slow, told):
    named = {"slow": {"workers": slow[0], "threads": slow[1]}}
    container = Container(
        APP, workers=main[0], threads=main[1], pools=named, pool_rules=[("/describe/slow", "slow")]
    )
    try:
        for target in ("/describe", "/describe/slow"):
            environ = await ask_alone(container, target)
            assert (environ["wsgi.multithread"], environ["wsgi.multiprocess"]) == told
    finally:
        await container.stop(1)


async def ask_alone(container, target):
    """The JSON answer of a container that nothing else serves."""
    from tornado.httpserver import HTTPServer
    from tornado.testing import bind_unused_port

    server = HTTPServer(container)
    sock, port = bind_unused_port()
    server.add_socket(sock)
    try:
        async with connect(port) as client:
            return json.loads((await client.ask(f"GET {target} HTTP/1.1", "Host: x"))[2])
    finally:
        server.stop()
        await server.close_all_connections()


async def test_threads_of_all_pools_run_one_app_object():
    container = Container(
        "tests.waterspout.wsgi.apps:Fresh()", workers=0, pools=TWO_THREADS, pool_rules=RULES
    )
    try:
        first, second = [await ask_alone(container, target) for target in ("/app", "/slow/app")]
        assert first == second
    finally:
        await container.stop(1)
    assert container._pools._shared.load._app is None


# --- life ----------------------------------------------------------------------------------------------


async def test_they_start_and_stop_together():
    before = children()
    pools = make(named=A_PROCESS, workers=1, threads=1)
    await pools.start()
    await pools.start()
    pids = [crew.pid for pool in pools.all.values() for crew in pool.crews]
    assert len(pids) == 2
    assert set(pids) <= children() - before
    await pools.stop(1)
    assert children() - before == set()


@pytest.mark.parametrize("main", [0, 1])
async def test_when_one_can_t_start_none_does_and_the_error_names_it(main):
    before = children()
    named = {"slow": {"workers": 1 - main, "threads": 1}}
    pools = make("tests.waterspout.wsgi.apps:make_only_here()", named, workers=main)
    with pytest.raises(TargetRaised, match=f"pool {'main' if main else 'slow'}: .*no database"):
        await pools.start()
    assert children() - before == set()
    assert not any(pool.crews for pool in pools.all.values())


async def test_what_keeps_all_from_starting_is_said_once():
    pools = make("tests.waterspout.wsgi.apps:raise_at_once()", TWO_THREADS, workers=0)
    with pytest.raises(TargetRaised) as raised:
        await pools.start()
    assert "pool" not in str(raised.value)


async def test_a_start_that_is_cancelled_leaves_nothing_behind():
    before = children()
    pools = make(named=A_PROCESS, workers=1, threads=1)
    starting = asyncio.ensure_future(pools.start())
    while not children() - before:
        await asyncio.sleep(0.005)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert children() - before == set()


@pytest.fixture
def waiting(io_loop, tmp_path, monkeypatch):
    """Pools of an app that is loaded as soon as `waiting.gate` is there."""
    (tmp_path / "waiting_to_load.py").write_text(
        "import time\n"
        "from pathlib import Path\n"
        "while not Path(__file__).with_name('gate').exists():\n"
        "    time.sleep(0.01)\n"
        "from tests.waterspout.wsgi.apps import app\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    pools = make("waiting_to_load:app", {}, [], workers=1, threads=1)
    pools.gate = tmp_path / "gate"
    yield pools
    io_loop.run_sync(lambda: pools.stop(0))


async def start_twice(pools):
    """Two tasks, once the first has begun and the second waits."""
    before = children()
    tasks = [asyncio.ensure_future(pools.start()) for _ in range(2)]
    await wait_for(lambda: children() - before)
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in tasks)
    return tasks


async def test_who_asks_for_the_start_again_waits_for_it_too(waiting):
    starts = await start_twice(waiting)
    waiting.gate.touch()
    await asyncio.wait(starts, return_when=asyncio.FIRST_COMPLETED)
    assert [crew.ready for crew in waiting.main.crews] == [True]
    await asyncio.gather(*starts)


@pytest.mark.parametrize("gone", [0, 1])
async def test_who_waits_for_the_start_no_longer_takes_it_from_nobody(waiting, gone):
    starts = await start_twice(waiting)
    starts[gone].cancel()
    with pytest.raises(asyncio.CancelledError):
        await starts[gone]
    waiting.gate.touch()
    await starts[1 - gone]
    assert [crew.ready for crew in waiting.main.crews] == [True]


async def test_when_nobody_waits_for_it_any_more_it_is_given_up_and_can_be_asked_for_anew(waiting):
    before = children()
    starts = await start_twice(waiting)
    for start in starts:
        start.cancel()
    await asyncio.sleep(0)  # it ends now, which takes a moment
    again = asyncio.ensure_future(waiting.start())
    for start in starts:
        with pytest.raises(asyncio.CancelledError):
            await start
    waiting.gate.touch()
    await again
    assert len(children() - before) == 1
    await waiting.stop(1)
    assert children() - before == set()


async def test_what_keeps_it_from_starting_all_are_told_who_wait_for_it():
    pools = make("tests.waterspout.wsgi.apps:raise_at_once()", {}, [], workers=1)
    raised = await asyncio.gather(pools.start(), pools.start(), return_exceptions=True)
    assert [type(error) for error in raised] == [TargetRaised] * 2


async def test_a_process_of_a_named_pool_is_named_in_the_log(caplog):
    pools = make(named=A_PROCESS, workers=0, threads=1)
    await pools.start()
    try:
        (crew,) = pools.all["slow"].crews
        assert str(crew) == f"WSGI process {crew.pid} of pool slow"
        assert [str(crew) for crew in pools.main.crews] == ["threads of pool main"]
        os.kill(crew.pid, 9)
        while f"{crew} ended" not in caplog.text:
            await asyncio.sleep(0.01)
    finally:
        await pools.stop(1)


async def test_a_pool_that_refuses_is_named_in_the_log(http_client, base_url, container, gate, caplog):
    container.configure(pools={"slow": {"workers": 0, "threads": 1, "queue": 0}})
    await container.start()
    held = asyncio.ensure_future(http_client.fetch(f"{base_url}/gated?{gate}"))
    while not container.pools["slow"].running:
        await asyncio.sleep(0.005)
    await http_client.fetch(f"{base_url}/gated?{gate}", raise_error=False)
    gate.touch()
    await held
    assert "pool slow: 1 lanes are busy and 0 requests wait" in caplog.text

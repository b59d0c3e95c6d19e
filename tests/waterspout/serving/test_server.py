"""Listening, serving until told to stop, draining."""

import asyncio
import gc
import logging
import os
import re
import signal
import socket
import time

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.testing import bind_unused_port
from tornado.web import Application as TornadoApplication
from tornado.web import FallbackHandler, RequestHandler

from tests.waterspout.clients import connect, open_client
from tests.waterspout.wsgi import apps
from waterspout import Application, Container, NotServing, publish
from waterspout.exceptions import ConfigurationError, TargetNotFound, WaterspoutError
from waterspout.limits import DRAIN_IDLE, GC_THRESHOLDS
from waterspout.serving.server import DrainingServer, Server, _calm_collector, describe
from waterspout.settings import ServeSettings

pytestmark = pytest.mark.gen_test(timeout=30)


class GatedHandler(RequestHandler):
    """Answers when the test opens the gate."""

    gate = None
    begun = 0

    async def get(self):
        type(self).begun += 1
        await self.gate.wait()
        self.write("done")


class QuickHandler(RequestHandler):
    def get(self):
        self.write("quick")


class RaisesHandler(RequestHandler):
    def get(self):
        raise ValueError("of the handler")


ROUTES = [(r"/gated", GatedHandler), (r"/quick", QuickHandler)]
QUICK = ("GET /quick HTTP/1.1", "Host: x")
GATED = ("GET /gated HTTP/1.1", "Host: x")


@pytest.fixture(autouse=True)
def collector():
    """Restores it: a server calms it for its whole process, and hypothesis finds nothing that is frozen."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.fixture
def gate(io_loop):
    async def make():
        GatedHandler.gate, GatedHandler.begun = asyncio.Event(), 0
        return GatedHandler.gate

    return io_loop.run_sync(make)


@pytest.fixture
def draining(io_loop, gate):
    """A server of a stock application, and its port."""

    async def start():
        server = DrainingServer(TornadoApplication(ROUTES))
        sock, server.port = bind_unused_port()
        server.add_socket(sock)
        return server

    server = io_loop.run_sync(start)
    yield server
    gate.set()
    server.stop()
    io_loop.run_sync(server.close_all_connections)


async def wait_for_running(count=1):
    while GatedHandler.begun < count:
        await asyncio.sleep(0.005)


# --- draining ------------------------------------------------------------------------------------------


async def test_a_server_without_connections_is_drained_at_once(draining):
    await asyncio.wait_for(draining.drain(10), 5)


async def test_a_draining_server_accepts_nobody(draining):
    await draining.drain(1)
    with pytest.raises(OSError):
        await open_client(draining.port)


@pytest.mark.parametrize("used", [True, False])
async def test_idle_connections_do_not_hold_the_end_up(draining, used):
    async with connect(draining.port) as client:
        if used:
            await client.ask(*QUICK)
        else:
            await asyncio.sleep(0.05)
        await asyncio.wait_for(draining.drain(10), 5)
        assert await client.read_to_end() == b""


@pytest.mark.parametrize("first", [QUICK, GATED])
async def test_a_request_that_came_while_the_event_loop_was_held_up_is_answered(draining, gate, first):
    async with connect(draining.port) as client:
        await client.send(*first)
        if first is GATED:  # its reply does not say that it is the last
            await wait_for_running()
        else:
            await client.read_reply()
        drained = asyncio.ensure_future(draining.drain(10))
        await asyncio.sleep(0.05)
        if first is GATED:
            gate.set()
            await client.read_reply()
        client.stream.socket.send("\r\n".join([*QUICK, "", ""]).encode())
        time.sleep(DRAIN_IDLE)
        status, fields, _ = await client.read_reply()
        assert (status, fields["connection"]) == (200, "close")
        await asyncio.wait_for(drained, 5)


async def test_a_head_that_is_not_whole_is_not_waited_for(draining):
    async with connect(draining.port) as client:
        await client.stream.write(b"GET /quick HTTP/1.1\r\nHo")
        await asyncio.sleep(0.05)
        await asyncio.wait_for(draining.drain(10), 5)


async def test_running_requests_are_waited_for_and_are_the_last_of_their_connections(draining, gate):
    async with connect(draining.port) as client:
        await client.send(*GATED)
        await wait_for_running()
        drained = asyncio.ensure_future(draining.drain(10))
        await asyncio.sleep(0.05)
        assert not drained.done()
        gate.set()
        assert (await client.read_reply())[2] == b"done"
        assert await client.read_to_end() == b""
        await asyncio.wait_for(drained, 5)


async def test_a_body_on_its_way_counts_as_running(draining):
    async with connect(draining.port) as client:
        await client.send("GET /quick HTTP/1.1", "Host: x", "Content-Length: 5")
        await asyncio.sleep(0.05)
        drained = asyncio.ensure_future(draining.drain(10))
        await asyncio.sleep(0.05)
        assert not drained.done()
        await client.stream.write(b"12345")
        assert (await client.read_reply())[2] == b"quick"
        await asyncio.wait_for(drained, 5)


async def test_what_does_not_end_in_time_is_not_waited_for(draining, gate):
    async with connect(draining.port) as client:
        await client.send(*GATED)
        await wait_for_running()
        await asyncio.wait_for(draining.drain(0.1), 5)


async def test_a_client_that_leaves_need_not_be_waited_for(draining, gate):
    async with connect(draining.port) as client:
        await client.send(*GATED)
        await wait_for_running()
        drained = asyncio.ensure_future(draining.drain(10))
        client.stream.close()
        await asyncio.sleep(0.05)
        gate.set()
        await asyncio.wait_for(drained, 5)


async def test_the_descriptors_of_open_connections_are_known(draining, gate):
    async with connect(draining.port) as idle, connect(draining.port) as busy:
        await idle.ask(*QUICK)
        await busy.send(*GATED)
        await wait_for_running()
        peers = {socket.socket(fileno=os.dup(number)) for number in draining.descriptors()}
        ports = {peer.getpeername()[1] for peer in peers}
        for peer in peers:
            peer.close()
        assert ports == {client.stream.socket.getsockname()[1] for client in (idle, busy)}


# --- serving -------------------------------------------------------------------------------------------


class Serving:
    """A Server that runs in the test's own loop, and whose address and messages can be read."""

    def __init__(self, application, capsys, **settings):
        self._capsys = capsys
        self.server = Server(application, ServeSettings(port=0, **settings))
        self.said = ""

    async def start(self):
        self.task = asyncio.ensure_future(self.server.serve())
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", self.hear())):
            assert not self.task.done(), self.task.result()
            await asyncio.sleep(0.005)
        self.port = int(found[1])

    def hear(self):
        self.said += self._capsys.readouterr().err
        return self.said

    async def ask(self, path):
        client = AsyncHTTPClient(force_instance=True)
        try:
            return await client.fetch(f"http://127.0.0.1:{self.port}{path}", raise_error=False)
        finally:
            client.close()

    async def end(self):
        await asyncio.wait_for(self.task, 20)
        return self.hear()


@pytest.fixture
def handlers_of_signals():
    """Restores them."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def serve(handlers_of_signals, capsys, gate):
    async def serve(application=None, **settings):
        serving = Serving(application or Application(native=ROUTES, wsgi=apps.app), capsys, **settings)
        await serving.start()
        return serving

    return serve


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_it_is_told_to_stop(serve, number, caplog):
    caplog.set_level(logging.INFO, "waterspout")
    serving = await serve()
    assert (await serving.ask("/quick")).body == b"quick"
    assert (await serving.ask("/hello")).body == b"hello"
    os.kill(os.getpid(), number)
    assert f"process {os.getpid()}:" in await serving.end()
    assert f"stopping ({number.name}): running requests get at most" in caplog.text
    assert caplog.messages[-1] == "stopped"
    with pytest.raises(ConnectionRefusedError):
        await serving.ask("/quick")
    with pytest.raises(NotServing):
        publish("topic", 1)


async def test_any_application_of_tornado_s_is_served(serve):
    serving = await serve(TornadoApplication(ROUTES))
    assert (await serving.ask("/quick")).body == b"quick"
    os.kill(os.getpid(), signal.SIGTERM)
    assert "tornado.web.Application" in await serving.end()


@pytest.mark.parametrize("make", [Application, TornadoApplication])
@pytest.mark.parametrize("name", ["debug", "serve_traceback"])
async def test_tracebacks_for_whoever_comes_in_are_told(serve, make, name):
    """An inherited socket may be reachable from anywhere."""
    said = f"the application's {name}=True shows tracebacks to anyone who can reach an inherited socket"
    application = make([("/raises", RaisesHandler)], **{name: True, "autoreload": False})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = await serve(application, descriptors=(listener.detach(),))
    assert said in serving.said
    assert b"ValueError: of the handler" in (await serving.ask("/raises")).body  # Tornado's own meaning
    os.kill(os.getpid(), signal.SIGTERM)
    await serving.end()


async def test_on_loopback_tracebacks_are_nobody_else_s(serve):
    serving = await serve(Application(ROUTES, debug=True, autoreload=False))
    os.kill(os.getpid(), signal.SIGTERM)
    assert "tracebacks" not in await serving.end()


@pytest.mark.parametrize(
    "make",
    [
        lambda container: Application(ROUTES, wsgi=container),
        lambda container: TornadoApplication([(".*", FallbackHandler, {"fallback": container})]),
        lambda container: Application([("/a", FallbackHandler, {"fallback": container})], wsgi=apps.app),
    ],
)
async def test_a_debugger_for_whoever_comes_in_is_refused(make, tmp_path):
    application = make(Container(apps.app, debug=True))
    said = r"^the Container's debug=True lets anyone who can reach unix:.* run code"
    with pytest.raises(ConfigurationError, match=said):
        await Server(application, ServeSettings(unix=str(tmp_path / "s"))).serve()
    assert not (tmp_path / "s").exists()


async def test_the_same_signal_twice_at_once_is_one_stop(serve, gate):
    serving = await serve()
    asking = asyncio.ensure_future(serving.ask("/gated"))
    await wait_for_running()
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.02)
    gate.set()
    assert (await asking).body == b"done"
    await serving.end()


async def test_what_does_not_end_is_cut_at_the_graceful_timeout(serve, gate):
    serving = await serve(graceful_timeout=0.2)
    asking = asyncio.ensure_future(serving.ask("/gated"))
    await wait_for_running()
    os.kill(os.getpid(), signal.SIGTERM)
    await serving.end()
    gate.set()
    assert (await asking).code == 503


async def test_a_port_that_is_taken_is_told_with_what_to_do(capsys, recwarn):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = Server(Application(native=ROUTES), ServeSettings(port=port))
        asked = re.escape(f"choose another --port (ss -ltnp 'sport = :{port}' shows which process has it)")
        with pytest.raises(WaterspoutError, match=f"^can't listen on 127.0.0.1 port {port}: .*; {asked}$"):
            await server.serve()


async def test_an_app_that_can_t_be_loaded_leaves_no_port_open():
    _, port = (sock := bind_unused_port()[0]).getsockname()
    sock.close()
    application = Application(wsgi="no_such:app", wsgi_workers=0)
    with pytest.raises(TargetNotFound):
        await Server(application, ServeSettings(port=port)).serve()
    await application.stop()
    socket.create_server(("127.0.0.1", port)).close()


# --- describing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("application", "text"),
    [
        (lambda: TornadoApplication(), "tornado.web.Application"),
        (lambda: Application(native=ROUTES), "2 native rules"),
        (lambda: Application(wsgi=apps.app), "0 native rules, everything else to app in 8 threads"),
        (
            lambda: Application([("/a/.*", Container(apps.app, threads=1)), *ROUTES], wsgi="x:y"),
            "3 native rules, /a/.* to app in 1 thread, everything else to x:y in 1 process x 8 threads",
        ),
        (
            lambda: Application(wsgi="x:y", wsgi_threads=3),
            "0 native rules, everything else to x:y in 1 process x 3 threads",
        ),
        (
            lambda: Application(wsgi="x:y", wsgi_workers=2),
            "0 native rules, everything else to x:y in 2 processes x 8 threads",
        ),
    ],
)
async def test_what_serves_what_is_told_in_a_few_words(application, text):
    assert describe(application()) == text


# --- the garbage collector -----------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0, 5000])
def test_who_has_set_a_threshold_of_his_own_keeps_it(threshold):
    gc.set_threshold(threshold, 10, 10)
    assert not _calm_collector()
    assert gc.get_threshold() == (threshold, 10, 10)


@pytest.mark.parametrize("threshold", [700, 2000])
def test_python_s_own_threshold_is_raised(threshold):
    gc.set_threshold(threshold, 10, 10)
    assert _calm_collector()
    assert gc.get_threshold() == GC_THRESHOLDS


class StartsPlainly(Application):
    def start(self):
        """As in old code that has a method of this name."""


class StopsAtOnce(Application):
    async def stop(self):
        await super().stop()


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (
            StartsPlainly,
            "StartsPlainly.start() is not a coroutine function: write async def start(self), with await "
            "super().start()",
        ),
        (StopsAtOnce, "StopsAtOnce.stop() takes no timeout: write async def stop(self, timeout=None)"),
    ],
)
async def test_methods_of_these_names_that_are_something_else_end_the_start(cls, said):
    with pytest.raises(ConfigurationError) as caught:
        await Server(cls([]), ServeSettings(port=0)).serve()
    assert str(caught.value).startswith(f"{__name__}.{said}")

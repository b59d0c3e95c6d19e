"""serving(): a real server in a thread, for a test that asks it as a browser does."""

import asyncio
import http.client
import socket
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

import waterspout
from tests.waterspout.processes import belongings, wait_until
from tests.waterspout.wsgi.apps import app as wsgi_app
from waterspout.exceptions import PoolError, TargetNotFound, TargetRaised
from waterspout.testing import serving

APPS = "tests.waterspout.wsgi.apps:"
#: Longer than stopping takes at worst, on a busy machine (seconds).
LONG = 15.0


class Follows(RequestHandler):
    """Sends what is published, for as long as the server lives."""

    async def get(self):
        async with waterspout.subscribe("a") as subscription:
            await self.flush()
            async for message in subscription:
                self.write(f"{message}\n")
                await self.flush()


class Native(RequestHandler):
    def get(self):
        self.write("native")


class Waits(RequestHandler):
    async def get(self):
        await self.flush()
        await asyncio.sleep(100)


class Blocks(RequestHandler):
    def get(self):
        time.sleep(2)


class Talks(WebSocketHandler):
    closed = 0

    def on_close(self):
        Talks.closed += 1


def make_app(target="app", **options):
    routes = [("/native", Native), ("/follows", Follows), ("/waits", Waits), ("/talks", Talks)]
    return waterspout.Application(native=routes, wsgi=APPS + target, wsgi_threads=1, **options)


app = make_app(wsgi_workers=0)


@pytest.fixture(autouse=True)
def nothing_is_left_over():
    """Neither descriptors, threads, processes, nor a complaint."""
    said = []
    hook, sys.unraisablehook = sys.unraisablehook, said.append
    before = belongings()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
        wait_until(lambda: belongings() == before, 5)
    sys.unraisablehook = hook
    assert belongings() == before
    assert [str(each.exc_value) for each in said] == []


def get(url):
    with urlopen(url, timeout=10) as reply:
        return reply.read()


@pytest.mark.parametrize("workers", [0, 1])
def test_both_sides_are_served_at_its_url(workers):
    with serving(make_app(wsgi_workers=workers)) as url:
        assert url.startswith("http://127.0.0.1:")
        assert [get(url + path) for path in ("/hello", "/native")] == [b"hello", b"native"]


def test_a_target_by_its_name():
    for _ in range(2):
        with serving(f"{__name__}:app") as url:
            assert get(url + "/hello") == b"hello"


def test_what_is_cut_at_the_end_is_answered_as_in_production():
    begun = threading.Event()

    class Waits(RequestHandler):
        async def get(self):
            begun.set()
            await asyncio.Event().wait()

    with ThreadPoolExecutor() as executor:
        with serving(waterspout.Application(native=[("/waits", Waits)]), timeout=0.2) as url:
            asked = executor.submit(get, url + "/waits")
            assert begun.wait(10)
        with pytest.raises(HTTPError, match="503") as refused:
            asked.result(10)
        refused.value.close()


def test_any_application_of_tornados():
    with serving(Application([("/native", Native)])) as url:
        assert get(url + "/native") == b"native"


@pytest.mark.parametrize(
    ("target", "workers", "error"),
    [
        ("nothing", 0, TargetNotFound),
        ("nothing", 1, TargetNotFound),
        ("raise_at_once()", 0, TargetRaised),
        ("raise_at_once()", 1, TargetRaised),
        ("end_at_once()", 1, waterspout.WaterspoutError),
    ],
)
def test_what_keeps_it_from_starting_is_raised_here(target, workers, error):
    with pytest.raises(error), serving(make_app(target, wsgi_workers=workers)):
        raise AssertionError("it is not served")


def test_a_target_that_is_not_there():
    with pytest.raises(TargetNotFound), serving("tests.nothing:app"):
        raise AssertionError("it is not served")


@pytest.mark.parametrize("app", [wsgi_app, [("/", RequestHandler)], Application])
def test_what_is_no_application_is_refused_in_so_many_words(app):
    hint = r"is no application: write waterspout\.Application\(native=routes, wsgi=app\)"
    with pytest.raises(TypeError, match=hint), serving(app):
        raise AssertionError("it is not served")


def test_one_application_is_not_served_twice_at_once():
    with serving(app) as url:
        with pytest.raises(PoolError), serving(app):
            raise AssertionError("it is not served")
        assert get(url + "/hello") == b"hello"


def test_what_the_body_raises_goes_through():
    with pytest.raises(ZeroDivisionError), serving(make_app(wsgi_workers=1)):
        _ = 1 / 0


@pytest.mark.parametrize("workers", [0, 1])
def test_what_views_publish_is_heard_on_the_loop_of_the_test(workers):
    async def hear(url):
        async with waterspout.subscribe("from-the-app") as messages:
            await asyncio.to_thread(get, url + "/publishes")
            return await asyncio.wait_for(anext(messages), 10)

    with serving(make_app(wsgi_workers=workers)) as url:
        assert set(asyncio.run(hear(url))) == {"pid"}


def test_the_test_may_publish():
    with serving(make_app(wsgi_workers=0)) as url, urlopen(url + "/follows", timeout=10) as reply:
        waterspout.publish("a", "hello")
        assert reply.readline() == b"hello\n"
    with pytest.raises(waterspout.NotServing):
        waterspout.publish("a", "hello")


@pytest.mark.parametrize("path", ["/follows", "/waits"])
def test_a_stream_that_is_open_does_not_keep_it(path):
    begun = time.monotonic()
    with serving(make_app(wsgi_workers=0), timeout=0.5) as url:
        client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        client.request("GET", path)
        reply = client.getresponse()
    assert time.monotonic() - begun < LONG
    reply.close()
    client.close()


def test_of_a_websocket_that_does_not_answer_the_close_nothing_is_left():
    before, begun = Talks.closed, time.monotonic()
    with serving(make_app(wsgi_workers=0), timeout=0.5) as url:
        client = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 10)
        client.sendall(
            b"GET /talks HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 101 ")
    assert time.monotonic() - begun < LONG
    assert Talks.closed == before + 1
    with client:
        assert b"".join(iter(lambda: client.recv(1000), b"")).startswith(b"\x88")


def test_who_blocks_the_loop_is_not_waited_for_for_ever(monkeypatch):
    for name in ("CUT_TIME", "_SPARE", "EXIT_GRACE"):
        monkeypatch.setattr(f"waterspout.testing.server.{name}", 0.1)
    before = set(threading.enumerate())
    with (
        pytest.raises(TimeoutError, match="blocks"),
        serving(Application([("/blocks", Blocks)]), timeout=0) as url,
    ):
        client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        client.request("GET", "/blocks")
        time.sleep(0.2)
    client.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(LONG)  # here it ends after all


def test_it_ends_where_a_test_has_stopped_the_clock(monkeypatch):
    """As freezegun does: the timers of a stop must go on, such as the one that closes idle connections."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    app = waterspout.Application(native=[("/native", Native)], wsgi=lambda environ, start_response: [b""])
    with serving(app) as url:
        client = http.client.HTTPConnection(url.partition("//")[2])
        client.request("GET", "/native")
        assert client.getresponse().read() == b"native"
    client.close()

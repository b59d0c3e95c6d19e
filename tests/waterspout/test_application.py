"""One port, two worlds: what an Application is made of, and how it lives."""

import asyncio
import json
import os

import pytest
from tornado.web import RequestHandler, URLSpec
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.waterspout.wsgi import apps
from waterspout import Application, Container, NotServing, publish, subscribe
from waterspout.exceptions import ConfigurationError, TargetNotFound, TargetRaised

pytestmark = pytest.mark.gen_test(timeout=30)

APP = "tests.waterspout.wsgi.apps:app"


class NativeHandler(RequestHandler):
    def get(self):
        self.write("native")


class EchoSocket(WebSocketHandler):
    async def on_message(self, message):
        await self.write_message(message)


class BriefSocket(WebSocketHandler):
    def open(self):
        self.close(1000)


class RaisingSocket(EchoSocket):
    def close(self, code=None, reason=None):
        raise KeyError("it had never joined")


class ShortSocket(EchoSocket):
    def close(self):
        super().close()


class LateSocket(WebSocketHandler):
    """Answers a message once the connection has been closed, at once or later: by itself, or by a stop."""

    async def on_message(self, message):
        if "close" in message:
            self.close(1000)
        while self.ws_connection is not None:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.02 if "later" in message else 0)
        await self.write_message("too late")


class OwnSocket(EchoSocket):
    """Speaks through Tornado's own protocol."""

    def get_websocket_protocol(self):
        return super().get_websocket_protocol()


class FollowHandler(RequestHandler):
    """Sends every message of a topic, until the server stops."""

    async def get(self):
        async with subscribe("news") as subscription:
            self.write("ready\n")
            await self.flush()
            async for message in subscription:
                self.write(f"{message}\n")
                await self.flush()


NATIVE = [
    (r"/native", NativeHandler),
    (r"/socket", EchoSocket),
    (r"/own", OwnSocket),
    (r"/brief", BriefSocket),
    (r"/late", LateSocket),
    (r"/raising", RaisingSocket),
    (r"/short", ShortSocket),
    (r"/follow", FollowHandler),
]


@pytest.fixture
def app(io_loop):
    app = Application(native=NATIVE, wsgi=apps.app, wsgi_threads=2)
    yield app
    io_loop.run_sync(lambda: app.stop(1))


async def test_native_rules_come_first_and_the_wsgi_app_gets_the_rest(http_client, base_url):
    assert (await http_client.fetch(base_url + "/native")).body == b"native"
    assert (await http_client.fetch(base_url + "/hello")).body == b"hello"


async def test_its_container_tells_what_native_handlers_have_answered(http_client, base_url, app):
    await http_client.fetch(base_url + "/native")
    await http_client.fetch(base_url + "/hello")
    socket = await websocket_connect(base_url.replace("http", "ws") + "/socket")
    assert app.container.stats()["native"]["answers"] == {"1xx": 1, "2xx": 1, "3xx": 0, "4xx": 0, "5xx": 0}
    socket.close()


async def test_a_callable_runs_in_this_process(http_client, base_url):
    pid = (await http_client.fetch(base_url + "/identity")).body.split()[0]
    assert int(pid) == os.getpid()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"wsgi": apps.app, "wsgi_workers": 1}, "wsgi_workers=0"),
        ({"wsgi": 7}, "import string or a WSGI callable, not 7"),
        ({"wsgi": APP, "wsgi_threads": 0}, "threads"),
        ({"wsgi": APP, "wsgi_queue": -1}, "queue"),
        ({"wsgi": APP, "wsgi_spool": -1}, "spool"),
        ({"wsgi": APP, "wsgi_workers": -1}, "workers"),
        ({"wsgi": APP, "trusted_proxies": ["somebody"]}, "trusted proxies"),
        ({"wsgi": APP, "wsgi_thread": 2}, "did you mean 'wsgi_threads'"),
        ({"wsgi": APP, "wsgi_nonsense": 2}, "unknown setting 'wsgi_nonsense'"),
        ({"max_bodysize": 2}, "did you mean 'max_body_size'"),
        ({"wsgi": "no spec"}, "write MODULE:NAME"),
        ({"wsgi_workers": 1}, "need wsgi= to be"),
        ({"wsgi": APP, "wsgi_pool_rules": [("/a", "slow")]}, "'slow', which does not exist"),
        ({"wsgi": APP, "wsgi_pools": {"slow": {"threads": 1}}}, "its number of workers and threads"),
        ({"wsgi": APP, "wsgi_pool": {}}, "did you mean .*'wsgi_pools'"),
        ({"wsgi_threads": 1}, "need wsgi= to be"),
    ],
)
async def test_what_can_t_be_is_refused(settings, text):
    with pytest.raises(ConfigurationError, match=text):
        Application(native=NATIVE, **settings)


async def test_settings_of_the_lanes_don_t_fit_a_container_that_has_its_own():
    with pytest.raises(ConfigurationError, match="need wsgi= to be"):
        Application(wsgi=Container(apps.app), wsgi_threads=2)


async def test_a_container_of_one_s_own_is_used():
    container = Container(apps.app)
    assert Application(wsgi=container).container is container


async def test_settings_reach_the_container():
    app = Application(
        wsgi=APP,
        wsgi_workers=2,
        wsgi_threads=3,
        wsgi_queue=4,
        graceful_timeout=5,
        max_body_size=6,
        wsgi_spool=7,
        wsgi_spool_reply=8,
    )
    pool = app.container.pool.settings
    assert (pool.workers, pool.threads, pool.queue, pool.graceful_timeout) == (2, 3, 4, 5)
    assert app.container.max_body_size == 6
    assert (pool.spool, pool.spool_reply) == (7, 8)


async def test_named_pools_reach_the_container():
    app = Application(
        wsgi=APP,
        wsgi_pools={"slow": {"workers": 2, "threads": 3}},
        wsgi_pool_rules=[("/reports/*", "slow"), ("/export", "slow")],
    )
    assert (app.container.pools["slow"].settings.workers, list(app.container.pools)) == (2, ["main", "slow"])
    app.configure(wsgi_queue=9)
    assert app.container.pools["slow"].settings.queue == 9
    app.configure(wsgi_pools={}, wsgi_pool_rules=[])
    assert list(app.container.pools) == ["main"]


async def test_tornado_s_settings_are_tornado_s():
    app = Application(native=NATIVE, cookie_secret="x", autoescape=None)
    assert app.settings["cookie_secret"] == "x"
    assert app.container is None


async def test_it_can_be_configured_before_the_start():
    app = Application(native=NATIVE, wsgi=APP)
    app.configure(wsgi_threads=2, max_body_size=7, native_max_body_size=8, debug=True)
    assert (app.max_body_size, app.container.max_body_size, app.native_max_body_size) == (7, 7, 8)
    assert (app.container.pool.settings.threads, app.container.pool.settings.debug) == (2, True)
    with pytest.raises(ConfigurationError):
        app.configure(wsgi_queue=-1)
    Application(native=NATIVE).configure(wsgi_threads=2)


@pytest.mark.parametrize("wsgi", [APP, None])
@pytest.mark.parametrize(
    "changes",
    [
        {"native_max_body_size": -1},
        {"max_body_size": "5"},
        {"trusted_proxies": ["bad"]},
        {"wsgi_thread": 2},
        {"cookie_secret": "x"},
        {"threads": 2},
    ],
)
async def test_a_change_that_is_refused_changes_nothing(wsgi, changes):
    app = Application(native=NATIVE, wsgi=wsgi)
    before = app.proxies, app.max_body_size, app.native_max_body_size
    with pytest.raises(ConfigurationError):
        app.configure(**({"max_body_size": 7, "native_max_body_size": 8, "root_path": "/x"} | changes))
    assert (app.proxies, app.max_body_size, app.native_max_body_size) == before
    if app.container is not None:
        assert (app.container.proxies, app.container.max_body_size) == before[:2]


@pytest.mark.parametrize("wsgi", [APP, None])
async def test_what_is_said_before_the_start_is_heard_with_a_wsgi_app_and_without(wsgi):
    app = Application(
        native=NATIVE, wsgi=wsgi, trusted_proxies=(each for each in ["10.0.0.0/8"]), max_body_size=7
    )
    app.configure(graceful_timeout=3, root_path="/x")
    assert app.graceful_timeout == 3
    assert app.proxies.is_trusted("10.1.1.1")
    assert (app.proxies.root_path, app.max_body_size) == ("/x", 7)


async def test_a_container_that_is_started_takes_no_settings_until_it_is_stopped():
    rules = [("/slow", "slow")]
    container = Container(apps.app, pools={"slow": {"workers": 0, "threads": 1}}, pool_rules=rules)
    await container.start()
    pools = dict(container.pools)
    try:
        with pytest.raises(ConfigurationError, match="has been started and no longer takes"):
            Application(wsgi=container, max_body_size=7)
        app = Application(NATIVE, wsgi=container)
        kept = app.max_body_size, app.native_max_body_size
        with pytest.raises(ConfigurationError, match="has been started and no longer takes"):
            app.configure(wsgi_queue=9, max_body_size=7, native_max_body_size=8)
        assert (app.max_body_size, app.native_max_body_size) == kept
        app.configure()
        assert container.pools == pools
    finally:
        await container.stop(1)
    app.configure(max_body_size=7, wsgi_queue=9)
    assert (container.max_body_size, container.pool.settings.queue) == (7, 9)


@pytest.mark.parametrize(
    ("wsgi", "error"),
    [("no_such:app", TargetNotFound), ("tests.waterspout.wsgi.apps:raise_at_once()", TargetRaised)],
)
async def test_start_says_what_keeps_the_app_from_being_loaded(wsgi, error):
    app = Application(wsgi=wsgi, wsgi_workers=0)
    with pytest.raises(error):
        await app.start()
    await app.stop()


async def test_what_could_not_start_does_not_serve():
    app = Application(wsgi="no_such:app", wsgi_workers=0)
    with pytest.raises(TargetNotFound):
        await app.start()
    with pytest.raises(NotServing):
        publish("news", 1)


async def test_without_a_wsgi_app_what_no_rule_matches_is_404():
    app = Application(native=NATIVE)
    await app.start()
    await app.stop()
    await app.stop()


# --- while it serves -----------------------------------------------------------------------------------


async def test_a_view_publishes_and_a_native_handler_hears_it(app, http_client, base_url):
    await app.start()
    async with subscribe("from-the-app") as subscription:
        await http_client.fetch(base_url + "/publishes")
        assert await asyncio.wait_for(anext(subscription), 5) == {"pid": os.getpid()}


async def test_the_first_native_request_opens_the_hub_too(http_client, base_url):
    with pytest.raises(NotServing):
        publish("news", 1)
    await http_client.fetch(base_url + "/native")
    publish("news", 1)


async def test_stopping_ends_subscriptions(app, http_client, base_url):
    lines = []
    ready = asyncio.Event()

    def take(chunk):
        lines.append(chunk)
        ready.set()

    following = asyncio.ensure_future(http_client.fetch(base_url + "/follow", streaming_callback=take))
    await asyncio.wait_for(ready.wait(), 5)
    publish("news", "last")
    await asyncio.sleep(0.05)
    await app.stop()
    assert (await asyncio.wait_for(following, 5)).code == 200
    assert b"".join(lines) == b"ready\nlast\n"


async def test_stopping_says_going_away_on_every_websocket(app, http_server, http_port):
    clients = [await websocket_connect(f"ws://localhost:{http_port}/socket") for _ in range(3)]
    for client in clients:
        await client.write_message("hello")
        assert await client.read_message() == "hello"
    assert app.open_sockets == 3
    await app.stop()
    assert [await asyncio.wait_for(client.read_message(), 5) for client in clients] == [None] * 3
    assert {client.close_code for client in clients} == {1001}
    assert app.open_sockets == 0
    for client in clients:
        client.close()


async def test_a_websocket_with_a_protocol_of_its_own_hears_that_it_stops_too(app, http_server, http_port):
    client = await websocket_connect(f"ws://localhost:{http_port}/own")
    await client.write_message("hello")
    assert await client.read_message() == "hello"
    assert app.open_sockets == 1
    await app.stop()
    assert await asyncio.wait_for(client.read_message(), 5) is None
    assert client.close_code == 1001
    assert app.open_sockets == 0
    client.close()


@pytest.mark.parametrize("path", ["raising", "short"])
async def test_a_close_of_a_handler_s_own_that_raises_keeps_no_other_from_going_away(
    app, http_server, http_port, path, caplog
):
    paths = ["socket", path, path, "socket"]
    clients = [await websocket_connect(f"ws://localhost:{http_port}/{each}") for each in paths]
    for client in clients:
        await client.write_message("hello")
        assert await client.read_message() == "hello"
    await app.stop()
    for client in clients:
        assert await asyncio.wait_for(client.read_message(), 5) is None
        assert client.close_code == 1001
        client.close()
    raised = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [f"/{path}" in record.getMessage() for record in raised] == [True, True]


@pytest.mark.parametrize("message", ["stop", "stop later", "close"])
async def test_what_a_stop_keeps_a_handler_from_sending_is_no_mistake_of_the_handler_s(
    app, http_server, http_port, message, caplog
):
    client = await websocket_connect(f"ws://localhost:{http_port}/late")
    await client.write_message(message)
    await asyncio.sleep(0.05)
    app.close_sockets()
    assert await asyncio.wait_for(client.read_message(), 5) is None
    assert client.close_code == (1000 if message == "close" else 1001)
    client.close()
    while app.closing_sockets:
        await asyncio.sleep(0.005)
    told = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert [line.partition(" ")[0] for line in told] == (["Uncaught"] if message == "close" else [])


async def test_a_websocket_that_its_handler_has_closed_is_closing_until_it_has_ended(
    app, http_server, http_port
):
    reader, writer = await asyncio.open_connection("localhost", http_port)
    writer.write(
        b"GET /brief HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert (await reader.readuntil(b"\x88\x02\x03\xe8")).startswith(b"HTTP/1.1 101 ")
    kept = app.closing_sockets  # as by an application that keeps its handlers
    assert (app.open_sockets, len(kept)) == (0, 1)
    app.close_sockets()
    assert app.closing_sockets == kept
    writer.close()
    while app.closing_sockets:
        await asyncio.sleep(0.005)


async def test_a_closed_websocket_is_not_open(app, http_server, http_port):
    client = await websocket_connect(f"ws://localhost:{http_port}/socket")
    await client.write_message("hello")
    await client.read_message()
    client.close()
    assert await asyncio.wait_for(client.read_message(), 5) is None
    while app.open_sockets:
        await asyncio.sleep(0.005)


async def test_stopping_waits_for_running_requests(app, http_client, base_url, tmp_path):
    running = asyncio.ensure_future(http_client.fetch(f"{base_url}/gated?{tmp_path / 'gate'}"))
    while not app.container.pool.running:
        await asyncio.sleep(0.005)
    stopping = asyncio.ensure_future(app.stop(10))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    (tmp_path / "gate").touch()
    assert (await running).code == 200
    await asyncio.wait_for(stopping, 5)


async def test_the_environ_is_that_of_the_request(http_client, base_url, http_port):
    environ = json.loads((await http_client.fetch(base_url + "/describe")).body)
    assert environ["SERVER_PORT"] == str(http_port)
    assert environ["wsgi.url_scheme"] == "http"


# --- URLs by name ----------------------------------------------------------------------------------------


def make_named(wsgi=None):
    rules = [("/a/<int:n>", NativeHandler, None, "a"), URLSpec(r"/b/(\d+)", NativeHandler, name="b")]
    return Application(native=rules, wsgi=wsgi)


def test_native_rules_have_urls_by_name():
    application = make_named()
    assert application.reverse_url("a", 3) == "/a/3"
    assert application.reverse_url("a", n=3, tab="x") == "/a/3?tab=x"
    assert application.reverse_url("b", 3) == "/b/3"
    with pytest.raises(ValueError, match="pass its arguments by position"):
        application.reverse_url("b", 3, tab="x")


def test_a_name_that_nothing_has_is_a_key_error_that_says_why():
    with pytest.raises(KeyError, match="c not found in named urls"):
        make_named().reverse_url("c")
    with pytest.raises(KeyError, match=r"await application\.start"):
        make_named("tests.apps.linked:app").reverse_url("shop.item", 7)


def test_rules_without_a_name_are_told_to_who_asks_for_what_nothing_is_called():
    for wsgi in (None, "tests.apps.linked:app"):
        application = Application([("/a", NativeHandler), ("/b", NativeHandler, None, "b")], wsgi=wsgi)
        with pytest.raises(KeyError) as caught:
            application.reverse_url("a")
        assert "one has no name to build a URL from" in caught.value.__notes__[0]
    with pytest.raises(KeyError) as caught:
        make_named().reverse_url("c")
    assert not hasattr(caught.value, "__notes__")

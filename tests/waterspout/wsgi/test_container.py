"""A WSGI app as a stock Tornado sees it: as a fallback, as a rule's target, and alone behind a server."""

import asyncio
import json
import os
import socket

import pytest
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerConnectionDelegate
from tornado.testing import bind_unused_port
from tornado.web import Application as TornadoApplication
from tornado.web import FallbackHandler, RequestHandler
from tornado.wsgi import WSGIContainer

import waterspout.http
from tests.waterspout.clients import connect
from tests.waterspout.wsgi import apps
from tests.waterspout.wsgi.jobs import wait_for
from waterspout import Container
from waterspout.exceptions import ConfigurationError, TargetNotFound
from waterspout.limits import SMALL_BODY
from waterspout.wsgi.exchange import spool

pytestmark = pytest.mark.gen_test(timeout=30)

APP = "tests.waterspout.wsgi.apps:app"


class GreetingHandler(RequestHandler):
    """A native route beside the WSGI app."""

    def get(self):
        self.write("native")


PLACES = {
    "fallback": lambda container: TornadoApplication(
        [(r"/native", GreetingHandler), (r".*", FallbackHandler, {"fallback": container})]
    ),
    "target": lambda container: TornadoApplication([(r"/native", GreetingHandler), (r".*", container)]),
    "alone": lambda container: container,
}
ANYWHERE = pytest.mark.parametrize("place", PLACES)


@pytest.fixture
def place():
    return "fallback"


@pytest.fixture
def container(io_loop):
    container = Container(apps.app, threads=2, max_body_size=1_000_000)
    yield container
    io_loop.run_sync(lambda: container.stop(1))


@pytest.fixture
def app(container, place):
    return PLACES[place](container)


def test_it_is_what_tornado_expects(container):
    assert isinstance(container, WSGIContainer)
    assert isinstance(container, HTTPServerConnectionDelegate)


@ANYWHERE
async def test_it_serves(http_client, base_url, place):
    response = await http_client.fetch(base_url + "/describe?a=b", headers={"X-Own": "yes"})
    environ = json.loads(response.body)
    assert (environ["PATH_INFO"], environ["QUERY_STRING"], environ["HTTP_X_OWN"]) == (
        "/describe",
        "a=b",
        "yes",
    )
    assert response.headers["X-Request-Id"] == environ["HTTP_X_REQUEST_ID"]


@pytest.mark.parametrize("place", ["fallback", "target"])
async def test_native_rules_before_it_come_first(http_client, base_url, place):
    assert (await http_client.fetch(base_url + "/native")).body == b"native"
    assert (await http_client.fetch(base_url + "/hello")).body == b"hello"


@ANYWHERE
@pytest.mark.parametrize("size", [0, 1, SMALL_BODY, SMALL_BODY + 1, 900_000])
async def test_a_body_of_any_size_is_read(http_client, base_url, place, size):
    response = await http_client.fetch(base_url + "/echo", method="POST", body=b"x" * size)
    assert response.body == b"x" * size


@ANYWHERE
async def test_a_chunked_body_is_read(http_port, http_server, place):
    async with connect(http_port) as client:
        await client.send("POST /echo HTTP/1.1", "Host: x", "Transfer-Encoding: chunked")
        await client.stream.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert (await client.read_reply())[2] == b"abcde"


@ANYWHERE
async def test_a_large_reply_is_whole(http_client, base_url, place):
    assert len((await http_client.fetch(base_url + "/large?5000000")).body) == 5_000_000


async def test_a_fast_upload_to_an_idle_lane_meets_no_disk(container, monkeypatch):
    """Not even for what comes before the lane has begun: nobody waits for the lane."""
    await container.start()
    disks = []
    monkeypatch.setattr(spool, "Disk", lambda make=spool.Disk: disks.append("made") or make())
    server = waterspout.http.HTTPServer(container)
    sock, port = bind_unused_port()
    server.add_socket(sock)
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 900000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(head + bytes(600_000))  # the kernel has it before the server reads
        client.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=client)
        writer.write(bytes(300_000))
        assert len(await reader.read()) > 900_000
        writer.close()
    server.stop()
    await server.close_all_connections()
    assert disks == []


class Tidies(RequestHandler):
    """Lets the app answer, and has something to do after that."""

    def initialize(self, container, events):
        self.container, self.events = container, events

    async def post(self):
        self._auto_finish = False
        await self.container.handle_request(self.request)
        self.events.append("tidied")


async def test_a_handler_may_wait_until_the_app_has_answered(container, tmp_path):
    gate, events = tmp_path / "gate", []
    arguments = {"container": container, "events": events}
    server = HTTPServer(TornadoApplication([(r"/.*", Tidies, arguments)]))
    sock, port = bind_unused_port()
    server.add_socket(sock)
    async with connect(port) as client:
        await client.send(f"POST /half?{gate} HTTP/1.1", "Host: x", "Content-Length: 0")
        await client.read_head()
        assert events == []
        gate.touch()
        await wait_for(lambda: events == ["tidied"])
    async with connect(port) as client:
        gate.unlink()
        await client.send(f"POST /half?{gate} HTTP/1.1", "Host: x", "Content-Length: 0")
        await client.read_head()
    await wait_for(lambda: events == ["tidied"] * 2)  # though the client has left
    gate.touch()
    server.stop()


def test_an_environ_of_its_own_is_refused():
    """It would never be called, and may be where the app learns who the user is."""
    with pytest.raises(ConfigurationError, match=r"Knows.environ\(\) is never called.*wrap the WSGI app"):

        class Knows(Container):
            def environ(self, request):
                return {**super().environ(request), "REMOTE_USER": "ann"}


@ANYWHERE
async def test_a_reply_streams(http_port, http_server, place, tmp_path):
    async with connect(http_port) as client:
        await client.send(f"GET /half?{tmp_path / 'gate'} HTTP/1.1", "Host: x")
        await client.read_head()
        assert await client.read_bytes(11) == b"6\r\nfirst;\r\n"
        (tmp_path / "gate").touch()
        assert await client.read_bytes(16) == b"6\r\nsecond\r\n0\r\n\r\n"


@ANYWHERE
async def test_an_app_that_fails_is_answered_for(http_client, base_url, place, caplog):
    response = await http_client.fetch(base_url + "/fails", raise_error=False)
    assert (response.code, response.body) == (500, b"500 Internal Server Error\n")
    assert "the view failed" in caplog.text


@ANYWHERE
async def test_a_body_that_is_too_large_is_answered_413(http_client, base_url, place):
    response = await http_client.fetch(
        base_url + "/echo", method="POST", body=bytes(1_000_001), raise_error=False
    )
    assert response.code == 413


@ANYWHERE
@pytest.mark.parametrize("method", ["MKCOL", "PROPFIND", "GET", "DELETE"])
async def test_methods_that_tornado_does_not_know(http_client, base_url, place, method):
    """As a stock fallback it has Tornado's own limits; as a delegate it has none."""
    response = await http_client.fetch(
        base_url + "/describe", method=method, allow_nonstandard_methods=True, raise_error=False
    )
    known = method in RequestHandler.SUPPORTED_METHODS
    assert response.code == (405 if place == "fallback" and not known else 200)
    if response.code == 200:
        assert json.loads(response.body)["REQUEST_METHOD"] == method


@ANYWHERE
async def test_a_head_has_no_body(http_client, base_url, place):
    response = await http_client.fetch(base_url + "/hello", method="HEAD")
    assert (response.code, response.body) == (200, b"")


@ANYWHERE
async def test_a_connection_is_used_again(http_port, http_server, place):
    async with connect(http_port) as client:
        for number in range(5):
            body = b"%d" % number
            length = f"Content-Length: {len(body)}"
            assert (await client.ask("POST /echo HTTP/1.1", "Host: x", length, body=body))[2] == body


# --- life ----------------------------------------------------------------------------------------------


async def test_it_can_be_started_before_the_first_request(container, http_client, base_url):
    await container.start()
    assert (await http_client.fetch(base_url + "/hello")).body == b"hello"
    await container.stop()
    assert (await http_client.fetch(base_url + "/hello", raise_error=False)).code == 503
    await container.start()
    assert (await http_client.fetch(base_url + "/hello")).body == b"hello"


async def test_start_says_what_is_wrong():
    with pytest.raises(TargetNotFound):
        await Container("no_such_module:app", workers=0).start()


async def test_a_name_runs_in_a_process_and_a_callable_in_threads():
    assert Container(APP).pool.settings.workers == 1
    assert Container(apps.app).pool.settings.workers == 0


async def test_a_callable_in_a_process_is_refused():
    with pytest.raises(ConfigurationError, match="import string"):
        Container(apps.app, workers=1)


@pytest.mark.parametrize(
    "options",
    [
        {"threads": 0},
        {"queue": -1},
        {"workers": -1},
        {"trusted_proxies": ["x"]},
        {"max_body_size": -1},
        {"max_body_size": "5"},
    ],
)
async def test_what_can_t_be_is_refused(options):
    with pytest.raises(ConfigurationError):
        Container(APP, **options)


async def test_it_can_be_configured_before_the_start():
    container = Container(APP)
    container.configure(threads=3, queue=4, workers=2, max_body_size=5, trusted_proxies=["10.0.0.0/8"])
    settings = container.pool.settings
    assert (settings.threads, settings.queue, settings.workers, container.max_body_size) == (3, 4, 2, 5)
    assert container.proxies.is_trusted("10.1.1.1")
    container.configure(spool=6, spool_reply=7)
    container.configure(debug=True)
    assert container.pool.settings.threads == 3
    assert (container.pool.admission.space.limit, container.pool.admission.reply_limit) == (6, 7)
    with pytest.raises(ConfigurationError):
        container.configure(threads=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"trusted_proxies": ["bad"]},
        {"queue": -1},
        {"proxy_headers": "forwarded", "trusted_proxies": ()},
        {"max_body_size": -5},
        {"max_body_size": "5"},
        {"pools": {"slow": {}}},
        {"wsgi_threads": 2},
        {"thread": 2},
    ],
)
async def test_a_change_that_is_refused_changes_nothing(changes):
    container = Container(APP, trusted_proxies=["10.0.0.0/8"])
    before = container.proxies, container.max_body_size, container.pools
    with pytest.raises(ConfigurationError):
        container.configure(**({"max_body_size": 7, "root_path": "/x"} | changes))
    assert (container.proxies, container.max_body_size, container.pools) == before
    container.configure(root_path="/y")
    assert (container.proxies.root_path, container.max_body_size) == ("/y", before[1])


async def test_what_can_be_read_once_is_read_once():
    container = Container(APP, trusted_proxies=(each for each in ["10.0.0.0/8"]))
    container.configure(root_path="/x")
    assert container.proxies.is_trusted("10.1.1.1")


async def test_a_process_serves_behind_a_stock_server():
    container = Container(APP, threads=1)
    server = HTTPServer(container)
    sock, port = bind_unused_port()
    server.add_socket(sock)
    try:
        async with connect(port) as client:
            pid = int((await client.ask("GET /identity HTTP/1.1", "Host: x"))[2].split()[0])
        assert pid != os.getpid()
    finally:
        server.stop()
        await server.close_all_connections()
        await container.stop()


async def test_a_full_queue_is_503(http_client, base_url, container, tmp_path):
    container.configure(queue=1, threads=1)
    await container.start()
    gate = f"{base_url}/gated?{tmp_path / 'gate'}"
    held = [asyncio.ensure_future(http_client.fetch(gate)) for _ in range(2)]
    while container.pool.waiting + container.pool.running < 2:
        await asyncio.sleep(0.005)
    refused = await http_client.fetch(base_url + "/hello", raise_error=False)
    (tmp_path / "gate").touch()
    assert (refused.code, refused.headers["Retry-After"]) == (503, "1")
    assert [response.code for response in await asyncio.gather(*held)] == [200, 200]


# --- whom to believe -----------------------------------------------------------------------------------


@pytest.mark.parametrize("trusted", [(), ("127.0.0.0/8",)])
async def test_forwarded_headers_are_seen_from_a_trusted_proxy_alone(
    http_client, base_url, container, trusted
):
    container.configure(trusted_proxies=trusted)
    told = {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-User": "anna", "X-Real-Ip": "evil"}
    response = await http_client.fetch(base_url + "/describe", headers=told)
    environ = json.loads(response.body)
    assert environ["REMOTE_ADDR"] == ("198.51.100.1" if trusted else "127.0.0.1")
    assert ("HTTP_X_FORWARDED_USER" in environ) is bool(trusted)
    assert not {"HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP"} & set(environ)


async def test_alone_it_is_mounted_under_its_root_path(http_client, base_url, container):
    container.configure(root_path="/here")
    response = await http_client.fetch(base_url + "/here/describe")
    assert json.loads(response.body)["SCRIPT_NAME"] == "/here"
    assert (await http_client.fetch(base_url + "/describe", raise_error=False)).code == 404


@pytest.mark.parametrize("server_class", [HTTPServer, waterspout.http.HTTPServer])
async def test_alone_it_says_that_a_connection_ends_behind_what_is_outside(container, server_class):
    """If nothing is said, the client goes on with the next request."""
    container.configure(root_path="/here")
    server, (sock, port) = server_class(container), bind_unused_port()
    server.add_sockets([sock])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for path in ("/describe", "/here/hello"):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1") == 1
    writer.close()
    server.stop()

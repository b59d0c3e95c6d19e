"""What native handlers are protected from, and what is said about each of their requests."""

import logging
from types import SimpleNamespace

import pytest
from tornado.httpserver import HTTPServer as TornadoServer
from tornado.testing import bind_unused_port
from tornado.web import Application as TornadoApplication
from tornado.web import RequestHandler, stream_request_body

from tests.waterspout.clients import connect
from tests.waterspout.wsgi import apps
from waterspout import Application
from waterspout.http import HTTPServer

pytestmark = pytest.mark.gen_test(timeout=30)

NATIVE_MAX = 1000
STREAM_MAX = 100_000


class BufferedHandler(RequestHandler):
    """Is handed its body whole."""

    def get(self):
        self.write("0")

    def post(self):
        self.write(str(len(self.request.body)))


@stream_request_body
class StreamHandler(RequestHandler):
    """Is handed its body as it comes. `closed`: how many of them were told that their client is gone."""

    closed = 0

    def initialize(self, limit=None):
        self.limit = limit
        self.size = 0

    def prepare(self):
        if self.limit is not None:
            self.request.connection.set_max_body_size(self.limit)

    def data_received(self, chunk):
        self.size += len(chunk)

    def post(self):
        self.write(str(self.size))

    def on_connection_close(self):
        type(self).closed += 1


class FailingHandler(RequestHandler):
    def get(self):
        raise ValueError("native failure")


@pytest.fixture
def app(io_loop):
    routes = [
        (r"/buffered", BufferedHandler),
        (r"/stream", StreamHandler),
        (r"/strict", StreamHandler, {"limit": 10}),
        (r"/failing", FailingHandler),
    ]
    app = Application(native=routes, native_max_body_size=NATIVE_MAX, max_body_size=STREAM_MAX)
    yield app
    io_loop.run_sync(app.stop)


@pytest.fixture
def post(http_client, base_url):
    async def post(path, size, **options):
        return await http_client.fetch(
            base_url + path, method="POST", body=bytes(size), raise_error=False, **options
        )

    return post


@pytest.mark.parametrize(
    ("path", "size"),
    [("/buffered", 0), ("/buffered", NATIVE_MAX), ("/stream", NATIVE_MAX + 1), ("/stream", STREAM_MAX)],
)
async def test_a_body_within_its_limit_is_taken(post, path, size):
    assert (await post(path, size)).body == b"%d" % size


@pytest.mark.parametrize(("path", "size"), [("/buffered", NATIVE_MAX + 1), ("/stream", STREAM_MAX + 1)])
async def test_a_larger_one_is_413_and_the_last_of_its_connection(post, path, size):
    response = await post(path, size, headers={"X-Request-Id": "mine-1"})
    assert response.code == 413
    assert response.headers["Connection"] == "close"
    assert response.headers["X-Request-Id"] == "mine-1"


@pytest.mark.parametrize(("path", "size"), [("/buffered", NATIVE_MAX + 1), ("/stream", STREAM_MAX + 1)])
async def test_a_chunked_one_is_413_once_it_is_too_large(http_port, http_server, path, size):
    StreamHandler.closed = 0
    async with connect(http_port) as client:
        await client.send(f"POST {path} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked")
        await client.stream.write(b"%x\r\n" % size + bytes(size) + b"\r\n")
        assert (await client.read_reply())[0] == 413
    assert StreamHandler.closed == (path == "/stream")


@pytest.mark.parametrize("server_class", [HTTPServer, TornadoServer])
@pytest.mark.parametrize("given", [500, 10**9, None])
async def test_the_smaller_limit_counts_the_server_s_or_the_application_s(server_class, given, http_client):
    """The server's, if somebody gave it one: its default of 100 MiB does not count."""
    app = Application(
        native=[("/buffered", BufferedHandler), ("/stream", StreamHandler)],
        wsgi=apps.app,
        native_max_body_size=NATIVE_MAX,
        max_body_size=STREAM_MAX,
    )
    server = server_class(app, max_body_size=given)
    sock, port = bind_unused_port()
    server.add_socket(sock)
    tornados = given == 500 and server_class is TornadoServer
    limits = {"/buffered": NATIVE_MAX, "/stream": STREAM_MAX, "/describe": STREAM_MAX}
    for path, own in limits.items():
        limit = min(own, given or own)
        for size, is_taken in ((limit, True), (limit + 1, False)):
            response = await http_client.fetch(
                f"http://127.0.0.1:{port}{path}", method="POST", body=bytes(size), raise_error=False
            )
            refused = 400 if tornados and path == "/stream" else 413  # Tornado answers for its own limit
            assert response.code == (200 if is_taken else refused), (path, size)
    server.stop()
    await server.close_all_connections()
    await app.stop()


async def test_who_asks_before_sending_is_told_no(http_port, http_server):
    async with connect(http_port) as client:
        length = f"Content-Length: {NATIVE_MAX + 1}"
        await client.send("POST /buffered HTTP/1.1", "Host: x", length, "Expect: 100-continue")
        assert (await client.read_reply())[0] == 413


async def test_a_length_with_leading_zeros_is_the_number_that_it_is(http_port, http_server):
    async with connect(http_port) as client:
        await client.send("POST /buffered HTTP/1.1", "Host: x", f"Content-Length: {'0' * 30}{NATIVE_MAX + 1}")
        assert (await client.read_reply())[0] == 413
    async with connect(http_port) as client:
        await client.send("POST /buffered HTTP/1.1", "Host: x", f"Content-Length: {'0' * 30}3", body=b"abc")
        assert (await client.read_reply())[2] == b"3"


async def test_a_streaming_handler_may_be_stricter_than_we_are(post):
    assert (await post("/strict", 10)).body == b"10"
    assert (await post("/strict", 11)).code in (400, 413, 599)


async def test_behind_the_last_request_nothing_is_run(http_port, http_server, caplog):
    caplog.set_level(logging.INFO, "waterspout.access")
    async with connect(http_port) as client:
        requests = b"GET /buffered HTTP/1.1\r\nHost: x\r\n%s\r\n"
        await client.stream.write(requests % b"Connection: close\r\n" + requests % b"")
        assert (await client.read_to_end()).count(b"HTTP/1.1 200") == 1
    assert len([line for line in caplog.messages if "/buffered" in line]) == 1


# --- ids and log lines ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/buffered", "/failing", "/missing"])
async def test_every_native_reply_has_an_id(http_client, base_url, path, caplog):
    first, second = [await http_client.fetch(base_url + path, raise_error=False) for _ in range(2)]
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]


@pytest.mark.parametrize(("proposed", "kept"), [("mine-1", True), ("not mine", False), ("x" * 129, False)])
async def test_a_well_formed_id_is_kept(http_client, base_url, proposed, kept):
    response = await http_client.fetch(base_url + "/buffered", headers={"X-Request-Id": proposed})
    assert (response.headers["X-Request-Id"] == proposed) is kept


async def test_the_handler_sees_the_id_of_its_request(io_loop, http_client, base_url, app):
    class ShowHandler(RequestHandler):
        def get(self):
            self.write(self.request.headers["X-Request-Id"])

    app.add_handlers(r".*", [(r"/show", ShowHandler)])
    response = await http_client.fetch(base_url + "/show")
    assert response.body.decode() == response.headers["X-Request-Id"]


async def test_each_native_request_is_one_line(http_client, base_url, caplog):
    caplog.set_level(logging.INFO, "waterspout.access")
    await http_client.fetch(base_url + "/buffered?a=b", headers={"X-Request-Id": "mine-1"})
    (line,) = caplog.messages
    assert line.startswith(("127.0.0.1 GET /buffered?a=b 200 1B ", "::1 GET /buffered?a=b 200 1B "))
    assert line.endswith(" native mine-1")


async def test_a_refused_body_is_one_line_too(post, caplog):
    caplog.set_level(logging.INFO, "waterspout.access")
    await post("/buffered", NATIVE_MAX + 1)
    assert [line.split()[3] for line in caplog.messages] == ["413"]


async def test_tornado_s_log_function_still_works(http_client, base_url, app, caplog):
    logged = []
    app.settings["log_function"] = lambda handler: logged.append(handler.get_status())
    caplog.set_level(logging.INFO, "waterspout.access")
    await http_client.fetch(base_url + "/buffered")
    assert logged == [200]
    assert caplog.messages == []


async def test_so_does_what_replaces_its_log_request(http_client, base_url, app, caplog, monkeypatch):
    logged = []

    def log_request(self, handler):
        logged.append((self, handler.get_status()))

    monkeypatch.setattr(TornadoApplication, "log_request", log_request)
    caplog.set_level(logging.INFO, "waterspout.access")
    await http_client.fetch(base_url + "/buffered")
    assert logged == [(app, 200)]
    assert caplog.messages == []


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING], ids=["logged", "not logged"])
async def test_native_replies_are_counted_whether_anybody_reads_their_lines_or_not(
    http_client, base_url, post, app, caplog, level
):
    caplog.set_level(level, "waterspout.access")
    for _ in range(3):
        await http_client.fetch(base_url + "/buffered")
    await post("/stream", 5)
    await http_client.fetch(base_url + "/failing", raise_error=False)
    await post("/buffered", NATIVE_MAX + 1)
    await post("/nowhere", 0)
    assert told(app) == {"1xx": 0, "2xx": 4, "3xx": 0, "4xx": 2, "5xx": 1}


async def test_replies_that_others_log_are_counted_too(http_client, base_url, app):
    app.settings["log_function"] = lambda handler: None
    await http_client.fetch(base_url + "/buffered")
    assert told(app)["2xx"] == 1


@pytest.mark.parametrize("status", [1000, 1234567, "200"])
async def test_a_status_that_is_none_is_not_told(app, status):
    handler = SimpleNamespace(get_status=lambda: status)
    app.settings["log_function"] = lambda handler: None
    app.log_request(handler)
    assert set(told(app).values()) == {0}


def told(app):
    answers = app.gauges.read()["native"]["answers"]
    app.gauges.lag.stop()
    return answers


async def test_neither_side_says_which_version_it_is(http_client, base_url):
    assert "Tornado" not in (await http_client.fetch(base_url + "/buffered")).headers["Server"]

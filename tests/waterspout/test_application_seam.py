"""Our Application wherever Tornado allows an application, and what goes Tornado's own way."""

import asyncio
import json

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httputil import HTTPServerConnectionDelegate
from tornado.web import Application as TornadoApplication
from tornado.web import FallbackHandler, HTTPError, RequestHandler
from tornado.wsgi import WSGIContainer

from tests.waterspout.clients import connect
from tests.waterspout.http.harness import on_loops, serve, until
from tests.waterspout.wsgi import apps
from waterspout import Application, Container
from waterspout.limits import SMALL_BODY

pytestmark = pytest.mark.gen_test(timeout=30)


class NativeHandler(RequestHandler):
    def get(self, *path):
        self.write("native")

    def post(self, *path):
        self.write(self.get_body_argument("field", "none"))


class GuardHandler(FallbackHandler):
    """A fallback behind a check, as Tornado lets one write it."""

    def prepare(self):
        if self.request.headers.get("X-Pass") != "please":
            raise HTTPError(403)
        super().prepare()


class StockFallback(WSGIContainer):
    """Tornado's own container, whose app runs on the loop."""


def make_ours(wsgi=apps.app, **settings):
    return Application(native=[(r"/native", NativeHandler)], wsgi=wsgi, **settings)


def in_a_stock_rule(ours):
    return TornadoApplication([(r"/outer", NativeHandler), (r".*", ours)])


def in_a_stock_fallback(ours):
    return TornadoApplication([(r"/outer", NativeHandler), (r".*", FallbackHandler, {"fallback": ours})])


def in_one_of_ours(ours):
    return Application(native=[(r"/outer", NativeHandler), (r".*", ours)])


def in_a_fallback_of_ours(ours):
    return Application(native=[(r"/outer", NativeHandler), (r".*", FallbackHandler, {"fallback": ours})])


NESTINGS = {
    "alone": lambda ours: ours,
    "rule": in_a_stock_rule,
    "fallback": in_a_stock_fallback,
    "rule of ours": in_one_of_ours,
    "fallback of ours": in_a_fallback_of_ours,
}
EVERYWHERE = pytest.mark.parametrize("nesting", NESTINGS)


@pytest.fixture
def nesting():
    return "alone"


@pytest.fixture
def http_client(http_server):
    """A request that nobody answers fails soon."""
    client = AsyncHTTPClient(force_instance=True, defaults={"request_timeout": 5})
    yield client
    client.close()


@pytest.fixture
def ours(io_loop):
    ours = make_ours()
    yield ours
    io_loop.run_sync(lambda: ours.stop(1))


@pytest.fixture
def app(io_loop, ours, nesting):
    app = NESTINGS[nesting](ours)
    yield app
    if isinstance(app, Application):
        io_loop.run_sync(lambda: app.stop(1))


@EVERYWHERE
async def test_both_worlds_are_there(http_client, base_url, nesting):
    assert (await http_client.fetch(base_url + "/native")).body == b"native"
    assert (await http_client.fetch(base_url + "/hello")).body == b"hello"
    if nesting != "alone":
        assert (await http_client.fetch(base_url + "/outer")).body == b"native"


@EVERYWHERE
@pytest.mark.parametrize("size", [0, 5, SMALL_BODY, 10 * SMALL_BODY])
async def test_bodies_reach_the_wsgi_app(http_client, base_url, nesting, size):
    response = await http_client.fetch(base_url + "/echo", method="POST", body=b"x" * size)
    assert response.body == b"x" * size


@EVERYWHERE
async def test_forms_reach_native_handlers(http_client, base_url, nesting):
    response = await http_client.fetch(base_url + "/native", method="POST", body="field=value")
    assert response.body == b"value"


@EVERYWHERE
async def test_many_requests_share_a_connection(http_port, http_server, nesting):
    async with connect(http_port) as client:
        for path, body in [("/native", b"native"), ("/hello", b"hello")] * 3:
            assert (await client.ask(f"GET {path} HTTP/1.1", "Host: x"))[2] == body


@EVERYWHERE
async def test_both_worlds_give_the_request_an_id(http_client, base_url, nesting):
    for path in ("/native", "/describe"):
        response = await http_client.fetch(base_url + path, headers={"X-Request-Id": "mine-1"})
        assert response.headers["X-Request-Id"] == "mine-1"


# --- as a stream ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["MKCOL", "PROPFIND", "LOCK", "PURGE"])
async def test_methods_that_tornado_does_not_know_reach_the_app(http_client, base_url, method):
    response = await http_client.fetch(base_url + "/describe", method=method, allow_nonstandard_methods=True)
    assert json.loads(response.body)["REQUEST_METHOD"] == method


@pytest.mark.parametrize("path", ["/native", "/native?a=b"])
async def test_a_target_in_absolute_form_does_not_go_round_a_native_rule(http_port, http_server, path):
    async with connect(http_port) as client:
        assert (await client.ask(f"GET http://example.com{path} HTTP/1.1", "Host: x"))[2] == b"native"
        _, _, body = await client.ask("GET http://example.com/describe?c HTTP/1.1", "Host: x")
    assert (json.loads(body)["HTTP_HOST"], json.loads(body)["QUERY_STRING"]) == ("example.com", "c")


async def test_a_large_body_is_not_buffered(http_port, http_server):
    """The view answers while the body is still on its way."""
    async with connect(http_port) as client:
        await client.send("POST /hello HTTP/1.1", "Host: x", "Content-Length: 1000000")
        assert (await client.read_reply())[2] == b"hello"


@pytest.mark.parametrize(
    "body",
    [b"--broken", b"--b\r\nContent-Disposition: nonsense\r\n\r\nx\r\n--b--\r\n"],
    ids=["cut", "nameless"],
)
async def test_a_form_that_tornado_can_t_parse_is_the_app_s_business(http_client, base_url, body):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = await http_client.fetch(base_url + "/echo", method="POST", body=body, headers=headers)
    assert response.body == body


@pytest.fixture
def xsrf(ours):
    ours.settings["xsrf_cookies"] = True


@pytest.mark.usefixtures("xsrf")
async def test_tornado_s_xsrf_check_is_for_native_handlers(http_client, base_url):
    assert (await http_client.fetch(base_url + "/echo", method="POST", body="x")).body == b"x"
    response = await http_client.fetch(base_url + "/native", method="POST", body="x", raise_error=False)
    assert response.code == 403


# --- Tornado's own way ---------------------------------------------------------------------------------


@pytest.fixture
def guarded(io_loop):
    container = Container(apps.app)
    app = Application(native=[(r"/hello/.*", GuardHandler, {"fallback": container})], wsgi=container)
    yield app
    io_loop.run_sync(lambda: app.stop(1))


class TestAGuard:
    """A FallbackHandler *subclass* with a prepare() of its own."""

    @pytest.fixture
    def app(self, guarded):
        return guarded

    @pytest.mark.parametrize("path", ["/hello/guarded", "/hello/%67uarded", "/hello/a%2Fb", "/hello/%FF"])
    async def test_it_keeps_its_say(self, http_client, base_url, path):
        response = await http_client.fetch(base_url + path, raise_error=False)
        assert response.code == 403

    async def test_it_lets_pass_whom_it_wants(self, http_client, base_url):
        response = await http_client.fetch(base_url + "/hello/guarded", headers={"X-Pass": "please"})
        assert response.body == b"hello"

    @pytest.mark.parametrize("line", ["GET /hello/guarded HTTP/1.1", "GET /hello/guarded HTTP/1.0"])
    @pytest.mark.parametrize("option", ["close", "keep-alive"])
    async def test_whom_it_lets_pass_is_answered_on_every_connection(
        self, http_port, http_server, line, option
    ):
        """The guard and what is behind it both ask whether the request may be served: it is one request."""
        async with connect(http_port) as client:
            await client.send(line, "Host: x", "X-Pass: please", f"Connection: {option}")
            assert (await client.read_head())[0] == "HTTP/1.1 200 OK"
            assert await client.read_bytes(5) == b"hello"

    async def test_it_guards_bodies_too(self, http_client, base_url):
        for size in (5, 2 * SMALL_BODY):
            response = await http_client.fetch(
                base_url + "/hello/guarded", method="POST", body=bytes(size), raise_error=False
            )
            assert response.code == 403

    async def test_beside_it_nobody_is_guarded(self, http_client, base_url):
        assert (await http_client.fetch(base_url + "/hello")).body == b"hello"


CROSS_SITE = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}


class TestAGuardOfTheSettings:
    """What Tornado's settings refuse in front of a `FallbackHandler`, they refuse here: what is behind it may
    have had no other guard.
    """

    @pytest.fixture(params=["xsrf_cookies", "cross_origin_protection", None])
    def setting(self, request):
        return request.param

    @pytest.fixture(params=[Application, TornadoApplication])
    def app(self, io_loop, request, setting):
        container = Container(apps.app)
        rules = [
            (r"/hello/guarded", GuardHandler, {"fallback": container}),
            (r"/hello/.*", FallbackHandler, {"fallback": container}),
        ]
        if request.param is Application:
            rules.append(("/echo", FallbackHandler, {"fallback": container}))
        yield request.param(rules, **({setting: True} if setting else {}))
        io_loop.run_sync(lambda: container.stop(1))

    async def test_it_guards_rules_in_front_of_a_wsgi_app(self, http_client, base_url, app, setting):
        async def ask(path, **options):
            return await http_client.fetch(base_url + path, raise_error=False, **options)

        assert (await ask("/hello/there")).body == b"hello"
        assert (await ask("/hello/guarded")).code == 403  # by a rule's own guard, which keeps its say
        for path in ("/hello/there", "/echo")[: 2 if isinstance(app, Application) else 1]:
            response = await ask(path, method="POST", body=b"a=1", headers=CROSS_SITE)
            assert response.code == (403 if setting else 200)
        token = {"Cookie": "_xsrf=00112233", "X-XSRFToken": "00112233"}
        response = await ask("/hello/there", method="POST", body=b"a=1", headers=token)
        assert response.body == b"hello"


class TestTheWSGIAppOfAnApplication:
    """Given as `wsgi`, it guards itself, as it does behind any server: it has tokens of its own."""

    @pytest.fixture(params=["xsrf_cookies", "cross_origin_protection"])
    def app(self, io_loop, request):
        app = make_ours(**{request.param: True})
        yield app
        io_loop.run_sync(lambda: app.stop(1))

    async def test_it_is_asked(self, http_client, base_url, app):
        response = await http_client.fetch(base_url + "/echo", method="POST", body=b"a=1", headers=CROSS_SITE)
        assert response.body == b"a=1"
        response = await http_client.fetch(
            base_url + "/native", method="POST", body=b"a=1", headers=CROSS_SITE, raise_error=False
        )
        assert response.code == 403


class TestAStockContainer:
    """A fallback that is not ours is none of our business."""

    @pytest.fixture
    def app(self, io_loop):
        stock = StockFallback(apps.app)
        app = Application(native=[(r"/native", NativeHandler), (r".*", FallbackHandler, {"fallback": stock})])
        yield app
        io_loop.run_sync(app.stop)

    async def test_it_serves_as_it_always_did(self, http_client, base_url):
        assert (await http_client.fetch(base_url + "/hello")).body == b"hello"
        assert (await http_client.fetch(base_url + "/native")).body == b"native"


class TestAnyDelegate:
    """A rule's target may be any of Tornado's delegates."""

    @pytest.fixture
    def app(self, io_loop):
        container = Container(apps.app)
        assert isinstance(container, HTTPServerConnectionDelegate)
        app = Application(native=[(r"/native", NativeHandler), (r"/hel.*", container)])
        yield app
        io_loop.run_sync(app.stop)
        io_loop.run_sync(lambda: container.stop(1))

    async def test_a_container_as_a_target_streams(self, http_client, base_url):
        response = await http_client.fetch(
            base_url + "/hello", method="MKCOL", allow_nonstandard_methods=True
        )
        assert response.body == b"hello"
        assert (await http_client.fetch(base_url + "/other", raise_error=False)).code == 404


async def test_the_engine_can_be_asked_without_serving(ours):
    assert ours.native_rules == 1
    assert ours.open_sockets == 0
    await asyncio.sleep(0)


@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
@pytest.mark.parametrize(
    ("make", "options"), [(Application, {}), (TornadoApplication, {"trusted_proxies": ["127.0.0.1"]})]
)
@on_loops
async def test_no_view_is_run_for_who_has_left_before_a_guard_lets_it_pass(make, options, kept, caplog):
    caplog.set_level("INFO")
    ran, begun, left = [], asyncio.Event(), asyncio.Event()

    class Guard(FallbackHandler):
        async def prepare(self):
            if self.request.path == "/waits":
                begun.set()
                await left.wait()
            super().prepare()

        def on_connection_close(self):
            left.set()

    def app(environ, start_response):
        ran.append(environ["PATH_INFO"])
        return apps.app(environ, start_response)

    container = Container(app, threads=1, **options)
    async with serve(make([(".*", Guard, {"fallback": container})])) as served:
        async with served.client() as client:
            if kept:
                client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await client.read_reply())[2] == b"hello"
            client.send(b"GET /waits HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
            await begun.wait()
            client.reset()
        await until(lambda: "/waits" in caplog.text)
        async with served.client() as client:
            client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await client.read_reply())[2] == b"hello"
    await container.stop()
    assert "/waits" not in ran
    [line] = [record.getMessage() for record in caplog.records if "/waits" in record.getMessage()]
    assert line.endswith(" client-left")

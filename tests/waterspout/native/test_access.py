"""Each native handler declares who may use it, or nothing starts."""

import asyncio

import pytest
import tornado.locale
import tornado.web
from tornado.routing import HostMatches, Rule
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from tests.waterspout.http import harness
from tests.waterspout.http.harness import on_loops
from waterspout import Application, PathRule, authenticated, public
from waterspout.exceptions import ConfigurationError
from waterspout.native.access import find_access, find_undeclared


@public
class Open(RequestHandler):
    def get(self):
        self.write(f"open to {self.current_user}")


@authenticated
class Closed(RequestHandler):
    def get(self):
        self.write(f"hello {self.current_user}")

    async def post(self):
        await asyncio.sleep(0)
        self.write(f"posted by {self.current_user}")

    @public
    def delete(self):
        self.write("anybody")


class Mixed(RequestHandler):
    @tornado.web.authenticated
    def get(self):
        self.write("tornado's")

    @authenticated
    def post(self):
        self.write("ours")

    @public
    def put(self):
        self.write("nobody's")


class Silent(RequestHandler):
    def get(self):
        pass

    def post(self):
        pass


class Below(Closed):
    def put(self):
        self.write("forgotten")


class BelowOpen(Open):
    def post(self):
        pass


@authenticated
class Socket(WebSocketHandler):
    pass


def test_what_was_said_of_each_method():
    assert find_undeclared(Open) == find_undeclared(Closed) == find_undeclared(Mixed) == []
    assert [find_access(Mixed, method) for method in ("GET", "HEAD", "POST", "PUT")] == [
        *("authenticated", "authenticated", "authenticated", "public")
    ]
    assert find_access(Closed, "DELETE") == "public"
    assert find_undeclared(Silent) == ["GET", "HEAD", "POST"]
    assert find_undeclared(Socket) == []
    assert "POST" in find_undeclared(tornado.web.ErrorHandler)


def test_a_class_s_word_does_not_hold_for_what_is_below_it():
    assert find_undeclared(Below) == ["PUT"]
    assert find_undeclared(BelowOpen) == ["GET", "HEAD", "POST"]


@pytest.mark.parametrize(
    "rules",
    [
        [("/a", Silent)],
        [(r"/a(\d)", Silent)],
        [PathRule("/a", Silent)],
        [tornado.web.url("/a", Silent)],
        [("/x", [("/a", Silent)])],
        [(r"/a(\d)", f"{__name__}.Silent")],
        [Rule(HostMatches("x"), [("/a", Silent)])],
        [tornado.web.url("/x", [(r"/a(\d)", f"{__name__}.Silent")])],
    ],
)
def test_a_handler_that_says_nothing_fails_at_start_by_its_name(rules):
    with pytest.raises(ConfigurationError, match=r"test_access\.Silent: who may use GET, HEAD, POST\?"):
        Application(rules, login_loader=lambda handler: None)
    with pytest.raises(ConfigurationError, match="Silent"):
        Application([], login_loader=lambda handler: None, default_handler_class=Silent)
    application = Application([("/b", Open)], login_loader=lambda handler: None)
    with pytest.raises(ConfigurationError, match="Silent"):
        application.add_handlers("host", rules)
    Application(rules)  # without a login there is nothing to declare


def test_all_that_say_nothing_are_named_at_once():
    class Other(RequestHandler):
        def post(self):
            pass

    rules = [("/a", Silent), ("/b", Open), ("/c", Other), ("/d", [("/d/a", Silent)])]
    with pytest.raises(ConfigurationError) as raised:
        Application(rules, login_loader=lambda handler: None)
    assert str(raised.value).count("who may use") == 2
    assert "Other: who may use POST?" in str(raised.value)


def load(handler):
    return handler.get_query_argument("user", None)


async def load_slowly(handler):
    await asyncio.sleep(0)
    return load(handler)


@pytest.mark.parametrize("loader", [load, load_slowly])
@on_loops
async def test_who_is_known_to_the_loader_may_and_others_may_not(loader):
    rules = [("/open", Open), ("/closed", Closed), ("/mixed", Mixed)]
    application = Application(rules, login_loader=loader, login_url="/login")

    async def ask(client, method, target):
        client.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        status, fields, body = await client.read_reply()
        return status, body.decode() if status == 200 else fields.get("location")

    try:
        async with harness.serve(application) as served, served.client() as client:
            assert await ask(client, "GET", "/open") == (200, "open to None")
            assert await ask(client, "GET", "/closed?user=ada") == (200, "hello ada")
            assert await ask(client, "POST", "/closed?user=ada") == (200, "posted by ada")
            assert await ask(client, "GET", "/closed") == (302, "/login?next=%2Fclosed")
            assert await ask(client, "POST", "/closed") == (403, None)
            assert await ask(client, "DELETE", "/closed") == (200, "anybody")
            assert await ask(client, "POST", "/mixed?user=ada") == (200, "ours")
            assert await ask(client, "POST", "/mixed") == (403, None)
            assert await ask(client, "GET", "/mixed") == (302, "/login?next=%2Fmixed")
    finally:
        await application.stop()


class LooksFirst(RequestHandler):
    """As a `before_request` that was ported to `prepare` does."""

    def prepare(self):
        self.set_header("X-Who", str(self.current_user))


@authenticated
class Looked(LooksFirst):
    def get(self):
        self.write(f"hello {self.current_user}")


@authenticated
class Translated(Closed):
    def get_user_locale(self):
        assert self.current_user is None
        return tornado.locale.get("en")

    def prepare(self):
        assert self.locale.code


class Tornados(LooksFirst):
    @tornado.web.authenticated
    def get(self):
        self.write(f"hello {self.current_user}")

    @tornado.web.authenticated
    async def post(self):
        await asyncio.sleep(0)
        self.write(f"posted by {self.current_user}")


class BelowTornados(Tornados):
    pass


class TornadosOwn(Tornados):
    """Finds out by itself who the user is."""

    def get_current_user(self):
        return self.get_query_argument("token", None)


class TornadosSocket(WebSocketHandler):
    @tornado.web.authenticated
    async def get(self):
        await super().get()


@pytest.mark.parametrize("loader", [load, load_slowly])
@on_loops
async def test_who_has_been_looked_for_in_prepare_is_asked_of_the_loader_all_the_same(loader):
    rules = [("/looked", Looked), ("/translated", Translated)]
    application = Application(rules, login_loader=loader, login_url="/login")
    try:
        async with harness.serve(application) as served, served.client() as client:
            for path in ("/looked", "/translated"):
                for query, known in (("?user=ada", (200, b"hello ada")), ("", (302, b""))):
                    client.send(f"GET {path}{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                    status, _, body = await client.read_reply()
                    assert (status, body) == known, path
    finally:
        await application.stop()


async def assert_socket_is_ada_s(client):
    """A WebSocket at /socket: 403 for anybody else."""
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    for path, status in (("/socket", 403), ("/socket?user=ada", 101)):
        client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{upgrade}{key}\r\n".encode())
        assert (await client.head())[0] == status
        if status == 403:
            await client.reader.readuntil(b"</html>")


@pytest.mark.parametrize("loader", [load, load_slowly])
@on_loops
async def test_tornado_s_own_decorator_asks_the_loader_too(loader):
    rules = [
        *(("/a", Tornados), (r"/b[12]?", f"{__name__}.BelowTornados"), ("/own", TornadosOwn)),
        ("/socket", TornadosSocket),
    ]
    application = Application(rules, login_loader=loader, login_url="/login")
    try:
        async with harness.serve(application) as served, served.client() as client:
            for method, target, status, said in (
                ("GET", "/a?user=ada", 200, b"hello ada"),
                ("POST", "/a?user=ada", 200, b"posted by ada"),
                ("GET", "/b?user=ada", 200, b"hello ada"),
                ("HEAD", "/b?user=ada", 200, None),
                ("GET", "/a", 302, b""),
                ("POST", "/b", 403, None),
                ("GET", "/own?token=eve", 200, b"hello eve"),
                ("GET", "/own?user=ada", 302, b""),  # that is not for the loader to say
            ):
                client.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
                found, fields = await client.head()
                assert found == status, (method, target)
                assert fields["vary"] == "Cookie"
                if method != "HEAD":
                    body = await client.reader.readexactly(int(fields["content-length"]))
                    assert said in (None, body)
            await assert_socket_is_ada_s(client)
    finally:
        await application.stop()


@on_loops
async def test_pages_of_other_sites_can_t_use_a_login():
    """As Flask-WTF's tokens ensure for views."""

    @public
    class Hook(RequestHandler):
        def check_trusted_origin(self, origin):
            return origin == "https://partner.example"

        def post(self):
            self.write("called")

    application = Application([("/closed", Closed), ("/hook", Hook)], login_loader=load)
    try:
        async with harness.serve(application) as served, served.client() as client:
            for path, fields, status in (
                ("/closed?user=ada", "", 200),
                ("/closed?user=ada", "Origin: http://x\r\n", 200),
                ("/closed?user=ada", "Origin: http://evil\r\n", 403),
                ("/closed?user=ada", "Sec-Fetch-Site: cross-site\r\n", 403),
                ("/hook", "Origin: https://partner.example\r\nSec-Fetch-Site: cross-site\r\n", 200),
                ("/hook", "Origin: https://other.example\r\n", 403),
            ):
                client.send(f"POST {path} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: 0\r\n\r\n".encode())
                assert (await client.read_reply())[0] == status, (path, fields)
    finally:
        await application.stop()


@on_loops
async def test_caches_are_told_and_sockets_are_not_sent_elsewhere():
    @authenticated
    class Varied(RequestHandler):
        def get(self):
            self.set_header("Vary", "Accept")
            self.write("x")

    rules = [("/open", Open), ("/closed", Closed), ("/socket", Socket), ("/varied", Varied)]
    application = Application(rules, login_loader=load, login_url="/login")
    try:
        async with harness.serve(application) as served, served.client() as client:
            for path, vary in (
                ("/closed?user=ada", "Cookie"),
                ("/closed", "Cookie"),
                ("/open", None),
                ("/varied?user=ada", "Accept, Cookie"),
            ):
                client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert (await client.read_reply())[1].get("vary") == vary
            await assert_socket_is_ada_s(client)
    finally:
        await application.stop()


class CallsAnother(RequestHandler):
    """Plain methods, as Tornado's decorator leaves them."""

    def get_current_user(self):
        return "eve"

    @tornado.web.authenticated
    def get(self):
        self.write("the page")

    @tornado.web.authenticated
    def post(self):
        self.get()


@harness.on_loops
async def test_a_plain_method_under_tornado_s_own_decorator_may_call_another():
    application = Application([("/a", CallsAnother)], login_loader=lambda handler: None, login_url="/login")
    try:
        async with harness.serve(application) as served, served.client() as client:
            client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            status, _fields, body = await client.read_reply()
            assert (status, body) == (200, b"the page")
    finally:
        await application.stop()


@authenticated
class Shouts(RequestHandler):
    async def GET(self):
        pass

    def on_post(self):
        pass


@authenticated
class Empty(RequestHandler):
    pass


@authenticated
class InPrepare(RequestHandler):
    def prepare(self):
        self.finish("everybody")


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (
            Shouts,
            "it defines no method (get, post, ...) that @waterspout.authenticated could guard; it has "
            "GET, on_post",
        ),
        (Empty, "it defines no method (get, post, ...) that @waterspout.authenticated could guard"),
        (
            InPrepare,
            "@waterspout.authenticated can't guard a handler that answers in prepare(), which runs before "
            "the user is checked: let it answer in a method (get, post, ...) instead",
        ),
    ],
)
def test_a_guard_without_anything_to_guard_is_told(handler, said):
    with pytest.raises(ConfigurationError) as raised:
        Application([("/a", handler)], login_loader=load)
    assert str(raised.value) == f"{__name__}.{handler.__name__}: {said}"


def test_whose_instances_may_be_others_is_not_judged():
    @authenticated
    class Chooses(RequestHandler):
        def __new__(cls, *args, **kwargs):
            return object.__new__(Closed)

    with pytest.raises(ConfigurationError, match=r"Chooses: who may use"):
        Application([("/a", Chooses)], login_loader=load)


def test_without_a_login_an_answer_in_prepare_is_a_doubt():
    (said,) = Application([("/a", InPrepare)]).doubts
    assert said.startswith(
        f"{__name__}.InPrepare: @waterspout.authenticated can't guard a handler that answers"
    )


class Nobody:
    """Like Flask-Login's AnonymousUserMixin."""

    is_authenticated = False


class Somebody(str):
    is_authenticated = True


class BroughtNobody(Closed):
    @authenticated
    def get(self):
        self.write(f"hello {self.current_user}")

    def prepare(self):
        self.current_user = Nobody()


@pytest.mark.parametrize("is_slow", [False, True])
@on_loops
async def test_an_object_for_nobody_is_nobody(is_slow):
    async def slowly(handler):
        return quickly(handler)

    def quickly(handler):
        return Somebody(name) if (name := load(handler)) else Nobody()

    rules = [("/closed", Closed), ("/tornados", Tornados), ("/brought", BroughtNobody)]
    loader = slowly if is_slow else quickly
    application = Application(rules, login_loader=loader, login_url="/login")
    try:
        async with harness.serve(application) as served, served.client() as client:
            for target, known in (
                ("/closed", (302, b"")),
                ("/closed?user=ada", (200, b"hello ada")),
                ("/tornados", (302, b"")),
                ("/tornados?user=ada", (200, b"hello ada")),
                ("/brought", (302, b"")),
            ):
                client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                status, _, body = await client.read_reply()
                assert (status, body) == known, target
    finally:
        await application.stop()

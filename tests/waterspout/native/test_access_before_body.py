"""A streaming handler is never handed the body of a client that its guard does not know."""

import asyncio
import gc
import weakref

import pytest
import tornado.web
from tornado.web import HTTPError, RequestHandler, stream_request_body

import waterspout.native
from tests.waterspout.http import harness
from tests.waterspout.http.harness import on_loops
from waterspout import Application, authenticated, public
from waterspout.http import HTTPServer
from waterspout.native.access import find_admission
from waterspout.serving.tornado_server import DrainingServer

BODY = b"x" * 5000
SERVERS = pytest.mark.parametrize("server_class", [HTTPServer, DrainingServer])


class Takes(RequestHandler):
    """Keeps what it is handed, in the application's settings."""

    def data_received(self, chunk):
        self.settings["received"].append(chunk)

    def post(self, *args):
        self.write(f"stored for {self.current_user}")

    def get(self):
        self.write("shown")


@authenticated
@stream_request_body
class Plain(Takes):
    pass


@stream_request_body
@authenticated
class Prepared(Takes):
    def prepare(self):
        self.set_header("X-Prepared", str(self.current_user))


@authenticated
@stream_request_body
class PreparedSlowly(Takes):
    async def prepare(self):
        await asyncio.sleep(0)
        self.set_header("X-Prepared", "yes")


@authenticated
@stream_request_body
class PreparedByItself(Takes):
    def initialize(self):
        self.prepare = lambda: self.set_header("X-Prepared", "yes")


@stream_request_body
class OneMethod(Takes):
    post = authenticated(Takes.post)
    get = public(lambda self: self.write("anybody's"))


@stream_request_body
class Tornados(Takes):
    post = tornado.web.authenticated(Takes.post)
    get = tornado.web.authenticated(Takes.get)


@authenticated
@stream_request_body
class Ours(Takes, waterspout.native.RequestHandler):
    pass


class Noticing(Takes):
    def __init_subclass__(cls):
        cls.seen = [*getattr(cls, "seen", []), cls]


@authenticated
@stream_request_body
class LeftAlone(Noticing):
    pass


class Below(Plain):
    """Has a `prepare` that its base class knows nothing of."""

    def prepare(self):
        pass


HANDLERS = [
    *(Plain, Prepared, PreparedSlowly, PreparedByItself, OneMethod, Tornados, Ours, LeftAlone, Below),
]


@authenticated
@stream_request_body
class Finishes(Takes):
    def prepare(self):
        self.finish("prepared")


@authenticated
@stream_request_body
class Fails(Takes):
    async def prepare(self):
        raise HTTPError(418)


@authenticated
@stream_request_body
class Knows(Takes):
    """Its `prepare` finds out who the user is: the loader need not be asked."""

    async def prepare(self):
        self.current_user = self.get_query_argument("token", None)


@public
@stream_request_body
class Anybodys(Takes):
    pass


def load(handler):
    handler.settings["asked"].append(handler.request.path)
    return handler.get_query_argument("user", None)


async def load_slowly(handler):
    await asyncio.sleep(0.01)
    return load(handler)


async def load_in_vain(handler):
    raise OSError("the database is away")


class Serving:
    """An application, and what its handlers were handed."""

    def __init__(self, handlers, server_class=HTTPServer, **settings):
        self.received, self.asked = [], []
        rules = [(f"/{handler.__name__}", handler) for handler in handlers]
        shared = {"received": self.received, "asked": self.asked}
        self.application = Application(rules, login_url="/login", **shared, **settings)
        self._serve = harness.serve(self.application, server_class=server_class)

    async def __aenter__(self):
        self._served = await self._serve.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self._serve.__aexit__(*error)
        await self.application.stop()

    async def ask(self, handler, query="", method="POST", fields="", body=BODY):
        """The reply's status and fields, and how much of the body the handler was handed."""
        self.received.clear()
        self.asked.clear()
        head = f"{method} /{handler.__name__}{query} HTTP/1.1\r\nHost: x\r\n{fields}"
        framed = "" if "chunked" in fields else f"Content-Length: {len(BODY)}\r\n"
        async with self._served.client() as client:
            client.send(f"{head}{framed}\r\n".encode(), body)
            status, found = await client.head()
            rest = int(found.get("content-length", 0)) if method != "HEAD" else 0
            found["body"] = await client.reader.readexactly(rest)
        return status, found, sum(map(len, self.received))


@SERVERS
@pytest.mark.parametrize("loader", [load, load_slowly])
@pytest.mark.parametrize("handler", HANDLERS)
@on_loops
async def test_nothing_of_an_unknown_client_s_body_is_handed_over(handler, loader, server_class):
    async with Serving([handler], server_class, login_loader=loader) as serving:
        status, fields, size = await serving.ask(handler)
        assert (status, size) == (403, 0)
        status, fields, size = await serving.ask(handler, "?user=ada")
        assert (status, size, fields["body"]) == (200, len(BODY), b"stored for ada")
        assert len(serving.asked) == 1
        assert ("x-prepared" in fields) == handler.__name__.startswith("Prepared")
        chunked = b"5\r\nxxxxx\r\n0\r\n\r\n"
        for query, status, size in (("", 403, 0), ("?user=ada", 200, 5)):
            found = await serving.ask(handler, query, fields="Transfer-Encoding: chunked\r\n", body=chunked)
            assert (found[0], found[2]) == (status, size)


@SERVERS
@on_loops
async def test_other_methods_and_what_comes_before_the_guard(server_class):
    handlers = [Plain, OneMethod, Tornados, Finishes, Fails, Knows, Anybodys]
    async with Serving(handlers, server_class, login_loader=load_slowly) as serving:
        for handler, query, method, status, size in (
            *((Plain, "", method, 302, 0) for method in ("GET", "HEAD")),
            *((Tornados, "", method, 302, 0) for method in ("GET", "HEAD")),
            (Plain, "?user=ada", "GET", 200, len(BODY)),
            (OneMethod, "", "GET", 200, len(BODY)),  # it is public
            (Finishes, "", "POST", 200, 0),
            (Fails, "", "POST", 418, 0),
            (Knows, "", "POST", 403, 0),
            (Knows, "?token=1", "POST", 200, len(BODY)),
            (Anybodys, "", "POST", 200, len(BODY)),
        ):
            found = await serving.ask(handler, query, method)
            assert (found[0], found[2]) == (status, size), (handler, method)
            if status == 302:
                assert found[1]["location"] == f"/login?next=%2F{handler.__name__}"
                assert found[1]["vary"] == "Cookie"
            if handler in (Finishes, Fails) or "token" in query:
                assert not serving.asked


@SERVERS
@on_loops
async def test_for_a_method_that_it_has_not_a_guarded_handler_takes_no_body_either(server_class):
    async with Serving([Plain, Tornados, Anybodys], server_class, login_loader=load) as serving:
        for handler in (Plain, Tornados):
            status, fields, size = await serving.ask(handler, method="PUT")
            assert (status, fields["allow"], size) == (405, "GET, HEAD, OPTIONS, POST", 0)
            status, fields, size = await serving.ask(handler, method="OPTIONS")
            assert (status, fields["allow"], size) == (200, "GET, HEAD, OPTIONS, POST", 0)
            assert (await serving.ask(handler, method="BREW"))[::2] == (405, 0)
        assert (await serving.ask(Anybodys, method="PUT"))[::2] == (405, len(BODY))


@SERVERS
@on_loops
async def test_a_loader_that_fails_lets_no_body_in(server_class, caplog):
    async with Serving([Plain, Prepared], server_class, login_loader=load_in_vain) as serving:
        for handler in (Plain, Prepared):
            assert (await serving.ask(handler))[::2] == (500, 0)


@SERVERS
@on_loops
async def test_who_waits_to_be_told_to_send_it_is_answered_instead(server_class):
    async with Serving([Plain], server_class, login_loader=load_slowly) as serving:
        status, _, size = await serving.ask(Plain, fields="Expect: 100-continue\r\n", body=b"")
        assert (status, size) == (403, 0)
        assert (await serving.ask(Plain, "?user=ada", fields="Expect: 100-continue\r\n"))[0] == 100


@on_loops
async def test_without_a_loader_a_handler_s_own_way_is_asked_and_tornado_s_decorator_is_as_ever():
    class Tokens:
        def get_current_user(self):
            return self.get_query_argument("token", None)

    own = type("Own", (Tokens, Plain), {})
    tornados = type("Stock", (Tokens, Takes), {"post": tornado.web.authenticated(Takes.post)})
    async with Serving([own, stream_request_body(tornados)]) as serving:
        assert (await serving.ask(own))[::2] == (403, 0)
        assert (await serving.ask(own, "?token=1"))[::2] == (200, len(BODY))
        assert (await serving.ask(tornados))[::2] == (403, len(BODY))


def make_eager_task(loop, coroutine, *, eager_start=True, **options):
    """Python's own, without an argument from uvloop 0.23 that Python 3.13.0's does not know."""
    return asyncio.eager_task_factory(loop, coroutine, **options)


@on_loops
async def test_in_debug_mode_and_under_eager_tasks_it_is_no_other():
    has_eager = hasattr(asyncio, "eager_task_factory")  # from Python 3.12 on
    async with Serving([Plain], login_loader=load_slowly, debug=True, autoreload=False) as serving:
        for factory in (None, make_eager_task if has_eager else None):
            asyncio.get_running_loop().set_task_factory(factory)
            assert (await serving.ask(Plain))[::2] == (403, 0)
            assert (await serving.ask(Plain, "?user=ada"))[::2] == (200, len(BODY))


@on_loops
async def test_a_handler_that_is_over_is_freed_at_once():
    made = []

    @authenticated
    @stream_request_body
    class Remembered(Takes):
        def initialize(self):
            made.append(weakref.ref(self))

    gc.collect()
    gc.disable()
    try:
        async with Serving([Remembered], login_loader=load_slowly) as serving:
            for query, method in (("", "POST"), ("?user=ada", "POST"), ("", "PUT"), ("", "BREW")):
                await serving.ask(Remembered, query, method)
            await harness.until(lambda: not any(find() for find in made))
            assert len(made) == 4
    finally:
        gc.enable()


def test_what_is_asked_of_which_method():
    assert find_admission(Plain, "POST") is find_admission(Plain, "HEAD") is not None
    assert find_admission(OneMethod, "GET") is find_admission(OneMethod, "HEAD") is None
    assert find_admission(Plain, "post") is find_admission(Plain, "__class__") is None
    assert find_admission(Anybodys, "PUT") is None

"""Handlers, each of which does one thing that Tornado lets a handler do."""

import asyncio
import datetime
import http

from tornado import gen
from tornado.httputil import HTTPHeaders
from tornado.web import Finish, HTTPError, RequestHandler, stream_request_body


class Dict(RequestHandler):
    async def get(self):
        self.write({"message": "</script>\u00e9", "list": [1, None, 2.5]})


class Words(RequestHandler):
    def get(self):
        for word in ("one ", b"two ", "tr\u00e9s"):
            self.write(word)


class FinishChunk(RequestHandler):
    def get(self):
        self.finish("chunk")


class Nothing(RequestHandler):
    def get(self):
        pass

    head = options = delete = get


class Headers(RequestHandler):
    def set_default_headers(self):
        self.set_header("x-default", "1")

    def get(self):
        self.set_header("x-own", 5)
        self.set_header("Content-Type", "text/plain")
        self.add_header("X-Two", "a")
        self.add_header("x-two", "b")
        self.set_header("X-When", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
        self.clear_header("x-default")
        self.write("ok")


class Own(RequestHandler):
    def get(self):
        self._headers = HTTPHeaders({"X-Only": "this"})
        self.write("ok")


class Length(RequestHandler):
    def get(self, length="2"):
        self.set_header("Content-Length", length)
        self.write("ok")

    head = get


class TooLong(RequestHandler):
    def get(self):
        self._headers["X-Bad"] = "a\r\nX-Injected: b"
        self.write("ok")


class Status(RequestHandler):
    def get(self, code, reason):
        self.set_status(int(code), reason or None)
        if int(code) not in (204, 304):
            self.write("body")


class Enumerated(RequestHandler):
    def get(self):
        self.set_status(http.HTTPStatus.CREATED)
        self.write("made")


class Cookies(RequestHandler):
    def get(self):
        self.set_cookie("a", self.get_cookie("b", "none"))
        self.set_cookie("c", "d", path="/c")
        self.write("cookies")


class Redirect(RequestHandler):
    def get(self):
        self.redirect("/dict?a=b")


class Fails(RequestHandler):
    def get(self):
        raise ValueError("secret")


class Refuses(RequestHandler):
    def get(self):
        self.set_header("X-Lost", "1")
        raise HTTPError(418, reason="Short")


class Finishes(RequestHandler):
    def get(self):
        self.set_status(202)
        raise Finish("done")


class FinishesTwice(RequestHandler):
    def get(self):
        self.finish("first")
        self.finish("second")


class Unwritable(RequestHandler):
    def get(self):
        self.write({"what": object()})


class Streams(RequestHandler):
    async def get(self):
        self.write("one ")
        await self.flush()
        await asyncio.sleep(0)
        self.write("two")

    head = get


class Large(RequestHandler):
    def get(self):
        self.write("x" * 200_000)


class Closes(RequestHandler):
    def get(self):
        self.set_header("Connection", "close")
        self.write("bye")


class Keeps(RequestHandler):
    def get(self):
        self.set_header("Connection", "keep-alive")
        self.write("ok")


class OwnEtag(RequestHandler):
    def compute_etag(self):
        return '"own"'

    def get(self):
        self.write("etag")


class NoEtag(RequestHandler):
    def compute_etag(self):
        return None

    def get(self):
        self.write("etag")


class AlwaysFresh(RequestHandler):
    """Decides by itself that the client's copy is fresh."""

    def check_etag_header(self):
        return True

    def get(self):
        self.write("etag")


class Prepared(RequestHandler):
    async def prepare(self):
        await asyncio.sleep(0)
        self.path_args = ["changed"]

    async def get(self, one):
        self.write(one)


class PreparedToTheEnd(RequestHandler):
    def prepare(self):
        self.finish("prepared")

    def get(self):
        raise AssertionError


class Old(RequestHandler):
    @gen.coroutine
    def get(self):
        yield gen.sleep(0)
        self.write("old")


class Named(RequestHandler):
    def initialize(self, kind):
        self.kind = kind

    def get(self, **names):
        self.write({"kind": self.kind, **names})


class Unnamed(RequestHandler):
    def get(self, *names):
        self.write({"names": names, "path_args": self.path_args})


class Form(RequestHandler):
    def post(self):
        self.write({"a": self.get_arguments("a"), "b": self.get_body_argument("b", "-")})

    get = post


class Facts(RequestHandler):
    """What it sees of its request."""

    def get(self):
        request = self.request
        arguments = (request.arguments, request.query_arguments, request.body_arguments)
        self.write(
            {
                "is": [request.method, request.uri, request.version, request.path, request.query],
                "from": [request.remote_ip, request.protocol, request.host],
                "host_name": request.host_name,
                "arguments": [{key: str(value) for key, value in some.items()} for some in arguments],
                "headers": sorted(f for f in request.headers.get_all() if f[0].lower() != "x-request-id"),
                "rest": [str(request.body), request.files, sorted(request.cookies), request.full_url()],
                "time": 0 <= request.request_time() < 10 and request._finish_time is None,
                "repr": repr(request).partition("(")[2],
            }
        )

    post = get


class OwnFlush(RequestHandler):
    def flush(self, include_footers=False):
        if not self._headers_written:
            self.set_header("X-At-Flush", "1")
        return super().flush(include_footers)

    def get(self):
        self.write("flushed")


class WritesThrough(RequestHandler):
    def write(self, chunk):
        super().write(chunk)
        self.flush()

    def get(self, way):
        if way == "fails":
            raise HTTPError(403)
        self.finish("through")


class CookieInWrite(RequestHandler):
    def write(self, chunk):
        self.set_cookie("seen", "1")
        super().write(chunk)

    def get(self):
        self.finish("with a cookie")


class OwnSetHeader(RequestHandler):
    def set_header(self, name, value):
        super().set_header(f"X-{name}", value)

    def get(self):
        self.write({"own": "set_header"})


class Delegates(RequestHandler):
    """Looks up elsewhere what it does not have itself."""

    def __getattr__(self, name):
        return getattr("somebody else", name)

    def get(self):
        self.write(f"{self.upper()} {sorted(self.ui)}")


class ByType(RequestHandler):
    def get(self):
        self.write(f"{WORDS[type(self)]} {type(self) in {ByType}} {type(self) in {Delegates}}")

    head = get


WORDS = {ByType: "found"}


class Overridden(RequestHandler):
    """Changes the method, as handlers that obey X-HTTP-Method-Override do."""

    def prepare(self):
        self.request.method = "DELETE"

    def get(self):
        self.write("got")

    def delete(self):
        self.write("deleted")

    head = get


class State:
    def __init__(self):
        self.state = "made"


class Mixed(RequestHandler, State):
    """The base class after Tornado's is initialised, too: Tornado's calls it."""

    def get(self):
        self.write(self.state)

    head = get


class Unencodable(RequestHandler):
    def get(self):
        try:
            self.write({"a": object()})
        except TypeError:
            self.write("<p>It can't be told.</p>")

    head = get


class Task(RequestHandler):
    """Uses what asyncio offers only to code that runs in a task."""

    async def get(self):
        assert asyncio.current_task() is not None
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(10)
        except TimeoutError:
            self.write("timed out")


class Rendered(RequestHandler):
    def get(self):
        text = b"<{{ handler.ui.__class__.__name__ }} {{ request.method }} {{ 'modules' in handler.ui }}>"
        from tornado.template import Template

        self.write(Template(text).generate(**self.get_template_namespace()))


class NamesUi(Rendered):
    """Tornado gives each handler a `ui` of its own, which takes precedence."""

    ui = "dashboard"


@stream_request_body
class Upload(RequestHandler):
    def prepare(self):
        self.size = 0

    def data_received(self, chunk):
        self.size += len(chunk)

    def post(self):
        self.write(str(self.size))

    get = post


ROUTES = [
    (r"/dict", Dict),
    (r"/words", Words),
    (r"/finish-chunk", FinishChunk),
    (r"/nothing", Nothing),
    (r"/headers", Headers),
    (r"/own", Own),
    (r"/length", Length),
    (r"/length/(\d)", Length),
    (r"/too-long", TooLong),
    (r"/status/(\d+)/(.*)", Status),
    (r"/enumerated", Enumerated),
    (r"/cookies", Cookies),
    (r"/redirect", Redirect),
    (r"/fails", Fails),
    (r"/refuses", Refuses),
    (r"/finishes", Finishes),
    (r"/finishes-twice", FinishesTwice),
    (r"/unwritable", Unwritable),
    (r"/streams", Streams),
    (r"/large", Large),
    (r"/closes", Closes),
    (r"/keeps", Keeps),
    (r"/own-etag", OwnEtag),
    (r"/no-etag", NoEtag),
    (r"/always-fresh", AlwaysFresh),
    (r"/prepared/(.*)", Prepared),
    (r"/prepared-to-the-end", PreparedToTheEnd),
    (r"/old", Old),
    (r"/named/(?P<one>[^/]+)/(?P<two>.*)", Named, {"kind": "named"}),
    (r"/unnamed/([^/]*)/([^/]*)", Unnamed),
    (r"/form", Form),
    (r"/facts", Facts),
    (r"/own-flush", OwnFlush),
    (r"/writes-through/(.*)", WritesThrough),
    (r"/cookie-in-write", CookieInWrite),
    (r"/own-set-header", OwnSetHeader),
    (r"/delegates", Delegates),
    (r"/by-type", ByType),
    (r"/overridden", Overridden),
    (r"/mixed", Mixed),
    (r"/unencodable", Unencodable),
    (r"/task", Task),
    (r"/rendered", Rendered),
    (r"/names-ui", NamesUi),
    (r"/upload", Upload),
    (r"/bare", RequestHandler),
]

"""Native handlers that fail, before and in the middle of their replies."""

import asyncio

from tornado.web import Finish, HTTPError, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler

import waterspout
from tests.apps.natives import Ping
from tests.apps.witness import note


class Panic(BaseException):
    """As an extension written in Rust raises one (`pyo3_runtime.PanicException`)."""


def raise_base(by):
    """Raise what is no `Exception`."""
    match by:
        case "exit":
            raise SystemExit(5)
        case "panic":
            raise Panic
        case "group":
            raise BaseExceptionGroup("several", [Panic(), ValueError()])
        case "generator":
            raise GeneratorExit
        case "interrupt":
            raise KeyboardInterrupt


class Half(RequestHandler):
    """Has begun its reply when it fails in the way that the query says."""

    async def get(self):
        if self.get_argument("length", ""):
            self.set_header("Content-Length", "100")
        self.write("half")
        await self.flush()
        match self.get_argument("by"):
            case "raise":
                raise ValueError("a secret of the handler")
            case "exit" | "panic" | "generator" as by:
                raise_base(by)
            case "send_error":
                self.send_error(500)
            case "finish":
                raise Finish
            case "finished":
                self.finish()
                self.send_error(500)

    def on_finish(self):
        note("finished", {"QUERY_STRING": self.request.query})


class WrongLength(RequestHandler):
    """Writes more than it declared, or less."""

    closed = 0

    async def get(self):
        self.set_header("Content-Length", "4")
        self.write("hal" if self.get_argument("by") == "less" else "half and more")
        await self.flush()

    def on_connection_close(self):
        type(self).closed += 1

    def on_finish(self):
        note("finished", {"QUERY_STRING": self.request.query}, closed=self.closed)


@stream_request_body
class StreamedWaits(RequestHandler):
    def data_received(self, chunk):
        pass

    async def put(self):
        note("ran", {"QUERY_STRING": self.request.query})
        await asyncio.sleep(600)


class LeanHalf(Half, waterspout.native.RequestHandler):
    pass


class Exits(RequestHandler):
    def get(self):
        raise_base(self.get_argument("by", "exit"))


class ExitsLater(RequestHandler):
    async def get(self):
        await asyncio.sleep(0)
        raise_base(self.get_argument("by"))


class ExitsEarly(RequestHandler):
    def prepare(self):
        raise_base(self.get_argument("by"))

    def get(self):
        self.write("never")


class ExitsAlone(ExitsLater, metaclass=type("Meta", (type,), {})):
    """A class that is left as it is."""


@stream_request_body
class ExitsAloneStreaming(ExitsAlone):
    def data_received(self, chunk):
        pass


class OwnExecute(RequestHandler):
    """Something that it awaits has been cancelled."""

    async def _execute(self, transforms, *args, **kwargs):
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future


class ExitsTwice(Exits):
    """Its error page fails as it does itself."""

    def write_error(self, *_args, **_kwargs):
        raise_base(self.get_argument("by"))


@stream_request_body
class FailsAmidBody(RequestHandler):
    """Fails at its body's first piece, in the way that the query says."""

    async def prepare(self):
        if self.get_argument("begun", ""):
            self.write("half")
            await self.flush()

    def data_received(self, chunk):
        match self.get_argument("by"):
            case "raise":
                raise ValueError("a secret of the handler")
            case "exit" | "panic" as by:
                raise_base(by)
            case "status":
                raise HTTPError(409, "not now")
            case "finish":
                self.write("enough")
                raise Finish

    def on_finish(self):
        note("finished", {"QUERY_STRING": self.request.query})

    def put(self):
        note("ran", {"QUERY_STRING": self.request.query})


@stream_request_body
class FailsAmidBodyLater(FailsAmidBody):
    async def data_received(self, chunk):
        await asyncio.sleep(0)
        super().data_received(chunk)


class ExitsInCache(RequestHandler):
    async def get(self):
        self.write(await waterspout.native.Cache(1, 1).get("key", self.make))

    async def make(self):
        raise_base(self.get_argument("by"))


class Waits(RequestHandler):
    """Goes on for longer than any server waits; with `begun`, after sending the head of its reply."""

    async def get(self):
        note("ran", {"QUERY_STRING": self.request.query})
        if self.get_argument("begun", ""):
            await self.flush()
        await asyncio.sleep(600)


class SocketExits(WebSocketHandler):
    def on_message(self, message):
        raise_base(message)


class SocketExitsLater(WebSocketHandler):
    async def on_message(self, message):
        await asyncio.sleep(0)
        raise_base(message)


class SocketExitsAtOnce(WebSocketHandler):
    def open(self):
        raise_base(self.get_argument("by"))

    def on_message(self, message):
        """Never called."""


routes = [
    ("/native/ping", Ping),
    ("/half", Half),
    ("/lean-half", LeanHalf),
    ("/exits", Exits),
    ("/exits-later", ExitsLater),
    ("/exits-early", ExitsEarly),
    ("/exits-alone", ExitsAlone),
    ("/exits-alone-streaming", ExitsAloneStreaming),
    ("/own-execute", OwnExecute),
    ("/exits-twice", ExitsTwice),
    ("/fails-amid-body", FailsAmidBody),
    ("/fails-amid-body-later", FailsAmidBodyLater),
    ("/exits-in-cache", ExitsInCache),
    ("/waits", Waits),
    ("/wrong-length", WrongLength),
    ("/streamed-waits", StreamedWaits),
    ("/socket-exits", SocketExits),
    ("/socket-exits-later", SocketExitsLater),
    ("/socket-exits-at-once", SocketExitsAtOnce),
]

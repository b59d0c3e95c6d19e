"""Native routes: what a team writes as Tornado handlers."""

import asyncio
import contextlib
import contextvars
import json
import multiprocessing
import signal
import time

from tornado.web import RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler

import waterspout
from waterspout.native.live import Event, StreamHandler, Watch


class Ping(RequestHandler):
    """GET only, on purpose."""

    def get(self):
        self.write("pong")


class Raises(RequestHandler):
    def get(self):
        raise ValueError("a secret of the handler")


class Relays(RequestHandler):
    """Copies the fields of another server's reply, `flushes` or not."""

    def get(self):
        self.set_header("Transfer-Encoding", "chunked")
        self.write("relayed")
        if self.get_argument("flushes", ""):
            self.flush()


class Events(RequestHandler):
    """Server-sent events of one topic, until the client or the server goes."""

    async def get(self):
        await asyncio.sleep(float(self.get_argument("after", "0")))
        self.set_header("Content-Type", "text/event-stream")
        messages = waterspout.subscribe(self.get_argument("topic"))
        self.write("event: ready\ndata: null\n\n")
        await self.flush()
        async for message in messages:
            self.write(f"data: {json.dumps(message)}\n\n")
            await self.flush()


class Orders(RequestHandler):
    """The event stream of the README: it ends tidily when its client has gone."""

    orders = None

    async def get(self):
        self.set_header("Content-Type", "text/event-stream")
        async with waterspout.subscribe("orders") as orders:
            self.orders = orders
            self.write(": begun\n\n")
            await self.flush()
            async for order in orders:
                self.write(f"data: {order}\n\n")
                await self.flush()

    def on_connection_close(self):
        if self.orders is not None:
            self.orders.close()


class Still:
    """A source in which nothing happens."""

    async def newest(self):
        return (1,)

    async def event(self, since):
        return Event.reload((1,))


class Flood(RequestHandler):
    """Writes for as long as its client reads."""

    async def get(self):
        while True:
            self.write(bytes(65536))
            await self.flush()


class Live(StreamHandler):
    watch = Watch("still", Still())


class Ready(RequestHandler):
    """Has sent all that it declared, and ends when its client has gone."""

    async def get(self):
        self.left = asyncio.Event()
        self.set_header("Content-Length", "5")
        self.write("whole")
        await self.flush()
        await self.left.wait()

    def on_connection_close(self):
        self.left.set()


class Numbers(RequestHandler):
    def get(self, number):
        self.write(number)


class Beats(RequestHandler):
    """A stream that ends when its client has gone."""

    async def get(self):
        while True:
            self.write("beat\n")
            await self.flush()
            await asyncio.sleep(0.05)


class Socket(WebSocketHandler):
    def on_message(self, message):
        if message in ("flood", "farewell"):
            for _ in range(8):
                self.write_message(bytes(1_000_000), binary=True)
            if message == "farewell":
                self.close(1000)
        else:
            self.write_message(f"heard {message}")


class Slow(RequestHandler):
    async def get(self):
        await asyncio.sleep(float(self.get_argument("seconds")))
        self.write("slept")


def sleep_as_no_handler_should(seconds):
    time.sleep(seconds)


class Block(RequestHandler):
    """Blocks the event loop. `listens`: a second after it has added a signal handler of its own."""

    async def get(self):
        if self.get_argument("listens", ""):
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, print)
            await asyncio.sleep(1)
        sleep_as_no_handler_should(float(self.get_argument("seconds")))
        self.write("done")


class Whole(RequestHandler):
    """Gets its body whole."""

    def post(self):
        self.write(f"{len(self.request.body)}")


@stream_request_body
class Streamed(RequestHandler):
    """Takes its body as it comes."""

    def prepare(self):
        self.length = 0

    def data_received(self, chunk):
        self.length += len(chunk)

    def post(self):
        self.write(f"{self.length}")


@stream_request_body
class BeginsStreaming(RequestHandler):
    """Begins its reply before it has its body."""

    async def prepare(self):
        self.write("begun")
        await self.flush()

    def data_received(self, chunk):
        pass

    def post(self):
        pass


@stream_request_body
class Refuses(RequestHandler):
    """Answers before it has its body."""

    def prepare(self):
        self.set_status(403)
        self.finish("no")

    def data_received(self, chunk):
        raise AssertionError(chunk)

    def get(self):
        self.write("never")

    put = get


LEFT = contextvars.ContextVar("LEFT", default="nothing")


class Leaves(RequestHandler):
    """Reports what others have left in its context, and leaves something there at the step asked for."""

    def initialize(self):
        self.leave("initialize")

    def set_default_headers(self):
        self.found = [LEFT.get()]
        self.leave("set_default_headers")

    def prepare(self):
        self.leave("prepare")

    def data_received(self, chunk):
        self.leave("data_received")

    def leave(self, step):
        if self.get_query_argument("leave", "") == step:
            LEFT.set(step)

    async def get(self):
        self.leave("get")
        await asyncio.sleep(float(self.get_query_argument("wait", "0")))
        self.write(f"{self.found[0]}, {LEFT.get()}")

    post = get

    def on_finish(self):
        self.leave("on_finish")

    def on_connection_close(self):
        self.leave("on_connection_close")


@stream_request_body
class LeavesStreaming(Leaves):
    pass


@stream_request_body
class LeavesAwaiting(Leaves):
    async def data_received(self, chunk):
        self.set_header("X-Found", LEFT.get())
        await asyncio.sleep(0)
        self.leave("data_received")


class Job(RequestHandler):
    """Starts a process that outlives the reply, which is its pid."""

    def get(self):
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        process.start()
        self.write(str(process.pid))


class Stubborn(RequestHandler):
    """Starts a task that can't be cancelled."""

    def get(self):
        self.application.stubborn = asyncio.get_running_loop().create_task(go_on())
        self.write("started")


async def go_on():
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)


routes = [
    (r"/native/job", Job),
    (r"/native/stubborn", Stubborn),
    (r"/native/leaves", Leaves),
    (r"/native/leaves-streaming", LeavesStreaming),
    (r"/native/leaves-awaiting", LeavesAwaiting),
    (r"/native/ping", Ping),
    (r"/native/raises", Raises),
    (r"/native/relays", Relays),
    (r"/native/events", Events),
    (r"/native/beats", Beats),
    (r"/native/orders", Orders),
    (r"/native/flood", Flood),
    (r"/native/live", Live),
    (r"/native/ready", Ready),
    (r"/native/numbers/(\d+)", Numbers),
    (r"/native/ws", Socket),
    (r"/native/slow", Slow),
    (r"/native/block", Block),
    (r"/native/whole", Whole),
    (r"/native/streamed", Streamed),
    (r"/native/begins-streaming", BeginsStreaming),
    (r"/native/refuses", Refuses),
]

"""A site whose pool and lanes only take notes, so that a test decides what the worker says and when."""

import asyncio

from tornado.httputil import HTTPServerConnectionDelegate

from waterspout.message.proxies import Proxies
from waterspout.ops.figures import Figures
from waterspout.wsgi.exchange.admission import Admission
from waterspout.wsgi.exchange.exchange import Exchange
from waterspout.wsgi.exchange.headers import WireHeaders
from waterspout.wsgi.exchange.spool import SpoolSpace
from waterspout.wsgi.frames import BODY, BODY_END, REQUEST, WHOLE, FrameParser, build_reply, parse_request

MAX_BODY = 1_000_000
GET = ("GET / HTTP/1.1", "Host: x")
OK = build_reply(200, "OK", [("Content-Type", "text/plain")])


def with_field(head, name, value):
    """The head of a reply with one more field."""
    return build_reply(head.status, head.reason, [*head.headers, (name, value)])


class FakeLane:
    """`head`, `body`, `body_ended`: what the request is so far; `orders`: what else it was told; `reason`,
    why it was cancelled.
    """

    def __init__(self):
        self.head = None
        self.body = b""
        self.body_ended = False
        self.orders = []
        self._parser = FrameParser()

    def begin(self, user, frames, *, small=False):
        assert self.head is None, "begun twice"
        self.user = user
        self.send(frames)

    def send(self, frames):
        for kind, payload in self._parser.feed(frames):
            if kind == REQUEST:
                self.head = parse_request(payload)
            elif kind == BODY:
                self.body += payload
            else:
                assert kind == BODY_END
                self.body_ended = True

    def cancel(self, user, reason):
        assert user is self.user
        assert reason
        self.reason = reason
        self.orders.append("cancel")

    def pause(self):
        self.orders.append("pause")
        return True

    def resume(self):
        self.orders.append("resume")

    @property
    def headers(self):
        return WireHeaders(self.head.headers)

    def answer(self, body=b"", head=OK):
        """Say all of a reply at once."""
        sized = with_field(head, "Content-Length", str(len(body)))
        self.user.on_reply(sized, body, WHOLE)


class FakePool:
    """Keeps what is submitted until the test gives it a lane."""

    def __init__(self):
        self.waiting = []
        self.parked = []
        self.submitted = self.resubmitted = 0
        self.figures = Figures()
        self.started = self.died = 0

    def submit(self, exchange):
        self.submitted += 1
        self.waiting.append(exchange)

    def park(self, exchange):
        self.parked.append(exchange)

    def resubmit(self, exchange):
        self.resubmitted += 1
        self.submit(exchange)

    def find_admission(self, record):
        return self.admission

    def withdraw(self, exchange):
        for these in (self.waiting, self.parked):
            if exchange in these:
                these.remove(exchange)

    async def next(self, seconds=5):
        """The next exchange that waits."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not self.waiting:
            assert asyncio.get_running_loop().time() < deadline, "nothing was submitted"
            await asyncio.sleep(0.002)
        return self.waiting.pop(0)

    async def start_next(self):
        """Give the next exchange a lane; the lane."""
        lane = FakeLane()
        exchange = await self.next()
        exchange.start(lane)
        return lane


class FakeLoad:
    """How busy the lanes are said to be."""

    def __init__(self):
        self.has_idle_lane = True
        self.lacking = 0


class Site(HTTPServerConnectionDelegate):
    """Every request becomes an exchange of `pool`. `load`: what the admission believes about the lanes."""

    def __init__(self, *, lanes=8, spool=MAX_BODY, spool_reply=MAX_BODY):
        self.pool = FakePool()
        self.load = FakeLoad()
        self.admission = self.pool.admission = Admission(self.load, lanes, SpoolSpace(spool), spool_reply)
        self.proxies = Proxies()

    def start_request(self, server_conn, request_conn):
        return Exchange(
            self.pool,
            request_conn,
            max_body_size=MAX_BODY,
            proxies=self.proxies,
        )


def post(length, *headers, target="/"):
    """The head of a request with a body of this many bytes; None: chunked."""
    how = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return (f"POST {target} HTTP/1.1", "Host: x", how, *headers)

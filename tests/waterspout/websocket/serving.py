"""Servers, handlers and event loops for tests that speak to real sockets."""

import asyncio
import functools
import importlib
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import NamedTuple

import uvloop
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from waterspout.websocket import with_protocol

TORNADO = "tornado.httpserver.HTTPServer"
OURS = "waterspout.http.HTTPServer"
#: Ours where it is there: it hands over a transport, Tornado's a stream.
SERVERS = [TORNADO, *([OURS] if find_spec("waterspout.http") else [])]


class Form(NamedTuple):
    name: str
    server: str
    new_loop: object


FORMS = [
    Form(f"{server.partition('.')[0]}-{loop}", server, new_loop)
    for server in SERVERS
    for loop, new_loop in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop))
]


def scenario(test):
    """Run a coroutine test on the event loop of its `form`."""

    @functools.wraps(test)
    def run(*args, form, **kwargs):
        async def within():
            async with asyncio.timeout(30):
                await test(*args, form=form, **kwargs)

        with asyncio.Runner(loop_factory=form.new_loop) as runner:
            runner.run(within())

    return run


class Witness(WebSocketHandler):
    """Records what it sees in the application's `events`."""

    @property
    def events(self):
        return self.settings["events"]

    def check_origin(self, origin):
        return True

    def open(self, *args):
        self.settings["witnesses"].append(self)
        self.events.append("open")

    def on_message(self, message):
        self.events.append(message)

    def on_ping(self, data):
        self.events.append(("ping", data))

    def on_pong(self, data):
        self.events.append(("pong", data))

    def on_close(self):
        self.events.append(("close", self.close_code, self.close_reason))


class Echo(Witness):
    def on_message(self, message):
        super().on_message(message)
        return self.write_message(message, binary=isinstance(message, bytes))


class Served:
    """A running server: its `port`, and what its handlers have seen."""

    def __init__(self, port):
        self.port = port
        self.events = []
        self.handlers = []

    @property
    def handler(self):
        return self.handlers[-1]

    async def until(self, event, count=1):
        """Until `event` has been seen `count` times."""
        while self.events.count(event) < count:
            await asyncio.sleep(0.005)

    async def until_closed(self):
        """What `on_close` has seen; it comes last, and once."""
        while not self.closings:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
        assert len(self.closings) == 1
        assert self.events[-1] == self.closings[0]
        return self.closings[0][1:]

    @property
    def closings(self):
        return [event for event in self.events if isinstance(event, tuple) and event[0] == "close"]


@asynccontextmanager
async def serve(form, handler=Echo, *, ssl_options=None, ours=None, **settings):
    """`handler`, on our protocol, at every path; the path without its slash is the argument of `open`.

    `ours`: an application class that sets up the protocol itself.
    """
    (sock,) = bind_sockets(0, "127.0.0.1")
    served = Served(sock.getsockname()[1])
    settings |= {"events": served.events, "witnesses": served.handlers, "log_function": lambda handler: None}
    if ours is None:
        application = Application([("/(.*)", with_protocol(handler))], **settings)
    else:
        application = ours([("/(.*)", handler)], **settings)
    module, _, name = form.server.rpartition(".")
    server = getattr(importlib.import_module(module), name)(application, ssl_options=ssl_options)
    server.add_sockets([sock])
    try:
        yield served
    finally:
        server.stop()
        await server.close_all_connections()
        for seen in served.handlers:
            if seen.ws_connection is not None:
                seen.ws_connection.on_connection_close()
        await asyncio.sleep(0.02)

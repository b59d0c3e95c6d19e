"""An echo server for the conformance cases, as a separate process; it prints its port.

python -m tests.waterspout.websocket.echo SERVER KIND

SERVER: the dotted path of an HTTPServer class. KIND: `ours`, or `stock` for Tornado's own protocol.
"""

import asyncio
import importlib
import logging
import sys

from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from waterspout.websocket import with_protocol


class EchoHandler(WebSocketHandler):
    def get_compression_options(self):
        return {}

    def on_message(self, message):
        return self.write_message(message, binary=isinstance(message, bytes))


def server_class(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


async def main(path, kind):
    handler = with_protocol(EchoHandler) if kind == "ours" else EchoHandler
    application = Application([("/", handler)], websocket_max_message_size=32 * 1024 * 1024)
    (sock,) = bind_sockets(0, "127.0.0.1")
    server_class(path)(application).add_sockets([sock])
    print(sock.getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    asyncio.run(main(*sys.argv[1:]))

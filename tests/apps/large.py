"""Native replies of 8 MiB, written in the ways that a team may write them."""

import os
import tempfile

from tornado.web import StaticFileHandler

from waterspout.native import RequestHandler

SIZE = 8 << 20
WHOLE = bytes(SIZE)
PIECE = 64 << 10
FOLDER = os.environ.get("WITNESS_FOLDER") or tempfile.gettempdir()


class Ping(RequestHandler):
    def get(self):
        self.write("pong")


class Whole(RequestHandler):
    """One object for all requests, as from a cache."""

    def get(self):
        self.write(WHOLE)


class Pieces(RequestHandler):
    """Made while it is sent."""

    async def get(self):
        self.set_header("Content-Length", str(SIZE))
        for _ in range(SIZE // PIECE):
            self.write(bytes(PIECE))
            await self.flush()


routes = [
    (r"/ping", Ping),
    (r"/whole", Whole),
    (r"/pieces", Pieces),
    (r"/file/(.*)", StaticFileHandler, {"path": FOLDER}),
]

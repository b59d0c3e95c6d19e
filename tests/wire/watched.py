"""Servers whose operations address tells how they are."""

import re

from tests.wire.client import Connection

OPS = ("--ops-bind", "127.0.0.1:0")


class Watched:
    """A server and its operations address."""

    def __init__(self, server):
        self.server = server
        (line,) = server.log_lines("figures at")
        self.address = ("127.0.0.1", int(re.search(r"http://127\.0\.0\.1:(\d+)", line)[1]))

    def ask(self, target, method="GET"):
        with Connection(self.address) as connection:
            return connection.ask(method, target)

    def stats(self):
        reply = self.ask("/-/stats")
        assert (reply.status, reply.header("Content-Type")) == (200, "application/json")
        return reply.json()

    def pool(self, name="main"):
        return self.stats()["pools"][name]

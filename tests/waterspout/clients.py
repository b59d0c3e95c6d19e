"""A plain HTTP client for tests that look at the bytes."""

import asyncio
from contextlib import asynccontextmanager

from tornado.tcpclient import TCPClient

DEADLINE = 10.0


class Client:
    """One connection. What it reads is bytes; nothing is repaired."""

    def __init__(self, stream):
        self.stream = stream

    async def send(self, *lines, body=b""):
        """A request: its start line, then its headers."""
        await self.stream.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    async def read_head(self):
        """The status line, and the headers as (name, value) pairs."""
        data = await self._wait(self.stream.read_until(b"\r\n\r\n"))
        status, *lines = data.decode("latin-1").split("\r\n")[:-2]
        return status, [tuple(line.split(": ", 1)) for line in lines]

    async def read_bytes(self, size):
        return await self._wait(self.stream.read_bytes(size))

    async def read_reply(self):
        """(status, headers as a dict, body) of a reply that has a length."""
        status, headers = await self.read_head()
        found = {name.lower(): value for name, value in headers}
        body = await self.read_bytes(int(found.get("content-length", 0)))
        return int(status.split()[1]), found, body

    async def read_to_end(self):
        """All that comes until the server closes."""
        return await self._wait(self.stream.read_until_close())

    async def ask(self, *lines, body=b""):
        await self.send(*lines, body=body)
        return await self.read_reply()

    @staticmethod
    async def _wait(future):
        return await asyncio.wait_for(future, DEADLINE)


async def open_client(port):
    """The caller closes its stream."""
    return Client(await asyncio.wait_for(TCPClient().connect("127.0.0.1", port), DEADLINE))


@asynccontextmanager
async def connect(port):
    client = await open_client(port)
    try:
        yield client
    finally:
        client.stream.close()

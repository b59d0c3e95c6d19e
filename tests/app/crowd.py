"""Many readers of the stream at once, in one event loop: as cheap as possible."""

import asyncio
import http.client
import resource
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

REQUEST = b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
CONNECTED_AT_ONCE = 100
PATIENCE = 30.0


class Reader(asyncio.Protocol):
    """`following` is done at its first beat. `hear_of` waits for an update, and gives the moment it came."""

    def __init__(self):
        self.received = b""
        self.wanted = b"event: beat"
        self.following = self.found = asyncio.get_running_loop().create_future()

    def hear_of(self, text):
        """A future that is done, with the moment, when an event that contains the text has come."""
        self.wanted, self.found = text.encode(), asyncio.get_running_loop().create_future()
        self.look()
        return self.found

    def look(self):
        if self.wanted in self.received and not self.found.done():
            self.found.set_result(time.monotonic())
            self.received = b""

    def connection_made(self, transport):
        self.transport = transport
        transport.write(REQUEST)

    def data_received(self, data):
        self.received += data
        self.look()

    def connection_lost(self, error):
        if not self.found.done():
            self.found.set_exception(error or ConnectionError("the stream has ended"))
            self.found.exception()  # what awaits it gets the error; asyncio need not log it


@contextmanager
def many_descriptors(count):
    """Room for `count` connections, in this process and those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count * 2 + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise OSError(f"{wanted} descriptors are needed, and {hard} allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def open_readers(address, count):
    """`count` readers, all of them following."""
    loop, url, readers = asyncio.get_running_loop(), urlsplit(address), []
    try:
        while len(readers) < count:
            group = range(min(CONNECTED_AT_ONCE, count - len(readers)))
            made = await asyncio.gather(
                *(loop.create_connection(Reader, url.hostname, url.port) for _ in group)
            )
            readers += [reader for _, reader in made]
        await asyncio.wait_for(asyncio.gather(*(reader.following for reader in readers)), PATIENCE)
        yield readers
    finally:
        for reader in readers:
            reader.transport.abort()


class Asker(threading.Thread):
    """Asks one path again and again, as one client does, and notes the seconds that each reply took."""

    def __init__(self, address, path, pause=0.005):
        super().__init__(daemon=True)
        self.address, self.path, self.pause = urlsplit(address), path, pause
        self.seconds = []
        self.statuses = set()
        self._stopping = threading.Event()

    def run(self):
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=10)
        while not self._stopping.wait(self.pause):
            begun = time.monotonic()
            connection.request("GET", self.path)
            response = connection.getresponse()
            response.read()
            self.seconds.append(time.monotonic() - begun)
            self.statuses.add(response.status)
        connection.close()

    def stop(self):
        self._stopping.set()
        self.join(15)

    def quantile(self, share):
        return sorted(self.seconds)[int(len(self.seconds) * share)]

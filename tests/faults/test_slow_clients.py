"""Slow clients never own lanes: a pool of eight, hundreds who trickle or do not read, and one who is served.

The bounds are generous, for a slow machine; a pool that slow clients own is late by minutes.
"""

import hashlib
import threading
import time
from contextlib import suppress

import pytest

from tests.server import new_id
from tests.wire.client import build_head, chunk

pytestmark = pytest.mark.faults

STREAMING = ("--wsgi", "tests.apps.streaming:app", "--wsgi-threads", "8")
BODIES = ("--wsgi", "tests.apps.bodies:app", "--wsgi-threads", "8")
MIB = 1 << 20
#: A lane that is not to be had would take as long as the clients do, or the server's own patience: 15 s.
SOON = 5.0
BLOCK = bytes(range(256)) * 256
CHUNKED = ("Transfer-Encoding", "chunked")


def seconds_of(action):
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def assert_served(server, times=5):
    """Requests of the app, one after the other, while all others are slow."""
    waited = [seconds_of(lambda: server.canary(seconds=SOON)) for _ in range(times)]
    print(f"waited at most {max(waited) * 1000:.0f} ms")
    assert max(waited) < SOON


class Trickle(threading.Thread):
    """Sends a byte of each connection's body now and then, until it is told to stop."""

    def __init__(self, connections, piece, pause=0.2):
        super().__init__(daemon=True)
        self._connections = connections
        self._piece = piece
        self._pause = pause
        self._over = threading.Event()

    def run(self):
        while not self._over.wait(self._pause):
            for connection in self._connections:
                with suppress(OSError):
                    connection.send(self._piece)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join(5)


@pytest.mark.parametrize(
    ("headers", "first", "piece"),
    [
        ([("Content-Length", "1048576")], b"x", b"x"),
        ([CHUNKED], chunk(b"x"), chunk(b"x")),
        ([("Content-Length", "1048576"), ("Expect", "100-continue")], b"", b"x"),
        ([("Content-Length", "50000")], b"x", b"x"),
        # Brisk at first, to be let in.
        ([("Content-Length", "1048576")], b"x" * 100_000, b"x"),
    ],
    ids=["length", "chunked", "expects", "small", "begins briskly"],
)
def test_trickled_bodies_delay_nobody(start_server, form, headers, first, piece):
    server = start_server(*BODIES, form=form)
    server.canary()
    clients = [server.connect(timeout=5) for _ in range(200)]
    for client in clients:
        client.send(build_head("POST", "/digest", headers), first)
    with Trickle(clients, piece):
        assert_served(server)
        time.sleep(2.2)  # now whoever has a lane has it for longer than a client may keep it waiting
        assert_served(server)


@pytest.mark.parametrize(("count", "size"), [(32, 8), (100, 8), (16, 64)])
def test_slow_readers_delay_nobody(start_server, form, count, size):
    server = start_server(*STREAMING, form=form)
    server.get(f"/counted?id={new_id()}&size={MIB}")
    readers = [server.connect(timeout=5, receive_buffer=65_536) for _ in range(count)]
    idents = [new_id() for _ in readers]
    for reader, ident in zip(readers, idents, strict=True):
        reader.send_request("GET", f"/counted?id={ident}&size={size * MIB}&length=yes")
    waited = seconds_of(lambda: server.get(f"/counted?id={new_id()}&size=10", timeout=4 * SOON))
    print(f"the first waited {waited * 1000:.0f} ms")
    time.sleep(2.2)
    ident = new_id()
    waited = seconds_of(lambda: server.get(f"/counted?id={ident}&size=10", timeout=SOON))
    print(f"a later one waited {waited * 1000:.0f} ms")


def test_slow_readers_get_what_was_spooled_for_them(start_server, form):
    server = start_server(*STREAMING, form=form)
    readers = [server.connect(timeout=20, receive_buffer=65_536) for _ in range(32)]
    for reader in readers:
        reader.send_request("GET", f"/counted?id={new_id()}&size={8 * MIB}&length=yes")
    server.get(f"/counted?id={new_id()}&size=10", timeout=20)
    expected = hashlib.sha256(BLOCK * (8 * MIB // len(BLOCK))).digest()
    for reader in readers:
        assert hashlib.sha256(reader.reply().body).digest() == expected

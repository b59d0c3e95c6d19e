"""Memory stays bounded in both directions, however large the body and however slow the client."""

import hashlib
import os
import threading
import time
from contextlib import suppress

import pytest

from tests.server import new_id, poll
from tests.wire.client import chunk

SERVE = ("--wsgi", "tests.apps.streaming:app", "--wsgi-threads", "1")
MIB = 1 << 20
UPLOAD = (512 if os.environ.get("WATERSPOUT_LONG") else 64) * MIB
DOWNLOAD = 128 * MIB
BLOCK = bytes(range(256)) * 256


class MemoryWatch:
    """The peak memory of all processes together while it watches, and its growth since the start."""

    def __init__(self, server):
        self._server = server
        self._before = self._highest = server.rss_total()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self._done.wait(0.02):
            self._highest = max(self._highest, self._server.rss_total())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        self._highest = max(self._highest, self._server.rss_total())

    @property
    def growth(self):
        return self._highest - self._before


def upload(server, target, size, framing, timeout=30):
    with server.connect(timeout=timeout) as connection:
        header = ("Transfer-Encoding", "chunked") if framing == "chunked" else ("Content-Length", str(size))
        connection.send_head("POST", target, [header])
        block = chunk(BLOCK) if framing == "chunked" else BLOCK
        for _ in range(size // len(BLOCK)):
            connection.send(block)
        connection.send(b"0\r\n\r\n" if framing == "chunked" else b"")
        return connection.reply()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_upload_read_in_pieces_is_never_held_whole(start_server, form, framing):
    server = start_server("--wsgi", "tests.apps.flask_views:app", form=form)
    assert upload(server, "/flask/stream", 2 * MIB, framing).status == 200
    with MemoryWatch(server) as memory:
        reply = upload(server, "/flask/stream", UPLOAD, framing)
    expected = hashlib.sha256()
    for _ in range(UPLOAD // len(BLOCK)):
        expected.update(BLOCK)
    assert reply.json() == {"length": UPLOAD, "sha256": expected.hexdigest()}
    assert memory.growth < 32 * MIB


def test_an_upload_that_nobody_reads_is_not_held(start_server, form):
    """The app waits at a gate; the client pushes as much as it can."""
    server, ident = start_server("--wsgi", "tests.apps.bodies:app", form=form), new_id()
    server.canary()
    with server.connect(timeout=1.0) as connection, MemoryWatch(server) as memory:
        connection.send_head("POST", f"/gated?id={ident}", [("Content-Length", str(DOWNLOAD))])
        sent = 0
        with suppress(TimeoutError):
            while sent < DOWNLOAD:
                connection.send(BLOCK)
                sent += len(BLOCK)
    server.open_gate(ident)
    assert sent < 16 * MIB
    assert memory.growth < 16 * MIB


@pytest.mark.parametrize("declared", ["", "yes"])
def test_a_client_that_stops_reading_stops_the_app(server, declared):
    """The app may be ahead by what the buffers on the way hold, and no more; then everything arrives."""
    server.get(f"/counted?id={new_id()}&size={4 * MIB}")
    ident, received, checksum = new_id(), 0, hashlib.sha256()
    # A buffer of fixed size: the kernel may let the client's own grow to 32 MiB, which is not the server's.
    with server.connect(timeout=30, receive_buffer=MIB) as connection, MemoryWatch(server) as memory:
        connection.send_request("GET", f"/counted?id={ident}&size={DOWNLOAD}&length={declared}")
        head = connection.head()
        for piece in pieces_of(connection, head, DOWNLOAD):
            before, received = received, received + len(piece)
            checksum.update(piece)
            if before // (40 * MIB) != received // (40 * MIB):
                assert stalled(server, ident) - received <= 8 * MIB
    assert received == DOWNLOAD
    expected = hashlib.sha256()
    for _ in range(DOWNLOAD // len(BLOCK)):
        expected.update(BLOCK)
    assert checksum.digest() == expected.digest()
    assert memory.growth < 16 * MIB


def pieces_of(connection, head, size):
    """The body as it comes."""
    if head.chunked:
        yield from iter(lambda: connection.next_chunk(head), b"")
        return
    while size > 0:
        piece = connection.take(min(size, len(BLOCK)), head)
        size -= len(piece)
        yield piece


def stalled(server, ident, pause=0.3):
    """How many bytes the app has produced once it stalls."""

    def stands_still():
        before = server.count(ident)
        time.sleep(pause)
        return server.count(ident) == before

    assert poll(stands_still)
    return server.count(ident)


def test_many_stalled_clients_hold_little_each(start_server, form):
    server = start_server("--wsgi", "tests.apps.streaming:app", "--wsgi-threads", "8", form=form)
    server.get(f"/counted?id={new_id()}&size={4 * MIB}")
    with MemoryWatch(server) as memory:
        for ident in (idents := [new_id() for _ in range(8)]):
            server.connect(receive_buffer=65_536).send_request("GET", f"/flood?id={ident}")
        assert poll(lambda: all(server.count(ident) for ident in idents))
        stalled(server, idents[-1])
        for ident in idents:
            assert stalled(server, ident, 0.05) < 8 * MIB
        server.release()
        for ident in idents:
            server.wait_for_note("closed", ident)
    assert memory.growth < 24 * MIB


def test_a_circle_that_holds_much_is_collected(start_server):
    """Python's garbage collector counts objects, and here they are few."""
    server = start_server("--native", "tests.apps.circles:routes")
    with MemoryWatch(server) as memory, server.connect() as connection:
        for _ in range(300):
            assert connection.ask("GET", "/memory").status == 200
            time.sleep(0.005)
    assert memory.growth < 600 * MIB  # of 1200
    server.stop()

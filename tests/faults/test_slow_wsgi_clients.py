"""Slow clients never hold lanes: a pool of eight, hundreds that trickle or do not read, one that is served.

The bounds are generous, for a slow machine; a pool that slow clients hold is late by minutes.
"""

import hashlib
import os
import random
import tempfile
import threading
import time
from contextlib import suppress

import pytest

from tests.server import new_id, poll
from tests.wire.client import Cut, build_head, chunk
from tests.wire.test_memory import MemoryWatch

pytestmark = pytest.mark.faults

STREAMING = ("--wsgi", "tests.apps.streaming:app", "--wsgi-threads", "8")
BODIES = ("--wsgi", "tests.apps.bodies:app", "--wsgi-threads", "8")
ONE_BODY = ("--wsgi", "tests.apps.bodies:app", "--wsgi-threads", "1")
MIB = 1 << 20
#: Without a free lane it would take as long as the clients do, or the server's own patience: 15 s.
SOON = 10.0
BLOCK = bytes(range(256)) * 256
CHUNKED = ("Transfer-Encoding", "chunked")
LENGTH = ("Content-Length", "1048576")
#: Starts a server that may write no file larger than this (and its stderr is a file).
FULL_DISK = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def seconds_of(action):
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def assert_served(server, times=5):
    """Requests to the app, one after the other, while all others are slow."""
    waited = [seconds_of(lambda: server.canary(seconds=SOON)) for _ in range(times)]
    print(f"waited at most {max(waited) * 1000:.0f} ms")
    assert max(waited) < SOON


def open_spool(server):
    """The size of the server's temporary file; None if there is none."""
    folder = f"/proc/{server.pid}/fd"
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):
            path = os.readlink(f"{folder}/{name}")
            if path.startswith(tempfile.gettempdir()) and path.endswith("(deleted)"):
                return os.stat(f"{folder}/{name}").st_size
    return None


class Trickle(threading.Thread):
    """Sends a piece of each connection's body now and then, until it is told to stop."""

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


# --- bodies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "first", "piece"),
    [
        ([LENGTH], b"x", b"x"),
        ([CHUNKED], chunk(b"x"), chunk(b"x")),
        ([LENGTH, ("Expect", "100-continue")], b"", b"x"),
        ([("Content-Length", "50000")], b"x", b"x"),
        ([LENGTH], b"x" * 100_000, b"x"),
    ],
    ids=["length", "chunked", "expects", "small", "brisk-at-first"],
)
def test_trickled_bodies_delay_nobody(start_server, headers, first, piece):
    server = start_server(*BODIES)
    server.canary()
    clients = [server.connect() for _ in range(200)]
    for client in clients:
        client.send(build_head("POST", "/digest", headers), first)
    with Trickle(clients, piece):
        assert_served(server)
        time.sleep(2.2)  # now each lane in use has waited for longer than a client may keep it waiting
        assert_served(server)


def test_a_body_that_trickles_reaches_the_app_whole(start_server, form):
    """It is given a lane when all of it has arrived; the app never waits."""
    server, ident = start_server(*ONE_BODY, form=form), new_id()
    body = random.Random(4).randbytes(600_000)
    with server.connect() as slow, server.connect() as holder:
        holder.send_request("POST", f"/gated?id={ident}", body=b"")
        server.wait_for_note("ran", ident)
        slow.send_head("POST", "/digest", [("Content-Length", str(len(body)))])
        for start in range(0, len(body), 30_000):
            slow.send(body[start : start + 30_000])
            time.sleep(0.02)
        server.open_gate(ident)
        assert slow.reply().json()["sha256"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize(("size", "framing"), [(8, "chunked"), (64, "length")])
def test_a_body_is_spooled_while_its_request_waits(start_server, form, size, framing):
    server, ident = start_server(*ONE_BODY, form=form), new_id()
    body = random.Random(size).randbytes(size * MIB)
    with server.connect() as holder, server.connect(timeout=20) as sender, MemoryWatch(server) as memory:
        holder.send_request("POST", f"/gated?id={ident}", body=b"")
        server.wait_for_note("ran", ident)
        header = CHUNKED if framing == "chunked" else ("Content-Length", str(len(body)))
        sender.send_head("POST", "/digest", [header])
        for start in range(0, len(body), MIB):
            piece = body[start : start + MIB]
            sender.send(chunk(piece) if framing == "chunked" else piece)
        sender.send(b"0\r\n\r\n" if framing == "chunked" else b"")
        assert poll(lambda: (open_spool(server) or 0) > (size - 1) * MIB)
        server.open_gate(ident)
        assert holder.reply().status == 200
        assert sender.reply().json()["sha256"] == hashlib.sha256(body).hexdigest()
        assert poll(lambda: open_spool(server) is None)
        server.canary(sender)
    assert memory.growth < 16 * MIB


def test_a_lane_that_waits_for_its_client_is_freed_when_others_wait(start_server, form):
    server, ident = start_server(*ONE_BODY, form=form), new_id()
    with server.connect() as slow:
        slow.send_head("POST", f"/witnessed?id={ident}", [LENGTH])
        slow.send(b"x" * 100_000)
        server.wait_for_note("piece", ident)
        assert slow.is_silent(2.5)  # nobody else wants the lane
        server.canary()
        assert slow.reply().status == 408
        assert server.wait_for_note("outcome", ident)["error"] == "ClientDisconnected"
    assert server.log_lines("too-slow")


# --- replies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "size"), [(32, 8), (100, 8), (16, 64)])
def test_slow_readers_delay_nobody(start_server, count, size):
    """The first to come fill the spool, the slowest make room; a later client finds a lane idle."""
    server = start_server(*STREAMING)
    server.get(f"/counted?id={new_id()}&size={MIB}")
    readers = [server.connect(receive_buffer=65_536) for _ in range(count)]
    for reader in readers:
        reader.send_request("GET", f"/counted?id={new_id()}&size={size * MIB}&length=yes")
    waited = seconds_of(lambda: server.get(f"/counted?id={new_id()}&size=10", timeout=2 * SOON))
    print(f"who came with them waited {waited * 1000:.0f} ms")
    ident = new_id()
    waited = seconds_of(lambda: server.get(f"/counted?id={ident}&size=10", timeout=SOON))
    print(f"who came later waited {waited * 1000:.0f} ms")


def test_slow_readers_get_what_was_spooled_for_them(start_server, form):
    server = start_server(*STREAMING, form=form)
    server.get(f"/counted?id={new_id()}&size={4 * MIB}")
    readers, idents = [server.connect(timeout=20, receive_buffer=65_536) for _ in range(24)], []
    with MemoryWatch(server) as memory:
        for reader in readers:
            idents.append(new_id())
            reader.send_request("GET", f"/counted?id={idents[-1]}&size={8 * MIB}&length=yes")
        server.get(f"/counted?id={new_id()}&size=10", timeout=20)
        # Lanes do not wait for their clients: eight lanes run more than eight requests.
        assert poll(lambda: sum(bool(server.notes("closed", ident)) for ident in idents) >= 16)
        assert poll(lambda: (open_spool(server) or 0) > 48 * MIB)
        expected = hashlib.sha256(BLOCK * (8 * MIB // len(BLOCK))).digest()
        for number, reader in enumerate(readers):
            time.sleep(0.02 * (number % 3))
            assert hashlib.sha256(reader.reply().body).digest() == expected
        for ident in idents:
            server.wait_for_note("closed", ident)
            assert len(server.notes("closed", ident)) == 1
    assert poll(lambda: open_spool(server) is None)
    assert memory.growth < 24 * MIB


def test_all_spools_together_stay_within_their_limit(start_server):
    server = start_server(*STREAMING, "--wsgi-spool", "16MiB")
    readers = [server.connect(receive_buffer=65_536) for _ in range(32)]
    for reader in readers:
        reader.send_request("GET", f"/counted?id={new_id()}&size={8 * MIB}&length=yes")
    assert poll(lambda: (open_spool(server) or 0) > 8 * MIB)
    highest = 0
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        highest = max(highest, open_spool(server) or 0)
        time.sleep(0.02)
    assert highest <= 16 * MIB
    server.get(f"/counted?id={new_id()}&size=10", timeout=2 * SOON)
    cut = 0
    for reader in readers:
        try:
            reader.reply()
        except (Cut, ConnectionError):
            cut += 1  # the client can tell
    assert 0 < cut < 32
    assert server.log_lines("too-slow", enough=cut)


def test_clients_that_leave_while_they_are_spooled_leave_nothing(start_server, form):
    server, ident = start_server(*STREAMING, form=form), new_id()
    server.get(f"/counted?id={ident}&size=10")
    before = server.descriptors()
    for ending in ("close", "reset"):
        readers = [server.connect(receive_buffer=65_536) for _ in range(16)]
        for reader in readers:
            reader.send_request("GET", f"/counted?id={new_id()}&size={8 * MIB}")
        server.get(f"/counted?id={new_id()}&size=10", timeout=20)
        assert poll(lambda: open_spool(server))
        for reader in readers:
            getattr(reader, ending)()
        assert poll(lambda: server.descriptors() <= before and open_spool(server) is None)
    server.stop()


# --- a full disk ---------------------------------------------------------------------------------------


@pytest.fixture
def start_on_full_disk(start_server):
    return lambda *words, **options: start_server(*words, python=("-c", FULL_DISK), **options)


def test_a_body_that_a_full_disk_can_t_take_is_a_507(start_on_full_disk):
    server, ident = start_on_full_disk(*ONE_BODY), new_id()
    with server.connect() as holder, server.connect() as sender:
        holder.send_request("POST", f"/gated?id={ident}", body=b"")
        server.wait_for_note("ran", ident)
        sender.send_head("POST", "/digest", [("Content-Length", str(8 * MIB))])
        with suppress(ConnectionError):
            sender.send(BLOCK * 128)
        assert sender.reply().status == 507
        server.open_gate(ident)
        assert holder.reply().status == 200
    server.canary()
    assert server.log_lines("can't be spooled")


def test_a_reply_that_a_full_disk_can_t_take_waits_for_its_client(start_on_full_disk):
    server = start_on_full_disk("--wsgi", "tests.apps.streaming:app", "--wsgi-threads", "1")
    with server.connect(timeout=20, receive_buffer=65_536) as slow, server.connect() as other:
        slow.send_request("GET", f"/counted?id={new_id()}&size={16 * MIB}&length=yes")
        slow.head()
        other.send_request("GET", f"/counted?id={new_id()}&size=10")
        left = 16 * MIB
        while left:
            left -= len(slow.take(min(left, MIB)))
        assert other.reply().status == 200

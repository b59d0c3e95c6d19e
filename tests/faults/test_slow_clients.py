"""A thousand clients that send or take too little: others are answered, and each is cut at its limit."""

import ssl
import time
from functools import partial

import pytest

from tests.apps.large import SIZE
from tests.server import ON_TORNADO, poll
from tests.wire.client import build_head, build_request
from tests.wire.test_listeners import CERTIFICATE, KEY
from tests.wire.test_memory import MIB, MemoryWatch

pytestmark = [
    pytest.mark.faults,
    pytest.mark.usefixtures("many_descriptors"),
    pytest.mark.skipif(ON_TORNADO, reason="Tornado's server has none of these limits"),
]

COUNT = 1000
#: For the head, and for a reply that nobody reads (seconds).
LIMIT = 5
#: How much later than at its limit a client may be cut, on a busy machine (seconds).
LATE = 8
#: The most memory that they may cost together.
GROWTH = 256 * MIB
#: Others are answered within this (seconds); one in twenty may be unlucky: this process is busy, too.
PATIENCE = 0.5


@pytest.fixture
def certificate():
    """What a test that wants no TLS has."""


@pytest.fixture
def server(start_server, tmp_path, certificate):
    tls = ()
    if certificate is not None:
        (tmp_path / "both.pem").write_text(KEY + certificate)
        tls = ("--certfile", str(tmp_path / "both.pem"))
    server = start_server(
        *("--native", "tests.apps.large:routes", "--head-timeout", str(LIMIT), "--write-timeout", str(LIMIT)),
        *("--keep-alive-timeout", "60", "--no-access-log", *tls),
    )
    if certificate is not None:
        server.connect = partial(server.connect, tls=ssl.create_default_context(cadata=certificate))
    (server.folder / "file").write_bytes(bytes(SIZE))
    for target in ("/whole", "/pieces", "/file/file"):
        assert len(server.get(target, timeout=20).body) == SIZE
    return server


class Others:
    """A client that asks for something small, again and again, on one connection and on new ones."""

    def __init__(self, server):
        self._server = server
        self._kept = server.connect(timeout=20)
        self.waits = []

    def ask(self):
        begun = time.monotonic()
        assert self._kept.ask("GET", "/ping").text == "pong"
        self.waits.append(time.monotonic() - begun)
        begun = time.monotonic()
        assert self._server.get("/ping", timeout=20).text == "pong"
        self.waits.append(time.monotonic() - begun)

    def check(self):
        waits = sorted(self.waits)
        assert len(waits) >= 40
        assert waits[len(waits) * 19 // 20] < PATIENCE, waits[-len(waits) // 20 :]


def connect_all(server, others, request, count=COUNT):
    """Clients that have sent `request`, while others ask."""
    clients = []
    for number in range(count):
        client = server.connect(receive_buffer=4096)
        client.send(request)
        clients.append(client)
        if number % 50 == 49:
            others.ask()
    return clients


def wait_until_cut(server, others, before):
    """Seconds until the server holds as few descriptors as before, while others ask."""
    begun = time.monotonic()

    def are_gone():
        others.ask()
        return server.descriptors() <= before

    assert poll(are_gone, LIMIT + LATE, pause=0.05), f"{server.descriptors()} open, {before} before"
    return time.monotonic() - begun


def test_slow_heads_are_refused_and_nobody_else_waits(server):
    others = Others(server)
    others.ask()
    before = server.descriptors()
    with MemoryWatch(server) as memory:
        clients = connect_all(server, others, build_head("GET", "/ping")[:-2])
        for number, client in enumerate(clients):
            client.send(b"X")  # a little more, in time, and never the end
            if number % 50 == 49:
                others.ask()
        assert wait_until_cut(server, others, before) > LIMIT / 2
    assert all(client.everything().startswith(b"HTTP/1.1 408 ") for client in clients)
    others.check()
    assert memory.growth < GROWTH
    server.release()
    server.stop()


@pytest.mark.parametrize(
    ("target", "certificate", "count"),
    [
        ("/whole", None, COUNT),
        ("/pieces", None, COUNT),
        ("/file/file", None, COUNT),
        ("/whole", CERTIFICATE, COUNT // 2),  # their handshakes cost this process as much as the server
    ],
    ids=["whole", "pieces", "file", "whole-tls"],
)
def test_slow_readers_are_cut_and_nobody_else_waits(server, target, count):
    others = Others(server)
    others.ask()
    before = server.descriptors()
    with MemoryWatch(server) as memory:
        begun = time.monotonic()
        clients = connect_all(server, others, build_request("GET", target), count)
        are_all_there = server.descriptors() > before + count - 10
        # On a very busy machine the first have reached their limit before the last is connected.
        assert are_all_there or time.monotonic() - begun > LIMIT
        assert wait_until_cut(server, others, before) > LIMIT / 2
    assert all(len(client.everything()) < SIZE for client in clients[:: count // 20])
    others.check()
    assert memory.growth < GROWTH * count // COUNT
    server.release()
    server.stop()

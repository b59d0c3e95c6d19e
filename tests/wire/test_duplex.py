"""Both directions at once: an app that answers each piece of an upload that is still going on."""

import hashlib
import random
import threading
import time

import pytest

from tests.server import new_id
from tests.wire.client import chunk

SERVE = ("--wsgi", "tests.apps.bodies:app", "--wsgi-threads", "1")
CHUNKED = ("Transfer-Encoding", "chunked")
ROUNDS = 30


def take_echo(connection, head, size):
    """Collect `size` bytes: where the chunks end is up to the server."""
    echo = b""
    while len(echo) < size:
        data = connection.next_chunk(head)
        assert data, "the reply ended early"
        echo += data
    return echo


@pytest.mark.parametrize(
    ("target", "size", "framing"),
    [
        ("/echo-lines", 10, "chunked"),
        ("/echo-blocks?size=10", 10, "chunked"),
        ("/echo-lines", 9_000, "chunked"),
        # A small body of declared length may be awaited as a whole; this one is large.
        ("/echo-lines", 9_000, "length"),
        ("/echo-blocks?size=9000", 9_000, "length"),
    ],
)
def test_each_piece_is_echoed_before_the_next_is_sent(server, target, size, framing):
    pieces = [b"%06d" % number + b"." * (size - 7) + b"\n" for number in range(ROUNDS)]
    header = CHUNKED if framing == "chunked" else ("Content-Length", str(size * ROUNDS))
    with server.connect() as connection:
        connection.send_head("POST", target, [header])
        head = None
        for piece in pieces:
            connection.send(chunk(piece) if framing == "chunked" else piece)
            head = head or connection.head()
            assert take_echo(connection, head, size) == piece
        connection.send(b"0\r\n\r\n" if framing == "chunked" else b"")
        assert connection.body_of(head).body == b""
        server.canary(connection)


def echo(connection, framing, body, pause=0.0):
    return send_and_read(connection, "/echo-blocks?size=50000", framing, body, pause)


def send_and_read(connection, target, framing, body, pause=0.0):
    """Send a body and read the reply at the same time, with a pause after each chunk."""
    blocks = [body[start : start + 65_536] for start in range(0, len(body), 65_536)]

    def send():
        for block in blocks:
            connection.send(chunk(block) if framing == "chunked" else block)
        connection.send(b"0\r\n\r\n" if framing == "chunked" else b"")

    header = CHUNKED if framing == "chunked" else ("Content-Length", str(len(body)))
    connection.send_head("POST", target, [header])
    sending = threading.Thread(target=send, daemon=True)
    sending.start()
    head, received = connection.head(), bytearray()
    while data := connection.next_chunk(head):
        received += data
        time.sleep(pause)
    sending.join(10)
    return bytes(received)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_body_flows_both_ways_at_once(server, framing):
    """More than all buffers on the way hold: each direction must move while the other does."""
    body = random.Random(7).randbytes(24 << 20)
    with server.connect() as connection:
        assert echo(connection, framing, body) == body
        server.canary(connection)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_client_that_reads_slowly_stalls_neither_direction_for_ever(server, framing):
    """Sometimes the worker asks for more of the body between two pieces that the client has not read yet."""
    body = random.Random(8).randbytes(24 << 20)
    for _ in range(4):
        with server.connect() as connection:
            assert echo(connection, framing, body, pause=0.001) == body
            server.canary(connection)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize(("size", "pause"), [(1, 0.001), (50_000, 0.0)])
def test_a_thread_may_read_the_body_while_the_view_sends(server, framing, size, pause):
    """It sends a sign of life, or a reply, while an upload is read."""
    body = random.Random(9).randbytes(4 << 20)
    for _ in range(3):
        with server.connect() as connection:
            reply = send_and_read(connection, f"/read-beside?size={size}&pause={pause}", framing, body)
            assert set(reply[:-64]) <= {ord(".")}
            assert reply[-64:].decode() == hashlib.sha256(body).hexdigest()
            server.canary(connection)


def test_it_may_though_the_client_sends_all_before_it_reads(server):
    """More than the buffers on the way hold, both ways, and less than may be spooled of one reply."""
    body = random.Random(10).randbytes(24 << 20)
    with server.connect() as connection:
        target = "/read-beside?size=65536&pause=0.001&times=200"
        connection.send_head("POST", target, [("Content-Length", str(len(body)))])
        for start in range(0, len(body), 65_536):
            connection.send(body[start : start + 65_536])
        reply = connection.reply().body
        assert reply[-64:].decode() == hashlib.sha256(body).hexdigest()
        server.canary(connection)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_thread_that_still_reads_when_the_reply_is_whole_holds_nothing_up(server, framing):
    ident = new_id()
    with server.connect() as connection:
        header = CHUNKED if framing == "chunked" else ("Content-Length", "200000")
        connection.send_head("POST", f"/leaves-a-reader?id={ident}", [header])
        connection.send(chunk(b"x" * 100_000) if framing == "chunked" else b"x" * 100_000)
        assert connection.reply().text == "answered"
        server.canary()
        assert server.wait_for_note("read", ident)["error"] in ("ClientDisconnected", "ValueError")
        server.canary()


def test_a_client_that_leaves_in_the_middle_frees_the_lane(server):
    for _ in range(2):
        with server.connect() as connection:
            connection.send_head("POST", "/echo-lines", [CHUNKED])
            connection.send(chunk(b"one\n"))
            assert take_echo(connection, connection.head(), 4) == b"one\n"
        server.canary()

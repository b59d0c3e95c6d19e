"""Replies that stream: first byte early, in one thread, and no longer than the client listens."""

import hashlib
import time
from contextlib import suppress

import pytest

from tests.apps.streaming import BLOCK
from tests.server import new_id, poll
from tests.wire.client import Cut

SERVE = ("--wsgi", "tests.apps.streaming:app", "--wsgi-threads", "1")
MIB = 1 << 20


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_stream_with_context_streams_right(server, version):
    for _ in range(10):
        name = new_id()
        reply = server.get(f"/flask/context?name={name}", version=version)
        assert reply.status == 200
        assert reply.text == f"{name}-0;{name}-1;{name}-2;"


def test_stream_with_context_streams_right_on_one_connection(server):
    with server.connect() as connection:
        for number in range(10):
            reply = connection.ask("GET", f"/flask/context?name={number}")
            assert reply.text == f"{number}-0;{number}-1;{number}-2;"


@pytest.mark.parametrize(("version", "length"), [("1.1", ""), ("1.1", "yes"), ("1.0", ""), ("1.0", "yes")])
def test_the_first_bytes_arrive_while_the_generator_still_runs(server, version, length):
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/two-halves?id={ident}&length={length}", version=version)
        head = connection.head()
        assert head.status == 200
        first = connection.next_chunk() if head.chunked else connection.take(6)
        assert first == b"first;"
        assert connection.is_silent(0.2)
        server.open_gate(ident)
        rest = connection.take(6) if length else connection.body_of(head).body
        assert rest == b"second"


def test_a_stream_of_no_declared_length_is_chunked_for_http_1_1(server):
    reply = server.get("/flask/context?name=x")
    assert reply.chunked
    assert reply.header("Content-Length") is None


def test_a_stream_of_no_declared_length_ends_with_the_connection_for_http_1_0(server):
    with server.connect() as connection:
        reply = connection.ask("GET", "/flask/context?name=x", [("Connection", "keep-alive")], version="1.0")
        assert reply.header("Transfer-Encoding") is None
        assert reply.text == "x-0;x-1;x-2;"
        assert connection.ends_within()


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("path", ["/ticking", "/endless-generator"])
def test_a_generator_is_closed_in_its_own_thread_when_its_client_leaves(server, path, leave):
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"{path}?id={ident}")
        connection.next_chunk(connection.head())
        getattr(connection, leave)()
    closed = server.wait_for_note("closed", ident)
    iterating = server.wait_for_note("iterating", ident)
    assert (closed["pid"], closed["thread"]) == (iterating["pid"], iterating["thread"])
    server.canary()
    assert len(server.notes("closed", ident)) == 1


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_generator_blocked_by_a_client_that_reads_nothing_is_closed_when_that_leaves(server, leave):
    ident = new_id()
    with server.connect(receive_buffer=65536) as connection:
        connection.send_request("GET", f"/flood?id={ident}")
        wait_until_blocked(server, ident)
        assert not server.notes("closed", ident)
        getattr(connection, leave)()
    closed = server.wait_for_note("closed", ident)
    assert closed["thread"] == server.wait_for_note("iterating", ident)["thread"]
    server.canary()
    assert len(server.notes("closed", ident)) == 1


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("path", ["/ticking", "/flood"])
def test_a_generator_is_closed_when_its_client_leaves_amid_an_upload_that_nobody_reads(server, path, leave):
    """What waits unread before the end of the connection must not hide that end."""
    ident = new_id()
    with server.connect(receive_buffer=65536, timeout=0.5) as connection:
        connection.send_head("POST", f"{path}?id={ident}", [("Content-Length", str(64 * MIB))])
        with suppress(TimeoutError):
            for _ in range(64):
                connection.send(b"x" * MIB)
        assert poll(lambda: server.count(ident))
        getattr(connection, leave)()
    server.wait_for_note("closed", ident)
    server.canary()
    assert len(server.notes("closed", ident)) == 1


def test_a_reply_begun_after_its_client_left_is_closed_at_once(server):
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/thinking?id={ident}")
        server.wait_for_note("iterating", ident)
    server.open_gate(ident)
    server.wait_for_note("closed", ident)
    assert server.count(ident) <= 1000


def test_a_stalled_client_stops_the_generator_and_gets_everything_later(server):
    ident, size = new_id(), 24 * MIB + 17
    with server.connect(receive_buffer=65536) as connection:
        connection.send_request("GET", f"/counted?id={ident}&size={size}")
        produced = wait_until_blocked(server, ident)
        assert produced <= 8 * MIB
        reply = connection.reply()
    expected = (BLOCK * (size // len(BLOCK) + 1))[:size]
    assert len(reply.body) == size
    assert hashlib.sha256(reply.body).digest() == hashlib.sha256(expected).digest()
    assert len(server.notes("closed", ident)) == 1


def test_a_slow_reader_does_not_hold_a_canary_up_after_it_is_done(server):
    ident = new_id()
    with server.connect(receive_buffer=65536) as connection:
        connection.send_request("GET", f"/counted?id={ident}&size={MIB}&length=yes")
        time.sleep(0.3)
        assert len(connection.reply().body) == MIB
        server.canary(connection)


def wait_until_blocked(server, ident):
    """Wait until the app has produced something and then nothing more for a while; return how much."""
    assert poll(lambda: server.count(ident)), "the app produced nothing"

    def stands_still():
        before = server.count(ident)
        time.sleep(0.5)
        return server.count(ident) == before

    assert poll(stands_still), "the app was never blocked"
    return server.count(ident)


def test_a_cut_in_the_client_itself_is_told_from_a_whole_reply(server):
    """The tests' own client: it must not take half a reply for a whole one."""
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/ticking?id={ident}")
        head = connection.head()
        connection.next_chunk()
        connection.socket.shutdown(2)
        with pytest.raises(Cut):
            connection.body_of(head)

"""close() exactly once, in the thread that iterates, on every path (hazards 17)."""

import os
import time

import pytest

from tests.server import new_id
from tests.wire.client import Cut

SERVE = ("--wsgi", "tests.apps.closing:app", "--wsgi-threads", "1")


def assert_closed_once(server, ident):
    """The canary is answered after all that the lane did before: a second close() would have been noted."""
    closed = server.wait_for_note("closed", ident)
    called = server.wait_for_note("called", ident)
    assert (closed["pid"], closed["thread"]) == (called["pid"], called["thread"])
    for iterated in server.notes("iterated", ident):
        assert iterated["thread"] == closed["thread"]
    server.canary()
    assert len(server.notes("closed", ident)) == 1
    assert len(server.notes("called", ident)) == 1
    assert len(server.notes("iterated", ident)) <= 1


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("path", ["/normal", "/no-chunks", "/no-content", "/too-many"])
def test_after_a_reply_the_iterable_was_closed_once(server, path, method, version):
    ident = new_id()
    with server.connect() as connection:
        connection.ask(method, f"{path}?id={ident}", body=b"x" if method == "POST" else None, version=version)
    assert_closed_once(server, ident)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path", ["/raises-at-once", "/never-starts", "/text-chunk", "/bad-header", "/iter-raises"]
)
def test_after_an_error_before_the_first_byte_the_iterable_was_closed_once(server, path, method):
    ident = new_id()
    with server.connect() as connection:
        reply = connection.ask(method, f"{path}?id={ident}")
    assert reply.status == 500 or method == "HEAD"
    assert_closed_once(server, ident)


@pytest.mark.parametrize("path", ["/raises-later", "/too-few"])
def test_after_a_cut_the_iterable_was_closed_once(server, path):
    ident = new_id()
    with pytest.raises(Cut):
        server.get(f"{path}?id={ident}")
    assert_closed_once(server, ident)


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_after_its_client_left_the_iterable_was_closed_once(server, leave):
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/endless?id={ident}")
        connection.next_chunk(connection.head())
        getattr(connection, leave)()
    assert_closed_once(server, ident)


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_an_iterable_returned_after_its_client_left_was_closed_once(server, leave):
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/gated?id={ident}")
        server.wait_for_note("called", ident)
        getattr(connection, leave)()
    server.open_gate(ident)
    assert_closed_once(server, ident)


@pytest.mark.parametrize("chunk", ["empty", "unwanted"])
@pytest.mark.parametrize("status", ["200", "204", "304"])
def test_what_an_app_does_behind_its_last_chunk_is_done_without_a_body_too(server, status, chunk):
    """repoze.tm2 commits there."""
    ident = new_id()
    with server.connect() as connection:
        target = f"/commits?id={ident}&status={status}%20x&chunk={chunk}"
        assert connection.ask("POST", target, body=b"x").status == int(status)
    assert server.wait_for_note("committed", ident)


def test_the_reply_to_head_of_an_endless_iterable_closes_it(server):
    """Nobody is waiting for any of its bytes."""
    ident = new_id()
    with server.connect() as connection:
        assert connection.ask("HEAD", f"/endless?id={ident}").status == 200
        assert_closed_once(server, ident)


def test_a_close_that_raises_harms_no_reply_but_its_own(server):
    ident = new_id()
    with server.connect() as connection:
        reply = connection.ask("GET", f"/normal?id={ident}&close_raises=yes")
        assert (reply.status, reply.body) == (200, b"onetwo")
    assert_closed_once(server, ident)
    assert server.log_lines("close() failed")


def test_the_start_response_of_a_bad_header_may_be_swallowed_by_the_app(server):
    ident = new_id()
    reply = server.get(f"/bad-header?id={ident}")
    assert reply.status == 500
    assert b"bad header" not in reply.body
    assert_closed_once(server, ident)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_clients_that_leave_before_their_last_reply_take_no_lane_along(start_server, form, loop):
    """What they send after `Connection: close` stays unread; their kernel answers the reply with a reset."""
    options = ("--wsgi-threads", "2", "--loop", loop)
    server = start_server("--wsgi", "tests.apps.working:app", *options, form=form)
    for _ in range(4):
        ident, connection = new_id(), server.connect()
        connection.send(f"GET /gated?id={ident} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nX".encode())
        pid = server.wait_for_note("ran", ident)["pid"]
        threads = set(os.listdir(f"/proc/{pid}/task"))
        connection.close()
        server.open_gate(ident)
        time.sleep(0.3)
        assert threads <= set(os.listdir(f"/proc/{pid}/task")), "a lane was lost"
    server.canary()
    assert "could not be passed on" not in server.log

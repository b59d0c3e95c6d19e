"""An app that answers without reading all of its body: the reply arrives, no later request sees the rest."""

import threading
from contextlib import suppress

import pytest

from tests.server import new_id
from tests.wire.client import build_request, chunk

SERVE = ("--wsgi", "tests.apps.bodies:app", "--wsgi-threads", "1")
MIB = 1 << 20
SIZE = 10 * MIB
CHUNKED = ("Transfer-Encoding", "chunked")
ANSWERS = {
    "/unread": b"read naught",
    "/refuses": b"too big",
    f"/partly?count={SIZE // 2}": b"read 5242880",
    "/partly?count=10": b"read 10",
}


def send_all(connection, framing):
    """Send until it is all sent, or the server has had enough of it."""
    with suppress(ConnectionError, TimeoutError):
        for _ in range(SIZE // 65_536):
            connection.send(chunk(b"x" * 65_536) if framing == "chunked" else b"x" * 65_536)
        connection.send(b"0\r\n\r\n" if framing == "chunked" else b"")


def header_of(framing):
    return CHUNKED if framing == "chunked" else ("Content-Length", str(SIZE))


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("target", ANSWERS)
def test_a_client_that_reads_while_it_sends_gets_the_reply(server, target, framing):
    with server.connect() as connection:
        connection.send_head("POST", target, [header_of(framing)])
        sending = threading.Thread(target=send_all, args=(connection, framing))
        sending.start()
        try:
            reply = connection.reply()
        finally:
            sending.join(15)
    assert reply.body == ANSWERS[target]
    assert not sending.is_alive()


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("target", ANSWERS)
def test_a_client_that_sends_everything_first_gets_the_reply(server, target, framing):
    """A reset for what it still sends would destroy the reply that it has not read yet."""
    with server.connect() as connection:
        connection.send_head("POST", target, [header_of(framing)])
        send_all(connection, framing)
        assert connection.reply().body == ANSWERS[target]


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_client_that_goes_on_sending_after_the_reply_began_gets_all_of_it(server, framing):
    with server.connect() as connection:
        connection.send_head("POST", "/early", [header_of(framing)])
        head = connection.head()
        sending = threading.Thread(target=send_all, args=(connection, framing))
        sending.start()
        try:
            reply = connection.body_of(head)
        finally:
            sending.join(15)
    assert reply.body == b"early;" * 20_000 + b"read %d" % SIZE


@pytest.mark.parametrize("size", [1, 1_000, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("target", ["/unread", "/partly?count=1"])
def test_an_unread_body_is_not_taken_for_the_next_request(server, target, size):
    """The connection goes on with the next request, or it ends: nothing else."""
    ident, smuggled = new_id(), new_id()
    hidden = build_request("POST", f"/canary?id={smuggled}", body=b"x")
    body = (hidden * (size // len(hidden) + 1))[:size]
    with server.connect() as connection:
        connection.send_request("POST", target, body=body)
        assert connection.reply().status == 200
        with suppress(ConnectionError):
            connection.send_request("POST", f"/canary?id={ident}", [("Connection", "close")], b"y")
        received = connection.everything()
    assert smuggled.encode() not in received
    assert received == b"" or received.endswith(f"canary {ident} y".encode())


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_the_upload_of_a_client_that_left_is_forgotten(server, framing):
    """Unread, half-read or waiting to be read: the lane is free for the next one."""
    for target in ("/unread", "/partly?count=100000", "/digest"):
        with server.connect() as connection:
            connection.send_head("POST", target, [header_of(framing)])
            connection.send(chunk(b"x" * 150_000) if framing == "chunked" else b"x" * 150_000)
            connection.reset()
        server.canary()


def test_a_client_that_left_after_its_whole_body_does_no_harm(server):
    for target in ("/unread", "/partly?count=100", "/digest"):
        with server.connect() as connection:
            connection.send_request("POST", target, body=b"x" * 100_000)
        server.canary()


def test_a_stalled_upload_holds_its_lane_only_until_the_client_leaves(server):
    ident = new_id()
    with server.connect() as connection:
        connection.send_head("POST", f"/witnessed?id={ident}", [("Content-Length", "100000")])
        connection.send(b"x" * 70_000)
        server.wait_for_note("piece", ident)
    server.canary()
    assert server.wait_for_note("outcome", ident)["ended"] == "raised"


def test_the_reply_to_an_unread_upload_comes_before_the_upload_ends(server):
    """The client has sent only a part, and waits."""
    with server.connect() as connection:
        connection.send_head("POST", "/refuses", [("Content-Length", str(SIZE))])
        connection.send(b"x" * 1_000)
        assert connection.reply().status == 413


def test_a_body_that_the_app_takes_apart_costs_no_lane(start_server, form):
    server = start_server("--wsgi", "tests.apps.working:app", "--wsgi-threads", "1", form=form)
    for _ in range(2):
        assert server.ask("POST", "/detaching", body=b"x" * 200_000).text == "detached"
    assert "Traceback" not in server.log

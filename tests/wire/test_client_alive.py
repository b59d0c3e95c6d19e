"""A view asks whether its client is still there (`waterspout.wsgi.client_alive`)."""

import socket

import pytest

from tests.server import ON_TORNADO, new_id

SERVE = ("--wsgi", "tests.apps.presence:app", "--wsgi-threads", "1")
BODY = b"b" * 300_000


def begin(server, path="/watching", options="", pipelined=b""):
    """A request whose view watches its client."""
    ident, connection = new_id(), server.connect()
    connection.send(f"GET {path}?id={ident}{options} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), pipelined)
    server.wait_for_note("ran", ident)
    return ident, connection


def upload(server, options):
    """A request whose body is half sent."""
    ident, connection = new_id(), server.connect()
    connection.send_head("POST", f"/watching?id={ident}{options}", [("Content-Length", str(len(BODY)))])
    connection.send(BODY[:200_000])
    server.wait_for_note("ran", ident)
    return ident, connection


def judged(server, ident):
    return server.wait_for_note("judged", ident)["alive"]


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("begun", ["", "&begun=1"])
def test_it_turns_false_when_the_client_leaves(server, leave, begun):
    ident, connection = begin(server, options=begun)
    assert not server.notes("judged", ident)
    getattr(connection, leave)()
    assert judged(server, ident) is False


def test_it_turns_false_in_a_flask_view(server):
    ident, connection = begin(server, "/flask/watching")
    connection.close()
    assert judged(server, ident) is False


def test_it_turns_false_when_the_client_leaves_amid_its_body(server):
    """The view must have begun to read: else unread data hides that nothing follows."""
    ident, connection = upload(server, "&read=100000")
    connection.reset()
    assert judged(server, ident) is False


@pytest.mark.skipif(ON_TORNADO, reason="there a client that half-closes counts as gone")
@pytest.mark.parametrize("size", [100_000, 300_000])
def test_it_turns_false_when_the_client_left_right_behind_its_body(server, size):
    """Its last data and its end come together, while the body is still on its way to the view."""
    ident, connection = new_id(), server.connect()
    path = f"/watching?id={ident}&read={size}"
    connection.send_head("POST", path, [("Content-Length", str(size))])
    connection.send(bytes(size))
    connection.close()
    server.wait_for_note("ran", ident)
    assert judged(server, ident) is False


def test_it_stays_true_while_nothing_happens(server):
    ident, connection = begin(server)
    assert connection.is_silent(0.3)
    server.open_gate(ident)
    assert connection.reply().text == "True 0"


@pytest.mark.parametrize("read", ["", "&read=100000"])
def test_it_stays_true_while_a_body_is_half_sent_and_loses_none_of_it(server, read):
    ident, connection = upload(server, read)
    assert connection.is_silent(0.3)
    connection.send(BODY[200_000:])
    server.open_gate(ident)
    assert connection.reply().text == f"True {len(BODY)}"


def test_it_stays_true_while_a_pipelined_request_waits(server):
    second = new_id()
    server.open_gate(second)
    pipelined = f"GET /watching?id={second} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    ident, connection = begin(server, pipelined=pipelined)
    assert connection.is_silent(0.3)
    server.open_gate(ident)
    assert connection.reply().text == "True 0"
    assert connection.reply().text == "True 0"
    assert judged(server, second) is True


@pytest.mark.skipif(ON_TORNADO, reason="there a client that half-closes counts as gone")
def test_a_client_that_only_closed_its_sending_side_gets_what_the_view_returns(server):
    ident, connection = begin(server)
    connection.socket.shutdown(socket.SHUT_WR)
    assert judged(server, ident) is False
    assert connection.reply().text == "False 0"

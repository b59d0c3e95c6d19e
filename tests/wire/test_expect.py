"""100 Continue is sent when the app first reads, and only then (hazards 7)."""

import pytest

from tests.server import new_id
from tests.wire.client import chunked

SERVE = ("--wsgi", "tests.apps.bodies:app", "--wsgi-threads", "1")
EXPECT = ("Expect", "100-continue")
SIZES = [5, 65_536, 300_000]


def send_expecting(connection, target, size, version="1.1"):
    connection.send_head("POST", target, [EXPECT, ("Content-Length", str(size))], version)


@pytest.mark.parametrize("size", SIZES)
def test_100_is_sent_when_the_app_reads(server, size):
    with server.connect() as connection:
        send_expecting(connection, "/digest", size)
        assert connection.reply().status == 100
        connection.send(b"x" * size)
        reply = connection.reply()
        assert (reply.status, reply.json()["length"]) == (200, size)
        server.canary(connection)


@pytest.mark.parametrize("value", ["100-Continue", "100-CONTINUE"])
def test_the_expectation_may_be_in_any_case(server, value):
    with server.connect() as connection:
        connection.send_head("POST", "/digest", [("expect", value), ("Content-Length", "5")])
        assert connection.reply().status == 100
        connection.send(b"hello")
        assert connection.reply().json()["length"] == 5


def test_100_is_sent_for_a_chunked_body(server):
    with server.connect() as connection:
        connection.send_head("POST", "/digest", [EXPECT, ("Transfer-Encoding", "chunked")])
        assert connection.reply().status == 100
        connection.send(chunked(b"hello", b"x" * 100_000))
        assert connection.reply().json()["length"] == 100_005


@pytest.mark.parametrize("size", SIZES)
def test_100_is_not_sent_before_the_app_reads(server, size):
    ident = new_id()
    with server.connect() as connection:
        send_expecting(connection, f"/gated?id={ident}", size)
        server.wait_for_note("ran", ident)
        assert connection.is_silent(0.3)
        server.open_gate(ident)
        assert connection.reply().status == 100
        connection.send(b"x" * size)
        assert connection.reply().text == f"read {size}"


@pytest.mark.parametrize("size", [*SIZES, 500_000_000])
def test_an_app_that_refuses_without_reading_causes_no_100(server, size):
    with server.connect() as connection:
        send_expecting(connection, "/refuses", size)
        reply = connection.reply()
        assert (reply.status, reply.text) == (413, "too big")
        assert connection.is_silent(0.3) or connection.buffer == b""


def test_an_app_that_answers_without_reading_causes_no_100(server):
    with server.connect() as connection:
        send_expecting(connection, "/unread", 300_000)
        reply = connection.reply()
        assert (reply.status, reply.text) == (200, "read naught")


def test_what_a_client_sends_after_an_early_refusal_is_no_request(server):
    """It was refused; whatever it sends now, the body after all or something else, must not run."""
    ident = new_id()
    body = f"POST /canary?id={ident} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()
    with server.connect() as connection:
        send_expecting(connection, "/refuses", len(body))
        assert connection.reply().status == 413
        try:
            connection.send(body)
        except ConnectionError:
            return
        connection.socket.settimeout(1.0)
        try:
            assert ident.encode() not in connection.everything()
        except TimeoutError:
            assert ident.encode() not in connection.buffer


def test_http_1_0_never_gets_a_100(server):
    with server.connect() as connection:
        send_expecting(connection, "/digest", 300_000, "1.0")
        assert connection.is_silent(0.3)
        connection.send(b"x" * 300_000)
        reply = connection.reply()
        assert (reply.status, reply.json()["length"]) == (200, 300_000)


def test_no_100_once_a_reply_has_begun(server):
    with server.connect() as connection:
        send_expecting(connection, "/starts-then-reads", 100_000)
        head = connection.head()
        assert head.status == 200
        assert connection.next_chunk() == b"started;"
        assert connection.is_silent(0.2)
        connection.send(b"x" * 100_000)
        assert connection.body_of(head).body == b"read 100000"


@pytest.mark.parametrize("size", SIZES)
def test_a_body_sent_without_waiting_is_read_all_the_same(server, size):
    with server.connect() as connection:
        send_expecting(connection, "/digest", size)
        connection.send(b"x" * size)
        reply = connection.reply()
        if reply.status == 100:
            reply = connection.reply()
        assert reply.json()["length"] == size
        server.canary(connection)


def test_an_expectation_without_a_body_is_just_a_request(server):
    with server.connect() as connection:
        connection.send_request("POST", "/digest", [EXPECT], b"")
        reply = connection.reply()
        if reply.status == 100:
            reply = connection.reply()
        assert reply.json()["length"] == 0


def test_the_app_never_sees_the_interim_reply_twice(server):
    """One 100 however often the app reads."""
    with server.connect() as connection:
        send_expecting(connection, "/digest?how=limited-lines", 200_000)
        assert connection.reply().status == 100
        connection.send(b"x" * 100_000)
        assert connection.is_silent(0.2)
        connection.send(b"x" * 100_000)
        assert connection.reply().status == 200

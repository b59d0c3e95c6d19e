"""Half an upload is never taken for a whole one: read() raises if the client dies or breaks the framing."""

from itertools import product

import pytest

from tests.server import PATIENCE, new_id, poll
from tests.wire.client import chunk

SERVE = ("--wsgi", "tests.apps.bodies:app", "--wsgi-threads", "1")
CHUNKED = ("Transfer-Encoding", "chunked")
HOW = ["whole", "pieces", "lines", "iterated", "hinted-lines"]
LARGE = 200_000
LEAVE = ["close", "reset"]
#: What the client has sent, how the app reads, how the client leaves. The only lane waits two seconds for
#: more of a body that has hardly begun: those aren't combined with each way of reading.
DEATHS = [
    *product([70_000, LARGE - 1], HOW, LEAVE),
    (0, "whole", "close"),
    (0, "pieces", "reset"),
    (3, "lines", "close"),
    (3, "iterated", "reset"),
]
BROKEN_CHUNKS = {
    "no hex": b"zz\r\nhello\r\n0\r\n\r\n",
    "minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "empty size": b"\r\nhello\r\n0\r\n\r\n",
    "superscript": b"\xb2\r\nhe\r\n0\r\n\r\n",
    "too long": b"5\r\nhello world\r\n0\r\n\r\n",
    "no end of chunk": b"5\r\nhello0\r\n\r\n",
    "huge size": b"f" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
    "overflowing size": b"1" + b"0" * 16 + b"\r\nhello\r\n0\r\n\r\n",
}
CUT_CHUNKS = {
    "nothing": b"",
    "between chunks": chunk(b"hello\n"),
    "in a chunk": chunk(b"hello\n") + b"5\r\nhel",
    "in a size": chunk(b"line\n" * 30_000) + b"5",
    "before the last line": chunk(b"x\n") + b"0\r\n",
    "in the last line": chunk(b"x\n") + b"0\r\n\r",
}


def assert_never_a_short_body(server, ident, must_run):
    """After the canary (there is one lane) the app has noted its outcome, if it ran at all."""
    server.release()
    server.canary()
    ran, outcomes = server.notes("ran", ident), server.notes("outcome", ident)
    assert len(outcomes) == len(ran) <= 1
    assert ran or not must_run
    assert [outcome["ended"] for outcome in outcomes] == ["raised"] * len(outcomes)


def begin(server, how, header):
    ident = new_id()
    connection = server.connect()
    connection.send_head("POST", f"/witnessed?id={ident}&how={how}", [header])
    return connection, ident


@pytest.mark.parametrize(("sent", "how", "leave"), DEATHS)
def test_a_client_that_dies_within_a_declared_length_makes_read_raise(server, sent, how, leave):
    connection, ident = begin(server, how, ("Content-Length", str(LARGE)))
    connection.send(b"line\n" * (sent // 5) + b"x" * (sent % 5))
    server.wait_for_note("ran", ident)
    getattr(connection, leave)()
    assert_never_a_short_body(server, ident, must_run=True)


@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize("sent", [0, 3, 9])
def test_a_client_that_dies_within_a_small_body_never_gives_the_app_a_short_one(server, sent, leave):
    """A server may wait for a small body before it calls the app: then the app must not run at all."""
    connection, ident = begin(server, "whole", ("Content-Length", "10"))
    connection.send(b"x" * sent)
    poll(lambda: server.notes("ran", ident), 0.3)
    getattr(connection, leave)()
    assert_never_a_short_body(server, ident, must_run=False)


@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("sent", CUT_CHUNKS)
def test_a_client_that_dies_within_a_chunked_body_makes_read_raise(server, sent, how, leave):
    connection, ident = begin(server, how, CHUNKED)
    connection.send(CUT_CHUNKS[sent])
    must_run = len(CUT_CHUNKS[sent]) > 65_536
    ran = poll(lambda: server.notes("ran", ident), PATIENCE if must_run else 0.1)
    assert ran or not must_run
    getattr(connection, leave)()
    assert_never_a_short_body(server, ident, must_run)


@pytest.mark.parametrize("how", ["whole", "pieces", "lines"])
@pytest.mark.parametrize("before", [0, 1, 30_000])
@pytest.mark.parametrize("broken", BROKEN_CHUNKS)
def test_a_broken_chunk_makes_read_raise_and_ends_the_connection(server, broken, before, how):
    connection, ident = begin(server, how, CHUNKED)
    behind = new_id()
    connection.send(chunk(b"line\n" * before) if before else b"", BROKEN_CHUNKS[broken])
    try:
        connection.send_request("POST", f"/canary?id={behind}", body=b"x")
        received = connection.everything()
    except ConnectionError:
        received = b""
    assert not received.startswith(b"HTTP/1.1 200")
    assert behind.encode() not in received
    assert_never_a_short_body(server, ident, must_run=False)


def test_the_error_is_one_that_an_app_can_expect(server):
    """Werkzeug and similar libraries take an OSError for a client that went away."""
    connection, ident = begin(server, "pieces", ("Content-Length", str(LARGE)))
    connection.send(b"x" * 100_000)
    server.wait_for_note("piece", ident)
    connection.close()
    outcome = server.wait_for_note("outcome", ident)
    assert outcome["ended"] == "raised"
    assert outcome["got"] <= 100_000
    assert outcome["is_os_error"]


def test_an_app_that_swallows_the_error_does_no_harm(server):
    ident = new_id()
    with server.connect() as connection:
        connection.send_head("POST", f"/swallowed?id={ident}", [("Content-Length", str(LARGE))])
        connection.send(b"x" * 100_000)
        server.wait_for_note("ran", ident)
    server.wait_for_note("outcome", ident)
    server.canary()


def test_a_dying_client_is_noticed_while_the_app_waits_in_read(server):
    connection, ident = begin(server, "whole", ("Content-Length", str(LARGE)))
    server.wait_for_note("ran", ident)
    connection.reset()
    assert server.wait_for_note("outcome", ident)["ended"] == "raised"

"""Replies with no body, with too much of it, with too little, and the length that the server adds."""

import pytest

from tests.server import new_id
from tests.wire.client import Cut
from tests.wire.test_replies import PLAIN, script

SERVE = ("--wsgi", "tests.apps.scripted:app", "--wsgi-threads", "1")


def length(size):
    return ("Content-Length", str(size))


def assert_nothing_follows(server, connection, reply):
    """No stray byte of a body: the next reply on this connection is the canary's, or it is closed."""
    if (reply.header("Connection") or "").lower() == "close":
        assert connection.rest() == b""
    else:
        server.canary(connection)


@pytest.mark.parametrize("headers", [[], [length(4)], [length(0)]], ids=["none", "right", "zero"])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_body_sends_none_even_if_the_app_returns_one(server, status, headers, listed):
    with server.connect() as connection:
        reply = connection.ask("GET", script(status, headers, listed=listed))
        assert reply.status == int(status[:3])
        assert reply.header("Transfer-Encoding") is None
        assert_nothing_follows(server, connection, reply)


def test_a_204_has_no_content_length(server):
    for headers in ([], [length(0)], [length(4)]):
        assert server.get(script("204 No Content", headers)).header("Content-Length") is None


def test_a_304_may_say_the_length_that_a_200_would_have(server):
    assert server.get(script("304 Not Modified", [length(4)], [])).header("Content-Length") == "4"


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("chunks", [[], [b"body"], [b"bo", b"dy"]], ids=["empty", "one", "two"])
@pytest.mark.parametrize("headers", [[], [length(4)]], ids=["none", "length"])
def test_a_reply_to_head_has_no_body(server, headers, chunks, listed, version):
    with server.connect() as connection:
        target = script(headers=[PLAIN, *headers], chunks=chunks, listed=listed)
        reply = connection.ask("HEAD", target, version=version)
        assert reply.status == 200
        if headers:
            assert reply.header("Content-Length") == "4"
        else:
            assert reply.header("Content-Length") in (None, str(sum(map(len, chunks))))
        if version == "1.0":
            assert connection.rest() == b""
        else:
            assert_nothing_follows(server, connection, reply)


@pytest.mark.parametrize("status", ["100 Continue", "101 Switching Protocols", "103 Early Hints", "199 Odd"])
def test_an_interim_status_of_the_app_has_no_body_and_ends_the_connection(server, status):
    """It is not a final reply, so nothing may ever follow it."""
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", script(status, chunks=[b"swordfish"]))
        connection.send_request("POST", f"/canary?id={ident}", body=b"x")
        received = connection.everything()
    assert received.startswith(b"HTTP/1.1 " + status[:3].encode())
    assert b"swordfish" not in received
    assert ident.encode() not in received
    assert received.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("field", ["X-Sendfile", "X-Accel-Redirect"])
@pytest.mark.parametrize("listed", [True, False])
def test_a_body_that_the_app_leaves_to_a_proxy_is_empty_and_the_connection_stays(server, listed, field):
    """The app declares the length of the file that is to be sent instead."""
    ident = new_id()
    with server.connect() as connection:
        headers = [length(300_000), (field, "/protected/file")]
        reply = connection.ask("GET", script(headers=headers, chunks=[], listed=listed, ident=ident))
        assert (reply.status, reply.body, reply.header("Content-Length")) == (200, b"", "0")
        assert reply.header(field) == "/protected/file"
        assert_nothing_follows(server, connection, reply)
    (line,) = [line for line in server.log_lines(ident) if " 200 " in line]
    assert not line.endswith("cut")


@pytest.mark.parametrize("chunks", [[b"four", b"more"], [b"fourmore"], [b"fo", b"urmore", b"more"]])
def test_bytes_past_the_declared_length_are_cut_off(server, chunks):
    with server.connect() as connection:
        reply = connection.ask("GET", script(headers=[length(4)], chunks=chunks))
        assert (reply.status, reply.body) == (200, b"four")
        assert_nothing_follows_or_closed(server, connection)


def assert_nothing_follows_or_closed(server, connection):
    """The server may close after such a reply; then without a further byte."""
    try:
        server.canary(connection)
    except (Cut, ConnectionError):
        assert connection.buffer == b""


def test_bytes_past_the_declared_length_are_logged(server):
    server.get(script(headers=[length(4)], chunks=[b"fourmore"]))
    assert server.log_lines("Content-Length")


def test_bytes_past_a_declared_length_of_zero_are_cut_off(server):
    with server.connect() as connection:
        reply = connection.ask("GET", script(headers=[length(0)], chunks=[b"more"]))
        assert (reply.status, reply.body) == (200, b"")
        assert_nothing_follows_or_closed(server, connection)


def test_written_and_returned_bytes_count_together(server):
    with server.connect() as connection:
        target = script(headers=[length(6)], written=[b"four"], chunks=[b"four"])
        assert connection.ask("GET", target).body == b"fourfo"
        assert_nothing_follows_or_closed(server, connection)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("chunks", [[b"few"], [b"f", b"ew"], []], ids=["one", "two", "none"])
def test_fewer_bytes_than_declared_cut_the_connection(server, chunks, listed, version):
    """When not even one byte was sent, a 500 would do as well."""
    target = script(headers=[length(30)], chunks=chunks, listed=listed)
    with pytest.raises(Cut) as cut:
        assert server.get(target, version=version).status == 500
        raise Cut(b"")
    assert b"few".startswith(cut.value.received)


@pytest.mark.parametrize("value", ["abc", "-1", "+4", "4, 4", "0x4", "", "4_0", "\xb2", "4 4", "9" * 5000])
def test_a_declared_length_that_is_no_number_is_never_a_hang(server, value):
    """What no client can understand doesn't go out; the client learns that something broke."""
    try:
        reply = server.get(script(headers=[PLAIN, ("Content-Length", value)]))
    except Cut:
        return
    assert reply.status == 500
    assert reply.all("Content-Length") != [value]


def test_two_different_declared_lengths_never_go_out(server):
    try:
        reply = server.get(script(headers=[length(4), length(5)]))
    except Cut:
        return
    assert reply.status == 500
    assert len(reply.all("Content-Length")) <= 1


@pytest.mark.parametrize("listed", [True, False])
def test_an_empty_reply_has_a_length_of_zero(server, listed):
    reply = server.get(script(chunks=[], listed=listed))
    assert (reply.header("Content-Length"), reply.body) == ("0", b"")


def test_a_list_of_one_chunk_gets_its_length(server):
    reply = server.get(script(chunks=[b"body"], listed=True))
    assert reply.header("Content-Length") == "4"
    assert not reply.chunked


def test_no_reply_has_both_a_length_and_chunks(server):
    for listed in (True, False):
        for headers in ([], [length(4)], [length(4), ("Transfer-Encoding", "chunked")]):
            reply = server.get(script(headers=headers, listed=listed))
            assert reply.body == b"body"
            assert len(reply.all("Content-Length") + reply.all("Transfer-Encoding")) == 1


def test_a_length_declared_by_the_app_goes_out_once(server):
    reply = server.get(script(headers=[("content-length", "4")]))
    assert reply.all("Content-Length") == ["4"]
    assert ("content-length", "4") in reply.headers


def test_replies_keep_the_connection_for_the_next_request(server):
    with server.connect() as connection:
        for chunks in ([b"one"], [b"one", b"two"], [], [b"", b"three"]):
            assert connection.ask("GET", script(chunks=chunks)).body == b"".join(chunks)


def test_pipelined_requests_are_answered_in_order(server):
    idents = [new_id() for _ in range(8)]
    with server.connect() as connection:
        for ident in idents:
            connection.send_request("POST", f"/canary?id={ident}", body=b"x")
        answers = [connection.reply().text for _ in idents]
    assert answers == [f"canary {ident} x" for ident in idents]

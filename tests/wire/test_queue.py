"""A bounded queue: what is too much is refused at once, and native routes never wait (hazards 20)."""

import socket
import time

import pytest

from tests.server import ON_TORNADO, limited, new_id, poll
from tests.wire.gated import assert_answered, queue

SERVE = (
    *("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.working:app"),
    *("--wsgi-threads", "1", "--wsgi-queue", "2"),
)


def hold_the_lane(server):
    """One request on the only lane, until its gate opens."""
    ident, connection = new_id(), server.connect()
    connection.send_request("GET", f"/gated?id={ident}")
    server.wait_for_note("ran", ident)
    return ident, connection


def queue_when_there_is_room(server):
    """One request that must wait, as soon as the server has noticed that others left."""

    def queued():
        ident, connection = queue(server)
        return connection.is_silent(0.05) and (ident, connection)  # else it is a 503

    waiting = poll(queued)
    assert waiting, "the queue stays full"
    return waiting


def test_a_request_past_the_queue_is_a_fast_503(server):
    held, *waiting = [hold_the_lane(server), queue(server), queue(server)]
    for method, body in (("GET", None), ("POST", b"x" * 100_000), ("POST", b"x")):
        began = time.monotonic()
        with server.connect() as connection:
            reply = connection.ask(method, f"/quick?id={held[0]}", body=body)
        assert reply.status == 503
        assert int(reply.header("Retry-After")) >= 0
        assert time.monotonic() - began < 5  # the queue would give it 10
    for ident, connection in (held, *waiting):
        assert_answered(server, ident, connection)
    assert len(server.notes("ran", held[0])) == 1


def test_all_refusals_are_said_though_no_more_follow(start_server, form):
    server = start_server(*SERVE, form=form)
    held = [hold_the_lane(server), queue(server), queue(server)]
    for _ in range(5):
        assert server.get("/quick").status == 503
    (line,) = server.log_lines("since the last such line")
    assert "answered 503 to 1 since the last such line" in line
    rest = "answered 503 to 4 more since the last such line"
    assert poll(lambda: rest in server.log)
    assert server.get("/quick").status == 503
    assert len(server.log_lines("since the last such line")) == 2
    for ident, connection in held:
        assert_answered(server, ident, connection)
    server.stop()
    assert "answered 503 to 1 more since the last such line" in server.log


def test_native_routes_answer_while_the_queue_is_full(server):
    requests = [hold_the_lane(server), queue(server), queue(server)]
    assert server.get("/quick").status == 503
    began = time.monotonic()
    for _ in range(50):
        assert server.get("/native/ping").text == "pong"
    assert time.monotonic() - began < 10  # the gate is closed for 20
    for ident, connection in requests:
        assert_answered(server, ident, connection)


def test_a_queued_request_whose_client_left_is_never_run(server):
    held = hold_the_lane(server)
    left, connection = queue(server)
    connection.close()
    reset, connection = queue(server)
    connection.reset()
    waiting = [queue_when_there_is_room(server), queue_when_there_is_room(server)]
    for ident, connection in (held, *waiting):
        assert_answered(server, ident, connection)
    server.canary()
    assert server.notes("ran", left) == server.notes("ran", reset) == []


@pytest.mark.parametrize("size", [250_000, 600_000], ids=["read", "unread"])
@pytest.mark.skipif(ON_TORNADO, reason="it reads no further than the body that it holds back")
def test_nor_is_a_queued_upload_whose_client_left_when_no_disk_may_hold_it(start_server, form, size):
    server = start_server(*SERVE, "--wsgi-spool", "0", form=form)
    held = hold_the_lane(server)
    left, connection = new_id(), server.connect()
    # More of it than memory holds, but not so much more that the client's kernel has to keep some of it: then
    # its FIN does not come.
    connection.send_request("POST", f"/quick?id={left}", body=bytes(size))
    connection.close()
    waiting = [queue_when_there_is_room(server), queue_when_there_is_room(server)]
    for ident, connection in (held, *waiting):
        assert_answered(server, ident, connection)
    server.canary()
    assert server.notes("ran", left) == []


@pytest.mark.skipif(ON_TORNADO, reason="there a client that half-closes counts as gone")
def test_a_client_that_half_closes_when_all_lanes_are_busy_for_a_moment_is_answered(start_server, form):
    """A lane may report only a moment after its last reply that it is free."""
    a_moment = limited(HALF_CLOSED=5.0, HALF_CLOSED_QUEUED=5.0)
    server = start_server(*SERVE, form=form, python=a_moment)
    (ident, first), second = hold_the_lane(server), server.connect()
    second.send_request("GET", f"/quick?id={new_id()}")
    for connection in (first, second):
        connection.socket.shutdown(socket.SHUT_WR)
    assert second.is_silent(0.3)
    server.open_gate(ident)
    assert [connection.reply().status for connection in (first, second)] == [200] * 2


def test_a_queued_request_with_a_body_is_served_in_its_turn(server):
    held, ident, connection = hold_the_lane(server), new_id(), server.connect()
    body = b"b" * 300_000
    connection.send_head("POST", f"/canary?id={ident}", [("Content-Length", str(len(body)))])
    connection.send(body[:100_000])
    assert_answered(server, *held)
    connection.send(body[100_000:])
    assert connection.reply().body == b"canary " + ident.encode() + b" " + body


def test_queued_requests_run_in_the_order_they_came(server):
    held = hold_the_lane(server)
    waiting = [queue(server), queue(server)]
    for ident, _ in waiting:
        server.open_gate(ident)
    assert_answered(server, *held)
    notes = []
    for ident, connection in waiting:
        assert connection.reply().text == f"done {ident}"
        notes.append((server.folder / "ran.notes").read_text().index(ident))
    assert notes == sorted(notes)

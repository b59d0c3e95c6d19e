"""No request waits for a lane for longer than makes sense."""

import time

import pytest

from tests.server import new_id, poll

SERVE = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.working:app")
LANES = 8


def send(server, count):
    """Send `count` requests, each on a connection of its own: (id, connection)."""
    requests = [(new_id(), server.connect()) for _ in range(count)]
    for ident, connection in requests:
        connection.send_request("GET", f"/gated?id={ident}")
    return requests


def test_who_waited_too_long_for_a_lane_gets_a_503(start_server):
    server = start_server(*SERVE, "--wsgi-threads", str(LANES), "--wsgi-queue-timeout", "2")
    running = send(server, LANES)
    # A server that accepts several connections at once serves them in whatever order the kernel reports them.
    for ident, _ in running:
        server.wait_for_note("ran", ident)
    began = time.monotonic()
    waiting = send(server, 56)
    refused = [connection.reply() for _, connection in waiting]
    assert {(reply.status, reply.header("Retry-After")) for reply in refused} == {(503, "1")}
    # Without the option they would wait for the gates: 20 s.
    assert 1.5 < time.monotonic() - began < 15
    for ident, connection in running:
        server.open_gate(ident)
        assert connection.reply().status == 200
    assert not any(server.notes("ran", ident) for ident, _ in waiting)
    server.canary(waiting[0][1])


def upload(server):
    """Send a request, more of whose body than memory holds: (id, connection)."""
    ident, connection = new_id(), server.connect()
    connection.send_request("POST", f"/gated?id={ident}", body=bytes(250_000))
    return ident, connection


@pytest.fixture
def start_with_upload(start_server, form):
    """Start a server whose only lane for unfinished uploads is taken, and no disk may hold another one."""

    def start(*options):
        server = start_server(*SERVE, "--wsgi-threads", "2", "--wsgi-spool", "0", *options, form=form)
        running = upload(server)
        server.wait_for_note("ran", running[0])
        return server, running

    return start


def test_an_upload_that_has_neither_a_lane_nor_room_waits_no_longer(start_with_upload):
    server, (running, connection) = start_with_upload("--wsgi-queue-timeout", "2")
    ident, waiting = upload(server)
    reply = waiting.reply()
    assert (reply.status, reply.header("Retry-After")) == (503, "1")
    server.open_gate(running)
    assert connection.reply().status == 200
    assert not server.notes("ran", ident)
    server.canary()


def test_the_log_says_that_it_is_the_spool_and_not_the_lanes(start_with_upload):
    server, (running, connection) = start_with_upload("--wsgi-queue-timeout", "0.5")
    _, waiting = upload(server)
    assert waiting.reply().status == 503
    (line,) = server.log_lines("answered 503 to 1 since the last such line")
    assert "no room in the spool" in line
    assert "--wsgi-spool" in line
    assert "busy" not in line
    server.open_gate(running)
    assert connection.reply().status == 200


def test_it_is_one_of_those_that_the_queue_has_room_for(start_with_upload):
    server, (running, connection) = start_with_upload("--wsgi-queue", "1", "--wsgi-queue-timeout", "60")
    waiting = dict([upload(server), upload(server)])
    refused = poll(lambda: next((ident for ident in waiting if not waiting[ident].is_silent(0.05)), None))
    assert refused, "both wait"
    assert waiting.pop(refused).reply().status == 503
    (last,) = waiting
    for ident in (running, last):
        server.open_gate(ident)
    assert connection.reply().status == waiting[last].reply().status == 200
    assert not server.notes("ran", refused)

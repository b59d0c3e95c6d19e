"""No request waits in the queue for longer than makes sense."""

import time

from tests.server import new_id

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
    server.canary()

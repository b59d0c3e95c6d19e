"""Nobody waits in the queue for longer than it makes sense."""

import time

from tests.server import new_id

SERVE = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.working:app")


def test_who_waited_too_long_for_a_lane_gets_a_503(start_server):
    server = start_server(*SERVE, "--wsgi-threads", "8", "--wsgi-queue-timeout", "2")
    requests = [(new_id(), server.connect()) for _ in range(64)]
    for ident, connection in requests:
        connection.send_request("GET", f"/gated?id={ident}")
    began = time.monotonic()
    refused = [connection.reply() for _, connection in requests[8:]]
    assert {(reply.status, reply.header("Retry-After")) for reply in refused} == {(503, "1")}
    assert 1.5 < time.monotonic() - began < 3.5
    for ident, connection in requests[:8]:
        server.open_gate(ident)
        assert connection.reply().status == 200
    assert not any(server.notes("ran", ident) for ident, _ in requests[8:])
    server.canary()

"""Requests that run, or wait for a lane, until their gate is opened."""

from tests.server import new_id


def begin(server, path, count=1):
    """Start `count` requests that run: (id, connection) of each."""
    requests = []
    for _ in range(count):
        ident, connection = new_id(), server.connect()
        connection.send_request("GET", f"{path}?id={ident}")
        requests.append((ident, connection))
    for ident, _ in requests:
        server.wait_for_note("ran", ident)
    return requests


def queue(server, path="/gated"):
    """A request that has reached its pool when this returns: the native reply comes after it was read."""
    ident, connection = new_id(), server.connect()
    connection.send_request("GET", f"{path}?id={ident}")
    assert server.get("/native/ping").text == "pong"
    return ident, connection


def assert_answered(server, ident, connection):
    server.open_gate(ident)
    reply = connection.reply()
    assert (reply.status, reply.text) == (200, f"done {ident}")

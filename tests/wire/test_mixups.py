"""Thousands of interleaved requests, none of which ever sees another's identity (hazards 18)."""

import os
import threading

import pytest

from tests.server import new_id
from tests.wire.client import build_request, chunked

SERVE = ("--wsgi", "tests.apps.identities:app", "--wsgi-threads", "8")
CONNECTIONS = 16
REQUESTS = 100_000 if os.environ.get("WATERSPOUT_LONG") else 5_000


def ask_one(connection, number):
    """One request with an id in target and body; anything but its own answer is a mix-up."""
    ident = new_id()
    if number % 5 == 4:
        reply = connection.ask("GET", f"/flask/identity?id={ident}")
        assert reply.text == "".join(f"{ident}{piece}" for piece in range(3)), reply.text
        return
    target = f"/flask/identity?id={ident}"
    if number % 5 == 3:
        connection.send_head("POST", target, [("Transfer-Encoding", "chunked")])
        connection.send(chunked(ident.encode(), b"!" * (number % 700)))
        expected = ident + "!" * (number % 700)
    else:
        expected = ident * (2_500 if number % 50 == 0 else 1)
        connection.send(build_request("POST", target, body=expected.encode()))
    reply = connection.reply()
    assert (reply.status, reply.header("X-Ident")) == (200, ident), reply.text
    assert reply.text == f"{ident} {expected}"


def run_client(server, count, failures):
    try:
        with server.connect(timeout=20) as connection:
            for number in range(count):
                ask_one(connection, number)
    except BaseException as error:
        failures.append(error)


def test_interleaved_requests_never_see_each_other(server):
    failures = []
    arguments = (server, REQUESTS // CONNECTIONS, failures)
    clients = [threading.Thread(target=run_client, args=arguments) for _ in range(CONNECTIONS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert not failures, failures[0]


@pytest.mark.parametrize("connections", [1, 9])
def test_requests_that_leave_midway_leave_nothing_to_the_others(server, connections):
    for _ in range(20):
        for _ in range(connections):
            connection = server.connect()
            connection.send_head("POST", f"/flask/identity?id={new_id()}", [("Content-Length", "100000")])
            connection.send(b"left-over" * 9_000)
        server.release()
        with server.connect() as connection:
            ask_one(connection, 0)
            ask_one(connection, 4)

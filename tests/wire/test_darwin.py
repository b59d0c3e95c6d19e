"""The server without what macOS lacks: `tests/darwin/sitecustomize.py` removes it. This needs no Mac."""

import os
import signal
import socket
import sys

import pytest

from tests.server import FORMS, ROOT, freeze, new_id, poll

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that is made to look like macOS")

SERVE = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.working:app")
LIKE_DARWIN = {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "darwin"), str(ROOT)])}
#: Many times what a socket pair holds on macOS.
BODY = os.urandom(150_000).hex().encode()


@pytest.fixture
def start(start_server):
    def start(*options, **others):
        return start_server(*SERVE, *options, env=LIKE_DARWIN, **others)

    return start


def check(server):
    ident = new_id()
    with server.connect() as connection:
        reply = connection.ask("POST", f"/canary?id={ident}", (), BODY, "1.1")
        assert reply.body == b"canary " + ident.encode() + b" " + BODY
        server.canary(connection)


@pytest.mark.parametrize("form", FORMS)
def test_it_serves_and_stops(start, form):
    server = start("--wsgi-max-rss", "100MiB", form=form)
    check(server)
    check(server)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "--wsgi-max-rss do" in server.log
    assert "Traceback" not in server.log


def test_wsgi_processes_are_replaced_by_sighup_and_when_they_die(start):
    server = start(form="process")
    (first,) = server.wsgi_pids()
    server.signal(signal.SIGHUP)
    assert poll(lambda: server.wsgi_pids() not in ([], [first]) and first not in server.wsgi_pids())
    (second,) = server.wsgi_pids()
    check(server)
    os.kill(second, signal.SIGKILL)
    assert server.log_lines("starting another")
    assert poll(lambda: server.wsgi_pids() not in ([], [second]))
    assert poll(lambda: server.get("/canary?id=a").status == 200)
    check(server)


def test_a_socket_is_inherited(start):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.fileno()
        check(start(listen=("--fd", str(number)), pass_fds=(number,)))


def test_a_client_that_has_left_before_it_is_served_is_no_error(start):
    server = start(form="threads")
    freeze(server.pid)
    for _ in range(5):
        with socket.create_connection(server.address) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.signal(signal.SIGCONT)
    check(server)
    assert "Invalid argument" not in server.log

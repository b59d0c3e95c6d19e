"""A server without descriptors left goes on with what it has, quietly, and recovers."""

import errno
import os
import re
import resource
import signal
import socket
import time
from contextlib import ExitStack, closing, contextmanager, suppress

import pytest

from tests.server import ON_TORNADO, poll
from tests.wire.client import Cut

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(ON_TORNADO, reason="Tornado's own listener spins and logs without end"),
]

SERVE = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.working:app")
MOST = 256


def seconds_of_cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answers(server, path="/quick"):
    with suppress(OSError, Exception):
        return server.get(path, timeout=2).status == 200
    return False


def gather(server, size):
    """Clients that have begun a request, as far as there is room: they are not idle, and stay."""
    crowd = []
    for _ in range(size):
        with suppress(OSError):
            crowd.append(server.connect())
            crowd[-1].socket.sendall(b"GET /native/ping HTTP/1.1\r\nHost: a\r\n")
    return crowd


def is_healthy(address):
    """What the operations address says."""
    with socket.socket(socket.AF_UNIX) as operator:
        operator.settimeout(5)
        operator.connect(str(address))
        operator.sendall(b"GET /-/health HTTP/1.1\r\nHost: a\r\n\r\n")
        return operator.recv(99).startswith(b"HTTP/1.1 200 ")


@contextmanager
def under_limit(most):
    """For what is started here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_of_a_low_limit_at_least_half_of_what_others_leave_is_for_clients(start_server):
    server = start_server(*SERVE, "--wsgi-workers", "1", form="process")
    assert answers(server)
    spare = 24
    most = server.descriptors() + spare
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (most, most))
    served = []
    with suppress(OSError, Cut):
        while len(served) < spare:
            client = server.connect(timeout=2)
            assert client.ask("GET", "/quick").status == 200
            served.append(client)
    assert len(served) >= spare / 2


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_when_descriptors_are_free_again_it_accepts_again(start_server, loop):
    server = start_server(*SERVE, "--loop", loop, "--keep-alive-timeout", "60", form="process")
    kept = server.connect()
    assert kept.ask("GET", "/quick").status == 200
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (MOST, MOST))
    crowd = []
    for _ in range(MOST + 50):
        with suppress(OSError):
            crowd.append(server.connect())
    time.sleep(1)
    before, lines = seconds_of_cpu(server.pid), len(server.log.splitlines())
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        assert kept.ask("GET", "/native/ping").text == "pong"
        assert kept.ask("GET", "/quick").status == 200
        time.sleep(0.2)
    assert seconds_of_cpu(server.pid) - before < 1, "a busy loop"
    new = [line for line in server.log.splitlines()[lines:] if "access" not in line]
    assert len(new) < 10, new
    [old] = server.wsgi_pids()
    os.kill(old, signal.SIGKILL)
    time.sleep(0.5)
    for connection in crowd:
        connection.close()
    assert poll(lambda: answers(server, "/native/ping"))
    assert poll(lambda: answers(server))
    assert "Traceback" not in server.log
    (line,) = server.log_lines("no connection can be accepted")
    assert f"no connection can be accepted at http://127.0.0.1:{server.port}: " in line
    found = re.search(rf"{os.strerror(errno.EMFILE)} \((\d+) connections are open, ulimit -n is (\d+);", line)
    assert int(found[2]) == MOST
    assert MOST / 2 < int(found[1]) < MOST


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_idle_connections_make_room_for_who_asks(start_server, loop):
    """As nginx does: a client that keeps a connection for later has no right to it ahead of others."""
    server = start_server(*SERVE, "--loop", loop, "--keep-alive-timeout", "600", "--head-timeout", "600")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (MOST, MOST))
    crowd = []
    with suppress(OSError, Cut):  # the last one is one too many
        while len(crowd) < MOST:
            crowd.append(server.connect(timeout=2))
            crowd.append(server.connect())  # has never asked for anything
            crowd[-2].ask("GET", "/native/ping")
    assert server.log_lines("no connection can be accepted")
    assert poll(lambda: answers(server, "/native/ping"), seconds=30)
    assert "Traceback" not in server.log
    for connection in crowd:
        connection.close()
    server.stop()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_descriptors_in_circles_are_found_again(start_server, loop):
    """As a handler leaves them if its exception holds its frames, and those the files that it has opened."""
    server = start_server("--native", "tests.apps.circles:routes", "--loop", loop)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (MOST, MOST))
    with server.connect() as kept:
        while kept.ask("GET", "/file").status == 200:
            pass
        assert poll(lambda: answers(server, "/ping"))
        assert kept.ask("GET", "/file").status == 200
    assert "no connection can be accepted" not in server.log


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_crowd_leaves_enough_for_wsgi_processes_and_operators(start_server, loop, tmp_path):
    """Else a process that ends under a crowd is gone until the crowd is."""
    address = tmp_path / "ops"
    serve = (*SERVE, "--loop", loop, "--ops-bind", f"unix:{address}", "--keep-alive-timeout", "600")
    server = start_server(*serve, "--head-timeout", "600", form="process")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (MOST, MOST))
    kept = server.connect()
    assert kept.ask("GET", "/quick").status == 200
    crowd = gather(server, MOST + 50)
    assert poll(lambda: server.log_lines("no connection can be accepted"))
    for _ in range(3):
        [old] = server.wsgi_pids()
        os.kill(old, signal.SIGKILL)
        assert poll(lambda old=old: server.wsgi_pids() not in ([], [old]))
        assert poll(lambda: kept.ask("GET", "/quick").status == 200)
    assert is_healthy(address)
    crowd[0].socket.sendall(b"\r\n")
    assert crowd[0].reply().status == 200, "the crowd has left"
    (line,) = server.log_lines(os.strerror(errno.EMFILE))
    assert re.search(r"no connection can be accepted .* \d+ of them are kept for WSGI processes", line)
    for connection in crowd:
        connection.close()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_crowd_leaves_enough_for_operators_where_views_run_in_threads(start_server, loop, tmp_path):
    """Lanes have none of theirs."""
    address = tmp_path / "ops"
    serve = (*SERVE, "--loop", loop, "--ops-bind", f"unix:{address}", "--head-timeout", "600")
    with under_limit(MOST):
        server = start_server(*serve, "--wsgi-threads", "32", form="threads")
    crowd = gather(server, MOST + 50)
    assert poll(lambda: server.log_lines("no connection can be accepted"))
    for _ in range(3):
        assert is_healthy(address)
    for connection in crowd:
        connection.close()


def test_of_a_low_limit_little_is_kept_where_views_run_in_threads(start_server):
    """Both ends of their lanes are in this process."""
    with under_limit(88):
        server = start_server(*SERVE, "--wsgi-threads", "8", form="threads")
    taken = len(os.listdir(f"/proc/{server.pid}/fd"))
    answered = 0
    with ExitStack() as crowd:
        for _ in range(88 - taken):
            connection = crowd.enter_context(closing(server.connect()))
            connection.socket.settimeout(1)
            connection.socket.sendall(b"GET /native/ping HTTP/1.1\r\nHost: a\r\n\r\n")
            with suppress(OSError):
                answered += connection.socket.recv(99).startswith(b"HTTP/1.1 200 ")
    assert answered >= (88 - taken) // 3


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_crowd_leaves_enough_for_one_reload_after_another(start_server, loop):
    """It takes what each of them frees."""
    server = start_server(*SERVE, "--loop", loop, "--head-timeout", "600", form="process")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (MOST, MOST))
    kept = server.connect()
    crowd = []
    for _ in range(3):
        crowd += gather(server, MOST)
        assert poll(lambda: len(server.wsgi_pids()) == 1)
        [old] = server.wsgi_pids()
        server.signal(signal.SIGHUP)
        assert poll(lambda old=old: len(server.wsgi_pids()) == 1 and server.wsgi_pids() != [old])
        assert kept.ask("GET", "/quick").status == 200
    assert server.log_lines("no connection can be accepted")
    assert "do not start" not in server.log
    for connection in crowd:
        connection.close()

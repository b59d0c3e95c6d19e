"""A WSGI process that dies loses what it was running, and no more; and none outlives its server."""

import os
import signal
import time
from contextlib import suppress

import pytest

from tests.server import PATIENCE, freeze, has_ended, is_alive, new_id, poll
from tests.wire.client import Cut
from tests.wire.gated import begin

THREADS = 20


@pytest.fixture
def start(start_server):
    def start(*options, workers=1, threads=THREADS):
        return start_server(
            *("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.working:app"),
            *("--wsgi-workers", str(workers), "--wsgi-threads", str(threads)),
            *options,
        )

    return start


def kill_worker(server):
    [pid] = server.wsgi_pids()
    os.kill(pid, signal.SIGKILL)
    return pid


def kill_and_wait(server):
    """Wait until it is surely dead: a request written to an idle lane before that counts as started."""
    pid = kill_worker(server)
    assert poll(lambda: has_ended(pid), pause=0.001)
    return pid


def assert_lost(connection):
    """A 502, or a cut: never a hang, never a whole reply."""
    with suppress(Cut):
        assert connection.reply().status == 502


def assert_replaced(server, old):
    """The next request to Flask is answered by another process, before long."""
    began = time.monotonic()
    reply = server.get("/quick")
    assert reply.status == 200
    assert time.monotonic() - began < PATIENCE
    assert int(reply.text) not in (old, server.pid)


@pytest.mark.parametrize("forked", [False, True])
def test_a_killed_wsgi_process_loses_what_it_was_running_and_no_more(start, forked):
    server = start()
    if forked:
        assert server.get(f"/forking?id={new_id()}").status == 200
    answers, streams = begin(server, "/gated", 10), begin(server, "/gated-stream", 10)
    for _, connection in streams:
        assert connection.next_chunk(connection.head()) == b"first;"
    old = kill_worker(server)
    assert server.get("/native/ping").text == "pong"
    for _, connection in answers:
        assert connection.reply().status == 502
    for _, connection in streams:
        with pytest.raises(Cut):
            connection.next_chunk()
    assert_replaced(server, old)
    assert len(server.wsgi_pids()) == 1


def test_native_routes_answer_at_once_while_a_wsgi_process_is_replaced(start):
    server = start()
    begin(server, "/gated", 20)
    kill_worker(server)
    for _ in range(50):
        began = time.monotonic()
        assert server.get("/native/ping").text == "pong"
        assert time.monotonic() - began < PATIENCE / 2


@pytest.mark.parametrize("path", ["/exiting", "/crashing"])
def test_a_view_that_ends_its_process_is_a_502(start, path):
    server = start()
    [old] = server.wsgi_pids()
    assert server.get(f"{path}?id={new_id()}").status == 502
    assert_replaced(server, old)


def test_a_queued_request_outlives_the_process_and_runs_once(start):
    server = start(threads=1)
    [(_, connection)] = begin(server, "/gated")
    waiting = []
    for _ in range(3):
        ident = new_id()
        waiting.append((ident, server.connect()))
        waiting[-1][1].send_request("GET", f"/quick?id={ident}")
    assert server.get("/native/ping").text == "pong"
    kill_worker(server)
    assert connection.reply().status == 502
    for ident, connection in waiting:
        assert connection.reply().status == 200
        assert len(server.notes("ran", ident)) == 1


@pytest.mark.parametrize("body", [b"", b"x" * 4000])
def test_a_request_that_a_dying_process_has_not_read_runs_once_on_the_next_one(start, body):
    server = start()
    old, ident = server.wsgi_pids()[0], new_id()
    freeze(old)
    with server.connect() as connection:
        connection.send_request("POST" if body else "GET", f"/quick?id={ident}", body=body)
        time.sleep(0.2)  # it is on an idle lane of a frozen process
        os.kill(old, signal.SIGKILL)
        reply = connection.reply()
    assert reply.status == 200
    assert int(reply.text) != old
    assert len(server.notes("ran", ident)) == 1


def test_what_a_dead_process_has_not_read_goes_to_an_idle_lane_where_nobody_may_wait(start):
    server = start("--wsgi-queue", "0", workers=2)
    dying, living = server.wsgi_pids()
    for pid in (dying, living):
        freeze(pid)
    with server.connect() as first, server.connect() as second:
        for connection in (first, second):
            connection.send_request("GET", f"/quick?id={new_id()}")
            time.sleep(0.2)  # one is on a lane of each
        os.kill(dying, signal.SIGKILL)
        os.kill(living, signal.SIGCONT)
        assert [first.reply().status, second.reply().status] == [200, 200]


def test_a_started_request_is_never_run_twice(start):
    server = start()
    requests = begin(server, "/gated", 5)
    old = kill_and_wait(server)
    assert_replaced(server, old)
    for ident, connection in requests:
        assert_lost(connection)
        assert len(server.notes("ran", ident)) == 1


def test_an_upload_under_a_killed_process_is_lost_without_a_hang(start):
    server = start()
    ident = new_id()
    with server.connect() as connection:
        connection.send_head("POST", f"/gated?id={ident}", [("Content-Length", "10000000")])
        connection.send(b"x" * 100_000)
        server.wait_for_note("ran", ident)
        old = kill_and_wait(server)
        assert_lost(connection)
    assert_replaced(server, old)


def test_a_wsgi_process_killed_while_idle_is_replaced(start):
    server = start()
    for number in range(3):
        old = kill_and_wait(server)
        assert_replaced(server, old)
        assert server.log_lines(f"WSGI process {old} ended: killed by SIGKILL (often: out of memory)")
        # A process answers before it has all of its lanes; killed then, it counts as not started.
        assert len(server.log_lines("is ready again", enough=number + 1)) > number


def test_requests_right_after_a_death_wait_for_the_new_process(start):
    server = start(threads=2)
    begin(server, "/gated", 2)
    kill_worker(server)
    connections = [server.connect() for _ in range(6)]
    for connection in connections:
        connection.send_request("GET", "/quick")
    statuses = [connection.reply().status for connection in connections]
    assert set(statuses) <= {200, 502}
    assert statuses[-1] == 200


@pytest.mark.parametrize("forked", [False, True])
@pytest.mark.parametrize("path", [None, "/gated", "/stuck"])
def test_no_wsgi_process_outlives_a_killed_server(start, path, forked):
    server = start()
    if forked:
        server.get(f"/forking?id={new_id()}")
    if path:
        begin(server, path, 3)
    pids = server.wsgi_pids()
    assert pids
    server.signal(signal.SIGKILL)
    server.wait()
    assert poll(lambda: not any(map(is_alive, pids))), "a WSGI process outlived its server"

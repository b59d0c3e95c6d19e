"""A view that takes too long: its client is answered, its lane is given up, and what can be saved is."""

import re
import signal
import time

import pytest

from tests.server import limited, new_id, poll
from tests.wire.client import Cut
from tests.wire.gated import begin

SERVE = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.hanging:app", "--wsgi-timeout")
SHORT = "0.6"


@pytest.fixture
def start(start_server, form):
    def start(threads=4, timeout=SHORT, *more):
        return start_server(*SERVE, timeout, "--wsgi-threads", str(threads), *more, form=form)

    return start


@pytest.fixture
def start_process(start_server):
    def start(threads=4, timeout=SHORT, *more):
        return start_server(*SERVE, timeout, "--wsgi-threads", str(threads), *more, form="process")

    return start


def test_a_view_that_sends_nothing_is_a_504(start):
    server = start()
    began = time.monotonic()
    [(_, connection)] = begin(server, "/gated")
    assert connection.reply().status == 504
    assert time.monotonic() - began >= 0.6
    assert server.canary(connection) is None
    assert "timed-out" in server.log
    [line] = server.log_lines("GET /gated has sent nothing for")
    [ident] = re.findall(r"request (\S+): GET", line)
    assert [line for line in server.log_lines(ident) if "timed-out" in line]
    [place] = server.log_lines(f"request {ident} is at ")
    assert re.search(r" at tests/apps/\w+\.py:\d+ in wait_for_gate$", place)


def test_a_reply_that_stands_still_is_cut(start):
    server = start()
    [(_, connection)] = begin(server, "/gated-stream")
    assert connection.next_chunk(connection.head()) == b"first;"
    with pytest.raises(Cut):
        connection.next_chunk()
    server.canary()


def test_a_view_that_goes_on_sending_has_time(start):
    server = start(timeout="1.5")  # a quarter of a second for each piece, two seconds for all
    assert server.get("/trickling").text == "x" * 8


def test_waiting_for_the_client_s_body_is_not_the_view_s_time(start):
    server = start()
    ident, body = new_id(), b"b" * 100_000
    with server.connect() as connection:
        connection.send_head("POST", f"/reading?id={ident}", [("Content-Length", str(len(body)))])
        connection.send(body[:50_000])
        server.wait_for_note("ran", ident)
        assert connection.is_silent(1.5)
        connection.send(body[50_000:])
        assert connection.reply().text == f"{len(body)}"


def test_waiting_for_a_slow_client_is_not_the_view_s_time(start):
    server = start()
    with server.connect(receive_buffer=4096) as connection:
        connection.send_request("GET", f"/large?mib=16&id={new_id()}")
        head = connection.head()
        time.sleep(1.5)
        assert len(connection.body_of(head).body) == 16 << 20


def test_a_stuck_view_that_ends_gives_its_lane_back(start):
    server = start(threads=3)
    [(ident, connection)] = begin(server, "/gated")
    assert connection.reply().status == 504
    server.open_gate(ident)
    assert server.log_lines("its lane is no longer stuck")
    assert poll(lambda: server.get("/lane-threads").text == "3")
    for _ in range(6):
        server.canary()


def test_a_process_with_most_lanes_stuck_finishes_what_else_it_runs_and_is_replaced(start_process):
    server = start_process(4)
    [old] = server.wsgi_pids()
    stuck = begin(server, "/gated", 3)
    with server.connect() as running:
        ident = new_id()
        running.send_head("POST", f"/reading?id={ident}", [("Content-Length", "100000")])
        running.send(bytes(50_000))
        server.wait_for_note("ran", ident)
        assert [connection.reply().status for _, connection in stuck] == [504] * 3
        assert server.log_lines("more than half of its lanes are stuck")
        assert poll(lambda: old not in [int(server.get("/quick").text)])
        assert old in server.wsgi_pids()
        running.send(bytes(50_000))
        assert running.reply().text == "100000"
    assert poll(lambda: old not in server.wsgi_pids()), "the old process stays"
    assert len(server.wsgi_pids()) == 1


def test_a_stuck_thread_is_left_alone_and_another_takes_its_place(start_server):
    server = start_server(*SERVE, SHORT, "--wsgi-threads", "2", form="threads")
    for _ in range(2):
        requests = begin(server, "/gated", 2)
        assert [connection.reply().status for _, connection in requests] == [504] * 2
        if _ == 0:
            assert server.get("/quick").status == 200
    assert server.log_lines("threads are stuck in views that do not end, more than can be replaced")
    server.open_gate(requests[0][0])
    assert poll(lambda: server.get("/quick").status == 200)


def test_a_process_that_holds_the_interpreter_s_lock_is_killed_and_replaced(start_process):
    server = start_process(4, "1")
    [old] = server.wsgi_pids()
    began = time.monotonic()
    with server.connect() as connection:
        connection.send_request("GET", f"/locking?seconds=60&id={new_id()}")
        assert connection.reply().status in (502, 504)
        for _ in range(20):
            assert server.get("/native/ping").text == "pong"
        assert poll(lambda: old not in server.wsgi_pids())
    assert time.monotonic() - began < 30  # of the 60 that it would hold the lock
    assert server.log_lines("all of its threads are blocked: it is killed")
    [ended] = server.log_lines(" ended: ")
    assert f"WSGI process {old} ended: killed by this server; it ran GET /locking for " in ended
    assert "perhaps one of GET /locking for " in server.log
    assert server.log_lines(", line ")  # where it stands
    assert not [line for line in server.log.splitlines() if " is at " in line]  # it can't be asked
    assert int(server.get("/quick").text) != old


def test_one_that_does_is_not_left_behind_by_a_server_that_is_told_twice_to_stop(start_server):
    server, ident = start_server(*SERVE, "30", form="process", python=limited(WATCH_INTERVAL=0.1)), new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/locking?seconds=60&id={ident}")
        server.wait_for_note("ran", ident)
        server.signal(signal.SIGTERM)
        assert server.log_lines("stopping")
        time.sleep(1.5)  # within a second it would count as one signal, sent to the process and its group
        server.signal(signal.SIGTERM)
        assert server.wait() == 1
        assert poll(lambda: not server.session_pids()), "left behind"


def test_a_close_that_hangs_makes_its_lane_stuck_and_its_reply_stays_whole(start):
    server = start(2)
    [(ident, connection)] = begin(server, "/gated-close")
    assert connection.reply().text == "whole"
    assert server.log_lines("and no client waits for it")
    server.open_gate(ident)
    assert server.log_lines("its lane is no longer stuck")

"""Processes that the app starts itself: signals, waiting and reaping work as in any other program."""

import json
import os
import signal

import pytest

from tests.server import is_alive, new_id, poll

SERVE = ("--wsgi", "tests.apps.working:app", "--wsgi-threads", "2")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", -15), ("SIGINT", -2), ("SIGHUP", -1)])
def test_a_child_of_the_app_hears_signals(server, name, code):
    """Ignored and blocked signals are inherited through exec."""
    assert server.get(f"/popen?signal={name}").text == str(code)


def test_a_child_of_the_app_starts_with_no_signal_ignored_or_blocked(server):
    assert server.get("/popen-mask").text == "[] []"


def test_a_forked_python_process_can_be_terminated(server):
    """It keeps the signal handlers of its parent, if there are any."""
    assert server.get("/multiprocess").text == "-15"


def test_a_pool_of_forked_processes_works(server):
    assert json.loads(server.get("/pooled").text) == [1, 2, 3]


def test_the_app_reaps_its_own_children(server):
    assert json.loads(server.get("/system").text) == [7, 7, 7]


def test_a_forked_child_that_lives_on_holds_no_reply_and_no_lane(server):
    """It has a copy of every lane's descriptor: an end that is signalled by closing one is never seen."""
    with server.connect() as connection:
        child = int(connection.ask("GET", f"/forking?id={new_id()}").text)
        try:
            for _ in range(4):
                server.canary(connection)
                server.canary()
            assert is_alive(child)
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_forked_child_that_lives_on_holds_no_connection_open(server):
    """An HTTP/1.0 reply of unknown length ends with its connection, of which the child has a copy."""
    with server.connect() as forking, server.connect() as other:
        server.canary(other)
        child = int(forking.ask("GET", f"/forking?id={new_id()}").text)
        try:
            assert other.ask("GET", "/quick", [("Connection", "close")]).status == 200
            assert other.ends_within()
        finally:
            os.kill(child, signal.SIGKILL)


def test_descriptors_and_threads_do_not_grow_with_requests(server):
    def figures():
        return int(server.get("/descriptors").text), int(server.get("/threads").text)

    for _ in range(3):
        server.canary()
    before = figures()
    for number in range(60):
        with server.connect() as connection:
            connection.send_request("GET", f"/quick?id={number}")
            if number % 3:
                connection.reply()
    descriptors, threads = poll(lambda: figures() <= before and before) or figures()
    assert descriptors <= before[0] + 2
    assert threads <= before[1] + 1


def test_a_forked_child_ends_with_the_status_that_it_asks_for_and_its_request_has_not_failed(server):
    ident = new_id()
    assert json.loads(server.get(f"/forking-to-exit?id={ident}").text) == [0, 7, 1, 1]
    assert server.log_lines("a process forked by a view exits on an exception")
    assert "ZeroDivisionError" in server.log
    assert "SystemExit" not in server.log
    assert "raised" not in server.log


def test_a_forked_child_that_goes_on_as_the_view_ends_and_the_log_says_why(server):
    with server.connect() as connection:
        assert connection.ask("GET", f"/forking-to-go-on?id={new_id()}").text == "gone on"
        server.canary(connection)
    assert server.log_lines("Forked: a process that a view has forked can't")

"""WSGI processes that have served enough, or grown too much, are replaced, and nobody notices."""

import os
import time

import pytest

from tests.server import PATIENCE, new_id, poll

SERVE = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.hanging:app")
#: Other tests give WSGI processes the normal priority.
BY_DEFAULT = {"WATERSPOUT_WSGI_NICE": "auto"}


@pytest.fixture
def start(start_server):
    def start(*options, form="process", **others):
        return start_server(*SERVE, *options, form=form, **others)

    return start


def test_a_process_is_replaced_after_its_requests_and_none_is_lost(start):
    server = start("--wsgi-max-requests", "20", "--wsgi-max-requests-jitter", "5")
    pids, deadline = set(), time.monotonic() + PATIENCE
    with server.connect() as connection:
        # However many it takes: a process answers thousands in the time that two need to start.
        while len(pids) < 3 and time.monotonic() < deadline:
            pids.add(int(connection.ask("GET", "/quick").text))
    assert len(pids) >= 3
    assert server.log_lines("requests (--wsgi-max-requests)")


def test_what_a_recycled_process_still_runs_is_finished(start):
    server = start("--wsgi-max-requests", "5")
    ident, running = new_id(), server.connect()
    running.send_request("GET", f"/gated?id={ident}")
    old = server.wait_for_note("ran", ident)["pid"]
    assert poll(lambda: int(server.get("/quick").text) != old)
    assert old in server.wsgi_pids()
    server.open_gate(ident)
    assert running.reply().text == f"done {ident}"
    assert poll(lambda: old not in server.wsgi_pids())


def test_a_process_that_has_grown_is_replaced(start):
    server = start("--wsgi-max-rss", "200MiB")
    old = int(server.get("/growing?mib=300").text)
    assert poll(lambda: int(server.get("/quick").text) != old, 15)
    assert server.log_lines("MiB of memory (--wsgi-max-rss)")


def test_in_threads_nothing_can_be_recycled_and_that_is_said(start):
    server = start("--wsgi-max-requests", "1", form="threads")
    assert server.get("/quick").status == 200
    assert server.log_lines("do nothing with --wsgi-workers 0")


@pytest.mark.parametrize("nice", [3, 0])
def test_all_threads_of_wsgi_processes_are_nicer_than_the_server(start, nice):
    server = start("--wsgi-nice", str(nice))
    ours = os.getpriority(os.PRIO_PROCESS, server.pid)
    assert {each for _, each in eval(server.get("/niceness").text)} == {min(19, ours + nice)}


def test_idle_ones_take_what_nobody_else_wants(start):
    server = start("--wsgi-nice", "idle")
    policies = eval(server.get("/niceness").text)
    try:
        os.sched_getscheduler(0)
    except OSError:  # musl
        assert {each for _, each in policies} == {19}
    else:
        assert {policy for policy, _ in policies} == {os.SCHED_IDLE}


def test_with_several_cores_they_are_nicer(start):
    nice = 10 if len(os.sched_getaffinity(0)) > 1 else 5
    server = start(env=BY_DEFAULT)
    ours = os.getpriority(os.PRIO_PROCESS, server.pid)
    policies = eval(server.get("/niceness").text)
    assert {each for _, each in policies} == {min(19, ours + nice)}
    assert os.SCHED_IDLE not in {policy for policy, _ in policies}


def test_with_one_core_for_all_they_are_a_little_nicer(start):
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})
    try:
        server = start(env=BY_DEFAULT)
    finally:
        os.sched_setaffinity(0, everywhere)
    ours = os.getpriority(os.PRIO_PROCESS, server.pid)
    policies = eval(server.get("/niceness").text)
    assert {each for _, each in policies} == {min(19, ours + 5)}
    assert os.SCHED_IDLE not in {policy for policy, _ in policies}


def test_the_log_says_when_all_lanes_are_busy_and_because_of_whom(start):
    server = start("--wsgi-threads", "2", "--wsgi-queue-timeout", "60")
    requests = [(new_id(), server.connect()) for _ in range(3)]
    for ident, connection in requests:
        connection.send_request("GET", f"/gated?id={ident}")
    [line] = server.log_lines("all 2 lanes have been busy for", 15)
    assert "the longest-running is GET /gated, for" in line
    for ident, _ in requests:  # any of them may be the one that waits
        server.open_gate(ident)
    for _, connection in requests:
        assert connection.reply().status == 200

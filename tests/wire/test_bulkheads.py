"""Slow paths in a pool of their own: nothing else waits for them (`--wsgi-pool`)."""

import os
import signal
import time

import pytest

from tests.server import new_id, poll
from tests.wire.gated import assert_answered, queue

SIZE = {"threads": "0x2", "process": "1x2"}


@pytest.fixture
def server(start_server, form):
    """Two lanes for gated paths, and one request may wait for them; one lane for everything else."""
    return start_server(
        *("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.working:app"),
        *("--wsgi-threads", "1", "--wsgi-queue", "1"),
        *("--wsgi-pool", f"slow:/gated,/gated-*:{SIZE[form]}"),
        form=form,
    )


def hold(server, path="/gated"):
    """A request that runs, until its gate opens."""
    ident, connection = queue(server, path)
    server.wait_for_note("ran", ident)
    return ident, connection


def test_a_full_pool_of_slow_reports_does_not_hold_up_sign_in(server):
    reports = [hold(server), hold(server), queue(server)]
    began = time.monotonic()
    for _ in range(20):
        assert server.get("/quick").status == 200
    assert time.monotonic() - began < 10  # the reports may take 20
    assert server.get(f"/gated?id={reports[0][0]}").status == 503
    server.canary()
    for ident, connection in reports:
        assert_answered(server, ident, connection)
    server.canary()


#: The first eight are the pool's.
SPELLINGS = (
    *("/gated", "/%67ated", "/gated/x", "/gated%2Fx", "/gated?x=/quick", "http://x/gated", "/gated-x"),
    "//gated",
    *(
        "//x/../gated-x",
        "/%2567ated",
        "/quick",
        "/quick/gated",
        "/GATED",
        "/gate",
        "/quick?/gated",
    ),
)


@pytest.mark.parametrize(
    ("pool", "running", "refused", "options"),
    [
        ("main", "/gated-stream", "/quick", "--wsgi-threads, --wsgi-workers"),
        ("slow", "/gated", "/gated", "--wsgi-pool"),
    ],
)
def test_the_log_names_the_options_that_give_a_pool_more_lanes(
    start_server, form, pool, running, refused, options
):
    server = start_server(
        *("--wsgi", "tests.apps.working:app", "--wsgi-threads", "1", "--wsgi-queue", "0"),
        *("--wsgi-pool", f"slow:/gated:{SIZE[form][0]}x1"),
        form=form,
    )
    ident, connection = new_id(), server.connect()
    connection.send_request("GET", f"{running}?id={ident}")
    server.wait_for_note("ran", ident)
    assert server.get(refused).status == 503
    [line] = server.log_lines(f"pool {pool}: 1 lanes are busy")
    assert f"({options}, --wsgi-queue, --wsgi-queue-timeout)" in line
    [line] = server.log_lines(f"pool {pool}: all 1 lanes have been busy for", 15)
    assert f"({options})" in line
    server.open_gate(ident)
    assert connection.reply().status == 200


def test_no_spelling_of_a_path_goes_round_its_pool(server):
    reports = [hold(server), hold(server), queue(server)]
    statuses = {target: server.get(target).status for target in SPELLINGS}
    assert [target for target, status in statuses.items() if status == 503] == list(SPELLINGS[:8])
    assert {statuses[target] for target in SPELLINGS[8:]} <= {200, 404}
    for ident, connection in reports:
        assert_answered(server, ident, connection)


def test_inside_a_pool_the_first_to_come_is_the_first_to_run(server):
    reports = [hold(server), hold(server)]
    waiting = queue(server)
    server.open_gate(waiting[0])
    assert not server.notes("ran", waiting[0])
    assert_answered(server, *reports[0])
    assert_answered(server, *waiting)
    assert_answered(server, *reports[1])


def test_an_upload_and_a_stream_go_through_a_named_pool(server):
    ident, body = new_id(), b"b" * 300_000
    with server.connect() as connection:
        connection.send_request("GET", f"/gated-stream?id={ident}")
        assert connection.next_chunk(connection.head()) == b"first;"
        server.open_gate(ident)
        assert connection.next_chunk() == b"second"
    reply = server.ask("POST", f"/gated?id={ident}", body=body)
    assert reply.text == f"done {ident}"


def test_running_requests_of_all_pools_are_answered_before_the_end(server):
    reports = [hold(server), hold(server)]
    server.signal(signal.SIGTERM)
    server.log_lines("stopping")
    for ident, connection in reports:
        assert_answered(server, ident, connection)
    assert server.wait() == 0
    assert poll(lambda: not server.session_pids())


def test_the_death_of_a_pool_s_process_is_no_matter_to_the_others(start_server):
    server = start_server(
        *("--wsgi", "tests.apps.working:app", "--wsgi-pool", "slow:/gated,/exiting:1x1"), form="process"
    )
    main = int(server.get("/quick").text)
    (slow,) = set(server.wsgi_pids()) - {main}
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/gated?id={ident}")
        server.wait_for_note("ran", ident)
        os.kill(slow, signal.SIGKILL)
        assert connection.reply().status == 502
    assert int(server.get("/quick").text) == main
    assert server.log_lines(f"WSGI process {slow} of pool slow ended")
    server.open_gate(ident)
    assert poll(lambda: server.get(f"/gated?id={ident}").status == 200)


def test_the_server_says_which_pools_there_are(server, form):
    size = "2 threads" if form == "threads" else "1 process x 2 threads"
    assert server.log_lines(f", pool slow in {size}")


def test_a_pool_s_paths_are_those_below_the_root_path(start_server, form):
    server = start_server(
        *("--wsgi", "tests.apps.working:app", "--wsgi-threads", "1", "--root-path", "/here"),
        *("--wsgi-pool", f"slow:/gated:{SIZE[form]}"),
        form=form,
    )
    ident, connection = new_id(), server.connect()
    connection.send_request("GET", f"/here/gated?id={ident}")
    server.wait_for_note("ran", ident)
    assert server.get("/here/quick").status == 200  # the only lane of the main pool is free
    assert_answered(server, ident, connection)

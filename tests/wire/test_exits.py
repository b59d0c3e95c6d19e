"""A view that hangs keeps no process from running what is registered for its exit."""

import os
import signal
import time

import pytest

from tests.server import freeze, has_ended, limited, new_id, poll

SERVE = ("--wsgi", "tests.apps.leaving:app")
PATIENT = limited(CUT_GRACE=2.0)


@pytest.fixture
def start(start_server):
    """A server with WSGI processes, whose functions for the exit take `takes` seconds. One in which a view
    hangs is told to end, and has half a second for a sign of life: `PATIENT`, longer.
    """

    def start(*options, takes=0.0, python=PATIENT):
        return start_server(*SERVE, *options, form=None, env={"EXIT_TAKES": str(takes)}, python=python)

    return start


def hang(server, how):
    """Make a view hang; return the process it hangs in, and the connection."""
    ident, connection = new_id(), server.connect()
    connection.send_request("GET", f"/{how}?id={ident}&seconds=60")
    return server.wait_for_note("ran", ident)["pid"], connection


def pids_of(server, kind):
    return {note["pid"] for note in server.notes(kind, "exit")}


@pytest.mark.parametrize("how", ["sleeping", "burning", "querying", "printing", "stuck"])
def test_a_process_in_which_a_view_hangs_leaves_as_others_do(start, how):
    server = start("--graceful-timeout", "0.5")
    pid, _ = hang(server, how)
    server.stop()
    assert pids_of(server, "left") == {pid}
    assert server.log_lines("requests are cut off (1)")


@pytest.mark.parametrize("form", ["threads"])
def test_so_does_the_server_itself(start_server, form):
    server = start_server(*SERVE, "--graceful-timeout", "0.5", form=form)
    pid, _ = hang(server, "sleeping")
    server.stop()
    assert pids_of(server, "left") == {pid}


def test_one_that_a_reload_cuts_leaves_so_too(start):
    server = start("--graceful-timeout", "0.5", takes=1.0)
    pid, connection = hang(server, "sleeping")
    server.signal(signal.SIGHUP)
    assert connection.reply().status == 502
    assert poll(lambda: pids_of(server, "left") == {pid})
    assert poll(lambda: has_ended(pid))
    server.stop()


def test_one_that_is_replaced_leaves_so_too(start):
    server = start("--wsgi-threads", "1", "--wsgi-timeout", "0.5", takes=1.0)
    pid, connection = hang(server, "sleeping")
    assert connection.reply().status == 504
    assert server.log_lines("is replaced: more than half of its lanes are stuck")
    assert poll(lambda: pids_of(server, "left") == {pid})
    assert poll(lambda: has_ended(pid))
    server.stop()


@pytest.mark.parametrize("patience", ["0.5", "60"])
def test_the_others_have_their_time_when_a_view_hangs_in_one(start, patience):
    """Cut by the stop, or given up before."""
    server = start("--wsgi-workers", "2", "--graceful-timeout", "2", "--wsgi-timeout", patience, takes=1.5)
    pids = set(server.wsgi_pids())
    _, connection = hang(server, "sleeping")
    if patience != "60":
        assert connection.reply().status == 504
    server.stop()
    assert pids_of(server, "left") == pids


def test_what_is_to_be_done_at_the_exit_has_three_seconds_there_and_a_line_says_what_it_was(start):
    server = start("--graceful-timeout", "0.5", takes=60)
    pid, _ = hang(server, "sleeping")
    server.stop()
    assert pids_of(server, "leaving") == {pid}
    assert not pids_of(server, "left")
    says = "exit functions registered by the app are still running, at tests/apps/leaving.py"
    assert len(server.log_lines(says, enough=2)) == 2
    assert server.log_lines(f"WSGI process {pid} is still running: {says}")
    assert server.log_lines(f"WSGI process {pid} did not end within 3 s and is killed: {says}")


FREEING = """
import sys, time
from tests.apps.working import app

class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(9)

sys.keep = Slow()
"""


def test_that_python_takes_long_to_end_is_said(start_server, tmp_path):
    """Nothing of the process can tell by then."""
    (tmp_path / "freeing.py").write_text(FREEING)
    server = start_server("--wsgi", "freeing:app", cwd=tmp_path)
    server.stop()
    assert server.log_lines("is still running: it does not say what, so most likely Python itself is ending")


def test_one_that_has_given_a_sign_of_life_while_the_server_stood_still_is(start):
    server = start("--graceful-timeout", "0.5", takes=1.5, python=())
    pid, _ = hang(server, "sleeping")
    freeze(pid)
    server.signal(signal.SIGTERM)
    assert server.log_lines("requests are cut off (1)")
    freeze(server.pid)
    os.kill(pid, signal.SIGCONT)
    time.sleep(1.0)
    server.signal(signal.SIGCONT)
    assert server.wait() == 0
    assert pids_of(server, "left") == {pid}


def test_one_whose_lock_is_held_is_not_waited_for(start):
    """None of its functions can run."""
    server = start("--graceful-timeout", "0.5", python=())
    hang(server, "locking")
    server.signal(signal.SIGTERM)
    assert server.log_lines("requests are cut off (1)")
    began = time.monotonic()
    assert server.wait() == 0
    assert time.monotonic() - began < 3.0
    assert not pids_of(server, "leaving")
    assert "is still running" not in server.log
    assert "did not end within" not in server.log

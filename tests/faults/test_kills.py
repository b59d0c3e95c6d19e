"""kill -9 of WSGI processes under load: what is lost is what they ran; native routes never notice."""

import os
import signal
import time
from contextlib import ExitStack

import pytest

from tests.faults.load import Load
from tests.server import PATIENCE, limited, poll

pytestmark = pytest.mark.faults

SERVE = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.hanging:app", "--no-access-log")
KILLS = 10
LANES = 8


def serving(server):
    """The pid of the process that answers, or None."""
    reply = server.get("/quick")
    return int(reply.text) if reply.status == 200 else None


def test_ten_kills_lose_what_was_running_and_no_native_request(start_server):
    server = start_server(*SERVE, "--wsgi-threads", str(LANES), form="process")
    slowest = 0.0
    with ExitStack() as stack:
        native = stack.enter_context(Load(server, "/native/ping", 2))
        flask = stack.enter_context(Load(server, "/quick", 12))
        for number in range(KILLS):
            old = poll(lambda: serving(server))
            os.kill(old, signal.SIGKILL)
            killed = time.monotonic()
            assert poll(lambda old=old: serving(server) not in (None, old))
            slowest = max(slowest, time.monotonic() - killed)
            # A process answers before it has all of its lanes; killed then, it counts as not started.
            assert len(server.log_lines("is ready again", enough=number + 1)) > number
            time.sleep(0.2)
    assert set(native.told) == {200}
    assert native.told[200] > 100
    assert flask.told[200] > 100
    assert set(flask.told) <= {200, 502, "lost"}
    assert flask.told[502] + flask.told["lost"] <= KILLS * LANES
    assert slowest < PATIENCE, "a new process serves late"


def test_a_crash_loop_is_said_and_does_not_hold_native_routes_up(start_server, tmp_path):
    (tmp_path / "crashing.py").write_text(
        "import os, threading\n"
        "from tests.apps.working import app\n"
        "if os.path.exists('crash'):\n"
        "    threading.Timer(0.05, os._exit, [9]).start()\n"
    )
    server = start_server(
        *("--native", "tests.apps.natives:routes", "--wsgi", "crashing:app", "--no-access-log"),
        form="process",
        cwd=tmp_path,
        python=limited(CRASH_LOOP=5),  # deaths, each of which takes as long as a process does to start
    )
    (tmp_path / "crash").touch()
    os.kill(server.wsgi_pids()[0], signal.SIGKILL)
    with Load(server, "/native/ping", 1) as native:
        assert server.log_lines("this is a crash loop", 40)
    assert set(native.told) == {200}
    (tmp_path / "crash").unlink()
    server.signal(signal.SIGHUP)
    assert poll(lambda: server.get("/quick").status == 200)

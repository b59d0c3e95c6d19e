"""A WSGI process, told over its control channel what to do."""

import json
import signal
import subprocess
import sys

import pytest

from tests.waterspout.wsgi.channels import WORKER, open_channel
from tests.waterspout.wsgi.wires import Wire
from waterspout.wsgi.frames import FAILED, PUBLISH, READY, STOP

APPS = "tests.waterspout.wsgi.apps"


def test_it_serves_on_the_lanes_that_it_is_handed():
    with open_channel(*WORKER) as channel:
        assert channel.start() == (READY, None)
        with channel.open_lane() as first, channel.open_lane() as second:
            bodies = [Wire(lane).ask("/identity").body.split() for lane in (first, second, first)]
    assert {int(pid) for pid, _ in bodies} == {channel.process.pid}
    assert bodies[0] == bodies[2]
    assert bodies[0] != bodies[1]


@pytest.mark.parametrize(("threads", "multiprocess"), [(1, False), (2, True)])
def test_the_app_is_told_how_it_is_run(threads, multiprocess):
    with open_channel(*WORKER) as channel:
        channel.start(threads=threads, multiprocess=multiprocess)
        with channel.open_lane() as lane:
            environ = json.loads(Wire(lane).ask("/describe").body)
    assert environ["wsgi.multithread"] is (threads > 1)
    assert environ["wsgi.multiprocess"] is multiprocess


def test_a_factory_is_called_there():
    with open_channel(*WORKER) as channel:
        assert channel.start(f"{APPS}:make_app()") == (READY, None)
        with channel.open_lane() as lane:
            assert Wire(lane).ask("/hello").body == b"hello"


@pytest.mark.parametrize(
    ("target", "kind", "text"),
    [
        ("no_such_module:app", "TargetNotFound", "no module 'no_such_module'"),
        (f"{APPS}:nothing", "TargetNotFound", "has no 'nothing'"),
        (f"{APPS}:not_an_app", "TargetNotFound", "not a WSGI callable: its type is int"),
        (f"{APPS}:raise_at_once()", "TargetRaised", "LookupError: no database"),
    ],
)
def test_an_app_that_can_t_be_loaded_is_reported(target, kind, text):
    with open_channel(*WORKER) as channel:
        said, failure = channel.start(target)
        assert channel.exit_code() == 1
    assert said == FAILED
    assert failure["kind"] == kind
    assert text in failure["text"]


def test_it_stays_small():
    """It has no event loop: neither Tornado nor asyncio nor the command line is ever imported."""
    with open_channel(*WORKER) as channel:
        channel.start()
        with channel.open_lane() as lane:
            loaded = {name.partition(".")[0] for name in json.loads(Wire(lane).ask("/modules").body)}
    assert not loaded & {"tornado", "uvloop", "click", "flask", "werkzeug"}
    assert not loaded & {"asyncio", "ssl", "subprocess", "secrets"}


def test_publishing_makes_it_no_larger():
    with open_channel(*WORKER) as channel:
        channel.start()
        with channel.open_lane() as lane:
            wire = Wire(lane)
            assert wire.ask("/publishes").body == b"published"
            loaded = {name.partition(".")[0] for name in json.loads(wire.ask("/modules").body)}
        assert channel.hear() == (PUBLISH, b'from-the-app\n{"pid":%d}' % channel.process.pid)
    assert not loaded & {"tornado", "asyncio"}


def test_told_to_stop_it_finishes_what_runs_and_exits(tmp_path):
    gate = tmp_path / "gate"
    with open_channel(*WORKER) as channel:
        channel.start()
        with channel.open_lane() as lane:
            wire = Wire(lane)
            wire.begin(f"/half?{gate}")
            wire.read_until(lambda reply: reply.body)
            channel.order(STOP)
            gate.touch()
            assert wire.finish().body == b"first;second"
        assert channel.exit_code() == 0


def test_told_to_stop_it_does_not_wait_for_a_view_that_hangs(tmp_path):
    with open_channel(*WORKER) as channel:
        channel.start()
        with channel.open_lane() as lane:
            Wire(lane).begin(f"/gated?{tmp_path / 'never'}")
            channel.order(STOP)
            assert channel.exit_code() == 0


def test_told_to_stop_it_sends_first_what_was_published():
    with open_channel(*WORKER) as channel:
        channel.start()
        with channel.open_lane() as lane:
            Wire(lane).ask("/publishes")
            channel.order(STOP)
        assert channel.hear()[0] == PUBLISH
        assert channel.exit_code() == 0


def test_when_the_server_is_gone_it_ends_even_under_a_view_that_does_not(tmp_path):
    with open_channel(*WORKER) as channel:
        channel.start()
        with channel.open_lane() as lane:
            Wire(lane).begin(f"/gated?{tmp_path / 'never'}")
            channel.sock.close()
            assert channel.exit_code() in (0, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_obeys_no_signal_that_is_sent_to_a_whole_group(number):
    with open_channel(*WORKER) as channel:
        channel.start()
        for _ in range(3):
            channel.process.send_signal(number)
        with channel.open_lane() as lane:
            assert Wire(lane).ask("/hello").body == b"hello"
        channel.order(STOP)
        assert channel.exit_code() == 0


def test_it_looks_for_modules_where_the_server_does(tmp_path, monkeypatch):
    (tmp_path / "found_by_path.py").write_text("def app(environ, start_response): pass")
    with open_channel(*WORKER) as channel:
        assert channel.start("found_by_path:app")[0] == FAILED
    with open_channel(*WORKER) as channel:
        assert channel.start("found_by_path:app", path=[str(tmp_path), *sys.path])[0] == READY


def test_an_app_finds_itself_alone_while_it_is_loaded(tmp_path):
    """Tryton refuses to be loaded where it sees other threads."""
    (tmp_path / "seeing_threads.py").write_text(
        "import threading\napp = print if threading.enumerate() == [threading.main_thread()] else None"
    )
    with open_channel(*WORKER) as channel:
        assert channel.start("seeing_threads:app", path=[str(tmp_path), *sys.path]) == (READY, None)


@pytest.mark.parametrize("pythonpath", [None, "/somewhere/else"])
def test_the_app_s_own_programs_get_the_server_s_pythonpath(tmp_path, monkeypatch, pythonpath):
    (tmp_path / "showing_path.py").write_text(
        "import os\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [repr(os.environ.get('PYTHONPATH')).encode()]\n"
    )
    if pythonpath is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", pythonpath)
    with open_channel(*WORKER) as channel:
        channel.start("showing_path:app", path=[str(tmp_path), *sys.path])
        with channel.open_lane() as lane:
            assert Wire(lane).ask().body == repr(pythonpath).encode()


def test_with_debug_what_the_app_raises_is_shown_whole():
    with open_channel(*WORKER, stderr=subprocess.PIPE) as channel:
        assert channel.start(f"{APPS}:raise_at_once()", debug=True)[0] == FAILED
        channel.exit_code()
        assert b"Traceback" in channel.process.stderr.read()


def test_a_process_that_can_not_have_its_first_threads_says_so_in_a_line():
    code = (
        "import _thread, sys\n"
        'def refuse(*arguments): raise RuntimeError("can\'t start new thread")\n'
        "_thread.start_new_thread = refuse\n"
        "from waterspout.wsgi.worker.child import main\n"
        "sys.exit(main())\n"
    )
    with open_channel("-c", code, stderr=subprocess.PIPE) as channel:
        said, failure = channel.start()
        assert channel.exit_code() == 1
        assert channel.process.stderr.read() == b""
    assert said == FAILED
    assert failure["text"].startswith(
        "can't start new thread, not even for the control channel; allow more (ulimit -u, "
    )

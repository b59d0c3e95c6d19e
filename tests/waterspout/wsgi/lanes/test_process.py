"""One WSGI process, from its start to its end, as the event loop sees it."""

import asyncio
import errno
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

from tests.server import freeze
from tests.waterspout.processes import is_alive
from tests.waterspout.wsgi.jobs import Job, wait_for
from waterspout.exceptions import ConfigurationError, TargetNotFound, TargetRaised, WaterspoutError
from waterspout.wsgi.frames import PING
from waterspout.wsgi.lanes import process
from waterspout.wsgi.lanes.crew import CrewEvents, CrewSpec
from waterspout.wsgi.lanes.process import ProcessCrew

pytestmark = pytest.mark.gen_test(timeout=40)

APPS = "tests.waterspout.wsgi.apps"


class Watched(ProcessCrew):
    """A crew and what it has reported: `gone_told`, `published`."""

    def __init__(self, target, threads=2, **options):
        self.gone_told = 0
        self.published = []
        events = CrewEvents(
            lambda crew, lane: crew.idle.append(lane),
            lambda crew: self.count_gone(),
            on_publish=lambda *message: self.published.append(message),
        )
        super().__init__(CrewSpec(target, threads, **options), events)

    def count_gone(self):
        self.gone_told += 1

    def begin(self, *arguments, **options):
        job = Job(*arguments, **options)
        job.start(self.idle.popleft())
        return job

    async def ask(self, *arguments, **options):
        return await self.begin(*arguments, **options).answer()


@pytest.fixture
def make_crew(io_loop):
    """Crews whose processes are gone in the end, whatever a test does."""
    crews = []

    def make(target=f"{APPS}:app", **options):
        crews.append(Watched(target, **options))
        return crews[-1]

    yield make
    for crew in crews:
        io_loop.run_sync(crew.stop)
        assert crew.gone
        assert not is_alive(crew.pid)


@pytest.fixture
def start_crew(make_crew):
    async def start(*arguments, **options):
        crew = make_crew(*arguments, **options)
        await crew.start()
        return crew

    return start


async def test_a_started_crew_is_ready_and_has_its_lanes(make_crew):
    crew = make_crew(threads=3)
    assert not crew.ready
    await crew.start()
    assert crew.ready
    assert not crew.gone
    assert (len(crew.idle), crew.busy) == (3, 0)
    assert is_alive(crew.pid)


async def test_requests_run_in_threads_of_the_other_process(start_crew):
    crew = await start_crew()
    first, second = [(await crew.ask("/identity")).split() for _ in range(2)]
    assert int(first[0]) == int(second[0]) == crew.pid != os.getpid()
    assert first[1] != second[1]


async def test_the_app_is_told_how_it_is_run(start_crew):
    crew = await start_crew(threads=1, multiprocess=True)
    environ = json.loads(await crew.ask("/describe"))
    assert (environ["wsgi.multithread"], environ["wsgi.multiprocess"]) == (False, True)


async def test_it_seems_to_be_called_as_the_server_was(start_crew):
    crew = await start_crew()
    assert json.loads(await crew.ask("/arguments")) == sys.argv


async def test_what_is_published_there_arrives_here(start_crew):
    crew = await start_crew()
    assert await crew.ask("/publishes") == b"published"
    await wait_for(lambda: crew.published)
    assert crew.published == [("from-the-app", b'{"pid":%d}' % crew.pid)]


async def test_warnings_and_optimisation_are_those_of_this_interpreter(start_crew, tmp_path, monkeypatch):
    (tmp_path / "showing_flags.py").write_text(
        "import sys\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [repr((sys.flags.optimize, sys.warnoptions)).encode()]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "warnoptions", ["error::BytesWarning", "ignore::UserWarning"])
    crew = await start_crew("showing_flags:app")
    assert eval(await crew.ask("/")) == (sys.flags.optimize, ["error::BytesWarning", "ignore::UserWarning"])


@pytest.mark.parametrize(
    ("target", "error", "text"),
    [
        ("no_such_module:app", TargetNotFound, "there is no module 'no_such_module'"),
        (f"{APPS}:nothing", TargetNotFound, "has no 'nothing'"),
        (f"{APPS}:raise_at_once()", TargetRaised, "LookupError: no database"),
        ("nonsense", TargetNotFound, "write MODULE:NAME"),
    ],
)
async def test_an_app_that_can_t_be_loaded_is_the_same_error_as_here(make_crew, caplog, target, error, text):
    crew = make_crew(target)
    with pytest.raises(error, match=re.escape(text)) as caught:
        await crew.start()
    assert type(caught.value) is error
    await wait_for(lambda: crew.gone)
    assert not crew.ready


async def test_debug_without_werkzeug_is_a_configuration_error(make_crew, tmp_path, monkeypatch):
    (tmp_path / "werkzeug.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match="pip install werkzeug"):
        await make_crew(debug=True).start()


async def test_a_process_that_dies_while_it_starts_is_an_error(make_crew):
    crew = make_crew(f"{APPS}:end_at_once()")
    with pytest.raises(WaterspoutError, match=r"ended before it was ready: exit status 4 \(.*os\._exit\(\)"):
        await crew.start()
    assert not crew.ready
    await wait_for(lambda: crew.gone_told == 1)


@pytest.mark.parametrize("is_noticed", [False, True])
async def test_of_a_process_that_dies_while_it_is_given_its_lanes_the_end_is_told(
    make_crew, monkeypatch, is_noticed
):
    crew = make_crew()
    open_lane = crew._open_lane

    async def open_after_its_death():
        os.kill(crew.pid, signal.SIGKILL)
        os.waitid(os.P_PID, crew.pid, os.WEXITED | os.WNOWAIT)
        if is_noticed:
            await wait_for(lambda: crew.gone)
        else:
            crew._order(PING)  # as `open_lane` does, but before its end can be noticed
        await open_lane()

    monkeypatch.setattr(crew, "_open_lane", open_after_its_death)
    with pytest.raises(WaterspoutError, match="ended before it was ready: killed by SIGKILL"):
        await crew.start()
    assert not crew.ready
    assert crew.killed
    assert crew.gone_told == 1


FREEING = """
from tests.waterspout.wsgi.apps import app
import sys, time

class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(4)

sys.keep = Slow()
"""


async def test_that_python_takes_a_moment_to_end_is_no_news(start_crew, tmp_path, monkeypatch, caplog):
    """It does on a busy machine, and in a large app. No thread of the process answers any more."""
    (tmp_path / "freeing_moment.py").write_text(FREEING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(process, "END_GUESSED", 30)
    crew = await start_crew("freeing_moment:app")
    with caplog.at_level(logging.INFO, "waterspout.wsgi"):
        await crew.stop(35)
    assert "is still running" not in caplog.text


async def test_a_start_that_is_cancelled_leaves_no_process(make_crew, tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text("import time; time.sleep(30)")
    monkeypatch.syspath_prepend(tmp_path)
    crew = make_crew("slow_to_import:app")
    starting = asyncio.ensure_future(crew.start())
    await asyncio.sleep(0.3)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await wait_for(lambda: crew.gone)


async def test_a_process_that_is_killed_is_gone_once_and_so_is_what_it_ran(start_crew, tmp_path, caplog):
    crew = await start_crew()
    jobs = [crew.begin(f"/half?{tmp_path / 'never'}") for _ in range(2)]
    await wait_for(lambda: all(job.body for job in jobs))
    os.kill(crew.pid, signal.SIGKILL)
    assert [await job.end() for job in jobs] == ["lost", "lost"]
    await wait_for(lambda: crew.gone)
    assert (crew.gone_told, len(crew.idle), crew.busy) == (1, 0, 0)
    assert f"WSGI process {crew.pid} ended: killed by SIGKILL" in caplog.text
    assert "; it ran GET /half for 0 s, GET /half for 0 s; starting another" in caplog.text
    assert crew.crashed


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="there all signals have names")
async def test_one_that_is_killed_by_a_signal_without_a_name_is_gone(start_crew, caplog):
    crew = await start_crew()
    number = signal.SIGRTMIN + 1
    os.kill(crew.pid, number)
    await wait_for(lambda: crew.gone_told == 1)
    assert f"WSGI process {crew.pid} ended: killed by signal {number}; it ran nothing" in caplog.text


@pytest.mark.parametrize("is_seen_first", ["its end", "the end of its lanes"])
async def test_a_process_is_not_said_to_have_run_what_it_never_read(start_crew, caplog, is_seen_first):
    crew = await start_crew(threads=1)
    [lane] = crew.lanes
    freeze(crew.pid)
    job = crew.begin("/hello")
    await asyncio.sleep(0.05)  # uvloop writes at the end of the turn
    os.kill(crew.pid, signal.SIGKILL)
    os.waitid(os.P_PID, crew.pid, os.WEXITED | os.WNOWAIT)
    if is_seen_first == "its end":
        crew._on_exit(crew._process)
    else:
        lane.close()
    assert await job.end() == "unread"
    await wait_for(lambda: crew.gone)
    assert f"WSGI process {crew.pid} ended: killed by SIGKILL" in caplog.text
    assert "; it ran nothing; starting another" in caplog.text


async def test_one_that_is_killed_as_it_drains_has_crashed(start_crew, tmp_path, caplog):
    crew = await start_crew()
    job = crew.begin(f"/half?{tmp_path / 'never'}")
    await wait_for(lambda: job.body)
    crew.draining = True
    os.kill(crew.pid, signal.SIGKILL)
    await crew.stop()
    assert crew.crashed
    assert f"WSGI process {crew.pid} ended: killed by SIGKILL" in caplog.text
    assert "; it ran GET /half for 0 s; another has taken its place" in caplog.text


async def test_one_that_is_told_to_stop_again_when_it_has_ended_has_not_crashed(start_crew, caplog):
    """By a stop of the whole pool, before its exit is noticed."""
    crew = await start_crew()
    stopping = asyncio.create_task(crew.stop())
    await asyncio.sleep(0)
    os.waitid(os.P_PID, crew.pid, os.WEXITED | os.WNOWAIT)
    await crew.stop()
    await stopping
    assert not crew.crashed
    assert " ended: " not in caplog.text


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV"])
async def test_one_that_had_died_before_it_was_told_to_stop_has_crashed(
    start_crew, tmp_path, caplog, name, is_known
):
    """Its lanes are seen to close first, and it is told to stop, before its exit is noticed. `is_known`: and
    when it could be, as the kernel closes its descriptors a moment earlier.
    """
    crew = await start_crew()
    job = crew.begin(f"/half?{tmp_path / 'never'}")
    await wait_for(lambda: job.body)
    crew.draining = True
    os.kill(crew.pid, signal.Signals[name])
    os.waitid(os.P_PID, crew.pid, os.WEXITED | os.WNOWAIT)
    if not is_known:
        crew._process.poll = lambda: None
    await crew.stop()
    assert crew.crashed
    assert f"WSGI process {crew.pid} ended: killed by {name}" in caplog.text
    assert "this server" not in caplog.text
    assert "; another has taken its place" in caplog.text


async def test_of_one_that_dies_as_the_pool_stops_no_other_is_said_to_be_started(start_crew, caplog):
    crew = await start_crew()
    crew.is_last = crew.draining = True
    os.kill(crew.pid, signal.SIGKILL)
    await wait_for(lambda: crew.gone)
    assert f"WSGI process {crew.pid} ended: killed by SIGKILL" in caplog.text
    assert "another" not in caplog.text


async def test_one_that_is_told_to_stop_and_hears_no_orders_has_not_crashed(start_crew, caplog):
    crew = await start_crew()
    crew._control.shutdown(socket.SHUT_RDWR)
    freeze(crew.pid)
    await crew.stop()
    assert not crew.crashed
    assert "ended" not in caplog.text


async def test_one_that_hears_no_orders_is_not_said_to_lack_memory(start_crew, caplog):
    crew = await start_crew()
    crew._control.shutdown(socket.SHUT_RDWR)
    with pytest.raises(OSError):
        crew._order(PING)
    await wait_for(lambda: crew.gone)
    assert "killed, probably by this server: it no longer got orders" in caplog.text
    assert "memory" not in caplog.text


async def test_one_that_hears_no_orders_does_not_say_where_it_stands(start_crew):
    crew = await start_crew()
    crew._control.shutdown(socket.SHUT_RDWR)
    assert await crew.find_place() == ""


async def test_one_whose_control_channel_is_garbled_is_ended(start_crew, caplog):
    crew = await start_crew()
    crew._parser.feed(b"\xff\xff\xff")  # bytes that nobody sent, before the rest
    crew.ping()
    await wait_for(lambda: crew.gone)
    assert "its control channel carried data that Waterspout did not send" in caplog.text
    assert "killed by this server" in caplog.text


async def test_a_process_that_is_killed_when_it_is_idle_is_gone_too(start_crew):
    crew = await start_crew()
    crew.kill()
    await wait_for(lambda: crew.gone_told == 1)
    assert (crew.gone, len(crew.idle)) == (True, 0)
    crew.kill()


async def test_a_view_that_ends_the_process_is_lost_and_told_with_its_status(start_crew, caplog):
    crew = await start_crew()
    job = crew.begin("/exits")
    assert await job.end() == "lost"
    await wait_for(lambda: crew.gone)
    assert "exit status 3 (the app ended it: os._exit(), or C code); it ran GET /exits" in caplog.text


async def test_its_last_words_are_heard(start_crew, tmp_path, monkeypatch):
    (tmp_path / "last_words.py").write_text(
        "import os, time\n"
        "from waterspout import publish\n"
        "def app(environ, start_response):\n"
        "    publish('last', 'words')\n"
        "    time.sleep(0.3)\n"
        "    os._exit(0)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    crew = await start_crew("last_words:app")
    job = crew.begin("/")
    assert await job.end() == "lost"
    await wait_for(lambda: crew.gone)
    assert crew.published == [("last", b'"words"')]


async def test_a_stopped_process_exits_without_a_word_in_the_log(start_crew, caplog):
    caplog.set_level(logging.INFO, "waterspout.wsgi")
    crew = await start_crew()
    await crew.ask("/hello")
    await crew.stop()
    assert crew.gone
    assert not is_alive(crew.pid)
    assert crew.gone_told == 1
    assert caplog.messages == []
    await crew.stop()


async def test_a_process_that_does_not_stop_is_killed(start_crew, tmp_path):
    crew = await start_crew()
    crew.begin(f"/gated?{tmp_path / 'never'}")
    await asyncio.sleep(0.1)
    await crew.stop(0.2)
    assert crew.gone
    assert not crew.crashed
    assert not is_alive(crew.pid)


async def test_a_process_that_is_not_ready_in_time_is_killed(make_crew, tmp_path, monkeypatch):
    (tmp_path / "slow_to_start.py").write_text("import time; time.sleep(30)")
    monkeypatch.syspath_prepend(tmp_path)
    crew = make_crew("slow_to_start:app", ready_timeout=0.3)
    with pytest.raises(WaterspoutError, match="not ready within"):
        await crew.start()
    await wait_for(lambda: crew.gone)


async def test_one_that_has_been_killed_is_not_blamed_for_the_time_that_its_end_takes(
    make_crew, tmp_path, monkeypatch, caplog
):
    """The kernel may need a second to end a process: a machine that is too busy, much memory to free."""
    kill = ProcessCrew._kill
    monkeypatch.setattr(Watched, "_kill", lambda crew: crew._loop.call_later(0.6, kill, crew))
    (tmp_path / "slow_to_start.py").write_text("import ctypes; ctypes.PyDLL(None).sleep(30)")
    monkeypatch.syspath_prepend(tmp_path)
    crew = make_crew("slow_to_start:app", ready_timeout=0.3)
    with pytest.raises(WaterspoutError, match="not ready within"):
        await crew.start()
    await crew.stop(0.1)
    assert crew.gone
    assert not caplog.messages


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signals_of_the_group_do_not_end_it(start_crew, number):
    crew = await start_crew()
    os.kill(crew.pid, number)
    assert await crew.ask("/hello") == b"hello"


async def test_one_that_is_told_twice_to_stop_is_said_to_have_had_the_time_that_it_had(start_crew, caplog):
    crew = await start_crew()
    assert await crew.ask("/hello") == b"hello"
    await wait_for(lambda: not crew.busy)
    freeze(crew.pid)
    first = asyncio.create_task(crew.stop(0.3))
    await asyncio.sleep(0.1)
    await asyncio.gather(first, crew.stop(30))
    assert caplog.text.count("did not end within 0.3 s") == 2
    assert "within 30 s" not in caplog.text


async def test_that_somebody_has_stopped_one_which_does_not_end_is_said(start_crew, caplog):
    caplog.set_level(logging.INFO, "waterspout.wsgi")
    crew = await start_crew()
    freeze(crew.pid)
    await crew.stop(2.5)
    [still, killed] = caplog.messages
    why = "nothing to serve but {} somebody has stopped it (SIGSTOP, a debugger)"
    assert why.format("is still running:") in still
    assert why.format("did not end within 2.5 s and is killed:") in killed


async def test_without_pidfds_a_thread_waits_for_its_end(start_crew, monkeypatch):
    """As on macOS."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    crew = await start_crew()
    assert await crew.ask("/hello") == b"hello"
    crew.kill()
    await wait_for(lambda: crew.gone_told == 1)


@pytest.fixture
def far_ends(monkeypatch):
    """Those of lanes that a process has been sent, and whether each was still open then."""
    hand_over, handed = Watched._hand_over, []

    def watch(crew, far_end, backlog):
        hand_over(crew, far_end, backlog)
        handed.append((far_end, far_end.fileno() >= 0))

    monkeypatch.setattr("waterspout.wsgi.lanes.crew.is_possible", lambda: False)
    monkeypatch.setattr(Watched, "_hand_over", watch)
    return handed


async def test_a_lane_s_far_end_stays_open_until_the_process_has_it(make_crew, monkeypatch, far_ends):
    """Otherwise macOS may lose it."""
    monkeypatch.setattr(process, "_KEPT", 0.1)
    crew = make_crew()
    await crew.start()
    assert await crew.ask("/hello") == b"hello"
    assert [was_open for _, was_open in far_ends] == [True, True]
    await wait_for(lambda: all(far_end.fileno() < 0 for far_end, _ in far_ends))
    assert await crew.ask("/hello") == b"hello"


async def test_but_no_longer_than_there_is_a_process(make_crew, monkeypatch, far_ends):
    """A test may end its server, and close the event loop, before."""
    monkeypatch.setattr(process, "_KEPT", 60.0)
    crew = make_crew()
    await crew.start()
    await crew.stop()
    assert [(far_end.fileno(), was_open) for far_end, was_open in far_ends] == [(-1, True)] * 2


async def test_where_no_more_processes_are_allowed_the_error_names_what_limits_them(monkeypatch):
    def refuse(*arguments, **options):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(process.subprocess, "Popen", refuse)
    with pytest.raises(WaterspoutError, match=r"unavailable \(allow more processes and threads: ulimit -u"):
        await Watched(f"{APPS}:app").start()


async def test_without_pidfds_and_threads_it_is_not_left_to_itself(make_crew, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(threading.Thread, "start", start)
    crew = make_crew()
    with pytest.raises(WaterspoutError, match="can't be started: can't start new thread"):
        await crew.start()
    assert crew.gone
    assert crew.gone_told == 1
    assert not is_alive(crew.pid)


@pytest.mark.parametrize("refused", [1, 2], ids=["its channel", "its end"])
async def test_one_that_can_t_be_watched_is_not_left_to_itself(make_crew, monkeypatch, refused):
    crew = make_crew()
    loop = asyncio.get_running_loop()
    watch, watched = loop.add_reader, []

    def add_reader(*arguments):
        watched.append(arguments)
        if len(watched) == refused:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        watch(*arguments)

    monkeypatch.setattr(loop, "add_reader", add_reader, raising=False)
    with pytest.raises(WaterspoutError, match="No space left"):
        await crew.start()
    monkeypatch.undo()
    assert crew.gone
    assert crew.gone_told == 1
    assert not is_alive(crew.pid)
    await asyncio.wait_for(crew.stop(), 5)


async def test_one_that_can_t_be_given_lanes_is_not_left_to_itself(make_crew, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

    crew = make_crew()
    monkeypatch.setattr(socket, "send_fds", refuse)
    with pytest.raises(WaterspoutError, match="No buffer space"):
        await crew.start()
    monkeypatch.undo()
    await wait_for(lambda: crew.gone)
    assert not is_alive(crew.pid)


@pytest.mark.parametrize("spared", [0, 1], ids=["itself", "its lanes"])
async def test_one_for_which_no_descriptor_is_left_is_starved(make_crew, monkeypatch, spared):
    pairs = [socket.socketpair() for _ in range(spared)]

    def make_pair():
        if not pairs:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return pairs.pop()

    crew = make_crew()
    monkeypatch.setattr(socket, "socketpair", make_pair)
    with pytest.raises(WaterspoutError, match=os.strerror(errno.EMFILE)):
        await crew.start()
    assert crew.starved
    monkeypatch.undo()
    if spared:
        await wait_for(lambda: crew.gone)
    else:
        await asyncio.wait_for(crew.stop(), 5)
        crew.gone = True  # it never was


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM])
async def test_one_for_which_no_process_is_left_is_starved(make_crew, monkeypatch, number):
    def fork(*_arguments, **_named):
        raise OSError(number, os.strerror(number))

    crew = make_crew()
    monkeypatch.setattr(subprocess, "Popen", fork)
    with pytest.raises(WaterspoutError, match=os.strerror(number)):
        await crew.start()
    assert crew.starved
    await asyncio.wait_for(crew.stop(), 5)
    crew.gone = True  # it never was


async def test_one_that_does_not_take_its_lanes_is_not_starved(make_crew, monkeypatch):
    def refuse(*_):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr("waterspout.wsgi.lanes.crew._HAND_OVER_TRIES", 0)
    crew = make_crew()
    monkeypatch.setattr(crew, "_hand_over", refuse)
    with pytest.raises(WaterspoutError, match="temporarily unavailable"):
        await crew.start()
    assert not crew.starved
    await wait_for(lambda: crew.gone)


async def test_one_that_was_told_half_an_order_is_replaced(start_crew, monkeypatch):
    crew = await start_crew()
    monkeypatch.setattr(socket, "send_fds", lambda sock, data, descriptors: sock.send(data[0][:1]))
    crew.ping()
    monkeypatch.undo()
    await wait_for(lambda: crew.gone)
    assert crew.crashed  # which the supervisor replaces
    assert not is_alive(crew.pid)


async def test_it_gives_a_sign_of_life_when_it_is_asked_for_one(start_crew):
    crew = await start_crew()
    crew.ping()
    assert crew.awaited
    await wait_for(lambda: not crew.awaited)


async def test_it_is_still_asked_for_one_when_it_has_been_asked_where_many_threads_stand(start_crew):
    crew = await start_crew()
    freeze(crew.pid)
    for thread in range(1000):
        crew.locate(thread, lambda place: None)
    crew.ping()
    os.kill(crew.pid, signal.SIGCONT)
    await wait_for(lambda: not crew.awaited)


async def test_it_tells_where_it_stands_unless_its_lock_is_held(start_crew, monkeypatch):
    monkeypatch.setattr("waterspout.wsgi.lanes.crew.PLACE_PATIENCE", 0.3)
    crew = await start_crew()
    assert re.fullmatch(r"\S+:\d+ in \w+", await crew.find_place())
    freeze(crew.pid)
    sent = len(crew._asked)
    assert await crew.find_place() == ""
    assert await crew.find_place() == ""
    assert (sent, len(crew._asked)) == (0, 1)
    os.kill(crew.pid, signal.SIGCONT)
    await wait_for(lambda: not crew._asked)
    assert await crew.find_place()
    crew.kill()
    await wait_for(lambda: crew.gone)
    assert await crew.find_place() == ""


async def test_an_app_that_patches_threads_and_is_never_loaded_is_refused(make_crew, tmp_path, monkeypatch):
    """When it is asked where it stands."""
    (tmp_path / "green_and_stuck.py").write_text(
        "import sys, time, types\n"
        "sys.modules['gevent.monkey'] = types.SimpleNamespace(is_module_patched=lambda name: True)\n"
        "time.sleep(60)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    crew = make_crew("green_and_stuck:app")
    starting = asyncio.ensure_future(crew.start())
    while not starting.done():
        await asyncio.wait([starting], timeout=0.1)
        await crew.find_place()
    with pytest.raises(ConfigurationError, match="patches Python's threads for gevent"):
        await starting
    await wait_for(lambda: crew.gone)


async def test_its_size_is_known_while_it_lives(start_crew):
    crew = await start_crew()
    assert 1_000_000 < crew.measure() < 1_000_000_000
    crew.kill()
    await wait_for(lambda: crew.gone)
    assert crew.measure() is None
    crew.ping()


async def test_a_killed_process_is_given_nothing_more(start_crew):
    crew = await start_crew()
    crew.kill()
    assert len(crew.idle) == 0


async def test_one_that_is_to_be_killed_is_given_nothing_by_a_view_that_ends_before(
    start_crew, tmp_path, monkeypatch
):
    monkeypatch.setattr(process, "_LAST_WORDS", 60)
    crew = await start_crew(threads=1)
    [lane] = crew.lanes
    job = crew.begin(f"/gated?{tmp_path / 'gate'}")
    crew.dump_and_kill()
    (tmp_path / "gate").touch()
    await job.answer()
    await wait_for(lambda: not lane.busy)
    assert len(crew.idle) == 0
    crew.kill()


@pytest.mark.parametrize("nice", [0, 4])
async def test_all_its_threads_are_as_nice_as_is_asked(start_crew, nice):
    crew = await start_crew(nice=nice)
    await crew.ask("/hello")
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    threads = [int(name) for name in os.listdir(f"/proc/{crew.pid}/task")]
    assert len(threads) > 3
    assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads} == {min(19, ours + nice)}


def with_names(crew):
    """Give it more names than its control channel can hold."""
    for number in range(5000):
        crew.spec.link.native.add(f"/{'x' * 300}/{number}", str(number), defaults=None, methods=None)
    return crew


async def test_an_order_larger_than_its_channel_is_sent_as_it_takes_it(make_crew):
    crew = with_names(make_crew())
    await crew.start()
    assert crew.ready


async def test_a_process_that_dies_while_it_is_told_something_is_an_error_at_once(make_crew, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    crew = with_names(make_crew())
    with pytest.raises(WaterspoutError, match="ended before it was ready: exit status 1"):
        await crew.start()


async def test_one_that_is_told_something_can_be_stopped(make_crew, tmp_path, monkeypatch):
    """It takes nothing, and is not waited for."""
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(sleeper))
    crew = with_names(make_crew())
    starting = asyncio.ensure_future(crew.start())
    await asyncio.sleep(0.2)
    await asyncio.wait_for(crew.stop(), 5)
    with pytest.raises(WaterspoutError):
        await starting

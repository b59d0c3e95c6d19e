"""Lane workers as threads of this process."""

import errno
import json
import os
import socket
import threading

import pytest

from tests.waterspout.wsgi import apps
from tests.waterspout.wsgi.jobs import Job, wait_for
from waterspout.exceptions import TargetNotFound, TargetRaised, WaterspoutError
from waterspout.limits import BACKLOGS
from waterspout.wsgi.backlog import is_possible
from waterspout.wsgi.lanes.crew import CrewEvents, CrewSpec
from waterspout.wsgi.lanes.threads import ThreadCrew

pytestmark = pytest.mark.gen_test(timeout=20)


def count_lane_threads():
    return sum(thread.name.startswith("waterspout-lane-") for thread in threading.enumerate())


@pytest.fixture
def start_crew(io_loop):
    """Start a crew; its threads must all be gone in the end."""
    crews = []

    async def start(target=apps.app, threads=2):
        events = CrewEvents(lambda crew, lane: crew.idle.append(lane), lambda crew: None)
        crews.append(ThreadCrew(CrewSpec(target, threads), events))
        await crews[-1].start()
        return crews[-1]

    yield start
    for crew in crews:
        io_loop.run_sync(crew.stop)
    io_loop.run_sync(lambda: wait_for(lambda: count_lane_threads() == 0))


async def ask(crew, *arguments, **options):
    job = Job(*arguments, **options)
    job.start(crew.idle.popleft())
    return await job.answer()


@pytest.mark.parametrize("target", [apps.app, "tests.waterspout.wsgi.apps:app"])
async def test_requests_run_in_threads_of_this_process(start_crew, target):
    crew = await start_crew(target)
    pid, thread = map(int, (await ask(crew, "/identity")).split())
    assert pid == os.getpid()
    assert thread != threading.get_ident()


async def test_each_lane_has_a_thread_of_its_own(start_crew):
    crew = await start_crew(threads=3)
    assert count_lane_threads() == 3
    assert len({await ask(crew, "/identity") for _ in range(3)}) == 3


async def test_of_many_lanes_only_some_have_a_backlog(start_crew):
    """Each takes five descriptors."""
    crew = await start_crew(threads=BACKLOGS + 2)
    assert sum(lane.backlog is not None for lane in crew.lanes) == (BACKLOGS if is_possible() else 0)


@pytest.mark.parametrize("threads", [1, 2])
async def test_the_app_is_told_how_it_is_run(start_crew, threads):
    environ = json.loads(await ask(await start_crew(threads=threads), "/describe"))
    assert environ["wsgi.multithread"] is (threads > 1)
    assert environ["wsgi.multiprocess"] is False


async def test_requests_run_at_the_same_time(start_crew, tmp_path):
    crew = await start_crew()
    waiting = Job(f"/gated?{tmp_path / 'gate'}")
    waiting.start(crew.idle.popleft())
    assert await ask(crew, "/hello") == b"hello"
    (tmp_path / "gate").touch()
    assert await waiting.answer() == b"%d" % os.getpid()


@pytest.mark.parametrize(
    ("name", "error"),
    [("nothing", TargetNotFound), ("not_an_app", TargetNotFound), ("raise_at_once()", TargetRaised)],
)
async def test_an_app_that_can_t_be_loaded_starts_no_thread(start_crew, name, error):
    with pytest.raises(error):
        await start_crew(f"tests.waterspout.wsgi.apps:{name}")
    assert count_lane_threads() == 0


async def test_the_app_is_loaded_in_the_thread_of_the_event_loop(start_crew, tmp_path, monkeypatch):
    """Apps may set signal handlers while they are imported, which only the main thread can."""
    (tmp_path / "loaded_here.py").write_text(
        "import threading\nthread = threading.get_ident()\nfrom tests.waterspout.wsgi.apps import app\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    await start_crew("loaded_here:app")
    import loaded_here

    assert loaded_here.thread == threading.get_ident()


async def test_a_stopped_crew_lets_a_view_end_that_nobody_waits_for(start_crew, tmp_path):
    crew = await start_crew()
    job = Job(f"/gated?{tmp_path / 'gate'}")
    job.start(crew.idle.popleft())
    await crew.stop()
    assert await job.end() in ("lost", "unread")
    (tmp_path / "gate").touch()
    await wait_for(lambda: count_lane_threads() == 0)


async def test_descriptors_that_are_too_few_are_a_line(start_crew, monkeypatch):
    pairs = [socket.socketpair() for _ in range(1)]

    def make_pair():
        if not pairs:
            raise OSError(errno.EMFILE, "Too many open files")
        return pairs.pop()

    monkeypatch.setattr("waterspout.wsgi.lanes.crew.socket.socketpair", make_pair)
    with pytest.raises(
        WaterspoutError, match=r"Too many open files: only 1 of 2 lanes could be opened.* \(ulimit -n"
    ):
        await start_crew()

"""What both kinds of crew have in common: lanes, which of them are free, and new ones for lost ones."""

import asyncio
import socket

import pytest

from tests.waterspout.wsgi.jobs import Job, wait_for
from waterspout.wsgi.frames import IDLE, pack
from waterspout.wsgi.lanes.crew import Crew, CrewEvents, CrewSpec

pytestmark = pytest.mark.gen_test(timeout=20)


class HeldCrew(Crew):
    """Its lane workers are sockets in the test's hands."""

    def __init__(self, spec, events):
        super().__init__(spec, events)
        self.held = []
        self.refusing = False

    async def start(self):
        await self._open_lanes(self.spec.threads)

    async def stop(self, grace=0):
        self._close_lanes()

    def _hand_over(self, far_end, backlog):
        if self.refusing:
            raise OSError("no more")
        far_end.settimeout(5)
        self.held.append(far_end)


class Events:
    """Does with a free lane what a pool does when nobody waits."""

    def __init__(self):
        self.idle = []

    def on_idle(self, crew, lane):
        self.idle.append(lane)
        crew.idle.append(lane)

    def on_gone(self, crew):
        raise AssertionError("this crew can't go")


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def crew(io_loop, events):
    crew = HeldCrew(CrewSpec("x:y", threads=3), CrewEvents(events.on_idle, events.on_gone))
    yield crew
    io_loop.run_sync(crew.stop)
    io_loop.run_sync(lambda: wait_for(lambda: crew.busy == 0))
    for sock in crew.held:
        sock.close()


async def test_a_crew_that_has_not_started_has_no_lanes(crew):
    assert (len(crew.idle), crew.busy) == (0, 0)


async def test_a_started_crew_has_a_free_lane_for_each_thread(crew, events):
    await crew.start()
    assert (len(crew.idle), crew.busy, len(crew.held)) == (3, 0, 3)
    assert events.idle == list(crew.idle)


async def test_a_lane_that_runs_a_request_is_busy_until_its_worker_is_free(crew):
    await crew.start()
    job = Job()
    job.start(crew.idle.popleft())
    assert (len(crew.idle), crew.busy) == (2, 1)
    crew.held[0].sendall(pack(IDLE))
    await wait_for(lambda: len(crew.idle) == 3)
    assert crew.busy == 0


async def test_a_stopped_crew_closes_its_lanes_and_offers_none(crew, events):
    await crew.start()
    await crew.stop()
    assert len(crew.idle) == 0
    for sock in crew.held:
        sock.setblocking(False)
    await wait_for(lambda: all(is_closed(sock) for sock in crew.held))
    await wait_for(lambda: crew.busy == 0)
    assert len(events.idle) == 3


def is_closed(sock):
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False


async def test_a_lane_that_becomes_free_after_the_stop_is_not_offered(crew, events):
    await crew.start()
    lane = crew.idle.popleft()
    Job().start(lane)
    crew.held[0].sendall(pack(IDLE))
    await crew.stop()
    await wait_for(lambda: crew.busy == 0)
    assert len(events.idle) == 3


@pytest.mark.parametrize("busy", [True, False])
async def test_a_lost_lane_is_replaced(crew, busy):
    await crew.start()
    job = Job()
    if busy:
        job.start(crew.idle.popleft())
        crew.held[0].recv(65536)
    crew.held[0].close()
    if busy:
        assert await job.end() == "lost"
    await wait_for(lambda: len(crew.held) == 4 and len(crew.idle) == 3)
    assert crew.busy == 0


async def test_so_is_one_that_is_lost_while_the_others_are_still_being_opened(crew, monkeypatch):
    """There was no thread for it, for a moment."""
    hand_over = crew._hand_over

    def lose_the_first(far_end, backlog):
        if len(crew.held) == 1 and crew.lanes:
            raise BlockingIOError  # until it is seen to be lost
        hand_over(far_end, backlog)
        if len(crew.held) == 1:
            far_end.close()

    monkeypatch.setattr(crew, "_hand_over", lose_the_first)
    await crew.start()
    await wait_for(lambda: len(crew.held) == 4 and len(crew.idle) == 3)


async def test_a_lane_that_is_lost_at_the_end_is_not_replaced(crew):
    await crew.start()
    crew.held[0].close()
    await wait_for(lambda: len(crew.idle) == 2)
    await crew.stop()
    await wait_for(lambda: crew.busy == 0)
    assert len(crew.held) == 3


async def test_a_lane_that_can_t_be_replaced_is_tried_again(crew, monkeypatch, caplog):
    monkeypatch.setattr("waterspout.wsgi.lanes.crew._REPLACE_PAUSE", 0.05)
    await crew.start()
    crew.refusing = True
    crew.held[0].close()
    await wait_for(lambda: "a lane can't be opened, there are 2 of 3;" in caplog.text)
    await asyncio.sleep(0.2)
    crew.refusing = False
    await wait_for(lambda: len(crew.idle) == 3)
    assert caplog.text.count("can't be opened") == 1


async def test_a_stuck_lane_counts_as_busy_but_nobody_waits_for_it(crew):
    await crew.start()
    job = Job()
    job.start(crew.idle.popleft())
    crew.give_up(job.lane)
    assert (crew.busy, crew.stuck, crew.running) == (1, 1, 0)
    crew.held[0].sendall(pack(IDLE))
    await wait_for(lambda: len(crew.idle) == 3)
    assert (crew.busy, crew.stuck, crew.running) == (0, 0, 0)


async def test_it_is_drained_when_nobody_waits_for_what_runs(crew):
    await crew.start()
    jobs = [Job() for _ in range(2)]
    for job in jobs:
        job.start(crew.idle.popleft())
    drained = asyncio.ensure_future(crew.drain())
    await asyncio.sleep(0.05)
    crew.give_up(jobs[0].lane)
    assert not drained.done()
    crew.give_up(jobs[1].lane)
    await asyncio.wait_for(drained, 5)


async def test_a_lane_that_is_lost_while_it_drains_is_not_replaced(crew):
    await crew.start()
    job = Job()
    job.start(crew.idle.popleft())
    drained = asyncio.ensure_future(crew.drain())
    await asyncio.sleep(0.05)
    crew.held[0].recv(65536)
    crew.held[0].close()
    await asyncio.wait_for(drained, 5)
    await asyncio.sleep(0.3)
    assert len(crew.held) == 3


async def test_a_lane_that_nobody_takes_is_closed(crew):
    crew.refusing = True
    with pytest.raises(OSError, match="no more"):
        await crew.start()
    assert (len(crew.idle), crew.busy) == (0, 0)


async def test_a_start_that_is_cancelled_leaves_no_socket_open(crew, monkeypatch):
    """The pool does that when it is stopped while it starts."""
    made = []
    make_pair = socket.socketpair
    monkeypatch.setattr(socket, "socketpair", lambda *args: made.append(make_pair(*args)) or made[-1])
    task = asyncio.ensure_future(crew.start())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (pair,) = made
    await wait_for(lambda: all(sock.fileno() < 0 for sock in pair))


async def test_publishing_is_nobody_s_business_unless_one_listens(events):
    CrewEvents(events.on_idle, events.on_gone).on_publish("topic", b"1")

"""When requests are laid behind others, and when they are given back: lanes that only take notes."""

import asyncio

import pytest

from tests.waterspout.wsgi.jobs import wait_for
from waterspout.limits import (
    BACKLOG_FRESH,
    BACKLOG_LOOK,
    BACKLOG_PATIENCE,
    BACKLOG_STARVING,
    SPREAD_TIME,
    SPREAD_TOLERANCE,
)
from waterspout.wsgi.lanes import prefetch as module
from waterspout.wsgi.lanes.prefetch import Prefetch

pytestmark = pytest.mark.gen_test

#: Long enough for what must not happen.
STALL = 5 * BACKLOG_PATIENCE * BACKLOG_LOOK


class FakeBacklog:
    def __init__(self):
        self.users = []


class FakeLane:
    """`room`: how many it takes."""

    def __init__(self, room=100):
        self.backlog = FakeBacklog()
        self.takes_more = True
        self.steps = 0
        self.room = room
        self.thread = 4712

    @property
    def behind(self):
        return len(self.backlog.users)

    def collect(self):
        pass

    def take_back(self):
        self.takes_more = False
        users, self.backlog.users = self.backlog.users, []
        return users

    def step(self, count=1):
        """This many of them are answered."""
        self.steps += count
        del self.backlog.users[:count]


class FakeExchange:
    is_small = True

    def put_behind(self, lane):
        if len(lane.backlog.users) >= lane.room:
            return False
        lane.backlog.users.append(self)
        return True


@pytest.fixture
def returned():
    return []


@pytest.fixture
def prefetch(returned, monkeypatch):
    """A machine that stalls for a moment must not make a request look old."""
    monkeypatch.setattr(module, "BACKLOG_FRESH", 10.0)
    return Prefetch(returned.extend, lambda: None, lambda: None)


def begin(prefetch, **options):
    lane = FakeLane(**options)
    prefetch.follow(lane)
    return lane


def look(prefetch, times=1):
    """By hand: on a busy machine the clock's looks come late, or several at once."""
    for _ in range(times):
        prefetch._look()


async def test_without_a_lane_that_runs_something_there_is_nothing_to_lie_behind(prefetch):
    assert not prefetch.add(FakeExchange())


async def test_what_comes_while_a_lane_is_busy_lies_behind_that(prefetch):
    lane = begin(prefetch)
    exchanges = [FakeExchange() for _ in range(3)]
    assert all(map(prefetch.add, exchanges))
    assert lane.backlog.users == exchanges
    assert prefetch.waiting == 3


async def test_a_full_backlog_takes_no_more(prefetch):
    begin(prefetch, room=1)
    assert [prefetch.add(FakeExchange()) for _ in range(2)] == [True, False]


async def test_nothing_lies_behind_a_request_that_has_a_large_body(prefetch):
    lane = FakeLane()
    lane.takes_more = False
    prefetch.follow(lane)
    assert not prefetch.add(FakeExchange())


async def test_nothing_lies_behind_one_that_has_run_for_long(prefetch, monkeypatch):
    monkeypatch.setattr(module, "BACKLOG_FRESH", BACKLOG_FRESH)
    begin(prefetch)
    await asyncio.sleep(3 * BACKLOG_FRESH)
    assert not prefetch.add(FakeExchange())


async def test_nothing_lies_behind_a_lane_that_is_lost(prefetch):
    prefetch.forget(begin(prefetch))
    assert not prefetch.add(FakeExchange())


async def test_behind_a_lane_without_progress_all_are_given_back_in_their_order(prefetch, returned):
    lane = begin(prefetch)
    exchanges = [FakeExchange() for _ in range(3)]
    for exchange in exchanges:
        prefetch.add(exchange)
    await wait_for(lambda: returned)
    assert returned == exchanges
    assert not prefetch.add(FakeExchange())
    assert not lane.takes_more


class Kernel:
    """What it says about a thread, which no test can starve at will. `used`: CPU time of its process."""

    def __init__(self, monkeypatch, *, ready=True):
        self.used = 0.0
        monkeypatch.setattr(module, "read_cpu_time", lambda pid: self.used)
        monkeypatch.setattr(module, "is_ready", lambda pid, thread: ready)


@pytest.fixture
def watching(returned):
    """For a process whose ID is known."""
    return Prefetch(returned.extend, lambda: None, lambda: 4711)


async def test_behind_a_worker_that_is_given_no_core_they_stay_for_a_while(watching, returned, monkeypatch):
    Kernel(monkeypatch)
    begin(watching)
    watching.add(FakeExchange())
    look(watching, BACKLOG_STARVING - 1)
    assert returned == []
    look(watching)
    assert len(returned) == 1


async def test_behind_a_view_that_computes_for_long_they_do_not_stay(watching, returned, monkeypatch):
    kernel = Kernel(monkeypatch)
    begin(watching)
    watching.add(FakeExchange())
    kernel.used = 2 * BACKLOG_PATIENCE * BACKLOG_LOOK
    look(watching, BACKLOG_PATIENCE)
    assert len(returned) == 1


async def test_nor_behind_a_view_that_waits(watching, returned, monkeypatch):
    Kernel(monkeypatch, ready=False)
    begin(watching)
    watching.add(FakeExchange())
    look(watching, BACKLOG_PATIENCE)
    assert len(returned) == 1


async def test_behind_a_lane_that_goes_on_they_stay(prefetch, returned):
    lane = begin(prefetch)
    for _ in range(100):
        assert prefetch.add(FakeExchange())
    for _ in range(40):
        look(prefetch)
        lane.step()
    assert returned == []
    assert prefetch.waiting == 60


async def test_once_they_were_given_back_each_gets_a_lane_of_its_own_for_a_while(prefetch, returned):
    begin(prefetch)
    prefetch.add(FakeExchange())

    def begin_others(users):
        begin(prefetch)
        returned.append(prefetch.add(FakeExchange()))

    prefetch._on_returned = begin_others  # at once: the while may be over when a busy machine looks again
    await wait_for(lambda: returned)
    assert returned == [False]
    await asyncio.sleep(SPREAD_TIME[0])
    begin(prefetch)
    assert prefetch.add(FakeExchange())


async def test_that_while_grows_and_has_an_end(prefetch):
    loop = asyncio.get_running_loop()
    times = []
    for _ in range(8):
        prefetch._spread_until = 0.0
        prefetch.on_slept(begin(prefetch))
        times.append(prefetch._spread_until - loop.time())
    assert times == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0], abs=0.02)


async def test_one_slow_view_among_many_is_left_behind_alone(prefetch, returned):
    lane = begin(prefetch)
    for _ in range(SPREAD_TOLERANCE + 1):
        prefetch.add(FakeExchange())
        lane.room += 1
    lane.step(SPREAD_TOLERANCE)
    await wait_for(lambda: returned)
    assert len(returned) == 1
    begin(prefetch)
    assert prefetch.add(FakeExchange())


async def test_when_it_went_well_again_the_while_is_short_again(prefetch):
    for _ in range(5):
        prefetch.on_slept(begin(prefetch))
    prefetch._spread_until = 0.0
    lane = begin(prefetch)
    for _ in range(SPREAD_TOLERANCE + 1):
        prefetch.add(FakeExchange())
        lane.room += 1
    lane.step(SPREAD_TOLERANCE)
    prefetch._look()
    prefetch.on_slept(lane)
    assert prefetch._spread_until - asyncio.get_running_loop().time() < 2 * SPREAD_TIME[0]


async def test_views_that_sleep_are_given_back_and_spread(prefetch, returned):
    lane = begin(prefetch)
    exchange = FakeExchange()
    prefetch.add(exchange)
    prefetch.on_slept(lane)
    assert returned == [exchange]
    begin(prefetch)
    assert not prefetch.add(FakeExchange())


async def test_a_lane_that_was_slow_is_looked_at_as_often_as_any_when_it_is_used_again(prefetch, returned):
    lane = begin(prefetch)
    prefetch.add(FakeExchange())
    await wait_for(lambda: returned)
    lane.backlog.users = [FakeExchange()]  # that is what it runs
    await asyncio.sleep(STALL)
    prefetch._spread_until = 0.0
    lane.backlog.users, lane.takes_more = [], True
    prefetch.follow(lane)
    prefetch.add(FakeExchange())
    assert prefetch._pause == BACKLOG_LOOK
    await wait_for(lambda: len(returned) > 1)
    assert len(returned) == 2


async def test_a_lane_that_is_put_to_use_again_by_what_another_one_gives_back(returned):
    """The pool begins what was given back on a lane that has just become idle, and is still watched."""
    second = FakeLane()
    prefetch = Prefetch(
        lambda users: (returned.extend(users), prefetch.follow(second)), lambda: None, lambda: None
    )
    first = begin(prefetch)
    prefetch.add(FakeExchange())
    prefetch.follow(second)
    prefetch.add(FakeExchange())
    while prefetch._watched[first]._misses < BACKLOG_PATIENCE - 1:
        await asyncio.sleep(0)
        second.steps += 1
    second.step()
    await wait_for(lambda: returned)
    assert len(returned) == 1
    prefetch._spread_until = 0.0
    begin(prefetch)
    prefetch.add(FakeExchange())
    await wait_for(lambda: len(returned) > 1)
    assert len(returned) == 2


async def test_a_failure_of_one_look_is_not_the_end_of_looking(prefetch, returned, caplog):
    lane = begin(prefetch)
    prefetch.add(FakeExchange())
    lane.collect = lambda: setattr(lane, "collect", lambda: None) or 1 / 0
    await wait_for(lambda: returned)
    assert len(returned) == 1


async def test_when_it_stops_nothing_more_lies_behind_anything_and_nobody_waits_for_that(returned):
    told = []
    prefetch = Prefetch(returned.extend, lambda: told.append(prefetch.is_full), lambda: None)
    begin(prefetch, room=1)
    assert prefetch.add(FakeExchange())
    assert not prefetch.add(FakeExchange())
    assert prefetch.is_full
    prefetch.stop()
    assert told == [False]
    assert not prefetch.add(FakeExchange())


async def test_who_waits_for_room_is_told_when_there_is_some_or_never_will_be(returned):
    told = []
    prefetch = Prefetch(returned.extend, lambda: told.append(prefetch.is_full), lambda: None)
    lane = begin(prefetch, room=1)
    prefetch.add(FakeExchange())
    prefetch.add(FakeExchange())
    await wait_for(lambda: told)
    told.clear()
    prefetch.give_back(lane)
    assert told == [False]


async def test_when_nothing_lies_anywhere_nobody_looks(prefetch):
    lane = begin(prefetch)
    prefetch.add(FakeExchange())
    lane.step()
    await asyncio.sleep(STALL)
    assert prefetch._timer is None
    assert prefetch.waiting == 0

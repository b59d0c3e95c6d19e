"""What waits for a lane: in which order, how many, how long."""

import asyncio
import time

import pytest

from tests.waterspout.wsgi.jobs import wait_for
from waterspout.limits import STOOD_STILL
from waterspout.message.record import Record
from waterspout.wsgi.pool.queue import WaitingQueue

pytestmark = pytest.mark.gen_test(timeout=10)


class Waiter:
    """Stands for an exchange that came `ago` seconds ago."""

    def __init__(self, ago=0.0):
        self.record = Record("wsgi", "GET", "/", "127.0.0.1", "id")
        self.record.submitted -= ago


@pytest.fixture
def late():
    return []


async def test_the_first_in_is_the_first_out(late):
    queue = WaitingQueue(10, 5.0, late.append)
    waiters = [Waiter() for _ in range(3)]
    for waiter in waiters:
        queue.add(waiter)
    assert [queue.take() for _ in waiters] == waiters
    assert len(queue) == 0
    queue.clear()


async def test_it_is_full_when_so_many_wait(late):
    queue = WaitingQueue(2, 5.0, late.append)
    for expected in (False, False, True):
        assert queue.is_full is expected
        if not expected:
            queue.add(Waiter())
    assert len(queue.clear()) == 2
    assert not queue.is_full


async def test_who_leaves_is_not_in_it_any_more(late):
    queue = WaitingQueue(10, 0.05, late.append)
    stays, leaves = Waiter(), Waiter()
    queue.add(leaves)
    queue.add(stays)
    queue.remove(leaves)
    queue.remove(leaves)
    await asyncio.sleep(0.15)
    assert late == [stays]


async def test_each_is_late_in_its_own_time(late):
    loop = asyncio.get_running_loop()
    queue = WaitingQueue(10, 0.2, lambda waiter: late.append((waiter, loop.time())))
    added = {}
    for _ in range(3):
        waiter = Waiter()
        queue.add(waiter)
        added[waiter] = loop.time()
        await asyncio.sleep(0.07)
    await asyncio.sleep(0.4)
    assert [waiter for waiter, _ in late] == list(added)
    for waiter, told in late:
        assert 0.19 <= told - added[waiter] < 5


async def test_one_timer_serves_all(late, monkeypatch):
    queue = WaitingQueue(1000, 5.0, late.append)
    loop, timers = asyncio.get_running_loop(), []
    at = loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda *call: timers.append(call) or at(*call))
    for _ in range(100):
        queue.add(Waiter())
    assert len(timers) == 1
    assert len(queue.clear()) == 100


async def test_a_cleared_queue_calls_nobody_late_and_can_be_used_again(late):
    queue = WaitingQueue(10, 0.05, late.append)
    queue.add(Waiter())
    queue.clear()
    await asyncio.sleep(0.1)
    assert late == []
    waiter = Waiter()
    queue.add(waiter)
    await asyncio.sleep(0.15)
    assert late == [waiter]


async def test_one_that_fails_when_it_is_late_leaves_the_others_their_deadlines(late):
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    def on_late(waiter):
        late.append(waiter)
        if len(late) == 1:
            raise OSError("its client is gone")

    queue = WaitingQueue(10, 0.05, on_late)
    waiters = [Waiter() for _ in range(3)]
    for waiter in waiters:
        queue.add(waiter)
    await asyncio.sleep(0.3)
    assert late == waiters
    assert len(complaints) == 1


async def test_a_loop_that_stood_still_makes_nobody_late(late):
    """Whatever has come meanwhile, perhaps a free lane, is heard first."""
    queue = WaitingQueue(10, 0.3, late.append)
    queue.add(Waiter())
    time.sleep(STOOD_STILL + 0.5)  # that is what is tested
    await asyncio.sleep(0.1)
    assert late == []
    await asyncio.sleep(0.5 + STOOD_STILL + 0.5)
    assert len(late) == 1


async def test_who_comes_back_stands_where_he_stood(late):
    queue = WaitingQueue(4, 5.0, late.append)
    first, second, third, fourth, fifth = [Waiter(ago) for ago in (4.0, 3.0, 2.0, 1.0, 0.0)]
    for waiter in (second, fourth, fifth):
        queue.add(waiter, waited=time.perf_counter() - waiter.record.submitted)
    assert queue.put_back([third]) == []
    assert queue.put_back([first]) == [fifth]
    assert queue.clear() == [first, second, third, fourth]


async def test_who_comes_back_is_late_in_his_own_time(late):
    queue = WaitingQueue(4, 1.0, late.append)
    queue.add(Waiter())
    returned = Waiter(ago=0.9)
    queue.put_back([returned])
    await asyncio.sleep(0.5)
    assert late == [returned]
    queue.clear()


async def test_who_comes_back_too_late_gives_nobody_else_more_time(late, monkeypatch):
    """Its deadline has passed, though the loop has not stood still."""
    queue = WaitingQueue(4, 60.0, late.append)
    loop, times = asyncio.get_running_loop(), []
    at = loop.call_at

    def note(when, call, *arguments, **options):
        if getattr(call, "__self__", None) is queue:
            times.append(when)
        return at(when, call, *arguments, **options)

    monkeypatch.setattr(loop, "call_at", note)
    queue.add(Waiter(), waited=30.0)
    returned = Waiter(ago=60.0 + 10 * STOOD_STILL)
    queue.put_back([returned])
    await wait_for(lambda: late == [returned])
    assert times[-1] == pytest.approx(times[0], abs=5 * STOOD_STILL)
    queue.clear()

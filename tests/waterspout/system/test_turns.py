"""Who waits for its turn: how many get it at once, and that all get it."""

import asyncio
import time

import pytest

from waterspout.system.turns import Turns, TurnsByLoop

pytestmark = pytest.mark.gen_test(timeout=20)


@pytest.fixture
def without_share(monkeypatch):
    monkeypatch.setattr("waterspout.system.turns._SHARE", 0)


def begin(turns, many, cost=1):
    """Have many wait. Returns a list of those who had their turn."""
    had = []

    def take(number):
        turns.count(cost)
        had.append(number)

    for number in range(many):
        turns.wait(lambda number=number: take(number))
    return had


@pytest.mark.usefixtures("without_share")
async def test_a_few_in_each_iteration_in_order():
    turns = Turns(3)
    had, counts = begin(turns, 10), []
    while len(had) < 10:
        await asyncio.sleep(0)
        counts.append(len(had))
    assert counts == [3, 6, 9, 10]
    assert had == list(range(10))
    assert len(turns) == 0


@pytest.mark.usefixtures("without_share")
async def test_who_has_just_come_need_not_wait_until_much_has_been_done():
    turns = Turns(3)
    turns.count(11)
    assert not turns.are_over
    turns.count(1)
    assert turns.are_over
    await asyncio.sleep(0)
    assert not turns.are_over


async def test_where_iterations_are_long_they_get_their_share():
    """Else a hundred would take a hundred of them."""
    turns, iterations = Turns(1), 0
    had = begin(turns, 100)
    while len(had) < 100:
        time.sleep(0.01)
        await asyncio.sleep(0)
        iterations += 1
    assert iterations < 50


@pytest.mark.usefixtures("without_share")
async def test_one_that_fails_costs_the_others_nothing(io_loop):
    failures = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: failures.append(context["exception"]))
    turns = Turns(1)
    turns.wait(lambda: 1 / 0)
    had = begin(turns, 2)
    while len(had) < 2:
        await asyncio.sleep(0)
    loop.set_exception_handler(None)
    assert [type(failure) for failure in failures] == [ZeroDivisionError]


@pytest.mark.usefixtures("without_share")
async def test_coming_waits_its_turn_and_who_is_cancelled_takes_none():
    turns, had = Turns(1), []

    async def come(number):
        await turns.come()
        had.append(number)

    coming = [asyncio.ensure_future(come(number)) for number in range(5)]
    await asyncio.sleep(0)
    coming[2].cancel()
    await asyncio.gather(*coming, return_exceptions=True)
    assert had == [0, 1, 3, 4]


async def test_each_event_loop_has_its_own_as_long_as_somebody_has_them():
    by_loop = TurnsByLoop(1)
    turns = by_loop.find()
    assert by_loop.find() is turns

    async def find():
        return by_loop.find()

    assert await asyncio.to_thread(asyncio.run, find()) is not turns
    del turns
    assert [reference() for reference in by_loop._turns.values()] == [None]

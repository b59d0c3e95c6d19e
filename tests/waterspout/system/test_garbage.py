"""When garbage is collected, besides Python's thresholds. With a whole server: tests/wire/test_memory.py."""

import asyncio
import gc
import weakref

import pytest

from waterspout.limits import COLLECT_GROWTH, COLLECT_SHARE, COLLECT_YOUNG_SHARE, MIB
from waterspout.system import garbage as collecting
from waterspout.system.garbage import Collector

START = 100 * MIB


class Circle:
    def __init__(self):
        self.itself = self


def leave_circle():
    return weakref.ref(Circle())


class Clock:
    """A second goes by with each collection."""

    def __init__(self):
        self.now = 0.0
        self.generations = []

    def __call__(self):
        return self.now

    def on_collection(self, phase, info):
        if phase == "stop":
            self.generations.append(info["generation"])
            self.now += 1.0


@pytest.fixture
def clock():
    thresholds = gc.get_threshold()
    gc.set_threshold(0)  # nothing else collects, and it is not switched off
    found = Clock()
    gc.callbacks.append(found.on_collection)
    yield found
    gc.callbacks.remove(found.on_collection)
    gc.set_threshold(*thresholds)


class Memory:
    """What the process holds, as the tests set it."""

    def __init__(self):
        self.held = START

    def __call__(self):
        return self.held


async def start(collector, memory):
    collector.start(memory)
    collector.stop()  # the tests call `look` themselves


def test_what_grows_is_collected_and_what_does_not_is_not(clock):
    asyncio.run(check_growth(clock))


async def check_growth(clock):
    memory, collector, circle = Memory(), Collector(clock), leave_circle()
    await start(collector, memory)
    memory.held += COLLECT_GROWTH
    collector.look(memory)
    assert circle() is not None
    memory.held += 1
    collector.look(memory)
    assert circle() is None


def test_all_is_looked_at_when_it_has_grown_by_twice_as_much(clock):
    asyncio.run(check_generations(clock))


async def check_generations(clock):
    memory, collector = Memory(), Collector(clock)
    await start(collector, memory)

    def look(held):
        clock.now += 1000
        memory.held = held
        collector.look(memory)
        found, clock.generations[:] = clock.generations[:], []
        return found

    assert look(START + 65 * MIB) == [1]
    assert look(START + 66 * MIB) == []  # so much is in use: growth is measured from here on
    assert look(START + 127 * MIB) == []
    assert look(START + 128 * MIB + 1) == [2]
    assert look(START + 190 * MIB) == []
    assert look(START) == []
    assert look(8 * START) == [1]
    assert look(8 * START) == [2]
    assert look(9 * START) == []  # a large process: a quarter
    assert look(10 * START + 1) == [1]
    assert look(12 * START) == []
    assert look(12 * START + 1) == [2]


def test_it_takes_no_more_than_its_share_of_the_time(clock):
    asyncio.run(check_share(clock))


async def check_share(clock):
    memory, collector = Memory(), Collector(clock)
    await start(collector, memory)
    assert collector.collect()
    assert not collector.collect()
    for _ in range(3):
        memory.held *= 2
        collector.look(memory)
    assert clock.generations == [2, 1]
    clock.now += 1 / COLLECT_YOUNG_SHARE
    collector.look(memory)
    collector.look(memory)
    assert clock.generations == [2, 1, 1]
    clock.now += 1 / COLLECT_SHARE
    collector.look(memory)
    assert clock.generations == [2, 1, 1, 2]
    assert not collector.collect()
    clock.now += 1 / COLLECT_SHARE
    assert collector.collect()


def test_who_has_switched_it_off_is_left_alone(clock):
    gc.disable()
    try:
        assert not Collector(clock).collect()
    finally:
        gc.enable()
    assert clock.generations == []


def test_where_memory_can_t_be_read_nobody_looks():
    async def run():
        Collector().start(lambda: None)
        assert not [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]

    asyncio.run(run())


def test_a_look_that_can_t_read_it_changes_nothing(clock):
    """No descriptor is left to read it with: the process has not shrunk, nor has it grown afterwards."""
    asyncio.run(check_unknown(clock))


async def check_unknown(clock):
    memory, collector = Memory(), Collector(clock)
    memory.held = 4 * START
    await start(collector, memory)
    for held in (None, 4 * START, 4 * START):
        memory.held = held
        collector.look(memory)
    assert clock.generations == []


def test_it_looks_again_and_again(monkeypatch):
    monkeypatch.setattr(collecting, "COLLECT_LOOK", 0.001)

    async def run():
        looks, enough = 0, asyncio.Event()

        def read_rss():
            nonlocal looks
            looks += 1
            if looks == 5:
                enough.set()
            return START

        collector = Collector()
        collector.start(read_rss)
        async with asyncio.timeout(5):
            await enough.wait()
        collector.stop()

    asyncio.run(run())

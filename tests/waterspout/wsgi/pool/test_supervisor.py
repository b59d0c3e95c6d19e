"""Births, deaths and replacement, with crews that do what the test says."""

import asyncio
import contextlib
import logging

import pytest

from tests.waterspout.wsgi.jobs import wait_for
from waterspout import limits
from waterspout.wsgi.lanes.crew import Crew, CrewEvents, CrewSpec
from waterspout.wsgi.pool.supervisor import Supervisor
from waterspout.wsgi.settings import PoolSettings

pytestmark = pytest.mark.gen_test(timeout=15)


class FakeCrew(Crew):
    """`running` is set by the test. `fails`: what its start raises; `starting`: an event it waits for."""

    fails = None
    starting = None
    running = 0

    async def start(self):
        if self.starting is not None:
            await self.starting.wait()
        if self.fails is not None:
            raise self.fails
        self.ready = True
        self.ready_at = asyncio.get_running_loop().time()

    async def stop(self, grace=0):
        self.stopped_with = grace
        self._events.on_gone(self)

    def __str__(self):
        return "fake"


class Swallowing(FakeCrew):
    """Its `stop` swallows a cancellation, as `asyncio.wait_for` may in Python 3.11."""

    async def stop(self, grace=0):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await super().stop(grace)


class House:
    """A supervisor and all crews that it has made."""

    def __init__(self, workers=1, **options):
        self.made = []
        self.broken = 0
        self.fails = None
        self.starting = None
        self.killed = self.starved = False
        self.crew_class = FakeCrew
        settings = PoolSettings(workers=workers, **options)
        self.supervisor = Supervisor(settings, self.make, self.on_broken)
        self.supervisor.open()

    def make(self):
        crew = self.crew_class(CrewSpec("x:y", 2), CrewEvents(lambda *_: None, self.supervisor.on_gone))
        crew.fails, crew.starting = self.fails, self.starting
        crew.killed, crew.starved = self.killed, self.starved
        self.made.append(crew)
        return crew

    def on_broken(self):
        self.broken += 1

    def die(self, crew, *, lived=limits.SHORT_LIFE + 1):
        crew.ready_at = asyncio.get_running_loop().time() - lived
        self.supervisor.on_gone(crew)

    async def settle(self, count):
        """Wait until `count` have been made, and the last one is ready."""
        await wait_for(lambda: len(self.made) >= count and self.made[-1].ready)
        for _ in range(20):  # turns of the loop, not a time, in which a slow machine may make only one
            await asyncio.sleep(0)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(limits, "RESTART_DELAY", (0.001, 0.005))
    monkeypatch.setattr(limits, "READY_RESTART_DELAY", (0.001, 0.002))
    monkeypatch.setattr(limits, "READY_CRASH_LOOP_DELAY", 0.01)


async def test_as_many_start_as_there_shall_be():
    house = House(workers=3)
    await house.supervisor.start()
    assert house.supervisor.crews == house.made
    assert len(house.made) == 3


async def test_one_that_dies_is_replaced_at_once():
    house = House(workers=2)
    await house.supervisor.start()
    house.die(house.made[0])
    await house.settle(3)
    assert house.supervisor.crews == house.made[1:]
    assert house.supervisor.restarts == 1


async def test_those_that_crashed_are_counted_apart_from_those_that_were_replaced():
    house = House(workers=1)
    await house.supervisor.start()
    house.supervisor.replace(house.made[0], "for a test")
    await house.settle(2)
    assert (house.supervisor.restarts, house.supervisor.crashed) == (1, 0)
    house.made[1].crashed = True
    house.die(house.made[1])
    await house.settle(3)
    assert (house.supervisor.restarts, house.supervisor.crashed) == (2, 1)


async def test_deaths_soon_after_the_start_wait_longer_and_longer_and_a_long_life_forgets_them():
    supervisor = House().supervisor
    pauses = [supervisor._count_failure(ready=False) for _ in range(8)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == limits.RESTART_DELAY
    crew = FakeCrew(CrewSpec("x:y", 1), CrewEvents(lambda *_: None, lambda *_: None))
    crew.ready_at = asyncio.get_running_loop().time()
    assert supervisor._pause_after(crew) == limits.READY_RESTART_DELAY[1]
    crew.ready_at -= limits.SHORT_LIFE + 1
    assert supervisor._pause_after(crew) == 0.0
    assert supervisor._count_failure(ready=False) == limits.RESTART_DELAY[0]


async def test_one_that_is_killed_while_it_starts_is_soon_started_again(monkeypatch):
    monkeypatch.setattr(limits, "RESTART_DELAY", (60.0, 60.0))
    monkeypatch.setattr(limits, "READY_RESTART_DELAY", (0.001, 0.002))
    house = House()
    await house.supervisor.start()
    house.fails, house.killed = OSError("killed"), True
    house.die(house.made[0])
    await wait_for(lambda: len(house.made) > 3)
    house.fails = None
    await wait_for(lambda: len(house.supervisor.crews) == 1 and house.supervisor.crews[0].ready)


async def test_a_crash_loop_is_said_once_and_goes_on_slowly(quick, caplog):
    house = House()
    await house.supervisor.start()
    for number in range(limits.CRASH_LOOP + 3):
        house.die(house.made[-1], lived=0.1)
        await house.settle(number + 2)
    said = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert len(said) == 1
    assert "crash loop" in said[0].getMessage()


async def test_where_no_descriptor_is_left_the_app_has_not_failed_and_is_soon_started(monkeypatch, caplog):
    monkeypatch.setattr(limits, "STARVED_DELAY", 0.001)
    house = House()
    house.fails, house.starved = OSError("Too many open files"), True
    house.supervisor.start_soon()
    await wait_for(lambda: len(house.made) > limits.CRASH_LOOP + 3)
    assert house.supervisor.broken
    assert caplog.messages == [
        "the WSGI app does not start, next try in 0.0 s: Too many open files (logged at most once in 60 s)"
    ]
    house.fails, house.starved = None, False
    await wait_for(lambda: house.made[-1].ready)
    assert not house.supervisor.broken


async def test_while_none_comes_up_whoever_waits_is_told(quick, caplog):
    house = House()
    house.fails = OSError("no database")
    house.supervisor.start_soon()
    await wait_for(lambda: house.broken >= 2)
    assert house.supervisor.broken
    assert "does not start, next try in" in caplog.text
    house.fails = None
    await wait_for(lambda: not house.supervisor.broken)
    assert len(house.supervisor.crews) == 1
    await house.supervisor.stop(0)


async def test_one_that_shall_be_replaced_serves_until_the_new_one_is_ready():
    house = House()
    await house.supervisor.start()
    old = house.made[0]
    old.running = 1
    house.starting = asyncio.Event()
    house.supervisor.replace(old, "because")
    house.supervisor.replace(old, "because")
    await asyncio.sleep(0.02)
    assert old in house.supervisor.crews
    house.starting.set()
    await house.settle(2)
    assert (house.supervisor.crews, house.supervisor.draining) == ([house.made[1]], [old])
    assert not hasattr(old, "stopped_with")
    old.running = 0
    old.check_drained()
    await wait_for(lambda: hasattr(old, "stopped_with"))
    assert house.supervisor.draining == []
    assert len(house.made) == 2
    assert house.supervisor.restarts == 1


async def test_one_that_dies_before_it_could_be_replaced_is_replaced_once():
    house = House()
    await house.supervisor.start()
    house.supervisor.replace(house.made[0], "because")
    house.die(house.made[0])
    await house.settle(2)
    assert house.supervisor.crews == [house.made[1]]


async def test_while_too_many_finish_what_they_run_none_is_replaced():
    house = House()
    await house.supervisor.start()
    for number in range(limits.DRAINING_CREWS + 2):
        crew = house.supervisor.crews[0]
        crew.running = 1
        house.supervisor.replace(crew, "because")
        draining = min(number + 1, limits.DRAINING_CREWS)
        await wait_for(lambda draining=draining: len(house.supervisor.draining) == draining)
        await asyncio.sleep(0.02)
        assert len(house.supervisor.draining) == draining


async def test_a_reload_replaces_all(caplog):
    caplog.set_level(logging.INFO, "waterspout.wsgi")
    house = House(workers=2, graceful_timeout=0.05)
    await house.supervisor.start()
    old = list(house.made)
    old[0].running = 1
    house.supervisor.reload()
    await wait_for(lambda: "have taken over" in caplog.text)
    assert house.supervisor.crews == house.made[2:]
    assert house.supervisor.restarts == 2
    await wait_for(lambda: all(hasattr(crew, "stopped_with") for crew in old))
    assert "requests are cut off (1)" in caplog.text
    await asyncio.sleep(0.02)
    assert len(house.made) == 4
    assert house.supervisor.draining == []


async def test_a_reload_that_fails_leaves_all_as_it_is(caplog):
    house = House(workers=2)
    await house.supervisor.start()
    house.fails = ValueError("a mistake")
    house.supervisor.reload()
    await wait_for(lambda: "a mistake" in caplog.text)
    await asyncio.sleep(0.02)
    assert house.supervisor.crews == house.made[:2]
    assert house.supervisor.draining == []


async def test_of_a_reload_that_fails_in_part_nothing_is_kept(caplog):
    house = House(workers=2)
    await house.supervisor.start()
    make = house.supervisor._make_crew

    def make_every_second():
        house.fails = ValueError("a mistake") if len(house.made) % 2 else None
        return make()

    house.supervisor._make_crew = make_every_second
    house.supervisor.reload()
    await wait_for(lambda: "a mistake" in caplog.text)
    await asyncio.sleep(0.02)
    assert house.supervisor.crews == house.made[:2]


async def test_reloads_that_are_asked_for_during_one_become_one_more(caplog):
    caplog.set_level(logging.INFO, "waterspout.wsgi")
    house = House()
    await house.supervisor.start()
    house.starting = asyncio.Event()
    for _ in range(5):
        house.supervisor.reload()
        await asyncio.sleep(0.005)
    house.starting.set()
    await wait_for(lambda: caplog.text.count("have taken over") == 2)
    await asyncio.sleep(0.02)
    assert len(house.made) == 3
    house.supervisor.reload()
    await wait_for(lambda: caplog.text.count("have taken over") == 3)


async def test_a_reload_that_waits_behind_another_is_not_begun_once_the_pool_stops(caplog):
    caplog.set_level(logging.INFO, "waterspout.wsgi")
    house = House()
    await house.supervisor.start()
    house.starting = asyncio.Event()
    house.supervisor.reload()
    await wait_for(lambda: len(house.made) == 2)
    house.supervisor.reload()
    house.supervisor.refrain()
    house.starting.set()
    await wait_for(lambda: "have taken over" in caplog.text)
    await wait_for(lambda: not house.supervisor._tasks)
    assert len(house.made) == 2


async def test_what_hangs_is_given_up_for_a_newer_reload_and_what_failed_is_still_said(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "waterspout.wsgi")
    monkeypatch.setattr(limits, "RELOAD_ANEW", 0.0)
    house = House(workers=3)
    await house.supervisor.start()
    house.starting, make = asyncio.Event(), house.supervisor._make_crew
    gates = iter([house.starting, None, None, None, None, None])

    def make_one_that_hangs_and_one_that_fails():
        house.starting = next(gates)
        house.fails = ValueError("a mistake") if len(house.made) == 4 else None
        return make()

    house.supervisor._make_crew = make_one_that_hangs_and_one_that_fails
    house.supervisor.reload()
    await wait_for(lambda: "reload: a mistake; " in caplog.text)
    house.supervisor.reload()
    await wait_for(lambda: "have taken over" in caplog.text)
    assert "fake has been loading for 0 s: killing it and loading the code again" in caplog.text
    assert caplog.text.count("new ones do not start: a mistake") == 1
    assert "one is under way" not in caplog.text
    await wait_for(lambda: house.supervisor.crews == house.made[6:])


async def test_a_reload_ends_the_waiting_of_a_crash_loop(monkeypatch):
    monkeypatch.setattr(limits, "RESTART_DELAY", (60.0, 60.0))
    monkeypatch.setattr(limits, "READY_RESTART_DELAY", (60.0, 60.0))
    house = House()
    await house.supervisor.start()
    house.die(house.made[0], lived=0.1)
    house.supervisor.reload()
    await house.settle(2)
    assert house.supervisor.crews == [house.made[1]]
    assert not house.supervisor._births


async def test_one_that_dies_during_a_reload_is_replaced_when_that_is_over():
    house = House(workers=2)
    await house.supervisor.start()
    house.starting = asyncio.Event()
    house.supervisor.reload()
    await asyncio.sleep(0.01)
    house.die(house.made[0])
    await asyncio.sleep(0.01)
    house.starting.set()
    await wait_for(lambda: len([crew for crew in house.supervisor.crews if crew.ready]) == 2)
    await asyncio.sleep(0.02)
    assert len([crew for crew in house.supervisor.crews if crew.ready]) == 2
    assert not set(house.made[:2]) & set(house.supervisor.crews)


async def test_threads_can_t_be_reloaded(caplog):
    house = House(workers=0)
    await house.supervisor.start()
    house.supervisor.reload()
    assert "can't be reloaded" in caplog.text
    assert len(house.made) == 1


async def test_while_it_stops_nobody_is_replaced():
    house = House()
    await house.supervisor.start()
    house.supervisor.refrain()
    house.supervisor.reload()
    house.supervisor.replace(house.made[0], "because")
    house.die(house.made[0])
    await asyncio.sleep(0.02)
    assert len(house.made) == 1
    await house.supervisor.stop(0)


@pytest.mark.parametrize(("grace", "given"), [(20.0, limits.EXIT_GRACE), (0.2, 0.2)])
async def test_a_process_that_leaves_a_view_behind_is_not_waited_for_as_long_as_others(grace, given):
    house = House(workers=2)
    await house.supervisor.start()
    house.made[0].lanes = {object()}
    await house.supervisor.stop(grace)
    assert [crew.stopped_with for crew in house.made] == [given, grace]


@pytest.mark.parametrize("crew_class", [FakeCrew, Swallowing])
async def test_a_birth_that_the_end_of_the_event_loop_cancels_is_the_last(quick, crew_class):
    house = House()
    house.crew_class = crew_class
    if crew_class is Swallowing:
        house.fails = ValueError("of the app")
    else:
        house.starting = asyncio.Event()
    house.supervisor.start_soon()
    await asyncio.sleep(0.05)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=5)
    await asyncio.sleep(0.05)
    assert len(house.made) == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_app_is_ready_again_where_it_had_been_ready(caplog, quick):
    caplog.set_level(logging.INFO)
    house = House(workers=2)
    house.supervisor.start_soon()
    await house.settle(2)
    assert [record.getMessage() for record in caplog.records] == ["the WSGI app is ready in fake"] * 2
    caplog.clear()
    house.die(house.made[0])
    await house.settle(3)
    assert [record.getMessage() for record in caplog.records] == ["the WSGI app is ready again in fake"]


async def test_behind_a_start_that_was_waited_for_it_is_ready_again(caplog, quick):
    caplog.set_level(logging.INFO)
    house = House()
    await house.supervisor.start()
    house.die(house.made[0])
    await house.settle(2)
    assert [record.getMessage() for record in caplog.records] == ["the WSGI app is ready again in fake"]

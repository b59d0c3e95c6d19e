"""A pool whose event loop was closed under it, and which is used on another one."""

import asyncio
import gc
import subprocess
import sys
import warnings

import pytest

from tests.waterspout.processes import belongings, children, wait_until
from tests.waterspout.wsgi.jobs import ask, pid_of, submit
from waterspout.exceptions import NotServing, PoolError
from waterspout.hub.outbox import publish
from waterspout.wsgi.pool.orphans import Orphans
from waterspout.wsgi.pool.pool import Pool
from waterspout.wsgi.settings import PoolSettings

FORMS = pytest.mark.parametrize("workers", [0, 2])


@pytest.fixture(autouse=True)
def complaints():
    """Python does not complain about anything that was forgotten."""
    said = []
    before, sys.unraisablehook = sys.unraisablehook, said.append
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
        gc.collect()
    sys.unraisablehook = before
    assert [str(each.exc_value) for each in said] == []


def make_pool(workers, **options):
    return Pool("tests.waterspout.wsgi.apps:app", PoolSettings(workers, 2, 10, **options))


def run(work):
    """Run it on a loop of its own, which is then only closed: no task is cancelled."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


async def start_and_ask(pool):
    await pool.start()
    return await ask(pool, "/hello")


@FORMS
def test_it_is_started_anew_on_the_next_loop_and_nothing_leaks(workers):
    pool = make_pool(workers)

    async def use_and_stop():
        assert await start_and_ask(pool) == b"hello"
        await pool.stop(5)

    before = belongings()
    for _ in range(4):
        assert run(start_and_ask(pool)) == b"hello"
    run(use_and_stop())
    assert wait_until(lambda: belongings() == before, 5), (belongings(), before)


@FORMS
def test_the_first_request_does_it_too(workers):
    pool = make_pool(workers)

    async def use_and_stop():
        assert await ask(pool, "/hello") == b"hello"
        await pool.stop(5)

    before = belongings()
    for _ in range(3):
        assert run(ask(pool, "/hello")) == b"hello"
    run(use_and_stop())
    assert wait_until(lambda: belongings() == before, 5), (belongings(), before)


def test_a_view_that_ran_on_is_ended_with_its_process():
    pool = make_pool(1)

    async def leave_a_view():
        await pool.start()
        pid = await pid_of(pool)
        submit(pool, "/gated?/nowhere/at/all")
        await asyncio.sleep(0.1)
        return pid

    pid = run(leave_a_view())
    run(pool.stop(0))
    assert pid not in children()


def test_stop_is_enough_on_another_loop_and_nobody_serves_then():
    pool = make_pool(1)
    before = children()
    run(pool.start())
    run(pool.stop())
    assert not children() - before
    with pytest.raises(NotServing):
        publish("a", 1)


def test_a_stopped_pool_serves_again_on_another_loop():
    """The first request starts it: an application that tests share, and that each of them stops."""
    pool = make_pool(0)

    async def use_and_stop():
        assert await ask(pool, "/hello") == b"hello"
        await pool.stop()
        assert await submit(pool, "/hello").end() == 503

    for _ in range(2):
        run(use_and_stop())


def test_while_the_old_loop_is_open_it_says_what_to_do():
    pool = make_pool(0)
    here = asyncio.new_event_loop()
    here.run_until_complete(pool.start())
    with pytest.raises(PoolError, match=r"stop\(\) it on that loop"):
        run(pool.start())
    assert here.run_until_complete(ask(pool, "/hello")) == b"hello"
    here.run_until_complete(pool.stop())
    here.close()


def test_one_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr("waterspout.wsgi.pool.orphans.EXIT_GRACE", 0.2)

    class Stubborn:
        killed = False

        def poll(self):
            return -9 if self.killed else None

        def kill(self):
            self.killed = True

    async def see_off():
        orphans = Orphans()
        orphans.add([stubborn])
        await asyncio.wait_for(orphans.wait(), 10)

    stubborn = Stubborn()
    run(see_off())
    assert stubborn.killed


@FORMS
def test_at_the_end_of_the_interpreter_it_ends_without_a_complaint(workers):
    """An application that was never stopped, as in a module of tests."""
    code = f"""
import asyncio
from waterspout.wsgi.pool.pool import Pool
from waterspout.wsgi.settings import PoolSettings

pool = Pool("tests.waterspout.wsgi.apps:app", PoolSettings({workers}, 2, 10))
for _ in range(2):
    asyncio.run(pool.start())
"""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

"""What a look once a second finds: in threads here, and in processes."""

import asyncio
import time
from dataclasses import replace

import pytest

from tests.server import freeze
from tests.waterspout.wsgi.jobs import ask, occupy, pid_of, submit, wait_for, wait_until_free
from waterspout import limits
from waterspout.wsgi.backlog import is_possible
from waterspout.wsgi.lanes.lane import MOVED
from waterspout.wsgi.lanes.process import ProcessCrew
from waterspout.wsgi.pool.watch import Watch

pytestmark = pytest.mark.gen_test(timeout=30)

BOTH_FORMS = pytest.mark.parametrize("workers", [0, 1], ids=["threads", "process"])
SHORT = 0.4
#: For what ends by itself, however slow the machine is.
LONG = 60.0


@pytest.fixture
def no_pings(monkeypatch):
    """A busy machine may give a process no core for longer than SHORT: then it is not asked for an answer."""
    monkeypatch.setattr(Watch, "_judge_process", lambda *_: None)


def set_timeout(pool, seconds):
    """For what the views do from now on."""
    pool._watch._settings = replace(pool._watch._settings, timeout=seconds)


@BOTH_FORMS
async def test_a_view_that_sends_nothing_is_timed_out_and_its_lane_stuck_until_it_ends(
    make_pool, gate, workers, no_pings, caplog
):
    pool = make_pool(workers=workers, threads=3, timeout=SHORT)
    await pool.start()
    job = submit(pool, f"/gated?{gate}")
    assert await job.end() == "timed out"
    assert (pool.stuck, pool.timed_out, pool.running) == (1, 1, 0)
    assert "GET /gated has sent nothing" in caplog.text
    assert f"{gate}" not in caplog.text
    set_timeout(pool, LONG)
    assert await ask(pool, "/hello") == b"hello"
    gate.touch()
    await wait_for(lambda: pool.stuck == 0)
    assert "is no longer stuck" in caplog.text
    assert await ask(pool, "/hello") == b"hello"


async def test_sending_starts_the_clock_again(make_pool, gate, monkeypatch):
    monkeypatch.setattr(limits, "WATCH_INTERVAL", 0.05)
    pool = make_pool(timeout=LONG)
    await pool.start()
    job = submit(pool, f"/half?{gate}")
    await wait_for(lambda: job.body and job.lane.quiet > 0)
    lane, quiet, on_reply = job.lane, [], job.on_reply
    job.on_reply = lambda *reply: (quiet.append(lane.quiet), on_reply(*reply))
    gate.touch()
    assert await job.answer() == b"first;second"
    assert quiet[0] == MOVED


async def test_the_clock_stands_while_the_view_waits_for_the_client(make_pool, gate):
    pool = make_pool(timeout=SHORT)
    await pool.start()
    job = await occupy(pool, gate)
    job.is_starving = True
    await asyncio.sleep(3 * SHORT)
    assert not job.outcome.done()
    job.is_starving = False
    assert await job.end() == "timed out"
    gate.touch()


async def test_the_clock_stands_while_the_client_is_slow(make_pool, gate):
    pool = make_pool(timeout=SHORT)
    await pool.start()
    job = submit(pool, "/large?10000000", slow=True)
    await asyncio.sleep(3 * SHORT)
    assert not job.outcome.done()
    assert pool.stuck == 0
    job._slow = False
    job.lane.resume()
    assert len(await job.answer()) == 10000000


async def test_a_view_whose_client_left_is_stuck_too_but_not_timed_out(make_pool, gate):
    pool = make_pool(timeout=SHORT, threads=2)
    await pool.start()
    job = await occupy(pool, gate)
    job.lane.cancel(job)
    await wait_for(lambda: pool.stuck == 1)
    assert pool.timed_out == 0
    gate.touch()
    await wait_for(lambda: pool.stuck == 0)


async def test_threads_take_the_place_of_stuck_ones_once(make_pool, gate, caplog):
    pool = make_pool(threads=2, timeout=SHORT, queue_timeout=5)
    await pool.start()
    for _ in range(2):
        jobs = [submit(pool, f"/gated?{gate}") for _ in range(2)]
        assert [await job.end() for job in jobs] == ["timed out"] * 2
    assert pool.stuck == 4
    assert "3 threads are stuck in views that do not end" in caplog.text
    waiting = submit(pool, "/hello")
    await asyncio.sleep(0.3)
    assert pool.waiting == 1
    gate.touch()
    assert await waiting.answer() == b"hello"
    await wait_for(lambda: pool.stuck == 0)
    [crew] = pool._supervisor.crews
    await wait_for(lambda: len(crew.lanes) == 2)


async def test_a_view_that_ends_as_it_is_given_up_leaves_no_thread_too_many(make_pool, gate):
    """An app that is told that it has one thread would run in two."""
    pool = make_pool(threads=1, timeout=SHORT)
    await pool.start()
    job = submit(pool, f"/gated?{gate}")
    assert await job.end() == "timed out"
    gate.touch()
    await wait_for(lambda: pool.stuck == 0)
    [crew] = pool._supervisor.crews
    await wait_for(lambda: not crew._replacing)
    await wait_for(lambda: len(crew.idle) == 1)
    assert len(crew.lanes) == 1


async def test_threads_that_took_the_place_of_stuck_ones_are_idle_lanes(make_pool, gate):
    pool = make_pool(threads=2, timeout=SHORT)
    assert pool.has_idle_lane  # it starts by itself
    await pool.start()
    jobs = [await occupy(pool, gate) for _ in range(2)]
    assert not pool.has_idle_lane
    assert [await job.end() for job in jobs] == ["timed out"] * 2
    await wait_for(lambda: pool.has_idle_lane)
    assert pool.stuck == 2
    gate.touch()


async def test_a_process_of_stuck_lanes_is_replaced_as_soon_as_others_have_finished(
    make_pool, gate, no_pings, monkeypatch
):
    """Too many may still be finishing when its last lane gets stuck, and nothing would ask again."""
    pool = make_pool(workers=1, threads=2, timeout=SHORT)
    await pool.start()
    monkeypatch.setattr(type(pool._supervisor), "_most_draining", 0)
    set_timeout(pool, LONG)
    pid = await pid_of(pool)
    set_timeout(pool, SHORT)
    jobs = [submit(pool, f"/gated?{gate}") for _ in range(2)]
    assert [await job.end() for job in jobs] == ["timed out"] * 2
    set_timeout(pool, LONG)
    await asyncio.sleep(2 * SHORT)
    assert pool.restarts == 0
    monkeypatch.setattr(type(pool._supervisor), "_most_draining", 1)
    assert await pid_of(pool) != pid
    assert pool.restarts == 1
    gate.touch()


async def test_a_process_that_has_fewer_lanes_than_it_should_is_replaced_when_all_are_stuck(
    make_pool, gate, no_pings
):
    pool = make_pool(workers=1, threads=4, timeout=SHORT)
    await pool.start()
    set_timeout(pool, LONG)
    pid = await pid_of(pool)
    await wait_until_free(pool)
    [crew] = pool._supervisor.crews
    crew._fill = lambda: None  # the machine has no more threads
    for lane in list(crew.lanes)[:2]:
        lane.close()
    await wait_for(lambda: len(crew.lanes) == 2)
    set_timeout(pool, SHORT)
    jobs = [submit(pool, f"/gated?{gate}") for _ in range(2)]
    assert [await job.end() for job in jobs] == ["timed out"] * 2
    set_timeout(pool, LONG)
    assert await pid_of(pool) != pid
    gate.touch()


async def test_a_process_that_is_about_to_be_killed_gets_nothing_more(make_pool, gate):
    """Its last words take a moment, in which the interpreter's lock may be released."""
    pool = make_pool(workers=1, threads=1)
    await pool.start()
    job = await occupy(pool, gate)
    [crew] = pool._supervisor.crews
    waiting = submit(pool, "/hello")
    crew.dump_and_kill()
    gate.touch()
    assert await job.end() == "whole"
    assert await waiting.answer() == b"hello"
    assert await ask(pool, "/hello") == b"hello"


async def test_a_process_that_does_not_answer_is_killed_when_it_runs_something(make_pool, caplog):
    pool = make_pool(workers=1, threads=2, timeout=SHORT)
    await pool.start()
    set_timeout(pool, LONG)
    pid = await pid_of(pool)
    await wait_until_free(pool)
    set_timeout(pool, SHORT)
    freeze(pid)
    await asyncio.sleep(2 * SHORT)
    assert "it is killed" not in caplog.text
    job = submit(pool, "/hello")
    assert await job.end() in ("lost", "timed out")
    await wait_for(lambda: "it is killed; somebody has stopped it (SIGSTOP" in caplog.text)
    set_timeout(pool, LONG)
    assert await pid_of(pool) != pid
    assert pool.restarts == 1


async def test_a_process_that_has_grown_is_replaced(make_pool, monkeypatch, caplog):
    monkeypatch.setattr(limits, "RSS_INTERVAL", 0.05)
    monkeypatch.setattr(limits, "SHORT_LIFE", 0.1)
    monkeypatch.setattr(limits, "WATCH_INTERVAL", 0.05)
    pool = make_pool(workers=1, max_rss=1)
    await pool.start()
    await wait_for(lambda: "MiB of memory (--wsgi-max-rss)" in caplog.text)
    await wait_for(lambda: pool.restarts)


@pytest.mark.parametrize(("size", "age"), [(limits.MIB, 0.0), (2 * limits.MIB, 1000.0)])
async def test_one_that_has_not_or_is_young_is_kept(make_pool, monkeypatch, size, age):
    """`age`: how old it has to be (seconds)."""
    monkeypatch.setattr(limits, "RSS_INTERVAL", 0.05)
    monkeypatch.setattr(limits, "SHORT_LIFE", age)
    monkeypatch.setattr(limits, "WATCH_INTERVAL", 0.05)
    asked = []
    monkeypatch.setattr(ProcessCrew, "measure", lambda crew: asked.append(crew) or size)
    pool = make_pool(workers=1, max_rss=limits.MIB)
    await pool.start()
    await wait_for(lambda: len(asked) > 3)
    assert pool.restarts == 0


async def test_a_process_that_has_served_enough_is_replaced(make_pool):
    pool = make_pool(workers=1, max_requests=3)
    await pool.start()
    seen = set()
    while len(seen) < 3:
        seen.add(await pid_of(pool))
    assert pool.started >= 6


async def test_jitter_makes_each_process_s_limit_another(make_pool):
    pool = make_pool(workers=1, max_requests=100, max_requests_jitter=1000)
    found = {pool._make_crew().limit for _ in range(20)}
    assert len(found) > 5
    assert all(100 <= limit <= 1100 for limit in found)


async def test_views_that_are_quick_and_too_many_keep_all_lanes_busy_too(make_pool, monkeypatch, caplog):
    """While requests lie ready behind one that runs, the other lanes are put aside for a moment."""
    monkeypatch.setattr(limits, "WATCH_INTERVAL", 0.02)
    monkeypatch.setattr(limits, "BUSY_TIME", 0.2)
    pool = make_pool(workers=1, threads=4, queue=1000)
    await pool.start()

    async def ask_on():
        while "all 4 lanes have been busy" not in caplog.text:
            assert await ask(pool, "/hello") == b"hello"

    async with asyncio.timeout(15):
        await asyncio.gather(*(ask_on() for _ in range(300)))


@pytest.mark.skipif(not is_possible(), reason="backlogs are for Linux, and one view at a time")
async def test_a_view_that_waits_is_one_busy_lane_where_it_lay_behind_a_brief_one(
    make_pool, gate, monkeypatch, caplog
):
    """Its worker says that it has begun with the first byte of its reply."""
    monkeypatch.setattr(limits, "WATCH_INTERVAL", 0.02)
    pool = make_pool(workers=1, threads=2)
    await pool.start()
    brief, waiting = submit(pool, "/hello"), submit(pool, f"/gated?{gate}")
    assert pool.prefetched == 1
    await brief.answer()
    await wait_for(lambda: (pool.running, pool.prefetched) == (1, 0))
    monkeypatch.setattr(limits, "BUSY_TIME", 0.1)
    await asyncio.sleep(0.3)
    assert "have been busy" not in caplog.text
    gate.touch()
    await waiting.answer()


async def test_it_says_who_keeps_all_lanes_busy_once_in_a_while(make_pool, gate, monkeypatch, caplog):
    monkeypatch.setattr(limits, "WATCH_INTERVAL", 0.02)
    monkeypatch.setattr(limits, "BUSY_TIME", 0.1)
    pool = make_pool(threads=2)
    await pool.start()
    jobs = [await occupy(pool, gate) for _ in range(2)]
    await wait_for(lambda: "all 2 lanes have been busy" in caplog.text)
    await asyncio.sleep(0.3)
    assert caplog.text.count("have been busy") == 1
    assert "the longest-running is GET /gated, for" in caplog.text
    gate.touch()
    await asyncio.gather(*(job.answer() for job in jobs))


async def test_lanes_that_are_free_in_between_are_not_all_busy(make_pool, monkeypatch, caplog):
    monkeypatch.setattr(limits, "WATCH_INTERVAL", 0.02)
    monkeypatch.setattr(limits, "BUSY_TIME", 1.0)
    pool = make_pool()
    await pool.start()
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        await ask(pool, "/hello")
        await asyncio.sleep(0.01)
    assert "have been busy" not in caplog.text


async def test_what_can_t_be_done_in_threads_is_said(make_pool, caplog):
    await make_pool(max_rss=1, max_requests=1).start()
    assert caplog.text.count("do nothing with --wsgi-workers 0") == 1


async def test_who_waits_too_long_for_a_lane_is_refused(make_pool, gate):
    pool = make_pool(queue_timeout=0.2)
    await pool.start()
    running = await occupy(pool, gate)
    waiting = [submit(pool, "/hello") for _ in range(3)]
    assert [await job.end() for job in waiting] == [503] * 3
    assert (pool.refused, pool.waiting) == (3, 0)
    gate.touch()
    await running.answer()

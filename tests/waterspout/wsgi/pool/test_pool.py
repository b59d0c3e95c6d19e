"""Which request runs where, and what happens when none can."""

import asyncio
import math
import os

import pytest

from tests.waterspout.processes import fork_and_ask, running_thread
from tests.waterspout.wsgi import apps
from tests.waterspout.wsgi.jobs import Job, ask, occupy, pid_of, submit, wait_for, wait_until_free
from waterspout.exceptions import ConfigurationError, NotServing, PoolError
from waterspout.hub.local import subscribe
from waterspout.hub.outbox import publish
from waterspout.limits import PACKET
from waterspout.wsgi.backlog import is_possible
from waterspout.wsgi.pool.pool import Pool
from waterspout.wsgi.settings import PoolSettings

pytestmark = pytest.mark.gen_test(timeout=40)

BOTH_FORMS = pytest.mark.parametrize("workers", [0, 1], ids=["threads", "process"])


# --- settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"workers": -1},
        {"threads": 0},
        {"queue": -1},
        {"graceful_timeout": -0.1},
        {"graceful_timeout": math.inf},
        {"graceful_timeout": math.nan},
    ],
)
async def test_a_number_that_can_t_be_is_refused(changes):
    with pytest.raises(ConfigurationError, match=next(iter(changes))):
        PoolSettings(**changes)


async def test_a_callable_can_t_be_sent_to_another_process():
    with pytest.raises(ConfigurationError, match="import string"):
        Pool(apps.app, PoolSettings(workers=1))


async def test_nothing_starts_in_the_constructor(make_pool):
    pool = make_pool("no_such_module:app", workers=1)
    assert (pool.running, pool.waiting) == (0, 0)
    await pool.stop()


# --- running -------------------------------------------------------------------------------------------


@BOTH_FORMS
async def test_a_started_pool_runs_requests(make_pool, workers):
    pool = make_pool(workers=workers)
    await pool.start()
    await pool.start()
    assert await ask(pool, "/hello") == b"hello"
    pid = int((await ask(pool, "/identity")).split()[0])
    assert (pid == os.getpid()) is (workers == 0)


async def test_a_callable_runs_in_threads_of_this_process(make_pool):
    pool = make_pool(apps.app)
    await pool.start()
    assert await ask(pool, "/echo", b"body") == b"body"


@BOTH_FORMS
async def test_the_first_request_starts_a_pool_that_nobody_started(make_pool, workers):
    pool = make_pool(workers=workers)
    jobs = [submit(pool, "/hello") for _ in range(3)]
    assert pool.waiting == 3
    assert [await job.answer() for job in jobs] == [b"hello"] * 3


async def test_requests_wait_for_a_lane_in_their_order(make_pool, gate):
    pool = make_pool()
    await pool.start()
    first = await occupy(pool, gate)
    order = []
    waiting = [submit(pool, "/hello", bytes(PACKET)) for _ in range(5)]  # too large to lie ready
    for number, job in enumerate(waiting):
        job.outcome.add_done_callback(lambda _, number=number: order.append(number))
    assert (pool.running, pool.waiting) == (1, 5)
    gate.touch()
    await asyncio.gather(first.answer(), *(job.answer() for job in waiting))
    await asyncio.sleep(0)
    assert order == [0, 1, 2, 3, 4]
    await wait_until_free(pool)
    assert pool.waiting == 0


@pytest.mark.parametrize("queue", [0, 1, 3])
async def test_what_the_queue_can_t_hold_is_refused_at_once(make_pool, gate, queue):
    pool = make_pool(queue=queue)
    await pool.start()
    running = await occupy(pool, gate)
    waiting = [submit(pool, "/hello") for _ in range(queue)]
    refused = submit(pool, "/hello")
    assert refused.outcome.done()
    assert await refused.end() == 503
    gate.touch()
    assert [await job.answer() for job in waiting] == [b"hello"] * queue
    await running.answer()


async def test_a_queue_of_nothing_still_lets_a_free_lane_work(make_pool):
    pool = make_pool(queue=0)
    await pool.start()
    assert await ask(pool, "/hello") == b"hello"


async def test_a_request_that_is_withdrawn_never_runs(make_pool, gate):
    pool = make_pool()
    await pool.start()
    running = await occupy(pool, gate)
    gone, stays = submit(pool, "/hello"), submit(pool, "/hello")
    pool.withdraw(gone)
    pool.withdraw(gone)
    assert pool.waiting == 1
    gate.touch()
    await running.answer()
    await stays.answer()
    await wait_until_free(pool)
    assert gone.lane is None


async def test_a_parked_request_waits_and_has_no_lane_before_it_is_submitted(make_pool, gate, caplog):
    pool = make_pool(queue=2)
    await pool.start()
    await occupy(pool, gate)
    parked, too_many = Job(), Job()
    pool.park(parked)
    queued = submit(pool, "/hello")
    pool.park(too_many)
    assert await too_many.end() == 503
    assert "no room in the spool" in caplog.text
    last = submit(pool, "/hello")  # there is room for it, as if nobody were parked
    assert pool.waiting == 3
    pool.withdraw(parked)
    pool.resubmit(parked)
    assert await last.end() == 503
    gate.touch()
    assert [await job.answer() for job in (parked, queued)] == [b"hello"] * 2


async def test_a_parked_request_is_refused_in_time(make_pool, caplog):
    pool = make_pool(queue_timeout=0.1)
    await pool.start()
    late, stopped = Job(), Job()
    pool.park(late)
    assert await late.end() == 503
    assert "no room in the spool, and no lane, for uploads: answered 503 to 1" in caplog.text
    pool.park(stopped)
    await pool.stop(0)
    assert await stopped.end() == 503
    assert (pool.waiting, pool.refused) == (0, 2)


async def test_a_running_request_can_t_be_withdrawn(make_pool, gate):
    pool = make_pool()
    await pool.start()
    running = await occupy(pool, gate)
    pool.withdraw(running)
    gate.touch()
    await running.answer()


async def test_the_least_busy_process_gets_the_next_request(make_pool, gate):
    pool = make_pool(workers=2, threads=2)
    await pool.start()
    jobs = [await occupy(pool, gate) for _ in range(2)]
    gate.touch()
    assert len({await job.answer() for job in jobs}) == 2
    await wait_until_free(pool)


async def test_every_lane_of_every_process_is_used(make_pool, gate):
    pool = make_pool(workers=2, threads=2, queue=0)
    await pool.start()
    jobs = [await occupy(pool, gate) for _ in range(4)]
    assert pool.running == 4
    assert await submit(pool, "/hello").end() == 503
    gate.touch()
    pids = [await job.answer() for job in jobs]
    assert sorted(map(pids.count, set(pids))) == [2, 2]


# --- what lies ready -----------------------------------------------------------------------------------


async def overfill(pool, gate, *more):
    """A lane that runs something, its backlog full, and two that wait for room there, then `more`."""
    first = submit(pool, f"/gated?{gate}")
    jobs = []
    while (
        pool.waiting < 2
    ):  # meanwhile the process runs what lies ready, faster than we add to it if the machine is busy
        jobs.append(submit(pool, "/hello"))
        assert len(jobs) < 5000, "it is never full"
    return [first, *jobs, *(submit(pool, *arguments) for arguments in more)]


@pytest.mark.skipif(not is_possible(), reason="backlogs are for Linux, and one view at a time")
async def test_what_finds_the_backlog_full_waits_for_room_there_and_not_for_another_lane(make_pool, gate):
    pool = make_pool(threads=8, queue=256)
    await pool.start()
    gate.touch()
    jobs = await overfill(pool, gate)
    assert pool.running == 1
    assert (pool.lacking, pool.waiting) == (0, 2)
    assert pool.prefetched == len(jobs) - 3
    await asyncio.gather(*(job.answer() for job in jobs))
    await wait_until_free(pool)
    assert (pool.started, pool.prefetched) == (len(jobs), 0)


async def test_when_the_view_is_slow_the_other_lanes_serve_all_that_wait(make_pool, gate):
    pool = make_pool(threads=8, queue=256)
    await pool.start()
    first, *jobs = await overfill(pool, gate, ("/hello", bytes(PACKET)), *[("/hello",)] * 20)
    await asyncio.gather(*(job.answer() for job in jobs))
    assert not first.outcome.done()
    await wait_for(lambda: pool.running == 1)  # a lane that has answered is not idle yet
    gate.touch()
    await first.answer()
    await wait_until_free(pool)
    assert pool.started == len(jobs) + 1


async def test_what_is_given_back_and_has_no_place_in_the_queue_is_refused(make_pool, gate):
    """With one lane, and none that may wait."""
    pool = make_pool(threads=1, queue=0)
    await pool.start()
    first = submit(pool, f"/gated?{gate}")
    jobs = [submit(pool, "/hello") for _ in range(3)]
    assert [await job.end() for job in jobs] == [503] * 3
    gate.touch()
    await first.answer()
    await wait_until_free(pool)
    assert (pool.started, pool.refused) == (1, 3)


async def test_a_process_that_is_being_replaced_is_given_nothing_more(make_pool, gate):
    pool = make_pool(workers=1, threads=2, queue=256)
    await pool.start()
    gate.touch()
    old = pool.crews[0]
    pool.reload()
    jobs = []
    while not old.draining:
        if pool.waiting < 5:
            jobs += [submit(pool, "/hello") for _ in range(20)]
        await asyncio.sleep(0.002)  # the new process wants to start meanwhile
    given = old.started
    jobs += [submit(pool, "/hello") for _ in range(20)]
    await asyncio.gather(*(job.answer() for job in jobs))
    assert old.started <= given  # less, if some of it is given back


# --- stopping ------------------------------------------------------------------------------------------


@BOTH_FORMS
async def test_stopping_waits_for_what_runs_and_what_waits(make_pool, gate, workers):
    pool = make_pool(workers=workers)
    await pool.start()
    running, waiting = await occupy(pool, gate), submit(pool, "/hello")
    stopping = asyncio.ensure_future(pool.stop())
    await asyncio.sleep(0.1)
    assert not stopping.done()
    gate.touch()
    await asyncio.wait_for(stopping, 10)
    await running.answer()
    assert await waiting.answer() == b"hello"


@BOTH_FORMS
async def test_stopping_waits_no_longer_than_it_is_told(make_pool, gate, workers, caplog):
    pool = make_pool(workers=workers)
    await pool.start()
    running, waiting = await occupy(pool, gate), submit(pool, "/hello")
    await asyncio.wait_for(pool.stop(0.1), 15)
    assert await waiting.end() == 503
    assert await running.end() == "lost"
    assert "requests are cut off (2)" in caplog.text
    gate.touch()


async def test_stopping_does_not_wait_for_a_view_that_was_given_up(make_pool, gate):
    pool = make_pool()
    await pool.start()
    running = await occupy(pool, gate)
    stopping = asyncio.ensure_future(pool.stop(30))
    await asyncio.sleep(0.1)
    [crew] = pool.crews
    crew.give_up(running.lane)
    await asyncio.wait_for(stopping, 10)
    gate.touch()


async def test_what_ends_during_a_stop_does_not_make_it_remind_what_lasts(make_pool, tmp_path, monkeypatch):
    """Two reminders end a WebSocket over which nothing has passed between them."""
    monkeypatch.setattr("waterspout.limits.DRAIN_LOOK", 60.0)
    pool = make_pool(threads=3)
    await pool.start()
    gates = [tmp_path / name for name in ("first", "second", "last")]
    *others, lasting = [await occupy(pool, gate) for gate in gates]
    reminders = []
    lasting.wind_up = lambda: reminders.append("end")
    stopping = asyncio.ensure_future(pool.stop(30))
    for job, gate in zip(others, gates, strict=False):
        gate.touch()
        await job.answer()
        await wait_for(lambda lane=job.lane: not lane.busy)
    await asyncio.sleep(0.05)
    assert reminders == ["end"]
    gates[-1].touch()
    await asyncio.wait_for(stopping, 10)


async def test_a_stop_does_not_remind_what_a_reload_reminds_already(make_pool, gate, monkeypatch):
    for module in ("limits", "wsgi.lanes.crew"):
        monkeypatch.setattr(f"waterspout.{module}.DRAIN_LOOK", 60.0)
    pool = make_pool(workers=1)
    await pool.start()
    lasting = await occupy(pool, gate)
    reminders = []
    lasting.wind_up = lambda: reminders.append("end")
    pool.reload()
    await wait_for(lambda: reminders)
    stopping = asyncio.ensure_future(pool.stop(30))
    await asyncio.sleep(0.05)
    assert reminders == ["end"]
    gate.touch()
    await asyncio.wait_for(stopping, 10)


async def test_stopping_takes_its_time_from_the_settings(make_pool, gate, caplog):
    pool = make_pool(graceful_timeout=0.1)
    await pool.start()
    running = await occupy(pool, gate)
    await asyncio.wait_for(pool.stop(), 10)
    assert await running.end() == "lost"
    gate.touch()


async def test_stopping_at_once_speaks_of_no_cut_when_nothing_runs(make_pool, caplog):
    pool = make_pool()
    await pool.start()
    await pool.stop(0)
    assert "are cut" not in caplog.text


async def test_a_stopped_pool_can_be_started_again(make_pool):
    pool = make_pool()
    for _ in range(2):
        await pool.start()
        assert await ask(pool, "/hello") == b"hello"
        await pool.stop()
        await pool.stop()


async def test_a_pool_that_stops_while_it_starts_lazily_refuses_who_waits(make_pool, tmp_path, monkeypatch):
    (tmp_path / "slow_for_pool.py").write_text("import time; time.sleep(30)")
    monkeypatch.syspath_prepend(tmp_path)
    pool = make_pool("slow_for_pool:app", workers=1)
    job = submit(pool, "/")
    await asyncio.sleep(0.3)
    await asyncio.wait_for(pool.stop(0.1), 15)
    assert await job.end() == 503


# --- where a pool belongs ------------------------------------------------------------------------------


async def test_another_event_loop_may_not_use_it(make_pool):
    pool = make_pool()
    await pool.start()

    async def use():
        with pytest.raises(PoolError, match="another event loop"):
            pool.submit(Job())
        with pytest.raises(PoolError, match="another event loop"):
            await pool.stop()

    with running_thread(asyncio.run, use()):
        pass
    assert await ask(pool, "/hello") == b"hello"


async def test_another_process_may_not_use_it(make_pool):
    pool = make_pool()
    await pool.start()
    job = Job()

    def use():
        try:
            pool.submit(job)
        except PoolError:
            return 7
        return 0

    assert fork_and_ask(use) == 7
    assert await ask(pool, "/hello") == b"hello"


@BOTH_FORMS
async def test_while_it_serves_messages_are_delivered(make_pool, workers):
    pool = make_pool(workers=workers)
    await pool.start()
    async with subscribe("from-the-app") as subscription:
        assert await ask(pool, "/publishes") == b"published"
        message = await asyncio.wait_for(anext(subscription), 10)
    assert message == {"pid": await pid_of(pool)}
    await pool.stop()
    with pytest.raises(NotServing):
        publish("from-the-app", 1)

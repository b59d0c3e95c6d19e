"""Processes that die, and apps that do not start: what becomes of waiting requests, and what is retried."""

import asyncio
import os
import signal

import pytest

from tests.server import freeze
from tests.waterspout.processes import children, is_alive
from tests.waterspout.wsgi.jobs import ask, pid_of, submit, wait_for
from waterspout import limits
from waterspout.exceptions import NotServing, TargetNotFound, TargetRaised
from waterspout.hub.outbox import publish

pytestmark = pytest.mark.gen_test(timeout=40)

BOTH_FORMS = pytest.mark.parametrize("workers", [0, 1], ids=["threads", "process"])


# --- processes that die --------------------------------------------------------------------------------


async def test_a_process_that_is_killed_is_replaced(make_pool, caplog):
    pool = make_pool(workers=1)
    await pool.start()
    pid = await pid_of(pool)
    os.kill(pid, signal.SIGKILL)
    await wait_for(lambda: "killed by SIGKILL" in caplog.text)
    other = await pid_of(pool)
    assert other != pid
    assert not is_alive(pid)


async def test_a_killed_process_takes_with_it_only_what_it_ran(make_pool, gate, caplog):
    pool = make_pool(workers=1)
    await pool.start()
    pid = await pid_of(pool)
    running = submit(pool, f"/half?{gate}")
    await wait_for(lambda: running.body)
    freeze(pid)  # else it may have begun what comes now
    waiting = [submit(pool, "/hello") for _ in range(3)]
    os.kill(pid, signal.SIGKILL)
    assert await running.end() == "lost"
    assert [await job.answer() for job in waiting] == [b"hello"] * 3


async def test_the_other_processes_go_on(make_pool, gate, caplog):
    pool = make_pool(workers=2)
    await pool.start()
    jobs = [submit(pool, f"/half?{gate}") for _ in range(2)]
    await wait_for(lambda: all(job.body for job in jobs))
    victim = submit(pool, "/identity")
    gate.touch()
    assert [await job.answer() for job in jobs] == [b"first;second"] * 2
    os.kill(int((await victim.answer()).split()[0]), signal.SIGKILL)
    await wait_for(lambda: "killed by SIGKILL" in caplog.text)
    assert await ask(pool, "/hello") == b"hello"


# --- apps that do not start ----------------------------------------------------------------------------


@BOTH_FORMS
@pytest.mark.parametrize(
    ("target", "error"),
    [("no_such_module:app", TargetNotFound), ("tests.waterspout.wsgi.apps:raise_at_once()", TargetRaised)],
)
async def test_start_raises_what_keeps_the_app_from_being_loaded(make_pool, workers, target, error):
    pool = make_pool(target, workers=workers)
    for _ in range(2):
        with pytest.raises(error):
            await pool.start()
    with pytest.raises(NotServing):
        publish("topic", 1)


@BOTH_FORMS
async def test_if_the_app_does_not_start_who_waits_is_refused_and_who_comes_too(make_pool, workers, caplog):
    pool = make_pool("no_such_module:app", workers=workers)
    assert await submit(pool, "/").end() == 503
    assert await submit(pool, "/").end() == 503
    assert "the WSGI app does not start" in caplog.text


@BOTH_FORMS
async def test_an_app_that_starts_at_the_second_try_is_served(
    make_pool, workers, tmp_path, monkeypatch, caplog
):
    (tmp_path / "starting_late.py").write_text(
        "from pathlib import Path\n"
        "tried = Path(__file__).with_name('tried')\n"
        "if not tried.exists():\n"
        "    tried.touch()\n"
        "    raise OSError('not yet')\n"
        "from tests.waterspout.wsgi.apps import app\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    pool = make_pool("starting_late:app", workers=workers)
    assert await submit(pool, "/hello").end() == 503

    async def served():
        return await submit(pool, "/hello").end() == "whole"

    deadline = asyncio.get_running_loop().time() + 10
    while not await served():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)


async def test_when_new_code_does_not_start_it_is_said_who_goes_on(make_pool, tmp_path, monkeypatch, caplog):
    (tmp_path / "fails_later.py").write_text(
        "from pathlib import Path\n"
        "loaded = Path(__file__).with_name('loaded')\n"
        "if loaded.exists():\n"
        "    raise OSError('no more')\n"
        "loaded.touch()\n"
        "from tests.waterspout.wsgi.apps import app\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    pool = make_pool("fails_later:app", workers=1, max_requests=2)
    await pool.start()
    pid = await pid_of(pool)
    assert await pid_of(pool) == pid
    await wait_for(lambda: "does not start, next try" in caplog.text)
    assert f"s (WSGI process {pid} still serving): 'fails_later:app' raised OSError" in caplog.text
    assert await pid_of(pool) == pid


async def test_a_successor_that_waits_for_its_next_try_is_started_when_nobody_serves_any_more(
    make_pool, tmp_path, monkeypatch, caplog
):
    """What kept it from being loaded may be over: a database was away, memory is free now."""
    (tmp_path / "loads_now_and_then.py").write_text(
        "from pathlib import Path\n"
        "if Path(__file__).with_name('away').exists():\n"
        "    raise OSError('the database is away')\n"
        "from tests.waterspout.wsgi.apps import app\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(limits, "RESTART_DELAY", (600.0, 600.0))
    monkeypatch.setattr(limits, "SHORT_LIFE", 0.0)
    pool = make_pool("loads_now_and_then:app", workers=1, max_requests=2)
    await pool.start()
    (tmp_path / "away").touch()
    pid = await pid_of(pool)
    assert await pid_of(pool) == pid
    await wait_for(lambda: "next try in 600.0 s" in caplog.text)
    (tmp_path / "away").unlink()
    os.kill(pid, signal.SIGKILL)
    await wait_for(lambda: pool.crashed)
    assert await pid_of(pool) != pid


async def test_a_process_that_does_not_end_by_itself_is_ended_when_its_app_does_not_start(
    make_pool, tmp_path, monkeypatch, caplog
):
    """A thread that the module had started before it failed keeps the process alive."""
    (tmp_path / "half_started.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n1 / 0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = children()
    pool = make_pool("half_started:app", workers=1)
    assert await submit(pool, "/").end() == 503
    assert "the WSGI app is loading, or does not start: answered 503 to 1 since" in caplog.text
    await wait_for(lambda: caplog.text.count("does not start") >= 3)
    assert len(children() - before) <= 2
    await pool.stop(0)

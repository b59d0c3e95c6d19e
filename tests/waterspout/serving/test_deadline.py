"""The end of a process in which something of the app still runs."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

CODE = """
import atexit, multiprocessing, sys, threading, time
from waterspout.serving.deadline import end_by

def wait(seconds):
    time.sleep(seconds)

def run_process(seconds, daemon=False):
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(seconds,), daemon=daemon)
    process.start()
    print(process.pid)

before = threading.enumerate()
{begin}
end_by(time.monotonic() + {patience}, before, 3)
{then}
print("gone on")
sys.exit(5)
"""


THREAD = "threading.Thread(target=time.sleep, args=({},)).start()"
PROCESS = "run_process({})"
EXIT = "atexit.register(wait, {})"


def run(begin, patience, then="pass"):
    return subprocess.run(
        [sys.executable, "-c", CODE.format(begin=begin, patience=patience, then=then)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_what_still_runs_at_the_deadline_is_cut():
    done = run(THREAD.format(60), patience=0.2)
    assert (done.returncode, done.stdout) == (3, "gone on\n")  # what was printed is not lost
    assert "threads started by the app are still running (Thread-1 (sleep), at " in done.stderr
    assert "stopped, but" not in done.stderr  # there was no time to say so


TASK = """
import asyncio

async def go_on():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

async def main():
    global task
    task = asyncio.create_task(go_on())
    await asyncio.sleep(0)

with asyncio.Runner() as runner:
    runner.run(main())
    end_by(time.monotonic() + 2.5, before, 3, runner.get_loop())
"""
#: The same, but its coroutine is in one of our files.
OWN_TASK = f"""
import waterspout
exec(compile({TASK!r}, waterspout.__file__, "exec"))
"""
#: A WSGI process that our own exit function waits for.
OWN_EXIT = """
import subprocess
from waterspout.wsgi.pool.orphans import Orphans
child = subprocess.Popen(["sleep", "5"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
atexit.register(Orphans().wait_blocking, [child])
"""


@pytest.mark.parametrize(
    ("begin", "what"),
    [
        (TASK, r"tasks started by the app are still running after being cancelled \(go_on\)"),
        (
            THREAD.format(60),
            r"threads started by the app are still running \(Thread-1 \(sleep\), at .*\)",
        ),
        (EXIT.format(60), r"exit functions registered by the app are still running, at <string>:\d+ in wait"),
        (OWN_TASK, r"the server's own tasks are still running after being cancelled \(go_on\)"),
        (
            OWN_EXIT,
            r"the server's own exit functions are still running, "
            r"at \S*waterspout/wsgi/pool/orphans\.py:\d+ in \w+",
        ),
    ],
)
def test_what_is_waited_for_is_said_long_before_the_time_is_over(begin, what):
    done = run(begin, patience=2.5)
    assert done.returncode == 3
    early, late = done.stderr.splitlines()
    assert re.fullmatch(f"stopped, but {what}; waiting for at most [12] s", early)
    assert re.fullmatch(f"{what}: the graceful timeout is over", late)


def test_a_child_that_python_would_wait_for_is_left_alone_at_the_deadline():
    # The child has our stdout: `run` would wait for that.
    with subprocess.Popen(
        [sys.executable, "-c", CODE.format(begin=PROCESS.format(25), patience=0.2, then="pass")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        child = int(process.stdout.readline())
        try:
            assert process.wait(15) == 3
        finally:
            os.kill(child, signal.SIGKILL)  # it was still there
        assert f"processes started by the app are still running ({child}), and are not killed" in (
            process.stderr.read()
        )


@pytest.mark.parametrize(
    ("exit_", "place"), [(EXIT, r", at <string>:\d+ in wait"), ("atexit.register(time.sleep, {})", "")]
)
def test_a_function_for_the_exit_that_does_not_return_is_cut(exit_, place):
    done = run(exit_.format(60), patience=0.2)
    assert (done.returncode, done.stdout) == (3, "gone on\n")
    assert re.search(f"exit functions registered by the app are still running{place}: ", done.stderr)


def test_children_that_end_with_their_parent_do_so_then_too():
    done = run(f"run_process(60, daemon=True); {EXIT.format(60)}", patience=0.2)
    assert done.returncode == 3  # and nobody holds our stdout


@pytest.mark.parametrize("begin", [THREAD, PROCESS, EXIT])
def test_what_ends_in_time_is_waited_for(begin):
    began = time.monotonic()
    done = run(begin.format(1), patience=20)
    assert done.returncode == 5
    assert "the graceful timeout is over" not in done.stderr
    assert 1 <= time.monotonic() - began < 15


@pytest.mark.parametrize("then", ["pass", "time.sleep(1.5)"])
def test_what_has_ended_by_then_changes_nothing(then):
    """Not even for a program that goes on beyond the deadline."""
    done = run(THREAD.format(0.1), patience=1, then=then)
    assert (done.returncode, done.stdout, done.stderr) == (5, "gone on\n", "")


def test_where_nothing_is_left_it_ends_at_once():
    began = time.monotonic()
    done = run("", patience=20)
    assert (done.returncode, done.stdout, done.stderr) == (5, "gone on\n", "")
    assert time.monotonic() - began < 15


def test_a_thread_of_an_executor_that_is_started_later_is_cut_too():
    """Python joins those first, while the main thread is still alive."""
    executor = "from concurrent.futures import ThreadPoolExecutor"
    done = run(executor, patience=1.5, then="ThreadPoolExecutor().submit(time.sleep, 60)")
    assert done.returncode == 3
    assert "threads started by the app are still running" in done.stderr

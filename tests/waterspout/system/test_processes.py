"""Processes that sleep and that compute, and what can be seen of them from outside."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.server import freeze, poll
from waterspout.system.processes import is_ending, is_ready, is_stopped, read_cpu_time, read_rss
from waterspout.wsgi.backlog import is_possible

pytestmark = pytest.mark.skipif(not is_possible(), reason="asked of Linux, where there are backlogs")


@pytest.fixture
def start():
    """Starts a Python process that runs `code`. Its number is also that of its main thread."""
    processes = []

    def start(code):
        processes.append(subprocess.Popen([sys.executable, "-c", code]))
        return processes[-1].pid

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_a_thread_that_computes_is_ready_and_uses_time(start):
    pid = start("while True: pass")
    before = read_cpu_time(pid)
    assert poll(lambda: read_cpu_time(pid) > before + 0.05)
    assert is_ready(pid, pid)


def test_a_thread_that_sleeps_is_not_ready_and_uses_none(start):
    pid = start("import time; time.sleep(60)")
    assert poll(lambda: not is_ready(pid, pid))
    before = read_cpu_time(pid)
    time.sleep(0.1)
    assert read_cpu_time(pid) == before


def test_a_process_that_is_stopped_is_found_to_be(start):
    pid = start("while True: pass")
    assert not is_stopped(pid)
    freeze(pid)
    assert is_stopped(pid)
    os.kill(pid, signal.SIGCONT)
    assert poll(lambda: not is_stopped(pid))


def test_a_process_that_has_begun_to_end_is_found_to_have(start):
    pid = start("import time; time.sleep(60)")
    assert not is_ending(pid)
    os.kill(pid, signal.SIGKILL)
    assert poll(lambda: is_ending(pid))


def test_of_a_process_that_is_gone_nothing_is_said():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert not is_ready(process.pid, process.pid)
    assert not is_ending(process.pid)
    assert not is_stopped(process.pid)
    assert read_cpu_time(process.pid) == float("inf")


def test_a_thread_whose_number_is_not_known_is_not_ready(start):
    assert not is_ready(start("while True: pass"), 0)


def test_the_size_of_a_process_that_is_gone_is_not_known():
    assert read_rss(os.getpid()) > 1_000_000
    assert read_rss(2**22 + 1) is None

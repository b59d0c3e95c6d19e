"""What keeps a process from its end: threads before processes before all else, as Python waits for them."""

import threading

import pytest

from waterspout.wsgi import left
from waterspout.wsgi.lane_thread import LaneThread


@pytest.fixture
def gate():
    event = threading.Event()
    yield event
    event.set()


def start(gate, make=threading.Thread, **options):
    thread = make(target=gate.wait, **options)
    thread.start()
    return thread


def test_threads_that_python_waits_for_are_found(gate):
    before = threading.enumerate()
    old, new = start(gate), start(gate)
    start(gate, daemon=True)
    lane = LaneThread(gate.wait)
    lane.start()
    assert left.find_threads([*before, old]) == [new]
    assert threading.main_thread() not in left.find_threads()


def test_threads_are_named_first(gate, monkeypatch):
    monkeypatch.setattr(left, "find_children", lambda: [Child(1)])
    assert left.describe_left([start(gate)]) == "threads that the app has started still run"


class Child:
    def __init__(self, pid, daemon=False):
        self.pid, self.daemon = pid, daemon


def test_processes_are_named_if_python_waits_for_them(monkeypatch):
    monkeypatch.setattr(left, "find_children", lambda: [Child(1), Child(2, daemon=True), Child(3)])
    said = left.describe_left([threading.Thread()])
    assert said == "processes that the app has started still run, and are left alone (1, 3)"


def test_else_it_is_what_runs_at_the_exit_and_where(monkeypatch):
    monkeypatch.setattr(left, "find_children", lambda: [Child(2, daemon=True)])
    assert left.describe_left([]).startswith("what the app has registered for the exit still runs, at ")

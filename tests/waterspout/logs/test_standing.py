"""Where a thread stands: the app's own innermost frame, in a few characters. What keeps a process from
ending: threads before processes before all else, in the order in which Python waits for them.
"""

import queue
import re
import sys
import threading
from contextlib import contextmanager
from importlib import import_module

import pytest

from tests.server import poll
from waterspout import limits
from waterspout.logs import standing as module
from waterspout.logs.standing import MAIN_THREAD, find_place
from waterspout.system.daemon_thread import DaemonThread

VIEWS = """
def lock(wait):
    wait()

def deep(wait, depth):
    return deep(wait, depth - 1) if depth else wait()
"""


@pytest.fixture
def views(tmp_path, monkeypatch):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "shop_views.py").write_text(VIEWS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(folder)
    import shop_views

    yield shop_views
    del sys.modules["shop_views"]


@contextmanager
def standing(work, *arguments):
    """The native ID of a thread that runs `work` until the end of the block; `work` gets a `wait` to call."""
    begun, orders = threading.Event(), queue.SimpleQueue()

    def wait():
        begun.set()
        orders.get()

    thread = threading.Thread(target=work, args=(wait, *arguments))
    thread.start()
    try:
        assert begun.wait(10)
        yield thread.native_id
    finally:
        orders.put(None)
        thread.join()


def test_it_is_the_innermost_frame_that_is_no_library_s(views):
    def call(wait):
        views.lock(lambda: threading.Event().wait(0) or wait())

    with standing(call) as thread:
        assert re.search(r"test_standing\.py:\d+ in wait$", find_place(thread))


def test_the_file_is_named_as_it_is_found_from_where_modules_are_looked_for(views):
    stop, begun = threading.Event(), threading.Event()

    def wait():
        begun.set()
        while not stop.is_set():
            pass

    wait.__code__ = wait.__code__.replace(co_filename="<elsewhere>")
    thread = threading.Thread(target=views.lock, args=(wait,))
    thread.start()
    try:
        assert begun.wait(10)
        assert find_place(thread.native_id) == "shop_views.py:3 in lock"
    finally:
        stop.set()
        thread.join()


def test_without_a_frame_of_the_app_s_own_it_is_an_installed_package_s(tmp_path, monkeypatch):
    """As in a thread that a package has started: where in threading it waits tells nobody which one it is."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "updating.py").write_text("def run(begun, stop):\n    begun.set()\n    stop.wait(10)\n")
    monkeypatch.syspath_prepend(folder)
    updating = import_module("updating")
    begun, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=updating.run, args=(begun, stop))
    thread.start()
    try:
        assert begun.wait(10)
        assert poll(lambda: find_place(thread.native_id) == "updating.py:3 in run")
    finally:
        stop.set()
        thread.join()
        del sys.modules["updating"]


def test_without_either_it_is_the_innermost():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, args=(10,))
    thread.start()
    try:
        assert find_place(thread.native_id).partition(":")[0].endswith("threading.py")
    finally:
        stop.set()
        thread.join()


def test_a_thread_that_is_gone_is_nowhere():
    assert find_place(MAIN_THREAD).endswith("in test_a_thread_that_is_gone_is_nowhere")
    with standing(lambda wait: wait()) as thread:
        pass
    assert find_place(thread) == ""


def test_a_long_name_is_cut_and_an_odd_one_escaped():
    namespace = {}
    exec(compile("def work(wait): wait()", "/" + "x\n" * 500, "exec"), namespace)

    def outer(wait):
        wait.__code__ = wait.__code__.replace(co_filename="<elsewhere>")
        namespace["work"](wait)

    with standing(outer) as thread:
        place = find_place(thread)
    assert len(place) == limits.PLACE_TEXT
    assert place.startswith("/x\\nx")


def test_a_deep_stack_is_not_searched_to_its_end(views, monkeypatch):
    monkeypatch.setattr("waterspout.logs.standing.PLACE_FRAMES", 3)
    with standing(views.deep, 50) as thread:
        assert find_place(thread)


def test_what_the_app_has_done_to_python_keeps_nobody_from_asking(views, monkeypatch, tmp_path):
    with standing(views.lock) as thread:
        monkeypatch.setattr(sys, "path", [tmp_path, None, *sys.path])  # imports skip what is not text
        assert find_place(thread).endswith(" in wait")
        monkeypatch.setattr(sys, "_current_frames", lambda: 1 / 0)
        assert find_place(thread) == ""


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
    lane = DaemonThread(gate.wait, "lane")
    lane.start()
    assert module.find_threads([*before, old]) == [new]
    assert threading.main_thread() not in module.find_threads()


def test_threads_are_named_first(gate, monkeypatch):
    monkeypatch.setattr(module, "find_children", lambda: [Child(1)])
    said = module.describe_left([start(gate)])
    assert said.startswith("threads started by the app are still running (")


def test_the_first_threads_are_named_and_where_they_stand(gate):
    def wait_there():
        gate.wait()

    threads = [threading.Thread(target=wait_there, name=f"mailer\n{number}") for number in range(5)]
    for thread in threads:
        thread.start()
    one = r"mailer\\n%d, at tests/waterspout/logs/test_standing\.py:\d+ in wait_there"
    expected = "; ".join(one % number for number in range(3))
    assert poll(
        lambda: re.fullmatch(
            rf"threads started by the app are still running \({expected}; 2 more\)",
            module.describe_left(threads),
        )
    ), module.describe_left(threads)


class Child:
    def __init__(self, pid, daemon=False):
        self.pid, self.daemon = pid, daemon


def test_processes_are_named_if_python_waits_for_them(monkeypatch):
    monkeypatch.setattr(module, "find_children", lambda: [Child(1), Child(2, daemon=True), Child(3)])
    said = module.describe_left([threading.Thread()])
    assert said == "processes started by the app are still running (1, 3), and are not killed"


def test_else_it_is_what_runs_at_the_exit_and_where(monkeypatch):
    monkeypatch.setattr(module, "find_children", lambda: [Child(2, daemon=True)])
    assert module.describe_left([]).startswith("exit functions registered by the app are still running, at ")


def test_the_main_thread_is_found_though_its_number_is_replaced(monkeypatch):
    """As gevent does it."""
    monkeypatch.setattr(threading.main_thread(), "_ident", 1)
    for thread in (MAIN_THREAD, threading.get_native_id()):
        assert find_place(thread).endswith("in test_the_main_thread_is_found_though_its_number_is_replaced")

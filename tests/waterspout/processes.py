"""Other processes and other threads, for tests that need them."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import contextmanager, suppress

DEADLINE = 20.0


def fork_and_ask(question):
    """The number that `question` returns in a forked child of this process."""
    with warnings.catch_warnings():
        # Newer Pythons warn about forking with threads; what happens then is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 99
        try:
            code = question()
        finally:
            os._exit(code)
    return wait_for_exit(child)


def wait_for_exit(child):
    """The exit code of a child of this process, which is killed if it does not end."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child did not end")


def run_python(code, *arguments):
    """What a fresh interpreter that runs `code` prints; fails if that fails."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def running_thread(work, *arguments):
    """A thread that must end soon after the block; what it raised is raised here."""
    raised = []

    def run():
        try:
            work(*arguments)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    thread.join(DEADLINE)
    assert not thread.is_alive(), "the thread did not end"
    if raised:
        raise raised[0]


def is_alive(pid):
    """Whether there is such a process, and it is not a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children():
    """The processes that this one has started and that have not ended."""
    found = set()
    for task in os.listdir("/proc/self/task"):
        with suppress(FileNotFoundError), open(f"/proc/self/task/{task}/children") as file:
            found.update(map(int, file.read().split()))
    return {pid for pid in found if is_alive(pid)}


def belongings():
    """How many descriptors, threads and processes this one has."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), threading.active_count(), len(children())


def wait_until(condition, seconds=DEADLINE):
    """Wait, blocking, until the condition holds; its last value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return value

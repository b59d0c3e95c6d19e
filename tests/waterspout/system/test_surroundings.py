"""What the first process of a container does about SIGTERM before it is loaded, how much stack threads have,
and who owns a terminal. The rest: tests/wire.
"""

import os
import resource
import signal
import subprocess
import sys
import threading

import pytest

from tests.server import ROOT
from waterspout.system.surroundings import deepen_threads

#: Gets SIGTERM when it begins to load the module argv[1], and takes itself for the process argv[2].
LOADING = """
import os, signal, sys
own, number = os.getpid(), int(sys.argv[2])
if number:
    os.getpid = lambda: number

class Hook:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(own, signal.SIGTERM)

sys.meta_path.insert(0, Hook())
if sys.argv[3] == "ignored":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
del sys.argv[2:]
"""
MODULES = [
    ("waterspout.cli", "import runpy; runpy.run_module('waterspout', run_name='__main__')"),
    ("waterspout.cli", "from waterspout.__main__ import main; main()"),
    ("app.settings", "import runpy; runpy.run_module('app', run_name='__main__')"),
]


def end_of(module, code, number, how=""):
    """(exit status, stderr) of a process that is ended while it loads `module`, as process `number`."""
    command = [sys.executable, "-c", LOADING + code, module, str(number), how]
    environ = os.environ | {"SECRET_KEY": ""}
    ran = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    return ran.returncode, ran.stderr


@pytest.mark.parametrize(("module", "code"), MODULES)
def test_the_first_process_of_a_container_ends_while_it_is_loaded(module, code):
    said = "waterspout: stopped (SIGTERM): the server was still being loaded\n"
    assert end_of(module, code, 1) == (0, said)


@pytest.mark.parametrize(("module", "code"), MODULES)
def test_any_other_process_ends_by_the_signal_itself(module, code):
    assert end_of(module, code, 0) == (-signal.SIGTERM, "")


def test_where_it_is_ignored_it_stays_so():
    code = "sys.argv[1:] = ['--version']; from waterspout.__main__ import main; main()"
    assert end_of("waterspout.cli", code, 1, "ignored") == (0, "")


#: Prints the size of a thread's stack (MiB) before and after. The C library gives threads 1 MiB at most: musl
#: does that, and so does glibc if that is the limit when a process starts.
STACKS = """
import ctypes, resource, threading
from waterspout.system.surroundings import deepen_threads

libc = ctypes.CDLL(None)
libc.pthread_self.restype = ctypes.c_void_p

def look():
    attributes, size = ctypes.create_string_buffer(256), ctypes.c_size_t()
    assert not libc.pthread_getattr_np(ctypes.c_void_p(libc.pthread_self()), attributes)
    assert not libc.pthread_attr_getstacksize(attributes, ctypes.byref(size))
    print(round(size.value / 2**20))

def start():
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

resource.setrlimit(resource.RLIMIT_STACK, (8 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))
start()
deepen_threads()
start()
threading.stack_size(16 << 20)
deepen_threads()
start()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is left to Python")
def test_threads_have_as_much_stack_as_the_main_thread():
    command = ["sh", "-c", 'ulimit -S -s 1024; exec "$@"', "sh", sys.executable, "-c", STACKS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr == ""
    before, after, set_by_code = map(int, done.stdout.split())
    assert before <= 1
    assert (after, set_by_code) == (8, 16)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is left to Python")
@pytest.mark.parametrize(
    ("limit", "expected"),
    [(resource.RLIM_INFINITY, 8 << 20), (2**20 + 1, 2**20 + 1), (1, 0), (-2, 0)],
)
def test_threads_have_enough_where_the_main_thread_has_no_limit_or_an_impossible_one(
    limit, expected, monkeypatch
):
    before = threading.stack_size(0)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    try:
        deepen_threads()
    finally:
        size = threading.stack_size(before)
    assert size == expected


#: Says whether the terminal at its stdin is its own: before it is, while it is, and when it has gone.
ON_TERMINAL = """
import fcntl, os, pty, signal, termios
from waterspout.system.surroundings import is_own_terminal

signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.setsid()
print(is_own_terminal())
ours, theirs = pty.openpty()
os.dup2(theirs, 0)
print(is_own_terminal())
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
print(is_own_terminal())
os.close(ours)
print(is_own_terminal())
"""


def test_a_terminal_is_its_own_while_it_is_that_of_its_session():
    command = [sys.executable, "-c", ON_TERMINAL]
    with open(os.devnull) as null:
        done = subprocess.run(command, cwd=ROOT, stdin=null, capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == ["False", "False", "True", "False"], done.stderr

"""Signals of a serving process, and of its children. In separate interpreters: it can't be undone."""

import pytest

from tests.waterspout.processes import run_python

SETUP = """
import os, signal, sys, time
from waterspout.system.signals import ignore_group_signals, spare_forked_children

def exit_code_of(child_does, send=None):
    child = os.fork()
    if child == 0:
        child_does()
        os._exit(0)
    if send is not None:
        os.kill(child, send)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def sleep():
    time.sleep(20)

def show():
    print([signal.getsignal(n) == signal.SIG_DFL for n in (signal.SIGTERM, signal.SIGHUP)],
          signal.getsignal(signal.SIGINT) is signal.default_int_handler,
          sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), flush=True)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_process_that_ignores_group_signals_lives_on(name):
    code = f"ignore_group_signals(); os.kill(os.getpid(), signal.{name}); print('alive')"
    assert run_python(SETUP + code) == "alive"


def test_signals_that_were_blocked_while_it_began_are_let_in():
    """They are blocked from its start until it has its own handlers; its children would inherit a mask."""
    code = """
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
ignore_group_signals()
print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
"""
    assert run_python(SETUP + code) == "[]"


def test_programs_that_it_starts_ignore_nothing():
    code = """
import subprocess
ignore_group_signals()
with subprocess.Popen(["sleep", "20"]) as child:
    child.terminate()
    print(child.wait())
"""
    assert run_python(SETUP + code) == "-15"


@pytest.mark.parametrize(
    "begin", ["ignore_group_signals()", "spare_forked_children(); spare_forked_children()"]
)
def test_forked_children_have_the_default_handlers(begin):
    assert run_python(SETUP + begin + "\nexit_code_of(show)") == "[True, True] True []"


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", -15), ("SIGHUP", -1)])
def test_a_forked_child_can_be_ended_at_once(name, code):
    """There is no moment in which it has the parent's handlers."""
    tries = f"ignore_group_signals(); print({{exit_code_of(sleep, signal.{name}) for _ in range(30)}})"
    assert run_python(SETUP + tries) == f"{{{code}}}"


def test_the_parent_keeps_its_handlers_and_its_mask():
    code = """
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
handler = lambda *_: print("handled", flush=True)
signal.signal(signal.SIGTERM, handler)
spare_forked_children()
exit_code_of(lambda: None)
os.kill(os.getpid(), signal.SIGTERM)
blocked = [number.name for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])]
print(blocked, signal.getsignal(signal.SIGTERM) is handler)
"""
    assert run_python(SETUP + code).split("\n") == ["handled", "['SIGHUP'] True"]


def test_a_forked_child_has_none_of_the_sockets_that_are_the_server_s():
    """It does not close their numbers either, which other objects of its own may still close."""
    code = """
import socket
from waterspout.system.signals import keep_from_children
kept, taken = socket.socketpair(), socket.create_server(("127.0.0.1", 0))
keep_from_children(lambda: [taken.fileno(), -1])
def show_files():
    is_null = os.path.samestat(os.fstat(taken.fileno()), os.stat(os.devnull))
    print(is_null, kept[0].getsockname() == "", flush=True)
exit_code_of(show_files)
print(taken.getsockname()[1] > 0)
"""
    assert run_python(SETUP + code).split() == ["True", "True", "True"]


def test_a_signal_to_a_child_stops_no_event_loop_of_the_parent():
    """A forked child has the parent's wake-up descriptor; what it writes there would reach the parent."""
    code = """
import asyncio
async def main():
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    spare_forked_children()
    print(exit_code_of(sleep, signal.SIGTERM))
    await asyncio.sleep(0.1)
    print(stopped.is_set())
asyncio.run(main())
"""
    assert run_python(SETUP + code).split() == ["-15", "False"]

"""The streams and signal handlers that a process is started with, made what programs expect. Leaf."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_streams() -> None:
    """Let descriptors 0 to 2 be there, if only as /dev/null. Started without them (`2>&-`), the next socket
    would get their number, and a C library's error message would go to whoever is at its other end.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        is_taken = True
        try:
            os.fstat(number)
        except OSError:
            is_taken = False
            null = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: all below are there
            os.set_inheritable(null, True)
        if getattr(sys, name) is None:
            # It was not there when Python began. What has its number now, if anything, is somebody else's.
            file = os.devnull if is_taken else number
            stream = open(file, mode, closefd=is_taken, errors="backslashreplace")  # noqa: SIM115  # for good
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def tell_stacks() -> None:
    """SIGUSR1 writes to stderr where all threads stand, whatever they do, and so does a crash.

    By handlers in C: they need neither the event loop nor the interpreter's lock.
    """
    if not _is_main_thread():
        return
    if not faulthandler.is_enabled():
        faulthandler.enable(file=2)
    if hasattr(signal, "SIGUSR1") and signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
        faulthandler.register(signal.SIGUSR1, file=2)


def name_process(name: str) -> None:
    """Let `ps -e`, `top` and `pgrep` show this, of 15 characters at most; Linux only. Threads that are
    started from now on are called so, too.
    """
    with contextlib.suppress(OSError), open("/proc/self/comm", "wb") as file:
        file.write(name.encode())


def hear_children() -> None:
    """Some starters ignore SIGCHLD, which is inherited, and then nobody learns how a process ended."""
    if (
        hasattr(signal, "SIGCHLD")
        and _is_main_thread()
        and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    ):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def end_early() -> None:
    """For the first process of a container, before anything large is loaded, and until `answer_signals`:
    SIGTERM ends it with 0. The kernel keeps from it what it has no handler for; others end by that anyway.
    """
    is_first = os.getpid() == 1 and _is_main_thread()
    if is_first and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end_early)


def _end_early(number: int, _frame: object) -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"waterspout: stopped (SIGTERM): the server was still being loaded\n")
    os._exit(0)  # what runs is an import, at any place


def answer_signals(on_stop: Callable[[str], None], on_hangup: Callable[[], None]) -> None:
    """Until the event loop hears signals: SIGTERM and Ctrl-C end the process with 0, which as the first one
    of a container they would not; SIGHUP, a reload that comes too early, does not. `on_stop` is told which it
    was, by its name.
    """
    if not _is_main_thread():
        return
    on_terminal = is_own_terminal()

    def stop(number: int, _frame: object) -> None:
        on_stop(signal.Signals(number).name)
        drop_streams()
        os._exit(0)  # what runs is code of others, at any place

    def hang_up(number: int, frame: object) -> None:
        if on_terminal and not is_own_terminal():
            stop(number, frame)
        else:
            on_hangup()

    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a shell's background
            signal.signal(number, stop)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, hang_up)


def drop_streams() -> None:
    """Write out what stdout and stderr hold. Where that can't be (a full disk, a reader that has left), let
    it go: Python would try again when it ends, and end with status 120.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                silence(stream.fileno())


def silence(descriptor: int) -> None:
    """Let what is written there go nowhere, from now on. Raises OSError."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


def is_own_terminal() -> bool:
    """Whether stdin is the terminal of this process's session: no other sends SIGHUP when it closes. False
    once it has gone.
    """
    try:
        os.tcgetpgrp(0)
    except OSError:
        return False
    return True


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

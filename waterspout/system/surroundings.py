"""The streams, signal handlers and stacks that a process is started with, turned into what programs expect.
Leaf.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]  # Windows has none

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
#: Where the main thread's has no limit: what that usually is (bytes). With musl, Python 3.14 counts on 4 MB.
_USUAL_STACK: Final = 8 << 20


def open_streams() -> None:
    """Make sure that descriptors 0 to 2 exist, if only as /dev/null. In a process started without them
    (`2>&-`), the next socket would get such a number, and a C library's error messages would go to its peer.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        is_taken = True
        try:
            os.fstat(number)
        except OSError:
            is_taken = False
            null = os.open(os.devnull, os.O_RDWR)  # gets this number, the lowest that is free
            os.set_inheritable(null, True)
        if getattr(sys, name) is None:
            # It didn't exist when Python started. If its number is in use now, it is for something else.
            file = os.devnull if is_taken else number
            stream = open(file, mode, closefd=is_taken, errors="backslashreplace")  # noqa: SIM115  # for good
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def tell_stacks() -> None:
    """Make SIGUSR1, and a crash, write the stacks of all threads to stderr, whatever they do.

    With handlers in C, which need neither the event loop nor the interpreter lock.
    """
    if not _is_main_thread():
        return
    if not faulthandler.is_enabled():
        faulthandler.enable(file=2)
    if hasattr(signal, "SIGUSR1") and signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
        faulthandler.register(signal.SIGUSR1, file=2)


def deepen_threads() -> None:
    """Give new threads as much stack as the main thread may have, unless code has set that. Linux only.

    glibc does so by itself. With musl they get 1 MiB or less, and Python does not know that: JSON nested
    100,000 deep would end the process, where it shall raise RecursionError.
    """
    if sys.platform != "linux":
        return
    size, _most = resource.getrlimit(resource.RLIMIT_STACK)
    if size == resource.RLIM_INFINITY:
        size = _USUAL_STACK
    with contextlib.suppress(ValueError):  # not for a thread: far too little, or too much
        threading.stack_size(threading.stack_size() or size)


def name_process(name: str) -> None:
    """Set the name that `ps -e`, `top` and `pgrep` show, of 15 characters at most; Linux only. Threads
    started from now on get it, too.
    """
    with contextlib.suppress(OSError), open("/proc/self/comm", "wb") as file:
        file.write(name.encode())


def hear_children() -> None:
    """Undo an ignored SIGCHLD, which some parents pass on: with it, nobody learns how a process ended."""
    if (
        hasattr(signal, "SIGCHLD")
        and _is_main_thread()
        and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    ):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def end_early() -> None:
    """For the first process of a container, before anything large is loaded, and until `answer_signals`:
    SIGTERM ends it with 0. The kernel doesn't deliver signals to it that it has no handler for; other
    processes end by them anyway.
    """
    is_first = os.getpid() == 1 and _is_main_thread()
    if is_first and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end_early)


def _end_early(number: int, _frame: object) -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"waterspout: stopped (SIGTERM): the server was still being loaded\n")
    os._exit(0)  # in the middle of an import, at any point


def answer_signals(on_stop: Callable[[str], None], on_hangup: Callable[[], None]) -> None:
    """Until the event loop handles signals: SIGTERM and Ctrl-C end the process with 0, which they would not
    do for the first process of a container; SIGHUP, a reload that comes too early, does not. `on_stop` gets
    the signal's name.
    """
    if not _is_main_thread():
        return
    on_terminal = is_own_terminal()

    def stop(number: int, _frame: object) -> None:
        on_stop(signal.Signals(number).name)
        drop_streams()
        os._exit(0)  # in the middle of other people's code, at any point

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
    """Flush stdout and stderr. Where that fails (a full disk, a reader that has left), discard the data:
    Python would try again when it ends, and exit with status 120. Raises nothing, whatever an app has put in
    their place.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except Exception:
            with contextlib.suppress(Exception):
                silence(stream.fileno())


def silence(descriptor: int) -> None:
    """Discard what is written there from now on. Raises OSError."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


def is_own_terminal() -> bool:
    """Whether stdin is the terminal of this process's session: only that one sends SIGHUP when it closes.
    False once it has gone.
    """
    try:
        os.tcgetpgrp(0)
    except OSError:
        return False
    return True


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

"""The end of the server's process, when nothing is left to serve."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Collection, Iterator
from typing import Any, Final

from waterspout.limits import END_SAID, SAME_SIGNAL
from waterspout.logs.standing import (
    MAIN_THREAD,
    describe_left,
    describe_place,
    find_children,
    find_place,
    find_threads,
    is_nobodys,
    is_servers,
)
from waterspout.ops.natives import name_native
from waterspout.system.listeners import remove_files
from waterspout.system.surroundings import drop_streams

logger = logging.getLogger("waterspout.server")

#: The most tasks that one log line names.
_NAMES: Final = 5


def end_by(
    deadline: float,
    before: Collection[threading.Thread],
    status: int,
    loop: asyncio.AbstractEventLoop | None = None,
) -> None:
    """Let what the app has left here finish until `deadline` (of `time.monotonic()`); then end the process
    with `status`, whatever still runs. `before`: threads that are not the app's. `loop`: has to be closed by
    then.

    Python itself waits without limit: for tasks that it has cancelled, for threads, for processes of
    `multiprocessing`, and for functions registered to run at exit. A program that has none of these and goes
    on is left alone.
    """
    threads = find_threads(before)
    # Now: Python starts no more threads at shutdown. Without this one it waits, as it does by default.
    with contextlib.suppress(RuntimeError):
        threading.Thread(target=_watch, args=(before, threads, deadline, status, loop), daemon=True).start()


@contextlib.contextmanager
def standing_ended(deadline: float) -> Iterator[None]:
    """End the process, with 1, if the event loop is blocked in here until `deadline` (of `time.monotonic()`):
    then nothing on the loop can end the process, or react to a signal.
    """
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), _end_standing)
    timer.daemon = True
    with contextlib.suppress(RuntimeError):  # no thread can be started
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end_standing() -> None:
    _end_daemons()
    place = describe_place(find_place(MAIN_THREAD))
    end_now(1, "the event loop does not stop: %s", place, level=logging.ERROR)


def end_when_told(loop: asyncio.AbstractEventLoop) -> None:
    """Take over signals from `loop`, which no longer handles them and would restore their defaults, which end
    the process in the middle of what Python still waits for: threads, and functions registered for the exit.
    A signal more than a second from now ends it at once, with 1; not SIGHUP, a reload that comes too late.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    since = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
        signal.signal(number, lambda *_: end_now(1) if time.monotonic() > since + SAME_SIGNAL else None)
    loop.remove_signal_handler(signal.SIGHUP)
    signal.signal(signal.SIGHUP, lambda *_: None)


def _watch(
    before: Collection[threading.Thread],
    threads: list[threading.Thread],
    deadline: float,
    status: int,
    loop: asyncio.AbstractEventLoop | None,
) -> None:
    time.sleep(max(0.0, min(END_SAID, deadline - time.monotonic())))
    remains = deadline - time.monotonic()
    if remains > 0 and (left := _describe_left(before, threads, loop)):
        # Anyone who reads "stopped" and sees the process live on would wait long for the reason.
        logger.warning("stopped, but %s; waiting for at most %.0f s", left, remains)
    time.sleep(max(0.0, deadline - time.monotonic()))
    left = _describe_left(before, threads, loop)
    if not left and (loop is None or loop.is_closed()):
        return  # the program goes on
    left = left or describe_left(threads)
    _end_daemons()
    end_now(status, "%s: the graceful timeout is over", left)


def _describe_left(
    before: Collection[threading.Thread],
    threads: list[threading.Thread],
    loop: asyncio.AbstractEventLoop | None,
) -> str:
    """What the app has left that keeps the process from ending now; "": nothing that is known."""
    if tasks := "" if loop is None or loop.is_closed() else _describe_tasks(loop):
        return tasks
    # Python's shutdown begins with executors, whose threads it joins while the main thread is still alive.
    is_ending = getattr(threading, "_SHUTTING_DOWN", False) or not threading.main_thread().is_alive()
    if is_ending:
        threads = find_threads(before)  # those that have been started since, too
    return describe_left(threads) if is_ending or any(thread.is_alive() for thread in threads) else ""


def _describe_tasks(loop: asyncio.AbstractEventLoop) -> str:
    """The tasks that are left; "" if there are none."""
    named = {task: name_native(task) for task in asyncio.all_tasks(loop)}
    # Except the one that waits for threads.
    tasks = [task for task, name in named.items() if not name.endswith("shutdown_default_executor")]
    others = [task for task in tasks if not is_servers(task.get_coro())]
    whose = "tasks started by the app"
    if len(others) < len(tasks) and all(is_nobodys(task.get_coro()) for task in others):
        whose, others = "the server's own tasks", tasks
    names = ", ".join(sorted({named[task] for task in others})[:_NAMES])
    return f"{whose} are still running after being cancelled ({names})" if names else ""


def end_children(children: Collection[Any], seconds: float = 0) -> None:
    """End `children` (of `find_children()`) by SIGTERM; given `seconds`, by SIGKILL if still running then."""
    deadline = time.monotonic() + seconds
    for child in children:
        with contextlib.suppress(Exception):  # an app's own kind of child: the end goes on
            child.terminate()
    for child in children if seconds else ():
        with contextlib.suppress(Exception):
            child.join(max(0.0, deadline - time.monotonic()))
            child.kill()
            child.join(seconds)


def _end_daemons() -> None:
    """End daemonic child processes, as Python would if it got that far."""
    end_children([child for child in find_children() if child.daemon])


def end_now(status: int, said: str = "", *values: object, level: int = logging.WARNING) -> None:
    """Log what is `said`, with `values`, and end the process, whatever still runs: within END_SAID, even if
    nobody reads that line, or what stdout and stderr still buffer. WSGI processes end when their control
    channel closes.
    """
    timer = threading.Timer(END_SAID, _leave, (status,))
    timer.daemon = True
    with contextlib.suppress(RuntimeError):  # no thread can be started
        timer.start()
    if said:
        logger.log(level, said, *values)
    drop_streams()
    _leave(status)


def _leave(status: int) -> None:
    remove_files()
    os._exit(status)

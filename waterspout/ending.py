"""The end of the server's process, when nothing is left to serve."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Collection

from waterspout.limits import SAME_SIGNAL
from waterspout.surroundings import drop_streams
from waterspout.wsgi.lane_thread import LaneThread

logger = logging.getLogger("waterspout.server")


def end_by(deadline: float, before: Collection[threading.Thread], status: int) -> None:
    """Let the threads that the app has started here finish, until `deadline` (of `time.monotonic()`): then
    the process ends with `status`, whatever they do. `before`: threads that are none of the app's.

    Python itself waits for them, without an end. Where there are none, nothing is done.
    """
    if threads := _find_threads(before):
        threading.Thread(target=_watch, args=(threads, deadline, status), daemon=True).start()


def end_when_told(loop: asyncio.AbstractEventLoop) -> None:
    """`loop` hears signals no more, and would leave them to their default, which is to end in the middle of
    what Python still waits for: such threads, and what was registered to be done at the exit. One that comes
    more than a second from now ends at once, with 1; but SIGHUP, a reload that comes too late, does not.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    since = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
        signal.signal(number, lambda *_: _end(1) if time.monotonic() > since + SAME_SIGNAL else None)
    loop.remove_signal_handler(signal.SIGHUP)
    signal.signal(signal.SIGHUP, lambda *_: None)


def _find_threads(before: Collection[threading.Thread]) -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if not (thread.daemon or thread in before or isinstance(thread, LaneThread))
    ]


def _watch(threads: list[threading.Thread], deadline: float, status: int) -> None:
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        logger.warning("threads that the app has started still run: the graceful timeout is over")
        _end(status)


def _end(status: int) -> None:
    drop_streams()
    os._exit(status)

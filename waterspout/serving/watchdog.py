"""What blocks the event loop, logged while it does: by a thread, since nothing else runs on the loop then."""

from __future__ import annotations

import asyncio
import logging
import os
import selectors
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Final

from waterspout.limits import LOOP_LOOK, LOOP_PAUSE, LOOP_STANDS, LOOP_STUCK

logger = logging.getLogger("waterspout.ops")

_ASYNCIO: Final = os.path.dirname(asyncio.__file__)
#: How many frames of a stack are logged: the innermost; those further out are seldom the handler's.
_FRAMES: Final = 20
#: A process that has used this much of the time meanwhile has worked, and not been stopped.
_WORKING: Final = 0.1


class LoopWatchdog:
    """A thread that looks for a sign of life of the event loop, and logs where it stands when there is none.

    A process that was stopped as a whole, or code that holds the GIL, stops the thread, too: then it can only
    say so afterwards. `on_beat` is called at each sign of life.
    """

    def __init__(self, on_beat: Callable[[], None] = lambda: None) -> None:
        self._on_beat = on_beat
        self._stopped = threading.Event()
        self._beaten = 0.0
        self._told = -LOOP_PAUSE
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch the running loop, until `stop()`."""
        loop = asyncio.get_running_loop()
        self._beat(loop)
        watching = threading.Thread(
            target=self._watch, args=(threading.get_ident(),), name="waterspout-watchdog", daemon=True
        )
        try:
            watching.start()
        except RuntimeError as error:
            logger.warning("the event loop is not watched: %s", error)
            self.stop()

    def stop(self) -> None:
        """Stop watching. Harmless when repeated."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beaten = time.monotonic()
        self._timer = loop.call_later(LOOP_LOOK, self._beat, loop)
        self._on_beat()

    def _watch(self, loop_thread: int) -> None:
        stands_since = 0.0
        looked, used = time.monotonic(), time.process_time()
        while not self._stopped.wait(LOOP_LOOK):
            before, looked = looked, time.monotonic()
            used_before, used = used, time.process_time()
            self._judge_itself(looked - before, used - used_before)
            beaten = self._beaten
            if stands_since and beaten != stands_since:
                logger.warning("the event loop runs again, after %.1f s", beaten - stands_since)
                stands_since = 0.0
            stood = looked - beaten
            is_on_time = looked - before < LOOP_STANDS / 2  # else this thread has not run either
            may_tell = looked - self._told >= LOOP_PAUSE or stood >= LOOP_STUCK
            if stands_since or stood < LOOP_STANDS or not is_on_time or not may_tell:
                continue
            frame = sys._current_frames().get(loop_thread)
            culprit = find_culprit(frame) if frame is not None else []
            if culprit and self._beaten == beaten:
                stands_since, self._told = beaten, looked
                logger.warning(
                    "the event loop has been blocked for %.1f s: no client is served while this runs\n%s",
                    stood,
                    "".join(traceback.format_list(culprit)).rstrip(),
                )

    def _judge_itself(self, passed: float, used: float) -> None:
        """Report that this thread comes late by far. `used`: processor time of all threads meanwhile."""
        late = passed - LOOP_LOOK
        worked = used - LOOP_LOOK > late * _WORKING  # it may have been busy before it was stopped
        if late >= LOOP_STANDS and worked and self._may_tell(late):
            logger.warning(
                "the thread that watches the event loop could not run for %.1f s: most likely something held "
                "the interpreter's lock (C code, a regular expression), and an access line with as many ms "
                "names it; or many threads of views compete for it",
                late,
            )
        elif late >= LOOP_STUCK:
            logger.warning(
                "this process did not run for %.1f s: it was stopped (SIGSTOP, a suspended machine), got no "
                "processor time, or waited in C code that holds the interpreter's lock",
                late,
            )

    def _may_tell(self, seconds: float) -> bool:
        """Whether so long a standstill is to be logged now: once in a while, and a long one always."""
        now = time.monotonic()
        if now - self._told < LOOP_PAUSE and seconds < LOOP_STUCK:
            return False
        self._told = now
        return True


def find_culprit(frame: FrameType) -> traceback.StackSummary | list[traceback.FrameSummary]:
    """The part of its thread's stack that the event loop runs; empty when it waits for something to do."""
    stack = traceback.extract_stack(frame)
    is_loop = [os.path.dirname(entry.filename) == _ASYNCIO for entry in stack]
    begin = is_loop.index(True) if True in is_loop else 0
    while begin < len(stack) and is_loop[begin]:
        begin += 1
    culprit = stack[begin:]
    if culprit and culprit[0].filename == selectors.__file__:
        return []
    return culprit[-_FRAMES:]

"""When small requests are queued behind one that still runs, and when they are taken back from there.

Views that compute for a moment and wait for nothing gain nothing from a second thread of their process, which
has one interpreter lock: the threads only wake and hinder each other. So requests that arrive while a lane is
busy go into its backlog, not to an idle lane, until it turns out that the views do wait, or that one is slow:

* A lane makes no progress for `BACKLOG_PATIENCE` looks, `BACKLOG_LOOK` seconds apart, although its thread
  gets a core: what its worker has not taken goes to other lanes, in the same order.
* The worker reports that its requests have slept (SLEPT): the kernel counts how often a thread gives up a
  core.

Then each request gets its own lane, for `SPREAD_TIME`; twice as long each time, until views are quick again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from waterspout.limits import (
    BACKLOG_FRESH,
    BACKLOG_LOOK,
    BACKLOG_LOOK_SLOW,
    BACKLOG_PATIENCE,
    BACKLOG_STARVING,
    SPREAD_TIME,
    SPREAD_TOLERANCE,
)
from waterspout.system.processes import is_ready, read_cpu_time
from waterspout.wsgi.lanes.lane import Lane


class Progress:
    """The progress of a lane of the process `pid`."""

    def __init__(self, lane: Lane, pid: int | None) -> None:
        self._lane = lane
        self._pid = pid
        self._begin()

    def _begin(self) -> None:
        self._steps = self._lane.steps
        self._misses = 0
        self._used = 0.0 if self._pid is None else read_cpu_time(self._pid)

    def look(self) -> int:
        """How many steps the lane has made since the last look."""
        steps = self._lane.steps - self._steps
        if steps:
            self._begin()
        else:
            self._misses += 1
        return steps

    @property
    def is_over(self) -> bool:
        """The lane makes no progress, and not because its process gets no core."""
        if self._misses < BACKLOG_PATIENCE:
            return False
        pid = self._pid
        is_starving = (
            pid is not None
            and self._misses < BACKLOG_STARVING
            and read_cpu_time(pid) - self._used < BACKLOG_PATIENCE * BACKLOG_LOOK
            and is_ready(pid, self._lane.thread)
        )
        return not is_starving


class Prefetch:
    """For the lanes of one process. `on_returned` is called with exchanges that `add` accepted and that now
    need another lane, in their order. `on_room`: there is room where there was none. `find_pid` returns the
    process ID.

    Attributes: `is_full`, there is a lane to queue behind, but it takes no more: waiting for it is better
    than waking another thread.
    """

    def __init__(
        self,
        on_returned: Callable[[list[Any]], None],
        on_room: Callable[[], None],
        find_pid: Callable[[], int | None],
    ) -> None:
        self._on_returned = on_returned
        self._on_room = on_room
        self._find_pid = find_pid
        self.is_full = False
        self._lane: Lane | None = None
        self._begun = 0.0  # when that lane began its request (event loop time)
        #: Lanes with a backlog in use.
        self._watched: dict[Lane, Progress] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._pause: float | None = None
        self._spread_until = 0.0
        self._spread_time = SPREAD_TIME[0]
        self._in_a_row = 0  # requests that were quick

    @property
    def waiting(self) -> int:
        """How many requests are in backlogs, apart from those that are known to run."""
        return sum(lane.behind for lane in self._watched)

    def follow(self, lane: Lane) -> None:
        """`lane` has begun a request: small ones may be queued behind it."""
        self.is_full = False
        if lane.takes_more:
            self._lane = lane
            self._watched.pop(lane, None)
            self._begun = asyncio.get_running_loop().time()

    def add(self, exchange: Any) -> bool:
        """Queue `exchange` behind what runs. False: `is_full`, or it should have its own lane."""
        self.is_full = False
        lane = self._lane
        if lane is None or not lane.takes_more:
            return False
        loop = asyncio.get_running_loop()
        now = loop.time()
        is_watched = lane in self._watched
        if now < self._spread_until or (not is_watched and now - self._begun > BACKLOG_FRESH):
            return False
        if not exchange.put_behind(lane):
            self.is_full = is_watched and exchange.is_small
            return False
        if not is_watched:
            self._watched[lane] = Progress(lane, self._find_pid())
            if self._pause != BACKLOG_LOOK:
                self._look_in(BACKLOG_LOOK)
        return True

    def on_slept(self, lane: Lane) -> None:
        """The worker of `lane` reports that the views of its backlog wait for something."""
        self._spread()
        self.give_back(lane)

    def give_back(self, lane: Lane) -> None:
        """What is queued behind the request that `lane` runs must not wait for it."""
        self.is_full = False
        users = lane.take_back()
        if users:
            self._on_returned(users)
        self._on_room()  # nobody need wait for room here any longer

    def forget(self, lane: Lane) -> None:
        """`lane` is lost."""
        self._watched.pop(lane, None)
        if self._lane is lane:
            self._lane = None
            self.is_full = False
            self._on_room()

    def stop(self) -> None:
        """Queue nothing more. What is already queued will run."""
        self._lane = None
        self.is_full = False
        self._on_room()  # elsewhere

    # -- periodically ------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._timer = None
        try:
            for lane, progress in list(self._watched.items()):
                lane.collect()
                if self._watched.get(lane) is progress:  # handling one lane may affect another
                    self._judge(lane, progress)
            if self.is_full:
                self._on_room()
        finally:
            is_used = any(lane.takes_more for lane in self._watched)
            pause = BACKLOG_LOOK if is_used else BACKLOG_LOOK_SLOW
            self._look_in(pause if self._watched else None)

    def _judge(self, lane: Lane, progress: Progress) -> None:
        self._in_a_row += progress.look()
        if lane.backlog is None or not lane.backlog.users:
            # No answer can come through the backlog until something is put there.
            del self._watched[lane]
        elif lane.takes_more and progress.is_over:
            # One slow view among many quick ones changes nothing. If slow ones come more often, each request
            # gets its own lane, so that none has to wait behind one.
            if self._in_a_row < SPREAD_TOLERANCE:
                self._spread()
            self._in_a_row = 0
            self.give_back(lane)

    def _look_in(self, pause: float | None) -> None:
        """Look again in `pause` seconds; None: not at all."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if pause is None else asyncio.get_running_loop().call_later(pause, self._look)
        self._pause = pause

    def _spread(self) -> None:
        if self._in_a_row >= SPREAD_TOLERANCE:
            self._spread_time = SPREAD_TIME[0]
        self._in_a_row = 0
        self._spread_until = asyncio.get_running_loop().time() + self._spread_time
        self._spread_time = min(2 * self._spread_time, SPREAD_TIME[1])

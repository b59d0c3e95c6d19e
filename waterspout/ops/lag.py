"""How late the event loop runs what is due: its lag, sampled."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import TypedDict

from waterspout.limits import FIGURES_WINDOW, LAG_INTERVAL, LAG_WANTED


class LagSummary(TypedDict):
    """The lag in the last minute, in seconds; None: no sample yet."""

    samples: int
    last: float | None
    p99: float | None
    max: float | None


class LoopLag:
    """Schedules a call on the running loop every `LAG_INTERVAL` and notes how late each comes.

    Something that blocks the loop for less than the interval may fall between two samples, or be seen only
    in part. Nothing runs until it is needed: from `keep()` on, or for a while after `tell()`.
    """

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=round(FIGURES_WINDOW / LAG_INTERVAL))
        self._timer: asyncio.TimerHandle | None = None
        self._until = -math.inf

    def keep(self) -> None:
        """Sample from now on, until `stop()`."""
        self._want(math.inf)

    def tell(self) -> LagSummary:
        """The lag seen lately. The first call only starts sampling."""
        self._want(asyncio.get_running_loop().time() + LAG_WANTED)
        ordered = sorted(self._samples)
        if not ordered:
            return LagSummary(samples=0, last=None, p99=None, max=None)
        p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
        return LagSummary(samples=len(ordered), last=self._samples[-1], p99=p99, max=ordered[-1])

    def stop(self) -> None:
        """Stop sampling, and forget. May be called again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._until = -math.inf
        self._samples.clear()

    @property
    def sampling(self) -> bool:
        """Whether it is sampling."""
        return self._timer is not None

    def _want(self, until: float) -> None:
        self._until = max(self._until, until)
        if self._timer is None:
            self._schedule(asyncio.get_running_loop())

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        # Not on the loop's own clock: uvloop's stands still while callbacks run, and counts milliseconds.
        due = time.perf_counter() + LAG_INTERVAL
        self._timer = loop.call_later(LAG_INTERVAL, self._sample, loop, due)

    def _sample(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._samples.append(max(0.0, time.perf_counter() - due))
        if loop.time() < self._until:
            self._schedule(loop)
        else:
            self.stop()

"""When Python's garbage collector runs, beside its own thresholds, which the server sets high. Leaf.

Our own objects are freed at once when they are over. But a view's exception holds its frames in a reference
cycle, and with them, perhaps, a body of some megabytes; asyncio and Tornado have such cycles of their own.
The thresholds count that as a few objects.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Final

from waterspout.limits import (
    COLLECT_GROWTH,
    COLLECT_GROWTH_SHARE,
    COLLECT_LOOK,
    COLLECT_SHARE,
    COLLECT_YOUNG_SHARE,
)

#: Generations of Python's collector. What is over is mostly young; to look at that alone takes a fraction.
_YOUNG: Final = 1
_ALL: Final = 2
_SHARES: Final = {_YOUNG: COLLECT_YOUNG_SHARE, _ALL: COLLECT_SHARE}


class Collector:
    """Collects when the process's memory has grown, or a descriptor is wanted. `clock`: `time.perf_counter`.

    The event loop stands still meanwhile, so it takes no more than its shares of the time. If somebody has
    switched the collector off, it stays off.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._not_before = {_YOUNG: 0.0, _ALL: 0.0}
        self._kept = dict.fromkeys(self._not_before, 0)  # what was left of memory behind each (bytes)
        self._timer: asyncio.TimerHandle | None = None

    def start(self, read_rss: Callable[[], int | None]) -> None:
        """Look now and then, on the running loop. `read_rss`: the process's memory (bytes), None: unknown."""
        self.stop()
        kept = read_rss()
        if kept is not None:
            self._kept = dict.fromkeys(self._kept, kept)
            self._wait(read_rss)

    def stop(self) -> None:
        """Look no more. Harmless when repeated."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, read_rss: Callable[[], int | None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(COLLECT_LOOK, self._look, read_rss)

    def _look(self, read_rss: Callable[[], int | None]) -> None:
        self._wait(read_rss)
        self.look(read_rss)

    def look(self, read_rss: Callable[[], int | None]) -> None:
        """Collect, if there is more than what was left when that was done last, by far."""
        held = read_rss() or 0
        self._kept = {generation: min(kept, held) for generation, kept in self._kept.items()}
        if _has_grown(self._kept[_YOUNG], held, 1) and self._collect(_YOUNG):
            self._kept[_YOUNG] = read_rss() or held
        elif _has_grown(self._kept[_ALL], held, 2) and self._collect(_ALL):  # the young was not enough
            self._kept = dict.fromkeys(self._kept, read_rss() or held)

    def collect(self) -> bool:
        """All of it. False: it is too soon for that again, or not wanted."""
        return self._collect(_ALL)

    def _collect(self, generation: int) -> bool:
        began = self._clock()
        if began < self._not_before[generation] or not gc.isenabled():
            return False
        gc.collect(generation)
        self._not_before[generation] = began + (self._clock() - began) / _SHARES[generation]
        return True


def _has_grown(kept: int, held: int, times: int) -> bool:
    return held - kept > times * max(COLLECT_GROWTH, kept * COLLECT_GROWTH_SHARE)


#: The one of this process.
collector = Collector()

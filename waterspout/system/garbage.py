"""When Python's garbage collector runs, in addition to its own thresholds, which the server sets high. Leaf.

Our own objects are freed as soon as they are no longer used. But a view's exception holds its frames in a
reference cycle, and with them, perhaps, a body of some megabytes; asyncio and Tornado have such cycles of
their own. The thresholds count that as a few objects.
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

#: Generations of Python's collector. Most garbage is young; to look at that alone takes a fraction.
_YOUNG: Final = 1
_ALL: Final = 2
_SHARES: Final = {_YOUNG: COLLECT_YOUNG_SHARE, _ALL: COLLECT_SHARE}


class Collector:
    """Collects when the process's memory has grown, or a descriptor is needed. `clock`: `time.perf_counter`.

    The event loop stands still meanwhile, so it takes no more than its shares of the time. If the collector
    has been disabled, it stays so.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._not_before = {_YOUNG: 0.0, _ALL: 0.0}
        self._kept = dict.fromkeys(self._not_before, 0)  # memory left after each (bytes)
        self._timer: asyncio.TimerHandle | None = None

    def start(self, read_rss: Callable[[], int | None]) -> None:
        """Check now and then, on the running loop. `read_rss`: memory in use (bytes); None: unknown."""
        self.stop()
        kept = read_rss()
        if kept is not None:
            self._kept = dict.fromkeys(self._kept, kept)
            self._wait(read_rss)

    def stop(self) -> None:
        """Stop checking. May be called again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, read_rss: Callable[[], int | None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(COLLECT_LOOK, self._look, read_rss)

    def _look(self, read_rss: Callable[[], int | None]) -> None:
        self._wait(read_rss)
        self.look(read_rss)

    def look(self, read_rss: Callable[[], int | None]) -> None:
        """Collect if memory has grown well beyond what was left after the last collection."""
        held = read_rss()
        if held is None:
            return  # no descriptor is left to read it with
        self._kept = {generation: min(kept, held) for generation, kept in self._kept.items()}
        if _has_grown(self._kept[_YOUNG], held, 1) and self._collect(_YOUNG):
            self._kept[_YOUNG] = read_rss() or held
        elif _has_grown(self._kept[_ALL], held, 2) and self._collect(_ALL):  # the young were not enough
            self._kept = dict.fromkeys(self._kept, read_rss() or held)

    def collect(self) -> bool:
        """Collect all generations. False: it is too soon to do so again, or the collector is disabled."""
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


#: This process's collector.
collector = Collector()

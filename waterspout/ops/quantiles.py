"""Many durations in bounded memory: how long the typical, the slow and the slowest took lately. Pure."""

from __future__ import annotations

from bisect import bisect
from typing import Final, TypedDict

from waterspout.limits import FIGURES_WINDOW

#: Four buckets for each power of two, from 2**-17 s (8 microseconds) to 2**13 s (over two hours): a
#: quantile is accurate to an eighth.
_LEAST: Final = -16
_MOST: Final = 13
_BUCKETS: Final = (_MOST - _LEAST + 1) * 4
_SHARES: Final = (0.5, 0.9, 0.99)


class Summary(TypedDict):
    """`count` since the start; the rest for the last one to two minutes, in seconds. None: none came."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None


class Durations:
    """Durations in seconds, by order of magnitude. Two windows, so that what is reported is recent."""

    __slots__ = ("_before", "_earlier", "_max", "_max_before", "_now", "_turn")

    def __init__(self) -> None:
        self._earlier = 0  # how many came before this window
        self._now = [0] * _BUCKETS
        self._before = [0] * _BUCKETS
        self._max = self._max_before = 0.0
        self._turn = 0.0  # when the next window begins

    def add(self, seconds: float, now: float) -> None:
        """Count one. `now`: any monotonic clock. Called for each request, so it is kept cheap."""
        if now >= self._turn:
            self._begin_window(now)
        if seconds > self._max:
            self._max = seconds
        self._now[bisect(_BOUNDS, seconds)] += 1

    @property
    def count(self) -> int:
        """How many there have been since the start."""
        return self._earlier + sum(self._now)

    def summarize(self, now: float) -> Summary:
        """The quantiles of this window and the one before."""
        if now >= self._turn:
            self._begin_window(now)
        counts = [new + old for new, old in zip(self._now, self._before, strict=True)]
        most = max(self._max, self._max_before)
        p50, p90, p99 = (_quantile(counts, share, most) for share in _SHARES)
        return Summary(count=self.count, p50=p50, p90=p90, p99=p99, max=most if any(counts) else None)

    def _begin_window(self, now: float) -> None:
        missed = now >= self._turn + FIGURES_WINDOW  # nothing came for a whole window
        self._earlier += sum(self._now)
        self._before = [0] * _BUCKETS if missed else self._now
        self._max_before = 0.0 if missed else self._max
        self._now = [0] * _BUCKETS
        self._max = 0.0
        self._turn = now + FIGURES_WINDOW


def _quantile(counts: list[int], share: float, most: float) -> float | None:
    """The middle of the bucket that `share` of all lie in or below; never above the maximum, `most`."""
    wanted = share * sum(counts)
    seen = 0
    for index, count in enumerate(counts):
        seen += count
        if count and seen >= wanted:
            return min(_edge(index + 0.5), most)
    return None


def _edge(index: float) -> float:
    """Where a bucket begins; for half an index more, its middle."""
    exponent, quarters = divmod(index, 4)
    return float((quarters + 4) / 8 * 2.0 ** (exponent + _LEAST))


#: Bounds between buckets: smaller values than all of them go into the first, larger ones into the last.
_BOUNDS: Final = [_edge(index) for index in range(1, _BUCKETS)]

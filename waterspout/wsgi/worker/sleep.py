"""Whether the views of a thread wait for something: the kernel counts its voluntary context switches."""

from __future__ import annotations

from typing import Final

try:
    import resource
except ImportError:  # Windows, which `pool/pool.py` refuses in words
    resource = None  # type: ignore[assignment]

#: So many requests are looked at together, at most.
_MOST: Final = 32


class SleepMeter:
    """Asked between the requests of a backlog, in the thread that runs them. Linux only."""

    def __init__(self) -> None:
        self._requests = 0  # that have run since it began to count
        self._from: int | None = None

    def has_slept(self, *, alone: bool, more: bool) -> bool:
        """Whether at least half of the last requests have. `alone`: no other thread of this process runs one;
        else this thread may have waited for the interpreter's lock. `more`: another request follows.

        It looks behind the first, the second, the fourth, ... and behind the last: soon where they do, and
        hardly ever (0.4 µs each) where they don't.
        """
        if not alone:
            self._from = None
            return False
        if self._from is None:
            if more:
                self._begin()
            return False
        self._requests += 1
        requests = self._requests
        if more and requests & (requests - 1):
            return False
        slept = 2 * (_count_switches() - self._from) >= requests
        if not more or slept:
            self._from = None
        elif requests >= _MOST:
            self._begin()
        return slept

    def _begin(self) -> None:
        self._requests = 0
        self._from = _count_switches()


def _count_switches() -> int:
    try:
        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    except OSError:
        return 0  # a sandbox forbids to ask: nobody is seen to sleep

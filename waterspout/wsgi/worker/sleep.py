"""Whether a thread's views wait for something, by the kernel's count of its voluntary context switches."""

from __future__ import annotations

from typing import Final

try:
    import resource
except ImportError:  # Windows, which `pool/pool.py` refuses with a message
    resource = None  # type: ignore[assignment]

#: How many requests are measured together, at most.
_MOST: Final = 32


class SleepMeter:
    """Asked between the requests of a backlog, in the thread that runs them. Linux only."""

    def __init__(self) -> None:
        self._requests = 0  # run since it began to count
        self._from: int | None = None

    def has_slept(self, *, alone: bool, more: bool) -> bool:
        """Whether at least half of the last requests have. `alone`: no other thread of this process runs one;
        else this thread may have waited for the interpreter lock. `more`: another request follows.

        It looks after the first, second, fourth, ... and after the last: soon if they sleep, and rarely
        (0.4 µs each time) if they don't.
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
        return 0  # forbidden by a sandbox: no sleep is detected

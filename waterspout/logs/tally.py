"""A limit on how often a line is logged. Pure."""

from __future__ import annotations

import math


class Tally:
    """Events of one kind: the first is logged at once, further ones together, `pause` seconds later at the
    earliest. Times are from one monotonic clock.

    Attributes: `unsaid`, how many were counted and not logged; `due`, when they may be.
    """

    __slots__ = ("_pause", "_said", "unsaid")

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._said = -math.inf
        self.unsaid = 0

    def count(self, now: float, times: int = 1) -> int:
        """Count `times` events. Returns how many are not logged yet if a line is due now; else 0."""
        self.unsaid += times
        if not self.unsaid or now - self._said < self._pause:
            return 0
        return self.take(now)

    def take(self, now: float) -> int:
        """Return how many are not logged yet; from now on they count as logged."""
        unsaid, self.unsaid, self._said = self.unsaid, 0, now
        return unsaid

    @property
    def due(self) -> float:
        return self._said + self._pause


def since_last(count: int) -> str:
    """The end of a line that is about `count` events: how many, unless it is one."""
    return f" ({count} such since the last such line)" if count > 1 else ""

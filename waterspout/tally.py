"""A limit on how often a line is logged. Pure."""

from __future__ import annotations

import math


class Tally:
    """Events of one kind: the first is logged at once, further ones together, `pause` seconds later at the
    earliest. Times are those of one monotonic clock.
    """

    __slots__ = ("_pause", "_said", "_unsaid")

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._said = -math.inf
        self._unsaid = 0

    def count(self, now: float, times: int = 1) -> int:
        """Count so many events. Returns how many are not logged yet, if a line is due now; else 0."""
        self._unsaid += times
        if not self._unsaid or now - self._said < self._pause:
            return 0
        unsaid, self._unsaid, self._said = self._unsaid, 0, now
        return unsaid

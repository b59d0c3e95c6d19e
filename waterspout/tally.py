"""What happens often, and is said now and then. Pure."""

from __future__ import annotations

import math


class Tally:
    """Events of one kind: the first is said at once, those behind it together, `pause` seconds later at the
    earliest. Times are of one clock that only goes forward.
    """

    __slots__ = ("_pause", "_said", "_unsaid")

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._said = -math.inf
        self._unsaid = 0

    def count(self, now: float, times: int = 1) -> int:
        """It has happened so many `times`. How often since that was last said, if it shall be now; or 0."""
        self._unsaid += times
        if not self._unsaid or now - self._said < self._pause:
            return 0
        unsaid, self._unsaid, self._said = self._unsaid, 0, now
        return unsaid

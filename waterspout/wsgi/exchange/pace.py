"""How fast a client is, where a lane may have to wait for it. Pure."""

from __future__ import annotations

from waterspout.limits import STRETCH, STRETCH_TIME


class Pace:
    """Checked periodically. All times are the event loop's, in seconds; `moved` is in bytes.

    Attributes: `is_brisk`, its last stretch took no longer than allowed.
    """

    __slots__ = ("_changed", "_mark", "_moved", "_since", "is_brisk")

    def __init__(self, now: float, moved: int = 0) -> None:
        self._since = self._changed = now
        self._mark = self._moved = moved
        self.is_brisk = False

    def observe(self, now: float, moved: int) -> None:
        """`moved` bytes have moved in total."""
        if moved != self._moved:
            self._moved, self._changed = moved, now
        if moved - self._mark >= STRETCH:
            self.is_brisk = now - self._since <= STRETCH_TIME
            self._mark, self._since = moved, now

    def excuse(self, now: float) -> None:
        """Nobody waits for the client: its clock starts again."""
        self._since = now

    def waited(self, now: float) -> float:
        """How long its next stretch has been waited for."""
        return now - self._since

    def paused(self, now: float) -> float:
        """For how long nothing has moved."""
        return now - self._changed

    def is_late(self, now: float) -> bool:
        """Its next stretch takes longer than allowed."""
        return self.waited(now) > STRETCH_TIME

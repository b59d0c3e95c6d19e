"""What happens often, is said now and then, and is said to its end: a `Tally` on the running event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from waterspout.logs.tally import Tally


class SpokenTally:
    """Events of one kind. `say` is told how many there were since it was last told: at once, and of those
    behind that together, `pause` seconds later (`is_rest`), whether anything more happens or not.
    """

    __slots__ = ("_loop", "_say", "_tally", "_timer")

    def __init__(self, pause: float, say: Callable[[int, bool], None]) -> None:
        self._tally = Tally(pause)
        self._say = say
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def count(self, times: int = 1) -> None:
        """It has happened so many `times`. Only on an event loop."""
        loop = asyncio.get_running_loop()
        unsaid = self._tally.count(loop.time(), times)
        if unsaid:
            self._drop_timer()
            self._say(unsaid, False)
        elif self._tally.unsaid and (self._timer is None or self._loop is not loop):
            self._drop_timer()  # one of a loop that was closed never comes
            self._loop = loop
            self._timer = loop.call_at(self._tally.due, self.say_rest)

    def say_rest(self) -> None:
        """Say what was counted and not said. Harmless when there is nothing of it."""
        self._drop_timer()
        if self._loop is None or not self._tally.unsaid:
            return
        now = self._tally.due if self._loop.is_closed() else self._loop.time()
        self._say(self._tally.take(now), True)

    def _drop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and self._loop is not None and not self._loop.is_closed():
            timer.cancel()

"""Frequent events, logged now and then until all are reported: a `Tally` on the running event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from waterspout.logs.tally import Tally


class SpokenTally:
    """Events of one kind. `say` gets how many there were since its last call: at once, and for those after
    that together, `pause` seconds later (`is_rest`), whether anything more happens or not.
    """

    __slots__ = ("_loop", "_say", "_tally", "_timer")

    def __init__(self, pause: float, say: Callable[[int, bool], None]) -> None:
        self._tally = Tally(pause)
        self._say = say
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def count(self, times: int = 1) -> None:
        """Count `times` more events. Only on an event loop."""
        loop = asyncio.get_running_loop()
        unsaid = self._tally.count(loop.time(), times)
        if unsaid:
            self._drop_timer()
            self._say(unsaid, False)
        elif self._tally.unsaid and (self._timer is None or self._loop is not loop):
            self._drop_timer()  # one on a closed loop never fires
            self._loop = loop
            self._timer = loop.call_at(self._tally.due, self.say_rest)

    def say_rest(self) -> None:
        """Report what was counted and not reported. Harmless if there is none."""
        self._drop_timer()
        if self._loop is None or not self._tally.unsaid:
            return
        now = self._tally.due if self._loop.is_closed() else self._loop.time()
        self._say(self._tally.take(now), True)

    def _drop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and self._loop is not None and not self._loop.is_closed():
            timer.cancel()

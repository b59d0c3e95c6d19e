"""Requests that wait for a lane: first in, first out, with limits on their number and waiting time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from waterspout.limits import STOOD_STILL
from waterspout.wsgi.exchange.exchange import Exchange


class WaitingQueue:
    """Up to `length` exchanges. One that has waited for `timeout` seconds is removed and passed to `on_late`.

    A single timer, for the oldest, serves all: one per exchange would cost more than the rest of its waiting.
    """

    def __init__(self, length: int, timeout: float, on_late: Callable[[Exchange], None]) -> None:
        self._length = length
        self._timeout = timeout
        self._on_late = on_late
        self._deadlines: dict[Exchange, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def __len__(self) -> int:
        return len(self._deadlines)

    @property
    def is_full(self) -> bool:
        return len(self._deadlines) >= self._length

    def add(self, exchange: Exchange, *, waited: float = 0.0) -> None:
        """Add it behind all others. `waited`: how long it has already waited (seconds)."""
        loop = asyncio.get_running_loop()
        left = self._timeout - waited
        self._deadlines[exchange] = loop.time() + left
        if self._timer is None:
            self._due = loop.time() + max(0.0, left)
            self._timer = loop.call_at(self._due, self._look)

    def put_back(self, exchanges: list[Exchange]) -> list[Exchange]:
        """Put them back in order of arrival. Returns those at the end that no longer fit."""
        now = time.perf_counter()
        for exchange in exchanges:
            self.add(exchange, waited=now - exchange.record.submitted)
        self._deadlines = dict(sorted(self._deadlines.items(), key=lambda waiting: waiting[1]))
        if self._timer is not None and next(iter(self._deadlines.values()), math.inf) < self._due:
            self._timer.cancel()
            self._timer = None
            self._look_later()
        surplus = list(self._deadlines)[self._length :]
        for exchange in surplus:
            del self._deadlines[exchange]
        return surplus

    def peek(self) -> Exchange:
        """The oldest, which stays. Raises StopIteration: there is none."""
        return next(iter(self._deadlines))

    def take(self) -> Exchange:
        """Remove and return the oldest. Raises StopIteration: there is none."""
        exchange = next(iter(self._deadlines))
        del self._deadlines[exchange]
        return exchange

    def remove(self, exchange: Exchange) -> None:
        """Remove it. Harmless when it is not waiting."""
        self._deadlines.pop(exchange, None)

    def clear(self) -> list[Exchange]:
        """Remove and return all."""
        waiting = list(self._deadlines)
        self._deadlines.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return waiting

    def _look(self) -> None:
        """Remove those that are late, and look again when the next one will be."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        missed = now - self._due
        if missed > STOOD_STILL:
            # The event loop stood still, not the lanes: what they have sent meanwhile is read before any
            # exchange counts as late.
            missed += STOOD_STILL / 2  # to read it
            latest = now + self._timeout  # for those that have just come
            self._deadlines = {
                exchange: min(deadline + missed, latest) for exchange, deadline in self._deadlines.items()
            }
        try:
            while self._deadlines:
                exchange, deadline = next(iter(self._deadlines.items()))
                if deadline > now:
                    break
                del self._deadlines[exchange]
                self._on_late(exchange)
        finally:
            self._look_later()  # if one failed, the others still have their deadlines

    def _look_later(self) -> None:
        if self._timer is None and self._deadlines:
            loop = asyncio.get_running_loop()
            # An exchange that was put back may be late already: that doesn't mean that the timer fired late.
            self._due = max(loop.time(), next(iter(self._deadlines.values())))
            self._timer = loop.call_at(self._due, self._look)

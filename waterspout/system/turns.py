"""Whose turn it is in the event loop, of many who have more to do. Leaf."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Final
from weakref import ReferenceType, WeakKeyDictionary

#: Who has just come need not wait until this many times as much has been done: before it, there may be a
#: thousand who have sent far more.
_FOR_NEWCOMERS: Final = 4
#: Of the time that an iteration takes without them.
_SHARE: Final = 1 / 4


class Turns:
    """In each iteration of the running event loop, those who wait are called, in order, until `most` has been
    done: however many they are, no iteration takes longer for it. Where it is long for other reasons, they
    get a fifth of the time: else there would be too few turns, and who waits would wait for ever.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._done = 0
        self._waiting: deque[Callable[[], None]] = deque()
        self._scheduled_at: float | None = None
        self._context = Context()  # not that of whoever is first to ask, which this would keep

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def are_over(self) -> bool:
        """So much has been done in this iteration that even who has just come should `wait`."""
        return self._done >= _FOR_NEWCOMERS * self._most

    def count(self, work: int) -> None:
        """So much has been done. (Iterations with little to do may count as one.)"""
        self._done += work
        if self._done >= self._most:
            self._schedule()

    def wait(self, callback: Callable[[], None]) -> None:
        """`callback` is called in a later iteration, behind all that wait by now. It should `count`."""
        self._waiting.append(callback)
        self._schedule()

    async def come(self) -> None:
        """Wait until it is one's turn, perhaps now, and count that as 1."""
        if self._done < self._most:
            self.count(1)
            return
        turn = asyncio.get_running_loop().create_future()
        self.wait(partial(self._grant, turn))
        await turn

    def _grant(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():  # who waited has been cancelled
            self.count(1)
            turn.set_result(None)

    def _schedule(self) -> None:
        if self._scheduled_at is None:
            self._scheduled_at = time.monotonic()  # not the loop's own clock: uvloop's stands still meanwhile
            asyncio.get_running_loop().call_soon(self._give, context=self._context)

    def _give(self) -> None:
        begun, scheduled_at, self._scheduled_at = time.monotonic(), self._scheduled_at, None
        share = 0.0 if scheduled_at is None else (begun - scheduled_at) * _SHARE
        self._done = 0
        try:
            for _ in range(len(self._waiting)):
                if self._done >= self._most and time.monotonic() - begun >= share:
                    break
                self._waiting.popleft()()
        finally:
            if self._waiting:  # one that fails costs the others nothing
                self._schedule()


class TurnsByLoop:
    """The `Turns` of each event loop, for as long as somebody has them."""

    def __init__(self, most: int) -> None:
        self._most = most
        # Weak on both sides: who waits refers to the loop, which would never be freed.
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, ReferenceType[Turns]] = WeakKeyDictionary()

    def find(self) -> Turns:
        """Those of the running loop."""
        loop = asyncio.get_running_loop()
        reference = self._turns.get(loop)
        turns = None if reference is None else reference()
        if turns is None:
            turns = Turns(self._most)
            self._turns[loop] = ReferenceType(turns)
        return turns

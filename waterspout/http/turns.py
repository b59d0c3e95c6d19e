"""Whose turn it is in the event loop, of many connections that have more to do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context


class Turns:
    """In each iteration of the loop, `at_once` of those who wait are called, in order: however many clients
    have sent much, no iteration takes longer for it.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._context = copy_context()  # not that of whoever was first to ask, which it would keep
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_scheduled = False

    def wait(self, callback: Callable[[], None]) -> None:
        """`callback` is called in a later iteration, behind all that wait by now."""
        self._waiting.append(callback)
        self._schedule()

    def _schedule(self) -> None:
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._give, context=self._context)

    def _give(self) -> None:
        self._is_scheduled = False
        try:
            for _ in range(min(len(self._waiting), self._at_once)):
                self._waiting.popleft()()
        finally:
            self._schedule()  # one that fails costs the others nothing

"""One start, however many callers ask for it while it is under way. Leaf."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class SharedStart:
    """Runs `start` once for all concurrent callers of `wait` on one event loop; each gets what it raises."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._start = start
        self._run: _Run | None = None

    async def wait(self) -> None:
        """Start, or wait for the start that is under way. A caller that is cancelled leaves it to the others;
        when none are left, it is given up. Raises what `start` raises.
        """
        loop = asyncio.get_running_loop()
        while (run := self._run) is not None and run.loop is loop and run.is_given_up:
            await asyncio.wait([run.task])
        if run is None or run.task.done() or run.loop.is_closed():
            run = self._run = _Run(loop, self._start())
        elif run.loop is not loop:
            await self._start()  # which knows what to raise in that case
            return
        try:
            await run.wait()
        finally:
            if run.task.done() and self._run is run:
                self._run = None  # the exception it has raised keeps a lot of objects alive


class _Run:
    """One run of `start`. `waiting`: how many callers wait for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start: Coroutine[Any, Any, None]) -> None:
        self.loop = loop
        self.task = loop.create_task(start)
        self.waiting = 0

    @property
    def is_given_up(self) -> bool:
        return not self.waiting and not self.task.done()

    async def wait(self) -> None:
        self.waiting += 1
        try:
            await asyncio.wait([self.task])
        finally:
            self.waiting -= 1
            if self.is_given_up:
                await self._give_up()
        self.task.result()

    async def _give_up(self) -> None:
        if not self.task.cancelling():  # else an event loop that is ending has done so
            self.task.cancel()
        await asyncio.wait([self.task])
        if not self.task.cancelled():
            self.task.exception()  # the cleanup failed: else asyncio logs that it was never retrieved

"""One start, however many ask for it while it is under way. Leaf."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class SharedStart:
    """Runs `start` for all who `wait` meanwhile, on one event loop: they get what it raises, too."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._start = start
        self._run: _Run | None = None

    async def wait(self) -> None:
        """Start, or wait until what has begun to start has. Who is cancelled leaves it to the others; when
        there are none left, it is given up. Raises what `start` raises.
        """
        loop = asyncio.get_running_loop()
        while (run := self._run) is not None and run.loop is loop and run.is_given_up:
            await asyncio.wait([run.task])
        if run is None or run.task.done() or run.loop.is_closed():
            run = self._run = _Run(loop, self._start())
        elif run.loop is not loop:
            await self._start()  # which knows what to say of that
            return
        try:
            await run.wait()
        finally:
            if run.task.done() and self._run is run:
                self._run = None  # what it has raised holds much


class _Run:
    """One of them. `waiting`: how many wait for it."""

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
        if not self.task.cancelling():  # by an event loop that ends
            self.task.cancel()
        await asyncio.wait([self.task])
        if not self.task.cancelled():
            self.task.exception()  # its end has failed: asyncio would say that nobody has looked

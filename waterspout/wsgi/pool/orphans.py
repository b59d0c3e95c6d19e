"""WSGI processes that outlive their event loop, because it was closed and nothing was stopped.

Tests do that: they share an application, and each has its own event loop.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterable
from typing import Final

from waterspout.limits import EXIT_GRACE

#: How often to check whether one has ended (seconds).
_LOOK: Final = 0.01


class Orphans:
    """WSGI processes that are no longer in use: their control channels are closed, so they end.

    One that has not ended `EXIT_GRACE` seconds later is killed.
    """

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._late = 0.0

    def add(self, processes: Iterable[subprocess.Popen[bytes]]) -> None:
        """Wait for the end of these, too, in the background, on the running event loop."""
        self._take(processes)
        self._look()

    async def wait(self) -> None:
        """Wait until none is left."""
        while self._bury():
            await asyncio.sleep(_LOOK)

    def wait_blocking(self, processes: Iterable[subprocess.Popen[bytes]] = ()) -> None:
        """Add these, and block until none is left. For use where no event loop runs."""
        self._take(processes)
        while self._bury():
            time.sleep(_LOOK)

    def _take(self, processes: Iterable[subprocess.Popen[bytes]]) -> None:
        self._processes += processes
        self._late = time.monotonic() + EXIT_GRACE

    def _look(self) -> None:
        if self._bury():
            # Not a task: this loop, too, may be closed at any moment, and would complain about a pending one.
            asyncio.get_running_loop().call_later(_LOOK, self._look)

    def _bury(self) -> int:
        """Forget those that have ended, and kill those that are late. Returns how many are left."""
        self._processes = [process for process in self._processes if process.poll() is None]
        if time.monotonic() > self._late:
            for process in self._processes:
                process.kill()
        return len(self._processes)

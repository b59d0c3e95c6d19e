"""Lane workers as threads of this process: for an app that must share memory with native handlers."""

from __future__ import annotations

import asyncio
import socket
import threading

from waterspout.limits import EXIT_GRACE
from waterspout.wsgi.crew import Crew
from waterspout.wsgi.worker import LaneWorker


class ThreadCrew(Crew):
    """`spec.threads` daemon threads, so that a view that never returns can't keep the process alive."""

    async def start(self) -> None:
        # Here, in the loop's thread and not in another: apps may set signal handlers while imported.
        self._app = self.spec.load(self.spec.target, debug=self.spec.debug)
        await self._open_lanes(self.spec.threads)
        self.ready_at = asyncio.get_running_loop().time()

    async def stop(self, grace: float = EXIT_GRACE) -> None:
        self._close_lanes()

    def _hand_over(self, far_end: socket.socket) -> None:
        worker = LaneWorker(
            far_end,
            self._app,
            multithread=self.spec.threads > 1 or self.spec.multithread,
            multiprocess=self.spec.multiprocess,
        )
        threading.Thread(target=worker.run, name="waterspout-lane", daemon=True).start()

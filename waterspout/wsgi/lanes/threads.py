"""Lane workers as threads of this process: for an app that must share memory with native handlers."""

from __future__ import annotations

import asyncio
import logging
import socket

from waterspout.exceptions import WaterspoutError
from waterspout.limits import EXIT_GRACE
from waterspout.logs import loggers
from waterspout.logs.lateness import said_when_late
from waterspout.system.daemon_thread import DaemonThread
from waterspout.system.plain_socket import make_plain
from waterspout.wsgi.backlog import BacklogEnd
from waterspout.wsgi.lanes.crew import Crew, CrewEvents, CrewSpec
from waterspout.wsgi.lanes.lane import Lane
from waterspout.wsgi.lanes.scarcity import MORE_DESCRIPTORS, MORE_THREADS
from waterspout.wsgi.linking import link
from waterspout.wsgi.worker.worker import LANE_THREAD, LaneWorker

logger = logging.getLogger("waterspout.wsgi")


class ThreadCrew(Crew):
    """`spec.threads` threads, which don't keep the process alive when a view never returns.

    A stuck one can't be killed. It is replaced as long as no more than `spec.threads` are stuck.
    """

    replaceable = False

    def __init__(self, spec: CrewSpec, events: CrewEvents) -> None:
        super().__init__(spec, events)
        self._company: set[LaneWorker] = set()

    async def start(self) -> None:
        # Here, in the event loop's thread: apps may set signal handlers while being imported.
        target = self.spec.target
        with loggers.kept(), said_when_late(target if isinstance(target, str) else "the WSGI app"):
            self._app = self.spec.load(target, debug=self.spec.debug)
        self.spec.link.learn(link(self._app, self.spec.link.native))
        try:
            await self._open_lanes(self.spec.threads)
        except OSError as error:
            raise WaterspoutError(self._lack(error)) from error
        self.ready = True
        self.ready_at = asyncio.get_running_loop().time()

    def _lack(self, error: OSError) -> str:
        help_ = MORE_THREADS if error.errno is None else MORE_DESCRIPTORS
        return f"{error}: only {len(self.lanes)} of {self.spec.threads} lanes could be opened; {help_}"

    async def stop(self, grace: float = EXIT_GRACE) -> None:
        self._close_lanes(stopped=True)

    @property
    def _wanted(self) -> int:
        return self.spec.threads + min(self.stuck, self.spec.threads)

    def give_up(self, lane: Lane) -> None:
        super().give_up(lane)
        if self.stuck > self.spec.threads:
            logger.error(
                "%s%d threads are stuck in views that do not end, more than can be replaced: %d are left to "
                "serve until some views end or the server is restarted",
                f"pool {self.spec.pool}: " if self.spec.pool else "",
                self.stuck,
                len(self.lanes) - self.stuck,
            )

    def _hand_over(self, far_end: socket.socket, backlog: BacklogEnd | None) -> None:
        worker = LaneWorker(
            make_plain(far_end),
            self._app,
            multithread=self.spec.threads > 1 or self.spec.multithread,
            multiprocess=self.spec.multiprocess,
            backlog=backlog,
            company=self._company,
        )
        try:
            DaemonThread(worker.run, LANE_THREAD).start()
        except RuntimeError as error:
            raise OSError(str(error)) from error  # no more threads: as with descriptors, a retry may succeed

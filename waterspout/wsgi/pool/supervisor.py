"""Births, deaths and replacement of the crews of one pool.

A crew that dies is replaced; one that has served its time, or should run newer code, is replaced first, and
then finishes what it runs. One rule covers all of this: `_top_up` starts as many as are missing, and
`_settle` retires as many as there are too many.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
from collections.abc import Callable, Coroutine
from typing import Any, Final

from waterspout import limits
from waterspout.logs.tally import Tally
from waterspout.wsgi.lanes.crew import Crew
from waterspout.wsgi.pool.arrival import Arrival
from waterspout.wsgi.settings import PoolSettings

logger = logging.getLogger("waterspout.wsgi")

_NO_RELOAD: Final = (
    "the WSGI app runs in threads of the server itself and can't be reloaded: restart the server, or use "
    "--wsgi-workers 1"
)


class Supervisor:
    """Keeps a pool at its number of crews. `make_crew` makes one that has not started.

    `on_broken` is called when nothing can take a request and the last crew did not come up. `says` is the
    prefix of log messages, when there are other pools.

    Attributes: `crews`, which may be given requests; `draining`, crews that finish what they run;
    `lingering`, crews with nothing left to run but what views have started in the background; `broken`, see
    `on_broken`; `restarts`, how many processes have taken another one's place; `crashed`, how many have
    ended without having been told to.
    """

    def __init__(
        self,
        settings: PoolSettings,
        make_crew: Callable[[], Crew],
        on_broken: Callable[[], None],
        says: str = "",
    ) -> None:
        self._says = says
        self._settings = settings
        self._make_crew = make_crew
        self._on_broken = on_broken
        self.crews: list[Crew] = []
        self.draining: list[Crew] = []
        self.lingering: list[Crew] = []
        self.broken = False
        self.restarts = 0
        self.crashed = 0
        self._failures = 0
        self._starved = Tally(limits.SCARCE_PAUSE)
        self._came_up = 0  # since `open`; beyond the number of crews, each has taken another's place
        self._births: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloads = 0  # 1: one is under way; 2: another is to follow it
        self._arrival: Arrival | None = None  # of a reload
        self._stopping = False

    # -- life --------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin work."""
        self._stopping = self.broken = False
        self._failures = self._came_up = self._reloads = 0

    async def start(self) -> None:
        """Start all crews. Raises what kept the app from being loaded."""
        results = await self._start_crews("").wait()
        failures = [failure for _, failure in results if failure is not None]
        if failures:
            raise failures[0]
        self._came_up = self._settings.crews
        self._settle()

    def start_soon(self) -> None:
        """Start all crews in the background, retrying until they come up."""
        self._top_up()

    def refrain(self) -> None:
        """Stop replacing crews: the pool is stopping."""
        self._stopping = True
        for crew in self.all:
            crew.is_last = True

    async def stop(self, grace: float) -> None:
        """End everything, whatever state it is in; whatever still runs gets `grace` seconds, but no more than
        `EXIT_GRACE` in a crew that still runs a view.
        """
        self._stopping = True
        for task in [*self._births, *self._tasks]:
            task.cancel()
        busy = min(grace, limits.EXIT_GRACE)
        stops = [crew.stop(busy if crew.busy else grace) for crew in self.all]
        await asyncio.gather(*stops, return_exceptions=True)
        self.crews.clear()
        self.draining.clear()
        self.lingering.clear()

    def abandon(self) -> list[subprocess.Popen[bytes]]:
        """Let go of all crews: their event loop is closed. Returns the processes that are to end now."""
        return [process for crew in self.all if (process := crew.abandon()) is not None]

    @property
    def all(self) -> list[Crew]:
        return [*self.crews, *self.draining, *self.lingering]

    # -- births ------------------------------------------------------------------------------------------

    def _add_crew(self) -> Crew:
        crew = self._make_crew()
        self.crews.append(crew)
        return crew

    def _start_crews(self, says: str) -> Arrival:
        """A full set of new crews, to be started."""
        before = list(self.crews)
        crews = [self._add_crew() for _ in range(self._settings.crews)]
        return Arrival(crews, says, lambda: any(crew.ready and crew in self.crews for crew in before))

    def _top_up(self, delay: float = 0.0) -> None:
        if self._stopping:
            return
        lasting = sum(crew.ready and not crew.expiring for crew in self.crews)
        for _ in range(self._settings.crews - lasting - len(self._births)):
            task = asyncio.get_running_loop().create_task(self._bring_up(delay))
            self._births.add(task)
            task.add_done_callback(self._on_born)

    async def _bring_up(self, delay: float) -> None:
        """Start a crew, retrying with growing pauses. While there is none, requests get 503 at once."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), delay)
            self._hurry.clear()
            crew = self._add_crew()
            arrival = Arrival([crew], "", lambda: any(other.ready for other in self.crews))
            try:
                [(_, failure)] = await arrival.wait()
            except asyncio.CancelledError:
                if crew.pid is None and crew in self.crews:  # not yet begun: `on_gone` will never be called
                    self.crews.remove(crew)
                raise
            if failure is not None:
                await self._bury(crew)
                task = asyncio.current_task()
                if task is not None and task.cancelling():  # in Python 3.11 `wait_for` may have swallowed it
                    raise asyncio.CancelledError
                delay = self._judge_failure(crew, failure)
                self._check_broken()
            else:
                self.broken = False
                again = " again" if self._came_up >= self._settings.crews else ""
                self._came_up += 1
                logger.info("the WSGI app is ready%s in %s", again, crew)
                return

    def _judge_failure(self, crew: Crew, failure: BaseException) -> float:
        """Log why it did not come up. Returns the delay before the next try."""
        if crew.starved:  # that is not the app's failure
            delay = limits.STARVED_DELAY
            if not self._starved.count(asyncio.get_running_loop().time()):
                return delay
        else:
            # If it was killed from outside, the app has not failed; if it is too large for the machine, this
            # ends in a crash loop all the same.
            delay = self._count_failure(ready=crew.killed)
        logger.error(
            "%sthe WSGI app does not start, next try in %.1f s%s: %s%s",
            self._says,
            delay,
            self._describe_others(),
            failure,
            f" (logged at most once in {limits.SCARCE_PAUSE:.0f} s)" if crew.starved else "",
        )
        return delay

    def _describe_others(self) -> str:
        """The crews that keep serving meanwhile, for a log message."""
        serving = ", ".join(str(crew) for crew in self.crews if crew.ready)
        return f" ({serving} still serving)" if serving else ""

    def _on_born(self, birth: asyncio.Task[None]) -> None:
        self._births.discard(birth)
        self._settle()
        if not birth.cancelled():  # else no crew is needed, or the event loop is ending
            self._top_up()

    def _settle(self) -> None:
        """Retire surplus crews: first those that are to be replaced, then the oldest."""
        if self._stopping:
            return
        ready = sorted(
            (crew for crew in self.crews if crew.ready), key=lambda crew: (not crew.expiring, crew.ready_at)
        )
        for crew in ready[: max(0, len(ready) - self._settings.crews)]:
            self._retire(crew, limits.RECYCLE_GRACE)

    # -- deaths ------------------------------------------------------------------------------------------

    def on_gone(self, crew: Crew) -> None:
        """Handle the end of a WSGI process. One that had been ready is replaced; for the others, a task still
        awaits the start.
        """
        self.crashed += crew.crashed
        for crews in (self.crews, self.draining, self.lingering):
            if crew in crews:
                crews.remove(crew)
        if crew.ready and not crew.draining and not self._stopping:
            self.restarts += not crew.expiring
            pause = self._pause_after(crew)
            if not pause and self._births and not any(other.ready for other in self.crews):
                self._hurry.set()  # its successor has failed before, and waits for the next attempt
            self._top_up(pause)

    def _pause_after(self, crew: Crew) -> float:
        """0 after a process that lived for a while; grows with each consecutive one that did not."""
        if asyncio.get_running_loop().time() - crew.ready_at < limits.SHORT_LIFE:
            return self._count_failure(ready=True)
        self._failures = 0
        return 0.0

    def _count_failure(self, *, ready: bool) -> float:
        """Count one more in a row that did not come up, or died soon after `ready`. Returns the delay."""
        self._failures += 1
        least, most = limits.READY_RESTART_DELAY if ready else limits.RESTART_DELAY
        at_last = limits.READY_CRASH_LOOP_DELAY if ready else limits.CRASH_LOOP_DELAY
        if self._failures == limits.CRASH_LOOP:
            logger.critical(
                "%sthe WSGI app has failed %d times in a row: this is a crash loop. From now on there is one "
                "try every %.0f s; SIGHUP tries at once",
                self._says,
                self._failures,
                at_last,
            )
        if self._failures >= limits.CRASH_LOOP:
            return at_last
        return min(most, least * 2.0 ** (self._failures - 1))

    async def _bury(self, crew: Crew) -> None:
        """End a crew that did not come up."""
        await crew.stop(limits.CUT_GRACE)
        if crew in self.crews:
            self.crews.remove(crew)

    def _check_broken(self) -> None:
        if not any(crew.ready for crew in self.crews):
            self.broken = True
            self._on_broken()

    # -- replacement -------------------------------------------------------------------------------------

    @property
    def _most_draining(self) -> int:
        """How many crews may be draining at the same time; no more are replaced meanwhile."""
        return limits.DRAINING_CREWS * self._settings.crews

    def replace(self, crew: Crew, why: str) -> None:
        """Start another in its place; when that is ready, let the old one finish what it runs, and end it.

        Does nothing while too many others are draining: call it again later.
        """
        is_crowded = len(self.draining) >= self._most_draining
        if not crew.replaceable or crew.expiring or crew.draining or self._stopping or is_crowded:
            return
        crew.expiring = True
        self.restarts += 1
        logger.warning("%s is replaced: %s", crew, why)
        self._top_up()

    def _retire(self, crew: Crew, grace: float) -> None:
        self.crews.remove(crew)
        self.draining.append(crew)
        crew.draining = True
        self._run(self._see_off(crew, grace))

    async def _see_off(self, crew: Crew, grace: float) -> None:
        try:
            await asyncio.wait_for(crew.drain(), grace)
        except TimeoutError:
            if crew.running:
                logger.warning("%s ends: requests are cut off (%d) after %.0f s", crew, crew.running, grace)
        if crew.busy:
            await crew.stop(limits.EXIT_GRACE)  # whatever still runs is stuck, or out of time
            return
        patience = limits.EXIT_GRACE
        if crew in self.draining:
            self.draining.remove(crew)
            self.lingering.append(crew)
            if len(self.lingering) <= self._most_draining:
                patience = max(patience, self._settings.graceful_timeout)
        await crew.stop(patience)

    def reload(self) -> None:
        """Replace all with new ones, which load the app's current code. If they can't, the old ones stay.

        While one reload is under way, this asks for one more after it; new crews that have been loading for
        too long are not waited for.
        """
        if not self._settings.workers:
            logger.warning("%s%s", self._says, _NO_RELOAD)
        elif self._reloads:
            self._reloads = 2
            if self._arrival is None or not self._arrival.give_up():
                logger.info("%sreload: one is under way; another will follow it", self._says)
        elif not self._stopping:
            self._reloads = 1
            self._run(self._reload())

    async def _reload(self) -> None:
        try:
            while self._reloads > 0:
                self._reloads = 1
                await self._wait_for_room()
                if self._stopping:
                    break
                await self._renew()
                self._reloads -= 1
        finally:
            self._reloads = 0

    async def _wait_for_room(self) -> None:
        """Wait while too many crews of earlier reloads are draining. Those that were recycled may take long,
        and don't count.
        """
        most = self._most_draining
        if sum(not crew.expiring for crew in self.draining) >= most:
            logger.info("%sreload: waiting until an old WSGI process has finished its requests", self._says)
        while sum(not crew.expiring for crew in self.draining) >= most:
            await asyncio.sleep(limits.RESTART_DELAY[0])

    async def _renew(self) -> None:
        before = list(self.crews)
        logger.info("%sreload: starting new WSGI processes", self._says)
        self._arrival = arrival = self._start_crews("reload: ")
        try:
            results = await arrival.wait()
        finally:
            self._arrival = None
        failures = [failure for _, failure in results if failure is not None]
        if failures:
            # Those that were given up have already been logged.
            for error in [each for each in failures if not isinstance(each, asyncio.CancelledError)][:1]:
                logger.error(
                    "%sreload: the old WSGI processes stay, new ones do not start: %s", self._says, error
                )
            for crew, failure in results:
                if failure is not None:
                    await self._bury(crew)
                elif crew in self.crews:
                    self._retire(crew, self._settings.graceful_timeout)
        else:
            self._take_over(before)
        self._settle()
        self._top_up()

    def _take_over(self, before: list[Crew]) -> None:
        self.broken = False
        self._failures = 0
        self._came_up = self._settings.crews
        self.restarts += self._settings.crews
        for birth in self._births:
            birth.cancel()  # there is nothing left to replace
        self._births.clear()
        for crew in before:
            if crew in self.crews and crew.ready:
                self._retire(crew, self._settings.graceful_timeout)
        logger.info("%sreload: the new WSGI processes have taken over", self._says)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

"""Lanes, the waiting queue, and its limit: which exchange runs where, and what happens when none can."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple

from waterspout import limits
from waterspout.exceptions import ConfigurationError, PoolError
from waterspout.hub.local import hub
from waterspout.importer import split_spec
from waterspout.ops.figures import Figures
from waterspout.signals import fork_generation
from waterspout.wsgi.crew import Crew, CrewEvents, CrewSpec
from waterspout.wsgi.exchange import Exchange
from waterspout.wsgi.lane import Lane
from waterspout.wsgi.loading import WSGIApp, load_app
from waterspout.wsgi.process import ProcessCrew
from waterspout.wsgi.threads import ThreadCrew

logger = logging.getLogger("waterspout.wsgi")


class Shared(NamedTuple):
    """What the pools of one app have in common: whether it runs in several processes, and in several threads
    of this one; and how it is loaded here. `name` is this pool's, "" when there are no others.
    """

    multiprocess: bool
    multithread: bool
    load: Callable[..., WSGIApp] = load_app
    name: str = ""


@dataclass(frozen=True)
class PoolSettings:
    """`workers` WSGI processes (0: threads of this process) of `threads` lanes each; `queue` may wait."""

    workers: int = limits.WSGI_WORKERS
    threads: int = limits.WSGI_THREADS
    queue: int = limits.WSGI_QUEUE
    graceful_timeout: float = limits.GRACEFUL_TIMEOUT
    debug: bool = False

    def __post_init__(self) -> None:
        """Raises ConfigurationError: a number that can't be."""
        for name, least in (("workers", 0), ("threads", 1), ("queue", 0), ("graceful_timeout", 0)):
            value = getattr(self, name)
            if not isinstance(value, (int, float) if name == "graceful_timeout" else int):
                raise ConfigurationError(f"wsgi {name} must be a number, not {value!r}")
            if not least <= value < math.inf:
                raise ConfigurationError(f"wsgi {name} must be at least {least}, not {value}")


class Pool:
    """Runs exchanges on the lanes of one or more crews.

    `target`: an import string, or a WSGI callable, which can only run in threads of this process.

    Starts at `start()`, or at the first exchange; belongs to the process and event loop that started it.
    Raises ConfigurationError.

    Attributes: `figures`, what it counts; `started`, requests that a lane took.
    """

    def __init__(
        self, target: str | Callable[..., Any], settings: PoolSettings, shared: Shared | None = None
    ) -> None:
        if not isinstance(target, str) and settings.workers:
            raise ConfigurationError(
                "a WSGI callable can't be sent to another process: name it by an import string, "
                'like wsgi="mypackage:app", or ask for threads with wsgi_workers=0'
            )
        if sys.platform == "win32":
            raise ConfigurationError("lanes need a POSIX system: on Windows, run Waterspout in WSL or Docker")
        if isinstance(target, str):
            split_spec(target)  # a form that can't be is better said now
        self.target = target
        self.settings = settings
        self.figures = Figures()
        self.started = 0
        self._shared = shared or Shared(settings.workers > 1, settings.threads > 1)
        self._says = f"pool {self._shared.name}: " if self._shared.name else ""
        self._crews: list[Crew] = []
        self._queue: dict[Exchange, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._generation = 0
        self._stopping = False
        self._broken = False  # no crew, and the last one did not come up: nobody shall wait for it
        self._refused, self._refused_said = 0, -math.inf
        self._delay = 0.0  # before the next WSGI process that replaces one
        self._tasks: set[asyncio.Task[None]] = set()

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start all crews; harmless when started. Raises what kept the app from being loaded."""
        if self._loop is not None:
            return
        self._open()
        crews = [self._make_crew() for _ in range(max(1, self.settings.workers))]
        try:
            results = await asyncio.gather(*(crew.start() for crew in crews), return_exceptions=True)
            failures = [result for result in results if isinstance(result, BaseException)]
            if failures:
                raise failures[0]
        except BaseException:
            await self._end_crews(limits.CUT_GRACE)
            raise

    async def stop(self, timeout: float | None = None) -> None:
        """Let what runs and waits finish, for `timeout` seconds at most, then end all crews."""
        if self._loop is None:
            return
        self._check_home()
        self._stopping = True
        grace = limits.EXIT_GRACE
        try:
            await asyncio.wait_for(
                self._drain(), self.settings.graceful_timeout if timeout is None else timeout
            )
        except TimeoutError:
            grace = limits.CUT_GRACE
            logger.warning(
                "%s%d requests are cut: the graceful timeout is over", self._says, self.running + self.waiting
            )
        await self._end_crews(grace)

    async def _end_crews(self, grace: float) -> None:
        """Take nothing more, end everything, whatever state it is in."""
        self._stopping = True
        self._refuse_queue()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*(crew.stop(grace) for crew in list(self._crews)), return_exceptions=True)
        self._close()

    @property
    def running(self) -> int:
        """How many lanes run a request."""
        return sum(crew.busy for crew in self._crews)

    @property
    def crews(self) -> list[Crew]:
        """All that there are, those that have not come up, too."""
        return list(self._crews)

    @property
    def stopping(self) -> bool:
        """It takes no more requests."""
        return self._stopping

    @property
    def waiting(self) -> int:
        """How many requests wait for a lane."""
        return len(self._queue)

    def _open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._generation = fork_generation()
        self._stopping = self._broken = False
        self._drained = asyncio.Event()
        hub.open()

    def _close(self) -> None:
        self._crews.clear()
        self._loop = None
        hub.close()

    async def _drain(self) -> None:
        while self.running or self._queue:
            self._drained.clear()
            await self._drained.wait()

    def _check_home(self) -> None:
        if fork_generation() != self._generation or asyncio.get_running_loop() is not self._loop:
            raise PoolError(
                "this pool was started in another process or on another event loop; start the application "
                "after forking, and make one for each event loop"
            )

    # -- exchanges ---------------------------------------------------------------------------------------

    def submit(self, exchange: Exchange) -> None:
        """Start it on a free lane, or queue it, or refuse it with 503. Raises PoolError."""
        if self._stopping:
            exchange.refuse(503)
            return
        if self._loop is None:
            self._start_soon()
        self._check_home()
        crew = self._least_busy()
        if crew is not None:
            self._begin(crew, crew.idle.popleft(), exchange)
        elif self._broken or len(self._queue) >= self.settings.queue:
            self._count_refused()
            exchange.refuse(503)
        else:
            self._queue[exchange] = None

    def _begin(self, crew: Crew, lane: Lane, exchange: Exchange) -> None:
        self.started += 1
        crew.started += 1
        exchange.start(lane)

    def _count_refused(self) -> None:
        """Say that requests are refused, and how many, but not once for each."""
        self._refused += 1
        now = asyncio.get_running_loop().time()
        if now - self._refused_said >= limits.REFUSED_PAUSE:
            logger.warning(
                "%s%d lanes are busy and %d requests wait: answered 503 to %d since the last such line "
                "(--wsgi-threads, --wsgi-queue)",
                self._says,
                self.running,
                self.waiting,
                self._refused,
            )
            self._refused, self._refused_said = 0, now

    def withdraw(self, exchange: Exchange) -> None:
        """Its client left while it waited: it is never run."""
        self._queue.pop(exchange, None)

    def _start_soon(self) -> None:
        """Nobody called `start()`: the first request does. It waits in the queue until a lane is there."""
        self._open()
        for _ in range(max(1, self.settings.workers)):
            self._run(self._bring_up(0))

    def _least_busy(self) -> Crew | None:
        free = [crew for crew in self._crews if crew.idle]
        if len(free) < 2:
            return free[0] if free else None
        return min(free, key=lambda crew: crew.busy)

    def _refuse_queue(self) -> None:
        waiting = list(self._queue)
        self._queue.clear()
        for exchange in waiting:
            exchange.refuse(503)

    # -- crews -------------------------------------------------------------------------------------------

    def _make_crew(self) -> Crew:
        settings = self.settings
        multiprocess, multithread, load, name = self._shared
        spec = CrewSpec(
            self.target, settings.threads, settings.debug, multiprocess, multithread, load=load, pool=name
        )
        events = CrewEvents(self._on_idle, self._on_gone, hub.deliver)
        crew = ProcessCrew(spec, events) if settings.workers else ThreadCrew(spec, events)
        self._crews.append(crew)
        return crew

    def _on_idle(self, crew: Crew, lane: Lane) -> None:
        self._broken = False
        if self._queue:
            exchange = next(iter(self._queue))
            del self._queue[exchange]
            self._begin(crew, lane, exchange)
            return
        crew.idle.append(lane)
        if self._stopping and not self.running:
            self._drained.set()

    def _on_gone(self, crew: Crew) -> None:
        """A WSGI process ended. One that had been ready is replaced; the others have somebody who waits."""
        if crew in self._crews:
            self._crews.remove(crew)
        if self._stopping:
            if not self._crews:
                self._refuse_queue()
            self._drained.set()
        elif isinstance(crew, ProcessCrew) and crew.ready:
            self._run(self._bring_up(self._pause_after(crew)))

    def _pause_after(self, crew: ProcessCrew) -> float:
        """None for a process that had lived for a while; growing for one after the other that had not."""
        least, most = limits.RESTART_DELAY
        lived = asyncio.get_running_loop().time() - crew.ready_at
        self._delay = min(most, max(least, self._delay * 2)) if lived < limits.SHORT_LIFE else 0.0
        return self._delay

    async def _bring_up(self, delay: float) -> None:
        """Start a crew, trying again with growing pauses. While there is none, requests get 503 at once."""
        least, most = limits.RESTART_DELAY
        while not self._stopping:
            await asyncio.sleep(delay)
            crew = self._make_crew()
            try:
                await crew.start()
                logger.info("the WSGI app is ready again in %s", crew)
                return
            except Exception as error:
                await crew.stop(limits.CUT_GRACE)
                if crew in self._crews:
                    self._crews.remove(crew)
                delay = min(most, max(least, delay * 2))
                logger.error(
                    "%sthe WSGI app does not start, next try in %.1f s: %s", self._says, delay, error
                )
                self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        if not any(crew.idle or crew.busy for crew in self._crews):
            self._broken = True
            self._refuse_queue()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

"""Lane workers that live and die together: the threads of one process, either this or another."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import subprocess
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from waterspout.limits import (
    BACKLOGS,
    DRAIN_LOOK,
    EXIT_GRACE,
    PLACE_PATIENCE,
    READY_TIMEOUT,
    SCARCE_PAUSE,
)
from waterspout.logs.standing import MAIN_THREAD, find_place
from waterspout.logs.tally import Tally
from waterspout.system.descriptors import reserve
from waterspout.wsgi.backlog import Backlog, BacklogEnd, is_possible
from waterspout.wsgi.lanes.lane import Lane, LaneUser
from waterspout.wsgi.lanes.prefetch import Prefetch
from waterspout.wsgi.naming import Link
from waterspout.wsgi.worker.loading import WSGIApp, load_app

logger = logging.getLogger("waterspout.wsgi")

#: Pause before a lost lane is replaced (seconds), and before the next attempt.
_REPLACE_AFTER: Final = 0.2
_REPLACE_PAUSE: Final = 1.0
#: A lane that is lost this soon (seconds) could not be served, and neither will the next one: the pause
#: doubles, this many times at most.
_YOUNG: Final = 1.0
_DOUBLED_MOST: Final = 8
#: How many times a full control channel is tried, and the pause between tries (seconds).
_HAND_OVER_TRIES: Final = 500
_HAND_OVER_PAUSE: Final = 0.01


@dataclass(frozen=True)
class CrewSpec:
    """What a crew runs: `target` an import string or a WSGI callable, on `threads` lanes.

    `multithread`, `multiprocess`: crews of other pools run the app in this process, or in others. `load`
    loads it in this process. `pool`: the name of its pool, if there are others. `nice`: how much nicer than
    this process a WSGI process is to be, as in `limits.WSGI_NICE`. `link`: the names of each side's URLs.
    `ready_timeout`: how long a WSGI process may load the app (seconds).
    """

    target: str | Callable[..., Any]
    threads: int
    debug: bool = False
    multiprocess: bool = False
    multithread: bool = False
    load: Callable[..., WSGIApp] = load_app
    pool: str = ""
    nice: int = 0
    link: Link = field(default_factory=Link)
    ready_timeout: float = READY_TIMEOUT


@dataclass
class CrewEvents:
    """A crew's callbacks. `on_idle`: a lane became free; `on_gone`: the crew is gone; `on_room`: a backlog
    has room again; `on_returned`: requests that were given to a lane need another one; `on_publish`: a view
    has published; `on_scant`: how many lanes have threads, and why there are no more, "" once all have.
    """

    on_idle: Callable[[Crew, Lane], None]
    on_gone: Callable[[Crew], None]
    on_room: Callable[[], None] = field(default=lambda: None)
    on_returned: Callable[[Crew, list[Any]], None] = field(default=lambda crew, users: None)
    on_publish: Callable[[str, bytes], None] = field(default=lambda topic, message: None)
    on_scant: Callable[[Crew, int, str], None] = field(default=lambda crew, lanes, why: None)


class Crew:
    """Common to both forms: lanes are opened here, and their far ends handed over by `_hand_over`.

    Attributes: `idle`, lanes that can take a request; `busy`, how many run one; `lanes`, all of them;
    `ready`, it has started, at `ready_at`; `expiring`, it is to be replaced; `draining`, it has been, or the
    pool stops: it finishes what it runs; `killed`, by SIGKILL, and not by us; `starved`, no descriptor,
    process or memory was left to start it; `crashed`, it ended after it was ready, without being told to;
    `started`, requests so far, and `limit`, after how many it is replaced; `prefetch`, what its lanes are to
    run next.
    """

    #: Whether another one can be started beside it to replace it.
    replaceable = True

    def __init__(self, spec: CrewSpec, events: CrewEvents) -> None:
        self.spec = spec
        self.idle: deque[Lane] = deque()
        self._events = events
        self.prefetch = Prefetch(self._on_returned, events.on_room, lambda: self.pid)
        self.lanes: set[Lane] = set()
        self.ready = False
        self.ready_at = 0.0
        self.expiring = False
        self.draining = False
        self.is_last = False  # the pool stops: it is not replaced
        self.killed = False
        self.starved = False
        self.crashed = False
        self.started = 0
        self.limit = math.inf
        self._replacing: set[asyncio.Task[None]] = set()
        self._lost_young = 0
        self._young_lost_at = -_YOUNG
        self._unopened = Tally(SCARCE_PAUSE)
        self._opened = False
        self._stopping = False
        self._drained = asyncio.Event()

    @property
    def busy(self) -> int:
        return len(self.lanes) - len(self.idle)

    @property
    def load(self) -> int:
        """How many requests it has been given that are not known to be over."""
        return self.busy + self.prefetch.waiting

    @property
    def _wanted(self) -> int:
        """How many lanes there should be."""
        return self.spec.threads

    @property
    def stuck(self) -> int:
        """How many lanes hang in a view that nobody waits for any more."""
        return sum(lane.stuck for lane in self.lanes)

    @property
    def running(self) -> int:
        """How many running requests somebody still waits for."""
        return self.busy - self.stuck

    @property
    def pid(self) -> int | None:
        """The ID of the process that its threads belong to."""
        return os.getpid()

    def __str__(self) -> str:
        return self._title + (f" of pool {self.spec.pool}" if self.spec.pool else "")

    @property
    def _title(self) -> str:
        """Its description for the log."""
        return "threads"

    async def start(self) -> None:
        """Load the app and open the lanes. Raises TargetNotFound, TargetRaised."""
        raise NotImplementedError

    async def stop(self, grace: float = EXIT_GRACE) -> None:
        """Close the lanes; a process that has not ended `grace` seconds later is killed."""
        raise NotImplementedError

    def abandon(self) -> subprocess.Popen[bytes] | None:
        """The event loop is closed: release everything without it. Returns a process that is to end now."""
        self._stopping = True
        self.idle.clear()
        for lane in self.lanes:
            lane.abandon()
        self.lanes.clear()
        return None

    def locate(self, thread: int, tell: Callable[[str], None]) -> None:
        """Call `tell` with where that thread is (`standing.find_place`): now, later, or never."""
        tell(find_place(thread))

    async def find_place(self, thread: int = MAIN_THREAD) -> str:
        """Where one of its threads is (`LEFT`: what keeps the crew from ending); "": it does not answer."""
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.locate(thread, lambda place: None if found.done() else found.set_result(place))
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(found, PLACE_PATIENCE)
        return ""

    async def drain(self) -> None:
        """Accept nothing more, and wait until nothing that somebody waits for is running."""
        self.draining = True
        self.check_drained()
        while not self._drained.is_set():
            self.wind_up()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), DRAIN_LOOK)

    def wind_up(self) -> None:
        """Tell what runs that it should end, where it would not by itself. Call this from time to time."""
        for lane in self.lanes:
            if lane.user is not None:
                lane.user.wind_up()

    def check_drained(self) -> None:
        """Call this when something has ended: it may be the last thing that `drain` was waiting for."""
        if self.draining and self.running <= 0:
            self._drained.set()

    def give_up(self, lane: Lane) -> None:
        """The view on `lane` has taken too long: the lane is stuck until the view ends."""
        lane.stuck = True
        self.check_drained()
        self._fill()

    def _take_back(self, lane: Lane) -> bool:
        """A stuck lane's view has ended after all. False: the lane is closed, as another takes its place."""
        lane.stuck = False
        logger.warning(
            "request %s: %s ended after %.0f s: its lane is no longer stuck",
            lane.record.request_id,
            lane.view,
            lane.seconds,
        )
        if len(self.lanes) + len(self._replacing) <= self._wanted:
            return True
        lane.close()
        return False

    def _hand_over(self, far_end: socket.socket, backlog: BacklogEnd | None) -> None:
        """Give the worker's end of a new lane, and of its backlog, to a new lane worker."""
        raise NotImplementedError

    async def _open_lanes(self, count: int) -> None:
        for _ in range(count):
            await self._open_lane()
        self._opened = True
        self._fill()  # some of them may be lost already

    async def _open_lane(self) -> None:
        near_end, far_end = socket.socketpair()
        near_end = reserve.move_socket(near_end)
        near_end.setblocking(False)
        loop = asyncio.get_running_loop()
        backlog = self._open_backlog()
        backlog_end = None if backlog is None else backlog.far_end
        prefetch = self.prefetch
        lane = Lane(
            self._on_lane_idle,
            self._on_lane_lost,
            on_slept=prefetch.on_slept,
            on_paused=prefetch.give_back,
            backlog=backlog,
        )
        try:
            await loop.create_unix_connection(lambda: lane, sock=near_end)
            await self._hand_over_patiently(far_end, backlog_end)
        except BaseException:  # cancellation, too: a pool may be stopped while it starts
            lane.close()
            far_end.close()
            if backlog_end is not None:
                backlog_end.close()
            raise
        lane.opened = loop.time()
        self.lanes.add(lane)
        self._on_lane_idle(lane)

    def _open_backlog(self) -> Backlog[LaneUser] | None:
        """A lane can do without one, and few need one at the same time."""
        if not is_possible() or sum(lane.backlog is not None for lane in self.lanes) >= BACKLOGS:
            return None
        try:
            return Backlog()
        except OSError:
            return None

    async def _hand_over_patiently(self, far_end: socket.socket, backlog: BacklogEnd | None) -> None:
        """Retry while the control channel, which holds a few dozen descriptors at a time, is full."""
        for _ in range(_HAND_OVER_TRIES):
            try:
                self._hand_over(far_end, backlog)
                return
            except BlockingIOError:
                await asyncio.sleep(_HAND_OVER_PAUSE)
        self._hand_over(far_end, backlog)

    def _close_lanes(self, *, stopped: bool = False) -> None:
        self._stopping = True
        for task in self._replacing:
            task.cancel()
        self.idle.clear()
        for lane in list(self.lanes):
            lane.close(stopped=stopped)

    def _on_returned(self, users: list[Any]) -> None:
        self.started -= len(users)
        self._events.on_returned(self, users)

    def _on_lane_idle(self, lane: Lane) -> None:
        if self._stopping or (lane.stuck and not self._take_back(lane)):
            return
        self._events.on_idle(self, lane)

    def _on_lane_lost(self, lane: Lane) -> None:
        """A lane worker ended without being told to: replace it, if the crew itself is alive."""
        self.lanes.discard(lane)
        self.prefetch.forget(lane)
        if lane in self.idle:
            self.idle.remove(lane)
        self._count_lost(lane)
        self.check_drained()
        self._fill()

    def _count_lost(self, lane: Lane) -> None:
        """Count how many times in a row lanes were lost right after they were opened. Several at once count
        as one.
        """
        now = asyncio.get_running_loop().time()
        if now - lane.opened >= _YOUNG:
            self._lost_young = 0
        elif now - self._young_lost_at >= _YOUNG:
            self._lost_young = min(self._lost_young + 1, _DOUBLED_MOST)
            self._young_lost_at = now

    def _fill(self) -> None:
        """Open the missing lanes."""
        if not self._opened or self._stopping or self.draining:
            return
        for _ in range(self._wanted - len(self.lanes) - len(self._replacing)):
            task = asyncio.get_running_loop().create_task(self._replace_lane())
            self._replacing.add(task)
            task.add_done_callback(self._on_replaced)

    def _on_replaced(self, task: asyncio.Task[None]) -> None:
        self._replacing.discard(task)
        self._fill()  # one may have been lost at the same moment

    async def _replace_lane(self) -> None:
        # When a process dies its lanes close first; a moment later the crew is known to be gone.
        await asyncio.sleep(_REPLACE_AFTER * 2**self._lost_young)
        while not self._stopping and not self.draining:
            try:
                await self._open_lane()
                return
            except OSError as error:  # no descriptors left, perhaps
                self._say_unopened(error)
            except Exception:
                logger.exception("%s: a lane can't be opened", self)
            await asyncio.sleep(_REPLACE_PAUSE)

    def _say_unopened(self, error: OSError) -> None:
        if self._unopened.count(asyncio.get_running_loop().time()):
            logger.error(
                "%s: a lane can't be opened, there are %d of %d; retrying every %g s: %s",
                self,
                len(self.lanes),
                self._wanted,
                _REPLACE_PAUSE,
                error,
            )

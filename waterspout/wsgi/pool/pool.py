"""Which exchange runs on which lane, and what happens when no lane is available."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import random
import sys
import weakref
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, NamedTuple

from waterspout import limits
from waterspout.exceptions import ConfigurationError, PoolError
from waterspout.hub.local import hub
from waterspout.importer import split_spec
from waterspout.logs.tallying import SpokenTally
from waterspout.message.record import Record
from waterspout.ops.figures import Figures
from waterspout.system.signals import fork_generation
from waterspout.wsgi.exchange.admission import Admission
from waterspout.wsgi.exchange.exchange import Exchange
from waterspout.wsgi.exchange.spool import SpoolSpace
from waterspout.wsgi.lanes.crew import Crew, CrewEvents, CrewSpec
from waterspout.wsgi.lanes.lane import Lane
from waterspout.wsgi.lanes.longest import describe_longest
from waterspout.wsgi.lanes.process import ProcessCrew
from waterspout.wsgi.lanes.scarcity import Scarcity
from waterspout.wsgi.lanes.threads import ThreadCrew
from waterspout.wsgi.naming import Link
from waterspout.wsgi.pool.bulkheads import MAIN
from waterspout.wsgi.pool.orphans import Orphans
from waterspout.wsgi.pool.queue import WaitingQueue
from waterspout.wsgi.pool.supervisor import Supervisor
from waterspout.wsgi.pool.watch import Watch
from waterspout.wsgi.settings import PoolSettings
from waterspout.wsgi.worker.loading import WSGIApp, load_app

logger = logging.getLogger("waterspout.wsgi")


_find_load: Final = attrgetter("load")
#: Pools that have been open, for as long as anything refers to them.
_used: weakref.WeakSet[Pool] = weakref.WeakSet()


@atexit.register
def _let_go() -> None:
    for pool in list(_used):
        pool.let_go()


class Shared(NamedTuple):
    """What the pools of one app have in common: whether it runs in several processes, and in several threads
    of this one; how it is loaded here; `space`, where the data of slow clients is spooled (None: each pool
    has its own). `name` is this pool's, "" when there are no others. `link`: the names of each side's URLs.
    """

    multiprocess: bool
    multithread: bool
    load: Callable[..., WSGIApp] = load_app
    name: str = ""
    space: SpoolSpace | None = None
    link: Link | None = None


class Pool:
    """Runs exchanges on the lanes of one or more crews.

    `target`: an import string, or a WSGI callable, which can only run in threads of this process.

    Starts at `start()`, or at the first exchange; belongs to the process and event loop that started it.
    Raises ConfigurationError.

    Attributes: `admission`, of slow clients; `figures`, what it measures; `stopping`, whether it refuses new
    requests. Counts since it was created: `started`, requests that a lane took; `refused`, answered 503;
    `died`, lost with their worker (502, or cut); `timed_out` (504, or cut); `restarts`, of WSGI processes;
    `crashed`, WSGI processes that ended without having been told to.
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
            split_spec(target)  # better to report a malformed import string now
        self.target = target
        self.settings = settings
        self._shared = shared or Shared(settings.workers > 1, settings.threads > 1)
        self._says = f"pool {self._shared.name}: " if self._shared.name else ""
        is_main = self._shared.name in ("", MAIN)
        self._sized_by = "--wsgi-threads, --wsgi-workers" if is_main else "--wsgi-pool"
        self.figures = Figures()
        self._prepare()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last_loop: asyncio.AbstractEventLoop | None = None
        self._orphans = Orphans()
        self._generation = 0
        self.stopping = False
        self._refusals = SpokenTally(limits.REFUSED_PAUSE, self._say_refused)
        self._upload_refusals = SpokenTally(limits.REFUSED_PAUSE, self._say_refused_uploads)
        self.started = 0
        self.refused = 0
        self.died = 0

    def _prepare(self) -> None:
        """Create everything that belongs to one event loop from its first use on."""
        settings = self.settings
        self._winding_up: asyncio.Task[None] | None = None
        self._supervisor = Supervisor(settings, self._make_crew, self._refuse_queue, self._says)
        self._scarcity = Scarcity()
        self._watch = Watch(self._supervisor, settings, self._says, self._sized_by)
        self._queue = WaitingQueue(settings.queue, settings.queue_timeout, self._refuse)
        self._parked = WaitingQueue(settings.queue, settings.queue_timeout, self._refuse_upload)
        space = self._shared.space or SpoolSpace(settings.spool)
        self.admission = Admission(self, settings.crews * settings.threads, space, settings.spool_reply)

    # -- life --------------------------------------------------------------------------------------------

    def call(self, name: str) -> None:
        """Set the name that the log uses for it from its next start on, when there are other pools."""
        says = f"pool {name}: "
        if self._loop is None and says != self._says:
            self._says = says
            self._prepare()

    async def start(self) -> None:
        """Start all crews; harmless when started. Must not be called again meanwhile: `Pools` ensures that.

        Raises what kept the app from being loaded; PoolError: it is already started on another event loop,
        which is not closed, or in another process.
        """
        if self._is_home():
            return
        self._open()
        try:
            await self._supervisor.start()
        except BaseException:
            await self._end(limits.CUT_GRACE)
            raise

    def let_go(self) -> None:
        """End its processes at interpreter exit: if its event loop was closed, nothing else stops them."""
        if fork_generation() != self._generation:
            return
        is_left = self._loop is not None and self._loop.is_closed()
        self._orphans.wait_blocking(self._supervisor.abandon() if is_left else ())

    async def stop(self, timeout: float | None = None) -> None:
        """Let running and waiting requests finish, for `timeout` seconds at most, then end all crews."""
        if not self._is_home() or self._loop is None:
            await self._orphans.wait()
            return
        self.stopping = True
        self._supervisor.refrain()
        self.wind_up()
        timeout = self.settings.graceful_timeout if timeout is None else timeout
        deadline = self._loop.time() + timeout
        grace = limits.EXIT_GRACE
        try:
            await asyncio.wait_for(self._drain(), timeout)
            grace = max(grace, deadline - self._loop.time())  # for threads that views have started
        except TimeoutError:
            # Perhaps none are left: connections may have used up all of the time.
            if left := self.running + self.prefetched + self.waiting:
                logger.warning("%srequests are cut off (%d): the graceful timeout is over", self._says, left)
        await self._end(grace)

    def wind_up(self) -> None:
        """From now on, until it has stopped, end quiet WebSockets of views; requests still run."""
        if self._winding_up is None and self._loop is not None:
            self._winding_up = self._loop.create_task(self._wind_up())

    async def _wind_up(self) -> None:
        while True:
            for crew in self._supervisor.crews:  # those that are draining see to it themselves
                crew.wind_up()
            await asyncio.sleep(limits.DRAIN_LOOK)

    def reload(self) -> None:
        """Let new WSGI processes, which load the app's current code, take over from the existing ones."""
        if self._loop is None:
            logger.info("reload: the WSGI app has not been started yet")
        elif not self.stopping:
            self._supervisor.reload()

    async def _end(self, grace: float) -> None:
        """Accept nothing more and end everything, whatever state it is in."""
        self.stopping = True
        self._refusals.say_rest()
        self._upload_refusals.say_rest()
        self.admission.say_rest()
        self._refuse_queue()
        self._watch.stop()
        if self._winding_up is not None:
            self._winding_up.cancel()
            self._winding_up = None
        await self._supervisor.stop(grace)
        await self._orphans.wait()
        loop, self._loop = self._loop, None
        hub.close(loop)

    def kill_silent(self) -> None:
        """For a server that ends without `stop`: end the processes that would outlive it, as a view holds the
        interpreter's lock.
        """
        self._watch.kill_silent()

    def _abandon(self) -> None:
        """Its event loop was closed without a stop: drop everything that is only useful on that loop."""
        loop, self._loop = self._loop, None
        hub.close(loop)
        self._orphans.add(self._supervisor.abandon())
        self._prepare()
        self.stopping = False

    def _open(self) -> None:
        _used.add(self)
        self._loop = self._last_loop = asyncio.get_running_loop()
        self._generation = fork_generation()
        self.stopping = False
        self._drained = asyncio.Event()
        self._warn()
        self._supervisor.open()
        self._watch.start()
        hub.open()

    def _warn(self) -> None:
        """Warn, once, about settings that have no effect here."""
        settings = self.settings
        if not settings.workers and (settings.max_requests or settings.max_rss):
            logger.warning("--wsgi-max-requests and --wsgi-max-rss do nothing with --wsgi-workers 0")
        elif settings.max_rss and not os.path.exists("/proc/self/statm"):
            logger.warning("--wsgi-max-rss does nothing here: there is no /proc to read sizes from")

    async def _drain(self) -> None:
        while self.running or self._queue:
            self._drained.clear()
            with contextlib.suppress(TimeoutError):
                # Not forever: a lane that gets stuck, or a client that leaves the queue, sets no event.
                await asyncio.wait_for(self._drained.wait(), limits.DRAIN_LOOK)

    def _is_home(self) -> bool:
        """Whether it is open on this event loop; anything left on a closed one is dropped. Raises PoolError:
        it belongs elsewhere.
        """
        if self._loop is None:
            return False
        is_forked = fork_generation() != self._generation
        if not is_forked and asyncio.get_running_loop() is self._loop:
            return True
        if is_forked or not self._loop.is_closed():
            raise PoolError(
                "this pool was started in another process or on another event loop, which is still open: "
                "start the application after forking; stop() it on that loop before it is started on this "
                "one, or make one for each event loop"
            )
        self._abandon()
        return False

    # -- what can be seen --------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether it is started, in this process, and on an event loop that is not closed."""
        if self._loop is None or fork_generation() != self._generation:
            return False
        return not self._loop.is_closed()

    @property
    def running(self) -> int:
        """How many lanes run a request that a client may be waiting for."""
        return sum(crew.running for crew in self._supervisor.all)

    @property
    def stuck(self) -> int:
        """How many lanes are stuck in a view that was given up."""
        return sum(crew.stuck for crew in self._supervisor.all)

    @property
    def prefetched(self) -> int:
        """How many small requests are queued on lanes that are running others."""
        return sum(crew.prefetch.waiting for crew in self._supervisor.all)

    @property
    def waiting(self) -> int:
        """How many requests wait for a lane, including those that may not have one yet."""
        return len(self._queue) + len(self._parked)

    @property
    def lacking(self) -> int:
        """How many requests wait because no lane is free; excludes those that wait for room in a backlog."""
        return 0 if self.has_idle_lane else len(self._queue)

    @property
    def has_idle_lane(self) -> bool:
        """Whether a request would run at once, or as soon as the pool, which starts by itself, is up."""
        return not self.is_open or any(crew.idle for crew in self._supervisor.crews)

    @property
    def crews(self) -> list[Crew]:
        """All crews, including those that have not come up."""
        return self._supervisor.all

    @property
    def timed_out(self) -> int:
        return self._watch.timed_out

    @property
    def restarts(self) -> int:
        return self._supervisor.restarts

    @property
    def crashed(self) -> int:
        return self._supervisor.crashed

    # -- exchanges ---------------------------------------------------------------------------------------

    def submit(self, exchange: Exchange) -> None:
        """Start it on a free lane, queue it, or refuse it with 503. Raises PoolError."""
        if self.stopping and asyncio.get_running_loop() is self._last_loop:
            self._refuse(exchange)
            return
        if not self._is_home():
            self._open()  # `start()` was not called: the exchange waits until there is a lane
            self._supervisor.start_soon()
        if not self._queue and self._place(exchange):
            return
        if self._supervisor.broken or self._queue.is_full:
            self._refuse(exchange)
        else:
            self._queue.add(exchange)

    def park(self, exchange: Exchange) -> None:
        """It waits for a lane, but may not have one before it is resubmitted: let it wait no longer than
        others do, or refuse it with 503. It takes no place in the queue from requests that may have one.
        """
        if self.waiting < self.settings.queue:
            self._parked.add(exchange)
        else:
            self._refuse_upload(exchange)

    def resubmit(self, exchange: Exchange) -> None:
        """It was parked, or its lane has not read it: it keeps waiting, ahead of those that came later."""
        if self.stopping or self._supervisor.broken:
            self._refuse(exchange)
            return
        if not self._queue and self._place(exchange):
            return
        for surplus in self._queue.put_back([exchange]):
            self._refuse(surplus)
        self._serve_queue()

    def find_admission(self, record: Record) -> Admission:
        """The pool's own."""
        return self.admission

    def withdraw(self, exchange: Exchange) -> None:
        """It waits no longer, in the queue or parked. Harmless when it does not."""
        self._queue.remove(exchange)
        self._parked.remove(exchange)

    def _place(self, exchange: Exchange) -> bool:
        """Find a lane for it, in the least busy process. False if there is none."""
        crews = self._supervisor.crews
        if len(crews) == 1:
            crew: Crew | None = crews[0]
        else:
            crew = min((crew for crew in crews if crew.ready), key=_find_load, default=None)
        if crew is None:
            return False
        if crew.prefetch.add(exchange):
            self._count(crew)
            return True
        if crew.prefetch.is_full:
            return False
        if not crew.idle:
            crew = self._least_busy()
            if crew is None:
                return False
        lane = crew.idle.popleft()
        self._count(crew)
        exchange.start(lane)
        crew.prefetch.follow(lane)
        return True

    def _count(self, crew: Crew) -> None:
        self.started += 1
        crew.started += 1
        if crew.started >= crew.limit:
            self._supervisor.replace(crew, f"it has served {crew.started} requests (--wsgi-max-requests)")

    def _least_busy(self) -> Crew | None:
        free = [crew for crew in self._supervisor.crews if crew.idle]
        if len(free) < 2:
            return free[0] if free else None
        return min(free, key=_find_load)

    def _serve_queue(self) -> None:
        """Start the waiting exchanges that there is room for by now."""
        while self._queue and self._place(self._queue.peek()):
            self._queue.take()

    def _on_returned(self, crew: Crew, exchanges: list[Exchange]) -> None:
        """Take back exchanges that were given to a lane which did not get to them."""
        self.started -= len(exchanges)
        for exchange in exchanges:
            exchange.leave_lane()
        placed = 0
        while placed < len(exchanges) and self._place(exchanges[placed]):
            placed += 1
        for surplus in self._queue.put_back(exchanges[placed:]):
            self._refuse(surplus)

    def _refuse(self, exchange: Exchange) -> None:
        self._refuse_and_count(exchange, self._refusals)

    def _refuse_upload(self, exchange: Exchange) -> None:
        """It was parked, or would have been: there may be lanes to spare, only not for it."""
        self._refuse_and_count(exchange, self._upload_refusals)

    def _refuse_and_count(self, exchange: Exchange, tally: SpokenTally) -> None:
        self.refused += 1
        if not self.stopping:
            tally.count()
        exchange.refuse(503)

    def _say_refused(self, unsaid: int, is_rest: bool) -> None:
        """Log how many requests were refused, but not a line for each. `is_rest`: by now there may be room
        again.
        """
        lanes = [lane for crew in self._supervisor.crews for lane in crew.lanes]
        if is_rest:
            logger.warning("%sanswered 503 to %d more since the last such line", self._says, unsaid)
        elif lanes:
            logger.warning(
                "%s%d lanes are busy and %d requests wait: answered 503 to %d since the last such line "
                "(%s, --wsgi-queue, --wsgi-queue-timeout); %s",
                self._says,
                self.running + self.stuck,
                self.waiting,
                unsaid,
                self._sized_by,
                describe_longest(lanes),
            )
        else:
            logger.warning(
                "%sthe WSGI app is loading, or does not start: answered 503 to %d since the last such line",
                self._says,
                unsaid,
            )

    def _say_refused_uploads(self, unsaid: int, is_rest: bool) -> None:
        logger.warning(
            "%sno room in the spool, and no lane, for uploads: answered 503 to %d since the last such line; "
            "at most half of the lanes run requests whose bodies are not complete "
            "(--wsgi-spool, %s, --wsgi-queue, --wsgi-queue-timeout)",
            self._says,
            unsaid,
            self._sized_by,
        )

    def _refuse_queue(self) -> None:
        for exchange in self._queue.clear() + self._parked.clear():
            self._refuse(exchange)

    # -- crews -------------------------------------------------------------------------------------------

    def _make_crew(self) -> Crew:
        settings, shared = self.settings, self._shared
        spec = CrewSpec(
            self.target,
            settings.threads,
            debug=settings.debug,
            multiprocess=shared.multiprocess,
            multithread=shared.multithread,
            load=shared.load,
            pool=shared.name,
            nice=settings.niceness,
            link=shared.link or Link(),
            ready_timeout=settings.ready_timeout,
        )
        events = CrewEvents(
            on_idle=self._on_idle,
            on_gone=self._on_gone,
            on_room=self._serve_queue,
            on_returned=self._on_returned,
            on_publish=hub.forward,
            on_scant=self._scarcity.tell,
        )
        if not settings.workers:
            return ThreadCrew(spec, events)
        crew = ProcessCrew(spec, events)
        if settings.max_requests:
            # Not all at once, since they start together and get equal shares of the requests.
            crew.limit = settings.max_requests + random.randint(0, settings.max_requests_jitter)
        return crew

    def _on_idle(self, crew: Crew, lane: Lane) -> None:
        if lane.backlog is None:
            crew.idle.append(lane)
        else:
            crew.idle.appendleft(lane)  # the lane that ran last: its data is still in the core's cache
        if self._queue:
            self._serve_queue()
        if lane.busy:
            return
        if not self._watch.had_idle:
            # While requests are queued behind others, a lane is idle only for the moment that those take.
            self._watch.had_idle = not self._queue and not self.prefetched
        crew.check_drained()
        if self.stopping:
            self._check_drained()

    def _on_gone(self, crew: Crew) -> None:
        self._supervisor.on_gone(crew)
        if self.stopping:
            if not self._supervisor.crews:
                self._refuse_queue()
            self._check_drained()

    def _check_drained(self) -> None:
        """Wake the stop if this was the last."""
        if not self.running and not self._queue:
            self._drained.set()
